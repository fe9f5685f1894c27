"""The result, written back to a timeline when the shot is whole."""

from __future__ import annotations

import vfxswap
from vfxswap.clock import FrameRange, Timecode
from vfxswap.files import FramePattern, make_folder
from vfxswap.pipeline import Pipeline


def hand_over(plan: Pipeline) -> str | None:
    """Adds a delivery to the timeline that the pipeline asks for, if all of its frames are there.

    Whoever makes the last frames does it: chunks of a shot that come to their end at different times, on whatever
    machine, need no other order.

    Returns:
        Why the timeline was left alone, for the report; None if it was written, or none is asked for.

    Raises:
        UsageError: A timeline cannot be read, or the clip is no longer in it.
        MediaError: The timeline cannot be written.
    """
    out, edit = plan.delivery_timeline, plan.edit
    if out is None:
        return None
    missing = _missing(plan)
    if missing:
        return f"{out.name} gets the result when all frames are there; still missing: {missing}"
    from vfxswap.timeline import Footage, Result, add_new, add_result  # noqa: PLC0415 - few pipelines have a timeline

    whole, rate = edit.whole, plan.plate.rate
    about = {"pipeline": plan.path.name, "key": plan.key, "version": vfxswap.__version__}
    shown = edit.cut[0] if edit.shown is None else edit.shown
    result = Result(Footage(plan.delivery_path, whole[0], whole[-1], rate), shown, about)
    make_folder(out.parent)
    clip = edit.clip or plan.name
    if edit.timeline is not None:
        add_result(out, clip, result, source=edit.timeline)
    else:
        plate = Footage(plan.plate_path, plan.plate.first, plan.plate.last, rate, _start(plan))
        add_new(out, clip, result, plate=plate, cut=(edit.cut[0], edit.cut[-1]))
    return None


def _missing(plan: Pipeline) -> FrameRange:
    """The frames of the whole shot that are not delivered yet."""
    wanted, files = set(plan.edit.whole) - set(plan.plate.holes), FramePattern(plan.delivery_path)
    if not files.is_numbered:
        return FrameRange.of(wanted - set(plan.frames))
    return FrameRange.of(number for number in wanted if not files.path(number).exists())


def _start(plan: Pipeline) -> int:
    """The plate's first frame in its own time: by timecode, else by number."""
    if plan.plate.timecode is not None:
        return Timecode.parse(plan.plate.timecode, plan.plate.rate).frames
    return plan.plate.first if FramePattern(plan.plate_path).is_numbered else 0
