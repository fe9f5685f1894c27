"""OpenColorIO: configurations, their colour spaces, and transforms between these; the only place that imports it.

What others need is data: a `vfxswap.color.ConfigSpace` names a space, and `steps_between` lists the operations of a
transform for `vfxswap.ops.colorops` to compute. A whole picture goes through OpenColorIO itself, by `Converter`.
"""

from vfxswap.ocio.config import PINNED, Config, config_of, open_config
from vfxswap.ocio.picture import Converter, DisplayView, converter

__all__ = ["PINNED", "Config", "Converter", "DisplayView", "config_of", "converter", "open_config"]
