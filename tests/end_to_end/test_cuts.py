"""What stands behind a cut has no say before it, whatever looks over time: another second shot, the same first one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
from numpy.typing import NDArray

import vfxswap
from vfxswap.frame import Detection
from vfxswap.host import Host
from vfxswap.stage import Stage
from vfxswap.trackfile import read_tracks, write_tracks

Movie = list[list[NDArray[np.uint8]]]

COUNT, CUT = 14, 9
"""Frames of the plate, and the first of its second shot."""
TEMPORAL = ("steady-landmarks", "light-deflicker", "detail-deflicker", "flow-deflicker", "grain")
PIPELINE = """\
[shot]
plate = "{name}.mkv"
production = "lab"
[identities.hero]
path = "demo-out/identity"
[[stages]]
use = "tracks"
path = "{name}.json"
[[stages]]
use = "face-tracker"
[[stages]]
use = "points5"
crop_size = 64
[[stages]]
use = "steady-landmarks"
radius_frames = 3
[[stages]]
use = "portrait"
identity = "hero"
[[stages]]
use = "hull"
[[stages]]
use = "light-deflicker"
[[stages]]
use = "detail-deflicker"
[[stages]]
use = "flow-deflicker"
[[stages]]
use = "alpha"
[[stages]]
use = "grain"
[delivery]
path = "{name}_out.mkv"
"""


@pytest.fixture(scope="module")
def two_endings(
    tmp_path_factory: pytest.TempPathFactory, drawn: Any, encode: Callable[..., Path], draw: Callable[..., Movie]
) -> Path:
    """Two plates that share their first shot; in the second the face stands elsewhere, in other colours."""
    folder = tmp_path_factory.mktemp("endings")
    (folder / "demo-out").symlink_to(drawn.shot)
    source = read_tracks(drawn.shot / "tracks.json")
    for name, order, shift in (("one", (0, 2, 1), 3), ("other", (0, 1, 2), -4)):
        pictures = draw([0], range(1, COUNT + 1))
        for planes in pictures[CUT - 1 :]:
            turned = [255 - planes[order[0]], planes[order[1]], planes[order[2]]]
            planes[:] = [np.roll(plane, shift * 2 // (1 + (i > 0)), axis=1) for i, plane in enumerate(turned)]
        encode(folder / f"{name}.mkv", pictures)
        faces = {n: source.faces(n) for n in range(1, COUNT + 1)}
        moved = {n: [_moved(face, 2 * shift) for face in found] if n >= CUT else found for n, found in faces.items()}
        height, width = pictures[0][0].shape
        write_tracks(folder / f"{name}.json", moved, width=width, height=height)
        (folder / f"{name}.toml").write_text(PIPELINE.format(name=name))
    return folder


def _moved(face: Detection, right_px: float) -> Detection:
    matrix = np.array([[1.0, 0.0, right_px], [0.0, 1.0, 0.0]])
    marks = None if face.landmarks is None else face.landmarks.mapped(matrix)
    x0, y0, x1, y1 = face.box
    five = None if face.five is None else face.five + np.array([right_px, 0.0])
    return Detection((x0 + right_px, y0, x1 + right_px, y1), face.score, five, face.track, marks)


@pytest.fixture(scope="module")
def before_the_cut(two_endings: Path, decoded: Callable[[Path], Movie]) -> Callable[..., Movie]:
    """The frames before the cut, as a pipeline file delivers them."""

    @cache
    def before(name: str, *words: str) -> Movie:
        out, frames = two_endings / f"{name}-{len(words)}{len(''.join(words))}.mkv", f"{CUT - 4}-{CUT - 1}"
        file = two_endings / f"{name}.toml"
        report = vfxswap.run(file, out=out, overrides=words, frames=frames, device="cpu", host=Host())
        assert report.summary()["swapped"] == 4
        return decoded(out)

    return before


def same(a: Movie, b: Movie) -> bool:
    return all(np.array_equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True))


def test_every_stage_with_a_window_is_in() -> None:
    host = Host()
    classes = {name: host.stage_class(name) for name in host.stages}
    assert {name for name, cls in classes.items() if cls.window is not Stage.window} == set(TEMPORAL)


def test_what_comes_after_a_cut_changes_nothing_before_it(before_the_cut: Callable[..., Movie]) -> None:
    assert same(before_the_cut("one"), before_the_cut("other"))


def test_without_the_cut_it_would(before_the_cut: Callable[..., Movie]) -> None:
    assert not same(before_the_cut("one", "shot.cuts=[]"), before_the_cut("other", "shot.cuts=[]"))


def test_an_edit_that_the_plate_shows_gives_its_cuts(before_the_cut: Callable[..., Movie], two_endings: Path) -> None:
    """The bits are those of the cut that was found."""
    time, track = otio.opentime.RationalTime, otio.schema.Track("V1")
    for count in (CUT - 1, COUNT - CUT + 1):
        shown = otio.opentime.TimeRange(time(0, 25), time(count, 25))
        track.append(otio.schema.Clip("a", source_range=shown))
    timeline = otio.schema.Timeline("edit")
    timeline.tracks.append(track)
    timeline.to_json_file(str(two_endings / "edit.otio"))
    assert same(before_the_cut("one", "shot.cuts='edit.otio'"), before_the_cut("one"))
