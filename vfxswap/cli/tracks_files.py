"""Faces of a shot to files of other programs, and back as edits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vfxswap.analysis import EditedFace, Settled
from vfxswap.analysis.edited import frames_of_tracks
from vfxswap.analysis.edits import BoxKeys, Edit, FiveKeys, NewTrack, PointKeys
from vfxswap.analysis.nuke_tracker import PointTracks, read_tracker, tracker_text
from vfxswap.cli.analysis import Opened
from vfxswap.errors import UsageError
from vfxswap.files import whole
from vfxswap.frame import Detection
from vfxswap.geometry import Landmarks, Points
from vfxswap.trackfile import read_tracks, write_tracks

Way = Literal["linear", "smooth", "found"]

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""Names of the five points, as in tracks files."""
_NAME = re.compile(rf"(?:(?:track|face)?[ _]?(?P<track>-?\d+)[ _.:/-]+)?(?P<point>{'|'.join(POINTS)})", re.IGNORECASE)
_DIGITS = 3
_SAME_PX = 2e-3
"""Below this, a number of a file is what was written to it."""


def rounded(values: Points | tuple[float, ...]) -> Any:
    """To a thousandth of a pixel, as in tracks files."""
    return (np.round(np.asarray(values, dtype=np.float64), _DIGITS) + 0.0).tolist()


def in_window(shot: Opened, detection: Detection) -> Detection:
    """A face as artists count: from the corner of the display window."""
    return detection.moved(-shot.stand.window.x0, -shot.stand.window.y0)


def landmarks_of(shot: Opened, face: EditedFace) -> Landmarks | None:
    """A face's dense points, as artists count; None where they are not known."""
    marks = face.landmarks if face.found is None else face.found.landmarks
    return in_window(shot, replace(face.detection, landmarks=marks)).landmarks


def write_file(shot: Opened, settled: Settled, path: Path, tracks: Collection[int]) -> str:
    """Writes the faces of a shot.

    Args:
        shot: The shot.
        settled: Its faces.
        path: Its suffix says the format.
        tracks: These alone; all if none are said.

    Returns:
        What to say of it.

    Raises:
        UsageError: There is no such format, or no such track.
        MediaError: The file cannot be written.
    """
    known = {face.detection.track for faces in settled.faces.values() for face in faces}
    if unknown := [track for track in tracks if track not in known]:
        raise UsageError(
            f"there is no track {unknown[0]}; there are {', '.join(str(t) for t in sorted(known, key=str))}"
        )
    faces = {
        number: [_with_landmarks(shot, face) for face in all_ if not tracks or face.detection.track in tracks]
        for number, all_ in settled.faces.items()
    }
    kind, window = path.suffix.lower(), shot.stand.window
    if kind == ".nk":
        points = _point_tracks(faces)
        if not points:
            raise UsageError("no face has points; export boxes as .csv or .json")
        with whole(path) as temporary:
            temporary.write_text(tracker_text(points, height=window.height), encoding="utf-8")
        return f"{path}: a Tracker4 node with {len(points)} points"
    if kind == ".csv":
        faces = {number: [_five_alone(face) for face in all_] for number, all_ in faces.items()}
    elif kind != ".json":
        raise UsageError(f"{path} ends in {path.suffix!r}; tracks are written as .json, .csv or .nk (Nuke)")
    write_tracks(path, faces, width=window.width, height=window.height)
    return f"{path}: {sum(map(len, faces.values()))} faces of {len(faces)} frames"


def _with_landmarks(shot: Opened, face: EditedFace) -> Detection:
    marks = landmarks_of(shot, face)
    detection = in_window(shot, face.detection)
    return detection if marks is None else replace(detection, landmarks=marks)


def _five_alone(face: Detection) -> Detection:
    """With the better five points: those of the landmarks."""
    return face if face.landmarks is None else replace(face, five=face.landmarks.five(), landmarks=None)


def _point_tracks(faces: Mapping[int, list[Detection]]) -> PointTracks:
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for number in sorted(faces):
        for face in map(_five_alone, faces[number]):
            for name, point in zip(POINTS, [] if face.five is None or face.track is None else face.five, strict=False):
                found.setdefault(f"track{face.track}_{name}", {})[number] = (float(point[0]), float(point[1]))
    return dict(sorted(found.items(), key=lambda item: (_NAME.fullmatch(item[0]) or [""])[0].rpartition("_")[0]))


def read_file(shot: Opened, path: Path, *, track: int | None, offset: int, then: Way) -> list[Edit]:
    """What a file says otherwise than what is there, as edits.

    Args:
        shot: The shot.
        path: A tracks file, or a script of Nuke.
        track: Whose face it is, where the file does not say it.
        offset: Added to its frame numbers.
        then: What follows its frames.

    Raises:
        UsageError: It cannot be read, is of another size, or does not say whose faces it has.
    """
    window = shot.stand.window
    if path.suffix.lower() == ".nk":
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {error}") from error
        faces = dict(_of_nuke(read_tracker(text, height=window.height, whose=str(path)), track, path))
    elif path.suffix.lower() not in {".json", ".csv"}:
        raise UsageError(f"{path} ends in {path.suffix!r}; tracks are read from .json, .csv and .nk (Nuke)")
    else:
        file = read_tracks(path)
        file.check_size(window.width, window.height)
        faces = dict(_by_track({number: list(all_) for number, all_ in file.frames.items()}, track, path))
    edits: list[Edit] = []
    known = set(frames_of_tracks(shot.found)) | {edit.track for edit in shot.edits.edits if edit.do == "new"}
    for whose, detections in sorted(faces.items()):
        moved = {number + offset: detection for number, detection in detections.items()}
        keys = list(_keys(shot, whose, moved, then))
        if keys and whose not in known:
            edits.append(NewTrack(track=whose))
        edits += keys
    return edits


