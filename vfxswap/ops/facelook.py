"""What a face looks like in a small picture, by which it is told from others nearby in time.

No trained weights are in it: a coarse aligned patch of colours holds skin, hair line, beard and glasses, and the light
upon them. It knows the same person a second later, and not in another light or place; a recogniser does that
(`vfxswap.ops.recognise`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vfxswap.alignment import TEMPLATES
from vfxswap.geometry import Affine, Points, umeyama
from vfxswap.ops import warp

Look = NDArray[np.float32]
"""`(3, 12, 12)` R'G'B' of the face, from the brows to the chin and from ear to ear."""

SIDE_PX: Final = 12
_TEMPLATE: Final = 0.5 + 1.35 * (TEMPLATES["ffhq_512"] - 0.5 - np.array([0.0, 0.07]))
"""Five points in the patch: closer than FFHQ's crop, whose corners are background."""
_SMALLEST_PX: Final = 6.0


def look_of(picture: Tensor, box: tuple[float, float, float, float], five: Points | None) -> Look | None:
    """The look of a face.

    Args:
        picture: `(3, h, w)` float32 R'G'B' 0..1.
        box: `(x0, y0, x1, y1)` of the face in its pixels.
        five: `(5, 2)` points of the face in its pixels; the box is taken where there are none, or they are in one
            place.

    Returns:
        None where the face is too small, or mostly outside the picture.
    """
    height, width = picture.shape[1:]
    x0, y0, x1, y1 = box
    inside = max(0.0, min(x1, width) - max(x0, 0.0)) * max(0.0, min(y1, height) - max(y0, 0.0))
    if min(x1 - x0, y1 - y0) < _SMALLEST_PX or inside < 0.5 * (x1 - x0) * (y1 - y0):
        return None
    matrix = _placed(box, five)
    part = warp.cut_box(matrix, SIDE_PX, width, height)
    piece = picture[:, part.y0 : part.y1, part.x0 : part.x1]
    crop = warp.cut(piece, origin=(part.x0, part.y0), plate_to_crop=matrix, size_px=SIDE_PX)
    return np.ascontiguousarray(crop.cpu().numpy(), np.float32)


def _placed(box: tuple[float, float, float, float], five: Points | None) -> Affine:
    """Maps the picture to the patch."""
    if five is not None and float(np.ptp(five, axis=0).max()) > 1:
        return umeyama(five, _TEMPLATE * SIDE_PX)
    x0, y0, x1, y1 = box
    scale = SIDE_PX / (0.9 * max(x1 - x0, y1 - y0))
    middle = SIDE_PX / 2
    return np.array([[scale, 0, middle - scale * (x0 + x1) / 2], [0, scale, middle - scale * (y0 + y1) / 2]])


def look_distance(one: Look, other: Look) -> float:
    """How unlike two looks are: the root mean square difference of their colours in code values, 0..1.

    What is equal everywhere in the patch, brighter or darker light, is halved.
    """
    difference = one - other
    common = float(difference.mean())
    return float(np.sqrt(np.mean((difference - 0.5 * common) ** 2)))
