"""The analysis file: every bit kept, nothing half there, and what is damaged is named."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vfxswap.analysis import (
    Analysis,
    Finding,
    FoundFace,
    FoundFrame,
    Head,
    PlateStamp,
    exact,
    extend_analysis,
    read_analysis,
    read_head,
    write_analysis,
)
from vfxswap.errors import MediaError, UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import SCHEME_SIZES, Landmarks, Scheme

PLATE = PlateStamp(name="sh010.mov", width=640, height=360, first=1001, last=1024, files="a" * 64)
HEAD = Head(made_by="vfxswap 0", plate=PLATE, finding=Finding(key="b" * 64, stages=("find", "points")))


def face(seed: int, *, scheme: Scheme | None = "mesh468", axes: int = 3, track: int | None = 1) -> FoundFace:
    """A face of numbers that no decimal text keeps."""
    draw = np.random.default_rng(seed)
    box = tuple(float(value) for value in np.sort(draw.random(4)) * 1e3)
    five = None if seed % 3 == 0 else draw.random((5, 2)) * 1e2
    dense = None if seed % 2 else Landmarks(draw.random((68, 2)), "ibug68")
    marks = None if scheme is None else Landmarks(draw.random((SCHEME_SIZES[scheme], axes)) * np.pi, scheme)
    x0, y0, x1, y1 = box
    return FoundFace(
        Detection((x0, y0, x1, y1), float(draw.random()), five, track, dense),
        ("bridged by flow", "hidden") if seed % 2 else (),
        marks,
    )


@pytest.fixture
def analysis() -> Analysis:
    """Frames with none, one and two faces; a cut; one at which the aligner has not looked; one without a face in it."""
    return Analysis(
        HEAD,
        {
            1001: FoundFrame(1001, cut_before=False, faces=(face(1), face(2, scheme="five", axes=2)), is_aligned=True),
            1002: FoundFrame(1002, cut_before=True, faces=(), is_aligned=True),
            1003: FoundFrame(1003, cut_before=False, faces=(face(3, scheme=None, track=None),), is_aligned=True),
            1007: FoundFrame(1007, cut_before=False, faces=(face(4, scheme=None, track=-3),), is_aligned=False),
        },
    )


def same(a: FoundFrame, b: FoundFrame) -> bool:
    if (a.number, a.cut_before, a.is_aligned, len(a.faces)) != (b.number, b.cut_before, b.is_aligned, len(b.faces)):
        return False
    return all(same_face(x, y) for x, y in zip(a.faces, b.faces, strict=True))


def same_face(a: FoundFace, b: FoundFace) -> bool:
    """To the last bit, type and layout in memory."""
    x, y = a.detection, b.detection
    return (
        (x.box, x.score, x.track, a.notes) == (y.box, y.score, y.track, b.notes)
        and {type(value) for value in (*y.box, y.score)} == {float}
        and same_array(x.five, y.five)
        and same_marks(x.landmarks, y.landmarks)
        and same_marks(a.landmarks, b.landmarks)
    )


def same_marks(a: Landmarks | None, b: Landmarks | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.scheme == b.scheme and same_array(a.points, b.points)


def same_array(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    is_plain = bool(b.dtype == np.float64 and b.flags.c_contiguous)
    return is_plain and bool(a.shape == b.shape) and bool(a.tobytes() == b.tobytes())


def test_every_bit_comes_back(tmp_path: Path, analysis: Analysis) -> None:
    path = tmp_path / "deep" / "sh010.analysis.npz"
    write_analysis(path, analysis)
    there = read_analysis(path)
    assert there.head.plate == PLATE
    assert there.head.finding == HEAD.finding
    assert list(there.found) == list(analysis.found)
    assert all(same(analysis.found[number], there.found[number]) for number in analysis.found)
    assert there.has((1001, 1002, 1003))
    assert not there.has((1001, 1007))
    assert not there.has((1001, 1009))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_same_is_written_the_same(tmp_path: Path, analysis: Analysis) -> None:
    for name in ("a.npz", "b.npz"):
        write_analysis(tmp_path / name, analysis)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_face_is_made_plain_before_it_is_seen() -> None:
    """A detector's float32 and a view in another order would sum to other bits than what is read again."""
    five = np.asfortranarray(np.random.default_rng(1).random((5, 2)).astype(np.float32))
    box = tuple(np.float32(value) for value in (0.1, 0.2, 10.3, 10.4))
    made = exact(Detection(box, np.float32(0.7), five, np.int64(3)))  # type: ignore[arg-type]
    assert {type(value) for value in (*made.box, made.score)} == {float}
    assert type(made.track) is int
    assert made.five is not None
    assert same_array(five.astype(np.float64, order="C"), made.five)


