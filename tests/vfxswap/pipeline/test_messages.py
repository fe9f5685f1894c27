"""What is said of a wrong pipeline file; these texts are what users see, so they are held word for word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

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
            "strenght: unknown key (found 0.5); allowed: curve, gain, limits, lock, lock_frames, mode, openings,"
            " passes, start, strength, taps, use; did you mean 'strength'?",
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
