"""DFMs: signature, colour order, masks and their order, morph, crop, sidecar, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from vfxswap.alignment import CropSpec, crop_of_type
from vfxswap.brief import Brief
from vfxswap.errors import ModelMissing, ShapeError, UsageError, VfxswapError
from vfxswap.files import file_sha256
from vfxswap.frame import FaceBatch
from vfxswap.identity import Identity, WeightsEntry
from vfxswap.models import ModelStore
from vfxswap.stage import Swapped
from vfxswap.testing import assert_same_bits, face_batch, options_of, setting, synthetic_identity
from vfxswap_plugins.swappers.dfm import DfmSwapper

SIZE = 32


def hero(*weights: Path) -> Identity:
    folder = weights[0].parent if weights else Path("hero")
    return replace(synthetic_identity(folder=folder), weights=tuple(sorted(weights)))


def brief_of(identity: Identity) -> Brief:
    return Brief({"hero": identity}, ModelStore([], {}), "lab", None, date(2026, 1, 1), "sRGB - Texture", "cpu")


def stage_of(identity: Identity, **options: object) -> DfmSwapper:
    """The stage, as the host makes it."""
    made = options_of(DfmSwapper, {"identity": "hero", "border_percent": 0, **options})
    return DfmSwapper(made, setting(identities={"hero": identity}))


def crop_of(identity: Identity, **options: object) -> CropSpec:
    return stage_of(identity, **options).crop


def checked(identity: Identity, **options: object) -> list[Any]:
    """What a check finds."""
    made = options_of(DfmSwapper, {"identity": "hero", **options})
    return list(DfmSwapper.model_files(made, brief_of(identity)))


def swapped(identity: Identity, faces: FaceBatch | None = None, **options: object) -> tuple[FaceBatch, Swapped]:
    stage = stage_of(identity, **options)
    batch = face_batch(2, crop=stage.crop, swapped=False) if faces is None else faces
    stage.open()
    result = stage.swap(batch, identity)
    stage.close()
    return batch, result


def column(*values: float) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def test_it_feeds_bgr_planes_last_and_reads_the_face_back(networks: Any) -> None:
    faces, result = swapped(hero(networks.dfm(size=SIZE)))
    expected = (0.5 * faces.crops.clamp(0, 1) + column(0.4, 0.2, 0.0)).clamp(0, 1)
    torch.testing.assert_close(result.crops, expected, atol=1e-6, rtol=0)


def test_highlights_and_noise_are_clipped_for_the_model_only(networks: Any) -> None:
    identity = hero(networks.dfm(size=SIZE))
    faces = face_batch(1, crop=stage_of(identity).crop, swapped=False)
    crops = faces.crops.clone()
    crops[0, 0, 0, :4] = torch.tensor([5.0, -1.0, float("nan"), float("inf")])
    _, result = swapped(identity, replace(faces, crops=crops))
    assert result.crops[0, 0, 0, :4].tolist() == pytest.approx([0.9, 0.4, 0.4, 0.9])
    assert torch.isfinite(result.crops).all()


@pytest.mark.parametrize("count", [1, "N"])
def test_fixed_and_free_batches_give_the_same_bits(networks: Any, count: int | str) -> None:
    identity = hero(networks.dfm(size=SIZE, count=count))
    faces = face_batch(5, crop=stage_of(identity).crop, swapped=False)
    _, together = swapped(identity, faces, presharpen=1.0, gamma_before=[1.1, 1, 0.9], mask_blur_percent=3)
    for i in range(5):
        alone = FaceBatch(
            faces.crops[i : i + 1], faces.landmarks[i : i + 1], faces.plate_to_crop[i : i + 1], faces.frames[i : i + 1]
        )
        _, result = swapped(identity, alone, presharpen=1.0, gamma_before=[1.1, 1, 0.9], mask_blur_percent=3)
        assert_same_bits(result, (together.crops[i : i + 1], together.mattes[i : i + 1]))


RAMP = (torch.arange(SIZE) + 0.5) / SIZE
ACROSS, DOWN = RAMP.view(1, SIZE).expand(SIZE, SIZE), RAMP.view(SIZE, 1).expand(SIZE, SIZE)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("target", ACROSS),
        ("source", DOWN),
        ("product", ACROSS * DOWN),
        ("min", torch.minimum(ACROSS, DOWN)),
        ("max", torch.maximum(ACROSS, DOWN)),
        ("none", torch.ones(SIZE, SIZE)),
    ],
)
def test_the_first_mask_is_the_targets_and_the_last_the_new_faces(networks: Any, mask: str, expected: Tensor) -> None:
    _, result = swapped(hero(networks.dfm(size=SIZE)), mask=mask)
    expected = torch.where(expected < 1 / 255, 0.0, expected)
    torch.testing.assert_close(result.mattes, expected.expand(2, 1, SIZE, SIZE), atol=1e-6, rtol=0)


def test_mask_edges_move_inwards_blur_and_fade_at_the_border(networks: Any) -> None:
    identity = hero(networks.dfm(size=SIZE))
    _, plain = swapped(identity, mask="target")
    _, eroded = swapped(identity, mask="target", mask_erode_percent=100 * 2 / SIZE)
    torch.testing.assert_close(eroded.mattes[:, :, 4:-4, 4:-4], plain.mattes[:, :, 4:-4, 2:-6], atol=1e-6, rtol=0)
    assert eroded.mattes[:, :, :2].max() == eroded.mattes[..., -2:].max() == 0  # beyond the crop there is no matte
    _, blurred = swapped(identity, mask="none", mask_blur_percent=5)
    assert (blurred.mattes[:, :, 0, 0] < 0.5).all()
    assert (blurred.mattes[:, :, SIZE // 2, SIZE // 2] > 0.999).all()
    _, faded = swapped(identity, mask="none", border_percent=25)
    middle = faded.mattes[0, 0, SIZE // 2]
    assert (middle[: SIZE // 4].diff() > 0).all()
    assert middle[0] < 0.02
    assert (middle[SIZE // 4 : -SIZE // 4] == 1).all()


def test_gamma_belongs_to_the_channel_that_it_names(networks: Any) -> None:
    """DeepFaceLive crosses green and blue after the swap; here each stays with its own."""
    identity = hero(networks.dfm(size=SIZE))
    faces = face_batch(1, crop=stage_of(identity).crop, swapped=False)
    crops = torch.full_like(faces.crops, 0.25)
    _, before = swapped(identity, replace(faces, crops=crops), gamma_before=[2.0, 1.0, 0.5])
    expected = 0.5 * column(0.5, 0.25, 0.0625) + column(0.4, 0.2, 0.0)
    torch.testing.assert_close(before.crops, expected.expand_as(crops), atol=1e-6, rtol=0)
    _, after = swapped(identity, replace(faces, crops=crops), gamma_after=[2.0, 1.0, 0.5])
    plain = 0.5 * 0.25 + column(0.4, 0.2, 0.0)
    expected = torch.cat([plain[:, :1] ** 0.5, plain[:, 1:2], plain[:, 2:] ** 2], dim=1)
    torch.testing.assert_close(after.crops, expected.expand_as(crops), atol=1e-6, rtol=0)


def test_presharpening_raises_edges_and_leaves_flats(networks: Any) -> None:
    identity = hero(networks.dfm(size=SIZE))
    faces = face_batch(1, crop=stage_of(identity).crop, swapped=False)
    crops = torch.full_like(faces.crops, 0.4)
    crops[:, :, :, SIZE // 2 :] = 0.6
    _, plain = swapped(identity, replace(faces, crops=crops))
    _, sharp = swapped(identity, replace(faces, crops=crops), presharpen=1.0)
    change = (sharp.crops - plain.crops)[0, 0, SIZE // 2] / 0.5
    assert change[SIZE // 2] == pytest.approx(0.2 * 0.3, rel=0.05)  # a Gaussian step at half a pixel: 0.5 - erf(0.35)/2
    assert change[SIZE // 2 - 1] == pytest.approx(-0.2 * 0.3, rel=0.05)
    assert change[:8].abs().max() < 1e-6


def test_two_passes_give_the_result_back(networks: Any) -> None:
    faces, result = swapped(hero(networks.dfm(size=SIZE)), two_pass=True)
    shift = column(0.4, 0.2, 0.0)
    expected = (0.5 * (0.5 * faces.crops.clamp(0, 1) + shift).clamp(0, 1) + shift).clamp(0, 1)
    torch.testing.assert_close(result.crops, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [None, 1.0, 0.75, 0.0])
def test_the_morph_value_is_fed(networks: Any, value: float | None) -> None:
    options: dict[str, Any] = {} if value is None else {"morph_value": value}
    faces, result = swapped(hero(networks.dfm(size=SIZE, morph=True)), **options)
    plain = 0.5 * faces.crops.clamp(0, 1) + column(0.4, 0.2, 0.0)
    share = 1.0 if value is None else value
    torch.testing.assert_close(result.crops, (share * plain + (1 - share) * (1 - plain)).clamp(0, 1), atol=1e-5, rtol=0)


def test_a_morph_value_for_a_model_that_does_not_morph_is_refused(networks: Any) -> None:
    with pytest.raises(UsageError, match="does not morph"):
        checked(hero(networks.dfm()), morph_value=0.5)


def test_the_crop_is_the_models_own(networks: Any) -> None:
    identity = hero(networks.dfm(size=48))
    assert stage_of(identity).crop == crop_of_type("whole", 48)
    assert stage_of(identity, face_type="head").crop == CropSpec("dfl68_head", 48)
    assert stage_of(identity, alignment="ff5").crop == CropSpec("dfl_whole", 48)
    wrong = face_batch(1, crop=crop_of_type("whole", 32), swapped=False)
    with pytest.raises(ShapeError, match=r"crops for dfm must be \(N, 3, 48, 48\), got \(1, 3, 32, 32\)"):
        swapped(identity, wrong)


def write_sidecar(path: Path, text: str) -> None:
    path.with_name(f"{path.name}.toml").write_text(text)


def test_the_sidecar_says_what_the_file_does_not(networks: Any) -> None:
    path = networks.dfm(size=48)
    sha256 = file_sha256(path)
    write_sidecar(
        path,
        f'face_type = "head"\nresolution = 48\nsha256 = "{sha256}"\nlicence = "all rights reserved"\n'
        'commercial = true\nconsent = "agreement 12"\nsource = "trained by us"\n',
    )
    (found,) = checked(hero(path))
    assert (found.path, found.sha256) == (path, sha256)
    assert (found.licence, found.commercial, found.consent) == ("all rights reserved", True, "agreement 12")
    assert stage_of(hero(path)).crop == CropSpec("dfl68_head", 48)


def test_without_a_sidecar_nothing_is_claimed(networks: Any) -> None:
    path = networks.dfm()
    (found,) = checked(hero(path))
    assert (found.sha256, found.licence, found.commercial) == (file_sha256(path), "", None)


@pytest.mark.parametrize(
    ("sidecar", "options", "message"),
    [
        ('face_type = "hole"', {}, "face_type: Input should be 'half', 'mid_full', 'full', 'whole' or 'head'"),
        ('face_typ = "head"', {}, "face_typ: Extra inputs are not permitted; keys that may stand there: sha256"),
        ("resolution = 64", {}, "resolution is 64, but the network takes in_face:0 float32"),
        ('resolution = "32"', {}, "resolution: Input should be a valid integer"),
        ('face_type = "head"', {"face_type": "whole"}, "face_type is 'whole', but .* says 'head'"),
        ('face_type = "head"', {"alignment": "ff5"}, "alignment 'ff5' is known for face type 'whole' only"),
        ("", {"face_type": "full", "alignment": "ff5"}, "alignment 'ff5' is known for face type 'whole' only"),
        ("face_type = head", {}, "cannot read .*toml"),
        (f'sha256 = "{"0" * 64}"', {}, "is not the file that the sidecar .* describes: its sha256 is"),
    ],
)
def test_a_wrong_sidecar_is_told_before_the_first_frame(
    networks: Any, sidecar: str, options: dict[str, object], message: str
) -> None:
    path = networks.dfm(size=32)
    write_sidecar(path, sidecar)
    with pytest.raises(VfxswapError, match=message):
        checked(hero(path), **options)


def test_a_resolution_that_the_file_leaves_open_is_the_sidecars(networks: Any) -> None:
    path = networks.dfm(size=32, side="S")
    with pytest.raises(UsageError, match=r"does not say its resolution \(in_face:0 float32 \[N, S, S, 3\]\); write"):
        checked(hero(path))
    write_sidecar(path, "resolution = 32")
    faces, result = swapped(hero(path))
    assert result.crops.shape == faces.crops.shape == (2, 3, 32, 32)


def test_which_file_of_the_folder_is_said_where_there_are_several(networks: Any) -> None:
    one, two = networks.dfm("one.dfm", size=32), networks.dfm("two.dfm", size=48)
    both = hero(one, two)
    with pytest.raises(UsageError, match=r'several files of weights .*one\.dfm, two\.dfm.* weights = "one\.dfm"'):
        checked(both)
    assert crop_of(both, weights="two.dfm").size_px == crop_of(both, weights="two").size_px == 48
    with pytest.raises(UsageError, match=r"there are no weights 'three\.dfm' .* there are one\.dfm, two\.dfm"):
        checked(both, weights="three.dfm")
    with pytest.raises(UsageError, match=r"there is no \*\.dfm, \*\.onnx in"):
        checked(hero())


def test_identity_toml_may_pin_the_file_and_say_its_licence(networks: Any) -> None:
    path = networks.dfm()
    entry = WeightsEntry.model_validate({"sha256": file_sha256(path), "licence": "ours", "commercial": True})
    (found,) = checked(replace(hero(path), entries={"hero.dfm": entry}))
    assert (found.licence, found.commercial) == ("ours", True)
    write_sidecar(path, 'licence = "theirs"\ncommercial = false')
    (found,) = checked(replace(hero(path), entries={"hero.dfm": entry}))
    assert (found.licence, found.commercial) == ("theirs", False)
    other = WeightsEntry.model_validate({"sha256": "0" * 64, "licence": "ours"})
    with pytest.raises(ModelMissing, match=r"is not the file that its card or identity\.toml describes"):
        checked(replace(hero(path), entries={"hero.dfm": other}))


def test_an_onnx_file_of_the_same_form_serves_where_there_is_no_dfm(networks: Any) -> None:
    exported = networks.dfm("hero.onnx", size=48)
    assert crop_of(hero(exported)).size_px == 48
    both = hero(exported, networks.dfm("hero.dfm", size=32))
    assert crop_of(both).size_px == 32
    assert crop_of(both, weights="hero.onnx").size_px == 48


def test_other_signatures_are_refused_with_what_was_found(networks: Any) -> None:
    wrong = {
        "swapper": networks.swapper("a.dfm"),
        "mask only": networks.xseg(name="b.dfm"),
        "not square": networks.save(
            "c.dfm",
            [helper.make_node("Identity", ["in_face:0"], [name]) for name in ("x", "y", "z")],
            [("in_face:0", (1, 32, 48, 3))],
            [("x", (1, 32, 48, 1)), ("y", (1, 32, 48, 3)), ("z", (1, 32, 48, 1))],
        ),
        "planes first": networks.save(
            "d.dfm",
            [helper.make_node("Identity", ["in_face:0"], [name]) for name in ("x", "y", "z")],
            [("in_face:0", (1, 3, 32, 32))],
            [("x", None), ("y", None), ("z", None)],
        ),
        "outputs in another order": networks.save(
            "e.dfm",
            [helper.make_node("Identity", ["in_face:0"], [name]) for name in ("x", "y", "z")],
            [("in_face:0", (1, 32, 32, 3))],
            [("x", (1, 32, 32, 3)), ("y", (1, 32, 32, 1)), ("z", (1, 32, 32, 1))],
        ),
        "a third input": networks.save(
            "f.dfm",
            [helper.make_node("Identity", ["in_face:0"], [name]) for name in ("x", "y", "z")],
            [("in_face:0", (1, 32, 32, 3)), ("morph_value:0", (1,)), ("more:0", (1,))],
            [("x", None), ("y", None), ("z", None)],
        ),
        "bytes": networks.save(
            "g.dfm",
            [helper.make_node("Identity", ["in_face:0"], [name]) for name in ("x", "y", "z")],
            [("in_face:0", (1, 32, 32, 3))],
            [("x", None), ("y", None), ("z", None)],
            kind=TensorProto.UINT8,
        ),
    }
    for what, path in wrong.items():
        with pytest.raises(
            UsageError, match=r"ONNX of another kind: found inputs: .*; accepted: inputs in_face"
        ) as caught:
            checked(hero(path))
        assert str(path) in str(caught.value), what


def test_a_dfm_that_is_no_onnx_is_refused(spoilt: Callable[[str, bytes], Path]) -> None:
    for content, said in ((b"\x80\x04pickle", "pickle"), (b"PK\x03\x04", "zip"), (b"", "empty")):
        with pytest.raises(UsageError, match=f"hero.dfm is not an ONNX file.*{said}"):
            checked(hero(spoilt("hero.dfm", content)))
