"""Presets and the ways to compute: each is trained for real, with a small network in place of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from vfxswap.training.events import Event, Stepped
from vfxswap.training.loop import train
from vfxswap.training.result import Outcome
from vfxswap.training.settings import load
from vfxswap.training.tables import PRESETS

Project = Callable[..., Path]
SMALL = ("train.iterations=8", "train.batch=4", "train.save_every=8", "train.preview_every=8")


@pytest.fixture(autouse=True)
def without_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard has a test of its own, and takes seconds to import."""
    monkeypatch.setattr("vfxswap.training.curve._board", lambda *_: None)


def steps_of(file: Path, *sets: str) -> tuple[Outcome, list[Stepped]]:
    """A training of a few steps, and what it told of them."""
    heard: list[Event] = []
    outcome = train(load(file, overrides=(*SMALL, *sets)), tell=heard.append)
    return outcome, [event for event in heard if isinstance(event, Stepped)]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_trains_to_its_full_size(project: Project, tmp_path: Path, preset: str) -> None:
    file = project(tmp_path, train=f'preset = "{preset}"')
    grows = "start_size" in PRESETS[preset]["train"]  # type: ignore[index]
    starts = ["train.start_size=16"] if grows else []
    outcome, told = steps_of(file, *starts, "adversarial.start=0.5")
    assert [step.size_px for step in told] == ([16, 16, 32, 32, 32, 32, 32, 32] if grows else [32] * 8)
    assert outcome.card.options["train"]["preset"] == preset
    sharpened = PRESETS[preset].get("adversarial", {}).get("power", 0)  # type: ignore[index]
    assert ("discriminator" in told[-1].parts) == bool(sharpened)
    assert outcome.card.spec["size_px"] == 32
    assert all(score["psnr_matte_db"] > 3 for score in outcome.card.scores.values())


def test_a_step_of_several_batches_is_the_step_of_a_large_one(project: Project, tmp_path: Path) -> None:
    still = ("augment.light=0", "augment.borrow_tone=0", "augment.surroundings=0", "augment.degrade=0")
    fixed = ("augment.warp=0", "augment.rotation_degrees=0", "augment.scale=0", "augment.shift=0", "train.clip=100")
    file = project(tmp_path)
    one = steps_of(file, *still, *fixed, "train.out=one", "train.batch=8")[1]
    parts = steps_of(file, *still, *fixed, "train.out=parts", "train.accumulate=2")[1]
    assert parts[0].parts["loss"] == pytest.approx(one[0].parts["loss"], rel=1e-3)
    assert parts[0].parts["slope"] == pytest.approx(one[0].parts["slope"], rel=1e-2)


def test_bfloat16_learns_much_the_same(project: Project, tmp_path: Path) -> None:
    file = project(tmp_path)
    exact = steps_of(file, "train.out=exact")[1]
    low = steps_of(file, "train.out=low", 'train.precision="bfloat16"')[1]
    assert exact[-1].parts["loss"] != low[-1].parts["loss"]
    assert low[-1].parts["loss"] == pytest.approx(exact[-1].parts["loss"], rel=0.05)


def test_what_grows_is_compiled_at_each_size_and_not_while_it_fades(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[nn.Module] = []

    def noted(self: nn.Module) -> None:
        made.append(self)

    monkeypatch.setattr(nn.Module, "compile", noted)
    told = steps_of(project(tmp_path), "train.start_size=16", "train.iterations=5", "train.compile=true")[1]
    assert [step.size_px for step in told] == [16, 32, 32, 32, 32]
    assert len(made) == 6  # an encoder and two trunks, of the small and of the full size


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of torch's own compiler
def test_compiled_it_learns_the_same(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Traced forwards and backwards as for any machine; what a machine's own compiler makes of that takes minutes.
    compiled_by = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled_by(self, backend="aot_eager"))
    file = project(tmp_path)
    small = ("train.stills=1", "train.widths=[8, 4]", "train.iterations=2")
    plain = steps_of(file, *small, "train.out=plain")[1]
    compiled = steps_of(file, *small, "train.out=compiled", "train.compile=true")[1]
    for ours, theirs in zip(compiled, plain, strict=True):
        assert ours.parts["loss"] == pytest.approx(theirs.parts["loss"], rel=1e-3)
