"""`autoencoder`: trained weights put in, sharpened, morphed and masked, the same in any batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from vfxswap.errors import ShapeError
from vfxswap.frame import FaceBatch
from vfxswap.identity import Identity
from vfxswap.stage import Swapped
from vfxswap.testing import assert_same_bits, face_batch, options_of, setting, synthetic_comb, write_synthetic_trained
from vfxswap_plugins.swappers.autoencoder import Autoencoder

COMB = synthetic_comb()

Swap = Callable[..., Swapped]
Weighted = Callable[..., Identity]


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


def test_the_crop_is_the_cards(tmp_path: Path, with_weights: Weighted) -> None:
    write_synthetic_trained(tmp_path / "hero.safetensors", synthetic_comb(64), template="dfl68_full", zoom=1.1)
    stage = Autoencoder(options(), setting(identities={"hero": with_weights(tmp_path)}))
    assert (stage.crop.template, stage.crop.size_px, stage.crop.zoom) == ("dfl68_full", 64, 1.1)


@pytest.mark.parametrize("size", [24, 64, 128, 256])
def test_any_size(tmp_path: Path, with_weights: Weighted, size: int) -> None:
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
