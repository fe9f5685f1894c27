"""The curve of a training on disk: a line of JSON a step, and TensorBoard's own files where that is installed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vfxswap.faceset.pictures import decoded
from vfxswap.files import whole
from vfxswap.trained import CurvePoint

NAME = "curve.jsonl"
_POINTS = 64
_DIGITS = 7
_OFTEN = 20
"""So many steps are written at once."""


class Curve:
    """Writes the curve; what a broken-off run wrote after its last checkpoint is taken back.

    Args:
        folder: Of the training.
        step: Steps that are done.
        writes: Whether this process does; several train together.
    """

    def __init__(self, folder: Path, step: int, *, writes: bool = True) -> None:
        self._path = folder / NAME
        self._lines: list[str] = []
        self._writes = writes
        self._losses: list[tuple[int, float]] = []
        self._board = _board(folder / "tensorboard", step) if writes else None
        if writes:
            kept = [row for row in _rows(self._path) if row.get("step", step + 1) <= step]
            self._losses = [(row["step"], row["loss"]) for row in kept if "loss" in row]
            with whole(self._path) as temporary:
                temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
            self._size = self._path.stat().st_size

    def add(self, step: int, parts: Mapping[str, float]) -> None:
        """Takes a step's losses."""
        if not self._writes:
            return
        row = {"step": step, **{name: float(f"{value:.{_DIGITS}g}") for name, value in parts.items()}}
        if "loss" in row:
            self._losses.append((step, row["loss"]))
        self._lines.append(json.dumps(row) + "\n")
        if len(self._lines) >= _OFTEN:
            self._write()
        if self._board is not None:
            with suppress(OSError):
                for name, value in parts.items():
                    self._board.add_scalar(f"loss/{name}", value, step)

    def preview(self, step: int, path: Path, scores: Mapping[str, float]) -> None:
        """Takes a preview picture and its scores."""
        if self._board is None:
            return
        picture = decoded(path)
        with suppress(OSError):
            for name, value in scores.items():
                self._board.add_scalar(f"held out psnr/{name}", value, step)
            self._board.add_image("preview", picture[:, :, ::-1].copy(), step, dataformats="HWC")

    def points(self) -> tuple[CurvePoint, ...]:
        """The curve in few numbers: means over equal parts."""
        if not self._losses:
            return ()
        width = max(1, len(self._losses) // _POINTS)
        parts = [self._losses[start : start + width] for start in range(0, len(self._losses), width)]
        return tuple(
            CurvePoint(iteration=part[-1][0], loss=float(f"{sum(loss for _, loss in part) / len(part):.6g}"))
            for part in parts
        )

    def flush(self) -> None:
        """Writes what is buffered; what a full disk does not take is tried again the next time."""
        self._write()
        with suppress(OSError):
            if self._board is not None:
                self._board.flush()

    def _write(self) -> None:
        data = "".join(self._lines).encode()
        if not data:
            return
        try:
            with self._path.open("ab") as file:
                file.write(data)
        except OSError:
            with suppress(OSError):
                os.truncate(self._path, self._size)  # what was written of it is torn
        else:
            self._size += len(data)
            self._lines.clear()

    def close(self) -> None:
        """Ends the files."""
        self._write()
        with suppress(OSError):
            if self._board is not None:
                self._board.close()


def _rows(path: Path) -> list[dict[str, Any]]:
    """Whole lines of a curve; a torn last one is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, or None where it is not installed (extra `train`); what came after a step is taken back."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
