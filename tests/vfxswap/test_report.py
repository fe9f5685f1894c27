"""The report is written whole, says what was degraded, and proves that a delivery is finished."""

from __future__ import annotations

import json
from pathlib import Path

from vfxswap.clock import FrameRange
from vfxswap.errors import ExitCode
from vfxswap.report import FrameRecord, Report, past_run, report_path, reports_of


def a_report(error: str | None = None) -> Report:
    return Report(
        run={"key": "abc", "frames": "1001-1002", "pipeline": "double.toml"},
        frames=[
            FrameRecord(1001, 1, ("hero",)),
            FrameRecord(1002, 0, (), ("no face found for identity hero",)),
        ],
        stage_seconds={"mkl": 0.5},
        outputs=(Path("x.mov"),),
        error=error,
    )


def test_lines_are_the_run_the_frames_and_the_summary(tmp_path: Path) -> None:
    path = report_path(tmp_path / "x.mov")
    report = a_report()
    report.write(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["type"] for line in lines] == ["run", "frame", "frame", "summary"]
    assert lines[2]["notes"] == ["no face found for identity hero"]
    summary = lines[-1]
    assert (summary["frames"], summary["swapped"], summary["degraded"]) == (2, 1, 1)
    assert summary["stage_ms_per_frame"] == {"mkl": 250.0}
    assert summary["notes"] == {"no face found for identity hero": 1}
    assert report.path == path
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_only_a_complete_run_proves_its_delivery(tmp_path: Path) -> None:
    path = report_path(tmp_path / "x.mov")
    assert past_run(path) is None
    a_report(error="frame 7 broke").write(path)
    broken = past_run(path)
    assert broken is not None
    assert not broken.is_complete
    a_report().write(path)
    whole = past_run(path)
    assert whole is not None
    assert (whole.is_complete, whole.key, whole.frames) == (True, "abc", FrameRange.parse("1001-1002"))
    for text in ("{broken", "", "[1]", '{"type": "run"}', '{"type": "run"}\n{"type": "summary"}'):
        path.write_text(text)
        assert past_run(path) is None


def test_each_chunk_of_a_sequence_has_a_report_of_its_own(tmp_path: Path) -> None:
    delivery = tmp_path / "x.####.exr"
    assert report_path(delivery).name == "x.####.exr.report.jsonl"
    chunks = [FrameRange.parse(text) for text in ("1001-1010", "1002-1010x2", "1001,1005-1010", "-5--1")]
    names = [report_path(delivery, frames).name for frames in chunks]
    assert names[0] == "x.####.exr.1001-1010.report.jsonl"
    assert len(set(names)) == 4
    many = [FrameRange.of(range(1, 400)) for _ in range(2)]
    scattered = [FrameRange.of(n * n + odd for n in range(40)) for odd in (0, 1)]
    assert report_path(delivery, many[0]) == report_path(delivery, many[1])
    long = [report_path(delivery, frames).name for frames in scattered]
    assert long[0].startswith("x.####.exr.0-1521-")
    assert long[0] != long[1]
    assert max(map(len, long)) < 100
    assert reports_of(tmp_path / "absent" / "x.####.exr") == ()


def test_what_earlier_runs_made_counts_too(tmp_path: Path) -> None:
    report = a_report()
    report.earlier = [FrameRecord(1000, 1, ("hero",)), FrameRecord(1002, 1, ("hero",), ("an older word of it",))]
    report.made_of = {1000: {"made_of": ["settings", "plate"], "files": {}}}
    path = report_path(tmp_path / "x.%d.exr")
    report.write(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("frame") for line in lines] == [None, 1000, 1001, 1002, None]
    assert lines[1]["made_of"] == ["settings", "plate"]
    assert "made_of" not in lines[2]
    assert (lines[-1]["frames"], lines[-1]["made"], lines[-1]["swapped"]) == (3, 2, 2)
    assert lines[-1]["notes"] == {"no face found for identity hero": 1}


def test_exit_code_follows_the_error() -> None:
    assert a_report().exit_code is ExitCode.OK
    assert a_report(error="x").exit_code is ExitCode.FAILED
