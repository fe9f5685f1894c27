"""Cuts as OpenTimelineIO keeps them: which frames of which plates a clip shows, and results written back beside them.

The only place that imports opentimelineio; whoever needs it imports this when a timeline is named.
"""

from vfxswap.timeline.clips import Clip, Placed, Retime, find_clip, placed
from vfxswap.timeline.edited import Edited, read_edit
from vfxswap.timeline.reading import RESULT_KEY, read_clips
from vfxswap.timeline.results import Footage, Result, add_new, add_result, results_in, timeline_problem

__all__ = [
    "RESULT_KEY",
    "Clip",
    "Edited",
    "Footage",
    "Placed",
    "Result",
    "Retime",
    "add_new",
    "add_result",
    "find_clip",
    "placed",
    "read_clips",
    "read_edit",
    "results_in",
    "timeline_problem",
]
