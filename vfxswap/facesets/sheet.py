"""A contact sheet: many faces at once, in an order that shows what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vfxswap.errors import MediaError, UsageError
from vfxswap.faceset import FaceRecord, Faceset
from vfxswap.facesets.drawing import FAINT, GREY, RED, Canvas, Pixels

ORDERS: Mapping[str, Callable[[FaceRecord], Any]] = {
    "source": lambda face: (face.source, face.frame),
    "yaw": lambda face: face.yaw,
    "pitch": lambda face: face.pitch,
    "roll": lambda face: face.roll,
    "sharpness": lambda face: face.sharpness,
    "brightness": lambda face: face.brightness,
    "key": lambda face: face.key_right_stops,
    "warmth": lambda face: face.warmth_stops,
    "similarity": lambda face: 2.0 if face.similarity is None else face.similarity,
}
"""What a sheet may be sorted by."""
_SHOWN: Mapping[str, Callable[[FaceRecord], str]] = {
    "yaw": lambda face: f"yaw {face.yaw:+.0f}°",
    "pitch": lambda face: f"pitch {face.pitch:+.0f}°",
    "roll": lambda face: f"roll {face.roll:+.0f}°",
    "sharpness": lambda face: f"sharp {face.sharpness:.2g}",
    "brightness": lambda face: f"luma {face.brightness:.2f}",
    "key": lambda face: f"key {face.key_right_stops:+.1f}",
    "warmth": lambda face: f"warm {face.warmth_stops:+.1f}",
    "similarity": lambda face: "" if face.similarity is None else f"like {face.similarity:.2f}",
}
_GAP_PX, _TEXT_PX, _HEAD_PX = 6, 34, 56


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was drawn."""

    path: Path
    shown: int
    unreadable: tuple[str, ...]
    """Why faces could not be shown."""


def contact_sheet(
    faceset: Faceset, path: Path, *, by: str = "source", columns: int = 12, tile_px: int = 128, most: int = 240
) -> Sheet:
    """Draws the faces of a faceset.

    Args:
        faceset: Whose.
        path: The picture, PNG or JPEG.
        by: What to sort by, a name of `ORDERS`.
        columns: Faces in a row.
        tile_px: Side of a face.
        most: Faces on the sheet; of more, as many are taken at equal steps of the order, the first and last among them.

    Raises:
        UsageError: There is no such order, or the faceset is empty.
        MediaError: The picture cannot be written.
    """
    if by not in ORDERS:
        raise UsageError(f"a sheet cannot be sorted by {by!r}; allowed: {', '.join(ORDERS)}")
    if not len(faceset):
        raise UsageError(f"{faceset.folder} holds no faces to show")
    order = sorted(range(len(faceset)), key=lambda i: (ORDERS[by](faceset.records[i]), faceset.records[i].file))
    if len(order) > most:
        order = [order[round(step)] for step in np.linspace(0, len(order) - 1, most)]
    columns = min(columns, len(order))
    width = _GAP_PX + columns * (tile_px + _GAP_PX)
    rows = -(-len(order) // columns)
    canvas = Canvas(max(width, 420), _HEAD_PX + rows * (tile_px + _TEXT_PX + _GAP_PX))
    title = f"{faceset.info.identity or faceset.folder.name}: {len(order)} of {len(faceset)} faces by {by}"
    canvas.text(_GAP_PX * 2, 36, title, size_px=22, bold=True)
    unreadable = []
    for place, index in enumerate(order):
        x = _GAP_PX + place % columns * (tile_px + _GAP_PX)
        y = _HEAD_PX + place // columns * (tile_px + _TEXT_PX + _GAP_PX)
        if (problem := _tile(canvas, (x, y), faceset, index, tile_px)) is not None:
            unreadable.append(problem)
        _caption(canvas, (x, y + tile_px), faceset.records[index], by, tile_px)
    canvas.save(path)
    return Sheet(path, len(order) - len(unreadable), tuple(unreadable))


def _tile(canvas: Canvas, place: tuple[int, int], faceset: Faceset, index: int, tile_px: int) -> str | None:
    """Shows a face; returns why it cannot be shown."""
    try:
        canvas.paste(*place, small(faceset, index, tile_px))
    except MediaError as error:
        canvas.box(*place, tile_px, tile_px, FAINT)
        canvas.text(place[0] + tile_px / 2, place[1] + tile_px / 2, "unreadable", size_px=13, color=RED, at=0.5)
        return str(error)
    return None


def small(faceset: Faceset, index: int, size_px: int) -> Pixels:
    """A face at another size.

    Raises:
        MediaError: It cannot be read.
    """
    image = faceset.image(index).permute(1, 2, 0).numpy()[..., ::-1]
    shrunk = cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA)
    pixels: Pixels = (shrunk.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels


def _caption(canvas: Canvas, place: tuple[int, int], face: FaceRecord, by: str, width_px: int) -> None:
    name = f"{Path(face.source).stem} {face.frame}"
    while len(name) > 4 and canvas.text_width(name, size_px=12) > width_px:
        name = f"…{name[2:]}"
    canvas.text(place[0], place[1] + 14, name, size_px=12, color=GREY)
    shown = _SHOWN[by](face) if by in _SHOWN else f"{_SHOWN['yaw'](face)} {_SHOWN['pitch'](face)}"
    size = next((px for px in (12, 11, 10) if canvas.text_width(shown, size_px=px) <= width_px), 9)
    canvas.text(place[0], place[1] + 28, shown, size_px=size)