def _by_track(
    frames: Mapping[int, list[Detection]], track: int | None, path: Path
) -> Iterator[tuple[int, dict[int, Detection]]]:
    faces: dict[int, dict[int, Detection]] = {}
    for number, all_ in frames.items():
        for face in all_:
            whose = face.track if track is None else track
            if whose is None:
                raise UsageError(f"{path}: the face at frame {number} is on no track; say whose it is with --track N")
            if number in faces.setdefault(whose, {}):
                raise UsageError(f"{path}: track {whose} has two faces at frame {number}")
            faces[whose][number] = face
    yield from faces.items()


def _of_nuke(points: PointTracks, track: int | None, path: Path) -> Iterator[tuple[int, dict[int, Detection]]]:
    """Faces by their five points; frames that lack one of them are left out."""
    named: dict[int | None, dict[str, Mapping[int, tuple[float, float]]]] = {}
    for name, places in points.items():
        match = _NAME.fullmatch(name.strip())
        if match is not None:
            whose = None if match["track"] is None else int(match["track"])
            named.setdefault(whose, {})[match["point"].lower()] = places
    if not named and len(points) == len(POINTS):
        named = {None: dict(zip(POINTS, points.values(), strict=True))}
    if not named:
        raise UsageError(
            f"{path}: name the five tracks of a face track2_left_eye, track2_right_eye, track2_nose, track2_mouth_left,"
            f" track2_mouth_right; found {', '.join(map(repr, list(points)[:6])) or 'none'}"
        )
    for whose, five in named.items():
        number = track if track is not None and len(named) == 1 else whose
        if number is None:
            raise UsageError(f"{path}: does not say whose face it has; say it with --track N")
        if missing := [name for name in POINTS if name not in five]:
            raise UsageError(f"{path}: track {number} lacks the point {missing[0]}")
        frames = sorted(set.intersection(*(set(five[name]) for name in POINTS)))
        yield (
            number,
            {frame: _of_five(np.array([five[name][frame] for name in POINTS]), number) for frame in frames},
        )


def _of_five(five: Points, track: int) -> Detection:
    """A face of which only the points are known: its box is nobody's word."""
    return Detection((0.0, 0.0, 0.0, 0.0), 1.0, five, track)


def _keys(shot: Opened, track: int, faces: Mapping[int, Detection], then: Way) -> Iterator[Edit]:
    """The edits of one track, as far as the file differs from what is there."""
    there = {
        number: next((f for f in all_ if f.detection.track == track), None)
        for number, all_ in shot.settled().faces.items()
    }
    boxes: dict[str, Any] = {}
    fives: dict[str, Any] = {}
    dense: dict[str, Any] = {}
    for number, face in sorted(faces.items()):
        before = there.get(number)
        now = None if before is None else _with_landmarks(shot, before)
        if face.landmarks is not None:
            if now is None or not _alike(now.landmarks, face.landmarks):
                dense[str(number)] = rounded(face.landmarks.points)
            continue
        same_five = now is not None and face.five is not None and _same(_five_alone(now).five, face.five)
        if face.five is not None and not same_five:
            fives[str(number)] = rounded(face.five)
        if face.box[2] > face.box[0] and (now is None or not _same(now.box, face.box)):
            boxes[str(number)] = rounded(face.box)
    schemes = Counter(face.landmarks.scheme for face in faces.values() if face.landmarks is not None)
    common: dict[str, Any] = {"track": track, "then": then}
    if boxes:
        yield BoxKeys.model_validate_json(_json({**common, "keys": boxes}))
    if fives:
        yield FiveKeys.model_validate_json(_json({**common, "keys": fives}))
    if dense:
        yield PointKeys.model_validate_json(_json({**common, "scheme": schemes.most_common(1)[0][0], "keys": dense}))


def _json(facts: dict[str, Any]) -> str:
    import json  # noqa: PLC0415

    return json.dumps(facts)


def _alike(a: Landmarks | None, b: Landmarks) -> bool:
    return a is not None and a.scheme == b.scheme and _same(a.points, b.points)


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return x.shape == y.shape and bool((np.abs(x - y) < _SAME_PX).all())


def points_in(shot: Opened, path: Path, *, track: int, frame: int, then: str) -> Edit:
    """The dense points that a tracks file has for a face at a frame.

    Raises:
        UsageError: It cannot be read, or has none.
    """
    file = read_tracks(path)
    file.check_size(shot.stand.window.width, shot.stand.window.height)
    faces = [face for face in file.faces(frame) if face.landmarks is not None]
    chosen = [face for face in faces if face.track == track] or [face for face in faces if face.track is None]
    if len(chosen) != 1 or chosen[0].landmarks is None:
        raise UsageError(
            f"{path} has {len(chosen)} faces with dense points for track {track} at frame {frame}; needs one"
        )
    marks = chosen[0].landmarks
    facts = {"track": track, "then": then, "scheme": marks.scheme, "keys": {str(frame): rounded(marks.points)}}
    return PointKeys.model_validate_json(_json(facts))
