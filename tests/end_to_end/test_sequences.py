"""Scene-linear EXR plates through whole pipelines: nothing but the face changes, numbers stay, holes are said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray

import vfxswap
from vfxswap.clock import FrameRange
from vfxswap.errors import Cancelled, PipelineError, TruncatedPlate, UsageError
from vfxswap.files import FramePattern
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.shot import PRESETS, Lens
from vfxswap.report import Progress
from vfxswap.trackfile import read_tracks

pytestmark = pytest.mark.slow

SIZE = (160, 120)
FRAMES = range(1001, 1006)
OVERSCAN = 12
"""Pixels on each side."""

_PIPELINE = """\
[shot]
plate = "{plate}"
production = "lab"
purpose = "test"
color_space = "Linear Rec.709 (sRGB)"

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
use = "flow-deflicker"

[[stages]]
use = "pyramid"

[delivery]
path = "{delivery}"
"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered shot, scene-linear, its skin brighter than white: plate, truth, tracks, mattes, identity."""
    folder = tmp_path_factory.mktemp("lab")
    spec = PRESETS["talk"].model_copy(update={"lens": Lens(samples=2, grain=0.01, exposure_stops=2.0)})
    deliver(spec, folder, width=SIZE[0], height=SIZE[1], frames=FRAMES, layout="exr", still_px=160)
    return folder


@pytest.fixture
def shot(lab: Path, tmp_path: Path) -> Path:
    """A folder with the shot, all but the plate."""
    for name in ("identity", "tracks.json", "mattes", "truth"):
        (tmp_path / name).symlink_to(lab / name)
    (tmp_path / "plate").mkdir()
    return tmp_path


def pipeline(shot: Path, delivery: str = "out/out.%04d.exr", more: str = "") -> Path:
    path = shot / "shot.toml"
    text = _PIPELINE.format(plate="plate/plate.%04d.exr", delivery=delivery)
    path.write_text(text.replace("[identities.hero]", f"{more}\n[identities.hero]"))
    return path


def opened(path: Path) -> list[dict[str, NDArray[Any]]]:
    """All channels of all parts, by OpenEXR alone."""
    file = OpenEXR.File(str(path), separate_channels=True)
    return [{name: channel.pixels for name, channel in file.channels(i).items()} for i in range(len(file.parts))]


def random_bits(dtype: Any, shape: tuple[int, int], seed: int) -> NDArray[Any]:
    words = np.uint16 if dtype is np.float16 else np.uint32
    return np.random.default_rng(seed).integers(0, 1 << 8 * np.dtype(words).itemsize, shape, words).view(dtype)


def header(corner: tuple[int, int], size: tuple[int, int], **more: Any) -> dict[str, Any]:
    (x, y), (width, height) = corner, size
    return {
        "type": OpenEXR.scanlineimage,
        "compression": OpenEXR.ZIP_COMPRESSION,
        "dataWindow": ((x, y), (x + width - 1, y + height - 1)),
        "displayWindow": ((0, 0), (SIZE[0] - 1, SIZE[1] - 1)),
        "studio/slate": "sh010 take 3",
        **more,
    }


def overscan(source: dict[str, NDArray[Any]], path: Path) -> None:
    """Noise of bits around the picture, and in an alpha and a depth channel."""
    size = (SIZE[0] + 2 * OVERSCAN, SIZE[1] + 2 * OVERSCAN)
    channels = {}
    for seed, (name, pixels) in enumerate(source.items()):
        channels[name] = random_bits(np.float16, size[::-1], seed)
        channels[name][OVERSCAN:-OVERSCAN, OVERSCAN:-OVERSCAN] = pixels
    channels["A"] = random_bits(np.float16, size[::-1], 8)
    channels["Z"] = random_bits(np.float32, size[::-1], 9)
    OpenEXR.File(header((-OVERSCAN, -OVERSCAN), size), channels).write(str(path))


def cropped(source: dict[str, NDArray[Any]], path: Path) -> None:
    """A data window that cuts the face in two, tiled, as float."""
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 16
    window = np.s_[10:110, 80:150]
    channels = {name: np.ascontiguousarray(pixels[window], np.float32) for name, pixels in source.items()}
    more = {"type": OpenEXR.tiledimage, "tiles": tiles, "compression": OpenEXR.PIZ_COMPRESSION}
    OpenEXR.File(header((80, 10), (70, 100), **more), channels).write(str(path))


