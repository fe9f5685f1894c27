"""`autoencoder`: trained weights put in; whose they are and what is wrong with them is known before the first frame."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from vfxswap.brief import Brief
from vfxswap.errors import ExitCode, ModelMissing, Problem, ShapeError, UsageError, VfxswapError
from vfxswap.frame import FaceBatch
from vfxswap.identity import Consent, Identity, WeightsEntry
from vfxswap.models import ModelStore, file_sha256
from vfxswap.nets.comb import ARCHITECTURE, Comb
from vfxswap.stage import Swapped
from vfxswap.testing import (
    assert_same_bits,
    face_batch,
    options_of,
    setting,
    synthetic_card,
    synthetic_comb,
    synthetic_identity,
    write_synthetic_trained,
)
from vfxswap.trained import METADATA
from vfxswap_plugins.swappers.autoencoder import Autoencoder

COMB = synthetic_comb()
STRANGER: dict[str, Any] = {"performer": "somebody else"}
NARROW: dict[str, Any] = {"performer": "a double", "productions": ("Day Train",)}

Swap = Callable[..., Swapped]


def consent(**changes: Any) -> Consent:
    return synthetic_identity().consent.model_copy(update=changes)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    """An identity with one trained file."""
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB)
    return with_weights(tmp_path)


def with_weights(folder: Path, **changes: Any) -> Identity:
    files = tuple(sorted(folder.glob("*.safetensors")))
    return replace(synthetic_identity(folder=folder), weights=files, **changes)


def options(**values: Any) -> Any:
    return options_of(Autoencoder, {"identity": "hero", **values})


@pytest.fixture
def swap(identity: Identity) -> Swap:
    """Swaps faces by a stage of some options."""

    def swap(faces: FaceBatch, **values: Any) -> Swapped:
        stage = Autoencoder(options(**values), setting(identities={"hero": identity}))
        stage.open()
        try:
            return stage.swap(faces, identity)
        finally:
            stage.close()

    return swap


@pytest.fixture
def faces(identity: Identity) -> FaceBatch:
    stage = Autoencoder(options(), setting(identities={"hero": identity}))
    return face_batch(3, crop=stage.crop, swapped=False)


def brief(identity: Identity, **changes: Any) -> Brief:
    known = Brief(
        identities={"hero": identity},
        models=ModelStore([], {}),
        production="Night Train",
        purpose="double",
        today=date(2026, 6, 1),
        face_space="sRGB - Texture",
        device="cpu",
    )
    return replace(known, **changes)


def found(identity: Identity, values: Mapping[str, Any] | None = None, **changes: Any) -> list[Problem]:
    return list(Autoencoder.problems(options(**(values or {})), brief(identity, **changes)))


def file_error(identity: Identity, **values: Any) -> VfxswapError:
    """Why the trained file cannot be used; such a thing is said once."""
    with pytest.raises(VfxswapError) as caught:
        Autoencoder.model_files(options(**values), brief(identity))
    assert found(identity, values) == []
    return caught.value


def test_the_crop_is_the_cards(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", synthetic_comb(64), template="dfl68_full", zoom=1.1)
    stage = Autoencoder(options(), setting(identities={"hero": with_weights(tmp_path)}))
    assert (stage.crop.template, stage.crop.size_px, stage.crop.zoom) == ("dfl68_full", 64, 1.1)


@pytest.mark.parametrize("size", [24, 64, 128, 256])
def test_any_size(tmp_path: Path, size: int) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", synthetic_comb(size) if size < 256 else BIG)
    stage = Autoencoder(options(), setting(identities={"hero": with_weights(tmp_path)}))
    stage.open()
    crops, mattes = stage.swap(face_batch(1, crop=stage.crop, swapped=False), with_weights(tmp_path))
    assert (crops.shape, mattes.shape) == ((1, 3, size, size), (1, 1, size, size))


BIG = synthetic_comb(128).grown(width=8).settled()


def test_it_is_the_models_own_picture(swap: Swap, faces: FaceBatch) -> None:
    expected = COMB(faces.crops[1:2].clamp(0, 1), "hero")
    swapped = swap(faces)
    assert torch.allclose(swapped.crops[1:2], expected.image.clamp(0, 1), atol=1e-5)
    middle = expected.matte[0, 0, 8:24, 8:24]
    assert torch.allclose(swapped.mattes[1, 0, 8:24, 8:24], ((middle - 0.05) / 0.9).clamp(0, 1), atol=1e-5)


def test_it_asks_for_somebody_by_name(swap: Swap, faces: FaceBatch) -> None:
    other = swap(faces, who="double").crops
    assert torch.allclose(other[:1], COMB(faces.crops[:1].clamp(0, 1), "double").image.clamp(0, 1), atol=1e-5)
    assert (other - swap(faces).crops).abs().max() > 0.05


def test_a_face_is_the_same_in_any_batch(swap: Swap, faces: FaceBatch) -> None:
    together = swap(faces, presharpen=1.0, morph_to="double", morph=0.3, mask_erode_percent=5.0, mask_blur_percent=3.0)
    for i in range(3):
        one = replace(
            faces,
            crops=faces.crops[i : i + 1],
            landmarks=faces.landmarks[i : i + 1],
            plate_to_crop=faces.plate_to_crop[i : i + 1],
            frames=faces.frames[i : i + 1],
        )
        alone = swap(one, presharpen=1.0, morph_to="double", morph=0.3, mask_erode_percent=5.0, mask_blur_percent=3.0)
        assert_same_bits(alone, (together.crops[i : i + 1], together.mattes[i : i + 1]))


def test_a_morph_begins_and_ends_with_the_two(swap: Swap, faces: FaceBatch) -> None:
    ends = [swap(faces, morph_to="double", morph=amount).crops for amount in (0.0, 1.0)]
    assert torch.allclose(ends[0], swap(faces).crops, atol=1e-5)
    assert torch.allclose(ends[1], swap(faces, who="double").crops, atol=1e-5)
    between = swap(faces, morph_to="double", morph=0.5).crops
    assert all((between - end).abs().max() > 0.01 for end in ends)


def test_the_masks(swap: Swap, faces: FaceBatch) -> None:
    plain = {"border_percent": 0.0}
    source = swap(faces, **plain).mattes
    target = swap(faces, mask="target", plate="double", **plain).mattes
    product = swap(faces, mask="product", plate="double", **plain).mattes
    assert torch.allclose(target, swap(faces, who="double", **plain).mattes, atol=1e-6)
    assert (source - target).abs().max() > 0.01
    assert bool((product <= torch.minimum(source, target) + 1e-6).all())
    assert (product < target).any()
    edge = swap(faces, mask="none").mattes
    assert float(edge[..., 4:-4, 4:-4].min()) == 1.0
    assert float(edge[..., 0, :].max()) < float(edge[..., 1, :].max()) <= 1.0


def test_what_is_nearly_no_mask_is_none(swap: Swap, faces: FaceBatch, identity: Identity, tmp_path: Path) -> None:
    """Outside the matte the plate must stay to the last bit, and a sigmoid never is 0."""
    comb = synthetic_comb()
    with torch.no_grad():
        for name, value in comb.named_parameters():
            if ".heads." in name:
                value.zero_()
                if name.endswith("bias"):
                    value[12:] = -4.0  # the mask's channels of each of 2 x 2 pixels: 1.8 %
    write_synthetic_trained(identity.weights[0], comb)
    assert swap(faces).mattes.max() == 0


def test_sharpening_is_seen_by_the_model_alone(swap: Swap, faces: FaceBatch) -> None:
    assert (swap(faces, presharpen=2.0).crops - swap(faces).crops).abs().max() > 1e-3


def test_half_precision_is_near(swap: Swap, faces: FaceBatch) -> None:
    full, half = swap(faces), swap(faces, precision="bf16")
    assert half.crops.dtype is torch.float32
    assert 0 < (half.crops - full.crops).abs().mean() < 0.02


def test_light_beyond_white_does_no_harm(swap: Swap, faces: FaceBatch) -> None:
    bright = replace(faces, crops=faces.crops.clamp(0, 1) + (faces.crops > 0.9) * 7)
    clipped = replace(faces, crops=bright.crops.clamp(0, 1))
    assert_same_bits(swap(bright), swap(clipped))


def test_crops_of_another_size_are_refused(swap: Swap) -> None:
    with pytest.raises(ShapeError, match=r"autoencoder must be \(N, 3, 32, 32\)"):
        swap(face_batch(1, swapped=False))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"morph": 0.5}, "morph needs morph_to"),
        ({"mask": "product"}, 'mask = "product" needs plate'),
        ({"plate": "double"}, 'plate goes with mask = "target" or "product" only'),
        ({"morph": 1.5}, "less than or equal to 1"),
        ({"precision": "int8"}, "'fp32', 'bf16' or 'fp16'"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(**values)


def test_a_right_file_is_named_in_the_report(identity: Identity) -> None:
    (file,) = Autoencoder.model_files(options(), brief(identity))
    assert (file.path, file.sha256) == (identity.weights[0], file_sha256(identity.weights[0]))
    assert (file.licence, file.commercial) == ("CC0-1.0", True)
    assert file.consent == "a drawn face, by nobody; it is drawn by a formula"
    assert found(identity) == []


@pytest.mark.parametrize("key", ["who", "morph_to", "plate"])
def test_names_that_nobody_has(identity: Identity, key: str) -> None:
    values = {key: "duoble", **({"mask": "target"} if key == "plate" else {})}
    (problem,) = found(identity, values)
    assert str(problem) == (
        f"{key}: there is nobody of that name in the trained file (found 'duoble'); allowed: double, hero; did you"
        " mean 'double'?"
    )


def test_the_identity_is_found_by_either_of_its_names(identity: Identity) -> None:
    assert found(replace(identity, name="lead", title="hero")) == []
    (problem,) = found(replace(identity, name="lead", title="Anna, young"))
    assert (problem.key, problem.value, problem.allowed) == ("who", "lead", "double, hero")


def test_nobody_of_a_base_can_be_put_in(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "base.safetensors", COMB, identities={})
    (problem,) = found(with_weights(tmp_path))
    assert problem.message.startswith("the trained file is a base")


def test_weights_of_another_face_are_refused(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, consents={"hero": consent(**STRANGER)})
    (problem,) = found(with_weights(tmp_path))
    assert problem.exit_code is ExitCode.REFUSED
    assert "was trained on the face of 'somebody else' (its 'hero'), but the consent record" in problem.message
    assert "is about 'a drawn face'" in problem.message


def test_who_was_there_to_be_replaced_is_not_put_in(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, consents={"double": None})
    people = with_weights(tmp_path)
    (problem,) = found(people, {"who": "double"})
    assert "without a consent record of 'double'" in problem.message
    (problem,) = found(people, {"morph_to": "double", "morph": 0.2})
    assert (problem.exit_code, problem.key) == (ExitCode.REFUSED, "morph_to")
    assert found(people, {"mask": "product", "plate": "double"}) == []


def test_a_morph_needs_the_consent_of_both(tmp_path: Path) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, consents={"double": consent(**NARROW)})
    people, values = with_weights(tmp_path), {"morph_to": "double", "morph": 0.2}
    (problem,) = found(people, values)
    assert (problem.exit_code, problem.key) == (ExitCode.REFUSED, "morph_to")
    assert problem.message == "consent of a double is for Day Train, not for production 'Night Train'"
    assert found(people, values, production="Day Train") == []
    renewed = replace(people, consent=consent(performer="A  Double"))
    assert found(people, values, identities={"hero": people, "double": renewed}) == []


def test_what_came_from_noise_does_not_morph(tmp_path: Path) -> None:
    """Between two decoders that were never one lies no face."""
    write_synthetic_trained(tmp_path / "hero.safetensors", COMB, base="")
    (problem,) = found(with_weights(tmp_path), {"morph_to": "double", "morph": 0.2})
    assert problem.key == "morph_to"
    assert "was trained from noise, so that its decoders have no ancestor in common" in problem.message
    assert found(with_weights(tmp_path)) == []
    shared = Comb(replace(COMB.spec, shared=True))
    write_synthetic_trained(tmp_path / "hero.safetensors", shared, base="")
    assert found(with_weights(tmp_path), {"morph_to": "double", "morph": 0.2}) == []


def test_a_renewed_record_is_the_same_person(identity: Identity) -> None:
    renewed = consent(valid_until=date(2040, 1, 1), performer=" A drawn FACE ")
    assert found(replace(identity, consent=renewed)) == []


def test_another_face_space(identity: Identity, tmp_path: Path) -> None:
    (problem,) = found(identity, face_space="ACEScct")
    assert "was trained on faces in 'sRGB - Texture', but the stages of this pipeline see 'ACEScct'" in problem.message


def test_half_floats_are_for_cuda(identity: Identity) -> None:
    (problem,) = found(identity, {"precision": "fp16"})
    assert str(problem) == (
        'precision: needs a CUDA device, but this run is on cpu (found \'fp16\'); allowed: "fp32", "bf16"'
    )
    assert found(identity, {"precision": "fp16"}, device="cuda:0") == []


def test_no_weights(tmp_path: Path) -> None:
    error = file_error(synthetic_identity(folder=tmp_path))
    assert str(error) == f"identity 'hero' has no trained weights: there is no *.safetensors in {tmp_path}"
    (tmp_path / "hero.pth").write_bytes(b"PK")
    assert "hero.pth may hold code and is never loaded" in str(file_error(synthetic_identity(folder=tmp_path)))


def test_several_weights(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        write_synthetic_trained(tmp_path / f"hero_{name}.safetensors", COMB)
    people = with_weights(tmp_path)
    assert 'say which, as weights = "hero_v1.safetensors"' in str(file_error(people))
    assert "did you mean 'hero_v2.safetensors'?" in str(file_error(people, weights="heroe_v2"))
    for name in ("hero_v2", "hero_v2.safetensors"):
        (file,) = Autoencoder.model_files(options(weights=name), brief(people))
        assert file.path.name == "hero_v2.safetensors"


def changed(path: Path, **card: Any) -> None:
    """Writes another card into a trained file."""
    text = synthetic_card(COMB).model_dump(mode="json", by_alias=True)
    save_file(load_file(path), path, {METADATA: json.dumps({**text, **card})})


def test_a_file_of_another_architecture(identity: Identity) -> None:
    changed(identity.weights[0], architecture="comb-7", made_by="vfxswap 9.1")
    error = file_error(identity)
    assert f"architecture 'comb-7' (made by vfxswap 9.1); this reads '{ARCHITECTURE}'" in str(error)


def test_a_file_of_a_later_version(identity: Identity) -> None:
    changed(identity.weights[0], version=2, made_by="vfxswap 9.1")
    assert 'is of version 2 of the format (made by "vfxswap 9.1"); this reads 1' in str(file_error(identity))


def test_weights_that_are_not_the_cards(identity: Identity) -> None:
    """Found when they are loaded, which is before the first frame too."""
    path = identity.weights[0]
    tensors = load_file(path)
    tensors["styles"] = tensors["styles"][:1].clone()
    save_file(tensors, path, {METADATA: synthetic_card(COMB).model_dump_json(by_alias=True)})
    with pytest.raises(UsageError, match="not those of its card: see styles"):
        Autoencoder(options(), setting(identities={"hero": identity})).open()


def test_a_file_that_was_cut_short(identity: Identity) -> None:
    path = identity.weights[0]
    path.write_bytes(path.read_bytes()[:-100])
    assert "no safetensors file" in str(file_error(identity))


def test_a_pickle_is_not_opened(identity: Identity) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (identity.folder / "sprung",))

    identity.weights[0].write_bytes(pickle.dumps(Trap()))
    assert "no safetensors file" in str(file_error(identity))
    assert not (identity.folder / "sprung").exists()


def test_a_foreign_safetensors_file(identity: Identity) -> None:
    save_file({"weight": torch.zeros(3)}, identity.weights[0])
    assert "without a card" in str(file_error(identity))


def test_the_file_must_be_the_one_that_the_record_describes(identity: Identity) -> None:
    name = identity.weights[0].name
    entry = WeightsEntry(sha256="0" * 64, licence="owned", commercial=None, consent=None)
    with pytest.raises(ModelMissing, match=r"is not the file that .*identity.toml describes"):
        Autoencoder.model_files(options(), brief(replace(identity, entries={name: entry})))
    right = entry.model_copy(update={"sha256": file_sha256(identity.weights[0])})
    assert Autoencoder.model_files(options(), brief(replace(identity, entries={name: right})))


def test_whose_face_it_is_may_allow_paid_work(identity: Identity) -> None:
    """The card of a training says nothing of it."""
    path = identity.weights[0]
    write_synthetic_trained(path, COMB, commercial=None)
    entry = WeightsEntry(sha256=file_sha256(path), licence="owned", commercial=True, consent=None)
    (file,) = Autoencoder.model_files(options(), brief(replace(identity, entries={path.name: entry})))
    (silent,) = Autoencoder.model_files(options(), brief(identity))
    assert (file.commercial, silent.commercial) == (True, None)


def test_a_base_shows_nobody(identity: Identity) -> None:
    spec = replace(COMB.spec, shared=True, stills=2, still_px=COMB.spec.size_px)
    write_synthetic_trained(identity.weights[0], Comb(spec))
    assert "is a base, which shows nobody" in str(file_error(identity))


def test_it_must_be_open(identity: Identity, faces: FaceBatch) -> None:
    stage = Autoencoder(options(), setting(identities={"hero": identity}))
    with pytest.raises(RuntimeError, match="opened"):
        stage.swap(faces, identity)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_computes_the_same_and_in_any_batch(identity: Identity, faces: FaceBatch, precision: str) -> None:
    """A group is filled up, so that a face comes out the same alone, in any place, and with any others."""
    stage = Autoencoder(options(precision=precision), setting(identities={"hero": identity}, device="cuda"))
    stage.open()
    many = replace(faces, crops=torch.cat([faces.crops, faces.crops]).cuda())
    together = stage.swap(many, identity)
    assert_same_bits([together.crops[:3]], [together.crops[3:]])
    for i in range(3):
        alone = stage.swap(replace(faces, crops=many.crops[i : i + 1]), identity)
        assert_same_bits(alone, (together.crops[i : i + 1], together.mattes[i : i + 1]))
    expected = COMB(faces.crops.clamp(0, 1), "hero").image.clamp(0, 1)
    assert (together.crops[:3].cpu() - expected).abs().mean() < (1e-3 if precision == "fp32" else 0.02)


def test_a_missing_file_is_said(identity: Identity) -> None:
    identity.weights[0].unlink()
    assert isinstance(file_error(identity), UsageError)
