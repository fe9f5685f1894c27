"""The Nuke script, read back by a small grammar of Nuke's own: nodes, knobs, quotes, and the stack of inputs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import pytest

from vfxswap.clock import FrameRange
from vfxswap.errors import UsageError
from vfxswap.geometry import Box
from vfxswap.layers import LAYERS, LayerName, LayerOrder, Storing
from vfxswap.media import PlateInfo
from vfxswap.nuke import quoted, script
from vfxswap.pipeline import Pipeline
from vfxswap.testing import RGB_FLOAT, synthetic_info

HERE = "[file dirname [value root.name]]"


@dataclass
class Node:
    """A node that was read."""

    kind: str
    knobs: dict[str, str]
    inputs: list[str] = field(default_factory=list)


class _Shot:
    color_space = "ACEScg"


@dataclass
class _Plan:
    """What a script needs of a pipeline."""

    path: Path
    plate_path: Path
    delivery_path: Path
    plate: PlateInfo
    frames: FrameRange
    layers: LayerOrder
    shot: _Shot = field(default_factory=_Shot)


def plan(
    names: tuple[LayerName, ...] = tuple(LAYERS),
    stored: Storing = "files",
    *,
    plate: str = "/job/plates/sh010.####.exr",
    delivery: str = "/job/out/sh010.####.exr",
    **info: Any,
) -> Pipeline:
    like = replace(synthetic_info(Path(plate), layout=RGB_FLOAT, width=340, height=195, count=50), **info)
    order = LayerOrder(names, stored, ("hero", "friend, old"))
    made = _Plan(Path("/job/sh010.toml"), Path(plate), Path(delivery), like, FrameRange.parse("1001-1010"), order)
    return cast("Pipeline", made)


def tokens(text: str) -> list[str]:
    """Tcl's words, ends of lines among them: bare ones, quoted ones without their escapes, and braces."""
    found, place = [], 0
    while place < len(text):
        if match := re.compile(r"[ \t]+|#[^\n]*").match(text, place):
            place = match.end()
        elif text[place] == '"':
            match = re.compile(r'"((?:[^"\\{}\[$]|\\.|\[|\$)*)"').match(text, place)
            assert match, f"an unfinished quote: {text[place : place + 60]!r}"
            assert not re.search(r"(?<!\\)[{}\[$]", match[1]), f"Tcl would evaluate {match[1]!r}"
            found.append("=" + re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match[1]))
            place = match.end()
        elif text[place] in "{}\n":
            found.append(text[place])
            place += 1
        else:
            match = re.compile(r"[^\s{}\"\\;]+").match(text, place)
            assert match, f"not to be read: {text[place : place + 60]!r}"
            found.append("=" + match[0])
            place = match.end()
    return found


def lines_of(words: list[str]) -> list[list[str]]:
    """Words by line, without empty lines."""
    groups = groupby(words, key=lambda word: word == "\n")
    return [list(group) for is_end, group in groups if not is_end]


def read(text: str) -> dict[str, Node]:
    """Nodes by name, their inputs taken off the stack as Nuke does; `Root` and layers under names of their own."""
    words = tokens(text)
    nodes: dict[str, Node] = {}
    stack: list[str] = []
    variables: dict[str, str] = {}
    place = 0
    while place < len(words):
        line = words[place : words.index("\n", place)]
        if not line:
            place += 1
        elif line[0] == "=set":
            assert line[2:] == ["=[stack", "=0]"]
            variables[line[1].removeprefix("=")] = stack[-1]
            place += len(line)
        elif line[0] == "=push":
            stack.append(variables[line[1].removeprefix("=$")])
            place += len(line)
        elif line[0] == "=add_layer":
            assert line[1] == "{"
            assert line[-1] == "}"
            name = line[2].removeprefix("=")
            nodes[f"layer {name}"] = Node("add_layer", {word.removeprefix("="): "" for word in line[3:-1]})
            assert all(word.removeprefix("=").startswith(f"{name}.") for word in line[3:-1])
            place += len(line)
        else:
            assert line[1:] == ["{"], line
            end = words.index("}", place)
            body = words[place + len(line) : end]
            node = Node(line[0].removeprefix("="), {})
            for knob in lines_of(body):
                key, value = (word.removeprefix("=") for word in knob)
                assert key not in node.knobs
                node.knobs[key] = value
            count = int(node.knobs["inputs"])
            node.inputs = [stack.pop() for _ in range(count)]
            name = node.knobs.get("name", node.kind)
            assert name not in nodes
            nodes[name] = node
            if node.kind != "Root":
                stack.append(name)
            place = end + 1
    return nodes


def test_the_patch_is_laid_over_the_plate() -> None:
    nodes = read(script(plan(), Path("/job/out/sh010.nk")))
    assert nodes["Plate"].knobs["file"] == f"{HERE}/../plates/sh010.%04d.exr"
    assert nodes["Patch"].knobs["file"] == f"{HERE}/sh010_patch.%04d.exr"
    rebuilt = nodes["Rebuilt"]
    assert (rebuilt.kind, rebuilt.knobs["operation"], rebuilt.knobs["output"]) == ("Merge2", "over", "rgb")
    assert rebuilt.inputs == ["Plate", "Patch"]  # B, A
    assert nodes["Check"].inputs == ["Rebuilt", "Result"]
    assert nodes["Check"].knobs["operation"] == "difference"
    assert nodes["Viewer1"].inputs[0] == "Rebuilt"


