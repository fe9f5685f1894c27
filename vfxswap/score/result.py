"""What a movie scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vfxswap.errors import UsageError
from vfxswap.score.catalogue import METRICS


@dataclass(frozen=True, slots=True)
class References:
    """What a result is held against; at least a truth or a plate."""

    truth: Path | None = None
    """What a perfect swap would be: a movie or sequence."""
    plate: Path | None = None
    """The original."""
    matte: Path | None = None
    """What is replaced: a folder of pictures, or a movie. Without it, what differs from the plate."""
    tracks: Path | None = None
    """Tracks file of the true landmarks."""

    @classmethod
    def of(cls, folder: Path) -> References:
        """What is in a folder as `vfxswap lab shot` writes it.

        `truth.*` or `*_truth.*`, `plate.*` or the same name without `_truth`, `mattes`, `tracks.json`; all but the
        truth may be missing.

        Raises:
            UsageError: There is no such folder, or not one truth in it.
        """
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}; name one as `vfxswap lab shot --out` writes it")
        found = sorted(path for path in folder.iterdir() if path.is_file() and _is_truth(path))
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise UsageError(f"{folder} must hold one truth.* or *_truth.* movie, found {names}")
        (truth,) = found
        plate = truth.with_name("plate" if truth.stem == "truth" else truth.stem.removesuffix("_truth"))
        plate = plate.with_name(plate.name + truth.suffix)
        matte, tracks = folder / "mattes", folder / "tracks.json"
        return cls(
            truth,
            plate if plate.is_file() else None,
            matte if matte.is_dir() else None,
            tracks if tracks.is_file() else None,
        )


def _is_truth(path: Path) -> bool:
    return (path.stem == "truth" or path.stem.endswith("_truth")) and not path.name.startswith(".")


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One frame."""

    number: int
    """As the result counts."""
    values: Mapping[str, float]
    """Scores by name; those of change are of the step from the frame before."""
    notes: tuple[str, ...] = ()
    """Why a score is missing, or not worth much."""


@dataclass(frozen=True, slots=True)
class ShotScore:
    """A whole movie."""

    result: Path
    references: References
    frames: tuple[FrameScore, ...]
    values: Mapping[str, float]
    """The shot's scores by name, in the order of `METRICS`."""
    missing: Mapping[str, str]
    """Scores that could not be taken, and why."""

    def worst(self, name: str) -> FrameScore | None:
        """The frame with the worst score; None for a score of the shot as a whole.

        Raises:
            UsageError: There is no such score.
        """
        if name not in METRICS:
            raise UsageError(f"there is no score {name!r}; there are {', '.join(METRICS)}")
        scored = [frame for frame in self.frames if name in frame.values]
        return max(scored, key=lambda frame: METRICS[name].badness(frame.values[name]), default=None)

    def described(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "result": str(self.result),
            "references": {
                field.name: None if (path := getattr(self.references, field.name)) is None else str(path)
                for field in fields(References)
            },
            "shot": {name: self._described(name, value) for name, value in self.values.items()},
            "missing": dict(self.missing),
            "frames": [
                {"frame": frame.number, **frame.values, **({"notes": list(frame.notes)} if frame.notes else {})}
                for frame in self.frames
            ],
        }

    def _described(self, name: str, value: float) -> dict[str, Any]:
        metric, worst = METRICS[name], self.worst(name)
        entry: dict[str, Any] = {"value": value, "best": metric.best, "perfect": metric.perfect}
        return entry if worst is None else {**entry, "worst_frame": worst.number, "worst": worst.values[name]}

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(self.described(), indent=1, allow_nan=False)
