"""Whole movies: perfect ones are perfect, each fault lowers its own score, and what does not fit is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vfxswap.clock import FrameRange
from vfxswap.errors import ColorError, UsageError
from vfxswap.frame import Detection
from vfxswap.host import Host
from vfxswap.score import METRICS, References, ShotScore, score_movie
from vfxswap.score.judge import replaced
from vfxswap.score.region import blurred
from vfxswap.score.sources import Mattes
from vfxswap.trackfile import write_tracks

Frames = Callable[..., list[Tensor]]
Write = Callable[[str, list[Tensor]], Path]
Scored = Callable[[list[Tensor]], ShotScore]
STEADY = [1 + 0.2 * float(np.sin(0.9 * time) + 0.6 * np.sin(2.1 * time)) for time in range(12)]


@pytest.fixture
def scored(truth_folder: Path, write: Write) -> Scored:
    """Scores pictures against the truth and its plate."""

    def made(pictures: list[Tensor]) -> ShotScore:
        return score_movie(write("result.mkv", pictures), References.of(truth_folder))

    return made


def test_the_truth_is_perfect(truth_folder: Path) -> None:
    found = score_movie(truth_folder / "truth.mkv", References.of(truth_folder))
    against_truth = {name: value for name, value in found.values.items() if METRICS[name].against == "truth"}
    assert set(against_truth) == {name for name, metric in METRICS.items() if metric.against == "truth"}
    for name, value in against_truth.items():
        assert value == pytest.approx(METRICS[name].perfect, abs=0.05 if name == "lag_frames" else 1e-9), name


def test_the_plate_does_no_harm_and_is_no_swap(truth_folder: Path) -> None:
    found = score_movie(truth_folder / "plate.mkv", References.of(truth_folder))
    assert found.values["plate_ring_psnr_db"] == METRICS["plate_ring_psnr_db"].perfect
    assert found.values["plate_flicker_codes"] == 0
    assert found.values["psnr_db"] < 30
    assert all("the face is the plate's own" in frame.notes for frame in found.frames)


def test_pixels_changed_outside_the_matte_are_seen_in_the_ring(scored: Scored, frames: Frames, disc: Tensor) -> None:
    harmed = [picture + 0.1 * (disc == 0) for picture in frames()]
    found = scored(harmed)
    assert found.values["ring_psnr_db"] == pytest.approx(20, abs=0.2)
    assert found.values["psnr_db"] > 40
    assert found.values["plate_ring_psnr_db"] < 21


def test_blur_lowers_sharpness(scored: Scored, frames: Frames) -> None:
    ratios = [scored(frames(change=lambda p, s=s: blurred(p, s))).values["sharpness"] for s in (0.6, 1.2)]
    assert 0.95 > ratios[0] > ratios[1]


def test_grain_is_a_ratio_to_the_truth(scored: Scored, frames: Frames) -> None:
    noise = 0.02 * torch.randn(3, 96, 128, generator=torch.Generator().manual_seed(2))
    found = scored(frames(change=lambda picture: picture + noise))
    assert found.values["grain"] > 2


def test_flicker_raises_flicker(scored: Scored, frames: Frames) -> None:
    rng = np.random.default_rng(4)
    pumps = rng.standard_normal(12)
    found = [
        scored(frames(lights=[a * (1 + size * b) for a, b in zip(STEADY, pumps, strict=True)])).values
        for size in (0.0, 0.02, 0.05)
    ]
    for name in ("flicker_codes", "tone_flicker_codes", "plate_tone_flicker_codes"):
        assert found[0][name] < found[1][name] < found[2][name]
    assert found[1]["tone_flicker_codes"] > 1


@pytest.mark.parametrize("late", [1, 2])
def test_light_that_comes_late_has_lag(scored: Scored, frames: Frames, late: int) -> None:
    shifted = [STEADY[max(0, time - late)] for time in range(12)]
    found = scored(frames(lights=shifted)).values
    assert found["lag_frames"] == pytest.approx(late, abs=0.25)
    assert found["plate_lag_frames"] == pytest.approx(late, abs=0.25)


def test_a_hard_edge_raises_the_seam(scored: Scored, frames: Frames, disc: Tensor) -> None:
    soft, hard = blurred(disc[None], 6.0), (disc > 0.5).float()
    steps = [scored([picture + 0.08 * edge for picture in frames()]).values["seam_codes"] for edge in (soft, hard)]
    assert steps[1] > 1.5 * steps[0]
    assert steps[1] == pytest.approx(0.08 * 255, rel=0.2)


def test_the_plate_alone_judges_too(truth_folder: Path) -> None:
    plate_only = References(plate=truth_folder / "plate.mkv")
    found = score_movie(truth_folder / "truth.mkv", plate_only)
    assert set(found.values) == {name for name, metric in METRICS.items() if metric.against == "plate"}
    assert found.missing["psnr_db"] == "no truth to hold it against"
    assert found.values["plate_ring_psnr_db"] > 40


def test_what_was_replaced_is_found_by_the_difference(frames: Frames, disc: Tensor) -> None:
    result, plate = frames()[0], frames(inside=3)[0]
    noise = 0.003 * torch.randn(3, 96, 128, generator=torch.Generator().manual_seed(2))
    found = replaced(result + noise, plate)
    assert float(found[disc > 0.95].mean()) > 0.95
    assert float(found[disc == 0].mean()) < 0.01


def test_some_frames_of_the_truth_may_be_asked_for(truth_folder: Path, frames: Frames, write: Write) -> None:
    part = write("part.mkv", frames()[4:9])
    found = score_movie(part, References.of(truth_folder), frames=FrameRange.parse("5-9"))
    assert found.values["psnr_db"] == METRICS["psnr_db"].perfect
    assert [frame.number for frame in found.frames] == [1, 2, 3, 4, 5]
    assert "lag_frames" in found.missing


def test_the_worst_frame_is_named(scored: Scored, frames: Frames) -> None:
    pictures = frames()
    pictures[6] = pictures[6] * 0.9
    found = scored(pictures)
    worst = found.worst("psnr_db")
    assert worst is not None
    assert worst.number == 7
    assert found.worst("lag_frames") is None
    with pytest.raises(UsageError, match="there is no score 'psnr'"):
        found.worst("psnr")


def test_frames_without_a_face_are_named_and_left_out(truth_folder: Path, frames: Frames, write: Write) -> None:
    import cv2  # noqa: PLC0415 - for this one file

    black = np.zeros((96, 128), np.uint8)
    assert cv2.imwrite(str(truth_folder / "mattes" / "matte.0003.png"), black)
    found = score_movie(write("result.mkv", frames(inside=5)), References.of(truth_folder))
    assert found.frames[2].values == {}
    assert found.frames[2].notes == ("nothing is replaced in this frame",)
    assert "flicker_codes" not in found.frames[3].values
    assert "psnr_db" in found.values


def test_landmarks_are_held_against_the_true_ones(truth_folder: Path, tmp_path: Path) -> None:
    five = np.array([(50.0, 40), (80, 40), (64, 50), (54, 64), (76, 64)])
    for name, shift in ((truth_folder / "tracks.json", 0.0), (tmp_path / "ours.json", 3.0)):
        face = Detection((40, 30, 90, 70), 1.0, five + shift)
        write_tracks(name, {number: [face] for number in range(1, 13)}, width=128, height=96)
    found = score_movie(truth_folder / "truth.mkv", References.of(truth_folder), tracks=tmp_path / "ours.json")
    assert found.values["landmark_error_percent"] == pytest.approx(100 * 3 * 2**0.5 / 30)


def test_results_are_data(scored: Scored, frames: Frames) -> None:
    found = scored(frames(inside=4))
    data = json.loads(found.to_json())
    assert data["shot"]["ssim"]["value"] == found.values["ssim"]
    assert data["shot"]["ssim"]["best"] == "highest"
    assert len(data["frames"]) == 12
    assert data["frames"][3]["frame"] == 4
    assert data["missing"] == {
        "landmark_error_percent": "no landmarks to hold it against",
        "expression_error_percent": "no stages to find faces by",
    }


def test_a_matte_may_be_a_movie(truth_folder: Path, write: Write, disc: Tensor) -> None:
    movie = write("matte.mkv", [disc.expand(3, -1, -1)] * 12)
    folder = list(Mattes(truth_folder / "mattes", Host()).planes(FrameRange((0, 5)), 12))
    (first, sixth) = Mattes(movie, Host()).planes(FrameRange((0, 5)), 12)
    assert torch.allclose(first, folder[0], atol=2e-3)
    assert torch.allclose(sixth, disc, atol=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": None, "plate": None}, "give a truth, or the plate"),
        ({"plate": None, "matte": None}, "give mattes, or the plate"),
    ],
)
def test_what_is_missing_is_said(truth_folder: Path, change: dict[str, None], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        score_movie(truth_folder / "truth.mkv", replace(References.of(truth_folder), **change))


def test_what_does_not_fit_is_refused(truth_folder: Path, frames: Frames, write: Write) -> None:
    references = References.of(truth_folder)
    with pytest.raises(UsageError, match="has 3 frames, and is held against 12"):
        score_movie(write("short.mkv", frames()[:3]), references)
    with pytest.raises(UsageError, match=r"128x96, .*small\.mkv is 64x48; they must have one size"):
        score_movie(write("small.mkv", [picture[:, ::2, ::2] for picture in frames()]), references)
    with pytest.raises(UsageError, match="are not all in"):
        score_movie(truth_folder / "truth.mkv", references, frames=FrameRange.parse("8-19"))
    with pytest.raises(UsageError, match="need the true ones"):
        score_movie(truth_folder / "truth.mkv", references, tracks=truth_folder / "x.json")
    (truth_folder / "mattes" / "matte.0012.png").unlink()
    with pytest.raises(UsageError, match="has 11 mattes, the shot has 12"):
        score_movie(truth_folder / "truth.mkv", references)


def test_a_folder_without_a_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"one truth\.\* or \*_truth\.\* movie, found none"):
        References.of(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        References.of(tmp_path / "nowhere")


def test_a_named_truth_brings_its_plate(tmp_path: Path) -> None:
    for name in ("sh010_truth.mp4", "sh010.mp4"):
        (tmp_path / name).touch()
    found = References.of(tmp_path)
    assert (found.truth, found.plate) == (tmp_path / "sh010_truth.mp4", tmp_path / "sh010.mp4")
    assert (found.matte, found.tracks) == (None, None)


def test_an_unknown_colour_is_not_guessed(truth_folder: Path) -> None:
    with pytest.raises(ColorError, match="has no colour space 'nonsense'"):
        score_movie(truth_folder / "truth.mkv", References.of(truth_folder), color_space="nonsense")
