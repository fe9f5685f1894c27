"""Previews: held-out faces as they are, as their own decoder makes them, and as everybody else's does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from kornia.metrics import ssim
from torch import Tensor
from torch.nn import functional

from vfxswap.faceset.pictures import write_png
from vfxswap.files import make_folder
from vfxswap.nets.comb import Comb

_FACES = 4
MOST_PEOPLE = 6
"""Shown in a preview."""
_CHUNK = 32
_LEAST_ERROR = 1e-10


@dataclass(frozen=True, slots=True)
class Score:
    """How like the held-out faces an identity's decoder makes them."""

    psnr_matte_db: float
    """Of the squared error over all faces, weighted by their mattes."""
    psnr_db: float
    """Of the whole crop."""
    ssim: float
    """Mean structural similarity inside the mattes, 0..1."""
    faces: int


@torch.no_grad()
def scored(comb: Comb, faces: Tensor, number: int) -> Score | None:
    """Self-reconstruction of faces `(N, 5, S, S)` uint8 by a decoder; None if there are none."""
    if not len(faces):
        return None
    error, weight, whole, likeness = 0.0, 0.0, 0.0, 0.0
    device = comb.styles.device
    for part in torch.split(faces, _CHUNK):
        planes = part.to(device).float() / 255
        image, matte = planes[:, :3], planes[:, 3:4]
        made = comb.decode_each(comb.encode(image), [number] * len(part)).image.clamp(0, 1)
        squared = (made - image).square()
        error += float((squared * matte).sum()) / 3
        whole += float(squared.mean((1, 2, 3)).sum())
        weight += float(matte.sum())
        likeness += float((ssim(made, image, 7).mean(1, keepdim=True) * matte).sum())
    return Score(
        psnr_matte_db=_psnr(error / max(weight, 1e-6)),
        psnr_db=_psnr(whole / len(faces)),
        ssim=likeness / max(weight, 1e-6),
        faces=len(faces),
    )


def _psnr(error: float) -> float:
    return float(-10 * torch.log10(torch.tensor(max(error, _LEAST_ERROR))))


@torch.no_grad()
def grid(comb: Comb, faces: Sequence[Tensor]) -> Tensor:
    """`(3, H, W)`: for each person some columns of a face, the decoder's own, its matte, and the other decoders'.

    Args:
        comb: The network.
        faces: For each person `(N, 5, S, S)` uint8.
    """
    device = comb.styles.device
    people = [number for number, own in enumerate(faces) if len(own)][:MOST_PEOPLE]
    rows = []
    for number in people:
        planes = faces[number][:_FACES].to(device).float() / 255
        code = comb.encode(planes[:, :3])
        own = comb.decode_each(code, [number] * len(planes))
        others = [comb.decode_each(code, [other] * len(planes)).image for other in people if other != number]
        columns = [planes[:, :3], own.image, own.matte.expand(-1, 3, -1, -1), *others]
        strips = [torch.cat([column[k] for column in columns], 2) for k in range(len(planes))]
        rows.append(torch.cat(strips, 2) if len(people) == 1 else torch.cat(strips, 1))
    widest = max(row.shape[2] for row in rows)
    return torch.cat([functional.pad(row, (0, widest - row.shape[2])) for row in rows], 1).clamp(0, 1).cpu()


def write_preview(folder: Path, picture: Tensor, step: int) -> Path:
    """Writes a preview under its step's number, and as `preview.png`.

    Raises:
        MediaError: It cannot be written.
    """
    path = folder / "previews" / f"step_{step:07d}.png"
    make_folder(path.parent)
    write_png(path, picture, bits=8)
    write_png(folder / "preview.png", picture, bits=8)
    return path
