"""MediaPipe Iris: where the lids of an eye are, by a network that sees this eye alone.

A. Ablavatski, A. Vakunov, I. Grishchenko, K. Raveendran, M. Zhdanovich, "Real-time pupil tracking from monocular video
for digital puppetry", CVPR workshop 2020. Face Mesh takes a shut eye for half open: on two people who speak and blink,
the gap that it finds goes from 0.14 to 0.22 of the eye's width, and this network's from 0.03 to 0.28.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vfxswap.errors import ShapeError
from vfxswap.geometry import MIRROR, REGIONS, Affine, Landmarks, Points, composed, inverted, mapped
from vfxswap.ops.mesh import LID_RINGS
from vfxswap.stage import Cutter
from vfxswap_plugins.aligners.looks import looks, piece_px, to_piece

INPUT_PX: Final = 64
"""Side of the square that the network looks at."""
CONTOUR: Final = 71
"""How many points it finds around the eye; the lids and the ring around them come first."""
_SQUARE: Final = 2.3
"""Side of the square, in widths of the eye."""
_ASTRAY: Final = (0.2, 0.35)
"""How far a corner may be from where the mesh has it, in widths of the eye, until it is another eye, or none."""
_SPREAD: Final = (0.04, 0.08)
"""How far looks may disagree, in widths of the eye; on faces they do by 0.02."""


def _in_the_networks_order(ring: tuple[int, ...]) -> tuple[int, ...]:
    """A ring from the outer corner along the lower lid; the network begins anew at that corner with the upper one."""
    half = len(ring) // 2
    return ring[: half + 1] + ring[:half:-1]


_LEFT: Final = (
    *_in_the_networks_order(REGIONS["mesh468"]["left_eye"]),
    *_in_the_networks_order(LID_RINGS["mesh468"][0]),
)
_RIGHT: Final = tuple(MIRROR["mesh468"][index] for index in _LEFT)
_CORNERS: Final = (0, 8)
"""Places of the outer and the inner corner."""


class Eye(NamedTuple):
    """What is known of one eye."""

    points: tuple[int, ...]
    """Numbers of the mesh's points, in the order of the network."""
    is_mirrored: bool
    """Whether the network sees it in a mirror: it knows the one that is left in the picture."""


EYES: Final = (Eye(_LEFT, is_mirrored=False), Eye(_RIGHT, is_mirrored=True))


class Lids:
    """Finds lids.

    Args:
        session: Of the model `iris`.
        average: Looks at each eye, 1, 4 or 8.
    """

    def __init__(self, session: Any, average: int) -> None:
        self._session, self._average = session, average

    def refined(self, face: Landmarks, index: int, cut: Cutter) -> Landmarks:
        """A face's mesh with the lids, and the ring around them, where this network sees them.

        An eye of which it makes nothing certain, as the far one in profile, stays as it was; between both it fades.

        Args:
            face: `mesh468` with depth, which stays.
            index: Which face it is to the cutter.
            cut: Cuts from its plate.
        """
        squares = [eye_square(face.points, eye) for eye in EYES]
        to_pieces = [composed(to_piece(INPUT_PX), square) for square in squares]
        pieces = cut([index] * len(EYES), to_pieces, piece_px(INPUT_PX))
        points = face.points.copy()
        for eye, square, piece in zip(EYES, squares, pieces, strict=True):
            numbers = list(eye.points)
            seen = np.stack(
                [
                    mapped(inverted(composed(from_square, square)), self._contour(crop, eye))
                    for from_square, crop in looks(piece, self._average, INPUT_PX)
                ]
            )
            before = points[numbers, :2]
            if trust := _trust(seen, before):
                points[numbers, :2] = before + trust * (seen.mean(axis=0) - before)
        return Landmarks(points, face.scheme)

    def _contour(self, crop: Tensor, eye: Eye) -> Points:
        """`(32, 2)` pixels of one `(3, 64, 64)` crop, in the order of `Eye.points`."""
        shown = crop.flip(-1) if eye.is_mirrored else crop
        picture = torch.nan_to_num(shown).clamp(0, 1).permute(1, 2, 0)[None].contiguous().cpu().numpy()
        values = self._session.run(None, {self._session.get_inputs()[0].name: picture})[0]
        if values.size != CONTOUR * 3:
            raise ShapeError("output of model iris", expected=f"{CONTOUR * 3} numbers", actual=str(values.shape))
        points = np.asarray(values, np.float64).reshape(-1, 3)[: len(eye.points), :2]
        return points * (-1, 1) + (INPUT_PX, 0) if eye.is_mirrored else points


def eye_square(mesh: Points, eye: Eye) -> Affine:
    """The similarity from the plate to the network's square around an eye, which leans with the face."""
    outer, inner = mesh[[eye.points[place] for place in _CORNERS], :2]
    across = outer - inner if eye.is_mirrored else inner - outer
    width, radians = float(np.linalg.norm(across)), math.atan2(across[1], across[0])
    scale = INPUT_PX / (_SQUARE * max(width, 1e-6))
    along, aside = math.cos(radians) * scale, math.sin(radians) * scale
    linear = np.array([(along, aside), (-aside, along)])
    return np.column_stack([linear, INPUT_PX / 2 - linear @ ((outer + inner) / 2)])


def _trust(seen: Points, before: Points) -> float:
    """0..1: how far an eye that was seen is the one that the mesh has."""
    corners, found = before[list(_CORNERS)], seen.mean(axis=0)
    width = max(float(np.linalg.norm(corners[1] - corners[0])), 1e-6)
    astray = float(np.linalg.norm(found[list(_CORNERS)] - corners, axis=1).max()) / width
    spread = math.sqrt(float(np.square(seen - found).sum(axis=-1).mean())) / width
    if not math.isfinite(astray + spread):
        return 0.0
    return float(np.interp(astray, _ASTRAY, (1.0, 0.0)) * np.interp(spread, _SPREAD, (1.0, 0.0)))
