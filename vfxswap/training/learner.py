"""The network while it learns: its weights, their running average, its optimiser; one step at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from vfxswap.errors import OutOfMemory, VfxswapError
from vfxswap.nets.comb import Comb, Decoded
from vfxswap.training.adversary import Adversary
from vfxswap.training.augment import Batch
from vfxswap.training.chance import drawn_from
from vfxswap.training.lanes import Lanes
from vfxswap.training.losses import consistency_loss, perceptual_loss, picture_losses, placing_loss
from vfxswap.training.memory import recalled, remembered, under
from vfxswap.training.schedule import Growth
from vfxswap.training.settings import Settings

_BETAS = (0.9, 0.99)
_STILL_RATE = 0.5
"""Part of the rate at which stills are learnt: they are good pictures to begin with."""


class Diverged(VfxswapError):
    """Training went wrong: a loss or gradient is no number, or losses jumped and stayed high."""


class Learner:
    """A comb that learns.

    Args:
        comb: Where it starts from.
        settings: How it learns.
        lanes: With which other processes.
        primed: Whether the comb comes from a base, whose encoder is to be treated with care.
    """

    def __init__(self, comb: Comb, settings: Settings, lanes: Lanes, *, primed: bool) -> None:
        self.settings, self.lanes, self.primed = settings, lanes, primed
        self.adversary: Adversary | None = None
        if settings.adversarial.power:
            with drawn_from(settings.train.seed):
                self.adversary = Adversary(settings.adversarial, people=len(settings.people), lanes=lanes)
        self._take(comb, copy.deepcopy(comb))

    def _take(self, comb: Comb, average: Comb) -> None:
        place = self.lanes.device
        self.comb = comb.to(place, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average: Comb = average.to(place, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.average.requires_grad_(requires_grad=False)
        rate = self.settings.train.learning_rate
        encoder_rate = rate * (self.settings.train.encoder_rate if self.primed else 1.0)
        groups = [
            {"params": list(self.comb.encoder.parameters()), "lr": encoder_rate, "full": encoder_rate},
            {"params": [*self.comb.trunks.parameters(), self.comb.styles], "lr": rate, "full": rate},
        ]
        if not self.comb.spec.shared and self.comb.spec.stills:
            own = rate * _STILL_RATE
            groups.append({"params": [self.comb.stills], "lr": own, "full": own})
        self.optimizer = torch.optim.Adam(groups, betas=_BETAS, fused=place.type != "mps")
        if self.settings.train.compile and self.comb.spec.fade == 1:
            self.comb.encoder.compile()
            for trunk in self.comb.trunks:
                trunk.compile()

    @property
    def size_px(self) -> int:
        """Side of the pictures it learns now."""
        size: int = self.comb.spec.size_px
        return size

    def resize(self, growth: Growth) -> None:
        """Grows, fades a level in, or settles, as the moment asks; the optimiser keeps what it knows of each weight."""
        while self.size_px < growth.size_px:
            widths = self.settings.spec.widths
            self._replace(partial(Comb.grown, width=widths[len(self.comb.spec.widths)]))
        for comb in (self.comb, self.average):
            comb.faded(growth.fade)
        if self.comb.settled() is not self.comb:
            self._replace(Comb.settled)

    def _replace(self, change: Callable[[Comb], Comb]) -> None:
        known = {name: self.optimizer.state.get(weight, {}) for name, weight in self.comb.named_parameters()}
        # New weights are drawn alike for both, on all devices, resumed or not.
        with drawn_from(self.settings.train.seed):
            comb = change(self.comb)
        with drawn_from(self.settings.train.seed):
            average = change(self.average)
        self._take(comb, average)
        for name, weight in self.comb.named_parameters():
            if known.get(name):
                self.optimizer.state[weight] = known[name]

    def learn(
        self, batches: Sequence[Batch], *, step: int, progress: float, rate: float, averaging: float
    ) -> dict[str, float]:
        """One step.

        Args:
            batches: Their gradients are added up.
            step: Its number, from 0.
            progress: Part of the budget that is used up.
            rate: Factor on the learning rates.
            averaging: How slowly the averaged weights follow.

        Returns:
            The parts of the loss, their sum as `loss`, and the gradient's norm as `slope`.

        Raises:
            Diverged: A loss or gradient is no number; the weights are as before.
            OutOfMemory: The device has too little memory; says what would fit.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["full"] * rate
        self.optimizer.zero_grad(set_to_none=True)
        told: dict[str, float] = {}
        for batch in batches:
            parts = self._slopes_if_they_fit(batch, len(batches), step, progress)
            if parts is None:
                raise self._too_large(batch, step, progress)
            for name, value in parts.items():
                told[name] = told.get(name, 0.0) + value / len(batches)
        self.lanes.average(self.comb.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.comb.parameters(), self.settings.train.clip)
        told["slope"] = float(norm)
        if self.lanes.agreed(not all(map(_is_number, told.values()))):
            raise Diverged(f"step {step + 1}: " + ", ".join(f"{name} {value:g}" for name, value in told.items()))
        self.optimizer.step()
        with torch.no_grad():
            ours: list[Tensor] = list(self.average.parameters())
            theirs: list[Tensor] = list(self.comb.parameters())
            torch._foreach_lerp_(ours, theirs, 1 - averaging)
        return told

    def _slopes_if_they_fit(self, batch: Batch, share: int, step: int, progress: float) -> dict[str, float] | None:
        """None where memory is too small; what filled it is let go of with the error, so that less may fit."""
        try:
            return self._slopes(batch, share, step, progress)
        except torch.OutOfMemoryError:
            return None

    def _slopes(self, batch: Batch, share: int, step: int, progress: float) -> dict[str, float]:
        made, code = self._made(batch)
        parts = picture_losses(made, batch, self.settings.loss)
        if made.points.shape[1] and self.settings.loss.placing:
            off = placing_loss(made.points.float(), batch.points, self.settings.loss.eyes_mouth)
            parts["placing"] = self.settings.loss.placing * off
        if made.points.shape[1] and self.settings.loss.crossing and bool(batch.crossed.isfinite().any()):
            placed = self.comb.place_each(code, batch.others).float()
            off = placing_loss(placed, batch.crossed, self.settings.loss.eyes_mouth)
            parts["crossing"] = self.settings.loss.crossing * off
        if self.settings.loss.perceptual:
            parts["perceptual"] = self.settings.loss.perceptual * self._difference_seen(made, batch)
        if self.settings.loss.consistency:
            parts["consistency"] = self.settings.loss.consistency * self._cycle(code, batch)
        if self.adversary is not None and self.adversary.begun(progress):
            parts["fooled"] = self.adversary.power(progress) * self.adversary.opinion(made, batch)
        loss = torch.stack(list(parts.values())).sum()
        torch.autograd.backward(loss / share)
        told = {name: float(value.detach()) for name, value in parts.items()}
        if self.adversary is not None and self.adversary.begun(progress):
            told["discriminator"] = float(self.adversary.learn(made, batch, step))
        return {**told, "loss": float(loss.detach())}

    def _made(self, batch: Batch) -> tuple[Decoded, Tensor]:
        with self._cast():
            code = self.comb.encode(batch.inputs.contiguous(memory_format=torch.channels_last))
            return self.comb.decode_each(code, batch.who), code

    def _difference_seen(self, made: Decoded, batch: Batch) -> Tensor:
        """Inside the mattes, by the averaged encoder, which stands still in a step and needs nobody's weights."""
        encoder, fade = self.average.encoder, self.average.spec.fade
        worn = torch.lerp(batch.targets, made.image.float(), batch.mattes)
        with self._cast():
            ours = encoder.levels(worn.contiguous(memory_format=torch.channels_last), fade)
            with torch.no_grad():
                theirs = encoder.levels(batch.targets.contiguous(memory_format=torch.channels_last), fade)
        return perceptual_loss(ours, theirs)

    def _cycle(self, code: Tensor, batch: Batch) -> Tensor:
        """Everybody as the next person, encoded again."""
        others = [(number + 1) % len(self.settings.people) for number in batch.who]
        with self._cast():
            swapped = self.comb.decode_each(code, others)
            again = self.comb.encode(swapped.image.clamp(0, 1))
        return consistency_loss(code.detach().float(), again.float())

    def _cast(self) -> torch.autocast:
        wanted, kind = self.settings.train.precision, self.lanes.device.type
        low = wanted == "bfloat16" or (wanted == "auto" and kind == "cuda")
        return torch.autocast(kind, torch.bfloat16, enabled=low)

    def _too_large(self, batch: Batch, step: int, progress: float) -> OutOfMemory:
        """Tries smaller batches until one fits, and says so."""
        count, size = len(batch.inputs), self.size_px
        fitting = count // 2
        while fitting:
            self.optimizer.zero_grad(set_to_none=True)
            if self.lanes.device.type == "cuda":
                torch.cuda.empty_cache()
            if self._slopes_if_they_fit(batch.first(fitting), 1, step, progress) is None:
                fitting //= 2
            else:
                more = -(-count // fitting) * self.settings.train.accumulate
                advice = f"batch = {fitting} fits, and with accumulate = {more} it is the same step"
                break
        else:
            advice = f"not even one face of {size} px fits: choose a smaller size or narrower widths"
        self.optimizer.zero_grad(set_to_none=True)
        return OutOfMemory(f"the device has too little memory for batch = {count} at {size} px; {advice}")

    def tensors(self) -> dict[str, Tensor]:
        """All that it must remember, by name."""
        found = {f"model.{name}": value for name, value in self.comb.state_dict().items()}
        found |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        found |= remembered("adam", self.comb, self.optimizer)
        if self.adversary is not None:
            found |= self.adversary.tensors()
        return found

    def restore(self, comb: Comb, tensors: Mapping[str, Tensor]) -> None:
        """Becomes what it was.

        Args:
            comb: Of the spec that it had.
            tensors: What `tensors` gave.
        """
        average = copy.deepcopy(comb)
        comb.load_state_dict(under(tensors, "model."))
        average.load_state_dict(under(tensors, "average."))
        self._take(comb, average)
        recalled("adam", self.comb, self.optimizer, tensors)
        if self.adversary is not None:
            self.adversary.restore(tensors)


def _is_number(value: float) -> bool:
    return value - value == 0
