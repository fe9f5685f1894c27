"""A drawn shot with known truth in a folder laid out as `make demo` leaves it, and what the tests ask of movies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vfxswap.cli import main
from vfxswap.frame import Detection
from vfxswap.host import Host
from vfxswap.identity import load_identity
from vfxswap.models import ModelStore
from vfxswap.pipeline import Pipeline, load
from vfxswap.testing import synthetic_comb, synthetic_frame, synthetic_plate, write_synthetic_trained
from vfxswap.trackfile import sidecar, write_tracks

SIZE = (128, 96)
"""Width and height of the drawn shot."""
COUNT = 16
PLATE, HERO, FRIEND = 0, 44, 88
"""Drawn people of one skin and, as 44 and 88 are nearly multiples of 2 pi, in step: when one opens the mouth, the
others do. So the hero's own picture is what a perfect swap of the plate would be."""

Planes = list[NDArray[Any]]
Movie = list[Planes]
Shell = Callable[..., tuple[int, str]]

SMALL = ("--set", "stages.points5.crop_size=96", "--device", "cpu", "--progress", "none")
"""What makes a run small and quiet."""

_CONSENT = """\
name = "{name}"
licence = "CC0-1.0"
[consent]
performer = "a drawn face"
grantor = "nobody; it is drawn by a formula"
productions = ["lab"]
purposes = ["test", "double"]
from = 2000-01-01
until = 2999-12-31
scope = "tests"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with pipeline files and the shots that they name."""

    root: Path

    @property
    def pipelines(self) -> Path:
        """Copies of the project's own pipeline files, and those that a test writes."""
        return self.root / "pipelines"

    @property
    def shot(self) -> Path:
        """plate.mkv, truth.mkv, tracks.json, mattes, identity: what `make demo` leaves."""
        return self.root / "demo-out"

    def write(self, name: str, text: str) -> Path:
        """Writes a pipeline file."""
        path = self.pipelines / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Place:
    """The shot, drawn once; tests take a `place` of their own."""
    place = Place(tmp_path_factory.mktemp("drawn"))
    shutil.copytree(repo / "pipelines", place.pipelines)
    _draw_shot(place.shot, (PLATE,), (HERO,))
    _draw_shot(place.shot / "two", (PLATE, PLATE), (HERO, FRIEND))
    _draw_weights(place.shot / "identity")
    return place


@pytest.fixture
def place(drawn: Place, tmp_path: Path) -> Place:
    """A copy that a test may write to."""
    place = Place(tmp_path / "place")
    shutil.copytree(drawn.root, place.root)
    return place


@pytest.fixture(autouse=True)
def _first_party_plugins_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is installed on this machine has no say."""
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "vfxswap-plugins,watch,faulty")
    monkeypatch.delenv("VFXSWAP_PLUGIN_PATH", raising=False)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the watching plugin keeps what it sees."""
    folder = tmp_path / "watched"
    folder.mkdir()
    monkeypatch.setenv("WATCH_FOLDER", str(folder))
    return folder


@pytest.fixture
def host() -> Host:
    """First-party plugins, one that watches, and one that fails."""
    here = Path(__file__).parent
    return Host(plugin_path=[here / "watching", here / "faulty"])


@pytest.fixture
def planned(host: Host) -> Callable[..., Pipeline]:
    """Loads a pipeline file."""

    def planned(path: Path, *overrides: str, **options: Any) -> Pipeline:
        store = ModelStore.from_environment(host.model_cards())
        return load(path, host, store=store, overrides=overrides, device="cpu", **options)

    return planned


@pytest.fixture(scope="session")
def drawn_size() -> tuple[int, int]:
    """Width and height of the drawn shot."""
    return SIZE


@pytest.fixture(scope="session")
def decoded() -> Callable[[Path], Movie]:
    """All pictures of a movie, by PyAV alone."""

    def decoded(path: Path) -> Movie:
        with av.open(str(path)) as container:
            return [_planes(frame) for frame in container.decode(video=0)]

    return decoded


@pytest.fixture(scope="session")
def times_of() -> Callable[[Path], list[Fraction]]:
    """The time of each picture, in seconds."""

    def times_of(path: Path) -> list[Fraction]:
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        return [Fraction(frame.time_base or 0) * (frame.pts or 0) for frame in frames]

    return times_of


@pytest.fixture(scope="session")
def encode() -> Callable[..., Path]:
    """Writes a movie, by PyAV alone."""
    return _encode


@pytest.fixture(scope="session")
def draw() -> Callable[..., Movie]:
    """Pictures of drawn people, side by side."""
    return _pictures


