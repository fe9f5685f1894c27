"""Which pictures a file holds, by which names they are chosen, and what is said of a name that is none of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest

from vfxswap.errors import MediaError
from vfxswap_plugins.media.exr_header import read_head
from vfxswap_plugins.media.exr_places import find_picture
from vfxswap_plugins.media.sequence_reader import SequenceReader
from vfxswap_plugins.media.still import StillReader

RGB = ("R", "G", "B")


def written(path: Path, *parts: tuple[tuple[str, ...], Mapping[str, Any]]) -> Path:
    made = []
    for i, (names, header) in enumerate(parts):
        pixels = {name: np.full((4, 6), i + place / 8, np.float16) for place, name in enumerate(names)}
        made.append(OpenEXR.Part({"type": OpenEXR.scanlineimage, **header}, pixels))
    OpenEXR.File(made).write(str(path))
    return path


def layer(prefix: str, letters: tuple[str, ...] = RGB) -> tuple[str, ...]:
    return tuple(f"{prefix}.{letter}" for letter in letters)


FILES: dict[str, tuple[list[Any], tuple[str, ...]]] = {
    "one picture": ([(RGB, {})], ("rgba",)),
    "layers": ([((*layer("spec"), *RGB, *layer("diff"), "Z"), {})], ("rgba", "diff", "spec")),
    "layers as Nuke names them": (
        [((*RGB, *layer("key", ("red", "green", "blue", "alpha")), "depth.Z"), {})],
        ("rgba", "key"),
    ),
    "views in one part": (
        [((*RGB, *layer("right")), {"multiView": ["left", "right"]})],
        ("left", "right"),
    ),
    "parts": (
        [(("Z",), {"name": "depth"}), (RGB, {"name": "rgba"}), (RGB, {"name": "clean"})],
        ("rgba", "clean"),
    ),
    "a layer in two parts": (
        [((*RGB, *layer("spec")), {"name": "l"}), ((*RGB, *layer("spec")), {"name": "r"})],
        ("l", "r", "l.spec", "r.spec"),
    ),
    "one layer": ([(layer("beauty"), {})], ("beauty",)),
    "gray": ([(("Y", "A"), {})], ("rgba",)),
}


@pytest.mark.parametrize(("parts", "names"), FILES.values(), ids=FILES)
def test_pictures_have_names_and_the_main_one_is_the_first(
    tmp_path: Path, parts: list[Any], names: tuple[str, ...]
) -> None:
    path = written(tmp_path / "a.exr", *parts)
    head, _ = read_head(path.read_bytes())
    found = find_picture(head, path)
    assert (found.layer, found.layers) == (names[0], names)
    places = [find_picture(head, path, name).place for name in names]
    assert len(set(places)) == len(names)
    assert places[0] == found.place


def test_a_view_is_chosen_by_its_name_too(tmp_path: Path) -> None:
    parts = [(RGB, {"name": f"rgba.{view}", "view": view}) for view in ("left", "right")]
    path = written(tmp_path / "a.exr", *parts)
    head, _ = read_head(path.read_bytes())
    assert find_picture(head, path).layers == ("rgba.left", "rgba.right")
    assert find_picture(head, path, "right") == find_picture(head, path, "rgba.right")
    assert find_picture(head, path, "right").place.part == 1


@pytest.mark.parametrize("name", ["spek", "", "Z", "depth"])
def test_a_name_that_is_none_is_said_with_those_that_are(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "a.exr", ((*RGB, *layer("spec"), "depth.Z"), {}))
    head, _ = read_head(path.read_bytes())
    with pytest.raises(MediaError, match=r"a\.exr has no layer '.*'; it has rgba, spec"):
        find_picture(head, path, name)


def test_several_layers_and_no_picture_ask_for_a_choice(tmp_path: Path) -> None:
    path = written(tmp_path / "a.exr", ((*layer("key"), *layer("fill")), {}))
    head, _ = read_head(path.read_bytes())
    with pytest.raises(MediaError, match=r"has the layers fill, key, and none .* choose one by \[shot\] layer"):
        find_picture(head, path)
    assert find_picture(head, path, "key").place.names == layer("key")


def test_readers_give_the_picture_that_is_chosen(tmp_path: Path) -> None:
    for number in (1, 2):
        written(tmp_path / f"a.{number}.exr", ((*RGB, *layer("spec")), {}))
    with SequenceReader.opened(tmp_path / "a.%d.exr", "spec") as reader:
        assert (reader.info.layer, reader.info.layers) == ("spec", ("rgba", "spec"))
        planes = [frame.plate.planes[0] for frame in reader.frames(1, 2)]
    assert [float(plane[0, 0]) for plane in planes] == [3 / 8, 3 / 8]
    with StillReader.opened(tmp_path / "a.1.exr", "spec") as still:
        (frame,) = still.frames(1, 1)
    assert float(frame.plate.planes[2][0, 0]) == 5 / 8


def test_other_formats_have_no_layers(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no layers to choose from; leave"):
        StillReader.opened(tmp_path / "a.png", "spec")
