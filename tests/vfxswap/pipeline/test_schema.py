"""The JSON Schema of pipeline files and the reference page; both are made from what checks the files."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli

from vfxswap.errors import PluginError
from vfxswap.host import Host
from vfxswap.pipeline import reference, schema

FIRST_PARTY = {"VFXSWAP_LOAD_PLUGINS": "vfxswap-plugins"}


@pytest.fixture
def errors(studio_host: Host) -> Callable[[str], list[str]]:
    """What an editor would underline."""
    made = schema(studio_host)
    jsonschema.Draft202012Validator.check_schema(made)
    validator = jsonschema.Draft202012Validator(made)
    return lambda text: [error.json_path for error in validator.iter_errors(tomli.loads(text))]


def test_a_right_file_is_right(errors: Callable[[str], list[str]], pipeline_text: str) -> None:
    assert errors(pipeline_text) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("strength = 0.5", "strenght = 0.5", "$.stages[4]"),
        ("strength = 0.5", "strength = 1.5", "$.stages[4]"),
        ("strength = 0.5", 'strength = "0.5"', "$.stages[4]"),
        ("strength = 0.5", "taps = [1, 2, 3, 4, 5]", "$.stages[4]"),
        ("strength = 0.5", "limits = {high = 3}", "$.stages[4]"),
        ('"grade"', '"garde"', "$.stages[4]"),
        ('identity = "hero"', "", "$.stages[2]"),
        ("plate =", "plte =", "$.shot"),
        ("[shot]", '[shot]\non_missing = "pas"', "$.shot.on_missing"),
        ("[shot]", "[shot]\ncolor_space = 709", "$.shot.color_space"),
        ('path = "hero"', 'path = "hero"\nface = {by = "weight"}', "$.identities.hero.face.by"),
        ("[delivery]", '[delivery]\ncodec = "smal"', "$.delivery"),
        ("sh010.out", "sh010.mp3", "$.delivery"),
        ("[shot]", "[shto]", "$"),
    ],
)
def test_a_wrong_one_is_underlined(
    errors: Callable[[str], list[str]], pipeline_text: str, old: str, new: str, place: str
) -> None:
    assert place in errors(pipeline_text.replace(old, new, 1))


@pytest.mark.parametrize(
    "line", ['curve = "a.curve"', "taps = [3]", 'start = "first"', "start = 7", "limits = {low = 1}"]
)
def test_all_sorts_of_options_are_allowed(errors: Callable[[str], list[str]], pipeline_text: str, line: str) -> None:
    assert errors(pipeline_text.replace("strength = 0.5", line)) == []


def test_suffixes_in_any_case(errors: Callable[[str], list[str]], pipeline_text: str) -> None:
    assert errors(pipeline_text.replace("sh010.out", "SH010.Out")) == []


def test_no_key_may_be_null_and_every_key_is_described(studio_host: Host) -> None:
    made = schema(studio_host)
    assert '"null"' not in json.dumps(made)
    tables = [made["properties"]["shot"], *made["properties"]["stages"]["items"]["oneOf"]]
    missing = [key for table in tables for key, part in table["properties"].items() if not part.get("description")]
    assert missing == []


def test_a_stage_that_cannot_be_imported_takes_any_keys(errors: Callable[[str], list[str]], studio_host: Host) -> None:
    text = '[shot]\nplate = "a.plate"\n[[stages]]\nuse = "gone"\nwhat = "ever"\n[delivery]\npath = "b.out"\n'
    assert errors(text) == []
    (gone,) = (
        part for part in schema(studio_host)["properties"]["stages"]["items"]["oneOf"] if part["title"] == "gone"
    )
    assert gone["description"].startswith("Its keys are not known here: 'gone' of plugin studio")


def test_the_reference_names_every_key(studio: Path, tmp_path: Path) -> None:
    source = (
        (studio / "studio.py")
        .read_text()
        .replace('        StageOffer("gone", "matte", ":Gone", "its class is not there", "MIT"),\n', "")
    )
    (tmp_path / "models.toml").write_text((studio / "models.toml").read_text())
    (tmp_path / "studio.py").write_text(source)
    page = reference(Host(plugin_path=[tmp_path], environ={"VFXSWAP_LOAD_PLUGINS": "studio"}))
    assert "| `strength` | a number, 0..1 | `1.0` | 0 leaves the colours, 1 matches them wholly. |" in page
    assert '| `mode` | "lab" or "rgb" | `"lab"` | In which space. |' in page
    assert "| `taps` | a list of whole numbers, at most 4 items | `[1, 2]` | Weights. |" in page
    assert '| `start` | a whole number or "first" | `"first"` | The frame to start with. |' in page
    assert "| `identity` | text | **required** | Who is put in: a name under [identities]. |" in page
    assert "The negative. Needs landmarks, crops; gives swapped faces, a matte." in page
    assert "| `depth` | 8, 10 or 12 | `8` | Bits. |" in page
    assert "| `production` | text, not empty |  |" in page
    assert "For .out." in page


def test_a_reference_with_holes_is_not_made(studio_host: Host) -> None:
    with pytest.raises(PluginError, match="'gone' of plugin studio"):
        reference(studio_host)


@pytest.fixture(scope="session")
def first_party() -> Host:
    """The first-party plugins alone, whatever else is installed."""
    host = Host(environ=FIRST_PARTY)
    if importlib.util.find_spec("vfxswap_plugins") is None or not host.stages:
        pytest.skip("the package is not installed, so its entry points are not found")
    return host


def test_the_reference_page_is_up_to_date(repo: Path, first_party: Host) -> None:
    made = reference(first_party)
    assert (repo / "docs" / "pipeline.md").read_text(encoding="utf-8") == made, "run: vfxswap docs > docs/pipeline.md"


def test_every_pipeline_of_the_repository_fits_the_schema(repo: Path, first_party: Host) -> None:
    validator = jsonschema.Draft202012Validator(schema(first_party))
    found: dict[str, Any] = {}
    for path in sorted((repo / "pipelines").glob("*.toml")):
        found[path.name] = [error.message for error in validator.iter_errors(tomli.loads(path.read_text("utf-8")))]
    assert {name: errors for name, errors in found.items() if errors} == {}


def test_no_message_of_the_reference_is_cut(first_party: Host) -> None:
    rows = [line for line in reference(first_party).splitlines() if line.startswith("| `")]
    assert rows
    assert all(len(re.split(r"(?<!\\)\|", row)) == 6 for row in rows)
