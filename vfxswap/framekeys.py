"""What each frame of a delivery is made of, so that only those are made again whose part of the plate has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from vfxswap.assembly import declared_reach
from vfxswap.crops import View
from vfxswap.drivers import Shot, driver_for
from vfxswap.errors import FrameFailed, VfxswapError
from vfxswap.host import Host
from vfxswap.journal import FrameKey
from vfxswap.pipeline import Pipeline, PlannedStage
from vfxswap.pipeline.key import PlateKeys
from vfxswap.stage import Setting, Span


class FrameKeys(Mapping[int, FrameKey]):
    """The keys of a pipeline's frames: all settings, and of the plate what the frame's windows reach.

    Where a stage surveys the shot, or a tracker follows faces through all of it, every frame depends on the surveyed
    ones too.

    Args:
        plan: The pipeline.
        host: The plugins.

    Raises:
        FrameFailed: A stage cannot be made.
    """

    def __init__(self, plan: Pipeline, host: Host) -> None:
        self._plan, self._plate = plan, PlateKeys(plan)
        self._reach = declared_reach(plan, host)
        surveyed = {near for number in set(_surveyed(plan)) for near in _around(number, self._reach)}
        self._shot = f"+{self._plate.of(sorted(surveyed))}" if surveyed else ""

    def __getitem__(self, number: int) -> FrameKey:
        if number not in self._plan.frames:
            raise KeyError(number)
        return FrameKey(self._plan.settings_key, self._plate.of(_around(number, self._reach)) + self._shot)

    def __iter__(self) -> Iterator[int]:
        return iter(self._plan.frames)

    def __len__(self) -> int:
        return len(self._plan.frames)


def _around(number: int, reach: Span) -> range:
    return range(number - reach.behind, number + reach.ahead + 1)


def _surveyed(plan: Pipeline) -> Iterator[int]:
    """The frames that are looked at before the run."""
    cpu = torch.device("cpu")
    plate = plan.plate
    shot = Shot(View(plan.tags, plate.rotation, cpu, plan.face), plate.first, plate.last)
    setting = Setting(
        device=cpu,
        models=plan.store,
        width=plate.width,
        height=plate.height,
        first=plate.first,
        last=plate.last,
        identities=dict(plan.identities),
        display=plate.display,
    )
    if plan.edits:
        yield from range(plate.first, plate.last + 1)  # they are held against the faces of all of it
    for planned in plan.stages:
        yield from _surveyed_by(planned, setting, shot)


def _surveyed_by(planned: PlannedStage, setting: Setting, shot: Shot) -> Iterator[int]:
    try:
        stage: Any = planned.cls(planned.options, setting)
        yield from driver_for(stage, shot, setting.identities).survey_frames()
    except VfxswapError:
        raise
    except Exception as error:  # the host's boundary to plugins
        raise FrameFailed(stage=planned.name, owner=planned.owner, frames=(), cause=error) from error
