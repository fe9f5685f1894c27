"""What a plate shows and an identity's footage does not: poses, light, expression, detail; said before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError
from vfxswap.faceset import FaceRecord, Faceset
from vfxswap.facesets.maps import FEW, Cell, Map, Values, cells_of, mapped_faces, missing_stretches
from vfxswap.geometry import Landmarks, Points

Kind = Literal["pose", "light", "brightness", "mouth", "eyes", "warmth", "sharpness", "size", "count"]

POSE_STEP, LIGHT_STEP = 10.0, 0.5
"""Degrees, and stops, of a cell of the two maps."""
_MANY = 300
"""Fewer faces than this leave a trained decoder to make up what it has not seen; several hundred to some thousand are
usual, and more of the same pose and light hardly help."""
_LEAST_SHARE, _LEAST_FACES = 0.005, 2
"""Gaps of fewer of the plate's faces are not told."""


@dataclass(frozen=True, slots=True)
class Side:
    """The faces of one side of the comparison."""

    facesets: tuple[Faceset, ...]
    records: tuple[FaceRecord, ...]
    mouth: tuple[float | None, ...]
    """How far each mouth is open; see `openness`."""
    eyes: tuple[float | None, ...]
    size_px: tuple[float, ...]
    """Sides of the crops in their sources' pixels, where known."""

    @property
    def name(self) -> str:
        """Whose faces they are."""
        return self.facesets[0].info.identity or self.facesets[0].folder.name

    def __len__(self) -> int:
        return len(self.records)

    def values(self, value: Callable[[FaceRecord], float]) -> Values:
        """`(N,)` of all faces."""
        return np.array([value(record) for record in self.records], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that the plate shows and the identity's footage lacks."""

    kind: Kind
    faces: tuple[int, ...]
    """Places of the plate's faces that it concerns; all of them where it is about the whole."""
    has: int
    """Faces of the identity that are like them."""
    words: str
    """What is missing, and what to do."""
    frames: str
    """Where in the plate, as `sh010.mov 1001-1020`."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """A plate's faces held against an identity's."""

    plate: Side
    identity: Side
    pose: Map
    """Yaw across, pitch down, in degrees."""
    light: Map
    """Key from the image's right across, from above down, in stops."""
    gaps: tuple[Gap, ...]
    """Those that concern most of the plate first; last what is to be said of the identity's footage as a whole."""

    @property
    def covered(self) -> dict[str, float]:
        """Which part of the plate's faces is covered, 0..1, in each respect and in all of these."""
        total = len(self.plate)
        kinds: tuple[Kind, ...] = ("pose", "light", "brightness", "mouth", "eyes")
        lacking = {kind: {face for gap in self.gaps if gap.kind == kind for face in gap.faces} for kind in kinds}
        shares: dict[str, float] = {kind: 1 - len(faces) / total for kind, faces in lacking.items()}
        return {**shares, "all": 1 - len(set().union(*lacking.values())) / total}

    def words(self) -> list[str]:
        """The findings, one a line."""
        plate, identity = self.plate, self.identity
        head = f"{plate.name}: {len(plate)} faces, held against {len(identity)} of {identity.name}"
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.covered.items() if name != "all")
        lines = [head, f"covered: {self.covered['all']:.0%} of the plate's faces in every respect ({shares})"]
        lines += [f"- {gap.words}" + (f" [{gap.frames}]" if gap.frames else "") for gap in self.gaps]
        return lines if self.gaps else [*lines, "nothing that the plate shows is missing"]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        gaps = [
            {
                "kind": gap.kind,
                "plate_faces": len(gap.faces),
                "share": round(len(gap.faces) / len(self.plate), 4),
                "identity_faces": gap.has,
                "frames": gap.frames,
                "words": gap.words,
            }
            for gap in self.gaps
        ]
        return {
            "plate": {"name": self.plate.name, "faces": len(self.plate)},
            "identity": {"name": self.identity.name, "faces": len(self.identity)},
            "few": FEW,
            "covered": {name: round(share, 4) for name, share in self.covered.items()},
            "maps": {"pose": _cells(self.pose), "light": _cells(self.light)},
            "gaps": gaps,
        }


