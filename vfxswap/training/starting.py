"""Where a training starts from: noise, a base that many performers taught, or another trained file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vfxswap.errors import UsageError
from vfxswap.nets.comb import Comb, Guise
from vfxswap.nets.spec import CombSpec
from vfxswap.trained import load_trained
from vfxswap.training.chance import drawn_from
from vfxswap.training.stills import Stills


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A network to train on."""

    comb: Comb
    primed: bool
    """Whether it knows faces already."""
    base: str = ""
    """sha256 of the file that it comes from."""


def started(spec: CombSpec, init: Path | None, faces: Sequence[Tensor], stills: Stills, *, seed: int) -> Start:
    """Makes the network that training begins with.

    From a base, each person gets a copy of its trunk, and the style of that performer of the base whose decoder makes
    the likest picture of the person's faces, or the performers' mean if that does better.

    Args:
        spec: What is wanted.
        init: A trained file; None is noise.
        faces: Some faces of each person, `(N, 5, S, S)` uint8 of the spec's size.
        stills: Of all people, as `Comb.dress` takes them.
        seed: Of what is drawn.

    Raises:
        UsageError: The file does not fit; says what differs.
    """
    with drawn_from(seed):
        if init is not None:
            return _from_file(spec, init, faces, stills)
        comb = Comb(spec)
        comb.dress(*stills)
        return Start(comb, primed=False)


def _from_file(spec: CombSpec, init: Path, faces: Sequence[Tensor], stills: Stills) -> Start:
    loaded = load_trained(init).model
    have = loaded.spec
    for word in ("size_px", "widths", "code", "style", "stills", "points"):
        if getattr(have, word) != getattr(spec, word):
            raise UsageError(
                f"{init.name} has {word} {_said(getattr(have, word))}, and the training begins with"
                f" {_said(getattr(spec, word))}: change the training file ([train] size, start_size, widths, code,"
                ' style, stills) or say init = "none"'
            )
    sha256 = hashlib.sha256(init.read_bytes()).hexdigest()
    loaded.requires_grad_(requires_grad=True)
    if have.identities == spec.identities and have.shared == spec.shared:
        if have.shared:
            loaded.dress(*stills)
        return Start(loaded, primed=True, base=sha256)
    if not have.shared:
        raise UsageError(
            f"{init.name} was trained for {', '.join(have.identities)}, each with a decoder of their own, and cannot"
            f" become {', '.join(spec.identities)}; start from a base, or from noise"
        )
    styles = torch.stack(
        [likest_style(loaded, planes, Stills(*own)) for planes, *own in zip(faces, *stills, strict=True)]
    )
    if not spec.shared:
        return Start(loaded.recast(spec.identities, styles, *stills), primed=True, base=sha256)
    comb = Comb(replace(spec))
    state = {name: value for name, value in loaded.state_dict().items() if name != "styles"}
    comb.load_state_dict({**state, "styles": styles})
    comb.dress(*stills)
    return Start(comb, primed=True, base=sha256)


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@torch.no_grad()
def likest_style(base: Comb, faces: Tensor, stills: Stills) -> Tensor:
    """`(style,)` of a base's performers, or their mean, that makes the likest picture of some faces.

    Args:
        base: A comb whose people share one trunk.
        faces: `(N, 5, S, S)` uint8.
        stills: Of the person whose faces they are.
    """
    planes = faces.float() / 255
    image, matte = planes[:, :3], planes[:, 3:4]
    code = base.encode(image)
    candidates = torch.cat([base.styles.mean(0, keepdim=True), base.styles])
    errors = []
    for style in candidates:
        guise = Guise(style[None], *(part[None] for part in stills)).of(len(code))
        made = base.trunks[0](code, guise, base.spec.fade)
        # Errors of tone alone are forgiven: they are the light's more than the person's.
        error = (made.image - image) * matte
        tone = error.sum((2, 3), keepdim=True) / matte.sum((2, 3), keepdim=True).clamp_min(1e-3)
        errors.append(float(((error - tone * matte) ** 2).mean()))
    return candidates[int(torch.tensor(errors).argmin())].clone()
