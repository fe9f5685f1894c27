"""Combs as the graphs that other programs compute."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vfxswap.nets.comb import Comb, Decoded

Form = Literal["onnx", "dfm"]


class Layout(NamedTuple):
    """What a graph's inputs and outputs are called."""

    face: str
    morph: str
    outputs: tuple[str, str, str]


LAYOUTS: Mapping[Form, Layout] = {
    "onnx": Layout("face", "morph", ("target_matte", "swapped", "matte")),
    "dfm": Layout("in_face:0", "morph_value:0", ("out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0")),
}
"""ONNX: `(N, 3, S, S)` R'G'B'; DFM: `(N, S, S, 3)` B'G'R'; both 0..1, masks with one channel, any N."""


class Graph(nn.Module):
    """A comb as another program wants it: clipped, and channels where and in what order it has them.

    Args:
        comb: The model.
        form: For whom.
        identity: Whose face is put in.
        plate: Whose decoder gives the mask of the face that is there.
        morph_from: Makes it morph, from this person (0) to `identity` (1).
    """

    def __init__(self, comb: Comb, form: Form, *, identity: str, plate: str, morph_from: str | None = None) -> None:
        super().__init__()
        self.comb, self.form = comb, form
        self._identity, self._plate = identity, plate
        self.between = None if morph_from is None else _Between(comb, morph_from, identity)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it takes."""
        layout = LAYOUTS[self.form]
        return (layout.face,) if self.between is None else (layout.face, layout.morph)

    def samples(self, count: int, *, morph: float = 0.37) -> tuple[Tensor, ...]:
        """Something to compute: soft coloured pictures, and a morph value if it takes one; always the same."""
        size = self.comb.spec.size_px * self.comb.spec.detail
        coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))
        pictures = functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
        if self.form == "dfm":
            pictures = pictures.permute(0, 2, 3, 1).contiguous()
        return (pictures,) if self.between is None else (pictures, torch.tensor([morph]))

    def forward(self, faces: Tensor, morph: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The mask of the face that is there, the new face, and its mask."""
        pictures = faces.permute(0, 3, 1, 2)[:, [2, 1, 0]] if self.form == "dfm" else faces
        code = self.comb.encode(pictures.clamp(0, 1))
        if self.between is None or morph is None:
            image, matte, _ = self.comb.decode(code, self._identity, fine=True)
        else:
            image, matte, _ = self.between(code, morph)
        there, image = self.comb.decode(code, self._plate, fine=True).matte, image.clamp(0, 1)
        if self.form == "dfm":
            return there.permute(0, 2, 3, 1), image[:, [2, 1, 0]].permute(0, 2, 3, 1), matte.permute(0, 2, 3, 1)
        return there, image, matte


class _Between(nn.Module):
    """`Comb.morphed` in a form that a trace can follow: a trunk whose weights are mixed as it computes."""

    def __init__(self, comb: Comb, identity_a: str, identity_b: str) -> None:
        super().__init__()
        first, second = comb.number(identity_a), comb.number(identity_b)
        places = (0, 0) if comb.spec.shared else (first, second)
        self._ends = [dict(comb.trunks[place].named_parameters()) for place in places]
        self._guises, self._fade = (comb.guise(first), comb.guise(second)), comb.spec.fade
        self._detail = comb.spec.detail
        self.shell = copy.deepcopy(comb.trunks[places[0]])
        self._slots = [(self.shell.get_submodule(name.rpartition(".")[0]), name) for name in self._ends[0]]
        for module, name in self._slots:
            delattr(module, name.rpartition(".")[2])

    def forward(self, code: Tensor, amount: Tensor) -> Decoded:
        """Codes as a face between two people's."""
        for module, name in self._slots:
            mixed = _lerp(self._ends[0][name], self._ends[1][name], amount)
            setattr(module, name.rpartition(".")[2], mixed)
        first, second = self._guises
        guise = first.towards(second, amount)
        return cast("Decoded", self.shell(code, guise.of(code.shape[0]), self._fade, self._detail))


def _lerp(one: Tensor, other: Tensor, amount: Tensor) -> Tensor:
    return one + (other - one) * amount.to(one.dtype)


class _Half(nn.Module):
    """A convolution or a linear map in 16 bits, between values of 32."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner.half()

    def forward(self, values: Tensor) -> Tensor:
        """As the inner one."""
        return cast("Tensor", self.inner(values.half()).float())


def halved(comb: Comb) -> Comb:
    """A copy with its weights in 16 bits; norms and rectifiers stay at 32, where squares could overflow."""
    comb = copy.deepcopy(comb)
    for name, module in list(comb.named_modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            parent, _, key = name.rpartition(".")
            setattr(comb.get_submodule(parent), key, _Half(module))
    return comb
