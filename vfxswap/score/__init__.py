"""Scores: how good a finished shot is, against the truth where there is one, and against its plate."""

from __future__ import annotations

from vfxswap.score.catalogue import METRICS, Metric
from vfxswap.score.movie import score_movie
from vfxswap.score.result import FrameScore, References, ShotScore

__all__ = ["METRICS", "FrameScore", "Metric", "References", "ShotScore", "score_movie"]
