"""Where a face lies in its crop: templates for five points, and the wider fit to many that trained swappers use.

Five points place a face in a moment, but mouth corners move with every word, and a crop that follows them breathes. The
`dfl68_*` alignments fit brows, nose, eyes and the mouth's corners together (33 of iBUG's 68 points), as DeepFaceLab
does and as its models must be given; they need landmarks of 68 or more points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from vfxswap.errors import ShapeError
from vfxswap.geometry import Affine, Landmarks, Points, composed, mapped, umeyama

FiveTemplate = Literal[
    "arcface_112_v1", "arcface_112_v2", "arcface_128", "ffhq_512", "mtcnn_512", "dfl_whole", "styleganex_384"
]

TEMPLATES: dict[FiveTemplate, Points] = {
    "arcface_112_v1": np.array(
        [(0.354732, 0.456589), (0.645268, 0.456589), (0.5, 0.611545), (0.379134, 0.776875), (0.620866, 0.776875)]
    ),
    "arcface_112_v2": np.array(
        [(0.341916, 0.461574), (0.656534, 0.459834), (0.500225, 0.640505), (0.370976, 0.824692), (0.631517, 0.823251)]
    ),
    "arcface_128": np.array(
        [(0.361677, 0.403877), (0.636967, 0.402355), (0.500197, 0.560442), (0.387104, 0.721605), (0.615077, 0.720345)]
    ),
    "ffhq_512": np.array(
        [(0.376917, 0.468647), (0.622857, 0.469128), (0.501239, 0.613319), (0.393088, 0.725411), (0.611502, 0.724905)]
    ),
    "mtcnn_512": np.array(
        [(0.365629, 0.467338), (0.633054, 0.465859), (0.500191, 0.619430), (0.390330, 0.775988), (0.611789, 0.774763)]
    ),
    "dfl_whole": np.array(
        [(0.353423, 0.392857), (0.627976, 0.392857), (0.486607, 0.540179), (0.388393, 0.687500), (0.598214, 0.687500)]
    ),
    "styleganex_384": np.array(
        [(0.423537, 0.522899), (0.577250, 0.523200), (0.501239, 0.613319), (0.433645, 0.683377), (0.570153, 0.683061)]
    ),
}
"""Where the five points lie in a unit crop: eyes (image left, right), nose tip, mouth corners (image left, right)."""

FaceType = Literal["half", "mid_full", "full", "whole", "head"]
"""How much of a head a trained model sees, in DeepFaceLab's words: from brows to mouth, up to the whole head."""
DenseTemplate = Literal["dfl68_half", "dfl68_mid_full", "dfl68_full", "dfl68_whole", "dfl68_head"]
TemplateName = FiveTemplate | DenseTemplate
TEMPLATE_NAMES: tuple[str, ...] = (*get_args(FiveTemplate), *get_args(DenseTemplate))


class _Extent(NamedTuple):
    """A crop in units of the 33 points' template, whose side spans the brows."""

    side: float
    up: float


def _side(padding: float) -> float:
    """DeepFaceLab pads along the diagonals: by `padding` of the unit square's diagonal beyond each corner."""
    return 1 + 2 * math.sqrt(2) * padding


_EXTENTS: dict[DenseTemplate, _Extent] = {
    "dfl68_half": _Extent(_side(0), 0),
    "dfl68_mid_full": _Extent(_side(0.0675), 0),
    "dfl68_full": _Extent(_side(0.2109375), 0),
    "dfl68_whole": _Extent(_side(0.40), 0.07),
    "dfl68_head": _Extent(_side(0.70), 0.50),
}

