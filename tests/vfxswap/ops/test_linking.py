"""Which face goes on which track: by where it should be, by its looks, by the detector's word."""

from __future__ import annotations

import numpy as np

from vfxswap.ops.facelook import Look
from vfxswap.ops.linking import Candidate, Trail, linked, motion_cost

SURE = 0.6


def a_face(
    x: float, *, size: float = 40, score: float = 0.9, look: Look | None = None, known: int | None = None
) -> Candidate:
    return Candidate((x, 10, x + size, 10 + size), score, look, known)


def a_trail(number: int, *faces: Candidate, first: int = 1) -> Trail:
    trail = Trail(number)
    for frame, face in enumerate(faces, first):
        trail.see(frame, face)
    return trail


def colour(value: float) -> Look:
    return np.full((3, 12, 12), value, np.float32) * np.array([1, 0.5, 0.2], np.float32)[:, None, None]


def test_a_track_goes_on_as_it_went() -> None:
    trail = a_trail(0, a_face(0), a_face(10), a_face(20))
    assert motion_cost(trail, 4, a_face(30)) < motion_cost(trail, 4, a_face(20)) < motion_cost(trail, 4, a_face(10))
    assert motion_cost(trail, 4, a_face(200)) == np.inf
    assert motion_cost(trail, 4, a_face(30, size=120)) == np.inf


def test_who_was_away_longer_is_looked_for_farther() -> None:
    trail = a_trail(0, a_face(0), a_face(0))
    assert motion_cost(trail, 3, a_face(30)) == np.inf
    assert motion_cost(trail, 13, a_face(30)) < np.inf


def test_two_who_cross_keep_their_ways() -> None:
    right = a_trail(0, *(a_face(4.0 * i) for i in range(5)))
    left = a_trail(1, *(a_face(30 - 4.0 * i) for i in range(5)))
    assert linked([right, left], 6, [a_face(10), a_face(20)], sure=SURE) == [(0, 1), (1, 0)]


def test_looks_decide_where_places_do_not() -> None:
    dark, light = a_face(50, look=colour(0.2)), a_face(50, look=colour(0.8))
    trails = [a_trail(0, dark, dark), a_trail(1, light, light)]
    assert linked(trails, 3, [light, dark], sure=SURE) == [(0, 1), (1, 0)]


def test_a_face_in_another_light_may_be_the_same() -> None:
    trail = a_trail(0, a_face(0, look=colour(0.2)), a_face(0, look=colour(0.2)))
    assert linked([trail], 3, [a_face(1, look=colour(0.9))], sure=SURE) == [(0, 0)]


def test_what_is_covered_does_not_change_the_look_of_a_track() -> None:
    trail = a_trail(0, a_face(0, look=colour(0.2)))
    trail.see(2, a_face(0, look=colour(0.9))._replace(is_clear=False))
    assert trail.look is not None
    assert np.array_equal(trail.look, colour(0.2))


def test_an_unsure_face_goes_on_with_a_track_that_is_there_and_takes_up_none() -> None:
    weak = a_face(2, score=0.3)
    assert linked([a_trail(0, a_face(0), a_face(1))], 3, [weak], sure=SURE) == [(0, 0)]
    assert linked([a_trail(0, a_face(0), a_face(1))], 9, [weak], sure=SURE) == []


def test_a_sure_face_has_the_first_choice() -> None:
    trail = a_trail(0, a_face(0), a_face(0))
    assert linked([trail], 3, [a_face(0, score=0.4), a_face(6)], sure=SURE) == [(0, 1)]


def test_the_detectors_word_counts() -> None:
    trails = [a_trail(0, a_face(0, known=7)), a_trail(1, a_face(100, known=8))]
    assert linked(trails, 2, [a_face(0, known=8), a_face(100, known=7)], sure=SURE) == [(0, 1), (1, 0)]