Damage = Callable[[Path], object]


def _without(name: str) -> Damage:
    def damage(path: Path) -> None:
        with np.load(path) as archive:
            arrays = {key: archive[key] for key in archive.files if key != name}
        np.savez(path, **arrays)

    return damage


def _with(name: str, change: Callable[[Any], Any]) -> Damage:
    def damage(path: Path) -> None:
        with np.load(path) as archive:
            arrays = {key: archive[key] for key in archive.files}
        arrays[name] = change(arrays[name])
        np.savez(path, **arrays)

    return damage


def _flipped(path: Path) -> None:
    """One bit in the middle of the largest member."""
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.compress_size)
    raw = bytearray(path.read_bytes())
    raw[largest.header_offset + 60 + largest.compress_size // 2] ^= 0x10
    path.write_bytes(bytes(raw))


def _head(**changes: Any) -> Damage:
    def change(raw: Any) -> Any:
        facts = json.loads(raw.tobytes()) | changes
        return np.frombuffer(json.dumps(facts).encode(), np.uint8)

    return _with("head", change)


def _pickled(path: Path) -> None:
    """What would run code, if it were loaded."""
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("box2.npy", file.getvalue())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "zip"),
        (lambda path: path.write_bytes(b""), "zip"),
        (lambda path: path.write_text("frame,track\n"), "zip"),
        (_flipped, ""),
        (_without("head"), "head"),
        (_without("score"), "'score' is missing"),
        (_with("box", lambda box: box[:-1]), "differ in length"),
        (_with("box", lambda box: box.astype(np.float32)), "float32"),
        (_with("box", lambda box: box * np.nan), "not finite"),
        (_with("faces", lambda faces: faces + 1), "faces together"),
        (_with("frame", lambda frame: frame[::-1].copy()), "do not ascend"),
        (_with("landmarks", lambda values: values[:-1]), "ends in the middle of a face"),
        (_with("landmarks", lambda values: np.append(values, 0.0)), "belong to no face"),
        (_with("note_text", lambda text: text + 9), "a note names"),
        (_with("dense_scheme", lambda scheme: scheme * 0 + 7), "numbering 7"),
        (_head(format="parquet"), "head: format"),
        (_head(plate={"name": "x"}), "head: plate"),
        (_head(more=1), "head: more"),
        (_pickled, "allow_pickle"),
    ],
)
def test_what_is_damaged_is_named_with_what_to_do(
    tmp_path: Path, analysis: Analysis, damage: Damage, said: str
) -> None:
    path = tmp_path / "sh010.analysis.npz"
    write_analysis(path, analysis)
    damage(path)
    with pytest.raises(UsageError) as caught:
        read_analysis(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert "`vfxswap analyze PIPELINE --overwrite`" in str(caught.value)


def test_a_later_version_is_told_as_such(tmp_path: Path, analysis: Analysis) -> None:
    path = tmp_path / "sh010.analysis.npz"
    write_analysis(path, analysis)
    _head(version=2, novelty=True)(path)
    with pytest.raises(UsageError, match="is of version 2; this program reads version 1"):
        read_head(path)


def test_frames_of_both_are_kept_and_an_aligners_look_is_never_lost(tmp_path: Path, analysis: Analysis) -> None:
    path = tmp_path / "sh010.analysis.npz"
    extend_analysis(path, analysis)
    seen = tuple(replace(face, landmarks=None) for face in analysis.found[1001].faces)
    unaligned = FoundFrame(1001, cut_before=False, faces=seen)
    aligned = FoundFrame(1007, cut_before=False, faces=(face(4, track=-3),), is_aligned=True)
    new = FoundFrame(1010, cut_before=False, is_aligned=True)
    extend_analysis(path, Analysis(HEAD, {1001: unaligned, 1007: aligned, 1010: new}))
    there = read_analysis(path).found
    assert list(there) == [1001, 1002, 1003, 1007, 1010]
    assert same(there[1001], analysis.found[1001])
    assert same(there[1007], aligned)


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: replace(frame, faces=frame.faces[:1]),
        lambda frame: replace(frame, faces=frame.faces[::-1]),
        lambda frame: replace(frame, cut_before=True),
        lambda frame: replace(frame, faces=tuple(map(_of_another_track, frame.faces))),
        lambda frame: replace(frame, faces=tuple(replace(face, notes=("bridged",)) for face in frame.faces)),
    ],
    ids=["a face less", "another order", "a cut", "another track", "other notes"],
)
def test_what_was_found_of_other_faces_does_not_stay(
    tmp_path: Path, analysis: Analysis, change: Callable[[FoundFrame], FoundFrame]
) -> None:
    """Landmarks of the tracks of a part of the plate do not go together with tracks of the whole."""
    path = tmp_path / "sh010.analysis.npz"
    extend_analysis(path, analysis)
    new = replace(change(analysis.found[1001]), is_aligned=False)
    extend_analysis(path, Analysis(HEAD, {1001: new}))
    assert same(read_analysis(path).found[1001], new)


