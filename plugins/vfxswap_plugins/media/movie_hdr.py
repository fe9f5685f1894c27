"""What HDR streams say of the display that they were mastered on (SMPTE ST 2086) and of their brightest light."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import av
from av.sidedata.sidedata import Type

from vfxswap_plugins.media.movie_codecs import MovieCodec

MASTERING_DISPLAY = "mastering_display"
"""Key in `PlateInfo.metadata`: `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)` in steps of 0.00002 and 0.0001 cd/m2, the whole
numbers of the SEI message of H.264 and H.265 (D.2.28)."""
CONTENT_LIGHT = "content_light"
"""Key in `PlateInfo.metadata`: the maxima of a pixel and of a frame's mean, in cd/m2: `1000,400` (CTA-861.3)."""
_OPTION = {
    "libx265": ("x265-params", "master-display", "max-cll"),
    "libx264": ("x264-params", "mastering-display", "cll"),
}
"""By encoder: the option that takes parameters, and the two of them."""
_XY_STEPS, _LIGHT_STEPS = 50_000, 10_000


def hdr_notes(first: av.VideoFrame) -> dict[str, str]:
    """What the first picture carries of it."""
    notes: dict[str, str] = {}
    # Looked up one by one: other kinds of side data may be there twice, which going through all does not bear.
    side_data: Any = first.side_data
    if Type.MASTERING_DISPLAY_METADATA in side_data:
        text = _display(bytes(memoryview(side_data[Type.MASTERING_DISPLAY_METADATA])))
        notes |= {} if text is None else {MASTERING_DISPLAY: text}
    if Type.CONTENT_LIGHT_LEVEL in side_data:
        most, mean = struct.unpack_from("=2I", bytes(memoryview(side_data[Type.CONTENT_LIGHT_LEVEL])))
        notes[CONTENT_LIGHT] = f"{most},{mean}"
    return notes


def takes_hdr(codec: MovieCodec) -> bool:
    """Whether a codec's own stream can say it."""
    return codec.encoder in _OPTION


def hdr_options(codec: MovieCodec, options: Mapping[str, str], metadata: Mapping[str, str]) -> dict[str, str]:
    """The encoder's option that says it, joined to what that option holds already; empty if there is nothing to say."""
    if not takes_hdr(codec):
        return {}
    option, display, light = _OPTION[codec.encoder]
    said = [(display, metadata.get(MASTERING_DISPLAY)), (light, metadata.get(CONTENT_LIGHT))]
    words = [f"{key}={value}" for key, value in said if value is not None]
    return {option: ":".join([*filter(None, [options.get(option)]), *words])} if words else {}


def _display(data: bytes) -> str | None:
    """AVMasteringDisplayMetadata: ten fractions (primaries of R, G, B, white, least and most light), two flags."""
    numbers = struct.unpack_from("=22i", data)
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    values = [a / b for a, b in zip(numbers[:20:2], numbers[1:20:2], strict=True)]
    red, green, blue, white = (
        f"({round(values[i] * _XY_STEPS)},{round(values[i + 1] * _XY_STEPS)})" for i in (0, 2, 4, 6)
    )
    least, most = (round(value * _LIGHT_STEPS) for value in values[8:])
    return f"G{green}B{blue}R{red}WP{white}L({most},{least})"
