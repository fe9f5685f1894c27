"""What is said of a wrong pipeline file; these texts are what users see, so they are held word for word."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NoReturn

import pytest

from vfxswap.errors import ExitCode, PipelineError, Problem
from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap.pipeline import load
from vfxswap.pipeline.reading import nearest

Complaints = Callable[..., list[str]]
Problems = Callable[..., tuple[Problem, ...]]

GRADE = "job.toml: stages[4] (grade)"
CONSENT = "job.toml: identities.hero: consent of Anna Muster"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "strenght = 0.5",
            "strenght: unknown key (found 0.5); allowed: curve, gain, limits, lock, lock_frames, mode, passes, start,"
            " strength, taps, use; did you mean 'strength'?",
        ),
        ('strength = "0.5"', "strength: must be a number, not text (found '0.5'); allowed: 0..1"),
        ("strength = true", "strength: must be a number, not true or false (found True); allowed: 0..1"),
        ("strength = [1]", "strength: must be a number, not a list (found [1]); allowed: 0..1"),
        ("strength = 1.5", "strength: is out of bounds (found 1.5); allowed: 0..1"),
        ("strength = -1", "strength: is out of bounds (found -1); allowed: 0..1"),
        ("strength = nan", "strength: is out of bounds (found nan); allowed: 0..1"),
        ("gain = 0.1", "gain: is out of bounds (found 0.1); allowed: above 0.2, at most 3"),
        ("passes = 0", "passes: is out of bounds (found 0); allowed: 1 or more"),
        ("passes = 1.5", "passes: must be a whole number, not a decimal number (found 1.5); allowed: 1 or more"),
        (
            'mode = "labb"',
            "mode: is none of what may stand here (found 'labb'); allowed: \"lab\", \"rgb\"; did you mean 'lab'?",
        ),
        ("mode = 3", 'mode: is none of what may stand here (found 3); allowed: "lab", "rgb"'),
        ("taps = 3", "taps: must be a list of whole numbers, not a whole number (found 3); allowed: at most 4 items"),
        ('taps = [1, "a"]', "taps.1: must be a whole number, not text (found 'a')"),
        ("taps = [1, 2, 3, 4, 5]", "taps: has too many items (found [1, 2, 3, 4, 5]); allowed: at most 4 items"),
        ('curve = "no.txt"', "curve: there is no file or folder no.txt (found 'no.txt')"),
        ("limits = {lo = 3}", "limits.lo: unknown key (found 3); allowed: high, low; did you mean 'low'?"),
        ("limits = {high = 3}", "limits.high: is out of bounds (found 3); allowed: at most 2"),
        (
            'start = "frist"',
            "start: is none of what may stand here (found 'frist'); allowed: a whole number or \"first\"; did you mean"
            " 'first'?",
        ),
    ],
)
def test_a_stages_key(complaints: Complaints, pipeline_text: str, line: str, message: str) -> None:
    assert complaints(pipeline_text.replace("strength = 0.5", line)) == [f"{GRADE}: {message}"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("strenght", "strength"), ("Gain", "gain"), ("fether", "feather_percent"), ("frames", "lock_frames"), ("x", None)],
)
def test_the_nearest_name(name: str, found: str | None) -> None:
    assert nearest(name, ["strength", "gain", "feather_percent", "lock_frames"]) == found


def test_a_missing_key_says_what_it_is(complaints: Complaints, pipeline_text: str) -> None:
    text = pipeline_text.replace('identity = "hero"\n', "")
    assert complaints(text) == [
        "job.toml: stages[2] (put): identity: is missing: Who is put in: a name under [identities].; allowed: text"
    ]


def test_an_unknown_stage_that_resembles_one_is_a_slip(
    complaints: Complaints, problems: Problems, pipeline_text: str
) -> None:
    text = pipeline_text.replace('"grade"', '"garde"')
    assert complaints(text) == [
        "job.toml: stages[4] (garde): use: no plugin offers such a stage (found 'garde'); allowed: cut, find, gone,"
        " grade, paste, points, put, put-stills, steady; did you mean 'grade'?"
    ]
    assert problems(text)[0].exit_code is ExitCode.USAGE


def test_an_unknown_stage_that_resembles_none_is_a_missing_plugin(problems: Problems, pipeline_text: str) -> None:
    (problem,) = problems(pipeline_text.replace('"grade"', '"relight-9000"'))
    assert problem.message == "no plugin offers such a stage"
    assert problem.nearest is None
    assert problem.exit_code is ExitCode.MISSING


def test_a_stage_whose_class_is_not_there_is_the_plugins_fault(problems: Problems, pipeline_text: str) -> None:
    (problem,) = problems(pipeline_text.replace('"cut"', '"gone"'))
    assert problem.message.startswith("'gone' of plugin studio (")
    assert problem.exit_code is ExitCode.MISSING


def test_a_broken_plugin_may_own_an_unknown_stage(
    studio: Path, tmp_path: Path, project: Path, pipeline_text: str
) -> None:
    (tmp_path / "wrecked.py").write_text("import no_such_library")
    host = Host(plugin_path=[studio, tmp_path], environ={"VFXSWAP_LOAD_PLUGINS": "studio,wrecked"})
    (project / "job.toml").write_text(pipeline_text.replace('"grade"', '"relight-9000"'))
    with pytest.raises(PipelineError) as caught:
        load(project / "job.toml", host, store=ModelStore([], {}), today=date(2026, 6, 1))
    (problem,) = caught.value.problems
    assert problem.message == (
        f"no plugin offers such a stage (it may be one of a broken plugin: wrecked ({tmp_path}); see vfxswap plugins)"
    )


RIVAL = """\
from vfxswap.hookspecs import API_VERSION, StageOffer, hookimpl

