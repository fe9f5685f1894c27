"""Roto mattes: patterns, sizes, channels, holes, and where the pixels land."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the library's own convention
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from vfxswap.errors import MediaError
from vfxswap.frame import FaceBatch
from vfxswap.geometry import Box, Landmarks
from vfxswap.stage import Setting
from vfxswap_plugins.mattes.roto import Roto, RotoOptions

Batch = Callable[..., FaceBatch]
WIDTH, HEIGHT = 160, 120


def disc(frame: int = 0) -> NDArray[np.float32]:
    """A soft disc in plate space, moving with the frame."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    distance = np.hypot(x - 75 - frame, y - 62)
    return np.asarray(np.clip((40 - distance) / 10, 0, 1), np.float32)


def write(path: Path, channels: dict[str, NDArray[np.float32]], kind: str, **attributes: int) -> None:
    """Writes named channels; `x`, `y` place them in a display window of the plate's size."""
    pixels = np.stack(list(channels.values()), axis=-1)
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    spec.channelnames = list(channels)
    if "A" in channels:
        spec.alpha_channel = list(channels).index("A")
    spec.x, spec.y = attributes.get("x", 0), attributes.get("y", 0)
    spec.full_width, spec.full_height = attributes.get("full_width", WIDTH), attributes.get("full_height", HEIGHT)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), spec)
    assert output.write_image(pixels)
    output.close()


@pytest.fixture
def opened(setting: Setting) -> Callable[..., Roto]:
    """An opened stage."""

    def make(path: Path, **options: Any) -> Roto:
        stage = Roto(RotoOptions.model_validate({"path": path, "edge_feather_percent": 0.0, **options}), setting)
        stage.open()
        return stage

    return make


def expected(plate: NDArray[np.float32]) -> torch.Tensor:
    """What the fixture's similarity (16 px from the left, 4 px above the plate) cuts of a plate-sized matte."""
    wide = np.pad(plate, ((4, 4), (0, 0)), mode="edge")
    return torch.from_numpy(wide[:, 16:144])


@pytest.mark.parametrize("pattern", ["m.%04d.png", "m.####.png", "m.@@@@.png", "m.$F4.png"])
def test_each_pattern_finds_its_frames(
    tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks, pattern: str
) -> None:
    for frame in (1001, 1002):
        write(tmp_path / f"m.{frame}.png", {"Y": disc(frame - 1000)}, "uint16")
    mattes = opened(tmp_path / pattern).matte(batch([mesh, mesh]))
    for index in (0, 1):
        inner = (mattes[index, 0] - expected(disc(index + 1)))[1:-1, 1:-1]
        assert float(inner.abs().max()) < 2e-4


@pytest.mark.parametrize(
    ("suffix", "kind", "tolerance"),
    [("png", "uint8", 3e-3), ("tif", "uint16", 1e-4), ("tif", "float", 1e-5), ("exr", "half", 1e-3)],
)
def test_depths(
    tmp_path: Path,
    opened: Callable[..., Roto],
    batch: Batch,
    mesh: Landmarks,
    suffix: str,
    kind: str,
    tolerance: float,
) -> None:
    write(tmp_path / f"still.{suffix}", {"Y": disc()}, kind)
    matte = opened(tmp_path / f"still.{suffix}").matte(batch([mesh], first=7))
    assert float((matte[0, 0] - expected(disc()))[1:-1, 1:-1].abs().max()) < tolerance


