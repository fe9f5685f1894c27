"""One-shot swappers by cards: range, colour order, normalisation, embedding and projection, files, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto
from torch import Tensor

from vfxswap.alignment import CropSpec
from vfxswap.brief import Brief
from vfxswap.errors import ModelMissing, ShapeError, UsageError, VfxswapError
from vfxswap.files import file_sha256
from vfxswap.frame import FaceBatch
from vfxswap.geometry import Landmarks
from vfxswap.identity import Identity, Portrait
from vfxswap.models import ModelStore
from vfxswap.stage import Swapped
from vfxswap.testing import assert_same_bits, face_batch, options_of, setting, synthetic_identity
from vfxswap_plugins.swappers.one_shot import OneShot, mean_direction, phases, unphased
from vfxswap_plugins.swappers.one_shot_files import all_cards

SIZE = 16
STORE = ModelStore([], {})

RECOGNISER = """
[recognisers.tiny]
title = "tiny"
file = "recogniser.onnx"
licence = "MIT"
commercial = true
origin = "tests"
picture = { template = "arcface_112_v2", size_px = 112, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }
"""
SWAPPER = """
[swappers.tiny]
title = "tiny"
file = "swap.onnx"
licence = "CC0-1.0"
commercial = false
origin = "tests"
picture = { template = "arcface_128", size_px = 16%s }
%s
"""
BY_EMBEDDING = 'source = { kind = "embedding", recogniser = "tiny", unit_before = %s%s }'
CONVERTER = """
[converters.tiny]
title = "tiny"
file = "converter.onnx"
licence = "MIT"
commercial = true
origin = "tests"
"""


def plain(rest: str = "", *, before: str = "true", picture: str = "", denormalise: bool = False) -> str:
    """A card file: a swapper by embedding."""
    lines = BY_EMBEDDING % (before, rest) + ("\ndenormalise = true" if denormalise else "")
    return RECOGNISER + CONVERTER + SWAPPER % (picture, lines)


def hero(*colours: Sequence[float]) -> Identity:
    """An identity whose stills are of one colour each."""
    known = synthetic_identity(stills=max(len(colours), 1))
    stills = [
        replace(still, image=torch.tensor(colour).view(3, 1, 1).expand_as(still.image))
        for still, colour in zip(known.portraits, colours, strict=False)
    ]
    return replace(known, portraits=tuple(stills))


RED = hero((0.8, 0.3, 0.1))


def stage_of(networks: Any, identity: Identity, store: ModelStore = STORE, **options: Any) -> OneShot:
    """The stage with the tiny networks that are there, as the host makes it."""
    files = {"cards": "cards.toml", "weights": "swap.onnx", "recogniser_weights": "recogniser.onnx"}
    if (networks.folder / "converter.onnx").exists():
        files["converter_weights"] = "converter.onnx"
    values = {"identity": "hero", "model": "tiny", **files, **options}
    made = options_of(OneShot, {k: v for k, v in values.items() if v is not None}, folder=networks.folder)
    return OneShot(made, setting(models=store, identities={"hero": identity}))


def checked(networks: Any, store: ModelStore = STORE, **options: Any) -> list[Any]:
    """What a check finds."""
    brief = Brief({"hero": RED}, store, "lab", None, date(2026, 1, 1), "sRGB - Texture", "cpu")
    return list(OneShot.model_files(stage_of(networks, RED, store, **options).options, brief))


def swapped(
    networks: Any, identity: Identity = RED, faces: FaceBatch | None = None, **options: Any
) -> tuple[FaceBatch, Swapped]:
    stage = stage_of(networks, identity, **options)
    batch = face_batch(2, crop=stage.crop, swapped=False) if faces is None else faces
    stage.open()
    result = stage.swap(batch, identity)
    stage.close()
    return batch, result


def raw(*colours: Sequence[float]) -> Tensor:
    """`(N, 4)` what the tiny recogniser gives of stills of one colour: x / 127.5 - 1, and a one."""
    return torch.tensor([[2 * value - 1 for value in colour] + [1.0] for colour in colours])


def unit(vector: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vector, dim=1)


def expected(crops: Tensor, source: Tensor) -> Tensor:
    """What the tiny swapper makes of crops 0..1."""
    return (0.5 * crops.clamp(0, 1) + 0.25 * source[:, :3].view(-1, 3, 1, 1)).clamp(0, 1)


def test_the_picture_is_rgb_and_the_embedding_a_unit_vector(networks: Any) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(plain())
    faces, result = swapped(networks)
    source = unit(raw((0.8, 0.3, 0.1)))
    torch.testing.assert_close(result.crops, expected(faces.crops, source), atol=1e-5, rtol=0)


def test_an_embedding_that_is_not_normalised_keeps_its_length(networks: Any) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(plain(before="false"))
    faces, result = swapped(networks)
    torch.testing.assert_close(result.crops, expected(faces.crops, raw((0.8, 0.3, 0.1))), atol=1e-5, rtol=0)


def test_stills_count_alike_whatever_the_lengths_of_their_embeddings(networks: Any) -> None:
    networks.swapper(), networks.recogniser()
    bright, dark = (0.9, 0.9, 0.9), (0.5, 0.4, 0.3)
    both = raw(bright, dark)
    direction = unit(unit(both).mean(dim=0, keepdim=True))
    torch.testing.assert_close(mean_direction(both), direction)
    networks.cards(plain())
    faces, result = swapped(networks, hero(bright, dark))
    torch.testing.assert_close(result.crops, expected(faces.crops, direction), atol=1e-5, rtol=0)
    networks.cards(plain(before="false"))
    faces, result = swapped(networks, hero(bright, dark))
    length = both.norm(dim=1).mean()
    torch.testing.assert_close(result.crops, expected(faces.crops, direction * length), atol=1e-5, rtol=0)


def test_the_emap_is_the_last_weight_and_insightface_normalises_after_it(networks: Any) -> None:
    emap = np.diag([2.0, -1.0, 0.5, 3.0]).astype(np.float32)
    emap[0, 1] = 0.7  # a row is of the embedding, a column of the latent
    networks.swapper(emap=emap), networks.recogniser()
    networks.cards(plain(', projection = "emap", unit_after = true'))
    mapped = unit(raw((0.8, 0.3, 0.1))) @ torch.from_numpy(emap)
    faces, result = swapped(networks)
    torch.testing.assert_close(result.crops, expected(faces.crops, unit(mapped)), atol=1e-5, rtol=0)
    faces, result = swapped(networks, embedding="facefusion")
    torch.testing.assert_close(result.crops, expected(faces.crops, mapped), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("before", "after"), [("false", "false"), ("false", "true"), ("true", "true")])
def test_a_converter_maps_the_embedding(networks: Any, before: str, after: str) -> None:
    matrix = np.array([[1, 0, 0], [0.5, 2, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    networks.swapper(width=3), networks.recogniser(), networks.converter(matrix)
    networks.cards(plain(f', projection = "converter", converter = "tiny", unit_after = {after}', before=before))
    vector = raw((0.8, 0.3, 0.1))
    mapped = (unit(vector) if before == "true" else vector) @ torch.from_numpy(matrix)
    faces, result = swapped(networks)
    source = unit(mapped) if after == "true" else mapped
    torch.testing.assert_close(result.crops, expected(faces.crops, source), atol=1e-5, rtol=0)


def column(*values: float) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("denormalise", [False, True])
def test_mean_and_deviation_are_of_the_channels_that_they_name(networks: Any, order: str, denormalise: bool) -> None:
    networks.swapper(), networks.recogniser()
    picture = f', mean = [0.1, 0.2, 0.3], std = [0.5, 0.4, 0.8], order = "{order}"'
    networks.cards(plain(picture=picture, denormalise=denormalise))
    faces, result = swapped(networks)
    mean, std = column(0.1, 0.2, 0.3), column(0.5, 0.4, 0.8)
    tint = 0.25 * unit(raw((0.8, 0.3, 0.1)))[:, :3].view(1, 3, 1, 1)
    given = 0.5 * (faces.crops.clamp(0, 1) - mean) / std + (tint.flip(1) if order == "bgr" else tint)
    wanted = given * std + mean if denormalise else given
    torch.testing.assert_close(result.crops, wanted.clamp(0, 1), atol=1e-5, rtol=0)


def test_a_network_that_is_shown_the_face_gets_the_most_frontal_still(networks: Any) -> None:
    networks.swapper_by_picture()
    source = (
        'source = { kind = "crop", picture = { template = "arcface_112_v2", size_px = 8, mean = [0.5, 0.5, 0.5] } }'
    )
    networks.cards(SWAPPER % ("", source))
    points = synthetic_identity(stills=1).portraits[0].landmarks.points
    turned = np.array(points) * (0.45, 1.0, 1.0)
    turned[1, 0] += 12  # the nose looks aside
    stills = [
        Portrait(Path("aside.png"), torch.full((3, 192, 192), 0.9), Landmarks(turned, "mesh468")),
        Portrait(Path("ahead.png"), column(0.8, 0.3, 0.1)[0].expand(3, 192, 192), Landmarks(points, "mesh468")),
    ]
    faces, result = swapped(networks, replace(RED, portraits=tuple(stills)), recogniser_weights=None)
    seen = torch.tensor([[0.3, -0.2, -0.4]])
    torch.testing.assert_close(result.crops, expected(faces.crops, seen), atol=1e-4, rtol=0)


def test_half_precision_networks_serve(networks: Any) -> None:
    networks.swapper(kind=TensorProto.FLOAT16), networks.recogniser(), networks.cards(plain())
    faces, result = swapped(networks)
    source = unit(raw((0.8, 0.3, 0.1)))
    torch.testing.assert_close(result.crops, expected(faces.crops, source), atol=2e-3, rtol=0)


def test_the_crop_is_the_cards_and_the_matte_its_square(networks: Any) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(plain())
    assert stage_of(networks, RED).crop == CropSpec("arcface_128", SIZE)
    _, result = swapped(networks, inset_percent=12.5, feather_percent=12.5)  # of 16 pixels: 0 in 2, then 2 to 1
    row = result.mattes[0, 0, SIZE // 2]
    assert row[:2].tolist() == row[-2:].tolist() == [0, 0]
    assert 0 < row[2] < row[3] < 1
    assert row[4:-4].tolist() == [1] * 8
    assert_same_bits([result.mattes[0]], [result.mattes[0].transpose(1, 2)])
    assert_same_bits([result.mattes[0]], [result.mattes[1]])
    with pytest.raises(ShapeError, match="crops for one-shot"):
        swapped(networks, faces=face_batch(1, crop=CropSpec("arcface_128", 32), swapped=False))


def test_pixel_boost_splits_by_phase_and_puts_back(networks: Any) -> None:
    crops = torch.arange(2 * 3 * 6 * 6.0).view(2, 3, 6, 6)
    parts = phases(crops, 3)
    assert parts.shape == (18, 3, 2, 2)
    assert_same_bits([parts[9 + 3 * 1 + 2]], [crops[1, :, 1::3, 2::3]])
    assert_same_bits([unphased(parts, 3)], [crops])
    networks.swapper(), networks.recogniser(), networks.cards(plain())
    assert stage_of(networks, RED, pixel_boost=2).crop == CropSpec("arcface_128", 2 * SIZE)
    faces, result = swapped(networks, pixel_boost=2)
    wanted = expected(faces.crops, unit(raw((0.8, 0.3, 0.1))))
    torch.testing.assert_close(result.crops, wanted, atol=1e-5, rtol=0)


def test_the_report_is_told_of_every_file(networks: Any) -> None:
    paths = [networks.swapper(width=3), networks.recogniser(), networks.converter(np.eye(4, 3, dtype=np.float32))]
    networks.cards(plain(', projection = "converter", converter = "tiny"'))
    found = checked(networks)
    assert [file.path for file in found] == paths
    assert [file.sha256 for file in found] == [file_sha256(path) for path in paths]
    assert [(file.licence, file.commercial) for file in found] == [("CC0-1.0", False), ("MIT", True), ("MIT", True)]


def pinned(text: str, key: str, path: Path) -> str:
    """A card with the sha256 of its file."""
    return text.replace(f'file = "{key}"', f'file = "{key}"\nsha256 = "{file_sha256(path)}"')


def test_pinned_files_are_found_in_the_model_folders(networks: Any, tmp_path: Path) -> None:
    swap, recogniser = networks.swapper(), networks.recogniser()
    text = pinned(pinned(plain(), "swap.onnx", swap), "recogniser.onnx", recogniser)
    networks.cards(text)
    store = ModelStore([tmp_path / "none", tmp_path], {})
    found = checked(networks, store, weights=None, recogniser_weights=None)
    assert [file.path for file in found] == [swap, recogniser]
    networks.swapper(emap=np.eye(4, dtype=np.float32))  # another file of that name
    with pytest.raises(ModelMissing, match=r"is not the file that its card .* its sha256 is .*, expected"):
        checked(networks, store, weights=None, recogniser_weights=None)
    swap.unlink()
    with pytest.raises(
        ModelMissing, match=r"swap\.onnx \(tiny; CC0-1\.0\) is in none of the model folders .*weights = "
    ):
        checked(networks, store, weights=None, recogniser_weights=None)


def test_a_file_that_no_card_pins_must_be_named(networks: Any, tmp_path: Path) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(plain())
    store = ModelStore([tmp_path], {})
    with pytest.raises(ModelMissing, match=r'swap\.onnx \(tiny\) is not pinned .*: weights = "'):
        checked(networks, store, weights=None)
    with pytest.raises(ModelMissing, match=r'recogniser\.onnx \(tiny\) is not pinned .*: recogniser_weights = "'):
        checked(networks, store, recogniser_weights=None)


def test_a_card_file_in_a_model_folder_is_known_too(networks: Any, tmp_path: Path) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(plain(), "swap_cards.toml")
    assert checked(networks, ModelStore([tmp_path], {}), cards=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "tinny"}, "no card of a swapper 'tinny'; known: .*; did you mean 'tiny'"),
        ({"model": "inswapper_128", "weights": None}, r"inswapper_128\.onnx \(inswapper, 128 px; .*\) is in none of"),
        ({"model": "inswapper_128"}, r"ONNX of another kind: .*; accepted: .*target float \[N, 3, 128, 128\]"),
        ({"embedding": "facefusion"}, "means something for cards with an emap only, and 'tiny' has none"),
    ],
)
def test_wrong_options_are_told_before_the_first_frame(networks: Any, options: dict[str, Any], message: str) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(plain())
    with pytest.raises(VfxswapError, match=message):
        checked(networks, **options)


def test_files_of_another_kind_are_refused(networks: Any) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(plain())
    networks.dfm("other.onnx")
    with pytest.raises(UsageError, match=r"accepted: inputs target float \[N, 3, 16, 16\] and source float \[N, D\]"):
        checked(networks, weights="other.onnx")
    with pytest.raises(UsageError, match=r"accepted: one input float \[N, 3, 112, 112\]; .*: a recogniser"):
        checked(networks, recogniser_weights="other.onnx")
    networks.cards(plain(', projection = "converter", converter = "tiny"'))
    with pytest.raises(UsageError, match=r"accepted: .*: a converter of embeddings"):
        checked(networks, converter_weights="other.onnx")


def test_embeddings_of_another_width_are_refused(networks: Any) -> None:
    networks.swapper(width=5), networks.recogniser(), networks.cards(plain())
    with pytest.raises(UsageError, match=r"recogniser\.onnx gives 4 numbers, but the input source of .* takes 5"):
        checked(networks)
    networks.swapper(width=5, emap=np.zeros((4, 6), np.float32))
    networks.cards(plain(', projection = "emap"'))
    with pytest.raises(UsageError, match=r"the last weight of .* gives 6 numbers, but the input source of .* takes 5"):
        checked(networks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[swappers.tiny", "cannot read the cards in"),
        ("[swapers.tiny]", "swapers: Extra inputs are not permitted"),
        (plain().replace("size_px = 16", 'size_px = "16"'), "swappers.tiny.picture.size_px: Input should be a valid"),
        (plain().replace("arcface_128", "dfl68_whole"), "swappers.tiny.picture.template: Input should be 'arcface_112"),
        (plain(', projection = "converter"'), "converter must name a card"),
        (plain().replace('kind = "embedding"', 'kind = "voice"'), "does not match any of the expected tags"),
        (plain(picture=", std = [0, 1, 1]"), "std must be above 0"),
        (plain().replace('file = "swap.onnx"', 'file = "../swap.onnx"'), "file must be the bare name"),
        (plain().replace("swappers.tiny", "swappers.inswapper_128"), "'inswapper_128' is described differently"),
        (plain().replace('recogniser = "tiny"', 'recogniser = "tinny"'), "no card of a recogniser 'tinny'; .*'tiny'"),
    ],
)
def test_wrong_cards_are_told(networks: Any, text: str, message: str) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(text)
    with pytest.raises(UsageError, match=message):
        checked(networks)


def test_an_identity_without_a_face_is_told_before_the_first_frame(networks: Any) -> None:
    networks.swapper(), networks.recogniser(), networks.cards(plain())
    stage = stage_of(networks, replace(RED, portraits=()))
    with pytest.raises(UsageError, match="identity 'hero' has no still in which a face was found"):
        stage.open()


def test_the_cards_that_come_along_are_sound() -> None:
    cards = all_cards(STORE, None)
    assert len(cards.swappers) == 13
    for card in cards.swappers.values():
        assert not card.commercial
        if card.source.kind == "embedding":
            assert cards.recogniser(card.source.recogniser).picture.crop == CropSpec("arcface_112_v2", 112)
            if card.source.converter is not None:
                assert cards.converter(card.source.converter).file.startswith("crossface_")


@pytest.mark.footage
def test_a_real_recogniser_tells_people_apart_through_a_card(shared_models: Path, networks: Any) -> None:
    """MobileFace V3 by a card of its own; R'G'B' 0..255 is a deviation of 1/255."""
    tones = ", ".join(["0.00392156862745098"] * 3)
    real = RECOGNISER.replace("mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5]", f"std = [{tones}]")
    networks.swapper(width=256), networks.cards(real + SWAPPER % ("", BY_EMBEDDING % ("true", "")))
    options: dict[str, Any] = {"recogniser_weights": shared_models / "mobileface_v3.onnx"}

    def embedded(identity: Identity) -> Tensor:
        stage = stage_of(networks, identity, **options)
        stage.open()
        assert stage._source is not None
        return stage._source

    known = synthetic_identity(stills=2)
    one, other = (embedded(replace(known, portraits=(still,))) for still in known.portraits)
    assert one.shape == (1, 256)
    assert float(one.norm()) == pytest.approx(1, abs=1e-5)
    assert float((one * other).sum()) > 0.5  # the same drawn person with another expression
