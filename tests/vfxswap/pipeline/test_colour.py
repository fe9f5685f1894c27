"""Names of colour spaces: a movie's, a configuration's, a file's own; and what is said of those that are not right."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vfxswap.color import SPACES, ColorTags, Matrix, Primaries, Range, Transfer
from vfxswap.errors import ColorError, ExitCode, Problem
from vfxswap.ocio import PINNED
from vfxswap.pipeline import Pipeline
from vfxswap.pipeline.colour import MOVIE_SPACES, ColorNames, color_facts, name_of

Loaded = Callable[..., Pipeline]
Complaints = Callable[..., list[str]]
RGB = ColorTags(matrix=Matrix.RGB, range=Range.FULL)
EXR = ColorTags(transfer=Transfer.LINEAR, matrix=Matrix.RGB, range=Range.FULL)
MOVIE = ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED)
OWN = """ocio_profile_version: 2.1
name: studio
search_path: luts
roles: {default: house, aces_interchange: house, scene_linear: house}
file_rules:
  - !<Rule> {name: Default, colorspace: house}
displays:
  screen:
    - !<View> {name: plain, colorspace: house}
colorspaces:
  - !<ColorSpace> {name: house, encoding: scene-linear}
  - !<ColorSpace>
    name: house log
    encoding: log
    to_scene_reference: !<FileTransform> {src: log.spi1d}
  - !<ColorSpace>
    name: graded
    encoding: sdr-video
    to_scene_reference: !<GradingPrimaryTransform> {style: linear, saturation: 0.8}
  - !<ColorSpace>
    name: printed
    encoding: sdr-video
    to_scene_reference: !<RangeTransform> {min_in_value: 0, min_out_value: 0, max_in_value: 0.4, max_out_value: 0.4}
