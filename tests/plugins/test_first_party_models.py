"""The cards of the models that the first-party stages load."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfxswap.models import ModelStore, read_cards


def test_the_first_party_cards_are_right(repo: Path) -> None:
    cards = read_cards(repo / "plugins" / "vfxswap_plugins" / "models.toml")
    assert {"yunet", "facemesh", "iris"} <= cards.keys()
    assert not cards["yunet"].commercial, "WIDER FACE is for research"
    assert all(card.url.startswith("https://") for card in cards.values())


@pytest.mark.footage
def test_the_first_party_pins_are_those_of_the_real_files(repo: Path, shared_models: Path) -> None:
    cards = read_cards(repo / "plugins" / "vfxswap_plugins" / "models.toml")
    store = ModelStore([shared_models], cards)
    for name in cards:
        assert store.path(name).stat().st_size == cards[name].size