def _of_another_track(face: FoundFace) -> FoundFace:
    return replace(face, detection=replace(face.detection, track=9))


@pytest.mark.parametrize(
    "head",
    [
        HEAD.model_copy(update={"finding": Finding(key="c" * 64, stages=("find",))}),
        HEAD.model_copy(update={"plate": PLATE.model_copy(update={"files": "d" * 64})}),
    ],
    ids=["settings", "plate"],
)
def test_what_does_not_belong_together_is_replaced(tmp_path: Path, analysis: Analysis, head: Head) -> None:
    path = tmp_path / "sh010.analysis.npz"
    extend_analysis(path, analysis)
    extend_analysis(path, Analysis(head, {1020: FoundFrame(1020, cut_before=False, is_aligned=True)}))
    there = read_analysis(path)
    assert list(there.found) == [1020]
    assert (there.head.plate, there.head.finding) == (head.plate, head.finding)


def test_a_damaged_file_is_replaced_only_when_that_is_asked(tmp_path: Path, analysis: Analysis) -> None:
    path = tmp_path / "sh010.analysis.npz"
    path.write_bytes(b"PK, but no more")
    with pytest.raises(UsageError, match="is damaged"):
        extend_analysis(path, analysis)
    assert path.read_bytes() == b"PK, but no more"
    extend_analysis(path, analysis, replaces=True)
    assert list(read_analysis(path).found) == [1001, 1002, 1003, 1007]


_EXTENDER = """
import sys
from pathlib import Path
from vfxswap.analysis import Analysis, FoundFrame, extend_analysis, read_analysis
path, first = Path(sys.argv[1]), int(sys.argv[2])
head = read_analysis(path).head
for number in range(first, first + 24, 2):
    extend_analysis(path, Analysis(head, {number: FoundFrame(number, False, (), True)}))
"""


def test_two_processes_extend_at_once_and_lose_nothing(tmp_path: Path, analysis: Analysis) -> None:
    path = tmp_path / "sh010.analysis.npz"
    write_analysis(path, Analysis(HEAD, {1001: analysis.found[1001]}))
    runs = [subprocess.Popen([sys.executable, "-c", _EXTENDER, str(path), str(first)]) for first in (2000, 2001)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert list(read_analysis(path).found) == [1001, *range(2000, 2024)]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sh010.analysis.npz"
    write_analysis(path, analysis)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(MediaError, match="No space left on device"):
        extend_analysis(path, Analysis(HEAD, {1020: FoundFrame(1020, cut_before=False)}))
    assert path.read_bytes() == before
    assert [file.suffix for file in tmp_path.iterdir() if file.name.endswith(".npz")] == [".npz"]