@hookimpl
def vfxswap_api():
    return API_VERSION

@hookimpl
def vfxswap_stages():
    return [StageOffer("grade", "color", ":Grade")]
"""


def test_a_stage_that_two_plugins_claim(studio: Path, tmp_path: Path, project: Path) -> None:
    (tmp_path / "rival.py").write_text(RIVAL)
    host = Host(plugin_path=[studio, tmp_path], environ={"VFXSWAP_LOAD_PLUGINS": "studio,rival"})
    with pytest.raises(PipelineError) as caught:
        load(project / "job.toml", host, store=ModelStore([], {}), today=date(2026, 6, 1))
    (problem,) = caught.value.problems
    assert problem.message.startswith("stage 'grade' is offered by studio (")
    assert problem.exit_code is ExitCode.MISSING


def test_a_stage_without_a_name(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace('use = "grade"\n', "")) == [
        "job.toml: stages[4]: use: is missing; write the stage's name, as vfxswap plugins lists it"
    ]


def test_wrong_order_names_the_stage_to_move(complaints: Complaints, pipeline_text: str) -> None:
    points, put = '[[stages]]\nuse = "points"\n\n', '[[stages]]\nuse = "put"\nidentity = "hero"\n\n'
    assert complaints(pipeline_text.replace(points + put, put + points)) == [
        "job.toml: stages[1] (put): needs landmarks, which stages[2] (points) gives only after it; move stages[2]"
        " (points) before it"
    ]


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (
            'use = "find"',
            "stages[0] (points): needs detected faces, which no stage before it gives; put a detector stage (find)",
        ),
        (
            'use = "points"',
            "stages[1] (put): needs landmarks, which no stage before it gives; put an aligner stage (points)",
        ),
    ],
)
def test_a_missing_stage_is_told_once_with_what_would_help(
    complaints: Complaints, pipeline_text: str, stage: str, message: str
) -> None:
    assert complaints(pipeline_text.replace(f"[[stages]]\n{stage}\n", "")) == [f"job.toml: {message} before it"]


def test_a_missing_swapper(complaints: Complaints, pipeline_text: str) -> None:
    identity, put = '[identities.hero]\npath = "hero"\n', '[[stages]]\nuse = "put"\nidentity = "hero"\n'
    assert complaints(pipeline_text.replace(identity, "").replace(put, "")) == [
        "job.toml: stages[3] (grade): needs swapped faces, which no stage before it gives; put a swapper stage (put,"
        " put-stills) before it"
    ]


def test_swapped_faces_that_are_never_blended(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace('[[stages]]\nuse = "paste"\n', "")) == [
        "job.toml: stages[4] (grade): what it makes is never blended into the plate; end the stages with a blend stage"
        " (paste)"
    ]


def test_a_stage_after_the_blend(complaints: Complaints, pipeline_text: str) -> None:
    cut, paste = '[[stages]]\nuse = "cut"\n', '[[stages]]\nuse = "paste"\n'
    assert complaints(pipeline_text.replace(cut, "").replace(paste, paste + cut)) == [
        "job.toml: stages[5] (cut): stands after stages[4] (paste), which has blended the face already; move it before"
    ]


def test_a_misspelt_identity_is_one_problem(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace('identity = "hero"', 'identity = "hreo"')) == [
        "job.toml: stages[2] (put): identity: there is no such identity in the pipeline file (found 'hreo'); allowed:"
        " hero; did you mean 'hero'?"
    ]


def test_no_identities_at_all(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace('[identities.hero]\npath = "hero"\n', "")) == [
        "job.toml: stages[2] (put): identity: there is no such identity in the pipeline file (found 'hero'); allowed:"
        " none, as the file has no [identities.hero]"
    ]


def test_an_unused_identity(complaints: Complaints, project: Path, pipeline_text: str) -> None:
    (project / "hero").rename(project / "two")
    text = pipeline_text.replace('path = "hero"', 'path = "two"')
    text = text.replace("[[stages]]", '[identities.two]\npath = "two"\nface = {by = "left"}\n\n[[stages]]', 1)
    assert complaints(text) == [
        'job.toml: identities.two: is not used by any stage; remove it, or write identity = "two" in a swapper'
    ]


def test_two_identities_that_take_one_face(complaints: Complaints, pipeline_text: str) -> None:
    text = pipeline_text.replace("[[stages]]", '[identities.two]\npath = "hero"\n\n[[stages]]', 1)
    assert complaints(text)[0] == (
        "job.toml: identities.two: face: takes the same face of the plate as identity 'hero' (by size, rank 1); say"
        ' which face becomes whom, such as face = {by = "left", rank = 2}'
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ('{by = "like"}', 'by = "like" needs still = "a picture of the person in the plate"'),
        ('{still = "sh010.plate"}', 'still goes with by = "like" only'),
        ("{rank = 0}", "rank counts from 1"),
    ],
)
def test_a_face_rule_that_contradicts_itself(
    complaints: Complaints, pipeline_text: str, rule: str, message: str
) -> None:
    text = pipeline_text.replace('path = "hero"', f'path = "hero"\nface = {rule}')
    assert complaints(text) == [f"job.toml: identities.hero: face: {message}"]


def test_an_identity_folder_that_is_not_there(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace('path = "hero"', 'path = "here"')) == [
        "job.toml: identities.hero: path: there is no such identity folder (found 'here')"
    ]


def test_a_stage_that_needs_stills(complaints: Complaints, project: Path, pipeline_text: str) -> None:
    (project / "hero" / "still01.png").rename(project / "hero" / "face.dfm")
    assert complaints(pipeline_text.replace('"put"', '"put-stills"')) == [
        "job.toml: stages[2] (put-stills): identity: this stage needs stills of identity 'hero'; put still*.jpg (.png,"
        " .tif, .exr) into its folder (found 'hero')"
    ]


def test_expired_consent_is_refused(complaints: Complaints, problems: Problems) -> None:
    today = date(2027, 1, 1)
    assert complaints(today=today) == [
        f"{CONSENT} ended on 2026-12-31; today is 2027-01-01; ask Anna Muster; the record is hero/identity.toml"
    ]
    assert PipelineError(problems(today=today)).run_exit_code is ExitCode.REFUSED


def test_consent_holds_on_its_first_and_last_day(loaded: Callable[..., object]) -> None:
    loaded(today=date(2026, 1, 1))
    loaded(today=date(2026, 12, 31))


def test_another_production_and_purpose_are_refused(complaints: Complaints, pipeline_text: str) -> None:
    text = pipeline_text.replace('"Night Train"', '"Day Train"\npurpose = "dub"')
    assert complaints(text) == [
        f"{CONSENT} is for Night Train, not for production 'Day Train'; the record is hero/identity.toml",
        f"{CONSENT} is for double, not for purpose 'dub'; the record is hero/identity.toml",
    ]


def test_a_production_must_be_said(complaints: Complaints, problems: Problems, pipeline_text: str) -> None:
    text = pipeline_text.replace('production = "Night Train"\n', "")
    assert complaints(text) == [
        "job.toml: shot: production: is missing: consent is given for productions, so a pipeline that puts a face in"
        " must say its own; allowed: text"
    ]
    assert PipelineError(problems(text)).run_exit_code is ExitCode.USAGE


def test_a_missing_model(complaints: Complaints, problems: Problems, project: Path, pipeline_text: str) -> None:
    (project / "models" / "eye.bin").unlink()
    text = pipeline_text.replace('use = "find"', 'use = "find"\nmodel = "eye"')
    assert complaints(text) == [
        "job.toml: stages[0] (find): model 'eye' (eye.bin) is in none of the model folders (models, cache/models); get"
        " it with: vfxswap models pull eye"
    ]
    assert PipelineError(problems(text)).run_exit_code is ExitCode.MISSING


def test_a_model_that_is_not_the_pinned_one(problems: Problems, project: Path, pipeline_text: str) -> None:
    (project / "models" / "eye.bin").write_bytes(b"another")
    (problem,) = problems(pipeline_text.replace('use = "find"', 'use = "find"\nmodel = "eye"'))
    assert "is not the pinned eye.bin" in problem.message
    assert problem.exit_code is ExitCode.MISSING


def test_unknown_color_tags(
    complaints: Complaints, project: Path, loaded: Callable[..., object], pipeline_text: str
) -> None:
    (project / "sh010.plate").write_text('{"count": 100, "tagged": false}')
    assert complaints() == [
        "job.toml: shot: color_space: sh010.plate does not say its colour (primaries, transfer not tagged); state it in"
        ' the pipeline file, as [shot] color_space = "bt709" (allowed: bt709, srgb, bt601-625, bt601-525, bt2020,'
        " p3-d65, hlg, pq)"
    ]
    loaded(pipeline_text.replace("[shot]", '[shot]\ncolor_space = "srgb"'))


def test_a_plate_that_is_not_there(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace("sh010.plate", "sh020.plate")) == [
        "job.toml: shot: plate: there is no plate sh020.plate"
    ]


def test_a_plate_that_is_no_video(complaints: Complaints, problems: Problems, project: Path) -> None:
    (project / "sh010.plate").write_text("words")
    assert complaints() == ["job.toml: shot: plate: sh010.plate is not a movie or picture that can be read"]
    assert problems()[0].exit_code is ExitCode.USAGE


def test_a_plate_that_no_plugin_reads(complaints: Complaints, problems: Problems, pipeline_text: str) -> None:
    text = pipeline_text.replace("sh010.plate", "sh010.r3d")
    assert complaints(text) == ["job.toml: shot: plate: no reader takes 'sh010.r3d'; suffixes known: .plate"]
    assert problems(text)[0].exit_code is ExitCode.MISSING


def test_an_interlaced_plate(complaints: Complaints, project: Path) -> None:
    (project / "sh010.plate").write_text('{"count": 100, "interlaced": true}')
    assert complaints() == [
        "job.toml: shot: plate: the plate is interlaced; its fields must be made frames first (for instance with"
        " FFmpeg's bwdif filter) (found 'sh010.plate')"
    ]


def test_all_of_a_table_is_told_at_once(complaints: Complaints, pipeline_text: str) -> None:
    wrong = '[shot]\nframes = "90-110"\ncuts = [1, 5, 200]\ncolor_space = "bt7009"\non_missing = 3'
    assert complaints(pipeline_text.replace("[shot]", wrong)) == [
        'job.toml: shot: color_space: is not a colour space of movies (found \'bt7009\'); allowed: "bt709", "srgb",'
        ' "bt601-625", "bt601-525", "bt2020", "p3-d65", "hlg", "pq"; did you mean \'bt709\'?',
        'job.toml: shot: on_missing: is none of what may stand here (found 3); allowed: "pass", "fail"',
        "job.toml: shot: cuts: there are cuts outside the plate (found [1, 200]); allowed: 2..100; a cut is the first"
        " frame of the new shot",
        "job.toml: shot: frames: the plate has no frames 101-110 (found '90-110'); allowed: frames of 1-100",
    ]


def test_a_frame_range_that_cannot_be_read(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace("[shot]", '[shot]\nframes = "1..5"')) == [
        "job.toml: shot: frames: cannot read '1..5' in frame range '1..5'; write 1001, 1001-1100 or 1001-1100x2 (found"
        " '1..5')"
    ]


def test_a_delivery_over_the_plate(complaints: Complaints, project: Path, pipeline_text: str) -> None:
    os.link(project / "sh010.plate", project / "hard.out")
    (project / "soft.out").symlink_to(project / "sh010.plate")
    for name in ("hard.out", "soft.out"):
        assert complaints(pipeline_text.replace("out/sh010.out", name)) == [
            f"job.toml: delivery: path: would overwrite the plate; give the delivery another name (found '{name}')"
        ]


def test_a_delivery_over_a_still(complaints: Complaints, project: Path, pipeline_text: str) -> None:
    (project / "face.out").symlink_to(project / "hero" / "still01.png")
    assert complaints(pipeline_text.replace("out/sh010.out", "face.out")) == [
        "job.toml: delivery: path: would overwrite a file of identity 'hero'; give the delivery another name (found"
        " 'face.out')"
    ]


def test_a_delivery_over_what_a_stage_reads(complaints: Complaints, project: Path, pipeline_text: str) -> None:
    (project / "curve.out").write_text("a curve")
    text = pipeline_text.replace("strength = 0.5", 'curve = "curve.out"').replace("out/sh010.out", "curve.out")
    assert complaints(text) == [
        "job.toml: delivery: path: would overwrite a file that stages[4] (grade) reads; give the delivery another name"
        " (found 'curve.out')"
    ]


def test_a_folder_that_cannot_be_written(
    complaints: Complaints, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    assert complaints() == [
        "job.toml: delivery: path: nothing can be written in out: Permission denied; choose another folder, or have its"
        " permissions changed (found 'out/sh010.out')"
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(complaints: Complaints, project: Path) -> None:
    (project / "out").mkdir(mode=0o500)
    assert "nothing can be written in out: Permission denied" in complaints()[0]


def test_a_file_where_the_folder_should_be(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace("out/sh010.out", "sh010.plate/sh010.out")) == [
        "job.toml: delivery: path: sh010.plate is a file, so it cannot be a folder for the delivery; choose another"
        " (found 'sh010.plate/sh010.out')"
    ]


def test_a_folder_as_delivery(complaints: Complaints, project: Path) -> None:
    (project / "out" / "sh010.out").mkdir(parents=True)
    assert complaints() == ["job.toml: delivery: path: is a folder; give the file's name too (found 'out/sh010.out')"]


def test_a_format_that_no_plugin_writes(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace("sh010.out", "sh010.mp3")) == [
        "job.toml: delivery: path: no writer takes 'sh010.mp3'; suffixes known: .out"
    ]


def test_the_writers_own_options(complaints: Complaints, pipeline_text: str) -> None:
    text = pipeline_text.replace("[delivery]", '[delivery]\nlayers = ["matte"]\ncodec = "smal"\nqualty = 3')
    assert complaints(text) == [
        'job.toml: delivery: codec: is none of what may stand here (found \'smal\'); allowed: "fine", "small"; did you'
        " mean 'small'?",
        "job.toml: delivery: qualty: unknown key (found 3); allowed: codec, depth, layers, path, quality; did you mean"
        " 'quality'?",
        "job.toml: delivery: layers: the writer 'text' cannot write layers; leave layers out (found ['matte'])",
    ]


def test_a_number_of_a_few(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace("[delivery]", "[delivery]\ndepth = 9")) == [
        "job.toml: delivery: depth: is none of what may stand here (found 9); allowed: 8, 10, 12"
    ]


def test_what_the_writer_says_of_the_plate(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace("[delivery]", '[delivery]\ncodec = "small"')) == [
        "job.toml: delivery: codec small holds 50 frames, the plate has 100; take codec fine"
    ]


def test_a_misspelt_table(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace("[delivery]", "[delivry]")) == [
        "job.toml: delivry: unknown table or key; allowed: [shot], [identities.NAME], [[stages]], [delivery]; did you"
        " mean 'delivery'?",
        "job.toml: delivery: is missing; write [delivery] with path = ...",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shot = 3", "shot: must be a table, [shot] (found 3)"),
        ("stages = 3", 'stages: must be tables, each written as [[stages]] with use = "..."'),
        ('stages = ["find"]', 'stages: must be tables, each written as [[stages]] with use = "..."'),
        ("identities = 3", "identities: must be tables, [identities.NAME] (found 3)"),
        ("identities.a = 3", "identities.a: must be a table, [identities.a] (found 3)"),
        ("delivery = 3", "delivery: must be a table; write [delivery] with path = ... (found 3)"),
    ],
)
def test_what_should_be_a_table(complaints: Complaints, text: str, message: str) -> None:
    assert f"job.toml: {message}" in complaints(text)


def test_a_syntax_error_says_line_and_column(complaints: Complaints, pipeline_text: str) -> None:
    assert complaints(pipeline_text.replace("= 0.5", "= .5")) == [
        "job.toml:23:12: is not valid TOML: Invalid value (at line 23, column 12) (found 'strength = .5')"
    ]


def test_a_file_that_is_not_there(loaded: Callable[..., object], project: Path) -> None:
    (project / "nowhere").mkdir()
    with pytest.raises(PipelineError, match=r"nowhere: cannot read the pipeline file: Is a directory"):
        _load(loaded, project / "nowhere")
    with pytest.raises(PipelineError, match=r"none\.toml: cannot read the pipeline file: No such file"):
        _load(loaded, project / "none.toml")


def test_a_file_that_is_no_text(loaded: Callable[..., object], project: Path) -> None:
    (project / "bytes.toml").write_bytes(b"# \xff")
    with pytest.raises(PipelineError, match=r"bytes\.toml: is not UTF-8 text \(byte 2\)"):
        _load(loaded, project / "bytes.toml")


def _load(loaded: Callable[..., object], path: Path) -> None:
    loaded(path=path)


def test_devices(complaints: Complaints, problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert complaints(device="gpu") == ["--device gpu: there is no device 'gpu'; allowed: auto, cpu, cuda, cuda:N, mps"]
    assert complaints(device="cuda") == [
        "--device cuda: there is no device 'cuda': this machine has no CUDA device that torch can use; vfxswap doctor"
        " says more"
    ]
    assert problems(device="cuda")[0].exit_code is ExitCode.MISSING


def test_problems_of_all_parts_are_told_together(
    complaints: Complaints, problems: Problems, pipeline_text: str
) -> None:
    text = (
        pipeline_text.replace("strength", "strenght")
        .replace('"Night Train"', '"Day Train"')
        .replace("out/", "sh010.plate/")
    )
    assert [line.split(": ")[1] for line in complaints(text)] == ["identities.hero", "stages[4] (grade)", "delivery"]
    assert PipelineError(problems(text)).run_exit_code is ExitCode.USAGE
