"""The report is written whole, says what was degraded, and proves that a delivery is finished."""

from __future__ import annotations

import json
from pathlib import Path

from vfxswap.errors import ExitCode
from vfxswap.report import FrameRecord, Report, finished_run, report_path


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
    delivery = tmp_path / "x.mov"
    assert finished_run(delivery) is None
    a_report(error="frame 7 broke").write(report_path(delivery))
    assert finished_run(delivery) is None
    a_report().write(report_path(delivery))
    assert finished_run(delivery) == ("abc", "1001-1002")
    report_path(delivery).write_text("{broken")
    assert finished_run(delivery) is None


def test_exit_code_follows_the_error() -> None:
    assert a_report().exit_code is ExitCode.OK
    assert a_report(error="x").exit_code is ExitCode.FAILED
