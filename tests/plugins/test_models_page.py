"""The page of others' models: its examples are valid, and it knows all cards."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomli

from vfxswap.host import Host
from vfxswap.models import ModelStore
from vfxswap_plugins.swappers.dfm_file import DfmSidecar
from vfxswap_plugins.swappers.one_shot_files import all_cards
from vfxswap_plugins.swappers.swap_cards import Cards

HOST = Host(environ={})


@pytest.fixture
def page(repo: Path) -> str:
    return (repo / "docs/models.md").read_text()


def blocks(page: str) -> list[dict[str, Any]]:
    """The examples, parsed; what is left out of a sha256 is filled in."""
    texts = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    return [tomli.loads(text.replace('sha256 = "..."', f'sha256 = "{"0" * 64}"')) for text in texts]


def test_the_stages_and_their_options_are_there(page: str) -> None:
    tables = [dict(table) for block in blocks(page) for table in block.get("stages", [])]
    assert {"dfm", "one-shot", "xseg", "parser"} <= {table["use"] for table in tables}
    for table in tables:
        options = HOST.stage_class(table.pop("use")).Options
        assert set(table) <= set(options.model_fields)


def test_the_sidecar_is_valid_and_whole(page: str) -> None:
    (sidecar,) = (block for block in blocks(page) if "face_type" in block)
    assert set(sidecar) == set(DfmSidecar.model_fields)
    DfmSidecar.model_validate_json(json.dumps(sidecar))


def test_the_cards_are_valid(page: str) -> None:
    (cards,) = (block for block in blocks(page) if "swappers" in block)
    Cards.model_validate_json(json.dumps(cards))


def test_every_card_that_comes_along_is_named(page: str) -> None:
    cards = all_cards(ModelStore([], {}), None)
    named = set(re.findall(r"`(\w+)`", page)) | {"ghost_2_256", "hyperswap_1b_256"}  # between two that are named
    assert set(cards.swappers) <= named
    assert set(cards.recognisers) <= named
    assert all(name.startswith("crossface_") for name in cards.converters)
    pinned = {card.file for table in (cards.swappers, cards.recognisers) for card in table.values() if card.sha256}
    assert all(f"`{file}`" in page for file in pinned)
