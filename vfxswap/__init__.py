"""vfxswap: consented, frame-accurate face replacement for film.

What a plugin needs is re-exported here and imported on first use, so that `import vfxswap` is quick and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vfxswap.clock import FrameRange as FrameRange
    from vfxswap.errors import VfxswapError as VfxswapError
    from vfxswap.hookspecs import API_VERSION as API_VERSION
    from vfxswap.hookspecs import MediaOffer as MediaOffer
    from vfxswap.hookspecs import StageOffer as StageOffer
    from vfxswap.hookspecs import hookimpl as hookimpl
    from vfxswap.pipeline import Pipeline as Pipeline
    from vfxswap.render import run as run
    from vfxswap.report import Report as Report

__version__ = "0.1.0"

_HOMES = {
    "API_VERSION": "vfxswap.hookspecs",
    "FrameRange": "vfxswap.clock",
    "MediaOffer": "vfxswap.hookspecs",
    "Pipeline": "vfxswap.pipeline",
    "Report": "vfxswap.report",
    "StageOffer": "vfxswap.hookspecs",
    "VfxswapError": "vfxswap.errors",
    "hookimpl": "vfxswap.hookspecs",
    "run": "vfxswap.render",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - the names are those of the table above


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'vfxswap' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
