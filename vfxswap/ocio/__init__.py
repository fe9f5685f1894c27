"""OpenColorIO: configurations, their colour spaces, and transforms between these; the only place that imports it.

What others need is data: a `vfxswap.color.ConfigSpace` names a space, and a `Transform` lists the steps between two for
`vfxswap.ops.colorops` to compute. A whole picture goes through OpenColorIO itself, by `converter`.
"""

from vfxswap.ocio.config import LIBRARY, PINNED, Config, config_of, nearest, open_config
from vfxswap.ocio.picture import Converter, DisplayView, converter
from vfxswap.ocio.transform import FACE_SPACE, Transform, check_way_back, face_space_of, transform

__all__ = [
    "FACE_SPACE",
    "LIBRARY",
    "PINNED",
    "Config",
    "Converter",
    "DisplayView",
    "Transform",
    "check_way_back",
    "config_of",
    "converter",
    "face_space_of",
    "nearest",
    "open_config",
    "transform",
]