@pytest.fixture
def shell(place: Place, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs `demo.toml` with more words: exit code, and what was said on standard error (or output, if nothing)."""

    def shell(*words: str, file: str = "demo.toml", plugins: str | None = None) -> tuple[int, str]:
        before = () if plugins is None else ("--plugin-path", str(Path(__file__).parent / plugins))
        code = main([*before, "run", str(place.pipelines / file), *SMALL, *words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, err or out

    return shell


@pytest.fixture(scope="session")
def report_of() -> Callable[[Path], list[dict[str, Any]]]:
    """The lines of a delivery's report."""
    return _report_of


@pytest.fixture(scope="session")
def files_in() -> Callable[[Path], set[str]]:
    """Names of what is in a folder."""
    return _files_in


def _draw_shot(folder: Path, plate: Sequence[int], identities: Sequence[int]) -> None:
    width, height = SIZE
    (folder / "mattes").mkdir(parents=True)
    _encode(folder / "plate.mkv", _pictures(plate))
    _encode(folder / "truth.mkv", _pictures(identities))
    tracks = {number: _faces(number, len(plate)) for number in range(1, COUNT + 1)}
    write_tracks(folder / "tracks.json", tracks, width=width * len(plate), height=height)
    for number, faces in tracks.items():
        _draw_matte(folder / "mattes" / f"matte.{number:04d}.png", faces, (width * len(plate), height))
    for place, person in enumerate(identities, 1):
        _draw_identity(folder / ("identity" if place == 1 else f"identity{place}"), person)


def _pictures(people: Sequence[int], numbers: Sequence[int] = range(1, COUNT + 1), **form: Any) -> Movie:
    rows = []
    for number in numbers:
        frames = [
            synthetic_frame(number, person=person, **({"width": SIZE[0], "height": SIZE[1]} | form))
            for person in people
        ]
        rows.append([np.hstack(planes) for planes in zip(*(frame.plate.planes for frame in frames), strict=True)])
    return rows


def _faces(number: int, count: int) -> list[Detection]:
    found = []
    for place in range(count):
        marks = synthetic_plate(number, width=SIZE[0], height=SIZE[1]).landmarks
        marks = marks.mapped(np.array([(1.0, 0.0, place * SIZE[0]), (0.0, 1.0, 0.0)]))
        low, high = marks.points[:, :2].min(axis=0), marks.points[:, :2].max(axis=0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        found.append(Detection(box, 0.9, marks.five(), place + 1, marks))
    return found


def _draw_matte(path: Path, faces: Sequence[Detection], size: tuple[int, int]) -> None:
    """The lower half of each face's oval: less than the hull, so that it has a say."""
    matte = np.zeros((size[1], size[0]), np.uint8)
    for face in faces:
        if face.landmarks is not None:
            oval = face.landmarks.region("oval")
            lower = oval[oval[:, 1] > oval[:, 1].mean()]
            cv2.fillPoly(matte, [np.round(lower - 0.5).astype(np.int32)], 255)
    cv2.imwrite(str(path), matte)


def _draw_identity(folder: Path, person: int) -> None:
    folder.mkdir()
    (folder / "identity.toml").write_text(_CONSENT.format(name=f"person {person}"))
    for place, number in enumerate((1, 3, 5, 11), 1):
        plate = synthetic_plate(number, width=160, height=160, person=person)
        still = folder / f"still{place:02d}.png"
        rgb = plate.image.numpy().transpose(1, 2, 0)
        cv2.imwrite(str(still), np.round(rgb[..., ::-1].clip(0, 1) * 255).astype(np.uint8))
        found = plate.detection
        face = Detection(found.box, 1.0, found.five, 1, plate.landmarks)
        write_tracks(sidecar(still), {1: [face]}, width=160, height=160)


def _draw_weights(folder: Path) -> None:
    """Weights that make no face, but compute as trained ones do."""
    drawn = load_identity("hero", folder)[0]
    assert drawn is not None
    comb = synthetic_comb(64)
    write_synthetic_trained(
        folder / "hero.safetensors", comb, consents=dict.fromkeys(("hero", "double"), drawn.consent)
    )


def _encode(
    path: Path,
    movie: Movie,
    *,
    codec: str = "ffv1",
    times: Sequence[int] | None = None,
    rotation: int = 0,
    is_tagged: bool = True,
    pix_fmt: str = "yuv420p",
) -> Path:
    """Writes planes as they are, 25 frames a second unless `times` gives milliseconds."""
    base = Fraction(1, 25) if times is None else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "0"} if codec == "libx264" else {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = movie[0][0].shape
        stream.pix_fmt, stream.codec_context.time_base = pix_fmt, base
        if is_tagged:
            _tag(stream.codec_context)
        if rotation:
            stream.set_display_rotation(-rotation)  # FFmpeg counts counter-clockwise
        for place, planes in enumerate(movie):
            frame = av.VideoFrame(stream.width, stream.height, pix_fmt)
            for target, plane in zip(frame.planes, planes, strict=True):
                rows = np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)
                rows[: plane.shape[0], : plane.shape[1]] = plane
            frame.pts, frame.time_base = place if times is None else times[place], base
            if is_tagged:
                _tag(frame)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _tag(target: Any) -> None:
    """BT.709, limited range, by the numbers of H.273."""
    target.color_primaries = target.color_trc = target.colorspace = target.color_range = 1


def _planes(frame: av.VideoFrame) -> Planes:
    """Copies of the planes of an 8-bit 4:2:0 picture."""
    assert frame.format.name in {"yuv420p", "yuvj420p"}
    width, height = frame.width, frame.height
    sizes = [(height, width), *[(-(-height // 2), -(-width // 2))] * 2]
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:rows, :columns].copy()
        for plane, (rows, columns) in zip(frame.planes, sizes, strict=True)
    ]


def _report_of(delivery: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in delivery.with_name(f"{delivery.name}.report.jsonl").read_text().splitlines()]


def _files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
