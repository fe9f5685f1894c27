"""Expressions: shapes that are blended onto the neutral face, and the jaw's hinge."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vfxswap.lab.maths import bell, hill, rotation, smoothstep
from vfxswap.lab.template import EYE, MOUTH_HALF, MOUTH_Y, Template

JAW_HINGE = (0.0, -1.8, 0.6)
JAW_DEGREES = 19.0
"""How far the jaw turns when it is fully open."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A face at one instant; 0 is neutral and 1 is strong, unless said otherwise."""

    jaw: float = 0.0
    """Opening of the jaw."""
    smile: float = 0.0
    pucker: float = 0.0
    """Lips forward and narrow, as in "oo"."""
    lip_raise: float = 0.0
    """Upper lip raised."""
    brow: float = 0.0
    """Brows raised; negative draws them down and together."""
    squint: float = 0.0
    blink_left: float = 0.0
    """Eye on the image's left, facing the camera; 1 is shut."""
    blink_right: float = 0.0
    gaze_x: float = 0.0
    """Degrees to the image's right, in the head's own frame."""
    gaze_y: float = 0.0
    """Degrees upwards."""


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """What an expression moves; the same displacements for every performer, by address."""

    smile: Tensor
    """`(V, 3)` cm at full strength, as the others."""
    pucker: Tensor
    lip_raise: Tensor
    brow: Tensor
    frown: Tensor
    squint: Tensor
    jaw: Tensor
    """`(V, 1)` share of the jaw's turn."""

    @classmethod
    def of(cls, grid: Template) -> Shapes:
        """The shapes of a grid."""
        x, y, z = grid.address.unbind(1)
        side, sign, front = x.abs(), x.sign(), grid.front
        lips = hill(side, y, (0.0, MOUTH_Y), (2.3, 1.3)) * front
        upper = smoothstep(y, MOUTH_Y - 0.1, MOUTH_Y + 0.1)
        return cls(
            smile=_smile(side, y, sign, front, lips * upper),
            pucker=_vectors(-x * 0.30 * hill(side, y, (0.0, MOUTH_Y), (3.2, 1.6)) * front, 0 * x, 0.55 * lips),
            lip_raise=_vectors(0 * x, 0.42 * lips * upper, 0.10 * lips * upper),
            brow=_brow(side, y, front),
            frown=_frown(side, y, sign, front),
            squint=_squint(side, y, front),
            jaw=_jaw_weight(side, y, z)[:, None],
        )

    def applied(self, neutral: Tensor, expression: Expression) -> Tensor:
        """Positions `(V, 3)` of a neutral face with an expression."""
        frown = max(-expression.brow, 0.0)
        posed = neutral + expression.smile * self.smile + expression.pucker * self.pucker
        posed = posed + expression.lip_raise * self.lip_raise + expression.squint * self.squint
        posed = posed + max(expression.brow, 0.0) * self.brow + frown * self.frown
        return posed + self.jaw * (jaw_turned(posed, expression.jaw) - posed)


def jaw_turned(points: Tensor, opening: float) -> Tensor:
    """Points `(..., 3)` that move with the jaw: a turn about the hinge and a slight slide back."""
    hinge = torch.tensor(JAW_HINGE, device=points.device)
    turn = rotation(0.0, JAW_DEGREES * opening, 0.0).to(points.device)
    slide = torch.tensor([0.0, 0.0, 0.25 * opening], device=points.device)
    return (points - hinge) @ turn.T + hinge - slide


def _vectors(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return torch.stack([x, y, z], 1)


def _smile(side: Tensor, y: Tensor, sign: Tensor, front: Tensor, upper_lip: Tensor) -> Tensor:
    corner = hill(side, y, (2.7, MOUTH_Y), (1.6, 1.3)) * front
    cheek = hill(side, y, (3.7, -3.7), (1.6, 1.4)) * front
    fold = bell(side, 2.05 + 0.36 * (-4.3 - y), 0.35) * hill(side, y, (2.8, -5.8), (1.6, 1.6)) * front
    out = 0.50 * corner - 0.10 * cheek
    up = 0.50 * corner + 0.28 * cheek + 0.08 * upper_lip
    return _vectors(sign * out, up, 0.40 * cheek - 0.28 * corner - 0.16 * upper_lip - 0.22 * fold)


def _brow(side: Tensor, y: Tensor, front: Tensor) -> Tensor:
    lift = hill(side, y, (2.9, 2.6), (2.6, 1.2)) * front
    return _vectors(0 * side, 0.60 * lift, 0.05 * lift)


def _frown(side: Tensor, y: Tensor, sign: Tensor, front: Tensor) -> Tensor:
    inner = hill(side, y, (1.6, 2.0), (1.5, 0.9)) * front
    crease = hill(side, y, (0.5, 1.8), (0.18, 0.8)) * front
    return _vectors(-sign * 0.22 * inner, -0.34 * inner, 0.12 * inner - 0.12 * crease)


def _squint(side: Tensor, y: Tensor, front: Tensor) -> Tensor:
    cheek = hill(side, y, (EYE[0] + 0.3, -1.7), (1.6, 0.9)) * front
    return _vectors(0 * side, 0.22 * cheek, 0.16 * cheek)


def _jaw_weight(side: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """1 below the lips' line and 0 above; the step widens beyond the corners of the mouth."""
    width = 0.11 + 2.4 * smoothstep(side, MOUTH_HALF - 0.15, MOUTH_HALF + 1.3)
    return smoothstep(y, MOUTH_Y + width, MOUTH_Y - width) * smoothstep(z, -1.5, 3.0)
