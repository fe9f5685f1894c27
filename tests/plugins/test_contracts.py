"""Every stage, reader and writer that the first-party plugins offer keeps the contract of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from vfxswap.color import PixelLayout
from vfxswap.errors import PluginError
from vfxswap.hookspecs import MediaOffer, StageOffer
from vfxswap.host import Host
from vfxswap.identity import Identity
from vfxswap.models import ModelStore
from vfxswap.stage import Setting, Stage
from vfxswap.testing import (
    CONTRACTS,
    RGB_FLOAT,
    YUV420P8,
    ReaderContract,
    StageContract,
    WriterContract,
    options_of,
    setting,
    synthetic_frame,
    synthetic_identity,
    synthetic_info,
    synthetic_plate,
    write_synthetic_trained,
)
from vfxswap.trackfile import write_tracks

HOST = Host(environ={})
OWN = next(record for record in HOST.plugins if record.distribution == "vfxswap")


def _tracks(folder: Path) -> Mapping[str, object]:
    """A tracks file of the drawn face."""
    faces = {number: [synthetic_plate(number).detection] for number in range(1001, 1049)}
    write_tracks(folder / "tracks.json", faces, width=160, height=160)
    return {"path": "tracks.json"}


def _roto(folder: Path) -> Mapping[str, object]:
    """A sequence of mattes for the suites' frames."""
    for number in range(1001, 1049):
        oval = synthetic_plate(number).landmarks.region("oval").round().astype(np.int32)
        matte = cv2.fillPoly(np.zeros((160, 160), np.uint8), [oval], 255)
        cv2.imwrite(str(folder / f"roto.{number}.png"), matte)
    return {"path": "roto.%04d.png"}


VALUES: Mapping[str, Callable[[Path], Mapping[str, object]]] = {"tracks": _tracks, "roto": _roto}
"""Settings that need files."""


def _trained(folder: Path) -> Identity:
    """An identity with weights."""
    write_synthetic_trained(folder / "hero.safetensors")
    return replace(synthetic_identity(folder=folder), weights=(folder / "hero.safetensors",))


def _with_dfm(folder: Path) -> Identity:
    """An identity with the DFM that `_dfm` writes."""
    return replace(synthetic_identity(folder=folder), weights=(folder / "hero.dfm",))


IDENTITIES: Mapping[str, Callable[[Path], Identity]] = {"autoencoder": _trained, "dfm": _with_dfm}
"""Identities that need files."""


def _dfm(networks: Any) -> Mapping[str, object]:
    networks.dfm("hero.dfm", size=48, morph=True)
    return {"identity": "hero", "presharpen": 0.5, "gamma_before": [0.9, 1, 1.1], "mask_blur_percent": 2}


def _one_shot(networks: Any) -> Mapping[str, object]:
    networks.swapper(size=32), networks.recogniser()
    about = 'title = "tiny"\nlicence = "CC0-1.0"\ncommercial = true\norigin = "tests"\n'
    networks.cards(
        f'[recognisers.tiny]\n{about}file = "r.onnx"\npicture = {{template = "arcface_112_v2", size_px = 112}}\n'
        f'[swappers.tiny]\n{about}file = "s.onnx"\npicture = {{template = "arcface_128", size_px = 32}}\n'
        'source = {kind = "embedding", recogniser = "tiny", unit_before = true}\n'
    )
    files = {"cards": "cards.toml", "weights": "swap.onnx", "recogniser_weights": "recogniser.onnx"}
    return {"identity": "hero", "model": "tiny", "pixel_boost": 2, **files}


def _xseg(networks: Any) -> Mapping[str, object]:
    networks.xseg(size=64)
    return {"weights": "xseg.onnx", "postprocess": "facefusion"}


def _parser(networks: Any) -> Mapping[str, object]:
    networks.parser({0: (0, 0, 0, 0), 1: (1, 0, 0, 0)})
    return {"weights": "parser.onnx"}


NETWORKS: Mapping[str, Callable[[Any], Mapping[str, object]]] = {
    "dfm": _dfm,
    "one-shot": _one_shot,
    "xseg": _xseg,
    "parser": _parser,
}
"""Settings that need networks, of those that the fixture `networks` writes."""


def _suite(offer: StageOffer) -> type[StageContract]:
    """The suite of a stage's kind, for that stage."""
    stage: type[Stage[Any]] = HOST.stage_class(offer.name)
    kind = CONTRACTS[offer.kind]

    class Suite(kind):  # type: ignore[valid-type, misc]
        @pytest.fixture
        def values(self, request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, object]:
            if offer.name in NETWORKS:
                return NETWORKS[offer.name](request.getfixturevalue("networks"))
            make = VALUES.get(offer.name)
            return dict(self.options) if make is None else make(tmp_path)

        @pytest.fixture
        def given(self, models: ModelStore, tmp_path: Path) -> Setting:
            hero = IDENTITIES[offer.name](tmp_path) if offer.name in IDENTITIES else synthetic_identity()
            return setting(device=self.device, models=models, identities={"hero": hero})

        @pytest.fixture
        def models(self, request: pytest.FixtureRequest, values: Mapping[str, object], tmp_path: Path) -> ModelStore:
            if not stage.models(options_of(stage, values, folder=tmp_path)):
                return ModelStore([], {})
            request.getfixturevalue("shared_models")
            return ModelStore.from_environment(HOST.model_cards())

    Suite.stage = stage
    Suite.__name__ = Suite.__qualname__ = f"Test_{offer.name.replace('-', '_')}"
    return pytest.mark.footage(Suite) if _has_models(stage) else Suite


