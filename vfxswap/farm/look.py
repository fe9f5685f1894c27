"""The step before the chunks: what a tracker must see the whole plate for is found once, and not by each chunk."""

from __future__ import annotations

from vfxswap.analysis import read_analysis
from vfxswap.errors import UsageError
from vfxswap.host import Host
from vfxswap.pipeline import Pipeline, finding_stages
from vfxswap.recall import ProgressCallback, analyze, fits_any_device
from vfxswap.stage import Tracker


def wants_analysis(plan: Pipeline) -> bool:
    """Whether each chunk would look at the whole plate, because of a tracker or of edits, and no analysis spares it.

    The kind of device that chunks are going to have need not be known here.
    """
    stages = finding_stages(plan.stages)
    if not stages or not (plan.edits or any(issubclass(stage.cls, Tracker) for stage in stages)):
        return False
    path = plan.analysis_path
    if not path.exists():
        return True
    try:
        there = read_analysis(path)
    except UsageError:
        return False  # whoever runs a chunk is told
    needed = set(range(plan.plate.first, plan.plate.last + 1)) - set(plan.plate.holes)
    return not (fits_any_device(plan, there.head) and there.has(tuple(needed)))


def look(plan: Pipeline, host: Host, *, workers: int | None = None, progress: ProgressCallback | None = None) -> None:
    """Makes the analysis that chunks are going to use, where one is wanted.

    Raises:
        VfxswapError: As `vfxswap.recall.analyze` raises them.
    """
    if wants_analysis(plan):
        analyze(plan, host, workers=workers, progress=progress)
