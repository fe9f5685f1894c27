"""Training: it learns, starts from a base, leaves a trained file with its card, and shows how it goes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from vfxswap.errors import PipelineError, UsageError
from vfxswap.trained import load_trained
from vfxswap.training import checkpoint
from vfxswap.training.events import Prepared, Previewed, Started, Stepped, Warned
from vfxswap.training.loop import train
from vfxswap.training.result import Outcome
from vfxswap.training.settings import load

Trained = Callable[..., tuple[Outcome, Any]]
Rows = Callable[[Path], list[dict[str, float]]]
Bits = Callable[[Outcome], dict[str, bytes]]

pytestmark = pytest.mark.usefixtures("without_board")


def test_it_learns_and_leaves_a_trained_file_with_its_card(file: Path, trained: Trained) -> None:
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


def test_a_seed_is_a_training(file: Path, trained: Trained, weights: Bits) -> None:
    first = trained(file, "train.out=one")[0]
    again = trained(file, "train.out=two")[0]
    other = trained(file, "train.out=three", "train.seed=2")[0]
    assert weights(first) == weights(again)
    assert first.card.curve != other.card.curve


def test_what_the_encoder_sees_is_told_and_learnt(file: Path, trained: Trained) -> None:
    quick = "train.iterations=60", "train.learning_rate=0.01", "augment.warp=0", "loss.perceptual=1"
    parts = [event.parts["perceptual"] for event in trained(file, *quick)[1].of(Stepped)]
    assert sum(parts[-10:]) < 0.8 * sum(parts[:10])


def test_without_held_out_faces_there_are_no_previews(file: Path, trained: Trained) -> None:
    outcome, heard = trained(file, "train.held_out=0", "train.preview_every=2")
    assert heard.of(Previewed) == []
    assert outcome.card.scores == {}


def test_previews_and_the_curve_are_written(file: Path, trained: Trained, curve: Rows) -> None:
    _, heard = trained(file)
    previews = heard.of(Previewed)
    assert [event.step for event in previews] == [3, 6]
    assert set(previews[0].scores) == {"ada", "ben"}
    assert previews[0].path.is_file()
    assert (file.parent / "run" / "preview.png").is_file()
    assert [row["step"] for row in curve(file)] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "pixel", "structure", "detail", "matte"} <= set(curve(file)[0])


def test_a_budget_of_time_ends_it(file: Path, heard: Any) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    outcome = train(load(file, overrides=["train.iterations=100000"], minutes=1), tell=heard, clock=clock)
    assert 10 < outcome.card.iterations < 60
    assert heard.of(Stepped)[-1].rate < 0.2


def test_averaged_weights_are_what_is_kept(file: Path, trained: Trained) -> None:
    outcome, _ = trained(file, "train.ema=0.9", "train.learning_rate=0.02")
    tensors = load_file(file.parent / "run" / checkpoint.NAME)
    kept = load_file(outcome.path)
    assert torch.equal(kept["encoder.line.weight"], tensors["average.encoder.line.weight"])
    assert not torch.equal(tensors["model.encoder.line.weight"], tensors["average.encoder.line.weight"])


def test_without_averaging_they_are_the_same(file: Path, trained: Trained) -> None:
    trained(file, "train.ema=0")
    tensors = load_file(file.parent / "run" / checkpoint.NAME)
    assert torch.equal(tensors["model.encoder.line.weight"], tensors["average.encoder.line.weight"])


def test_unreadable_faces_are_said_and_left_out(file: Path, trained: Trained) -> None:
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


def test_it_starts_from_a_base_and_from_nothing_else(file: Path, trained: Trained) -> None:
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


def test_it_is_delivered_to_whom_it_is_said(file: Path, trained: Trained) -> None:
    outcome, _ = trained(file, 'train.deliver_to=["ben"]')
    assert outcome.delivered == (file.parent / "identities/ben/train.safetensors",)
    assert outcome.delivered[0].read_bytes() == outcome.path.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_train_what_one_trains_in_two_batches(file: Path, trained: Trained) -> None:
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
