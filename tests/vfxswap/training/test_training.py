"""Training: it learns, it can be broken off at any point without a trace, and it says what goes wrong."""

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
from safetensors.torch import load_file

from vfxswap.errors import Cancelled, MediaError, OutOfMemory, PipelineError, UsageError
from vfxswap.trained import load_trained
from vfxswap.training import checkpoint, learner, loop, losses
from vfxswap.training.curve import NAME, Curve
from vfxswap.training.events import Event, Prepared, Previewed, Saved, Started, Stepped, Warned
from vfxswap.training.learner import Diverged
from vfxswap.training.loop import train
from vfxswap.training.result import Outcome
from vfxswap.training.settings import load

Project = Callable[..., Path]


class Heard(list[Event]):
    """Everything that a training told."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self if isinstance(event, kind)]

    @property
    def losses(self) -> list[float]:
        """Of all steps."""
        return [event.parts["loss"] for event in self.of(Stepped)]


@pytest.fixture(autouse=True)
def without_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard has a test of its own, and takes seconds to import."""
    monkeypatch.setattr("vfxswap.training.curve._board", lambda *_: None)


@pytest.fixture
def file(project: Project, tmp_path: Path) -> Path:
    return project(tmp_path)


def trained(file: Path, *sets: str, resume: bool = False, heard: Heard | None = None) -> tuple[Outcome, Heard]:
    """Trains to the end."""
    heard = Heard() if heard is None else heard
    return train(load(file, overrides=sets), resume=resume, tell=heard), heard


def curve(file: Path) -> list[dict[str, float]]:
    """The curve on disk."""
    return [json.loads(line) for line in (file.parent / "run" / "curve.jsonl").read_text().splitlines()]


def weights(outcome: Outcome) -> dict[str, bytes]:
    """The bits of all weights; the card beside them says how long it took, which is never the same."""
    return {name: value.numpy().tobytes() for name, value in load_file(outcome.path).items()}


def test_it_learns_and_leaves_a_trained_file_with_its_card(file: Path) -> None:
    quick = "train.iterations=150", "train.batch=16", "train.learning_rate=0.01", "augment.warp=0"
    outcome, heard = trained(file, *quick)
    assert sum(heard.losses[-10:]) < 0.5 * sum(heard.losses[:10])
    loaded = load_trained(outcome.path)
    assert loaded.card == outcome.card
    assert loaded.card.iterations == 150
    ada = loaded.card.identities["ada"]
    assert ada.title == "CG performer A (synthetic)"
    assert ada.consent is not None
    assert (ada.facesets[0].faces, ada.facesets[0].held_out) == (36, 4)
    assert loaded.card.scores["ada"]["psnr_matte_db"] > 15
    assert loaded.card.curve[-1].iteration == 150
    assert "out" not in loaded.card.options["train"]
    assert (file.parent / "run" / "train.MODEL.md").is_file()
    assert heard.of(Prepared)[-1].part == 1
    assert len(heard.of(Started)) == 1


def test_a_seed_is_a_training(file: Path) -> None:
    first = trained(file, "train.out=one")[0]
    again = trained(file, "train.out=two")[0]
    other = trained(file, "train.out=three", "train.seed=2")[0]
    assert weights(first) == weights(again)
    assert first.card.curve != other.card.curve


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
    file: Path, sets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
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
def test_killed_at_any_moment_it_goes_on(file: Path) -> None:
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


def test_being_asked_to_stop_saves_and_ends_with_75(file: Path) -> None:
    class Stops(Heard):
        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if isinstance(event, Stepped) and event.step == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    heard = Stops()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Cancelled, match=r"stopped by SIGTERM after step 3.*--resume") as caught:
        trained(file, heard=heard)
    assert caught.value.exit_code == 75
    assert heard.of(Saved)[-1].step == 3
    assert signal.getsignal(signal.SIGTERM) == before
    trained(file, resume=True)
    assert [row["step"] for row in curve(file)] == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_is_not_run_over(file: Path) -> None:
    trained(file)
    with pytest.raises(UsageError, match="holds a training of 6 steps; go on with --resume"):
        trained(file)


