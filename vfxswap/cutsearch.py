"""Where the shots of a plate start, found as a run finds them, and nothing else done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, cast

import torch

from vfxswap.chunks import Batches, spans_to_compute
from vfxswap.conveyor import ReadAhead
from vfxswap.crops import View
from vfxswap.drivers import Shot
from vfxswap.drivers.time import HOW_CUT, Cuts, Thumbnails
from vfxswap.line import Meter, Station, carry, reach
from vfxswap.ops.cut import Kind
from vfxswap.pipeline.plate import OpenedPlate
from vfxswap.workers import cores, worker_pool

_DECODED_FRAMES: Final = 8


@dataclass(frozen=True, slots=True)
class NewShot:
    """A frame with which a new shot starts."""

    frame: int
    how: Kind | Literal["hole"]
    """At once (`cut`), in the middle of a dissolve, after black, or behind frames that are missing."""


def find_cuts(opened: OpenedPlate, told: Callable[[int, int], None] | None = None) -> Iterator[NewShot]:
    """Looks at the frames that are asked for, and finds what a run with `cuts = "auto"` would find.

    Args:
        opened: The plate. Where its table gives cuts itself, these are looked past.
        told: Is told frames done and frames in all.

    Raises:
        TruncatedPlate: It breaks off.
        MediaError: It cannot be decoded.
    """
    info, numbers = opened.info, opened.frames
    if opened.tags is None:
        raise AssertionError("a plate without colours is among the problems of its file")
    view = View(opened.tags, info.rotation, torch.device("cpu"), opened.colors.face)
    shot = Shot(view, info.first, info.last)
    stations = [Station("thumbnails", "vfxswap", Thumbnails(shot)), Station("cuts", "vfxswap", Cuts())]
    wanted, meter, done, workers = frozenset(numbers), Meter(), 0, cores()
    with opened.reader.opened(opened.shot.plate, opened.shot.layer) as reader, worker_pool(workers) as pool:
        for first, last in spans_to_compute(numbers, info.first, info.last, reach(stations)):
            with ReadAhead(reader.frames(first, last), depth=_DECODED_FRAMES, name="decode") as frames:
                batches = Batches(frames)
                for batch in carry(batches, stations, wanted=wanted, pool=pool, ahead=workers + 1, meter=meter):
                    for frame in batch:
                        if frame.number in wanted:
                            done += 1
                            if frame.cut_before:
                                yield NewShot(frame.number, cast("Kind | Literal['hole']", frame.props[HOW_CUT]))
                    if told is not None:
                        told(done, len(numbers))
            if batches.broken is not None:
                raise batches.broken
