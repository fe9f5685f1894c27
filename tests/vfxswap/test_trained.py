"""Trained files: weights and card in one, read strictly, never a pickle."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vfxswap.errors import MediaError, UsageError
from vfxswap.identity import Consent
from vfxswap.nets.comb import ARCHITECTURE, Comb
from vfxswap.nets.spec import CombSpec
from vfxswap.trained import METADATA, TrainedCard, TrainedIdentity, load_trained, read_card, save_trained

SPEC = CombSpec(32, ("ada", "ben"), widths=(8, 4), code=8, style=4)
CONSENT = Consent(
    performer="Nobody",
    grantor="Nobody",
    productions=("lab",),
    purposes=("test",),
    **{"from": date(2020, 1, 1), "until": date(2099, 1, 1)},
    scope="A test.",
)


def card(**changes: Any) -> TrainedCard:
    """A card for `SPEC`."""
    people = {name: TrainedIdentity(title=name.title(), consent=CONSENT) for name in SPEC.identities}
    given = {"architecture": ARCHITECTURE, "spec": SPEC.to_dict(), "template": "dfl68_whole", "identities": people}
    return TrainedCard(**{**given, **changes})


@pytest.fixture
def model() -> Comb:
    torch.manual_seed(1)
    return Comb(SPEC)


def test_what_is_saved_is_what_is_loaded(model: Comb, tmp_path: Path) -> None:
    save_trained(tmp_path / "m.safetensors", model, card(iterations=7))
    loaded = load_trained(tmp_path / "m.safetensors")
    assert loaded.card == card(iterations=7)
    assert loaded.card.crop.size_px == 32
    assert loaded.card.identities["ada"].consent == CONSENT
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.model(picture, "ben").image, model.eval()(picture, "ben").image)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_half_the_bits_are_nearly_the_same(model: Comb, tmp_path: Path) -> None:
    save_trained(tmp_path / "whole.safetensors", model, card())
    save_trained(tmp_path / "half.safetensors", model, card(), half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * (tmp_path / "whole.safetensors").stat().st_size
    loaded = load_trained(tmp_path / "half.safetensors").model
    assert loaded.styles.dtype == torch.float32
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(loaded(picture, "ada").image, model(picture, "ada").image, atol=0.02)


def test_a_card_is_read_without_torch(model: Comb, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_trained(path, model, card())
    code = (
        "import sys; from pathlib import Path; from vfxswap.trained import read_card;"
        f"print(read_card(Path({str(path)!r})).identities['ada'].title, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Ada", "False"]


def test_a_card_must_describe_its_model(model: Comb, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="describes another model"):
        save_trained(tmp_path / "m.safetensors", model, card(spec={**SPEC.to_dict(), "code": 9}))
    with torch.no_grad():
        model.styles[0, 0] = torch.nan
    with pytest.raises(UsageError, match=r"spoilt.*styles"):
        save_trained(tmp_path / "m.safetensors", model, card())
    assert list(tmp_path.iterdir()) == []


def test_a_full_or_missing_disk_is_said(model: Comb, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot write"):
        save_trained(tmp_path / "none" / "m.safetensors", model, card())


def rewritten(path: Path, **changes: Any) -> None:
    """Writes the file's tensors again under a changed card."""
    data = json.loads(read_card(path).model_dump_json(by_alias=True))
    save_file(load_file(path), path, {METADATA: json.dumps({**data, **changes})})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version"),
        ({"format": "other"}, "format"),
        ({"mood": "good"}, "mood"),
        ({"iterations": -1}, "iterations"),
        ({"architecture": "comb-9"}, "architecture 'comb-9' .*; this reads 'comb-2'"),
        ({"spec": {**SPEC.to_dict(), "code": 9}}, "not those of its card"),
        ({"spec": {**SPEC.to_dict(), "identities": ["ada"]}}, "not those of its card"),
        ({"spec": {}}, "wrong or missing"),
    ],
)
def test_wrong_cards_are_refused(model: Comb, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "m.safetensors"
    save_trained(path, model, card())
    rewritten(path, **change)
    with pytest.raises(UsageError, match=message):
        load_trained(path)


def test_files_that_are_no_trained_files_are_refused(model: Comb, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(UsageError, match="there is no trained file"):
        read_card(path)
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(UsageError, match="no safetensors file"):
        read_card(path)
    save_file(model.state_dict(), path)
    with pytest.raises(UsageError, match="without a card"):
        read_card(path)
    state = {**model.state_dict(), "styles": torch.full((2, 4), torch.inf)}
    save_file(state, path, {METADATA: card().model_dump_json(by_alias=True)})
    with pytest.raises(UsageError, match="not those of its card: see styles"):
        load_trained(path)
