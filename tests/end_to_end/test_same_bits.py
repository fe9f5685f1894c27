"""One pipeline file and one plate give one delivery: whole, in chunks, on few threads or many, here or elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vfxswap
from vfxswap.host import Host
from vfxswap.stage import Deflicker
from vfxswap.workers import _precisions

Movie = list[list[NDArray[np.uint8]]]
Decode = Callable[[Path], Movie]
Encode = Callable[..., Path]

COUNT = 24
CUT = 14
"""First frame of the second shot."""

FRAMEWISE = """\
[shot]
plate = "../demo-out/cut.mkv"
production = "lab"
[identities.hero]
path = "../demo-out/identity"
[[stages]]
use = "tracks"
path = "../demo-out/cut.json"
[[stages]]
use = "points5"
crop_size = 96
[[stages]]
use = "portrait"
identity = "hero"
[[stages]]
use = "hull"
[[stages]]
use = "mkl"
[[stages]]
use = "detail-deflicker"
radius_frames = 1
[[stages]]
use = "flow-deflicker"
radius_frames = 2
[[stages]]
use = "pyramid"
[delivery]
path = "../demo-out/framewise.mkv"
"""
LOCKED = (
    FRAMEWISE.replace('use = "mkl"', 'use = "idt"\nlock = "shot"\nlock_frames = 3')
    .replace(
        "crop_size = 96",
        'crop_size = 96\n[[stages]]\nuse = "steady-landmarks"\nradius_frames = 2\ntolerance_percent = 2',
    )
    .replace("framewise", "locked")
    .replace('use = "detail-deflicker"\nradius_frames = 1', 'use = "light-deflicker"\nradius_frames = 2')
    .replace("pyramid", "poisson")
)
"""Three windows in a row, one of them before the crops, and a survey before the run."""
WEIGHTS = FRAMEWISE.replace(
    'use = "portrait"\nidentity = "hero"',
    'use = "autoencoder"\nidentity = "hero"\nmorph_to = "double"\nmorph = 0.3\npresharpen = 0.5\nmask_blur_percent = 2',
).replace("framewise", "weights")
PIPELINES = {"framewise": FRAMEWISE, "locked": LOCKED, "weights": WEIGHTS}


@pytest.fixture(scope="session")
def movie(drawn: Any, encode: Encode, draw: Callable[..., Movie], repo: Path) -> Any:
    """The drawn shot, longer, with a cut in it; and whole runs of both pipelines."""
    from vfxswap.trackfile import read_tracks, write_tracks  # noqa: PLC0415

    source = read_tracks(drawn.shot / "tracks.json")
    numbers = [number if number < CUT else COUNT + 1 - number for number in range(1, COUNT + 1)]
    pictures = draw([0], numbers)
    for planes in pictures[CUT - 1 :]:
        planes[:] = [255 - planes[0], planes[2], planes[1]]
    encode(drawn.shot / "cut.mkv", pictures)
    tracks = {place: source.faces(number) for place, number in enumerate(numbers, 1)}
    width, height = pictures[0][0].shape[1], pictures[0][0].shape[0]
    write_tracks(drawn.shot / "cut.json", tracks, width=width, height=height)
    for name, text in PIPELINES.items():
        drawn.write(f"{name}.toml", text)
    return drawn


@pytest.fixture(scope="session")
def whole(movie: Any, decoded: Decode) -> Callable[[str], Movie]:
    """The delivery of a pipeline that was run whole, made once."""
    made: dict[str, Movie] = {}

    def whole(name: str) -> Movie:
        if name not in made:
            report = vfxswap.run(movie.pipelines / f"{name}.toml", device="cpu", workers=2)
            assert report.summary()["swapped"] == COUNT
            made[name] = decoded(report.outputs[0])
        return made[name]

    return whole


def same(a: Movie, b: Movie) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("size", [1, 7, 16])
def test_chunks_are_pieces_of_the_whole(
    movie: Any, host: Host, whole: Callable[[str], Movie], decoded: Decode, tmp_path: Path, name: str, size: int
) -> None:
    """Of chunks of one frame, those around the cut and at the shot's ends; of the others all."""
    starts = [1, 13, 14, 24] if size == 1 else range(1, COUNT + 1, size)
    for first in starts:
        last = min(first + size - 1, COUNT)
        out = tmp_path / f"{first}.mkv"
        vfxswap.run(movie.pipelines / f"{name}.toml", frames=f"{first}-{last}", out=out, device="cpu", host=host)
        assert same(decoded(out), whole(name)[first - 1 : last]), f"frames {first}-{last}"


