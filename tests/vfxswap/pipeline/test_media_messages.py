"""What is said of a wrong plate, delivery or device, word for word."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from vfxswap.errors import ExitCode, Problem

Complaints = Callable[..., list[str]]
Problems = Callable[..., tuple[Problem, ...]]


def test_unknown_color_tags(
    complaints: Complaints, project: Path, loaded: Callable[..., object], pipeline_text: str
) -> None:
    (project / "sh010.plate").write_text('{"count": 100, "tagged": false}')
    assert complaints() == [
        "job.toml: shot: color_space: sh010.plate does not say its colour (primaries, transfer not tagged); state it in"
        ' the pipeline file, as [shot] color_space = "bt709" (allowed: bt709, srgb, bt601-625, bt601-525, bt2020,'
        " p3-d65, hlg, pq, or a colour space of the OpenColorIO configuration)"
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
        'job.toml: shot: on_missing: is none of what may stand here (found 3); allowed: "pass", "fail"',
        "job.toml: shot: cuts: there are cuts outside the plate (found [1, 200]); allowed: 2..100; a cut is the first"
        " frame of the new shot",
        "job.toml: shot: frames: the plate has no frames 101-110 (found '90-110'); allowed: frames of 1-100",
        "job.toml: shot: color_space: the configuration studio-config-v4.0.0_aces-v2.0_ocio-v2.5 has no colour space"
        " 'bt7009'; nearest: 'bt709', 'bt2020' (found 'bt7009')",
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
        "job.toml: delivery: qualty: unknown key (found 3); allowed: codec, depth, layers, layers_as, path,"
        " quality, timeline; did you mean"
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


def test_devices(complaints: Complaints, problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert complaints(device="gpu") == ["--device gpu: there is no device 'gpu'; allowed: auto, cpu, cuda, cuda:N, mps"]
    assert complaints(device="cuda") == [
        "--device cuda: there is no device 'cuda': this machine has no CUDA device that torch can use; vfxswap doctor"
        " says more"
    ]
    assert problems(device="cuda")[0].exit_code is ExitCode.MISSING
