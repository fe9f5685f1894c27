"""The scores by name: what each is taken against, which way is better, and how frames make a shot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vfxswap.score.fidelity import decibels

Reference = Literal["truth", "plate", "landmarks", "eyes"]
Best = Literal["highest", "lowest", "one", "zero"]
Pool = Literal["decibels", "mean", "rms", "ratio", "shot"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One score."""

    name: str
    """As it stands in results; units are in it where there is one."""
    against: Reference
    """What must be there for it."""
    best: Best
    """Which way is better: higher, lower, nearer to 1, nearer to 0."""
    perfect: float
    """The score of a result that equals what it is taken against."""
    pool: Pool
    """How frames make a shot: PSNR of the mean error, mean, root mean square, geometric mean; or of the whole shot."""
    says: str
    """What it is, in a line."""

    def pooled(self, values: Sequence[float]) -> float:
        """The shot's score of its frames' (at least one)."""
        count = len(values)
        if self.pool == "decibels":
            return decibels(math.fsum(10 ** (-value / 10) for value in values) / count)
        if self.pool == "rms":
            return math.sqrt(math.fsum(value**2 for value in values) / count)
        if self.pool == "ratio":
            return math.exp(math.fsum(math.log(value) for value in values) / count)
        return math.fsum(values) / count

    def badness(self, value: float) -> float:
        """Grows as a score gets worse; comparable within this metric alone."""
        if self.best == "one":
            return abs(math.log(value))
        return {"highest": -value, "lowest": value, "zero": abs(value)}[self.best]


def _metric(name: str, against: Reference, best: Best, pool: Pool, says: str) -> Metric:
    perfect = {"one": 1.0, "zero": 0.0, "lowest": 0.0, "highest": 120.0 if pool == "decibels" else 1.0}[best]
    return Metric(name, against, best, perfect, pool, says)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric("psnr_db", "truth", "highest", "decibels", "peak signal-to-noise ratio inside the matte"),
        _metric("ssim", "truth", "highest", "mean", "structural similarity inside the matte"),
        _metric("ms_gmsd", "truth", "lowest", "mean", "unevenness of edges' error inside the matte"),
        _metric("ciede2000", "truth", "lowest", "mean", "colour difference of pixels inside the matte"),
        _metric("tone_ciede2000", "truth", "lowest", "mean", "colour difference of light and tone, without detail"),
        _metric("ring_psnr_db", "truth", "highest", "decibels", "PSNR in a ring around the matte"),
        _metric("ring_ssim", "truth", "highest", "mean", "structural similarity in the ring"),
        _metric("ring_ms_gmsd", "truth", "lowest", "mean", "unevenness of edges' error in the ring"),
        _metric("ring_ciede2000", "truth", "lowest", "mean", "colour difference in the ring"),
        _metric("seam_codes", "truth", "lowest", "rms", "height of a step along the matte's border"),
        _metric("sharpness", "truth", "one", "ratio", "detail inside the matte, result over truth"),
        _metric("grain", "truth", "one", "ratio", "grain inside the matte, result over truth"),
        _metric("flicker_codes", "truth", "lowest", "rms", "error of pixels' change from frame to frame"),
        _metric("tone_flicker_codes", "truth", "lowest", "rms", "error of light and tone's change from frame to frame"),
        _metric("flicker_ratio", "truth", "one", "ratio", "change that motion does not explain, result over truth"),
        _metric("lag_frames", "truth", "zero", "shot", "how late changes of light come"),
        _metric(
            "landmark_error_percent", "landmarks", "lowest", "mean", "distance of landmarks, of the eyes' distance"
        ),
        _metric(
            "expression_error_percent",
            "eyes",
            "lowest",
            "mean",
            "distance of landmarks that are found in both",
        ),
        _metric("plate_ring_psnr_db", "plate", "highest", "decibels", "PSNR to the plate in the ring"),
        _metric("plate_seam_codes", "plate", "lowest", "rms", "how steeply the change begins at the border"),
        _metric("plate_sharpness", "plate", "one", "ratio", "detail inside the matte, result over plate"),
        _metric("plate_grain", "plate", "one", "ratio", "grain inside the matte, result over plate"),
        _metric("plate_flicker_codes", "plate", "lowest", "rms", "change of pixels that the plate does not make"),
        _metric("plate_tone_flicker_codes", "plate", "lowest", "rms", "change of tone that the plate does not make"),
        _metric("plate_lag_frames", "plate", "zero", "shot", "how late changes of light come after the plate's"),
    )
}
"""All scores by name, in the order in which they are told."""
