"""Boxes, landmarks and similarities.

Convention, for all of vfxswap: a point is `(x, y)` in pixels, x to the right, y down; the *centre* of the top-left
pixel is `(0.5, 0.5)`, so a pixel `i` covers `[i, i + 1)` and a picture of width W spans `[0, W]`. A similarity is a 2x3
float64 matrix that maps column vectors `(x, y, 1)`; its name says from where to where (`plate_to_crop`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vfxswap.errors import ShapeError

Points = NDArray[np.float64]
"""`(K, 2)` or `(K, 3)` float64 pixel positions; the third coordinate is depth in pixels, smaller is nearer."""
Affine = NDArray[np.float64]
"""`(2, 3)` float64."""


class Box(NamedTuple):
    """Whole pixels `[x0, x1) x [y0, y1)`."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def empty(self) -> bool:
        """Whether no pixel is inside."""
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def clipped(self, width: int, height: int) -> Box:
        """The part inside a picture of that size."""
        return Box(max(self.x0, 0), max(self.y0, 0), min(self.x1, width), min(self.y1, height))

    def aligned(self, step_x: int, step_y: int) -> Box:
        """Grown to multiples of a step, such as the chroma grid."""
        return Box(
            self.x0 // step_x * step_x,
            self.y0 // step_y * step_y,
            -(-self.x1 // step_x) * step_x,
            -(-self.y1 // step_y) * step_y,
        )

    def grown(self, margin_px: int) -> Box:
        """Larger by a margin on all four sides."""
        return Box(self.x0 - margin_px, self.y0 - margin_px, self.x1 + margin_px, self.y1 + margin_px)

    @classmethod
    def around(cls, points: Points) -> Box:
        """The smallest box that covers all points (`(K, >=2)` pixels)."""
        low = np.floor(points[:, :2].min(axis=0))
        high = np.ceil(points[:, :2].max(axis=0))
        return cls(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two `(x0, y0, x1, y1)` rectangles, 0..1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = width * height
    return area / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - area)


def umeyama(source: Points, target: Points) -> Affine:
    """The least-squares similarity (rotation, uniform scale, shift) from source to target.

    Closed form of S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE
    PAMI 13(4), 1991; never mirrors.

    Args:
        source: `(K, 2)` points, K >= 2, not all equal.
        target: `(K, 2)` points.

    Returns:
        `(2, 3)` matrix `source_to_target`.

    Raises:
        ShapeError: The arrays do not agree, or hold fewer than two distinct points.
    """
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ShapeError(
            "points of a similarity", expected="two equal (K>=2, 2)", actual=f"{source.shape}, {target.shape}"
        )
    mean_source, mean_target = source.mean(axis=0), target.mean(axis=0)
    centred = source - mean_source
    variance = float((centred**2).sum() / len(source))
    if variance <= 0 or not math.isfinite(variance):
        raise ShapeError("points of a similarity", expected="finite and not all equal", actual=f"variance {variance}")
    covariance = (target - mean_target).T @ centred / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    signs = np.array([1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) >= 0 else -1.0])
    linear = (u * signs) @ vt * float((singular * signs).sum() / variance)
    return np.column_stack([linear, mean_target - linear @ mean_source])


def inverted(matrix: Affine) -> Affine:
    """The inverse of a 2x3 affine map."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def composed(second: Affine, first: Affine) -> Affine:
    """The map that does `first`, then `second`."""
    linear = second[:, :2] @ first[:, :2]
    return np.column_stack([linear, second[:, :2] @ first[:, 2] + second[:, 2]])


def scale_of(matrix: Affine) -> float:
    """Pixels of the target for one pixel of the source."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def mapped(matrix: Affine, points: Points) -> Points:
    """Points through a similarity; a third coordinate (depth) is scaled alike."""
    result = points.astype(np.float64, copy=True)
    result[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    if points.shape[1] == 3:
        result[:, 2] = points[:, 2] * scale_of(matrix)
    return result


Scheme = Literal["five", "ibug68", "mesh468"]
"""Numbering of landmarks: five points; iBUG 300-W's 68; MediaPipe FaceMesh's 468."""

SCHEME_SIZES: dict[Scheme, int] = {"five": 5, "ibug68": 68, "mesh468": 468}

Region = Literal["oval", "left_eye", "right_eye", "left_brow", "right_brow", "lips_outer", "lips_inner", "nose"]

# fmt: off
REGIONS: dict[Scheme, dict[Region, tuple[int, ...]]] = {
    "five": {},
    "ibug68": {
        "oval": (*range(17), *range(26, 16, -1)),
        "left_eye": tuple(range(36, 42)),
        "right_eye": tuple(range(42, 48)),
        "left_brow": tuple(range(17, 22)),
        "right_brow": tuple(range(22, 27)),
        "lips_outer": tuple(range(48, 60)),
        "lips_inner": tuple(range(60, 68)),
        "nose": tuple(range(27, 36)),
    },
    "mesh468": {
        "oval": (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
                 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
        "left_eye": (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
        "right_eye": (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398),
        "left_brow": (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
        "right_brow": (285, 295, 282, 283, 276, 300, 293, 334, 296, 336),
        "lips_outer": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
        "lips_inner": (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
        "nose": (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 327),
    },
}
"""Closed outlines (open lines for brows and nose) by region; left and right are the image's, face to face."""

MIRROR: dict[Scheme, tuple[int, ...]] = {
    "mesh468": (
        0, 1, 2, 248, 4, 5, 6, 249, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 250, 251, 252, 253, 254, 255, 256,
        257, 258, 259, 260, 261, 262, 263, 264, 265, 266, 267, 268, 269, 270, 271, 272, 273, 274, 275, 276, 277, 278,
        279, 280, 281, 282, 283, 284, 285, 286, 287, 288, 289, 290, 291, 292, 293, 294, 295, 296, 297, 298, 299, 300,
        301, 302, 303, 304, 305, 306, 307, 308, 309, 310, 311, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 322,
        323, 94, 324, 325, 326, 327, 328, 329, 330, 331, 332, 333, 334, 335, 336, 337, 338, 339, 340, 341, 342, 343,
        344, 345, 346, 347, 348, 349, 350, 351, 352, 353, 354, 355, 356, 357, 358, 359, 360, 361, 362, 363, 364, 365,
        366, 367, 368, 369, 370, 371, 372, 373, 374, 375, 376, 377, 378, 379, 151, 152, 380, 381, 382, 383, 384, 385,
        386, 387, 388, 389, 390, 164, 391, 392, 393, 168, 394, 395, 396, 397, 398, 399, 175, 400, 401, 402, 403, 404,
        405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 195, 419, 197, 420, 199, 200, 421, 422,
        423, 424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 435, 436, 437, 438, 439, 440, 441, 442, 443, 444,
        445, 446, 447, 448, 449, 450, 451, 452, 453, 454, 455, 456, 457, 458, 459, 460, 461, 462, 463, 464, 465, 466,
        467, 3, 7, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44,
        45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72,
        73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 95, 96, 97, 98, 99, 100,
        101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122,
        123, 124, 125, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144,
        145, 146, 147, 148, 149, 150, 153, 154, 155, 156, 157, 158, 159, 160, 161, 162, 163, 165, 166, 167, 169, 170,
        171, 172, 173, 174, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 186, 187, 188, 189, 190, 191, 192, 193,
        194, 196, 198, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219,
        220, 221, 222, 223, 224, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 238, 239, 240, 241,
        242, 243, 244, 245, 246, 247,
    ),
}
# fmt: on
"""For each point the one that lies opposite on a symmetrical face; those of the middle lie opposite themselves."""

_MESH_NOSE_TIP, _MESH_MOUTH = 1, (61, 291)
_IBUG_NOSE_TIP, _IBUG_MOUTH = 30, (48, 54)


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """The points of one face in one numbering."""

    points: Points
    """`(K, 2)` or `(K, 3)` pixels; where a depth is given, it is in pixels too and smaller is nearer."""
    scheme: Scheme

    def __post_init__(self) -> None:
        expected = SCHEME_SIZES[self.scheme]
        if self.points.ndim != 2 or self.points.shape[0] != expected or self.points.shape[1] not in (2, 3):
            raise ShapeError(
                f"landmarks {self.scheme}", expected=f"({expected}, 2 or 3)", actual=str(tuple(self.points.shape))
            )

    def __repr__(self) -> str:
        return f"Landmarks({self.scheme}, {self.points.shape[0]}x{self.points.shape[1]})"

    def five(self) -> Points:
        """`(5, 2)`: eye centres (image left, right), nose tip, mouth corners (image left, right)."""
        xy = self.points[:, :2]
        if self.scheme == "five":
            return xy.copy()
        nose, mouth = (_IBUG_NOSE_TIP, _IBUG_MOUTH) if self.scheme == "ibug68" else (_MESH_NOSE_TIP, _MESH_MOUTH)
        eyes = [self.region(side).mean(axis=0) for side in ("left_eye", "right_eye")]
        return np.stack([*eyes, xy[nose], xy[mouth[0]], xy[mouth[1]]])

    def region(self, name: Region) -> Points:
        """`(M, 2)` outline of a region.

        Raises:
            KeyError: This numbering has no such region (`five` has none).
        """
        return self.points[list(REGIONS[self.scheme][name]), :2]

    def mapped(self, matrix: Affine) -> Landmarks:
        """The same points through a similarity."""
        return Landmarks(mapped(matrix, self.points), self.scheme)


class Pose(NamedTuple):
    """Where a head looks, in degrees; all zero is straight into the camera. Roll comes first, then yaw, then pitch."""

    yaw: float
    """Positive: the nose points to the image's right."""
    pitch: float
    """Positive: the nose points down."""
    roll: float
    """Positive: the head leans clockwise as seen in the image."""


_ACROSS = ((234, 454), (33, 263), (61, 291))
_DOWN = (10, 152)
"""Mesh points that lie level (cheeks, outer eye corners, mouth corners; image left first) and upright (forehead, chin)
in a face that looks into the camera; so they do in MediaPipe's canonical face, to 0.7 degrees."""
_NOSE_DEPTH, _NOSE_DROP = 0.56, 0.04
"""How far a nose tip stands out of, and lies below the middle of, the plane of eyes and mouth, in distances between
eyes and mouth. The canonical face has 0.50 and 0.04; faces turned by known angles behaved like 0.50 to 0.62."""


def pose_of(landmarks: Landmarks) -> Pose:
    """Where a face looks.

    A mesh with depth is taken at its word: the axes of the face in space give the angles, in the order roll, yaw, pitch
    (against a fit of the rigid canonical face: within 5 degrees root mean square). All else gets the classic
    weak-perspective estimate from five points: with the roll taken out, the nose tip's offset from the middle of eyes
    and mouth is its depth times the sine of yaw, and times the tangent of pitch. That is coarse (7 degrees), and enough
    to choose between stills; nothing is placed by it.
    """
    if landmarks.scheme == "mesh468" and landmarks.points.shape[1] == 3:
        return _pose_of_mesh(landmarks.points)
    left, right, nose, mouth_left, mouth_right = landmarks.five()
    across = right - left
    roll = math.atan2(float(across[1]), float(across[0]))
    turn = np.array([[math.cos(roll), math.sin(roll)], [-math.sin(roll), math.cos(roll)]])
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    height = float(np.linalg.norm(mouth - eyes)) or 1.0
    aside, below = (float(value) / height for value in turn @ (nose - (eyes + mouth) / 2))
    yaw = math.asin(max(-1.0, min(1.0, aside / _NOSE_DEPTH)))
    pitch = math.atan((below - _NOSE_DROP) / _NOSE_DEPTH)
    return Pose(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))


def _pose_of_mesh(points: Points) -> Pose:
    across: Points = sum((points[right] - points[left] for left, right in _ACROSS), start=np.zeros(3))
    across = across / (float(np.linalg.norm(across)) or 1.0)
    down = points[_DOWN[1]] - points[_DOWN[0]]
    down = down - across * float(across @ down)
    ahead = -np.cross(across, down / (float(np.linalg.norm(down)) or 1.0))
    roll = math.atan2(float(across[1]), float(across[0]))
    aside = math.cos(roll) * float(ahead[0]) + math.sin(roll) * float(ahead[1])
    below = math.cos(roll) * float(ahead[1]) - math.sin(roll) * float(ahead[0])
    yaw, pitch = math.atan2(aside, -float(ahead[2])), math.asin(max(-1.0, min(1.0, below)))
    return Pose(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))
