"""Configurations: which holds, what its names mean, and what is said of one that cannot be had."""

from __future__ import annotations

import hashlib
from pathlib import Path

import PyOpenColorIO as Ocio
import pytest

from vfxswap.errors import ColorError
from vfxswap.ocio import PINNED, Config, config_of, open_config
from vfxswap.ocio.config import nearest

OWN = """ocio_profile_version: 2.1
name: studio
search_path: luts
roles:
  default: raw
  scene_linear: house linear
  aces_interchange: house linear
file_rules:
  - !<Rule> {name: Default, colorspace: raw}
displays:
  screen:
    - !<View> {name: plain, colorspace: house linear}
colorspaces:
  - !<ColorSpace>
    name: raw
    isdata: true
  - !<ColorSpace>
    name: house linear
    aliases: [house_lin]
  - !<ColorSpace>
    name: house gamma
    to_scene_reference: !<ExponentTransform> {value: 2.2}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "studio.ocio"
    path.write_text(OWN)
    return path


def test_the_pinned_one_is_a_name_and_knows_cameras() -> None:
    config, origin = open_config(environ={})
    assert origin == "pinned"
    assert config.source == PINNED == f"ocio://{config.name}"
    assert "default" not in PINNED
    assert {"ACEScg", "ARRI LogC4", "S-Log3 S-Gamut3.Cine", "Log3G10 REDWideGamutRGB"} <= set(config.names())
    assert "Raw" not in config.names()


def test_the_pipelines_own_wins_over_the_environments(own: Path) -> None:
    environ = {"OCIO": "ocio://cg-config-v2.2.0_aces-v1.3_ocio-v2.4"}
    assert open_config(environ=environ)[0].name == "cg-config-v2.2.0_aces-v1.3_ocio-v2.4"
    assert open_config(environ=environ)[1] == "$OCIO"
    config, origin = open_config("studio.ocio", folder=own.parent, environ=environ)
    assert (config.name, origin) == ("studio", "pipeline")
    assert config.sha256 == hashlib.sha256(own.read_bytes()).hexdigest()
    assert open_config(environ={"OCIO": str(own)})[0].sha256 == config.sha256
    assert open_config(environ={"OCIO": ""})[1] == "pinned"


def test_what_moves_is_settled_by_name() -> None:
    config, _ = open_config(environ={"OCIO": "ocio://default"})
    assert config.source == Ocio.ResolveConfigPath("ocio://default") != "ocio://default"
    with pytest.raises(ColorError, match=f"another configuration with each release.*{config.source}"):
        open_config("ocio://default")


def test_a_file_that_changed_is_another_configuration(own: Path) -> None:
    before = config_of(str(own))
    assert config_of(str(own)) is before
    own.write_text(OWN.replace("name: studio", "name: newer"))
    assert config_of(str(own)).name == "newer"
    assert before.name == "studio"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ACEScg", "ACEScg"),
        ("acescg", "ACEScg"),
        ("scene_linear", "ACEScg"),
        ("lin_ap1_scene", "ACEScg"),
        ("arri_logc4", "ARRI LogC4"),
        ("Input - ARRI - Linear - ALEXA Wide Gamut", "Linear ARRI Wide Gamut 3"),
    ],
)
def test_names_aliases_and_roles(name: str, found: str) -> None:
    assert config_of(PINNED).space(name).name == found


def test_which_spaces_are_linear(own: Path) -> None:
    config = config_of(PINNED)
    linear = {name for name in config.names() if config.space(name).is_linear}
    expected = {name for name in config.names() if name.startswith(("Linear ", "CIE XYZ"))}
    assert linear == expected | {"ACEScg", "ACES2065-1"}
    studio = config_of(str(own))
    assert studio.space("house linear").encoding == ""
    assert studio.space("house_lin").is_linear
    assert not studio.space("house gamma").is_linear


def test_identifiers_of_files(own: Path) -> None:
    config = config_of(PINNED)
    found = {name: config.space_of_id(name) for name in ("lin_ap1_scene", "srgb_rec709_scene", "lin_nobody_scene")}
    assert [space and space.name for space in found.values()] == ["ACEScg", "sRGB Encoded Rec.709 (sRGB)", None]
    assert config_of(str(own)).space_of_id("lin_ap1_scene") is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("ACES cg", "nearest: 'ACEScg'"),
        ("LogC4", "nearest: 'ARRI LogC4'"),
        ("S-Log3", "nearest: 'S-Log3 S-Gamut3', "),
        ("zzz", "it has: CIE XYZ-D65"),
        ("Raw", "holds data and no colours"),
        ("data", "holds data and no colours"),
    ],
)
def test_a_wrong_name_is_told_what_exists(wrong: str, right: str) -> None:
    with pytest.raises(ColorError, match=right):
        config_of(PINNED).space(wrong)


def test_nearest_shows_each_once() -> None:
    words = {"Beauty Linear": "Beauty Linear", "beauty_linear": "Beauty Linear", "bl": "Beauty Linear", "log": "log"}
    assert nearest("BEAUTY-linaer", words) == ["Beauty Linear"]
    assert nearest("nothing like it", words) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no OpenColorIO configuration .*studio.ocio: No such file"),
        ("ocio_profile_version: 2.90\n", "too new for OpenColorIO [0-9.]+: take a newer one"),
        ("ocio_profile_version: 3\n", "too new for OpenColorIO|cannot be read"),
        ("roles: [\n", "cannot be read as an OpenColorIO configuration"),
        ("just words", "cannot be read as an OpenColorIO configuration"),
        ("", "cannot be read as an OpenColorIO configuration"),
    ],
)
def test_a_configuration_that_cannot_be_had(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "studio.ocio"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ColorError, match=words):
        open_config("studio.ocio", folder=tmp_path)
    with pytest.raises(ColorError, match=r"^\$OCIO: .*; correct or unset it, or state \[shot\] color_config"):
        open_config(environ={"OCIO": str(path)})


def test_a_built_in_one_that_there_is_not() -> None:
    with pytest.raises(ColorError, match=r"no built-in configuration ocio://studio-config-v4; nearest: ocio://studio"):
        open_config("ocio://studio-config-v4")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ColorError, match="cannot be read"):
        Config(str(tmp_path))
