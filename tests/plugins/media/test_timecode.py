"""Timecode and rate in headers: what is read, what is written anew, and what a partial delivery begins at."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813 - as its documentation has it
import pytest
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st

import vfxswap
from vfxswap.clock import Timecode
from vfxswap.errors import PipelineError, UsageError
from vfxswap.files import FramePattern
from vfxswap.host import Host
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.sequence_clock import sequence_timecode
from vfxswap_plugins.media.smpte import packed, unpacked

NTSC, NTSC60 = Fraction(30000, 1001), Fraction(60000, 1001)
COLOR = 'color_space = "bt709"\n'


@pytest.fixture
def host() -> Host:
    return Host(environ={"VFXSWAP_LOAD_PLUGINS": "vfxswap-plugins"})


@pytest.fixture
def info(host: Host) -> Callable[[Path], PlateInfo]:
    def info(path: Path) -> PlateInfo:
        with host.reader_for(path)(path) as opened:
            return opened.info

    return info


@pytest.fixture
def passed(tmp_path: Path, host: Host) -> Callable[..., Path]:
    """What comes of a plate without any stage."""

    def passed(plate: Path, out: str, more: str = "", delivery: str = "", **options: Any) -> Path:
        file = tmp_path / "job.toml"
        file.write_text(f'[shot]\nplate = "{plate}"\n{more}\n[delivery]\npath = "{out}"\n{delivery}\n')
        vfxswap.run(file, host=host, device="cpu", **options)
        return tmp_path / out

    return passed


def dpx(
    pattern: Path, numbers: range, *, start: str | None = None, rate: Fraction | None = None, word: int | None = None
) -> Path:
    """10-bit DPX files by OpenImageIO alone."""
    for number in numbers:
        spec = oiio.ImageSpec(256, 128, 3, "uint16")
        spec.attribute("oiio:BitsPerSample", 10)
        if rate is not None:
            spec.attribute("dpx:FrameRate", float(rate))
        if start is not None and rate is not None:
            word = packed(Timecode.parse(start, rate) + (number - numbers[0]))
        if word is not None:
            spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (word, 0))
        target: Any = oiio.ImageOutput.create("any.dpx")
        path = FramePattern(pattern).path(number)
        assert target.open(str(path), spec)
        assert target.write_image(np.full((128, 256, 3), 20000, np.uint16))
        assert target.close()
    return pattern


def exr(pattern: Path, numbers: range, **header: Any) -> Path:
    for number in numbers:
        pixels = {name: np.full((8, 8), 0.25, np.float16) for name in "RGB"}
        made = {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
        OpenEXR.File(made, pixels).write(str(FramePattern(pattern).path(number)))
    return pattern


def test_pixels_of_a_short_dpx_header_are_no_facts(info: Callable[[Path], PlateInfo], tmp_path: Path) -> None:
    """FFmpeg's pixels begin at 1664 bytes, where others have names, rate and timecode."""
    path, noise = tmp_path / "a.%04d.dpx", np.random.default_rng(0).integers(0, 1 << 10, (3, 36, 64), np.uint16)
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("dpx", rate=24)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "gbrp10le"
        frame = av.VideoFrame(64, 36, "gbrp10le")
        for plane, samples in zip(frame.planes, noise, strict=True):
            np.frombuffer(memoryview(plane), np.uint16).reshape(36, -1)[:, :64] = samples
        container.mux([*stream.encode(frame), *stream.encode()])
    opened = oiio.ImageInput.open(str(tmp_path / "a.0001.dpx"))
    assert opened is not None
    assert opened.spec().getattribute("dpx:FramePosition"), "the library takes pixels for facts"
    found = info(path)
    assert (found.rate_from, found.timecode) == ("nobody", None)
    assert not {"dpx:FrameId", "dpx:SlateInfo", "dpx:TimeCode", "dpx:Signal"} & set(found.metadata)
    assert found.metadata["Software"].startswith("Lavc")


def head(path: Path, number: int) -> dict[str, Any]:
    return dict(OpenEXR.File(str(FramePattern(path).path(number)), header_only=True).header(0))


