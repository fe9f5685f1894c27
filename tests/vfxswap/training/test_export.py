"""Trained faces for other programs: the graphs compute what the model does, and say whose face it is."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tomli
import torch
from numpy.typing import NDArray

from vfxswap.alignment import CropSpec, crop_of_type
from vfxswap.errors import ConsentError, MediaError, PluginError, UsageError
from vfxswap.files import file_sha256
from vfxswap.testing import face_batch, options_of, setting, synthetic_comb, synthetic_identity, write_synthetic_trained
from vfxswap.training import export as exporting
from vfxswap.training.export import Asked, Exported, export, face_type_of
from vfxswap_plugins.swappers.autoencoder import Autoencoder
from vfxswap_plugins.swappers.dfm import DfmSwapper

COMB = synthetic_comb()
PICTURES = face_batch(3, crop=crop_of_type("whole", 32), swapped=False).crops.clamp(0, 1)
Planes = list[NDArray[np.float32]]


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB)
    return tmp_path / "hero.safetensors"


def asked(trained: Path, name: str = "hero.dfm", **changes: Any) -> Asked:
    out = trained.parent / "out" / name
    return replace(Asked(trained, "dfm" if name.endswith(".dfm") else "onnx", "hero", out), **changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A face as DFM."""
    trained = tmp_path_factory.mktemp("dfm") / "hero.safetensors"
    write_synthetic_trained(trained, COMB)
    return export(asked(trained))


@pytest.fixture(scope="module")
def morphing(done: Exported) -> Exported:
    """The same, morphing from the double."""
    return export(asked(done.path.parents[1] / "hero.safetensors", "morph.dfm", morph_from="double"))


def computed(path: Path, **inputs: Any) -> Planes:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {port.name: np.asarray(inputs[port.name.partition(":")[0]], np.float32) for port in session.get_inputs()}
    return list(session.run(None, given))


