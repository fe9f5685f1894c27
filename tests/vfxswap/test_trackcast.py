"""Tracks by rank and by likeness, in the pieces between cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from vfxswap.casting import Given, Role, cast, cast_tracks, unlikeness
from vfxswap.frame import Detection, Face
from vfxswap.geometry import Landmarks
from vfxswap.pipeline.tables import FaceRule
from vfxswap.testing import synthetic_frame
from vfxswap.trackcast import Piece, TrackKey, likest, pieces_of, rows, sampled

Faces = dict[int, list[Detection]]


def a_face(track: int, x: float, size: float, score: float = 0.9) -> Detection:
    return Detection((x, 10, x + size, 10 + size), score, track=track)


def ranked(faces: Faces, by: str = "size") -> list[list[int]]:
    (piece,) = pieces_of(faces, set())
    return [[shown.key[1] for shown in row] for row in rows(piece, by)]


def test_the_largest_stays_the_largest_when_somebody_steps_forward() -> None:
    faces = {n: [a_face(1, 0, 40), a_face(2, 100, 30 if n < 18 else 60)] for n in range(1, 21)}
    assert ranked(faces) == [[1], [2]]
    assert ranked(faces, "left") == [[1], [2]]
    assert ranked(faces, "order") == [[1], [2]]


def test_two_who_cross_keep_their_ranks() -> None:
    faces = {n: [a_face(1, 10.0 * n, 40), a_face(2, 190 - 10.0 * n, 40)] for n in range(16)}
    assert ranked(faces, "left") == [[1], [2]]  # 1 is farther to the left over the piece


def test_who_passes_by_for_a_moment_ranks_nobody_down() -> None:
    faces = {n: [a_face(1, 50, 40)] + [a_face(2, 0, 90)] * (n in {5, 6, 7}) for n in range(1, 21)}
    assert ranked(faces) == [[1], [2]]
    assert ranked(faces, "left") == [[1], [2]]


def test_who_is_lost_and_found_again_has_one_rank() -> None:
    faces = {n: [a_face(1 if n < 10 else 3, 0, 60), a_face(2, 100, 30)] for n in range(1, 21) if n != 10}
    assert ranked(faces) == [[3, 1], [2]]


def test_ranks_that_beat_one_another_in_a_ring_still_end() -> None:
    sizes: Mapping[int, tuple[tuple[int, float], ...]] = {
        1: ((1, 50), (2, 40)),
        2: ((2, 50), (3, 40)),
        3: ((3, 50), (1, 40)),
    }
    faces = {n: [a_face(track, 0, size) for track, size in pairs] for n, pairs in sizes.items()}
    assert sorted(track for row in ranked(faces) for track in row) == [1, 2, 3]


def test_pieces_end_at_cuts_and_holes_are_no_cuts() -> None:
    faces: Faces = {n: [a_face(1, 0, 40)] for n in (1, 2, 5, 6, 7)}
    faces[3] = []
    pieces = pieces_of(dict(sorted(faces.items())), {6})
    assert [(piece.first, piece.last) for piece in pieces] == [(1, 5), (6, 7)]
    assert [shown.key for piece in pieces for shown in piece.shown] == [(1, 1), (6, 1)]


def a_piece(*spans: tuple[int, int]) -> Piece:
    """Tracks 1, 2 ... that are seen from a frame to another."""
    faces = {
        n: [a_face(track, 0, 40) for track, (first, last) in enumerate(spans, 1) if first <= n <= last]
        for n in range(1, 41)
    }
    (piece,) = pieces_of(faces, set())
    return piece


def like(piece: Piece, unlike: Sequence[float], **options: float) -> list[int]:
    named: Mapping[TrackKey, float] = {(1, track): value for track, value in enumerate(unlike, 1)}
    return [shown.key[1] for shown in likest(piece, named, set(), **options)]


def test_the_likest_track_and_what_is_nearer_to_it_than_to_strangers() -> None:
    piece = a_piece((1, 20), (1, 30), (25, 40), (25, 40))
    assert like(piece, (0.1, 0.4, 0.2, 0.5)) == [1, 3]
    assert like(piece, (0.1, 0.4, 0.3, 0.5)) == [1]
    assert like(a_piece((1, 20), (25, 40)), (0.1, 0.3)) == [1]
    assert like(a_piece((1, 20), (25, 40)), (0.1, 0.3), near=0.5) == [1, 2]
    assert like(a_piece((1, 20)), ()) == []


def test_faces_of_a_sample_are_spread_and_sure() -> None:
    faces = {n: [a_face(1, 0, 40, score=0.3 if n % 2 else 0.9)] for n in range(1, 101)}
    (piece,) = pieces_of(faces, set())
    numbers = sampled(piece.shown[0])
    assert len(numbers) == 9
    assert (numbers[0], numbers[-1]) == (2, 100)
    assert all(n % 2 == 0 for n in numbers)


LEFT, RIGHT = FaceRule(by="left", rank=1), FaceRule(by="left", rank=2)


def cast_of(
    faces: Faces, *roles: Role, cuts: frozenset[int] = frozenset(), given: Given | None = None
) -> list[dict[int, str]]:
    """The identity of each track, frame by frame."""
    given = given or Given()
    tracks = cast_tracks(roles, pieces_of(faces, cuts), {}, given)
    frames = [synthetic_frame(n).with_faces([Face(face) for face in there]) for n, there in faces.items()]
    done = [cast(frame, roles, given, tracks) for frame in frames]
    return [{face.detection.track or 0: face.identity for face in frame.faces if face.identity} for frame in done]


def test_identities_go_with_tracks_where_faces_change_places() -> None:
    faces = {n: [a_face(1, 10.0 * n, 40), a_face(2, 190 - 10.0 * n, 40)] for n in range(1, 17)}
    assert cast_of(faces, Role("lead", LEFT), Role("friend", RIGHT)) == [{1: "lead", 2: "friend"}] * 16


def test_each_piece_is_cast_anew() -> None:
    faces = {n: [a_face(1, 0 if n < 5 else 90, 40), a_face(2, 50, 40)] for n in range(1, 9)}
    found = cast_of(faces, Role("lead", LEFT), cuts=frozenset({5}))
    assert found == [{1: "lead"}] * 4 + [{2: "lead"}] * 4


def test_a_tracks_number_and_an_artists_word_come_first() -> None:
    faces = {n: [a_face(1, 0, 40), a_face(2, 50, 40), a_face(3, 90, 40)] for n in range(1, 4)}
    number = Role("lead", FaceRule(by="track", rank=2))
    assert cast_of(faces, number, Role("friend", LEFT)) == [{2: "lead", 1: "friend"}] * 3
    told = Given({1: "lead"}, {n: frozenset({"lead"}) for n in faces})
    assert cast_of(faces, Role("lead", RIGHT), given=told) == [{1: "lead"}] * 3


def test_who_is_not_seen_is_noted() -> None:
    role = Role("lead", FaceRule(by="left", rank=3))
    tracks = cast_tracks([role], pieces_of({1: [a_face(1, 0, 40)]}, set()), {})
    frame = cast(synthetic_frame(1).with_faces([Face(a_face(1, 0, 40))]), [role], Given(), tracks)
    assert frame.notes == ("no face found for identity lead",)


def shape(seed: int, noise: float = 0.0) -> Landmarks:
    points = np.random.default_rng(seed).normal(size=(68, 3))
    return Landmarks(points + noise * np.random.default_rng(99).normal(size=(68, 3)), "ibug68")


def test_likeness_by_shapes_is_the_median_of_what_can_be_compared() -> None:
    role = Role("lead", LEFT, shape(1))
    distances = [unlikeness(role, [shape(1, noise)], ()) for noise in (0.0, 0.1, 0.3)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    together = unlikeness(role, [shape(1, noise) for noise in (0.3, 0.0, 0.1)], ())
    assert together == pytest.approx(distances[1])
    assert unlikeness(role, [Landmarks(np.zeros((5, 2)), "five")], ()) is None


def test_likeness_by_a_recogniser_knows_somebody_else() -> None:
    east, north, near = (np.array(v, np.float32) for v in ((1.0, 0.0), (0.0, 1.0), (0.8, 0.6)))
    role = Role("lead", LEFT, shape(1), east)
    assert unlikeness(role, [shape(2)], [east, near]) == pytest.approx(1 - 1.8 / np.hypot(1.8, 0.6))
    assert unlikeness(role, [shape(1)], [north]) is None
