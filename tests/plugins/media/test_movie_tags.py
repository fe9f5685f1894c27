"""What a delivery says of its colour, byte by byte: in the container, and in the stream alone."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from vfxswap.color import SPACES, ColorTags, Matrix, Range
from vfxswap.frame import Frame, Picture
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.dnxhr import color_volume, with_color_volume
from vfxswap_plugins.media.layouts import layout_of
from vfxswap_plugins.media.movie_plan import MovieOptions
from vfxswap_plugins.media.movie_reader import MovieReader
from vfxswap_plugins.media.movie_writer import MovieWriter

SIZE = (256, 128)
Codes = tuple[int, int, int]
Make = Callable[..., Path]

QUICKTIME: dict[str, Codes] = {
    "bt709": (1, 1, 1),
    "srgb": (1, 13, 1),
    "p3-d65": (12, 13, 1),
    "bt601-625": (5, 1, 6),
    "bt601-525": (6, 1, 6),
    "bt2020": (9, 1, 9),
    "pq": (9, 16, 9),
    "hlg": (9, 18, 9),
}
"""The triplets of Apple's TN2162: there 1 stands for all curves that equal BT.709's, 6 for both matrices of SD."""


def codes(tags: ColorTags) -> Codes:
    return int(tags.primaries), int(tags.transfer), int(tags.matrix)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A delivery of two even pictures."""

    def make(name: str, codec: str, pix_fmt: str, space: str = "bt709", **more: Any) -> Path:
        layout = layout_of(pix_fmt)
        tags = replace(SPACES[space], range=more.pop("range", Range.LIMITED))
        if layout.model == "rgb":
            tags = replace(tags, matrix=Matrix.RGB, range=Range.FULL)
        given: dict[str, Any] = {"width": SIZE[0], "height": SIZE[1], "rate": Fraction(24), "first": 1, "count": 2}
        like = PlateInfo(path=tmp_path / "plate.%04d.dpx", layout=layout, tags=tags, **given | more)
        path = tmp_path / name
        chosen = MovieOptions.model_validate({"codec": codec})
        with MovieWriter(path, chosen, like=like, tags=tags, first=1, last=2) as writer:
            for number in (1, 2):
                sizes = [SIZE, *[tuple(s >> log2 for s, log2 in zip(SIZE, layout.chroma_log2, strict=True))] * 2, SIZE]
                word = np.uint8 if layout.bits == 8 else np.uint16
                planes = [
                    np.full((rows, columns), 100 << (layout.bits - 8), word)
                    for columns, rows in sizes[: layout.channels]
                ]
                writer.write(Frame(number, Picture(planes, layout, tags)))
            writer.finish()
        return path

    return make


