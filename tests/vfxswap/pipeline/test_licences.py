"""Paid work: a model that is not known to be allowed in it is refused, if the pipeline file asks for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from vfxswap.errors import ExitCode
from vfxswap.modelfile import ModelFile
from vfxswap.pipeline import Pipeline
from vfxswap.pipeline.findings import check_licences
from vfxswap.pipeline.plan import PlannedStage
from vfxswap.pipeline.reading import Notes, Origin
from vfxswap.stage import Stage, StageOptions

PAID = "[shot]\npaid_work = true\n"
EYE = 'use = "find"\nmodel = "eye"'


def test_a_model_whose_card_forbids_it_is_refused(problems: Callable[..., Any], pipeline_text: str) -> None:
    (problem,) = problems(pipeline_text.replace("[shot]\n", PAID).replace('use = "find"', EYE))
    assert problem.exit_code is ExitCode.REFUSED
    assert "model 'eye' is not known to be allowed in paid work (its licence: MIT)" in str(problem)
    assert "stages[0] (find)" in str(problem)


def test_unpaid_work_may_use_it(loaded: Callable[..., Pipeline], pipeline_text: str) -> None:
    asked = pipeline_text.replace('use = "find"', EYE)
    assert not loaded(asked).shot.paid_work
    loaded(asked.replace("[shot]\n", "[shot]\npaid_work = false\n"))
    loaded(pipeline_text.replace("[shot]\n", PAID))


@pytest.mark.parametrize(
    ("commercial", "licence", "said"),
    [
        (True, "ours", []),
        (None, "", ["net.onnx is not known to be allowed in paid work (its licence: not said)"]),
        (False, "research", ["net.onnx is not known to be allowed in paid work (its licence: research)"]),
    ],
)
def test_a_file_given_by_hand_must_be_said_to_be_allowed(
    loaded: Callable[..., Pipeline], commercial: bool | None, licence: str, said: Sequence[str]
) -> None:
    file = ModelFile(Path("folder/net.onnx"), "0" * 64, licence, commercial)
    stage: PlannedStage = PlannedStage(1, "net", Stage, StageOptions(), "somebody", files=(file,))
    notes = Notes(Origin(Path("job.toml")))
    check_licences([stage], loaded().store, notes)
    assert [problem.message.partition(",")[0] for problem in notes.problems] == said