def test_it_follows_the_face(tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks) -> None:
    write(tmp_path / "still.exr", {"Y": disc()}, "float")
    turned = np.array([(0.8, -0.6, 30.0), (0.6, 0.8, -20.0)])
    matte = opened(tmp_path / "still.exr").matte(batch([mesh], [turned]))[0, 0]
    half = np.array([0.5, 0.5])
    centred = turned.copy()
    centred[:, 2] += turned[:, :2] @ half - half
    reference = cv2.warpAffine(disc(), centred, (128, 128), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    assert float((matte - torch.from_numpy(reference)).abs().max()) < 5e-3


def test_channels(tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks) -> None:
    values = {"R": 0.1, "G": 0.2, "B": 0.3, "A": 0.4}
    planes = {name: np.full((HEIGHT, WIDTH), value, np.float32) for name, value in values.items()}
    write(tmp_path / "rgba.exr", planes, "float")
    write(tmp_path / "rgb.exr", {name: planes[name] for name in "RGB"}, "float")
    write(tmp_path / "luma.exr", {"Z": planes["G"], "Y": planes["B"]}, "float")
    cases: list[tuple[str, str | None, float]] = [
        ("rgba", None, 0.4),
        ("rgba", "G", 0.2),
        ("rgb", None, 0.1),
        ("luma", None, 0.3),
    ]
    for name, channel, value in cases:
        matte = opened(tmp_path / f"{name}.exr", channel=channel).matte(batch([mesh]))
        assert float(matte[0, 0, 60, 60]) == pytest.approx(value)
    with pytest.raises(MediaError, match="no channel 'roto'; it has R, G, B"):
        opened(tmp_path / "rgb.exr", channel="roto")


def test_invert_and_clamp(tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks) -> None:
    write(tmp_path / "still.exr", {"Y": disc() * 3 - 1}, "float")
    plain, inverted = (opened(tmp_path / "still.exr", invert=invert).matte(batch([mesh])) for invert in (False, True))
    assert float(plain.min()) == 0
    assert float(plain.max()) == 1
    torch.testing.assert_close((plain + inverted)[..., 1:-1, 1:-1], torch.ones(1, 1, 126, 126))


def test_a_data_window_lies_in_the_display_window(
    tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks
) -> None:
    write(tmp_path / "still.exr", {"Y": np.ones((30, 40), np.float32)}, "float", x=50, y=-10)
    canvas = np.zeros((HEIGHT, WIDTH), np.float32)
    canvas[0:20, 50:90] = 1
    matte = opened(tmp_path / "still.exr").matte(batch([mesh]))
    torch.testing.assert_close(matte[0, 0, 1:-1, 1:-1], expected(canvas)[1:-1, 1:-1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("hole", "value"), [("open", 1.0), ("closed", 0.0)])
def test_holes(
    tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks, hole: str, value: float
) -> None:
    write(tmp_path / "m.1001.png", {"Y": disc(1)}, "uint8")
    mattes = opened(tmp_path / "m.####.png", hole=hole).matte(batch([mesh, mesh]))
    assert float((mattes[1, 0, 1:-1, 1:-1] - value).abs().max()) == 0
    assert float(mattes[0].max()) == 1
    with pytest.raises(MediaError, match=r"m\.1002\.png; export it, or set hole") as caught:
        opened(tmp_path / "m.####.png").matte(batch([mesh, mesh]))
    assert caught.value.frame == 1002


def test_it_fades_at_the_crops_border(
    tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks
) -> None:
    write(tmp_path / "still.png", {"Y": np.ones((HEIGHT, WIDTH), np.float32)}, "uint8")
    matte = opened(tmp_path / "still.png", edge_feather_percent=5.0).matte(batch([mesh]))[0, 0]
    assert float(matte[0].max()) < 0.05
    assert float(matte[64, 64]) == 1


def test_a_face_is_the_same_in_any_batch(
    tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks
) -> None:
    for frame in (1001, 1002):
        write(tmp_path / f"m.{frame}.png", {"Y": disc(frame - 1000)}, "uint8")
    stage = opened(tmp_path / "m.%d.png")
    assert torch.equal(stage.matte(batch([mesh, mesh]))[1], stage.matte(batch([mesh], first=1002))[0])


def test_a_wrong_size_is_found_at_once(tmp_path: Path, opened: Callable[..., Roto]) -> None:
    write(tmp_path / "still.png", {"Y": disc()[:100]}, "uint8", full_height=100)
    with pytest.raises(MediaError, match=r"160x100, the plate 160x120; export it in the plate's size"):
        opened(tmp_path / "still.png")


def test_broken_files_say_so(tmp_path: Path, opened: Callable[..., Roto], batch: Batch, mesh: Landmarks) -> None:
    write(tmp_path / "m.1001.exr", {"Y": np.full((HEIGHT, WIDTH), np.nan, np.float32)}, "float")
    with pytest.raises(MediaError, match="no numbers"):
        opened(tmp_path / "m.####.exr").matte(batch([mesh]))
    write(tmp_path / "m.1001.exr", {"Y": disc()}, "float")
    whole = (tmp_path / "m.1001.exr").read_bytes()
    stage = opened(tmp_path / "m.####.exr")
    (tmp_path / "m.1001.exr").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="cannot read"):
        stage.matte(batch([mesh]))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(MediaError, match="cannot open"):
        opened(tmp_path / "text.png")


def test_a_pattern_without_files_is_refused_by_the_options(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="there is no folder"):
        RotoOptions.model_validate({"path": tmp_path / "nowhere" / "m.####.png"})
    (tmp_path / "m.12.png").touch()
    with pytest.raises(ValidationError, match=r"there is no file m\.####\.png"):
        RotoOptions.model_validate({"path": tmp_path / "m.####.png"})
    with pytest.raises(ValidationError, match="2 places for a frame number"):
        RotoOptions.model_validate({"path": tmp_path / "m.##.##.png"})
    context = {"folder": tmp_path}
    options = RotoOptions.model_validate_json('{"path": "m.%d.png"}', context=context)
    assert options.path == tmp_path / "m.%d.png"


def test_a_roto_lies_in_the_display_window_of_a_plate_with_overscan(
    tmp_path: Path, setting: Setting, batch: Batch, mesh: Landmarks
) -> None:
    write(tmp_path / "m.png", {"Y": disc()}, "uint16")
    options = RotoOptions.model_validate({"path": tmp_path / "m.png", "edge_feather_percent": 0.0})
    plain = Roto(options, setting)
    plain.open()
    wide = replace(setting, width=WIDTH + 24, height=HEIGHT + 20, display=Box(16, 12, 16 + WIDTH, 12 + HEIGHT))
    overscan = Roto(options, wide)
    overscan.open()
    faces = batch([mesh])
    moved = replace(faces, plate_to_crop=(faces.plate_to_crop[0] @ np.array([[1, 0, -16], [0, 1, -12], [0, 0, 1]]),))
    torch.testing.assert_close(overscan.matte(moved), plain.matte(faces), atol=1e-5, rtol=0)