def _cells(found: Map) -> list[dict[str, Any]]:
    return [
        {
            "x": cell[0] * found.step,
            "y": cell[1] * found.step,
            "plate_faces": len(found.plate.get(cell, ())),
            "identity_faces": found.identity.get(cell, 0),
            "identity_near": found.near[cell],
        }
        for cell in sorted(found.near)
    ]


def compare(plate: Faceset, identities: Sequence[Faceset]) -> Coverage:
    """Holds a plate's faces against an identity's.

    Args:
        plate: The faces of the plate that are to be replaced.
        identities: The identity's faces, of one person.

    Raises:
        UsageError: One is empty, or the identity's are of several people.
    """
    names = {faceset.info.identity for faceset in identities}
    if len(names) > 1:
        raise UsageError(f"these facesets are of several people: {', '.join(sorted(names))}; give those of one")
    ours, theirs = _side([plate]), _side(identities)
    for side in (ours, theirs):
        if not len(side):
            raise UsageError(f"{side.facesets[0].folder} holds no faces to compare")
    pose = mapped_faces(_pairs(ours, _yaw, _pitch), _pairs(theirs, _yaw, _pitch), POSE_STEP)
    light = mapped_faces(_pairs(ours, _right, _top), _pairs(theirs, _right, _top), LIGHT_STEP)
    gaps = [*_pose_gaps(ours, theirs, pose), *_light_gaps(ours, light), *_scale_gaps(ours, theirs)]
    gaps = [gap for gap in gaps if len(gap.faces) >= max(_LEAST_FACES, _LEAST_SHARE * len(ours))]
    gaps.sort(key=lambda gap: -len(gap.faces))
    return Coverage(ours, theirs, pose, light, (*gaps, *_whole_gaps(ours, theirs)))


def _side(facesets: Sequence[Faceset]) -> Side:
    records = tuple(record for faceset in facesets for record in faceset.records)
    sizes = [faceset.source_px(index) for faceset in facesets for index in range(len(faceset))]
    return Side(
        tuple(facesets),
        records,
        tuple(openness(record.landmarks, "mouth") for record in records),
        tuple(openness(record.landmarks, "eyes") for record in records),
        tuple(size for size in sizes if size is not None),
    )


def openness(landmarks: Landmarks, what: Literal["mouth", "eyes"]) -> float | None:
    """How far a mouth or the eyes are open: the opening's area over its width squared; None of five points.

    0 is closed. An open eye has about 0.2 to 0.3, a wide open mouth 0.5 and more. Across a turned face widths shrink
    more than heights, so beyond 45 degrees of yaw it overstates.
    """
    if landmarks.scheme == "five":
        return None
    if what == "mouth":
        return _opening(landmarks.region("lips_inner"))
    return (_opening(landmarks.region("left_eye")) + _opening(landmarks.region("right_eye"))) / 2


def _opening(outline: Points) -> float:
    x, y = outline[:, 0], outline[:, 1]
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    spread = outline - outline.mean(axis=0)
    along = np.linalg.svd(spread, full_matrices=False)[2][0]
    width = float(np.ptp(spread @ along))
    return area / max(width, 1e-6) ** 2


def _yaw(face: FaceRecord) -> float:
    return face.yaw


def _pitch(face: FaceRecord) -> float:
    return face.pitch


def _right(face: FaceRecord) -> float:
    return face.key_right_stops


def _top(face: FaceRecord) -> float:
    return face.key_top_stops


def _pairs(side: Side, x: Callable[[FaceRecord], float], y: Callable[[FaceRecord], float]) -> Values:
    return np.stack([side.values(x), side.values(y)], axis=1) if len(side) else np.zeros((0, 2))


def _gap(kind: Kind, ours: Side, faces: Sequence[int], has: int, lacks: str) -> Gap:
    """A gap in words: how much of the plate, what it does, and what the identity has of it."""
    count, total = len(faces), len(ours)
    subject = f"{count} of {total} faces of the plate ({count / total:.0%})"
    return Gap(kind, tuple(sorted(faces)), has, f"{subject} {lacks}", _frames(ours, faces))


