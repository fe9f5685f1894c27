"""One filmed scene as a renderer, a film scanner and a camera store it: the same face in the same light comes out.

The lab's scene-linear shot, lit over white and with a kick of 40 on the forehead, is stored in spaces of OpenColorIO's
configuration by OpenColorIO itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenEXR
import OpenImageIO
import pytest
from numpy.typing import NDArray

import vfxswap
from vfxswap.errors import PipelineError
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.shot import PRESETS, Lens
from vfxswap.ocio import PINNED, config_of, converter
from vfxswap.report import Report
from vfxswap.trackfile import read_tracks

pytestmark = pytest.mark.slow

SIZE = (160, 120)
FRAMES = range(1001, 1004)
LAB = "Linear Rec.709 (sRGB)"
Light = NDArray[np.float32]

_PIPELINE = """\
[shot]
plate = "plate/plate.%04d{suffix}"
production = "lab"
purpose = "test"
{colour}
[identities.hero]
path = "identity"

[[stages]]
use = "tracks"
path = "tracks.json"

[[stages]]
use = "points5"
crop_size = 128

[[stages]]
use = "portrait"
identity = "hero"

[[stages]]
use = "hull"

[[stages]]
use = "mkl"

[[stages]]
use = "pyramid"

[delivery]
path = "out/out.%04d{suffix}"
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered shot, its key light over white."""
    folder = tmp_path_factory.mktemp("lab")
    spec = PRESETS["talk"].model_copy(update={"lens": Lens(samples=2, grain=0.0, exposure_stops=1.5)})
    deliver(spec, folder, width=SIZE[0], height=SIZE[1], frames=FRAMES, layout="exr", still_px=160)
    return folder


def scene(lab: Path, number: int) -> Light:
    """`(H, W, 3)` Rec.709 light with a kick of 40 on the forehead."""
    pixels = OpenEXR.File(str(lab / "plate" / f"plate.{number}.exr"), separate_channels=True).channels()
    light = np.stack([pixels[name].pixels for name in "RGB"], -1).astype(np.float32)
    x, y = forehead(lab, number)
    across, down = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    kick = 40 * np.exp(-((across + 0.5 - x) ** 2 + (down + 0.5 - y) ** 2) / 4)
    return np.asarray(light + kick[..., None] * np.array([1.0, 0.96, 0.92]), np.float32)


def forehead(lab: Path, number: int) -> tuple[float, float]:
    (face,) = read_tracks(lab / "tracks.json").faces(number)
    x0, y0, x1, y1 = face.box
    return (x0 + x1) / 2, y0 + 0.25 * (y1 - y0)


def bits(light: Light) -> NDArray[np.uint32]:
    return light.view(np.uint32)


@pytest.fixture
def shot(lab: Path, tmp_path: Path) -> Path:
    """A folder with the shot, all but the plate."""
    for name in ("identity", "tracks.json"):
        (tmp_path / name).symlink_to(lab / name)
    (tmp_path / "plate").mkdir()
    return tmp_path


def write_exr(path: Path, light: Light, interop: str | None = None) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    channels = {name: np.ascontiguousarray(light[..., i]) for i, name in enumerate("RGB")}
    OpenEXR.File(header if interop is None else {**header, "colorInteropID": interop}, channels).write(str(path))


def write_dpx(path: Path, code: Light) -> None:
    spec = OpenImageIO.ImageSpec(SIZE[0], SIZE[1], 3, "uint16")
    spec.attribute("oiio:BitsPerSample", 10)
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), spec)
    assert output.write_image(np.clip(np.round(code * 1023), 0, 1023).astype(np.uint16) * np.uint16(64))
    assert output.close()


def read(path: Path) -> Light:
    found = OpenImageIO.ImageBuf(str(path)).get_pixels(OpenImageIO.FLOAT)
    assert found is not None
    return np.ascontiguousarray(found[..., :3], np.float32)


def run(
    lab: Path, shot: Path, host: Host, space: str, write: Callable[[Path, Light], None], *, suffix: str, colour: str
) -> tuple[Report, list[Light]]:
    """Swaps the scene as a space has it; results as light of the lab."""
    there, back = converter(config_of(PINNED), LAB, space), converter(config_of(PINNED), space, LAB)
    for number in FRAMES:
        write(shot / "plate" / f"plate.{number}{suffix}", there(scene(lab, number)))
    (shot / "shot.toml").write_text(_PIPELINE.format(suffix=suffix, colour=colour))
    report = vfxswap.run(shot / "shot.toml", device="cpu", host=host)
    for number, path in zip(FRAMES, report.outputs, strict=True):
        before, after = read(shot / "plate" / f"plate.{number}{suffix}"), read(path)
        (face,) = read_tracks(lab / "tracks.json").faces(number)
        x0, y0, x1, y1 = (int(edge) for edge in face.box)
        grow = (x1 - x0) // 4
        rows, columns = slice(max(y0 - grow, 0), y1 + grow), slice(max(x0 - grow, 0), x1 + grow)
        changed = bits(after) != bits(before)
        assert changed[rows, columns].mean() > 0.05
        changed[rows, columns] = False
        assert not changed.any()
    return report, [back(read(path)) for path in report.outputs]


@pytest.fixture(scope="module")
def acescg(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, list[Light]]:
    """What comes of ACEScg that says so itself."""
    folder = tmp_path_factory.mktemp("acescg")
    for name in ("identity", "tracks.json"):
        (folder / name).symlink_to(lab / name)
    (folder / "plate").mkdir()

    def write(path: Path, light: Light) -> None:
        write_exr(path, light, "lin_ap1_scene")

    return run(lab, folder, Host(), "ACEScg", write, suffix=".exr", colour="")


def test_a_kick_of_forty_is_not_clipped(lab: Path, acescg: tuple[Report, list[Light]]) -> None:
    report, results = acescg
    for number, result in zip(FRAMES, results, strict=True):
        x, y = (int(value) for value in forehead(lab, number))
        spot = np.s_[y - 1 : y + 2, x - 1 : x + 2]
        before = scene(lab, number)[spot]
        assert before.max() > 35
        ratio = result[spot].max() / before.max()
        assert 0.8 < ratio < 1.25
        skin = scene(lab, number)[y : y + 30, x - 15 : x + 15]
        assert (skin > 1).mean() > 0.05, "the key is over white too"
        assert result.min() > -0.5
    assert all(record.identities == ("hero",) for record in report.frames)


def test_the_report_says_which_configuration(acescg: tuple[Report, list[Light]]) -> None:
    report, _ = acescg
    assert report.path is not None
    head = json.loads(report.path.read_text().splitlines()[0])
    config = config_of(PINNED)
    assert head["color"]["space"] == "ACEScg"
    assert head["color"]["config"] == config.name
    assert head["color"]["config_sha256"] == config.sha256
    assert head["color"]["computed_by"] == "torch"


@pytest.mark.parametrize("space", ["ACES2065-1", "Linear ARRI Wide Gamut 4"])
def test_other_light_gives_the_same_picture(
    lab: Path, shot: Path, host: Host, acescg: tuple[Report, list[Light]], space: str
) -> None:
    _, results = run(lab, shot, host, space, write_exr, suffix=".exr", colour=f'color_space = "{space}"')
    for one, other in zip(acescg[1], results, strict=True):
        np.testing.assert_allclose(other, one, rtol=5e-3, atol=2e-3)


def test_a_log_in_dpx_gives_the_same_picture_but_for_its_steps(
    lab: Path, shot: Path, host: Host, acescg: tuple[Report, list[Light]]
) -> None:
    _, results = run(lab, shot, host, "ARRI LogC4", write_dpx, suffix=".dpx", colour='color_space = "ARRI LogC4"')
    there = converter(config_of(PINNED), LAB, "ARRI LogC4")
    for one, other in zip(acescg[1], results, strict=True):
        codes = np.abs(there(one) - there(other)) * 1023
        assert np.percentile(codes, 99) < 1.5
        assert codes.mean() < 0.6
        x, y = (int(value) for value in forehead(lab, FRAMES[0]))
        assert other[y - 6 : y + 7, x - 6 : x + 7].max() > 30


def test_a_log_that_is_taken_for_light_is_found_out_by_nobody_so_it_must_be_stated(
    lab: Path, shot: Path, host: Host
) -> None:
    for number in FRAMES:
        write_dpx(shot / "plate" / f"plate.{number}.dpx", scene(lab, number))
    (shot / "shot.toml").write_text(_PIPELINE.format(suffix=".dpx", colour=""))
    with pytest.raises(PipelineError, match=r"does not say its colour .*; state it in the pipeline file"):
        vfxswap.run(shot / "shot.toml", device="cpu", host=host)
