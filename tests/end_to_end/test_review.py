"""The review movie of a scene-linear plate: the pipeline file as it comes, on a rendered shot."""

from __future__ import annotations

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import PyOpenColorIO as Ocio
import pytest
import torch
from numpy.typing import NDArray

import vfxswap
from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import PipelineError
from vfxswap.frame import Picture
from vfxswap.geometry import Box
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.shot import PRESETS, Lens
from vfxswap.media import PlateInfo
from vfxswap.ocio import PINNED
from vfxswap.ops.ycbcr import to_rgb

pytestmark = pytest.mark.slow

SIZE = (160, 120)
SMALL = "stages.points5.crop_size=128"
DISPLAY, VIEW = "Rec.1886 Rec.709 - Display", "ACES 2.0 - SDR 100 nits (Rec.709)"
Image = NDArray[np.float32]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """What the first lines of the pipeline file render, but smaller and shorter, with a key light over white."""
    root = tmp_path_factory.mktemp("review")
    spec = PRESETS["talk"].model_copy(update={"lens": Lens(samples=2, grain=0.01, exposure_stops=2.0)})
    folder = root / "demo-linear"
    deliver(spec, folder, width=SIZE[0], height=SIZE[1], frames=range(1001, 1004), layout="exr", still_px=160)
    shutil.copytree(repo / "pipelines", root / "pipelines")
    return root


@pytest.fixture(scope="module")
def linear(filmed: Path) -> list[Image]:
    """`(H, W, 3)` the same swap in scene light."""
    vfxswap.run(filmed / "pipelines" / "exr_linear.toml", device="cpu", host=Host(), overrides=[SMALL])
    pictures = []
    for number in (1001, 1002, 1003):
        file = OpenEXR.File(str(filmed / f"demo-linear/out/out.{number}.exr"), separate_channels=True)
        channels = file.channels()
        pictures.append(np.stack([channels[name].pixels for name in "RGB"], axis=-1).astype(np.float32))
    return pictures


def shown(light: Image) -> Image:
    config = Ocio.Config.CreateFromFile(PINNED)
    transform = Ocio.DisplayViewTransform(src="Linear Rec.709 (sRGB)", display=DISPLAY, view=VIEW)
    processor = config.getProcessor(transform).getOptimizedCPUProcessor(Ocio.OPTIMIZATION_LOSSLESS)
    pixels = light.copy()
    processor.applyRGB(pixels)
    return np.clip(pixels, 0, 1)


def read(path: Path) -> tuple[PlateInfo, list[Picture]]:
    host = Host()
    with host.reader_for(path)(path) as reader:
        return reader.info, [frame.plate for frame in reader.frames(1, reader.info.last)]


def rgb_of(info: PlateInfo, picture: Picture) -> Image:
    whole = Box(0, 0, picture.width, picture.height)
    rgb = to_rgb(picture.planes, picture.layout, info.tags, whole, device=torch.device("cpu"))
    return np.asarray(rgb.permute(1, 2, 0).numpy())


def run(filmed: Path, *overrides: str, **options: Any) -> tuple[PlateInfo, list[Picture], vfxswap.Report]:
    path = filmed / "pipelines" / "prores_review.toml"
    report = vfxswap.run(path, device="cpu", host=Host(), overrides=[SMALL, *overrides], **options)
    info, pictures = read(report.outputs[0])
    return info, pictures, report


def test_it_shows_the_swap_as_opencolorio_does(filmed: Path, linear: list[Image]) -> None:
    info, pictures, report = run(filmed)
    assert (info.codec, info.layout.name, info.count, info.rate) == ("prores", "yuv422p10le", 3, Fraction(24))
    assert info.tags == ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
    assert [record.identities for record in report.frames] == [("hero",)] * 3
    assert any(VIEW in text and "without dither" in text for text in report.run["remarks"])
    for picture, light in zip(pictures, linear, strict=True):
        wanted = shown(light)
        error = (rgb_of(info, picture) - wanted) * 1023
        assert np.abs(error).mean() < 6  # grain, in 4:2:2
        assert np.abs(error @ np.array([0.2126, 0.7152, 0.0722], np.float32)).mean() < 2
        # Means over blocks hold the colour itself, without the detail that the codec and 4:2:2 take.
        blocks = (rgb_of(info, picture) - wanted).reshape(15, 8, 20, 8, 3).mean(axis=(1, 3)) * 1023
        assert np.abs(blocks).mean() < 1
        assert picture.planes[0].max() <= 970


