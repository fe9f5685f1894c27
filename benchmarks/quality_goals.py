"""The figures that the pictures are to reach, held against what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Scores = Mapping[str, float]
Found = Mapping[str, Mapping[str, Scores]]
"""Scores by shot and by pipeline."""

FRONTAL = ("demo", "talk")
"""Shots in which the face looks about into the camera."""
_NAMES = ("goal", "on", "wanted", "got", "reached")


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure."""

    what: str
    shot: str
    got: float
    low: float
    high: float

    def row(self) -> list[str]:
        """As the page shows it."""
        wanted = f"at most {figure(self.high)}" if self.low == float("-inf") else f"{self.low:g} to {self.high:g}"
        reached = "yes" if self.low <= self.got <= self.high else "no"
        return [self.what, self.shot, wanted, figure(self.got), reached]


def goals(found: Found) -> list[list[str]]:
    """Rows of a table, of those goals whose shots and pipelines were measured."""
    return [list(_NAMES), *(goal.row() for goal in _goals(found))]


def _goals(found: Found) -> Iterator[Goal]:
    least = float("-inf")
    for shot, scores in found.items():
        ours, plate, truth = (scores.get(name, {}) for name in ("default", "plate", "truth"))
        if not ours:
            continue
        if shot in FRONTAL:
            part = 10 ** ((plate["psnr_db"] - ours["psnr_db"]) / 10)
            yield Goal("error inside, over the plate's own", shot, part, least, 0.25)
            flicker = ours["plate_flicker_codes"] / truth["plate_flicker_codes"]
            yield Goal("flicker against the plate, over the truth's", shot, flicker, least, 1.3)
        yield Goal("colour difference in the ring (CIEDE2000)", shot, ours["ring_ciede2000"], least, 1.5)
    yield from _steadied(found)
    for shot in ("grain", "demo", "talk"):
        if "default" in found.get(shot, {}):
            yield Goal("grain, over the truth's", shot, found[shot]["default"]["grain"], 0.85, 1.15)


def _steadied(found: Found) -> Iterator[Goal]:
    least = float("-inf")
    for shot, scores in found.items():
        if {"tremble", "tremble-raw"} <= set(scores):
            pair = [scores[name] for name in ("tremble", "tremble-raw")]
            for score in ("flicker_codes", "tone_flicker_codes"):
                part = pair[0][score] / pair[1][score]
                yield Goal(f"{score} of a trembling face, steadied over not", shot, part, least, 0.5)
        if {"default", "no-deflicker"} <= set(scores):
            loss = 1 - scores["default"]["sharpness"] / scores["no-deflicker"]["sharpness"]
            yield Goal("sharpness lost by flow-deflicker", shot, loss, least, 0.03)
            part = scores["default"]["tone_flicker_codes"] / scores["no-deflicker"]["tone_flicker_codes"]
            yield Goal("tone_flicker_codes of a steady face, with over without", shot, part, least, 1.0)
        if "lag_frames" in scores.get("default", {}):
            yield Goal("lag in frames", shot, abs(scores["default"]["lag_frames"]), least, 0.1)


def figure(value: float) -> str:
    """Four digits at most."""
    return f"{value:.3f}" if abs(value) < 1.5 else f"{value:.2f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