@st.composite
def timecodes(draw: st.DrawFn) -> tuple[Timecode, Fraction]:
    rate = draw(st.sampled_from([Fraction(24), Fraction(25), NTSC, Fraction(48), Fraction(50), NTSC60]))
    drop = rate.denominator == 1001 and draw(st.booleans())
    day = 24 * 3600 * round(rate) - (round(rate) // 15 * 1296 if drop else 0)
    return Timecode(draw(st.integers(0, day - 1)), round(rate), drop), rate


@given(timecodes())
def test_every_timecode_goes_through_a_header(case: tuple[Timecode, Fraction]) -> None:
    code, rate = case
    assert unpacked(packed(code), rate) == str(code)


def test_the_bits_are_those_of_the_standard() -> None:
    assert packed(Timecode.parse("01:02:03:04", Fraction(24))) == 0x01020304
    assert packed(Timecode.parse("12:34:56;29", NTSC)) == 0x12345669
    # Two frames of a pair differ by the field mark alone.
    assert packed(Timecode.parse("00:00:00:58", NTSC60)) == 0x00000029
    assert packed(Timecode.parse("00:00:00:59", NTSC60)) == 0x00008029
    # A file that counts 38 of 50 frames is not taken for one that counts pairs, of which there are 25.
    assert unpacked(0x00000038, Fraction(50)) == "00:00:00:38"


def test_rates_for_which_headers_have_no_room_are_refused() -> None:
    with pytest.raises(UsageError, match="counts 120 frames a second, and the headers of pictures have room for 60"):
        packed(Timecode.parse("00:00:00:100", Fraction(120)))


def test_openexr_reads_what_is_packed(tmp_path: Path, passed: Callable[..., Path]) -> None:
    """By way of a movie, so that the headers are new ones."""
    code = OpenEXR.TimeCode()
    code.hours, code.seconds, code.frame, code.dropFrame, code.fieldPhase = 10, 59, 29, True, False
    plate = exr(tmp_path / "p.####.exr", range(1, 5), framesPerSecond=NTSC60, timeCode=code)
    linear = 'color_space = "ACEScg"'
    movie = passed(plate, "m.mkv", linear, 'codec = "ffv1"')
    out = passed(movie, "o.####.exr", linear)
    found = [head(out, number)["timeCode"] for number in range(1, 5)]
    # 10:00:59;58, 10:00:59;59, and then 10:01:00;04, as four labels are dropped.
    words = [(one.hours, one.minutes, one.seconds, one.frame, bool(one.fieldPhase)) for one in found]
    assert words == [(10, 0, 59, 29, False), (10, 0, 59, 29, True), (10, 1, 0, 2, False), (10, 1, 0, 2, True)]
    assert all(one.dropFrame for one in found)
    assert head(out, 1)["framesPerSecond"] == NTSC60


def described(path: Path) -> int:
    source: Any = oiio.ImageInput.open(str(path))
    word = int(source.spec().getattribute("smpte:TimeCode")[0])
    source.close()
    return word


def test_dpx_says_its_timecode(tmp_path: Path, info: Callable[[Path], PlateInfo]) -> None:
    found = info(dpx(tmp_path / "p.####.dpx", range(1, 3), start="00:00:59;29", rate=NTSC))
    assert (found.timecode, found.rate, found.rate_from) == ("00:00:59;29", NTSC, "file")
    silent = info(dpx(tmp_path / "q.####.dpx", range(1, 3)))
    assert (silent.timecode, silent.rate_from) == (None, "nobody")


@pytest.mark.parametrize(
    ("start", "rate"), [("01:00:00:00", Fraction(24)), ("00:00:59;28", NTSC), ("00:00:59;57", NTSC60)]
)
def test_timecode_goes_from_sequence_to_movie_and_back(
    tmp_path: Path, passed: Callable[..., Path], info: Callable[[Path], PlateInfo], start: str, rate: Fraction
) -> None:
    plate = dpx(tmp_path / "p.####.dpx", range(1001, 1007), start=start, rate=rate)
    first = Timecode.parse(start, rate)
    movie = passed(plate, "m.mov", COLOR, 'codec = "dnxhr_444"')
    assert (info(movie).timecode, info(movie).rate) == (start, rate)
    # A partial delivery begins at the source's timecode and its offset.
    part = passed(plate, "part.mov", COLOR, 'codec = "dnxhr_444"', frames="1003-1005")
    assert info(part).timecode == str(first + 2)
    back = passed(movie, "back.####.dpx")
    words = [described(FramePattern(back).path(number)) for number in range(1, 7)]
    assert words == [packed(first + n) for n in range(6)]
    assert info(back).rate == rate
    by_code = passed(movie, "code.####.dpx", f'frames = "{first + 1}-{first + 2}"')
    assert list(FramePattern(by_code).existing()) == [2, 3]


def test_a_stated_rate_goes_into_headers(
    tmp_path: Path, passed: Callable[..., Path], info: Callable[[Path], PlateInfo]
) -> None:
    plate = dpx(tmp_path / "p.####.dpx", range(1, 4))
    rate = 'rate = "24000/1001"'
    assert info(passed(plate, "o.####.dpx", COLOR + rate)).rate == Fraction(24000, 1001)
    assert info(passed(plate, "o.mov", COLOR + rate, 'codec = "dnxhr_444"')).rate == Fraction(24000, 1001)
    linear = exr(tmp_path / "l.####.exr", range(1, 3))
    out = passed(linear, "lo.####.exr", 'color_space = "ACEScg"\n' + rate)
    assert head(out, 2)["framesPerSecond"] == Fraction(24000, 1001)


def test_a_rate_that_nobody_says_is_not_written(tmp_path: Path, passed: Callable[..., Path]) -> None:
    plate = dpx(tmp_path / "p.####.dpx", range(1, 3), word=0x01000000)
    out = passed(plate, "o.####.tif", COLOR)
    source: Any = oiio.ImageInput.open(str(FramePattern(out).path(1)))
    assert source.spec().getattribute("FramesPerSecond") is None
    source.close()
    linear = exr(tmp_path / "l.####.exr", range(1, 3))
    out = passed(linear, "lo.####.exr", 'color_space = "ACEScg"')
    assert out.with_name("lo.0001.exr").read_bytes() == linear.with_name("l.0001.exr").read_bytes()


def test_a_movie_of_a_plate_without_a_rate_says_so(tmp_path: Path, host: Host) -> None:
    plate = dpx(tmp_path / "p.####.dpx", range(1, 3))
    file = tmp_path / "job.toml"
    file.write_text(f'[shot]\nplate = "{plate}"\n{COLOR}\n[delivery]\npath = "o.mov"\ncodec = "dnxhr_444"\n')
    report = vfxswap.run(file, host=host, device="cpu")
    assert "nobody says the plate's rate; taken for 24 frames a second: state [shot] rate" in report.run["remarks"]


def test_the_rate_of_a_plate_in_parts_is_said_in_each(tmp_path: Path, passed: Callable[..., Path]) -> None:
    pixels = {name: np.full((8, 8), 0.25, np.float16) for name in "RGB"}
    parts = [
        OpenEXR.Part({"name": name, "type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIPS_COMPRESSION}, pixels)
        for name in ("rgba", "other")
    ]
    OpenEXR.File(parts).write(str(tmp_path / "p.0001.exr"))
    OpenEXR.File(parts).write(str(tmp_path / "p.0002.exr"))
    out = passed(tmp_path / "p.####.exr", "o.####.exr", 'color_space = "ACEScg"\nrate = 25')
    file = OpenEXR.File(str(out.with_name("o.0002.exr")), separate_channels=True)
    assert [file.header(part)["framesPerSecond"] for part in (0, 1)] == [Fraction(25)] * 2
    assert np.array_equal(file.channels(1)["R"].pixels, np.full((8, 8), 0.25, np.float16))


def words(*texts: str, first: int = 1001) -> dict[int, int]:
    """Digits as they stand."""
    return {first + place: int(text.replace(":", ""), 16) for place, text in enumerate(texts)}


@pytest.mark.parametrize(
    ("texts", "rate", "found"),
    [
        (("01:00:00:22", "01:00:00:23", "01:00:01:00"), Fraction(24), ("01:00:00:22", True)),
        (("01:00:00:22", "01:00:00:23", "01:00:01:00"), None, ("01:00:00:22", True)),
        (("01:00:00:28", "01:00:00:29", "01:00:01:00"), None, ("01:00:00:28", True)),
        # Frames, and not pairs of them, though 50 a second would be counted by pairs.
        (("01:00:00:07", "01:00:00:08", "01:00:00:09"), Fraction(50), ("01:00:00:07", True)),
        (("01:00:00:07", "01:00:00:07", "01:00:00:07"), Fraction(24), ("01:00:00:07", False)),
        (("01:00:00:07", "01:00:00:09"), Fraction(24), ("01:00:00:07", False)),
        (("39:79:79:39", "39:79:79:39"), Fraction(24), ("39:79:79:39", False)),
        ((), Fraction(24), (None, True)),
    ],
)
def test_a_sequence_counts_on_or_does_not(
    texts: tuple[str, ...], rate: Fraction | None, found: tuple[str | None, bool]
) -> None:
    assert sequence_timecode(words(*texts), first=1001, rate=rate) == found


def test_pairs_are_known_by_how_they_count_on() -> None:
    pairs = {n: packed(Timecode.parse("01:00:00:07", Fraction(50)) + n) for n in range(1, 5)}
    assert sequence_timecode(pairs, first=1, rate=Fraction(50)) == ("01:00:00:08", True)


def test_a_first_file_without_a_timecode_is_counted_back_to() -> None:
    assert sequence_timecode(words("01:00:00:02", first=1003), first=1001, rate=Fraction(24)) == ("01:00:00:00", True)


def test_a_timecode_that_stands_still_names_no_frames(
    tmp_path: Path, passed: Callable[..., Path], info: Callable[[Path], PlateInfo]
) -> None:
    plate = dpx(tmp_path / "p.####.dpx", range(1, 4), word=0x01000000, rate=Fraction(24))
    assert (info(plate).timecode, info(plate).timecode_runs) == ("01:00:00:00", False)
    with pytest.raises(PipelineError, match="does not count on from frame to frame; write frame numbers"):
        passed(plate, "o.####.dpx", COLOR + 'frames = "01:00:00:01"')