def test_a_checkpoint_of_another_training_is_refused_by_name(file: Path, faceset: Callable[..., Any]) -> None:
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
    file: Path, spoilt: float, monkeypatch: pytest.MonkeyPatch
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


def test_losses_that_jump_and_stay_stop_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SPIKE_MEMORY", 3)
    right = learner.Learner.learn

    def high(self: Any, *args: Any, step: int, **kept: Any) -> dict[str, float]:
        told = right(self, *args, step=step, **kept)
        return {**told, "loss": told["loss"] * (100 if step >= 4 else 1)}

    monkeypatch.setattr(learner.Learner, "learn", high)
    with pytest.raises(Diverged, match=r"3 losses in a row.*checkpoint of step 4 is kept"):
        trained(file, "stop.spikes=3", "train.iterations=20")


def test_a_full_disk_loses_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_checkpoint_before_stands_in(file: Path) -> None:
    trained(file)
    folder = file.parent / "run"
    assert (folder / checkpoint.BEFORE).is_file()
    (folder / checkpoint.NAME).unlink()
    found = checkpoint.read_checkpoint(folder)
    assert found is not None
    assert found[0].step == 4


def test_too_little_memory_says_what_fits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = learner.Learner._made

    def small(self: Any, batch: Any) -> Any:
        if len(batch.inputs) > 3:
            raise torch.OutOfMemoryError("no")
        return made(self, batch)

    monkeypatch.setattr(learner.Learner, "_made", small)
    with pytest.raises(OutOfMemory, match="batch = 16 at 32 px; batch = 2 fits, and with accumulate = 8") as caught:
        trained(file, "train.batch=16")
    assert caught.value.exit_code == 75


def test_what_the_encoder_sees_is_told_and_learnt(file: Path) -> None:
    quick = "train.iterations=60", "train.learning_rate=0.01", "augment.warp=0", "loss.perceptual=1"
    parts = [event.parts["perceptual"] for event in trained(file, *quick)[1].of(Stepped)]
    assert sum(parts[-10:]) < 0.8 * sum(parts[:10])


def test_what_is_advised_can_be_followed(file: Path) -> None:
    trained(file, "train.iterations=3", "train.batch=8")
    outcome, _ = trained(file, "train.batch=4", "train.accumulate=2", resume=True)
    assert outcome.card.iterations == 6


def test_memory_that_ends_elsewhere_is_said_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2 GiB")

    monkeypatch.setattr(torch.optim.Adam, "step", full)
    with pytest.raises(OutOfMemory, match=r"32 px with batch = 4: choose a smaller batch.*tried to allocate 2 GiB"):
        trained(file)


def test_without_held_out_faces_there_are_no_previews(file: Path) -> None:
    outcome, heard = trained(file, "train.held_out=0", "train.preview_every=2")
    assert heard.of(Previewed) == []
    assert outcome.card.scores == {}


