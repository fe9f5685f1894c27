"""Where a media reference's files are: `target_url` and `target_url_base` as paths, and paths as URLs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from vfxswap.errors import UsageError

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
"""Two letters at least: one and a colon is a drive of Windows."""
_PRINTF = re.compile(r"%(0\d{1,2}d|d(?![0-9A-Fa-f]))")
"""A place for the frame number, which is no escape of a URL, though `%04` looks like one."""
_FAR = 2
"""Folders up to a neighbour; what is further away, or in another tree, does not move along."""


def path_of(url: str, folder: Path) -> Path:
    """The file that a URL names.

    Args:
        url: `file:///...`, a path, or a path relative to the timeline's folder; with or without escapes.
        folder: Of the timeline.

    Raises:
        UsageError: It is of another scheme, or on another machine.
    """
    if not _SCHEME.match(url):
        plain = folder / url
        return plain if "%" not in url or plain.exists() else folder / _unescaped(url)
    parts = urlsplit(url)
    if parts.scheme.lower() != "file":
        raise UsageError(f"its media is at {url}; only files can be read: fetch it, and name it with [shot] plate")
    if parts.netloc not in {"", "localhost"}:
        if os.name == "nt":
            return Path(_unescaped(f"//{parts.netloc}{parts.path}"))
        raise UsageError(f"its media is on the machine {parts.netloc} ({url}); name it here with [shot] plate")
    # Neither ? nor # is escaped by all who write such URLs, and neither means anything else in a file's.
    rest = url.split(":", 1)[1]
    path = _unescaped(rest.removeprefix("//").removeprefix(parts.netloc))
    drive = re.match(r"^/+([A-Za-z]:[/\\].*)$", path)
    return Path(drive[1]) if drive and os.name == "nt" else folder / path


def is_relative(url: str) -> bool:
    """Whether what a URL means depends on the timeline's folder."""
    return not _SCHEME.match(url) and not Path(url).is_absolute()


def url_of(path: Path, folder: Path) -> str:
    """A URL of a file: relative to a folder if it is in it or beside it, so that both may be moved together."""
    here, there = folder.resolve(), path.resolve()
    ups = len(here.parts) - sum(a == b for a, b in zip(here.parts, there.parts, strict=False))
    if ups > _FAR or ups == len(here.parts) - 1:
        return path.absolute().as_uri()
    return quote(os.path.relpath(there, here).replace(os.sep, "/"))


def _unescaped(text: str) -> str:
    return unquote(_PRINTF.sub(lambda match: f"%25{match[1]}", text))