def test_every_picture_is_read_raw_with_its_range() -> None:
    nodes = read(script(plan(), Path("/job/out/sh010.nk")))
    reads = {name: node.knobs for name, node in nodes.items() if node.kind == "Read"}
    assert set(reads) == {"Plate", "Result", *(name.capitalize() for name in LAYERS)}
    for name, knobs in reads.items():
        assert knobs["raw"] == "true"
        assert (knobs["first"], knobs["last"]) == (("1001", "1050") if name == "Plate" else ("1001", "1010"))
        assert (knobs["origfirst"], knobs["origlast"]) == (knobs["first"], knobs["last"])
    assert "ACEScg" in reads["Plate"]["label"]


def test_the_st_map_takes_a_picture_and_the_map() -> None:
    nodes = read(script(plan(), Path("/job/out/sh010.nk")))
    assert nodes["OnFace"].kind == "STMap"
    assert nodes["OnFace"].inputs == ["FaceSquare", "St"]  # src, stmap
    assert nodes["OnFace"].knobs["uv"] == "rgb"
    assert nodes["InMatte"].inputs == ["Matte", "OnFace"]
    assert nodes["Textured"].inputs == ["Rebuilt", "InMatte"]


def test_the_cryptomatte_is_decoded_from_its_own_layer() -> None:
    nodes = read(script(plan(), Path("/job/out/sh010.nk")))
    assert nodes["Identities"].kind == "Cryptomatte"
    assert nodes["Identities"].inputs == ["Id"]
    assert nodes["Identities"].knobs["cryptoLayer"] == "vfxswap_id"
    assert nodes["Identities"].knobs["matteList"] == 'hero, "friend, old"'
    assert list(nodes["layer vfxswap_id00"].knobs) == [f"vfxswap_id00.{c}" for c in ("red", "green", "blue", "alpha")]


@pytest.mark.parametrize("stored", ["channels", "parts"])
def test_layers_within_the_delivery_are_shuffled_out_of_it(stored: Storing) -> None:
    nodes = read(script(plan(stored=stored), Path("/job/out/sh010.nk")))
    assert {name for name, node in nodes.items() if node.kind == "Read"} == {"Plate", "Result"}
    for name in ("Matte", "Patch", "St", "Swapped"):
        assert nodes[name].kind == "Shuffle"
        assert nodes[name].inputs == ["Result"]
        assert nodes[name].knobs["in"] == f"vfxswap_{name.lower()}"
        assert f"layer vfxswap_{name.lower()}" in nodes
    assert nodes["Identities"].inputs == ["Result"]
    assert nodes["Rebuilt"].inputs == ["Plate", "Patch"]


def test_a_matte_alone_mixes_plate_and_result() -> None:
    nodes = read(script(plan(("matte",)), Path("/job/out/sh010.nk")))
    assert nodes["Rebuilt"].kind == "Keymix"
    assert nodes["Rebuilt"].inputs == ["Plate", "Result", "Matte"]  # B, A, mask


@pytest.mark.parametrize("names", [("st",), ("swapped",), ("id",), ("st", "id"), ("patch",), ("patch", "st")])
def test_any_choice_of_layers_makes_a_whole_graph(names: tuple[LayerName, ...]) -> None:
    nodes = read(script(plan(names), Path("/job/out/sh010.nk")))
    assert nodes["Viewer1"].inputs
    for name in names:
        used = any(name.capitalize() in node.inputs for node in nodes.values())
        assert used, name


def test_paths_from_the_root() -> None:
    nodes = read(script(plan(), Path("anywhere.nk"), absolute=True))
    assert nodes["Plate"].knobs["file"] == "/job/plates/sh010.%04d.exr"
    assert nodes["Matte"].knobs["file"] == "/job/out/sh010_matte.%04d.exr"


def test_names_that_tcl_would_take_for_words_of_its_own() -> None:
    odd = '/job/a [take 2] {x} "q" $HOME/sh010.%04d.exr'
    nodes = read(script(plan(plate=odd, delivery="/job/o ut/sh010.mov"), Path("/job/o ut/sh010.nk"), absolute=True))
    # Nuke evaluates what stands in brackets in the knob of a file itself, so that they are escaped there once more
    assert nodes["Plate"].knobs["file"] == odd.replace("[", "\\[")
    assert nodes["Result"].knobs["file"] == "/job/o ut/sh010.mov"
    assert nodes["Matte"].knobs["file"] == "/job/o ut/sh010_matte.%04d.exr"


@pytest.mark.parametrize(
    "value", ["plain", "two words", 'a "quoted" one', "back\\slash", "{", "[x] $y", "line\nline", ""]
)
def test_a_quoted_value_is_read_back(value: str) -> None:
    assert tokens(f" {quoted(value)}") == [f"={value}"]


def test_the_scripts_own_settings() -> None:
    made = plan(display=Box(10, 8, 330, 188), rate=Fraction(24000, 1001), pixel_aspect=Fraction(2))
    root = read(script(made, Path("/job/out/sh010.nk")))["Root"].knobs
    assert root["format"] == "320 180 0 0 320 180 2 vfxswap_plate"
    assert (root["first_frame"], root["last_frame"], root["lock_range"]) == ("1001", "1010", "true")
    assert float(root["fps"]) == pytest.approx(24000 / 1001, abs=1e-6)


def test_without_layers_there_is_nothing_to_rebuild_from() -> None:
    with pytest.raises(UsageError, match=r"asks for no layers.*matte, patch, st, swapped, id"):
        script(plan(()), Path("/job/out/sh010.nk"))
