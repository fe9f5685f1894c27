"""Image sequences through reader and writer: DPX, TIFF, PNG and JPEG, what does not fit together, and full disks."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its own documentation uses
import pytest
from numpy.typing import NDArray

from vfxswap.color import SPACES, ColorTags, Matrix, Range
from vfxswap.errors import MediaError, TruncatedPlate
from vfxswap.files import FramePattern
from vfxswap.frame import Frame
from vfxswap.media import PlateInfo
from vfxswap.testing import RGB_FLOAT, YUV422P10, synthetic_frame, synthetic_info
from vfxswap_plugins.media import picture_file, sequence_reader
from vfxswap_plugins.media.oiio_file import OiioPicture
from vfxswap_plugins.media.sequence_plan import SequenceOptions
from vfxswap_plugins.media.sequence_reader import SequenceReader
from vfxswap_plugins.media.sequence_writer import SequenceWriter

SRGB = ColorTags(SPACES["srgb"].primaries, SPACES["srgb"].transfer, Matrix.RGB, Range.FULL)
SIZE = (33, 47)


def samples(bits: int, channels: int = 3, *, seed: int = 0, size: tuple[int, int] = SIZE) -> NDArray[Any]:
    """Words as OpenImageIO wants them: fewer bits than 16 stand at the top, and again below."""
    rng = np.random.default_rng(seed)
    if bits == 32:
        return rng.standard_normal((*size, channels)).astype(np.float32)
    words: NDArray[Any] = rng.integers(0, 1 << bits, (*size, channels), np.uint8 if bits == 8 else np.uint16)
    return (words << (16 - bits)) | (words >> (2 * bits - 16)) if 8 < bits < 16 else words


def write(path: Path, pixels: NDArray[Any], bits: int = 0, **attributes: Any) -> Path:
    kind = {"uint8": "uint8", "uint16": "uint16", "float32": "float"}[pixels.dtype.name]
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("DateTime", "2026:01:02 03:04:05")
    if bits:
        spec.attribute("oiio:BitsPerSample", bits)
    for key, value in attributes.items():
        spec.attribute(key.replace("__", ":"), value)
    target = oiio.ImageOutput.create(str(path))
    assert target is not None
    assert target.open(str(path), spec)
    assert target.write_image(pixels)
    assert target.close()
    return path


def sequence(folder: Path, suffix: str, bits: int, channels: int = 3, *, first: int = 1001, count: int = 4) -> Path:
    folder.mkdir()
    for i in range(count):
        write(
            folder / f"plate.{first + i:04d}{suffix}", samples(bits, channels, seed=i), bits, ImageDescription="slate"
        )
    return folder / f"plate.####{suffix}"


def deliver(
    plate: Path, target: Path, change: Callable[[Frame], Frame] = lambda frame: frame, **options: Any
) -> tuple[Path, ...]:
    target.parent.mkdir(exist_ok=True)
    with SequenceReader(plate) as reader:
        info = reader.info
        tags = info.tags if info.tags.complete else SRGB
        own = SequenceOptions(**options)
        with SequenceWriter(target, own, like=info, tags=tags, first=info.first, last=info.last) as writer:
            for frame in reader.frames(info.first, info.last):
                writer.write(change(frame))
            return writer.finish()


def stored(path: Path) -> NDArray[Any]:
    """All samples of a file, as they lie in it."""
    hints = oiio.ImageSpec()
    hints["oiio:UnassociatedAlpha"] = 1
    source = oiio.ImageInput.open(str(path), hints)
    assert source is not None
    return np.asarray(source.read_image(source.spec().format))


def attributes(path: Path) -> dict[str, Any]:
    source = oiio.ImageInput.open(str(path))
    assert source is not None
    return {each.name: each.value for each in source.spec().extra_attribs}


def nameless(path: Path) -> bytes:
    """A file without the 100 bytes in which a DPX holds its own name; new ones hold no folders."""
    data = path.read_bytes()
    return data[:36] + data[136:] if path.suffix == ".dpx" else data


def altered(frame: Frame) -> Frame:
    result = frame.plate.copy()
    for plane in result.planes[:3]:
        plane[5:12, 8:20] //= 2
    return replace(frame, result=result)


FORMATS = [
    *((".dpx", bits, 3) for bits in (8, 10, 12, 16)),
    (".dpx", 10, 4),
    *((".tif", bits, channels) for bits in (8, 16) for channels in (1, 3, 4, 5)),
    *((".png", bits, channels) for bits in (8, 16) for channels in (1, 3, 4)),
]


@pytest.mark.parametrize(("suffix", "bits", "channels"), FORMATS)
def test_an_unchanged_sequence_is_the_very_same_files(tmp_path: Path, suffix: str, bits: int, channels: int) -> None:
    plate = sequence(tmp_path / "in", suffix, bits, channels)
    with SequenceReader(plate) as reader:
        assert (reader.info.layout.bits, reader.info.first, reader.info.last) == (bits, 1001, 1004)
    for path in deliver(plate, tmp_path / "out" / plate.name):
        before, after = plate.parent / path.name, path
        assert np.array_equal(stored(before), stored(after))
        assert attributes(before) == attributes(after)
        if suffix == ".tif":
            assert before.stat().st_size == after.stat().st_size  # the library changes the order of its texts
        else:
            assert nameless(before) == nameless(after)


@pytest.mark.parametrize(("suffix", "bits", "channels"), FORMATS)
def test_a_change_leaves_all_other_samples_alone(tmp_path: Path, suffix: str, bits: int, channels: int) -> None:
    plate = sequence(tmp_path / "in", suffix, bits, channels)
    for path in deliver(plate, tmp_path / "out" / plate.name, altered):
        before, after = stored(plate.parent / path.name), stored(path)
        inner = np.s_[5:12, 8:20, : min(channels, 3)]
        shift = 16 - bits if 8 < bits < 16 else 0
        assert np.array_equal(after[inner] >> shift, (before[inner] >> shift) // 2)
        mended = after.copy()
        mended[inner] = before[inner]
        assert np.array_equal(mended, before)


def test_codes_of_ten_bits_are_given_as_they_are(tmp_path: Path) -> None:
    with SequenceReader(sequence(tmp_path / "in", ".dpx", 10)) as reader:
        (frame,) = reader.frames(1002, 1002)
    assert isinstance(frame.plate, OiioPicture)
    codes = samples(10, seed=1) >> 6
    assert codes.max() == 1023
    for i, plane in enumerate(frame.plate.planes):
        assert np.array_equal(plane, codes[:, :, i])
        assert not plane.flags.writeable


def test_jpegs_are_read_and_delivered_without_a_further_loss(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "in", ".jpg", 8)
    for path in deliver(plate, tmp_path / "out" / "o.%04d.png"):
        number = path.name.split(".")[1]
        assert np.array_equal(stored(path), stored(plate.parent / f"plate.{number}.jpg"))
    assert not SequenceWriter.can_write(Path("o.%04d.jpg"))


def test_a_tiff_with_a_lossy_compression_is_written_without(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.1.tif"), samples(8), [cv2.IMWRITE_TIFF_COMPRESSION, 7])
    plate = tmp_path / "in" / "a.%d.tif"
    with SequenceReader(plate) as reader:
        (text,) = SequenceWriter.remarks(plate, SequenceOptions(), reader.info, SRGB)
    assert "compressed by jpeg, which loses with each writing; written as zip" in text
    (path,) = deliver(plate, tmp_path / "out" / "a.%d.tif")
    assert np.array_equal(stored(path), stored(plate.with_name("a.1.tif")))


def test_a_movies_frames_become_pictures_of_enough_bits(tmp_path: Path) -> None:
    like = synthetic_info(tmp_path / "plate.mov", layout=YUV422P10, first=1, count=2)
    for name, bits in (("a.%d.dpx", 12), ("a.%d.png", 16), ("a.%d.tif", 16)):
        options = SequenceOptions()
        with SequenceWriter(tmp_path / name, options, like=like, tags=like.tags, first=1, last=2) as writer:
            for number in (1, 2):
                writer.write(synthetic_frame(number, layout=YUV422P10))
            paths = writer.finish()
        with SequenceReader(tmp_path / name) as reader:
            assert (reader.info.layout.bits, reader.info.layout.model) == (bits, "rgb")
            (frame,) = reader.frames(2, 2)
        drawn = synthetic_frame(2, layout=RGB_FLOAT).plate.planes[1]
        green = frame.plate.planes[1] / ((1 << bits) - 1)
        assert np.abs(green[20:-4, 24:-4] - np.clip(drawn, 0, 1)[20:-4, 24:-4]).mean() < 0.02
        assert len(paths) == 2


def test_new_exr_files_say_rate_time_and_colour(tmp_path: Path) -> None:
    tags = ColorTags(SPACES["ACEScg"].primaries, SPACES["ACEScg"].transfer, Matrix.RGB, Range.FULL)
    like = replace(synthetic_info(tmp_path / "plate.tif", layout=RGB_FLOAT), tags=tags)
    with SequenceWriter(
        tmp_path / "o.#####.exr", SequenceOptions(), like=like, tags=tags, first=1001, last=1006
    ) as out:
        for number in (1001, 1006):
            out.write(synthetic_frame(number, layout=RGB_FLOAT))
        first, last = out.finish()
    assert (first.name, last.name) == ("o.01001.exr", "o.01006.exr")
    with SequenceReader(tmp_path / "o.%05d.exr") as reader:
        info = reader.info
        (frame,) = reader.frames(1006, 1006)
    assert (info.tags, info.rate, info.timecode) == (tags, Fraction(24000, 1001), "01:00:00:00")
    assert info.holes == (1002, 1003, 1004, 1005)
    np.testing.assert_array_equal(frame.plate.planes[0], synthetic_frame(1006, layout=RGB_FLOAT).plate.planes[0])


def exr_info(tmp_path: Path) -> PlateInfo:
    return synthetic_info(tmp_path / "plate.exr", layout=RGB_FLOAT)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("o.%04d.dpx", {}, "needs a view transform"),
        ("o.%04d.png", {}, "needs a view transform"),
        ("o.exr", {}, r"has no place for the frame number; write o\.####\.exr"),
        ("o.#.exr", {}, "one # is one digit in some programs"),
        ("o.##.%d.exr", {}, "2 places for a frame number"),
        ("o.%04d.exr", {"compression": "lzw"}, r"'lzw' does not go with \.exr, which takes none, rle"),
        ("o.%04d.exr", {"bits": 16}, "takes the plate's half or float"),
        ("o.%04d.tif", {"compression": "dwaa"}, r"'dwaa' does not go with \.tif"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_opened(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    like, own = exr_info(tmp_path), SequenceOptions(**options)
    with pytest.raises(MediaError, match=message):
        SequenceWriter(tmp_path / name, own, like=like, tags=like.tags, first=1001, last=1006)
    assert list(tmp_path.iterdir()) == []


def test_a_display_picture_is_not_called_scene_linear(tmp_path: Path) -> None:
    like = synthetic_info(tmp_path / "plate.mov")
    found = SequenceWriter.problems(tmp_path / "o.%d.exr", SequenceOptions(), like, like.tags)
    assert "an EXR is scene-linear" in found[0]


def test_files_that_differ_from_the_first_are_named(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "in", ".png", 8)
    write(tmp_path / "in" / "plate.1003.png", samples(8, size=(33, 48)))
    with (
        SequenceReader(plate) as reader,
        pytest.raises(MediaError, match=r"plate\.1003\.png has the size 48x33") as size,
    ):
        list(reader.frames(1001, 1004))
    assert size.value.frame == 1003
    write(tmp_path / "in" / "plate.1003.png", samples(8, 4))
    with SequenceReader(plate) as reader, pytest.raises(MediaError, match="has the channels R, G, B, A"):
        list(reader.frames(1001, 1004))


def test_a_sequence_that_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "in", ".png", 8)
    with pytest.raises(MediaError, match=r"no file plat\.####\.png in .*; there are plate\.1001\.png, .* \.\.\."):
        SequenceReader(plate.with_name("plat.####.png"))
    with pytest.raises(MediaError, match=r"no file plate\.######\.png"):
        SequenceReader(plate.with_name("plate.######.png"))
    with pytest.raises(MediaError, match="there is no folder"):
        SequenceReader(tmp_path / "absent" / "plate.####.png")
    with pytest.raises(MediaError, match="frames 1000-1002 are not within the plate, which has 1001-1004"):
        SequenceReader(plate).frames(1000, 1002)


def test_a_file_that_goes_away_ends_the_plate(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "in", ".dpx", 10)
    with SequenceReader(plate) as reader:
        (tmp_path / "in" / "plate.1002.dpx").unlink()
        frames = reader.frames(1001, 1004)
        assert next(frames).number == 1001
        with pytest.raises(MediaError, match=r"there is no file .*plate\.1002\.dpx") as caught:
            next(frames)
    assert caught.value.frame == 1002


@pytest.mark.parametrize("suffix", [".dpx", ".png"])
def test_a_cut_file_is_not_taken_for_a_picture(tmp_path: Path, suffix: str) -> None:
    plate = sequence(tmp_path / "in", suffix, 8)
    path = tmp_path / "in" / f"plate.1004{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with SequenceReader(plate) as reader, pytest.raises(TruncatedPlate, match=path.name):
        list(reader.frames(1001, 1004))


def test_few_pictures_are_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plate = sequence(tmp_path / "in", ".png", 8, count=24)
    lock, count = threading.Lock(), 0

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal count
        with lock:
            count += 1
        return original(*args, **options)

    original = picture_file.read
    monkeypatch.setattr(sequence_reader, "read", counted)
    with SequenceReader(plate) as reader:
        frames = reader.frames(1001, 1024)
        next(frames)
        frames.close()  # type: ignore[attr-defined]
    assert count <= 4 + 1


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow over 4 KiB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("name", "layout"), [("o.%d.exr", RGB_FLOAT), *((f"o.%d.{kind}", YUV422P10) for kind in ("png", "dpx", "tif"))]
)
@pytest.mark.usefixtures("small_files")
def test_a_disk_without_room_leaves_no_half_file(tmp_path: Path, name: str, layout: Any) -> None:
    like = synthetic_info(tmp_path / "plate", layout=layout)
    with SequenceWriter(tmp_path / name, SequenceOptions(), like=like, tags=like.tags, first=1001, last=1006) as writer:
        writer.write(synthetic_frame(1001, layout=layout))
        with pytest.raises(MediaError, match=r"1001"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_said_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    like = exr_info(tmp_path)
    with pytest.raises(MediaError, match="cannot be written to"):
        SequenceWriter(tmp_path / "o.%d.exr", SequenceOptions(), like=like, tags=like.tags, first=1001, last=1006)


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    like = exr_info(tmp_path)
    writer = SequenceWriter(tmp_path / "o.%d.exr", SequenceOptions(), like=like, tags=like.tags, first=1, last=6)
    with writer, pytest.raises(MediaError, match="frame 1 is 96x64, the delivery was begun as 160x128"):
        writer.write(synthetic_frame(1, layout=RGB_FLOAT, width=96, height=64))


def test_a_lossy_compression_is_remarked_upon(tmp_path: Path) -> None:
    like = replace(exr_info(tmp_path), codec="exr dwaa")
    (text,) = SequenceWriter.remarks(tmp_path / "o.%d.exr", SequenceOptions(), like, like.tags)
    assert "compressed by dwaa, which loses with each writing; written as zips" in text
    (text,) = SequenceWriter.remarks(tmp_path / "o.%d.exr", SequenceOptions(compression="dwab"), like, like.tags)
    assert "no pixel keeps its bits" in text
    whole = replace(like, codec="exr piz")
    assert SequenceWriter.remarks(tmp_path / "o.%d.exr", SequenceOptions(), whole, like.tags) == []


def test_what_a_killed_run_left_is_removed_after_a_day(tmp_path: Path) -> None:
    like = exr_info(tmp_path)
    old = (".o.1001_v1.4711-0a1b2c3d.tmp.exr", ".o.1002_v1.12-ffffffff.tmp.exr")
    others = (".o.1003_v2.12-ffffffff.tmp.exr", "o.1001_v1.exr", ".p.1001_v1.12-ffffffff.tmp.exr", ".o.tmp.exr")
    for name in (*old, *others):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / ".o.1004_v1.12-ffffffff.tmp.exr").touch()
    pattern = tmp_path / "o.%04d_v1.exr"
    with SequenceWriter(pattern, SequenceOptions(), like=like, tags=like.tags, first=1001, last=1006):
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, ".o.1004_v1.12-ffffffff.tmp.exr"}


def test_many_threads_write_the_same_files(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "in", ".tif", 16, count=9)
    one = deliver(plate, tmp_path / "one" / "o.%d.tif", threads=1)
    many = deliver(plate, tmp_path / "many" / "o.%d.tif", threads=8)
    assert [path.name for path in one] == [path.name for path in many] == [f"o.{n}.tif" for n in range(1001, 1010)]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in many]
    assert list(FramePattern(tmp_path / "many" / "o.%d.tif").existing()) == list(range(1001, 1010))