"""
LUT = "Version 1\nFrom 0 1\nLength 3\nComponents 1\n{\n0.0\n%s\n1.0\n}\n"


def names(stated: str | None = None, **environ: str) -> ColorNames:
    return ColorNames(stated, environ)


@pytest.mark.parametrize("stated", MOVIE_SPACES)
def test_a_movies_names_need_no_configuration(stated: str) -> None:
    broken = names(OCIO="/nowhere.ocio")
    found = broken.of_plate(MOVIE, stated)
    assert found.space is None
    assert (found.primaries, found.transfer) == (SPACES[stated].primaries, SPACES[stated].transfer)
    assert broken.of_plate(MOVIE, None) == MOVIE
    assert "config" not in color_facts(broken, MOVIE, None, ())


def test_scene_linear_names_are_the_configurations() -> None:
    found = names().of_plate(EXR, "lin_ap1")
    assert found.space is not None
    assert (found.space.name, found.space.config, found.space.is_linear) == ("ACEScg", PINNED, True)
    assert (found.primaries, found.transfer, found.matrix) == (Primaries.AP1, Transfer.LINEAR, Matrix.RGB)
    other = names().of_plate(RGB, "Linear ARRI Wide Gamut 4")
    assert (other.primaries, other.transfer) == (Primaries.UNSPECIFIED, Transfer.LINEAR)
    assert name_of(other) == "Linear ARRI Wide Gamut 4"


def test_what_is_stated_wins_and_else_the_file_says() -> None:
    tagged = ColorTags(Primaries.AP1, Transfer.LINEAR, Matrix.RGB, Range.FULL)
    said = names().of_plate(tagged, None, file_id="lin_ap1_scene")
    assert name_of(said) == "ACEScg"
    stated = names().of_plate(tagged, "ACES2065-1", file_id="lin_ap1_scene")
    assert name_of(stated) == "ACES2065-1"
    camera = names().of_plate(EXR, None, file_id="ocio:arrilogc4_awg4_scene")
    assert name_of(camera) == "ARRI LogC4"
    assert camera.transfer is Transfer.UNSPECIFIED, "no light that is linear"


def test_an_older_configuration_need_not_know_what_files_call_it() -> None:
    tagged = ColorTags(Primaries.AP1, Transfer.LINEAR, Matrix.RGB, Range.FULL)
    found = names("ocio://cg-config-v1.0.0_aces-v1.3_ocio-v2.1").of_plate(tagged, None, file_id="lin_ap1_scene")
    assert name_of(found) == "ACEScg"


def test_a_file_may_say_what_the_configuration_has_not() -> None:
    with pytest.raises(ColorError, match=r"says that its colour is 'lin_moon_scene', for which .* has no space; state"):
        names().of_plate(EXR, None, file_id="lin_moon_scene", path="a.exr")
    with pytest.raises(ColorError, match=r'a\.exr does not say its colour .* color_space = "ACEScg"'):
        names().of_plate(EXR, None, path="a.exr")


def test_a_camera_movie_keeps_how_it_is_stored_and_tagged() -> None:
    found = names().of_plate(MOVIE, "arri_logc4")
    assert found == ColorTags(Primaries.BT709, Transfer.BT709, Matrix.BT709, Range.LIMITED, found.space)
    assert name_of(found) == "ARRI LogC4"
    bare = ColorTags(matrix=Matrix.BT2020_NCL)
    assert names().of_plate(bare, "S-Log3 S-Gamut3").range is Range.LIMITED
    assert names().of_plate(ColorTags(matrix=Matrix.RGB), "S-Log3 S-Gamut3").range is Range.FULL
    with pytest.raises(ColorError, match=r'which matrix its Y.CbCr was made; state it, as \[shot\] ycbcr_matrix = "bt'):
        names().of_plate(ColorTags(), "ARRI LogC4", path="a.mov")
    with pytest.raises(ColorError, match="stored as Y'CbCr, 'ACEScg' is a space of RGB"):
        names().of_plate(MOVIE, "ACEScg")


def test_stills_that_say_their_own_and_those_that_do_not() -> None:
    png = ColorTags(matrix=Matrix.RGB, range=Range.FULL)
    assert names().of_still(png, "srgb").transfer is Transfer.SRGB
    assert name_of(names().of_still(png, "sRGB - Texture")) == "sRGB Encoded Rec.709 (sRGB)"
    assert name_of(names().of_still(EXR, "srgb", file_id="lin_ap1_scene")) == "ACEScg"
    assert name_of(names().of_still(EXR, "ACES2065-1")) == "ACES2065-1"
    plain = names().of_still(EXR, "srgb")
    assert (plain.primaries, plain.transfer, plain.space) == (Primaries.BT709, Transfer.LINEAR, None)


@pytest.fixture
def own(project: Path) -> str:
    """A pipeline text with a configuration of its own, which has a table beside it."""
    (project / "color" / "luts").mkdir(parents=True)
    (project / "color" / "studio.ocio").write_text(OWN)
    (project / "color" / "luts" / "log.spi1d").write_text(LUT % "0.2")
    return '[shot]\ncolor_config = "color/studio.ocio"\ncolor_space = "house log"'


def test_a_pipelines_own_configuration(loaded: Loaded, own: str, pipeline_text: str, project: Path) -> None:
    plan = loaded(pipeline_text.replace("[shot]", own))
    assert plan.tags.space is not None
    assert plan.tags.space.config == str(project / "color" / "studio.ocio")
    facts = color_facts(plan.colors, plan.tags, plan.face, ())
    assert (facts["space"], facts["config"], facts["computed_by"]) == ("house log", "studio", "torch")
    assert len(facts["config_sha256"]) == 64
    assert str(project) not in str(facts)


def test_the_key_knows_the_configuration_and_its_tables_but_not_where_they_lie(
    loaded: Loaded, own: str, pipeline_text: str, project: Path
) -> None:
    text = pipeline_text.replace("[shot]", own)
    key = loaded(text).key
    shutil.copytree(project, project.with_name("moved"))
    assert loaded(text, path=project.with_name("moved") / "job.toml").key == key
    (project / "color" / "studio.ocio").write_text(OWN + "description: newer\n")
    second = loaded(text).key
    assert second != key
    (project / "color" / "luts" / "log.spi1d").write_text(LUT % "0.25")
    (project / "color" / "studio.ocio").write_text(OWN + "description: newer still\n")
    assert loaded(text).key not in {key, second}
    assert loaded(pipeline_text.replace("[shot]", '[shot]\ncolor_space = "ACEScct"')).key != loaded().key


def test_who_computes_is_said(loaded: Loaded, own: str, pipeline_text: str) -> None:
    plan = loaded(pipeline_text.replace("[shot]", own.replace("house log", "graded")))
    facts = color_facts(plan.colors, plan.tags, plan.face, ())
    assert facts["computed_by"].startswith("OpenColorIO on the CPU, for GradingPrimary")


def test_another_face_space(loaded: Loaded, pipeline_text: str) -> None:
    plan = loaded(pipeline_text.replace("[shot]", '[shot]\nface_space = "Gamma 2.2 Encoded Rec.709"'))
    assert plan.face is not None
    assert plan.face.name == "Gamma 2.2 Encoded Rec.709"
    assert plan.key != loaded().key
    same = loaded(pipeline_text.replace("[shot]", '[shot]\nface_space = "srgb_rec709_scene"'))
    assert same.face is None, "the usual one by another name"


@pytest.mark.parametrize(
    ("words", "key", "said"),
    [
        ('color_space = "ACES cg"', "color_space", "nearest: 'ACEScg'"),
        ('color_space = "rec709"', "color_space", "nearest: "),
        ('color_space = "Raw"', "color_space", "holds data and no colours"),
        ('color_space = "ACEScg"\ncolor_config = "gone.ocio"', "color_config", "there is no OpenColorIO configuration"),
        ('color_config = "gone.ocio"', "color_config", "there is no OpenColorIO configuration"),
        ('color_config = "ocio://default"', "color_config", "another configuration with each release"),
        ('color_config = "color/studio.ocio"\ncolor_space = "printed"', "color_space", "no exact way back from"),
        ('face_space = "ACEScct"', "face_space", "stages must see pictures as a display shows them"),
        ('face_space = "sRGB Texture P4"', "face_space", "nearest: "),
        ('ycbcr_matrix = "bt2021"', "ycbcr_matrix", "is none of what may stand here"),
        ('color_space = ""', "color_space", ""),
    ],
)
def test_each_wrong_name_is_blamed_on_its_key(
    complaints: Complaints, own: str, pipeline_text: str, words: str, key: str, said: str
) -> None:
    assert own
    (found,) = complaints(pipeline_text.replace("[shot]", f"[shot]\n{words}"))
    assert found.startswith(f"job.toml: shot: {key}: ")
    assert said in found


def test_a_machine_whose_configuration_is_gone(
    problems: Callable[..., tuple[Problem, ...]], loaded: Loaded, pipeline_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCIO", "/nowhere/config.ocio")
    assert loaded().tags.space is None, "a movie by its tags asks for none"
    (found,) = problems(pipeline_text.replace("[shot]", '[shot]\ncolor_space = "ACEScg"'))
    assert "$OCIO: there is no OpenColorIO configuration /nowhere/config.ocio" in str(found)
    assert "correct or unset it, or state [shot] color_config" in str(found)
    assert found.exit_code is ExitCode.USAGE


def test_an_identitys_stills_in_an_unknown_space(complaints: Complaints, project: Path) -> None:
    record = project / "hero" / "identity.toml"
    record.write_text('color_space = "house"\n' + record.read_text())
    (found,) = complaints()
    assert found.startswith("hero/identity.toml: color_space: the configuration studio-config-v4")
    assert "has no colour space 'house'" in found