def _frames(side: Side, faces: Sequence[int]) -> str:
    sources: dict[str, list[int]] = {}
    for face in faces:
        sources.setdefault(side.records[face].source, []).append(side.records[face].frame)
    words = [f"{name} {FrameRange.of(numbers)}" for name, numbers in sorted(sources.items())]
    text = "; ".join(words)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _there(has: int) -> str:
    return "none" if has == 0 else f"{has} face{'s' if has > 1 else ''}"


def _pose_gaps(ours: Side, theirs: Side, pose: Map) -> Iterator[Gap]:
    mirror = cells_of(_pairs(theirs, lambda face: -face.yaw, _pitch), POSE_STEP)
    for group in pose.groups():
        faces = [face for cell in group for face in pose.plate[cell]]
        x, y = (np.array([value(ours.records[f]) for f in faces]) for value in (_yaw, _pitch))
        has, mirrored = _held(pose, group), sum(cell in group for cell in mirror)
        advice = "shoot or find footage that looks there"
        if mirrored >= FEW and mirrored > 2 * has and abs(float(np.median(x))) > POSE_STEP:
            advice += f" (mirrored it has {mirrored}: flipped training helps as far as the face is symmetrical)"
        yield _gap("pose", ours, faces, has, f"look {_looking(x, y)}; the identity has {_there(has)} there: {advice}")


def _held(found: Map, group: Sequence[Cell]) -> int:
    """Faces of the identity inside some cells."""
    return sum(found.identity.get(cell, 0) for cell in group)


def _looking(yaw: Values, pitch: Values) -> str:
    aside = _range(yaw, "to the image's right", "to the image's left", unit="°", least=POSE_STEP / 2)
    below = _range(pitch, "down", "up", unit="°", least=POSE_STEP / 2)
    return " and ".join(words for words in (aside, below) if words) or "straight ahead"


def _range(values: Values, positive: str, negative: str, *, unit: str, least: float, digits: int = 0) -> str:
    """`20 to 35° to the image's left`; empty for values that are all nearer to nothing than `least`."""
    low, high = (float(value) for value in np.quantile(values, (0.02, 0.98)))
    if max(-low, high) < least:
        return ""
    if low >= 0:
        return f"{_span(low, high, digits)}{unit} {positive}"
    if high <= 0:
        return f"{_span(-high, -low, digits)}{unit} {negative}"
    return f"between {-low:.{digits}f}{unit} {negative} and {high:.{digits}f}{unit} {positive}"


def _span(low: float, high: float, digits: int) -> str:
    first, last = f"{low:.{digits}f}", f"{high:.{digits}f}"
    return first if first == last else f"{first} to {last}"


def _light_gaps(ours: Side, light: Map) -> Iterator[Gap]:
    for group in light.groups():
        faces = [face for cell in group for face in light.plate[cell]]
        x, y = (np.array([value(ours.records[f]) for f in faces]) for value in (_right, _top))
        has = _held(light, group)
        stops = partial(_range, unit=" stops more", least=LIGHT_STEP / 2, digits=1)
        words = (stops(x, "from the image's right", "from the image's left"), stops(y, "from above", "from below"))
        lit = " and ".join(part for part in words if part) or "evenly"
        advice = "light some of its footage like that"
        yield _gap("light", ours, faces, has, f"are lit {lit}; the identity has {_there(has)} lit so: {advice}")


def _scale_gaps(ours: Side, theirs: Side) -> Iterator[Gap]:
    for scale in SCALES:
        known = [(index, value) for index, value in enumerate(scale.values(ours)) if value is not None]
        there = np.array([value for value in scale.values(theirs) if value is not None])
        if not known or not len(there):
            continue
        places = [index for index, _ in known]
        usual = _signed(float(np.quantile(there, 0.05)), float(np.quantile(there, 0.95)), scale.signed)
        for part in missing_stretches(np.array([value for _, value in known]), there, scale.reach):
            span = _signed(part.low, part.high, scale.signed)
            words = f"{scale.does} {span}; the identity has {_there(part.near)} there (mostly {usual}): {scale.advice}"
            yield _gap(scale.kind, ours, [places[face] for face in part.faces], part.near, words)


