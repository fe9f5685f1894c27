"""Mastering display and content light level: read, carried into streams that can say them, else reported."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vfxswap.color import ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.media import PlateInfo
from vfxswap_plugins.media.movie_plan import MovieOptions
from vfxswap_plugins.media.movie_writer import MovieWriter

MakeMovie = Callable[..., Path]
Deliver = Callable[..., Path]
InfoOf = Callable[[Path], PlateInfo]

PQ = ColorTags(Primaries.BT2020, Transfer.PQ, Matrix.BT2020_NCL, Range.LIMITED)
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
"""P3 with D65, 0.005 to 1000 cd/m2."""
LIGHT = "987,203"


@pytest.fixture
def graded(make_movie: MakeMovie) -> Path:
    """An HDR10 plate."""
    words = f"log-level=none:master-display={DISPLAY}:max-cll={LIGHT}"
    return make_movie("plate.mp4", "libx265", "yuv420p10le", tags=PQ, count=3, options={"x265-params": words})


@pytest.mark.parametrize(
    ("name", "codec"), [("o.mp4", "h265"), ("o.mov", "h265"), ("o.mkv", "h265"), ("o.mp4", "h264")]
)
def test_it_goes_along(graded: Path, deliver: Deliver, info_of: InfoOf, tmp_path: Path, name: str, codec: str) -> None:
    plate = info_of(graded)
    assert (plate.metadata["mastering_display"], plate.metadata["content_light"]) == (DISPLAY, LIGHT)
    result = info_of(deliver(graded, tmp_path / name, codec=codec))
    assert (result.metadata["mastering_display"], result.metadata["content_light"]) == (DISPLAY, LIGHT)
    assert result.tags == PQ
    assert MovieWriter.remarks(tmp_path / "p.mp4", MovieOptions(), plate, PQ) == []


def test_where_it_cannot_be_said_the_report_does(
    graded: Path, deliver: Deliver, info_of: InfoOf, tmp_path: Path
) -> None:
    plate = info_of(graded)
    options = MovieOptions(codec="prores_hq")
    (said,) = MovieWriter.remarks(tmp_path / "o.mov", options, plate, PQ)
    assert "mastering display and light levels do not go along" in said
    result = info_of(deliver(graded, tmp_path / "o.mov", codec="prores_hq"))
    assert "mastering_display" not in result.metadata
    assert (result.tags.primaries, result.tags.transfer) == (Primaries.BT2020, Transfer.PQ)


def test_a_plate_without_it_says_nothing(
    make_movie: MakeMovie, deliver: Deliver, info_of: InfoOf, tmp_path: Path
) -> None:
    plate = make_movie("plate.mkv", "ffv1", "yuv420p10le", tags=PQ, count=2)
    result = info_of(deliver(plate, tmp_path / "o.mp4", codec="h265"))
    assert not {"mastering_display", "content_light"} & {*info_of(plate).metadata, *result.metadata}


@pytest.mark.ffmpeg
def test_ffprobe_sees_it(graded: Path, deliver: Deliver, tmp_path: Path) -> None:
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("the ffprobe program is not installed")
    path = deliver(graded, tmp_path / "o.mp4", codec="h265")
    words = [program, "-v", "error", "-show_frames", "-read_intervals", "%+#1", "-of", "json", str(path)]
    frame = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)["frames"][0]
    found = {key: value for data in frame["side_data_list"] for key, value in data.items()}
    assert (found["green_x"], found["max_luminance"]) == ("13250/50000", "10000000/10000")
    assert (found["max_content"], found["max_average"]) == (987, 203)