def _has_models(stage: type[Stage[Any]]) -> bool:
    """Whether a stage loads models when nothing else is asked of it."""
    with suppress(ValidationError):  # it cannot be made without settings; those that load models can
        return bool(stage.models(options_of(stage, {})))
    return False


for _offer in OWN.stages:
    with suppress(PluginError):  # test_every_stage_loads says why
        _made = _suite(_offer)
        globals()[_made.__name__] = _made


@pytest.mark.parametrize("offer", OWN.stages, ids=lambda offer: offer.name)
def test_every_stage_loads(offer: StageOffer) -> None:
    assert HOST.stage_class(offer.name).__module__.startswith("vfxswap_plugins.")


def test_every_offer_says_what_it_is_and_its_licence() -> None:
    offers: tuple[StageOffer | MediaOffer, ...] = (*OWN.stages, *OWN.readers, *OWN.writers)
    for offer in offers:
        assert offer.summary, offer
        assert offer.licence, offer


def test_no_two_plugins_clash() -> None:
    assert HOST.clashes == ()


def _movie(folder: Path) -> Path:
    """A short movie of the drawn face."""
    path, like = folder / "plate.mov", synthetic_info(folder / "source.mov")
    writer = HOST.writer_for(path)
    options = writer.Options.model_validate({})
    made = writer(path, options, like=like, tags=like.tags, first=like.first, last=like.last)
    for number in range(like.first, like.last + 1):
        made.write(synthetic_frame(number))
    made.finish()
    return path


def _still(folder: Path) -> Path:
    """A still of the drawn face."""
    rgb = synthetic_plate().image.clamp(0, 1).permute(1, 2, 0).numpy()
    path = folder / "plate.png"
    cv2.imwrite(str(path), cv2.cvtColor((rgb * 255).round().astype(np.uint8), cv2.COLOR_RGB2BGR))
    return path


def _sequence(folder: Path) -> Path:
    """A short EXR sequence of the drawn face."""
    path = folder / "plate" / "plate.####.exr"
    path.parent.mkdir()
    like = synthetic_info(folder / "source.exr", layout=RGB_FLOAT)
    writer = HOST.writer_for(path)
    options = writer.Options.model_validate({})
    with writer(path, options, like=like, tags=like.tags, first=like.first, last=like.last) as made:
        for number in range(like.first, like.last + 1):
            made.write(synthetic_frame(number, layout=RGB_FLOAT))
        made.finish()
    return path


PLATES: Mapping[str, Callable[[Path], Path]] = {"movie": _movie, "still": _still, "sequence": _sequence}
"""Makes a plate for each reader."""
NAMES: Mapping[str, str] = {"sequence": "plate.####.exr"}
"""Names of plates that are more than a suffix."""


@pytest.mark.parametrize("offer", OWN.readers, ids=lambda offer: offer.name)
def test_there_is_a_plate_for_every_reader(offer: MediaOffer, tmp_path: Path) -> None:
    plate = PLATES[offer.name](tmp_path)
    assert plate.suffix in offer.suffixes
    assert HOST.reader_for(plate).name == offer.name


@pytest.mark.parametrize("offer", OWN.writers, ids=lambda offer: offer.name)
def test_there_is_a_delivery_for_every_writer(offer: MediaOffer) -> None:
    names = [name for name in DELIVERIES if Path(name).suffix in offer.suffixes]
    assert {HOST.writer_for(Path(name)).name for name in names} == {offer.name}


DELIVERIES: Mapping[str, PixelLayout] = {
    **dict.fromkeys(("out.mov", "out.mp4", "out.mkv", "out.mxf"), YUV420P8),
    "out.%04d.exr": RGB_FLOAT,
    "out.####.dpx": PixelLayout("gbrp10le", "rgb", 10),
    "out.@@@@.tif": PixelLayout("gbrp16le", "rgb", 16),
    "out.$F4.png": YUV420P8,
}
"""Names of deliveries, and how the plate is stored."""


def _reader_suite(offer: MediaOffer) -> type[ReaderContract]:
    """The suite of a reader, with its plate."""

    class Suite(ReaderContract):
        reader = HOST.reader_for(Path(NAMES.get(offer.name, f"plate{offer.suffixes[0]}")))
        one_file = offer.name != "sequence"

        @pytest.fixture
        def plate(self, tmp_path: Path) -> Path:
            return PLATES[offer.name](tmp_path)

    Suite.__name__ = Suite.__qualname__ = f"TestReader_{offer.name.replace('-', '_')}"
    return Suite


def _writer_suite(delivery: str) -> type[WriterContract]:
    """The suite of a writer, for one kind of delivery."""

    class Suite(WriterContract):
        writer = HOST.writer_for(Path(delivery))
        name = delivery
        layout = DELIVERIES[delivery]

    Suite.__name__ = Suite.__qualname__ = f"TestWriter_{delivery.replace('.', '_').replace('%', '')}"
    return Suite


for _media in OWN.readers:
    with suppress(PluginError):  # the two tests above say why
        _reading = _reader_suite(_media)
        globals()[_reading.__name__] = _reading
for _delivery in DELIVERIES:
    with suppress(PluginError):
        _writing = _writer_suite(_delivery)
        globals()[_writing.__name__] = _writing