def _signed(low: float, high: float, signed: bool) -> str:
    first, last = (f"{value:+.1f}" if signed else f"{value:.2f}" for value in (low, high))
    return first if first == last else f"{first} to {last}"


@dataclass(frozen=True, slots=True)
class Scale:
    """A value of which each face has one, and the words for what it says."""

    kind: Kind
    title: str
    values: Callable[[Side], Sequence[float | None]]
    reach: float
    """Values that are no further apart count as alike."""
    does: str
    advice: str
    signed: bool = False


def _exposure(side: Side) -> list[float | None]:
    """Stops above the side's own median: how bright a face is at all is its skin's affair as well as the light's."""
    luma = np.maximum(side.values(lambda face: face.brightness), 1e-3)
    return [float(value) for value in _GAMMA * np.log2(luma / np.median(luma))]


_GAMMA = 2.2
"""Stops of light for one stop of code value, about."""
SCALES: tuple[Scale, ...] = (
    Scale(
        "brightness",
        "brightness, stops from its usual",
        _exposure,
        0.35,
        "differ from its usual brightness by, in stops,",
        "find footage whose light rises and falls as much",
        signed=True,
    ),
    Scale("mouth", "mouth open", lambda side: side.mouth, 0.08, "open the mouth to", "find footage that opens it so"),
    Scale("eyes", "eyes open", lambda side: side.eyes, 0.05, "open the eyes to", "find footage that blinks so"),
)
"""The scales on which two facesets are held against each other."""


def _whole_gaps(ours: Side, theirs: Side) -> Iterator[Gap]:
    """What concerns all of the identity's footage."""
    everything = tuple(range(len(ours)))
    if len(theirs) < _MANY:
        words = (
            f"the identity has {len(theirs)} faces in all; some {_MANY} that differ in pose, light and expression are"
            " the least from which a decoder learns a face rather than single pictures"
        )
        yield Gap("count", everything, len(theirs), words, "")
    yield from _softness(ours, theirs, everything)
    spans = [float(np.ptp(np.quantile(s.values(lambda face: face.warmth_stops), (0.05, 0.95)))) for s in (ours, theirs)]
    if spans[0] > spans[1] + 0.3:
        words = (
            f"the plate's light changes colour by {spans[0]:.1f} stops of red over blue, the identity's by"
            f" {spans[1]:.1f}: find footage in other light, or train with colour augmentation"
        )
        yield Gap("warmth", everything, len(theirs), words, "")


def _softness(ours: Side, theirs: Side, everything: tuple[int, ...]) -> Iterator[Gap]:
    plate, identity = (float(np.median(s.size_px)) if s.size_px else 0.0 for s in (ours, theirs))
    size = ours.facesets[0].crop.size_px
    if plate and identity and identity < 0.75 * min(plate, size):
        words = (
            f"the plate's faces are {plate:.0f} px across and the identity's {identity:.0f} px: the result will be"
            f" softer than the plate; find closer footage (up to the crop's {size} px)"
        )
        yield Gap("size", everything, int(sum(s >= 0.75 * min(plate, size) for s in theirs.size_px)), words, "")
    if any(faceset.crop.size_px != size for faceset in theirs.facesets):
        return  # sharpness is that of a crop's own pixels
    wanted = float(np.median(ours.values(lambda face: face.sharpness)))
    as_sharp = int((theirs.values(lambda face: face.sharpness) >= wanted).sum())
    if as_sharp < max(FEW, len(theirs) // 4):
        words = (
            f"{_there(as_sharp)} of the identity's {len(theirs)} are as sharp as the plate's usual face (sharpness"
            f" {wanted:.2g}): find sharper footage, or sift out the soft ones"
        )
        yield Gap("sharpness", everything, as_sharp, words, "")
