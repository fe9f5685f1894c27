"""A small lab shot with its pipeline file, an identity's stills in eleven poses, and the faceset of these."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vfxswap.alignment import CropSpec, crop_of_type
from vfxswap.faceset import FaceRecord, Faceset, FacesetInfo
from vfxswap.facesets.extract import Extracted, Footage, extract, stills_in
from vfxswap.facesets.seeing import Asked
from vfxswap.host import Host
from vfxswap.lab.deliver import deliver
from vfxswap.lab.looks import PERFORMERS
from vfxswap.lab.motion import Acting
from vfxswap.lab.shot import Lens, Lights, Role, ShotSpec

CROP = crop_of_type("whole", 96)
PIPELINE = """\
[shot]
plate = "plate.mkv"
production = "lab"
purpose = "test"
[identities.hero]
path = "identity"
[[stages]]
use = "tracks"
path = "tracks.json"
[[stages]]
use = "points5"
[[stages]]
use = "portrait"
identity = "hero"
[[stages]]
use = "hull"
[[stages]]
use = "pyramid"
[delivery]
path = "out.mkv"
"""
FRAMES = 8

Records = Callable[..., Faceset]


@pytest.fixture(autouse=True)
def _first_party_plugins_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is installed on this machine has no say."""
    monkeypatch.setenv("VFXSWAP_LOAD_PLUGINS", "vfxswap-plugins")
    monkeypatch.delenv("VFXSWAP_PLUGIN_PATH", raising=False)


@pytest.fixture(scope="session")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shot of two people, rendered once."""
    folder = tmp_path_factory.mktemp("shot")
    acting = Acting(seed=4, talk=1.0, yaw_degrees=15, blinks_per_minute=40)
    spec = ShotSpec(
        name="tiny",
        frames=(1001, 1000 + FRAMES),
        roles=(Role(looks=PERFORMERS["ada"], face=PERFORMERS["ben"], acting=acting),),
        lights=Lights(shadows=False),
        lens=Lens(samples=2),
    )
    deliver(spec, folder, width=192, height=108, still_px=160)
    (folder / "job.toml").write_text(PIPELINE)
    return folder


@pytest.fixture
def job(shot: Path, tmp_path: Path) -> Path:
    """A pipeline file in a copy of the shot's folder that a test may change."""
    folder = tmp_path / "job"
    shutil.copytree(shot, folder)
    return folder / "job.toml"


@pytest.fixture(scope="session")
def host() -> Host:
    """The first-party plugins."""
    return Host(environ={"VFXSWAP_LOAD_PLUGINS": "vfxswap-plugins"})


def _asked(pipeline: Path, *overrides: str, identity: str = "hero", crop: CropSpec = CROP) -> Asked:
    return Asked(pipeline, identity, crop, overrides, "cpu")


@pytest.fixture(scope="session")
def asked() -> Callable[..., Asked]:
    """Asks for faces of the hero, of 96 px."""
    return _asked


@pytest.fixture
def take(job: Path, host: Host, asked: Callable[..., Asked]) -> Callable[..., Extracted]:
    """Extracts from the job's pipeline into `faces` beside it."""
    own = Footage()

    def take(footage: Footage = own, *overrides: str, out: str = "faces", **options: Any) -> Extracted:
        return extract(asked(job, *overrides), job.parent / out, footage, host=host, workers=2, **options)

    return take


@pytest.fixture(scope="session")
def _stills_set(shot: Path, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stills") / "hero"
    footage = Footage(stills=stills_in([shot / "identity"]))
    extract(_asked(shot / "job.toml"), folder, footage, host=host, workers=2)
    return folder


@pytest.fixture
def stills_set(_stills_set: Path, tmp_path: Path) -> Faceset:
    """The faceset of the identity's eleven stills, in a folder that a test may change."""
    folder = tmp_path / "hero_faces"
    shutil.copytree(_stills_set, folder)
    return Faceset.load(folder)


@pytest.fixture
def told(stills_set: Faceset) -> Records:
    """Facesets of which there are records alone: one face of the stills told again with other values."""

    def told(name: str, values: list[Mapping[str, Any]], **info: Any) -> Faceset:
        first = stills_set.records[0]
        records = tuple(
            first.model_copy(update={"frame": frame, "source": f"{name}.mov", **value})
            for frame, value in enumerate(values, 1)
        )
        head = FacesetInfo(identity=name, subject=info.get("subject", "identity"))
        return Faceset(stills_set.folder, stills_set.crop, head, records)

    return told


def _opened(face: FaceRecord, mouth_px: float) -> FaceRecord:
    points = np.array(face.points)
    lower = (95, 88, 178, 87, 14, 317, 402, 318, 324)
    upper = (191, 80, 81, 82, 13, 312, 311, 310, 415)
    for low, high in zip(lower, upper, strict=True):
        points[low, 1] = points[high, 1] + mouth_px
    return face.model_copy(update={"points": points})


@pytest.fixture(scope="session")
def opened() -> Callable[[FaceRecord, float], FaceRecord]:
    """Makes a face whose lower inner lip is so many pixels below the upper."""
    return _opened


def _picture(path: Path) -> NDArray[np.uint8]:
    raw = cv2.imread(str(path))
    assert raw is not None, path
    return raw.astype(np.uint8)


@pytest.fixture(scope="session")
def picture() -> Callable[[Path], NDArray[np.uint8]]:
    """Reads a picture, as blue, green, red."""
    return _picture