def in_parts(source: dict[str, NDArray[Any]], path: Path) -> None:
    """Depth first, then the picture, then an identity matte of whole numbers."""
    full = header((0, 0), SIZE)
    depth = {"Z": random_bits(np.float32, SIZE[::-1], 1)}
    mask = {"id": np.random.default_rng(2).integers(0, 1 << 32, SIZE[::-1], np.uint32)}
    parts = [("depth", depth), ("rgba", source), ("mask", mask)]
    OpenEXR.File([OpenEXR.Part({**full, "name": name}, channels) for name, channels in parts]).write(str(path))


def as_it_is(source: dict[str, NDArray[Any]], path: Path) -> None:
    OpenEXR.File(header((0, 0), SIZE), source).write(str(path))


def make_plate(lab: Path, shot: Path, rewrite: Any = as_it_is) -> None:
    for number in FRAMES:
        (source,) = opened(lab / "plate" / f"plate.{number}.exr")
        rewrite(source, shot / "plate" / f"plate.{number}.exr")


def face_box(shot: Path, number: int, origin: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the stored picture that the face may reach."""
    (face,) = read_tracks(shot / "tracks.json").faces(number)
    x0, y0, x1, y1 = face.box
    grow = 0.25 * (x1 - x0)
    rows = (y0 - grow - origin[1], y1 + grow - origin[1])
    columns = (x0 - grow - origin[0], x1 + grow - origin[0])
    return slice(*(max(int(row), 0) for row in rows)), slice(*(max(int(column), 0) for column in columns))


@pytest.mark.parametrize(
    ("rewrite", "origin"),
    [(as_it_is, (0, 0)), (overscan, (-OVERSCAN, -OVERSCAN)), (cropped, (80, 10)), (in_parts, (0, 0))],
)
def test_nothing_but_the_face_changes(lab: Path, shot: Path, host: Host, rewrite: Any, origin: tuple[int, int]) -> None:
    make_plate(lab, shot, rewrite)
    report = vfxswap.run(pipeline(shot), device="cpu", host=host)
    assert [path.name for path in report.outputs] == [f"out.{number}.exr" for number in FRAMES]
    assert all(record.identities == ("hero",) for record in report.frames)
    for number, path in zip(FRAMES, report.outputs, strict=True):
        plate = shot / "plate" / f"plate.{number}.exr"
        before, after = opened(plate), opened(path)
        rows, columns = face_box(shot, number, origin)
        for old, new in zip(before, after, strict=True):
            assert list(old) == list(new)
            for name, pixels in old.items():
                changed = bits(new[name]) != bits(pixels)
                if name in {"R", "G", "B"}:
                    assert changed[rows, columns].mean() > 0.05
                    changed[rows, columns] = False
                assert not changed.any(), name
        assert (
            OpenEXR.File(str(plate), header_only=True).header(0).keys()
            == OpenEXR.File(str(path), header_only=True).header(0).keys()
        )
        assert OpenEXR.File(str(path), header_only=True).header(0)["studio/slate"] == "sh010 take 3"


def bits(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels.view(f"u{pixels.itemsize}")


def test_the_example_runs_as_it_is(lab: Path, tmp_path: Path, repo: Path, host: Host) -> None:
    """One frame of it, as crops of 512 pixels take their time."""
    (tmp_path / "pipelines").mkdir()
    shutil.copy(repo / "pipelines" / "exr_linear.toml", tmp_path / "pipelines")
    shutil.copytree(lab, tmp_path / "demo-linear")
    report = vfxswap.run(tmp_path / "pipelines" / "exr_linear.toml", device="cpu", host=host, frames="1003")
    assert report.outputs == (tmp_path / "pipelines" / ".." / "demo-linear" / "out" / "out.1003.exr",)
    assert report.degraded == []
    (before,), (after,) = opened(lab / "plate" / "plate.1003.exr"), opened(report.outputs[0])
    rows, columns = face_box(lab, 1003, (0, 0))
    for name, pixels in before.items():
        changed = bits(after[name]) != bits(pixels)
        assert changed[rows, columns].any()
        changed[rows, columns] = False
        assert not changed.any()


def test_where_the_picture_lies_in_its_window_makes_no_difference(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)
    plain = [opened(path)[0] for path in vfxswap.run(pipeline(shot), device="cpu", host=host).outputs]
    make_plate(lab, shot, overscan)
    wide = vfxswap.run(pipeline(shot, delivery="wide/o.####.exr"), device="cpu", host=host).outputs
    inner = np.s_[OVERSCAN:-OVERSCAN, OVERSCAN:-OVERSCAN]
    for one, path in zip(plain, wide, strict=True):
        other = opened(path)[0]
        for name in "RGB":
            np.testing.assert_allclose(other[name][inner], one[name], rtol=0.02, atol=0.01)


def test_the_swap_comes_nearer_to_the_truth_and_keeps_light_over_white(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)
    outputs = vfxswap.run(pipeline(shot), device="cpu", host=host).outputs
    gains, peaks = [], []
    for number, path in zip(FRAMES, outputs, strict=True):
        (result,), (plate,) = opened(path), opened(shot / "plate" / f"plate.{number}.exr")
        (truth,) = opened(shot / "truth" / f"truth.{number}.exr")
        tone = {name: lightness(one) for name, one in (("plate", plate), ("result", result), ("truth", truth))}
        touched = bits(result["G"]) != bits(plate["G"])
        telling = touched & (np.abs(tone["truth"] - tone["plate"]) > 0.1)
        assert telling.sum() > 50
        errors = [np.abs(tone[name] - tone["truth"])[telling].mean() for name in ("result", "plate")]
        gains.append(errors[0] / errors[1])
        peaks.append((result["R"][touched].max(), plate["R"][touched].max()))
    assert np.mean(gains) < 0.75
    assert all(result > 1.2 and plate > 1.2 for result, plate in peaks)


def lightness(channels: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Roughly as the eye sees it."""
    return np.asarray(np.cbrt(channels["G"].astype(np.float32)))


def test_holes_are_listed_before_the_start_or_left_as_they_are(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)
    (shot / "plate" / "plate.1003.exr").unlink()
    with pytest.raises(PipelineError, match=r"no files for 1 of its frames: 1003; bring them") as caught:
        vfxswap.run(pipeline(shot), device="cpu", host=host)
    assert 'on_hole = "skip"' in str(caught.value)
    assert not (shot / "out").exists()
    path = pipeline(shot, more='on_hole = "skip"')
    whole = vfxswap.run(path, device="cpu", host=host)
    assert [record.frame for record in whole.frames] == [1001, 1002, 1004, 1005]
    assert list(FramePattern(shot / "out" / "out.%d.exr").existing()) == [1001, 1002, 1004, 1005]
    for number in (1002, 1004):
        part = vfxswap.run(path, device="cpu", host=host, frames=str(number), out=shot / "part.%04d.exr")
        assert part.outputs[0].read_bytes() == (shot / "out" / f"out.{number}.exr").read_bytes()


def test_a_delivery_that_is_there_is_not_made_twice_nor_mixed(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)
    path = pipeline(shot)
    first = vfxswap.run(path, device="cpu", host=host)
    times = [file.stat().st_mtime_ns for file in first.outputs]
    again = vfxswap.run(path, device="cpu", host=host)
    assert again.already_done
    assert again.outputs == first.outputs
    assert [file.stat().st_mtime_ns for file in first.outputs] == times
    one = first.outputs[1].read_bytes()
    first.outputs[1].unlink()
    mended = vfxswap.run(path, device="cpu", host=host)
    assert [record.frame for record in mended.frames] == [1002]
    assert [record.frame for record in mended.records] == list(FRAMES)
    assert first.outputs[1].read_bytes() == one
    first.outputs[3].write_bytes(one)
    first.outputs[1].unlink()
    with pytest.raises(UsageError, match=r"frames 1004 of .* were changed since they were made; .* --overwrite"):
        vfxswap.run(path, device="cpu", host=host)
    vfxswap.run(path, device="cpu", host=host, overwrite=True)
    assert len(FramePattern(shot / "out" / "out.%d.exr").existing()) == 5


def test_a_run_that_is_stopped_leaves_whole_frames_alone(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)

    def stop(progress: Progress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        vfxswap.run(pipeline(shot), device="cpu", host=host, progress=stop)
    left = sorted(file for file in (shot / "out").iterdir() if file.suffix == ".exr")
    assert len(left) <= 3
    for file in left:
        assert not file.name.startswith(".")
        assert set(opened(file)[0]) == {"R", "G", "B"}


def test_a_run_that_was_stopped_goes_on_when_it_is_run_again(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)
    whole = [
        path.read_bytes() for path in vfxswap.run(pipeline(shot, "whole/o.%04d.exr"), device="cpu", host=host).outputs
    ]

    def stop(progress: Progress) -> None:
        if progress.done == 4:
            raise KeyboardInterrupt

    path = pipeline(shot)
    with pytest.raises(Cancelled, match="run again to go on"):
        vfxswap.run(path, device="cpu", host=host, progress=stop)
    files = FramePattern(shot / "out" / "out.%04d.exr")
    before = {number: file.stat().st_mtime_ns for number, file in files.existing().items()}
    assert before
    again = vfxswap.run(path, device="cpu", host=host)
    assert [file.read_bytes() for file in again.outputs] == whole
    assert {number: files.path(number).stat().st_mtime_ns for number in before} == before
    assert [record.frame for record in again.frames] == [number for number in FRAMES if number not in before]
    assert again.run["resumed"] == str(FrameRange.of(record.frame for record in again.frames))
    assert vfxswap.run(path, device="cpu", host=host).already_done
    assert sorted(file.suffix for file in (shot / "out").iterdir()) == [".exr"] * 5 + [".jsonl"]


def test_frames_of_another_run_are_not_gone_on_with(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)

    def stop(progress: Progress) -> None:
        if progress.done == 4:
            raise KeyboardInterrupt

    path = pipeline(shot)
    with pytest.raises(Cancelled):
        vfxswap.run(path, device="cpu", host=host, progress=stop)
    with pytest.raises(UsageError, match="are there already"):
        vfxswap.run(path, device="cpu", host=host, overrides=["stages.mkl.strength=0.5"])
    touched = next(iter(FramePattern(shot / "out" / "out.%04d.exr").existing().values()))
    touched.write_bytes(touched.read_bytes()[:-1])
    with pytest.raises(UsageError, match="were changed since they were made"):
        vfxswap.run(path, device="cpu", host=host)


def test_a_file_that_is_cut_off_ends_the_run_there(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)
    broken = shot / "plate" / "plate.1004.exr"
    broken.write_bytes(broken.read_bytes()[:-3000])
    with pytest.raises(TruncatedPlate, match=r"plate\.1004\.exr is damaged or cut off"):
        vfxswap.run(pipeline(shot), device="cpu", host=host)
    assert 1004 not in FramePattern(shot / "out" / "out.%d.exr").existing()


def test_a_plate_that_does_not_say_its_colour_is_asked_for_it(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)
    path = pipeline(shot)
    text = path.read_text()
    path.write_text(text.replace('color_space = "Linear Rec.709 (sRGB)"\n', ""))
    with pytest.raises(PipelineError, match=r"does not say its colour .*primaries not tagged"):
        vfxswap.run(path, device="cpu", host=host)
    path.write_text(text.replace("Linear Rec.709 (sRGB)", "ACESgc"))
    with pytest.raises(PipelineError, match=r"has no colour space 'ACESgc'; nearest: 'ACEScg'"):
        vfxswap.run(path, device="cpu", host=host)


def test_a_sequence_may_not_overwrite_itself(lab: Path, shot: Path, host: Host) -> None:
    make_plate(lab, shot)
    with pytest.raises(PipelineError, match="would overwrite the plate"):
        vfxswap.run(pipeline(shot, delivery="plate/plate.####.exr"), device="cpu", host=host)


def test_a_lossy_plate_is_said_to_be_written_without_a_loss(lab: Path, shot: Path, host: Host) -> None:
    def lossy(source: dict[str, NDArray[Any]], path: Path) -> None:
        OpenEXR.File(header((0, 0), SIZE, compression=OpenEXR.DWAA_COMPRESSION), source).write(str(path))

    make_plate(lab, shot, lossy)
    report = vfxswap.run(pipeline(shot), device="cpu", host=host, frames="1001")
    assert "compressed by dwaa" in report.run["remarks"][0]
    assert report.path is not None
    assert "compressed by dwaa" in report.path.read_text()
    (before,), (after,) = opened(shot / "plate" / "plate.1001.exr"), opened(report.outputs[0])
    assert np.array_equal(bits(before["R"])[:, :5], bits(after["R"])[:, :5])