_FITTED = (*range(17, 49), 54)
"""Numbers among the 68 of the points that are fitted: all but the jaw and the moving lips."""
# fmt: off
_UNIT_33: Points = np.array([
    (.000213, .106454), (.075262, .038915), (.181130, .018748), (.290770, .034489), (.393397, .077391),
    (.586856, .077391), (.689483, .034489), (.799124, .018748), (.904991, .038915), (.980040, .106454),
    (.490127, .203352), (.490127, .307009), (.490127, .409805), (.490127, .515625), (.366880, .587326),
    (.426036, .609345), (.490127, .628106), (.554217, .609345), (.613373, .587326),
    (.121737, .216423), (.187122, .178758), (.265825, .179852), (.334606, .231733), (.260918, .245099),
    (.182743, .244077), (.645647, .231733), (.714428, .179852), (.793132, .178758), (.858516, .216423),
    (.797510, .244077), (.719335, .245099), (.254149, .780233), (.726104, .780233),
])
"""The mean face of iBUG 300-W in the unit square of its own width; its axis of symmetry is x = 0.490127."""
IBUG68_FROM_MESH: tuple[int, ...] = (
    *(127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356),
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
# fmt: on
"""For each of iBUG 300-W's 68 points the point of the mesh nearest to its definition; jaw points differ most."""


def as_ibug68(landmarks: Landmarks) -> Landmarks:
    """The same face by iBUG's 68 points.

    Raises:
        ShapeError: The landmarks are five points only, from which the others cannot be known.
    """
    if landmarks.scheme == "ibug68":
        return landmarks
    if landmarks.scheme == "mesh468":
        return Landmarks(landmarks.points[list(IBUG68_FROM_MESH)], "ibug68")
    raise ShapeError(
        "landmarks of a dfl68 crop", expected="ibug68 or mesh468 (an aligner such as facemesh)", actual=landmarks.scheme
    )


@dataclass(frozen=True, slots=True)
class CropSpec:
    """A square crop that a stage wants to be given."""

    template: TemplateName = "ffhq_512"
    """Where the points of a face shall lie."""
    size_px: int = 512
    """Side of the crop."""
    zoom: float = 1.0
    """Above 1 shows less around the face, below 1 shows more; about the crop's centre."""

    def plate_to_crop(self, landmarks: Landmarks) -> Affine:
        """The similarity that puts a face (landmarks in plate pixels) into this crop.

        Raises:
            ShapeError: The template needs more points than the landmarks have.
        """
        for name, five in TEMPLATES.items():
            if name == self.template:
                return umeyama(landmarks.five(), ((five - 0.5) * self.zoom + 0.5) * self.size_px)
        for dense, extent in _EXTENTS.items():
            if dense == self.template:
                points = as_ibug68(landmarks).points[:, :2]
                return self._around_unit(umeyama(points[list(_FITTED)], _UNIT_33), points, extent)
        raise ShapeError("crop template", expected=" or ".join(TEMPLATE_NAMES), actual=self.template)

    def _around_unit(self, plate_to_unit: Affine, points: Points, extent: _Extent) -> Affine:
        aside = _head_shift(mapped(plate_to_unit, points)) if self.template == "dfl68_head" else 0.0
        scale = self.size_px * self.zoom / extent.side
        centre = np.array([0.5 + aside, 0.5 - extent.up])
        shift = self.size_px / 2 - scale * centre
        return composed(np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), plate_to_unit)


def _head_shift(unit_points: Points) -> float:
    """How far a head's crop moves sideways as the head turns, in units, so that its back stays inside.

    DeepFaceLab's: yaw is the mean difference of three distances from the nose's bridge to either jaw, in units.
    """
    x = unit_points[:, 0]
    left, right = (x[[27, 28, 29]] - x[[0, 1, 2]]).mean(), (x[[16, 15, 14]] - x[[27, 28, 29]]).mean()
    yaw = float(right - left)
    return yaw * abs(math.tanh(2 * yaw)) / 2


def crop_of_type(face_type: FaceType, size_px: int) -> CropSpec:
    """The crop of a trained model: DeepFaceLab's alignment of that face type."""
    names: dict[FaceType, DenseTemplate] = {
        "half": "dfl68_half",
        "mid_full": "dfl68_mid_full",
        "full": "dfl68_full",
        "whole": "dfl68_whole",
        "head": "dfl68_head",
    }
    return CropSpec(names[face_type], size_px)