def bgr_last(pictures: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(pictures.numpy()[:, ::-1].transpose(0, 2, 3, 1))


def near(one: NDArray[np.float32], other: torch.Tensor, tolerance: float = 1e-5) -> None:
    assert one.shape == tuple(other.shape)
    assert float(abs(one - other.numpy()).max()) < tolerance


def test_a_dfm_computes_what_the_model_does(done: Exported) -> None:
    assert done.difference < 1e-5
    graph = onnx.load(str(done.path))
    assert graph.opset_import[0].version == 17
    assert [port.name for port in graph.graph.input] == ["in_face:0"]
    assert [port.name for port in graph.graph.output] == [
        "out_face_mask:0",
        "out_celeb_face:0",
        "out_celeb_face_mask:0",
    ]
    hero, double = COMB(PICTURES, "hero"), COMB(PICTURES, "double")
    for places in (slice(0, 1), slice(0, 3)):
        there, face, mask = computed(done.path, in_face=bgr_last(PICTURES[places]))
        near(face, torch.from_numpy(bgr_last(hero.image[places].clamp(0, 1))))
        near(mask, hero.matte[places].permute(0, 2, 3, 1))
        near(there, double.matte[places].permute(0, 2, 3, 1))


@pytest.mark.parametrize("opset", [16, 20])
def test_other_opsets(trained: Path, opset: int) -> None:
    path = export(asked(trained, morph_from="double", opset=opset)).path  # held against the model before it is kept
    assert onnx.load(str(path)).opset_import[0].version == opset


def test_old_opsets_are_for_faces_without_stills(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"opset 16 or later, not 13; .* stills = 0"):
        export(asked(trained, opset=13))
    plain = tmp_path / "plain.safetensors"
    write_synthetic_trained(plain, synthetic_comb(stills=0))
    path = export(asked(plain, morph_from="double", opset=13)).path
    assert onnx.load(str(path)).opset_import[0].version == 13


@pytest.mark.parametrize("amount", [0.0, 0.4, 1.0])
def test_a_dfm_morphs(morphing: Exported, amount: float) -> None:
    _, face, mask = computed(morphing.path, in_face=bgr_last(PICTURES), morph_value=[amount])
    expected = COMB.morphed(COMB.encode(PICTURES), "double", "hero", amount)
    near(face, torch.from_numpy(bgr_last(expected.image.clamp(0, 1))))
    near(mask, expected.matte.permute(0, 2, 3, 1))


def test_plain_onnx(trained: Path) -> None:
    done = export(asked(trained, "hero.onnx", morph_from="double"))
    session = onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    assert [(port.name, port.shape) for port in session.get_inputs()] == [
        ("face", ["batch", 3, 32, 32]),
        ("morph", [1]),
    ]
    assert [port.name for port in session.get_outputs()] == ["target_matte", "swapped", "matte"]
    _, face, mask = computed(done.path, face=PICTURES.numpy(), morph=[1.0])
    near(face, COMB(PICTURES, "hero").image.clamp(0, 1))
    near(mask, COMB(PICTURES, "hero").matte)


def test_half_the_bits(trained: Path, done: Exported) -> None:
    half = export(asked(trained, "half.dfm", half=True))
    assert 1e-5 < half.difference < 2e-2
    stored = onnx.load(str(half.path)).graph.initializer
    assert onnx.TensorProto.FLOAT16 in {tensor.data_type for tensor in stored}
    weights = [path.stat().st_size for path in (half.path, done.path)]
    assert weights[0] < 0.8 * weights[1]  # stills keep their bits
    assert computed(half.path, in_face=bgr_last(PICTURES))[1].dtype == np.float32


def test_the_sidecar_says_whose_it_is(done: Exported) -> None:
    said = tomli.loads(done.sidecar.read_text())
    assert done.sidecar.name == "hero.dfm.toml"
    assert (said["sha256"], said["licence"], said["commercial"]) == (file_sha256(done.path), "CC0-1.0", True)
    assert (said["face_type"], said["resolution"]) == ("whole", 32)
    assert said["consent"].startswith(
        "a drawn face, by nobody; it is drawn by a formula, 2000-01-01 to 2999-12-31, for *"
    )
    assert f"hero.safetensors (sha256 {file_sha256(done.path.parents[1] / 'hero.safetensors')})" in said["source"]
    props = {prop.key: prop.value for prop in onnx.load(str(done.path)).metadata_props}
    assert props["vfxswap.consent"] == said["consent"]
    assert props["vfxswap.identity"] == "hero"


@pytest.mark.parametrize("morph", [None, 0.3])
def test_the_stage_dfm_shows_the_same(done: Exported, morphing: Exported, morph: float | None) -> None:
    """Out and in again: what the stage `autoencoder` makes of the trained file, `dfm` makes of the exported one."""
    faces = face_batch(3, crop=crop_of_type("whole", 32), swapped=False)
    ours = replace(synthetic_identity(), weights=(done.path.parents[1] / "hero.safetensors",))
    theirs = replace(synthetic_identity(), weights=(done.path if morph is None else morphing.path,))
    values: dict[str, Any] = {"mask": "none", "border_percent": 5.0}
    mixed = {} if morph is None else {"who": "double", "morph_to": "hero", "morph": morph}
    native = Autoencoder(
        options_of(Autoencoder, {"identity": "hero", **values, **mixed}), setting(identities={"hero": ours})
    )
    foreign = DfmSwapper(
        options_of(DfmSwapper, {"identity": "hero", **values, **({} if morph is None else {"morph_value": morph})}),
        setting(identities={"hero": theirs}),
    )
    assert foreign.crop == native.crop
    results = []
    for stage, identity in ((native, ours), (foreign, theirs)):
        stage.open()
        results.append(stage.swap(faces, identity))
        stage.close()
    assert torch.allclose(results[0].crops.clamp(0, 1), results[1].crops, atol=1e-4)
    assert torch.allclose(results[0].mattes, results[1].mattes, atol=1e-4)
    assert results[0].crops.std() > 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identity": "heroe"}, "nobody called 'heroe'; it has hero, double"),
        ({"morph_from": "duoble"}, "nobody called 'duoble'"),
        ({"morph_from": "hero"}, "a morph is between two people; 'hero' is both"),
        ({"plate": "nobody"}, "nobody called 'nobody'"),
        ({"opset": 9}, "there is no opset 9 here; allowed: 13 to 20"),
        ({"form": "onnx"}, "must end in .onnx, as .*hero.onnx"),
    ],
)
def test_what_cannot_be_exported(trained: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export(asked(trained, **changes))
    assert not (trained.parent / "out").exists()


def test_what_is_there_is_kept(trained: Path) -> None:
    wanted = asked(trained)
    wanted.out.parent.mkdir()
    wanted.out.write_bytes(b"another's")
    with pytest.raises(UsageError, match="is there already; choose another name, or say --overwrite"):
        export(wanted)
    assert wanted.out.read_bytes() == b"another's"
    assert export(replace(wanted, overwrite=True)).difference < 1e-5


def test_a_face_without_consent_is_not_exported(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, consents={"double": None})
    with pytest.raises(ConsentError, match="no consent record of 'double'"):
        export(asked(tmp_path / "hero.safetensors", morph_from="double"))
    with pytest.raises(ConsentError):
        export(asked(tmp_path / "hero.safetensors", identity="double"))
    assert export(asked(tmp_path / "hero.safetensors")).path.exists()  # to see who is replaced needs none


def test_a_base_is_nobodys_face(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, identities={})
    with pytest.raises(UsageError, match="is a base"):
        export(asked(tmp_path / "hero.safetensors"))


def test_what_came_from_noise_is_not_exported_to_morph(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, base="")
    with pytest.raises(UsageError, match="trained from noise"):
        export(asked(tmp_path / "hero.safetensors", morph_from="double"))


def test_a_crop_that_dfm_has_no_word_for(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, zoom=1.2)
    with pytest.raises(UsageError, match=r"at zoom 1\.2, for which DFM has no face type"):
        export(asked(tmp_path / "hero.safetensors"))
    assert export(asked(tmp_path / "hero.safetensors", "hero.onnx")).path.exists()
    assert face_type_of(CropSpec("dfl68_head", 64)) == "head"
    assert face_type_of(CropSpec("ffhq_512", 64)) is None


def test_a_graph_that_differs_is_not_kept(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an exporter's fault would make it."""
    write = exporting._write

    def faulty(graph: Any, path: Path, opset: int) -> None:
        with torch.no_grad():
            for weight in graph.comb.trunks[0].heads.parameters():
                weight.add_(0.05)
        write(graph, path, opset)
        with torch.no_grad():
            for weight in graph.comb.trunks[0].heads.parameters():
                weight.sub_(0.05)

    monkeypatch.setattr(exporting, "_write", faulty)
    with pytest.raises(MediaError, match=r"differs from .* and was not written"):
        export(asked(trained))
    assert list((trained.parent / "out").iterdir()) == []


def test_without_onnx_it_says_what_to_install(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(PluginError, match=r"pip install 'vfxswap\[train\]'"):
        export(asked(trained))
