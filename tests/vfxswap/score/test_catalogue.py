"""The scores' names, and how frames make a shot."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfxswap.score import METRICS


def test_psnr_is_pooled_by_its_error() -> None:
    assert METRICS["psnr_db"].pooled([20.0, 20.0]) == pytest.approx(20)
    assert METRICS["psnr_db"].pooled([10.0, 120.0]) == pytest.approx(13.0103, abs=1e-4)


def test_ratios_are_pooled_evenly() -> None:
    assert METRICS["sharpness"].pooled([0.5, 2.0]) == pytest.approx(1)
    assert METRICS["flicker_codes"].pooled([3.0, 4.0]) == pytest.approx(12.5**0.5)
    assert METRICS["ssim"].pooled([0.5, 1.0]) == 0.75


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("psnr_db", 40.0, 30.0),
        ("ms_gmsd", 0.1, 0.2),
        ("sharpness", 0.9, 0.8),
        ("sharpness", 0.9, 1.3),
        ("lag_frames", -0.5, 1.0),
    ],
)
def test_badness_grows_as_a_score_gets_worse(name: str, better: float, worse: float) -> None:
    metric = METRICS[name]
    assert metric.badness(metric.perfect) <= metric.badness(better) < metric.badness(worse)


def test_every_score_is_documented(repo: Path) -> None:
    page = (repo / "docs" / "scores.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert rows == set(METRICS)
