"""Training can be broken off at any point without a trace; what stops it is said, and costs nothing that was learnt."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vfxswap.errors import Cancelled, MediaError, OutOfMemory, UsageError
from vfxswap.training import checkpoint, learner, loop, losses
from vfxswap.training.curve import NAME, Curve
from vfxswap.training.events import Event, Saved, Started, Stepped, Warned
from vfxswap.training.learner import Diverged
from vfxswap.training.result import Outcome

Trained = Callable[..., tuple[Outcome, Any]]
Rows = Callable[[Path], list[dict[str, float]]]
Bits = Callable[[Outcome], dict[str, bytes]]

pytestmark = pytest.mark.usefixtures("without_board")


@pytest.mark.parametrize(
    "sets",
    [
        (),
        ("train.start_size=16", "train.grow_share=0.9"),
        (
            "adversarial.power=0.1",
            "adversarial.start=0.2",
            "loss.consistency=0.5",
            "loss.perceptual=0.5",
            "train.accumulate=2",
        ),
        ("train.shared=true", "train.uniform_yaw=true", "train.cache_gb=0"),
    ],
    ids=["plain", "growing", "adversarial", "shared"],
)
def test_broken_off_and_gone_on_with_is_the_same_to_the_bit(
    file: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained, curve: Rows, weights: Bits, sets: tuple[str, ...]
) -> None:
    whole, _ = trained(file, "train.out=whole", "train.iterations=9", *sets)
    step = loop._Run._step

    def dies_at_five(self: Any, *args: Any) -> None:
        if self.count.step == 5:
            raise KeyboardInterrupt
        step(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(loop._Run, "_step", dies_at_five)
        with pytest.raises(KeyboardInterrupt):
            trained(file, "train.out=run", "train.iterations=9", *sets)
    parts, heard = trained(file, "train.out=run", "train.iterations=9", *sets, resume=True)
    assert heard.of(Started)[0].step == 4  # the last checkpoint; the fifth step is done again
    assert weights(parts) == weights(whole)
    assert curve(file) == [json.loads(line) for line in (file.parent / "whole/curve.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(file: Path, trained: Trained, weights: Bits) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path; from vfxswap.training.settings import load;"
        "from vfxswap.training.loop import train; from vfxswap.training.events import Saved\n"
        "def tell(e):\n"
        "    if isinstance(e, Saved) and e.step == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"train(load(Path({str(file)!r})), tell=tell)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    parts, heard = trained(file, resume=True)
    assert heard.of(Started)[0].step == 4
    whole, _ = trained(file, "train.out=whole")
    assert weights(parts) == weights(whole)


def test_being_asked_to_stop_saves_and_ends_with_75(file: Path, trained: Trained, curve: Rows, heard: Any) -> None:
    def stops(event: Event) -> None:
        heard(event)
        if isinstance(event, Stepped) and event.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Cancelled, match=r"stopped by SIGTERM after step 3.*--resume") as caught:
        trained(file, heard=stops)
    assert caught.value.exit_code == 75
    assert heard.of(Saved)[-1].step == 3
    assert signal.getsignal(signal.SIGTERM) == before
    trained(file, resume=True)
    assert [row["step"] for row in curve(file)] == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_is_not_run_over(file: Path, trained: Trained) -> None:
    trained(file)
    with pytest.raises(UsageError, match="holds a training of 6 steps; go on with --resume"):
        trained(file)


def test_a_checkpoint_of_another_training_is_refused_by_name(
    file: Path, faceset: Callable[..., Any], trained: Trained
) -> None:
    trained(file)
    with pytest.raises(UsageError, match=r"\[train\] code was 12 and is 16") as caught:
        trained(file, "train.code=16", "loss.detail=3", resume=True)
    assert "[loss] detail was 1.0 and is 3.0" in str(caught.value)
    trained(file, "train.iterations=7", resume=True)  # a longer budget is no other training
    path = file.parent / "run" / checkpoint.NAME
    found = checkpoint.read_checkpoint(path.parent)
    assert found is not None
    checkpoint.write_checkpoint(path.parent, replace(found[0], architecture="comb-0"), found[1])
    with pytest.raises(UsageError, match=r"is of architecture 'comb-0'; this trains 'comb-\d'"):
        trained(file, resume=True)
    path.write_bytes(b"torn")
    with pytest.raises(UsageError, match="cannot read the checkpoint"):
        trained(file, resume=True)


@pytest.mark.parametrize("spoilt", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_it_and_keeps_the_last_good(
    file: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained, spoilt: float
) -> None:
    right = losses.picture_losses

    def wrong(made: Any, batch: Any, options: Any) -> dict[str, Any]:
        parts = right(made, batch, options)
        calls.append(1)
        return {**parts, "pixel": parts["pixel"] * spoilt} if len(calls) == 4 else parts

    calls: list[int] = []
    monkeypatch.setattr(learner, "picture_losses", wrong)
    with pytest.raises(Diverged, match=r"step 4: .*no number.*checkpoint of step 2 is kept"):
        trained(file)
    found = checkpoint.read_checkpoint(file.parent / "run")
    assert found is not None
    assert found[0].step == 2
    assert all(bool(value.isfinite().all()) for value in found[1].values())


def test_losses_that_jump_and_stay_stop_it(file: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained) -> None:
    monkeypatch.setattr(loop, "_SPIKE_MEMORY", 3)
    right = learner.Learner.learn

    def high(self: Any, *args: Any, step: int, **kept: Any) -> dict[str, float]:
        told = right(self, *args, step=step, **kept)
        return {**told, "loss": told["loss"] * (100 if step >= 4 else 1)}

    monkeypatch.setattr(learner.Learner, "learn", high)
    with pytest.raises(Diverged, match=r"3 losses in a row.*checkpoint of step 4 is kept"):
        trained(file, "stop.spikes=3", "train.iterations=20")


def test_what_the_discriminator_thinks_is_no_spike(
    file: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained
) -> None:
    """It has no lower bound, so that a median of all parts together may be below nothing."""
    watched: list[float] = []
    monkeypatch.setattr(loop._Run, "_watch", lambda self, loss: watched.append(loss))
    _, heard = trained(file, "adversarial.power=0.5", "adversarial.start=0")
    parts = [event.parts for event in heard.of(Stepped)]
    assert any("fooled" in one for one in parts)
    assert watched == [one["loss"] - one.get("fooled", 0.0) for one in parts]


def test_a_full_disk_loses_nothing(file: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained) -> None:
    def full(*_: Any) -> Path:
        raise MediaError("cannot write the checkpoint: no space left on device")

    kept = checkpoint.write_checkpoint
    tries: list[int] = []

    def sometimes(*args: Any) -> Path:
        tries.append(1)
        return full() if len(tries) == 2 else kept(*args)

    monkeypatch.setattr(loop, "write_checkpoint", sometimes)
    outcome, heard = trained(file)
    assert "no space left" in heard.of(Warned)[0].message
    assert outcome.card.iterations == 6
    assert checkpoint.read_checkpoint(file.parent / "run")[0].step == 6  # type: ignore[index]
    monkeypatch.setattr(loop, "write_checkpoint", full)
    with pytest.raises(MediaError, match="no space left"):
        trained(file, "train.out=other")


def test_a_curve_that_finds_no_room_is_written_when_there_is(tmp_path: Path) -> None:
    found = Curve(tmp_path, 0)
    found.add(1, {"loss": 1.0})
    found.flush()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, limits[1]))  # the kernel refuses what would make a file larger
    try:
        for step in range(2, 50):
            found.add(step, {"loss": 1 / step})
        found.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    path = tmp_path / NAME
    assert path.read_text() == '{"step": 1, "loss": 1.0}\n'
    found.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == list(range(1, 50))


def test_the_checkpoint_before_stands_in(file: Path, trained: Trained) -> None:
    trained(file)
    folder = file.parent / "run"
    assert (folder / checkpoint.BEFORE).is_file()
    (folder / checkpoint.NAME).unlink()
    found = checkpoint.read_checkpoint(folder)
    assert found is not None
    assert found[0].step == 4


def test_too_little_memory_says_what_fits(file: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained) -> None:
    made = learner.Learner._made

    def small(self: Any, batch: Any) -> Any:
        if len(batch.inputs) > 3:
            raise torch.OutOfMemoryError("no")
        return made(self, batch)

    monkeypatch.setattr(learner.Learner, "_made", small)
    with pytest.raises(OutOfMemory, match="batch = 16 at 32 px; batch = 2 fits, and with accumulate = 8") as caught:
        trained(file, "train.batch=16")
    assert caught.value.exit_code == 75


def test_what_is_advised_can_be_followed(file: Path, trained: Trained) -> None:
    trained(file, "train.iterations=3", "train.batch=8")
    outcome, _ = trained(file, "train.batch=4", "train.accumulate=2", resume=True)
    assert outcome.card.iterations == 6


def test_memory_that_ends_elsewhere_is_said_too(file: Path, monkeypatch: pytest.MonkeyPatch, trained: Trained) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2 GiB")

    monkeypatch.setattr(torch.optim.Adam, "step", full)
    with pytest.raises(OutOfMemory, match=r"32 px with batch = 4: choose a smaller batch.*tried to allocate 2 GiB"):
        trained(file)
