"""Nuke's Tracker4: what it would read, and what it writes itself."""

from __future__ import annotations

import re

import pytest

from vfxswap.analysis.nuke_tracker import read_tracker, tracker_text
from vfxswap.errors import UsageError

TRACKS = {
    "track2_nose": {1001: (10.5, 20.25), 1002: (11.0, 20.5), 1010: (1234.125, -3.5)},
    "track2 left {eye}": {-3: (0.0, 100.0)},
}

SAVED = r"""
Tracker4 {
 inputs 0
 tracks { { 1 31 2 }
{ COLUMNS }
{
 { {curve K x1001 1} "track 1" {curve i x1001 950.5 s0 952.25 x1010 980 t0.5} {curve x1001 540 541 x1010 500} REST }
 { {curve K x1001 1} "a \"b\" {" 12 34 REST }
}
}
 name Tracker1
}
"""


REST = "{curve K x1001 0} {} 1 0 0 {curve x1001 0} 1 0 -32 -32 32 32 -22 -22 22 22" + " {}" * 11


def saved() -> str:
    """As Nuke saves a node: slopes and interpolation between the keys, texts with quotes and braces, a still point."""
    columns = re.search(r"\{ (\{ 5 1 20.*?1 \}) \}\n\{", tracker_text(TRACKS, height=9), re.DOTALL)
    assert columns is not None
    return SAVED.replace("COLUMNS", columns[1]).replace("REST", REST)


def test_points_go_there_and_back() -> None:
    text = tracker_text(TRACKS, height=100)
    assert text.startswith("Tracker4 {\n inputs 0\n tracks { { 1 31 2 }\n")
    assert "{curve x1001 10.5 11 x1010 1234.125} {curve x1001 79.75 79.5 x1010 103.5}" in text
    assert read_tracker(text, height=100) == TRACKS


def test_what_nuke_saves_is_read() -> None:
    found = read_tracker(saved(), height=1080)
    assert found["track 1"] == {1001: (950.5, 540.0), 1002: (952.25, 539.0), 1010: (980.0, 580.0)}
    assert found['a "b" {'] == {}


def test_y_is_counted_from_the_bottom_and_pixels_have_their_centres_at_a_half() -> None:
    """The centre of the top-left pixel is half a pixel below the top there, too."""
    text = tracker_text({"corner": {1: (0.5, 0.5)}}, height=1080)
    assert "{curve x1 0.5} {curve x1 1079.5}" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Read {\n file a.exr\n}\n", "holds no Tracker4 node"),
        (saved()[:-40], "ends in the middle of a Tracker4 node"),
        (saved().replace("track_x track_x", "u u"), "no columns name, track_x and track_y"),
        (saved().replace(" 12 34 ", " "), "cells, and there are 31 columns"),
        (saved().replace("x1010 980", "x1010.5 980"), "has a key between frames (1010.5); bake"),
        ("Tracker4 {\n tracks { { 1 31 0 } }\n}\n", "not the table that Nuke writes"),
    ],
)
def test_other_texts_are_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_tracker(text, height=1080, whose="shot.nk")
    assert said in str(caught.value)
    assert "shot.nk" in str(caught.value)