def test_what_the_discriminator_thinks_is_no_spike(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no lower bound, so that a median of all parts together may be below nothing."""
    watched: list[float] = []
    monkeypatch.setattr(loop._Run, "_watch", lambda self, loss: watched.append(loss))
    _, heard = trained(file, "adversarial.power=0.5", "adversarial.start=0")
    parts = [event.parts for event in heard.of(Stepped)]
    assert any("fooled" in one for one in parts)
    assert watched == [one["loss"] - one.get("fooled", 0.0) for one in parts]


def test_previews_and_the_curve_are_written(file: Path) -> None:
    _, heard = trained(file)
    previews = heard.of(Previewed)
    assert [event.step for event in previews] == [3, 6]
    assert set(previews[0].scores) == {"ada", "ben"}
    assert previews[0].path.is_file()
    assert (file.parent / "run" / "preview.png").is_file()
    assert [row["step"] for row in curve(file)] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "pixel", "structure", "detail", "matte"} <= set(curve(file)[0])


def test_a_budget_of_time_ends_it(file: Path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    heard = Heard()
    outcome = train(load(file, overrides=["train.iterations=100000"], minutes=1), tell=heard, clock=clock)
    assert 10 < outcome.card.iterations < 60
    assert heard.of(Stepped)[-1].rate < 0.2


def test_averaged_weights_are_what_is_kept(file: Path) -> None:
    outcome, _ = trained(file, "train.ema=0.9", "train.learning_rate=0.02")
    tensors = load_file(file.parent / "run" / checkpoint.NAME)
    kept = load_file(outcome.path)
    assert torch.equal(kept["encoder.line.weight"], tensors["average.encoder.line.weight"])
    assert not torch.equal(tensors["model.encoder.line.weight"], tensors["average.encoder.line.weight"])


def test_without_averaging_they_are_the_same(file: Path) -> None:
    trained(file, "train.ema=0")
    tensors = load_file(file.parent / "run" / checkpoint.NAME)
    assert torch.equal(tensors["model.encoder.line.weight"], tensors["average.encoder.line.weight"])


def test_unreadable_faces_are_said_and_left_out(file: Path) -> None:
    folder = file.parent / "facesets" / "ada" / "faces"
    for path in sorted(folder.iterdir())[:3]:
        path.write_bytes(b"no picture")
    outcome, heard = trained(file)
    assert "ada: 3 faces cannot be read and are left out" in heard.of(Warned)[0].message
    assert (file.parent / "run" / "left_out.txt").read_text().count("\n") == 3
    assert outcome.card.identities["ada"].facesets[0].left_out == 3
    for path in sorted(folder.iterdir())[:30]:
        path.write_bytes(b"no picture")
    with pytest.raises(UsageError, match="'ada' has 8 faces that can be read"):
        trained(file, "train.out=other")


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def test_it_starts_from_a_base_and_from_nothing_else(file: Path) -> None:
    base, _ = trained(file, "train.out=base", "train.shared=true", "train.iterations=3")
    path = f"train.init={base.path}"
    outcome, _ = trained(file, path, "train.iterations=1", "train.learning_rate=1e-9")
    loaded, old = load_trained(outcome.path), load_trained(base.path)
    assert not loaded.model.spec.shared
    near = torch.allclose(loaded.model.trunks[1].line.weight, old.model.trunks[0].line.weight, atol=1e-6)  # type: ignore[union-attr,arg-type]
    assert near
    assert len(loaded.card.base) == 64
    code = file.parent / "theirs.pth"
    torch.save({"model": Trap(file.parent / "sprung")}, code)
    with pytest.raises(PipelineError, match=r"theirs\.pth is no safetensors file: it is PyTorch's own.*never loaded"):
        trained(file, f"train.init={code}", "train.out=fourth")
    assert not (file.parent / "sprung").exists()
    with pytest.raises(PipelineError, match="has code 12, and the training begins with 16"):
        trained(file, path, "train.code=16", "train.out=other")
    file.write_text(file.read_text().replace("identities.ben", "identities.cy"))
    with pytest.raises(PipelineError, match="cannot become ada, cy"):
        trained(file, f"train.init={outcome.path}", "train.out=third")


def test_it_is_delivered_to_whom_it_is_said(file: Path) -> None:
    outcome, _ = trained(file, 'train.deliver_to=["ben"]')
    assert outcome.delivered == (file.parent / "identities/ben/train.safetensors",)
    assert outcome.delivered[0].read_bytes() == outcome.path.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_train_what_one_trains_in_two_batches(file: Path) -> None:
    alone, _ = trained(file, "train.out=alone", "train.accumulate=2", "train.learning_rate=1e-4")
    words = ["train", str(file), "--device", "cpu", "--threads", "1", "--set", "train.learning_rate=1e-4"]
    launch = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launch, "-m", "vfxswap.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=threads)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("training: faces") == 1
    assert done.stdout.count("PSNR in the matte") == 1
    together = load_trained(file.parent / "run" / "train.safetensors")
    assert together.card.iterations == 6
    ours, theirs = together.model.state_dict(), load_trained(alone.path).model.state_dict()
    before = load_trained(trained(file, "train.out=begun", "train.iterations=1", "train.learning_rate=1e-12")[0].path)
    moved = sum(float((theirs[name] - value).abs().sum()) for name, value in before.model.state_dict().items())
    apart = sum(float((theirs[name] - value).abs().sum()) for name, value in ours.items())
    assert apart < 0.02 * moved
