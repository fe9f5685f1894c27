"""How the command line speaks: results to standard output, complaints to standard error, each in one line."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO


def say(text: str = "") -> None:
    """Writes a line to standard output, now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(problems: Sequence[object]) -> None:
    """Writes what is wrong to standard error, one problem a line."""
    list_problems(problems, sys.stderr)


def list_problems(problems: Sequence[object], stream: TextIO) -> None:
    """Writes problems, one a line; in a terminal long ones are wrapped, in a log they stay whole for searching."""
    stream.writelines(_wrapped(f"error: {problem}", stream) + "\n" for problem in problems)
    if len(problems) > 1:
        stream.write(f"{len(problems)} problems; nothing was started\n")
    stream.flush()


def _wrapped(text: str, stream: TextIO) -> str:
    if not stream.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, 40)
    lines = [
        textwrap.fill(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Lines of text in columns as wide as their widest entry; the last one is ragged."""
    table = [list(row) for row in rows]
    if not table:
        return []
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]) - 1)]
    return [
        indent + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in table
    ]
