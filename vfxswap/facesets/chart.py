"""The coverage chart: a picture to look at before training, and to send to who shoots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfxswap.errors import MediaError
from vfxswap.facesets.coverage import SCALES, Coverage, Gap, Scale
from vfxswap.facesets.drawing import BLUE, FAINT, GREEN, GREY, INK, ORANGE, PAPER, RED, Canvas, Color
from vfxswap.facesets.maps import FEW, Cell, Map
from vfxswap.facesets.sheet import small

_WIDTH, _MARGIN = 1680, 40
_TOLD, _ROW_PX, _LINE_PX, _FACE_PX = 8, 92, 48, 80
_CELL_PX = 84.0
_MAP_PX = 700
_BARS = 40
_LABEL_PX = 44
"""Width of a cell that has room for its own label."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a map's cells are drawn."""

    x: float
    y: float
    columns: range
    rows: range

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell."""
        width = min(_CELL_PX, _MAP_PX / len(self.columns))
        return width, min(0.55 * width, 40.0)

    def of(self, cell: Cell) -> tuple[float, float]:
        """Top left corner of a cell."""
        return (
            self.x + (cell[0] - self.columns.start) * self.cell[0],
            self.y + (cell[1] - self.rows.start) * self.cell[1],
        )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return len(self.columns) * self.cell[0], len(self.rows) * self.cell[1]


def draw_chart(found: Coverage, path: Path) -> None:
    """Draws a comparison as PNG or JPEG.

    Args:
        found: The comparison.
        path: The picture.

    Raises:
        UsageError: Its name ends in something else.
        MediaError: It cannot be written.
    """
    told = found.gaps[:_TOLD]
    pose, light = _place(found.pose, _MARGIN + 60), _place(found.light, _WIDTH / 2 + 100)
    scales_y = 260 + max(pose.size[1], light.size[1])
    told_y = scales_y + 170
    canvas = Canvas(_WIDTH, round(told_y + 80 + sum(_row_px(gap) for gap in told)))
    _title(canvas, found)
    canvas.text(_MARGIN, 148, "Where the head looks, as seen in the image: yaw across, pitch down", bold=True)
    _map(canvas, found.pose, pose, ("left", "right"), lambda value: f"{value:+.0f}°")
    canvas.text(_WIDTH / 2 + 40, 148, "Light in stops: right over left across, top over bottom down", bold=True)
    _map(
        canvas, found.light, light, ("lit from left", "lit from right"), lambda value: f"{value:+.1f}" if value else "0"
    )
    width = (_WIDTH - 2 * _MARGIN - (len(SCALES) - 1) * 40) / len(SCALES)
    for place, scale in enumerate(SCALES):
        _scale(canvas, found, scale, (_MARGIN + place * (width + 40), scales_y, width))
    _words(canvas, found, told, told_y)
    canvas.save(path)


def _title(canvas: Canvas, found: Coverage) -> None:
    plate, identity, share = found.plate, found.identity, found.covered["all"]
    canvas.text(_MARGIN, 56, f"{plate.name} × {identity.name}", size_px=30, bold=True)
    words = f"{len(plate)} faces of the plate, {len(identity)} of the identity"
    canvas.text(_MARGIN, 86, words, size_px=17, color=GREY)
    canvas.text(_WIDTH - _MARGIN, 60, f"{share:.0%} covered", size_px=34, bold=True, color=_good(share), at=1)
    parts = "   ".join(f"{name} {part:.0%}" for name, part in found.covered.items() if name != "all")
    canvas.text(_WIDTH - _MARGIN, 88, parts, size_px=16, color=GREY, at=1)
    x: float = _MARGIN
    for color, name in (
        (GREEN, "plate, covered"),
        (RED, f"plate, fewer than {FEW} of the identity near"),
        (FAINT.mixed(ORANGE, 0.35), "identity alone"),
    ):
        canvas.box(x, 102, 14, 14, color)
        canvas.text(x + 20, 115, name, size_px=14, color=GREY)
        x += 40 + canvas.text_width(name, size_px=14)
    canvas.text(x, 115, "numbers: faces of the plate / of the identity", size_px=14, color=GREY)


def _good(share: float) -> Color:
    return RED.mixed(GREEN, max(0.0, min(1.0, 2 * share - 0.8)))


def _place(found: Map, x: float) -> _Place:
    return _Place(x, 170, _span(found, 0, least=3), _span(found, 1, least=2))


def _span(found: Map, axis: int, *, least: int) -> range:
    """Cells along an axis, with nothing in the middle of it left out."""
    places = [cell[axis] for cell in found.near]
    return range(min(-least, *places, 0), max(least, *places, 0) + 1)


def _map(canvas: Canvas, found: Map, place: _Place, ends: tuple[str, str], said: Callable[[float], str]) -> None:
    most = max(len(faces) for faces in found.plate.values())
    width, height = place.cell
    for cell in ((x, y) for y in place.rows for x in place.columns):
        x, y = place.of(cell)
        plate, identity = len(found.plate.get(cell, ())), found.identity.get(cell, 0)
        canvas.box(x + 1, y + 1, width - 2, height - 2, _cell_color(found, cell, plate / most))
        if plate or identity:
            bright = plate > 0 and (plate / most) ** 0.5 > 0.45
            color = PAPER if bright else INK
            text = f"{plate}/{identity}" if plate else f"/{identity}"
            size = next((px for px in (13, 11, 10) if canvas.text_width(text, size_px=px) < width - 4), 9)
            canvas.text(x + width / 2, y + height / 2 + 5, text, size_px=size, color=color, at=0.5)
    _axes(canvas, found, place, ends, said)


def _cell_color(found: Map, cell: Cell, share: float) -> Color:
    if cell in found.plate:
        strong = RED if found.near[cell] < FEW else GREEN
        return PAPER.mixed(strong, 0.3 + 0.7 * share**0.5)
    if found.identity.get(cell, 0):
        return FAINT.mixed(ORANGE, 0.35)
    return FAINT.mixed(PAPER, 0.55)


def _axes(canvas: Canvas, found: Map, place: _Place, ends: tuple[str, str], said: Callable[[float], str]) -> None:
    total = place.size
    below = place.y + total[1]
    for column in place.columns:
        if place.cell[0] < _LABEL_PX and column % 2:
            continue
        x = place.of((column, 0))[0] + place.cell[0] / 2
        canvas.text(x, below + 18, said(column * found.step) if column else "0", size_px=13, color=GREY, at=0.5)
    for row in place.rows:
        y = place.of((0, row))[1] + place.cell[1] / 2
        canvas.text(place.x - 8, y + 5, said(row * found.step) if row else "0", size_px=13, color=GREY, at=1)
    canvas.text(place.x, below + 40, f"← {ends[0]}" if canvas.fine else f"<- {ends[0]}", size_px=14, color=GREY)
    right = f"{ends[1]} →" if canvas.fine else f"{ends[1]} ->"
    canvas.text(place.x + total[0], below + 40, right, size_px=14, color=GREY, at=1)
    x, y = place.of((0, 0))
    canvas.frame(x, y, *place.cell, GREY)


def _scale(canvas: Canvas, found: Coverage, scale: Scale, place: tuple[float, float, float]) -> None:
    """Two histograms of one scale: the plate's upwards, the identity's downwards."""
    x, y, width = place
    sides = [[value for value in scale.values(side) if value is not None] for side in (found.plate, found.identity)]
    canvas.text(x, y, scale.title, bold=True)
    values = [value for side in sides for value in side]
    if not values:
        canvas.text(x, y + 40, "not known of these landmarks", size_px=14, color=GREY)
        return
    low, high = min(values), max(values)
    if high - low < scale.reach:
        low, high = low - scale.reach / 2, high + scale.reach / 2
    middle, tall, bar = y + 66.0, 46.0, width / _BARS
    lacking = {face for gap in found.gaps if gap.kind == scale.kind for face in gap.faces}
    missing = [value for face, value in enumerate(scale.values(found.plate)) if face in lacking and value is not None]
    heights = [np.histogram(side, _BARS, (low, high))[0] for side in (*sides, missing)]
    for index in range(_BARS):
        for count, total, color, up in (
            (heights[0][index], max(heights[0]), GREEN, True),
            (heights[2][index], max(heights[0]), RED, True),
            (heights[1][index], max(heights[1]), ORANGE, False),
        ):
            part = tall * float(count) / max(float(total), 1.0)
            if count:
                canvas.box(x + index * bar, middle - part if up else middle + 2, bar - 1, max(part, 1.5), color)
    canvas.line(x, middle, x + width, middle, GREY)
    canvas.text(x, middle + tall + 22, f"{low:.2f}", size_px=13, color=GREY)
    canvas.text(x + width, middle + tall + 22, f"{high:.2f}", size_px=13, color=GREY, at=1)
    canvas.text(x + width - 70, y, "plate", size_px=14, color=GREEN, at=1)
    canvas.text(x + width, y, "identity", size_px=14, color=ORANGE, at=1)


def _words(canvas: Canvas, found: Coverage, told: Sequence[Gap], top: float) -> None:
    """The findings, each with a face of the plate that shows what is meant."""
    canvas.line(_MARGIN, top, _WIDTH - _MARGIN, top, FAINT, 2)
    heading = "What is missing" if told else "Nothing that the plate shows is missing"
    canvas.text(_MARGIN, top + 36, heading, size_px=22, bold=True)
    if len(found.gaps) > len(told):
        words = f"the first {len(told)} of {len(found.gaps)}; the rest is in the words and in the JSON"
        canvas.text(_WIDTH - _MARGIN, top + 36, words, size_px=14, color=GREY, at=1)
    y, x = top + 56, _MARGIN + _FACE_PX + 20
    for gap in told:
        if gap.frames:
            _example(canvas, found, gap, (_MARGIN, round(y)))
        color = RED if gap.frames and len(gap.faces) > 0.1 * len(found.plate) else ORANGE
        canvas.box(x, y + 4, 4, _row_px(gap) - 20, color)
        lines = canvas.wrapped(gap.words, _WIDTH - _MARGIN - x - 20, size_px=17)[:3]
        for number, line in enumerate(lines):
            canvas.text(x + 16, y + 24 + 23 * number, line, size_px=17)
        if gap.frames and len(lines) < 3:
            canvas.text(x + 16, y + 24 + 23 * len(lines), gap.frames, size_px=14, color=BLUE)
        y += _row_px(gap)


def _row_px(gap: Gap) -> int:
    return _ROW_PX if gap.frames else _LINE_PX


def _example(canvas: Canvas, found: Coverage, gap: Gap, place: tuple[int, int]) -> None:
    """The middle one of the faces that a gap is about."""
    faceset = found.plate.facesets[0]
    try:
        canvas.paste(*place, small(faceset, gap.faces[len(gap.faces) // 2], _FACE_PX))
    except MediaError:
        canvas.box(*place, _FACE_PX, _FACE_PX, FAINT)
