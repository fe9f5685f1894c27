"""Trained files for tests: small models with drawn weights, which make no face but compute as trained ones do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vfxswap.alignment import TemplateName
from vfxswap.identity import Consent
from vfxswap.nets.comb import ARCHITECTURE, Comb
from vfxswap.nets.spec import CombSpec
from vfxswap.testing.material import synthetic_identity
from vfxswap.trained import TrainedCard, TrainedIdentity, save_trained


def synthetic_comb(
    size_px: int = 32, *, identities: tuple[str, ...] = ("hero", "double"), stills: int = 2, seed: int = 1
) -> Comb:
    """A small comb with drawn weights, in evaluation mode and without gradients.

    Args:
        size_px: Side of its crops, a multiple of 8.
        identities: Who has a decoder.
        stills: Of each of them.
        seed: Of the weights.
    """
    spec = CombSpec(size_px, identities, widths=(12, 8, 8), code=16, style=8, stills=stills, still_px=size_px)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        comb = Comb(spec)
        for name, weight in comb.named_parameters():
            if ".heads." in name:  # what is fresh shows a nearly flat grey; these show something
                torch.nn.init.normal_(weight, std=0.1)
        coarse = torch.rand(len(identities), 3 * spec.stills, 4, 4)
        pictures = coarse.repeat_interleave(size_px // 4, 2).repeat_interleave(size_px // 4, 3)
        comb.dress(pictures, torch.rand(len(identities), spec.stills, spec.points, 2) - 0.5)
    return comb.eval().requires_grad_(requires_grad=False)


def synthetic_card(
    comb: Comb,
    *,
    consents: Mapping[str, Consent | None] | None = None,
    template: TemplateName = "dfl68_whole",
    **said: Any,
) -> TrainedCard:
    """The card of a comb.

    Args:
        comb: The model.
        consents: The records that its people were trained under; by default that of a drawn face.
        template: The alignment of its crops.
        **said: Other fields of the card.
    """
    drawn = synthetic_identity().consent
    people = {
        name: TrainedIdentity(title=name, consent=(consents or {}).get(name, drawn), licence="CC0-1.0")
        for name in comb.spec.identities
    }
    facts: dict[str, Any] = {
        "architecture": ARCHITECTURE,
        "spec": comb.spec.to_dict(),
        "template": template,
        "identities": people,
        "base": "0" * 64,
        "licence": "CC0-1.0",
        "commercial": True,
        "iterations": 10,
    }
    return TrainedCard(**{**facts, **said})


def write_synthetic_trained(path: Path, comb: Comb | None = None, **card: Any) -> TrainedCard:
    """Writes a trained file.

    Args:
        path: Ends in `.safetensors`.
        comb: The model; by default `synthetic_comb()`.
        **card: What `synthetic_card` takes.
    """
    comb = synthetic_comb() if comb is None else comb
    made = synthetic_card(comb, **card)
    save_trained(path, comb, made)
    return made