def packet_of(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return bytes(next(container.demux(video=0)))


def atoms(path: Path) -> dict[bytes, bytes]:
    """Contents of a QuickTime file's atoms by kind, those of the picture's sample description included."""
    return dict(_atoms(path.read_bytes()))


_HOLDS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_SAMPLES = {b"apch", b"apcn", b"ap4h", b"ap4x", b"AVdh", b"hvc1", b"avc1"}


def _atoms(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        head, size = (16, struct.unpack_from(">Q", data, start + 8)[0]) if size == 1 else (8, size)
        if size < head:
            return
        content = data[start + head : start + size]
        yield kind, content
        if kind in _HOLDS:
            yield from _atoms(content)
        elif kind == b"stsd":
            yield from _atoms(content[8:])
        elif kind in _SAMPLES:
            yield from _atoms(content[78:])  # after a video sample description's fixed part
        start += size


@pytest.mark.parametrize("space", QUICKTIME)
@pytest.mark.parametrize(("codec", "pix_fmt"), [("prores_hq", "yuv422p10le"), ("prores_4444", "yuva444p10le")])
def test_prores_says_it_in_each_frame_and_in_the_atom(make: Make, codec: str, pix_fmt: str, space: str) -> None:
    path = make("o.mov", codec, pix_fmt, space)
    frame = packet_of(path)
    # SMPTE RDD 36, 6.1: frame_size and 'icpf', then the frame header: size, version and encoder, columns, rows, flags.
    assert frame[4:8] == b"icpf"
    size, _, encoder, columns, rows = struct.unpack_from(">HH4sHH", frame, 8)
    assert (size, encoder, (columns, rows)) == (148, b"apl0", SIZE)
    chroma_format, interlace_mode = frame[20] >> 6, frame[20] >> 2 & 3
    assert (chroma_format, interlace_mode) == (3 if "444" in pix_fmt else 2, 0)
    assert tuple(frame[22:25]) == QUICKTIME[space]
    alpha_channel_type = frame[25] & 15
    assert alpha_channel_type == (2 if "yuva" in pix_fmt else 0)  # 2: 16 bits
    found = atoms(path)
    assert found[b"colr"] == b"nclc" + struct.pack(">3H", *QUICKTIME[space])
    assert found[b"fiel"] == bytes([1, 0])  # progressive
    with MovieReader(path) as reader:
        assert codes(reader.info.tags) == QUICKTIME[space]
        assert reader.info.tags.range is Range.LIMITED
        assert not reader.info.interlaced


@pytest.mark.parametrize(("space", "volume"), [("bt709", 0), ("bt2020", 1), ("pq", 1), ("hlg", 1), ("bt601-625", 3)])
@pytest.mark.parametrize(("codec", "pix_fmt"), [("dnxhr_hqx", "yuv422p10le"), ("dnxhr_444", "yuv444p10le")])
def test_dnxhr_says_its_color_volume(make: Make, codec: str, pix_fmt: str, space: str, volume: int) -> None:
    for name in ("o.mov", "o.mxf"):
        path = make(name, codec, pix_fmt, space)
        with av.open(str(path)) as container:
            volumes = [color_volume(bytes(packet)) for packet in container.demux(video=0) if packet.size]
            assert volumes == [volume] * 2
    found = atoms(path.with_suffix(".mov"))
    assert found[b"colr"] == b"nclc" + struct.pack(">3H", *QUICKTIME[space])
    assert found[b"ACLR"] == b"ACLR0001" + struct.pack(">2I", 1, 0)  # Avid: 1 is video levels
    assert found[b"ADHR"][19] == volume


def test_only_two_bits_of_a_dnxhr_frame_are_changed() -> None:
    frame = bytes(range(256))
    for volume in range(4):
        changed = with_color_volume(frame, volume)
        assert color_volume(changed) == volume
        assert [place for place in range(256) if changed[place] & ~6 != frame[place] & ~6] == []
        assert (changed[:0x2C], changed[0x2D:]) == (frame[:0x2C], frame[0x2D:])


@pytest.mark.parametrize(
    ("space", "transfer", "primaries", "matrix"),
    [
        # The last bytes of the SMPTE labels of capture gamma, colour primaries and coding equations (RP 224).
        ("bt709", "01020000", "03030000", "02020000"),
        ("bt2020", "01090000", "03040000", "02060000"),
        ("pq", "010a0000", "03040000", "02060000"),
        ("hlg", "010b0000", "03040000", "02060000"),
    ],
)
def test_mxf_has_the_labels(make: Make, space: str, transfer: str, primaries: str, matrix: str) -> None:
    data = make("o.mxf", "dnxhr_hqx", "yuv422p10le", space).read_bytes()
    for label in (f"04010101{transfer}", f"04010101{primaries}", f"04010101{matrix}"):
        assert bytes.fromhex(label) in data, label


@pytest.mark.parametrize("space", ["bt709", "p3-d65", "bt601-625", "bt2020", "hlg"])
@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("o.mp4", "h265", "yuv420p10le"),
        ("o.mov", "h265", "yuv422p10le"),
        ("o.mp4", "h264", "yuv420p10le"),
        ("o.mov", "h264", "yuv422p10le"),
    ],
)
def test_the_streams_own_words_are_enough(make: Make, name: str, codec: str, pix_fmt: str, space: str) -> None:
    """The VUI: a decoder that sees nothing of the container."""
    path = make(name, codec, pix_fmt, space)
    with av.open(str(path)) as container:
        decoder = av.CodecContext.create("hevc" if codec == "h265" else "h264", "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.extradata = container.streams.video[0].codec_context.extradata
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        pictures = [picture for data in packets for picture in decoder.decode(av.Packet(data))] + decoder.decode(None)
    wanted = codes(SPACES[space])
    assert {(p.color_primaries, p.color_trc, p.colorspace, p.color_range) for p in pictures} == {(*wanted, 1)}
    assert {p.format.name for p in pictures} == {pix_fmt}
    kind = b"nclx" if name.endswith("mp4") else b"nclc"
    assert atoms(path)[b"colr"][:10] == kind + struct.pack(">3H", *wanted)
    if codec == "h265":
        assert b"hvc1" in atoms(path)


@pytest.mark.parametrize("pix_fmt", ["gbrp10le", "gbrp16le", "gbrap16le", "yuv422p10le", "yuv444p12le"])
@pytest.mark.parametrize("space", ["srgb", "pq"])
def test_ffv1_says_it_in_matroska(make: Make, pix_fmt: str, space: str) -> None:
    with MovieReader(make("o.mkv", "ffv1", pix_fmt, space)) as reader:
        tags = reader.info.tags
    is_rgb = pix_fmt.startswith("gb")
    assert codes(tags) == (*codes(SPACES[space])[:2], 0 if is_rgb else int(SPACES[space].matrix))
    assert tags.range is (Range.FULL if is_rgb else Range.LIMITED)


@pytest.mark.parametrize(("name", "codec"), [("o.mov", "prores_hq"), ("o.mov", "dnxhr_hqx"), ("o.mp4", "h265")])
def test_pixel_aspect_is_an_atom(make: Make, name: str, codec: str) -> None:
    path = make(name, codec, "yuv422p10le", pixel_aspect=Fraction(2))
    assert atoms(path)[b"pasp"] == struct.pack(">2I", 2, 1)
    with MovieReader(path) as reader:
        assert reader.info.pixel_aspect == 2


@pytest.mark.parametrize(("name", "codec"), [("o.mov", "prores_hq"), ("o.mov", "dnxhr_hqx"), ("o.mxf", "dnxhr_hqx")])
def test_reel_and_timecode_of_a_sequence_go_along(make: Make, name: str, codec: str) -> None:
    path = make(name, codec, "yuv422p10le", reel="A007C012", timecode="10:11:12:13")
    with MovieReader(path) as reader:
        assert (reader.info.reel, reader.info.timecode) == ("A007C012", "10:11:12:13")


def test_mxf_keeps_the_range_where_it_can_say_it(make: Make) -> None:
    with MovieReader(make("o.mxf", "dnxhr_hqx", "yuv422p10le", range=Range.FULL)) as reader:
        assert reader.info.tags.range is Range.FULL
    path = make("p.mxf", "dnxhr_444", "yuv444p", range=Range.FULL)
    with MovieReader(path) as reader:
        assert reader.info.tags.range is not Range.FULL  # its descriptor has no place for it
        luma = next(reader.frames(1, 1)).plate.planes[0]
    assert abs(int(luma[60, 60]) - round(64 + 100 / 255 * 876)) <= 1


@pytest.mark.ffmpeg
@pytest.mark.parametrize("space", ["srgb", "bt2020", "pq"])
@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "tag", "profile"),
    [
        ("o.mov", "prores_hq", "yuv422p10le", "apch", "HQ"),
        ("o.mov", "prores_4444", "yuva444p10le", "ap4h", "4444"),
        ("o.mov", "prores_4444xq", "yuv444p10le", "ap4x", "XQ"),
        ("o.mov", "dnxhr_hqx", "yuv422p10le", "AVdh", "DNXHR HQX"),
        ("o.mxf", "dnxhr_444", "yuv444p10le", None, "DNXHR 444"),
        ("o.mp4", "h265", "yuv420p10le", "hvc1", "Main 10"),
        ("o.mp4", "h265", "yuv422p10le", "hvc1", "Rext"),
        ("o.mov", "h264", "yuv422p10le", "avc1", "High 4:2:2"),
        ("o.mkv", "ffv1", "gbrp16le", None, None),
    ],
)
def test_ffprobe_reads_the_same(
    make: Make, name: str, codec: str, pix_fmt: str, tag: str | None, profile: str | None, space: str
) -> None:
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("the ffprobe program is not installed")
    if name.endswith("mxf") and space == "srgb":
        pytest.skip("has no label in MXF, and is refused")
    path = make(name, codec, pix_fmt, space, timecode="01:00:00:00", reel="A001")
    words = [program, "-v", "error", "-show_streams", "-of", "json", str(path)]
    streams = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)["streams"]
    stream = next(stream for stream in streams if stream["codec_type"] == "video")
    transfers = {1: "bt709", 13: "iec61966-2-1", 14: "bt2020-10", 16: "smpte2084", 18: "arib-std-b67"}
    quicktime = codec.startswith(("prores", "dnxhr")) and name.endswith("mov")
    transfer = QUICKTIME[space][1] if quicktime else int(SPACES[space].transfer)
    is_wide = SPACES[space].primaries == 9
    matrix = "gbr" if pix_fmt == "gbrp16le" else "bt2020nc" if is_wide else "bt709"
    found = stream["color_primaries"], stream["color_transfer"], stream["color_space"]
    assert found == ("bt2020" if is_wide else "bt709", transfers[transfer], matrix)
    assert stream.get("color_range") in ({None} if codec == "dnxhr_444" else {"pc" if matrix == "gbr" else "tv"})
    assert tag is None or stream["codec_tag_string"] == tag
    assert profile is None or stream["profile"].upper() == profile.upper()
