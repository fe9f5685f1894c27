"""The adversarial pair: a discriminator of patches that is trained beside the network.

Hinge losses (Lim and Ye, Geometric GAN, 2017), a gradient penalty on real pictures (R1: Mescheder et al., ICML 2018),
taken every so many steps (Karras et al., StyleGAN2, CVPR 2020). It begins when the pictures are nearly right, its
weight rises slowly, and it sees nothing outside the matte.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from vfxswap.nets.comb import Decoded
from vfxswap.nets.patch import PatchDiscriminator
from vfxswap.training.augment import Batch
from vfxswap.training.lanes import Lanes
from vfxswap.training.memory import recalled, remembered, under
from vfxswap.training.tables import Adversarial

_PENALTY_EVERY = 8


class Adversary:
    """The discriminator, its optimiser and its schedule.

    Args:
        options: How strong, from when on.
        people: How many decoders there are.
        lanes: With which other processes.
    """

    def __init__(self, options: Adversarial, *, people: int, lanes: Lanes) -> None:
        self.options, self._lanes = options, lanes
        self.net = PatchDiscriminator(people, levels=options.levels, width=options.width).to(lanes.device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=options.learning_rate, betas=(0.0, 0.99))

    def power(self, progress: float) -> float:
        """Its weight at a part of the budget, 0..1."""
        rise = (progress - self.options.start) / self.options.ramp
        return self.options.power * min(max(rise, 0.0), 1.0)

    def begun(self, progress: float) -> bool:
        """Whether it learns yet; it does before it counts."""
        return self.options.power > 0 and progress >= self.options.start

    def opinion(self, made: Decoded, batch: Batch) -> Tensor:
        """What the network is told: how little it is taken for real."""
        return -self._verdict(made.image.float(), batch).mean()

    def learn(self, made: Decoded, batch: Batch, step: int) -> Tensor:
        """One step of the discriminator's own; gives its loss."""
        real = batch.targets.detach().clone()
        penalised = step % _PENALTY_EVERY == 0 and self.options.r1 > 0
        real.requires_grad_(penalised)
        verdict = self._verdict(real, batch)
        loss = functional.relu(1 - verdict).mean()
        loss = loss + functional.relu(1 + self._verdict(made.image.detach().float(), batch)).mean()
        told = loss.detach()
        if penalised:
            (slope,) = torch.autograd.grad(verdict.sum(), real, create_graph=True)
            loss = loss + _PENALTY_EVERY * self.options.r1 / 2 * slope.square().sum((1, 2, 3)).mean()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._lanes.average(self.net.parameters())
        self.optimizer.step()
        return told

    def _verdict(self, images: Tensor, batch: Batch) -> Tensor:
        mattes = batch.mattes
        who = torch.tensor(batch.who, device=images.device)
        verdict: Tensor = self.net((images.clamp(-0.5, 1.5) - 0.5) * mattes + 0.5, mattes, who)
        return verdict

    def tensors(self) -> dict[str, Tensor]:
        """All that it must remember, by name."""
        found = {f"discriminator.{name}": value for name, value in self.net.state_dict().items()}
        return found | remembered("discriminator_adam", self.net, self.optimizer)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Becomes what it was."""
        self.net.load_state_dict(under(tensors, "discriminator."))
        recalled("discriminator_adam", self.net, self.optimizer, tensors)
