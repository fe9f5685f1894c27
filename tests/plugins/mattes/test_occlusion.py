"""The occlusion matte: from the net's own crop to the pipeline's and back, with nets whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.brief import Brief
from vfxswap.errors import UsageError
from vfxswap.frame import FaceBatch
from vfxswap.geometry import Landmarks, mapped
from vfxswap.nets.occlusion import ARCHITECTURE, OcclusionNet, OcclusionSpec
from vfxswap.stage import Setting
from vfxswap.trained import TrainedCard, save_net
from vfxswap_plugins.mattes.occlusion import Occlusion, OcclusionOptions

Batch = Callable[..., FaceBatch]
SPEC = OcclusionSpec(64, (4, 4), 4)
CROP = CropSpec("dfl68_whole", 64)


def save(path: Path, net: OcclusionNet, architecture: str = ARCHITECTURE) -> Path:
    card = TrainedCard(architecture=architecture, spec=SPEC.to_dict(), template="dfl68_whole", identities={})
    save_net(path, net, card, spec=SPEC.to_dict())
    return path


@pytest.fixture
def sure(tmp_path: Path) -> Path:
    """A net that takes everything for face."""
    net = OcclusionNet(SPEC)
    with torch.no_grad():
        net.last.weight.zero_()
        net.last.bias.fill_(8.0)  # type: ignore[union-attr]
    return save(tmp_path / "sure.safetensors", net)


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    """A net that takes for face what is bright: only the finest path, from the picture itself, is left."""
    net = OcclusionNet(SPEC)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.edge.weight[0, -3:, 1, 1] = 1.0
        net.last.weight[0, 0, 1, 1] = 10.0
    return save(tmp_path / "bright.safetensors", net)


@pytest.fixture
def matte_of(setting: Setting) -> Callable[..., Tensor]:
    def make(faces: FaceBatch, weights: Path, **options: Any) -> Tensor:
        stage = Occlusion(OcclusionOptions.model_validate({"weights": str(weights), **options}), setting)
        stage.open()
        try:
            return stage.matte(faces)
        finally:
            stage.close()

    return make


def test_it_reaches_as_far_as_the_nets_crop(
    matte_of: Callable[..., Tensor], batch: Batch, mesh: Landmarks, sure: Path
) -> None:
    (matte,) = matte_of(batch([mesh]), sure)[0]
    x, y = np.meshgrid(np.arange(128) + 0.5, np.arange(128) + 0.5)
    seen = mapped(CROP.plate_to_crop(mesh), np.stack([x.ravel(), y.ravel()], 1)).reshape(128, 128, 2)
    deep = torch.from_numpy(((seen > 1) & (seen < 63)).all(-1))
    beyond = torch.from_numpy(((seen < -1) | (seen > 65)).any(-1))
    assert deep.any()
    assert float(matte[deep].min()) > 0.999999
    if beyond.any():
        assert float(matte[beyond].max()) == 0


def test_what_the_net_sees_lies_where_it_is_in_the_crop(
    matte_of: Callable[..., Tensor], batch: Batch, mesh: Landmarks, bright: Path
) -> None:
    faces = batch([mesh])
    faces.crops[0, :, 40:100, 30:70] = 1.0
    (matte,) = matte_of(faces, bright)[0]
    assert float(matte[44:96, 34:66].min()) > 0.95
    assert float(matte[:34].max()) < 0.05
    assert float(matte[44:96, 76:].max()) < 0.05
    rows, columns = torch.nonzero(matte > 0.5, as_tuple=True)
    assert abs(float(rows.float().mean()) + 0.5 - 70) < 1
    assert abs(float(columns.float().mean()) + 0.5 - 50) < 1


def test_options_say_how_sure_and_how_soft(
    matte_of: Callable[..., Tensor], batch: Batch, mesh: Landmarks, bright: Path
) -> None:
    faces = batch([mesh])
    ramp = torch.linspace(0, 1, 128).expand(128, 128)
    faces.crops[0] = ramp
    plain, generous, hard, small, soft = (
        float(matte.sum())
        for matte in (
            matte_of(faces, bright),
            matte_of(faces, bright, threshold=0.2),
            matte_of(faces, bright, softness=0.02),
            matte_of(faces, bright, erode_percent=5.0),
            matte_of(faces, bright, feather_percent=8.0),
        )
    )
    assert generous > plain > small
    assert plain > soft
    matte = matte_of(faces, bright, softness=0.02)
    between = float(((matte > 0) & (matte < 1)).float().mean())
    assert between < float(((matte_of(faces, bright) > 0) & (matte_of(faces, bright) < 1)).float().mean())
    assert abs(hard - plain) < 0.1 * plain


def test_holes_are_filled_when_that_is_asked_for(
    matte_of: Callable[..., Tensor], batch: Batch, mesh: Landmarks, bright: Path
) -> None:
    faces = batch([mesh])
    faces.crops[0, :, 40:100, 30:90] = 1.0
    faces.crops[0, :, 60:75, 50:70] = 0.0
    plain, filled = (matte_of(faces, bright, fill_holes=fill)[0, 0] for fill in (False, True))
    assert float(plain[64:71, 54:66].max()) < 0.05
    assert float(filled[64:71, 54:66].min()) > 0.9
    assert float((filled - plain).abs()[:55].max()) < 1e-6


def test_five_points_place_nearly_the_same_square(
    matte_of: Callable[..., Tensor], batch: Batch, mesh: Landmarks, bright: Path
) -> None:
    few = Landmarks(mesh.five(), "five")
    faces, same = batch([mesh]), batch([few])
    for item in (faces, same):
        item.crops[0, :, 50:90, 40:80] = 1.0
    one, other = matte_of(faces, bright), matte_of(same, bright)
    assert float((one - other).abs().mean()) < 0.02


def test_a_file_of_another_architecture_is_refused(tmp_path: Path, setting: Setting) -> None:
    path = save(tmp_path / "other.safetensors", OcclusionNet(SPEC), "comb-1")
    options = OcclusionOptions.model_validate({"weights": str(path)})
    brief = Brief({}, setting.models, None, None, date.today(), "srgb", "cpu")
    for ask in (lambda: Occlusion.model_files(options, brief), Occlusion(options, setting).open):
        with pytest.raises(UsageError, match=r"architecture 'comb-1'.*this reads 'occlusion-1'"):
            ask()


def test_the_report_is_told_of_the_file(sure: Path, setting: Setting) -> None:
    options = OcclusionOptions.model_validate({"weights": str(sure)})
    brief = Brief({}, setting.models, None, None, date.today(), "srgb", "cpu")
    (file,) = Occlusion.model_files(options, brief)
    assert file.path == sure
    assert len(file.sha256) == 64
