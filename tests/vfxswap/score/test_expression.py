"""Expressions: a face that does something else than the truth's is told by landmarks that are found in both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.cli import main
from vfxswap.errors import PipelineError, UsageError
from vfxswap.frame import Detection
from vfxswap.geometry import Landmarks
from vfxswap.host import Host
from vfxswap.pipeline.chain import Slot
from vfxswap.score import References, expression, score_movie
from vfxswap.score.expression import Eyes
from vfxswap.stage import Aligner, AlignerOptions, Cutter, Detector, StageOptions

WIDTH, HEIGHT = 128, 96
PLACES = np.array([(-20.0, -10), (20, -10), (0, 0), (-10, 15), (10, 15)])


class See(Detector[StageOptions]):
    """Finds a face in either half of the picture that is not black, the left one first."""

    Options = StageOptions

    def image_size(self) -> tuple[int, int] | None:
        """Half the picture's."""
        return (WIDTH // 2, HEIGHT // 2)

    def detect(self, images: Tensor | None, frames: Sequence[int]) -> Sequence[Sequence[Detection]]:
        """See `Detector`."""
        assert images is not None
        assert images.shape == (1, 3, HEIGHT // 2, WIDTH // 2)
        boxes = ((0, 0, WIDTH / 4, HEIGHT / 2), (WIDTH / 4, 0, WIDTH / 2, HEIGHT / 2))
        bright = [float(half.max()) > 0.5 for half in images[0].chunk(2, dim=2)]
        return [[Detection(box, 1.0) for box, yes in zip(boxes, bright, strict=True) if yes] for _ in frames]


class Mark(Aligner[AlignerOptions]):
    """Five points about the middle of what is bright."""

    Options = AlignerOptions

    def align(self, detections: Sequence[Detection], cut: Cutter) -> Sequence[Landmarks | None]:
        """See `Aligner`."""
        return [self._marks(index, detection, cut) for index, detection in enumerate(detections)]

    @staticmethod
    def _marks(index: int, detection: Detection, cut: Cutter) -> Landmarks | None:
        x0, y0, x1, _ = detection.box
        side = round(x1 - x0)
        seen = cut([index], [np.array([[1.0, 0, -x0], [0, 1.0, -y0]])], side)[0].mean(0) > 0.5
        at = seen.nonzero().double().mean(0).flip(0).numpy() + 0.5 + (x0, y0)
        return Landmarks(PLACES + at, "five") if bool(seen.any()) else None


def _with_dots(*centres: tuple[int, int]) -> Tensor:
    picture = torch.zeros(3, HEIGHT, WIDTH)
    for x, y in centres:
        picture[:, y - 6 : y + 6, x - 6 : x + 6] = 1
    return picture


def _matte(centre: tuple[int, int]) -> Tensor:
    return _with_dots(centre)[0]


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are those of the stages above."""
    found = [Slot(0, "see", See, StageOptions()), Slot(1, "mark", Mark, AlignerOptions.model_construct())]
    monkeypatch.setattr(expression, "read_stages", lambda *_: found)


@pytest.fixture
def eyes(slots: None) -> Iterator[Eyes]:
    with Eyes(["see", "mark"], Host(), size=(WIDTH, HEIGHT), frames=(1, 2)) as opened:
        yield opened


def test_a_shift_has_its_part_of_the_eyes_distance(eyes: Eyes) -> None:
    truth = _with_dots((30, 40))
    assert eyes.difference_percent(truth, truth, _matte((30, 40)), 1) == 0
    moved = eyes.difference_percent(_with_dots((34, 40)), truth, _matte((30, 40)), 1)
    assert moved == pytest.approx(10)


def test_the_face_is_the_one_that_the_matte_is_of(eyes: Eyes) -> None:
    truth, result = _with_dots((30, 40), (96, 40)), _with_dots((34, 40), (96, 48))
    assert eyes.difference_percent(result, truth, _matte((30, 40)), 1) == pytest.approx(10)
    assert eyes.difference_percent(result, truth, _matte((96, 40)), 1) == pytest.approx(20)


def test_a_face_that_is_not_there_is_said(eyes: Eyes) -> None:
    face, nothing = _with_dots((30, 40)), _with_dots()
    matte = _matte((30, 40))
    assert eyes.difference_percent(face, nothing, matte, 1) == "no face is found in the truth"
    assert eyes.difference_percent(nothing, face, matte, 1) == "no face can be aligned in the result"
    elsewhere = eyes.difference_percent(face, face, _matte((96, 40)), 1)
    assert elsewhere == "no face is found in the truth"


@pytest.mark.usefixtures("slots")
def test_a_movie_is_scored(truth_folder: Path, write: Callable[..., Path]) -> None:
    write("shot/truth.mkv", [_with_dots((30, 40))] * 12)
    result = write("result.mkv", [_with_dots((32, 40))] * 11 + [_with_dots((96, 40))])
    found = score_movie(result, References.of(truth_folder), faces_by=["see", "mark"])
    assert found.values["expression_error_percent"] == pytest.approx(5)
    assert found.frames[-1].notes == ("no face can be aligned in the result",)
    assert "expression_error_percent" not in found.frames[-1].values
    without = score_movie(result, References.of(truth_folder))
    assert without.missing["expression_error_percent"] == "no stages to find faces by"


def test_what_cannot_see_is_refused(truth_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = {"size": (WIDTH, HEIGHT), "frames": (1, 2)}
    with pytest.raises(PipelineError, match="facemesh"):
        Eyes(["yunet", "facemash"], Host(), **where)
    for names in (["yunet"], ["facemesh", "yunet"], ["yunet", "facemesh", "facemesh"]):
        with pytest.raises(UsageError, match="name a detector that looks at the picture and an aligner"):
            Eyes(names, Host(), **where)
    truth = truth_folder / "truth.mkv"
    words = ["score", str(truth), "--faces-by", "yunet, facemesh"]
    assert main([*words, "--plate", str(truth_folder / "plate.mkv")]) == 2
    assert "yunet, facemesh find in the result needs a truth" in capsys.readouterr().err