def test_the_matte_goes_into_prores_4444(filmed: Path, linear: list[Image], tmp_path: Path) -> None:
    words = ("delivery.codec=prores_4444", "delivery.alpha=matte")
    info, pictures, _ = run(filmed, *words, out=tmp_path / "matte.mov")
    assert info.layout.name == "yuva444p12le"
    for number, picture, light in zip((1001, 1002, 1003), pictures, linear, strict=True):
        file = OpenEXR.File(str(filmed / f"demo-linear/plate/plate.{number}.exr"), separate_channels=True)
        plate = np.stack([file.channels()[name].pixels for name in "RGB"], axis=-1)
        changed = (plate.astype(np.float32) != light).any(axis=-1)
        alpha = picture.planes[3] / 4095
        assert alpha.max() > 0.99
        assert changed.mean() > 0.02
        assert alpha[~changed].max() < 0.05  # so little of a face may round to nothing in half floats
        assert (alpha[changed] > 0).mean() > 0.9
        assert (alpha == 0).mean() > 0.5
        error = np.abs(rgb_of(info, picture) - shown(light)) * 1023
        assert error.mean() < 3  # straight: nothing is multiplied by alpha


def test_an_hdr_display(filmed: Path, linear: list[Image], tmp_path: Path) -> None:
    words = ("delivery.codec=h265", 'delivery.display="Rec.2100-PQ - Display"', "delivery.quality=4")
    view = 'delivery.view="ACES 2.0 - HDR 1000 nits (P3 D65)"'
    info, pictures, _ = run(filmed, *words, view, out=tmp_path / "hdr.mp4")
    assert info.tags == ColorTags(Primaries.BT2020, Transfer.PQ, Matrix.BT2020_NCL, Range.LIMITED)
    assert info.layout.name == "yuv420p10le"
    assert 100 < pictures[0].planes[0].max() < 940 * 0.8  # 1000 cd/m2 are at 0.75 of PQ
    assert len(linear) == len(pictures)


def test_wrong_names_are_said_before_the_start(filmed: Path) -> None:
    path = filmed / "pipelines" / "prores_review.toml"
    with pytest.raises(PipelineError, match=r"no view 'ACES SDR'; nearest: 'ACES 2\.0 - SDR 100 nits"):
        vfxswap.run(path, device="cpu", host=Host(), overrides=['delivery.view="ACES SDR"'])


@pytest.mark.ffmpeg
def test_ffmpeg_decodes_the_same_colours(filmed: Path, linear: list[Image], tmp_path: Path) -> None:
    """By another FFmpeg than the library's, and by the tags alone."""
    program, prober = shutil.which("ffmpeg"), shutil.which("ffprobe")
    if program is None or prober is None:
        pytest.skip("the ffmpeg program is not installed")
    _, _, report = run(filmed, out=tmp_path / "review.mov")
    path = str(report.outputs[0])
    words = [prober, "-v", "error", "-select_streams", "v", "-show_streams", "-of", "json", path]
    (stream,) = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)["streams"]
    found = [stream[key] for key in ("codec_tag_string", "color_primaries", "color_transfer", "color_space")]
    assert found == ["apch", "bt709", "bt709", "bt709"]
    flags = "scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp+bicubic,format=rgb48le"
    words = [program, "-v", "error", "-i", path, "-vf", flags, "-f", "rawvideo", "-"]
    data = subprocess.run(words, capture_output=True, check=True).stdout
    decoded = np.frombuffer(data, np.uint16).reshape(3, SIZE[1], SIZE[0], 3) / np.float32(65535)
    for picture, light in zip(decoded, linear, strict=True):
        blocks = (picture - shown(light)).reshape(15, 8, 20, 8, 3).mean(axis=(1, 3)) * 255
        assert np.abs(blocks).mean() < 1