@pytest.mark.parametrize("name", PIPELINES)
def test_a_stepped_range_is_a_choice_of_the_whole(
    movie: Any, host: Host, whole: Callable[[str], Movie], decoded: Decode, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "stepped.mkv"
    vfxswap.run(movie.pipelines / f"{name}.toml", frames="3-23x10", out=out, device="cpu", host=host)
    assert same(decoded(out), [whole(name)[number - 1] for number in (3, 13, 23)])


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("workers", [1, 3])
def test_threads_do_not_matter_nor_a_second_run(
    movie: Any, host: Host, whole: Callable[[str], Movie], decoded: Decode, tmp_path: Path, name: str, workers: int
) -> None:
    out = tmp_path / "again.mkv"
    vfxswap.run(movie.pipelines / f"{name}.toml", out=out, workers=workers, device="cpu", host=host)
    assert same(decoded(out), whole(name))


def test_another_process_gives_the_same(
    movie: Any, whole: Callable[[str], Movie], decoded: Decode, tmp_path: Path, repo: Path
) -> None:
    out = tmp_path / "elsewhere.mkv"
    words = ["run", str(movie.pipelines / "locked.toml"), "--out", str(out), "--device", "cpu", "--progress", "none"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(repo), str(repo / "plugins")])}
    environ["VFXSWAP_LOAD_PLUGINS"] = "vfxswap-plugins"
    done = subprocess.run(
        [sys.executable, "-m", "vfxswap.cli", *words], capture_output=True, text=True, env=environ, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert same(decoded(out), whole("locked"))


def test_the_same_run_writes_the_same_bytes(movie: Any, host: Host, tmp_path: Path) -> None:
    """Of a lossless delivery, the file too: nothing of time, machine or process is in it."""
    files = [tmp_path / "a.mkv", tmp_path / "b.mkv"]
    for file in files:
        vfxswap.run(movie.pipelines / "framewise.toml", frames="1-4", out=file, device="cpu", host=host)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_nothing_is_smoothed_over_a_cut(
    movie: Any, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the stage is shown of a frame beside the cut ends there."""
    stage: type[Deflicker[Any]] = host.stage_class("flow-deflicker")  # type: ignore[assignment]
    shown: dict[int, Sequence[int]] = {}
    steady = stage.steady

    def watched(self: Any, window: Any) -> Any:
        shown[window.frames[window.center]] = window.frames
        return steady(self, window)

    monkeypatch.setattr(stage, "steady", watched)
    vfxswap.run(movie.pipelines / "framewise.toml", frames="11-15", out=tmp_path / "o.mkv", device="cpu", host=host)
    assert shown[11] == (9, 10, 11, 12, 13)
    assert shown[13] == (11, 12, 13)
    assert shown[14] == (14, 15, 16)


@pytest.mark.footage
def test_models_give_the_same_in_chunks(
    shared: Path, shared_models: Path, place: Any, host: Host, decoded: Decode, tmp_path: Path
) -> None:
    """The networks see one face at a time, whatever else is in the batch."""
    file = place.pipelines / "double.toml"
    plate = shared / "clips" / "cisco_vt2people_320x192.mkv"
    sets = ["shot.color_space=bt709", "stages.facemesh.crop_size=128"]
    sets.append(f"identities.hero.path='{_paintings(shared, tmp_path)}'")
    outs = []
    for frames, workers in (("1-9", 3), ("1-3", 1), ("4-9", 2)):
        outs.append(tmp_path / f"{frames}.mkv")
        vfxswap.run(file, plate=plate, out=outs[-1], frames=frames, overrides=sets, workers=workers, host=host)
    movies = [decoded(out) for out in outs]
    assert same(movies[0], movies[1] + movies[2])


def _paintings(shared: Path, folder: Path) -> Path:
    """An identity of a painted face."""
    identity = folder / "painting"
    identity.mkdir()
    (identity / "still01.jpg").write_bytes((shared / "images" / "painting_lp_s9.jpg").read_bytes())
    (identity / "identity.toml").write_text(
        'name = "a painting"\n[consent]\nperformer = "a painting"\ngrantor = "nobody living"\nproductions = ["*"]\n'
        'purposes = ["*"]\nfrom = 2000-01-01\nuntil = 2999-12-31\nscope = "tests"\n'
    )
    return identity


def test_floats_are_whole_for_as_long_as_it_computes(movie: Any, host: Host, tmp_path: Path) -> None:
    """So that a GPU which has TF32 computes what one without it does."""
    before, seen = _precisions(), set()
    vfxswap.run(
        movie.pipelines / "framewise.toml",
        frames="3-4",
        out=tmp_path / "some.mkv",
        device="cpu",
        host=host,
        progress=lambda _: seen.add(_precisions()),
    )
    assert seen == {("ieee",) * len(before)} != {before}
    assert _precisions() == before
