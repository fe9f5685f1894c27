"""The base's training file: who is taught by whom."""

from __future__ import annotations

from pathlib import Path

import tomli

from vfxswap.training import base
from vfxswap.training.tables import Person, Train


def test_everybodys_pairs_show_their_own_face_on_the_one_before() -> None:
    data = tomli.loads(base._training_file(["p0", "p1", "p2", "p3"], ["p0", "p1"]))
    assert list(data["identities"]) == ["p0", "p1", "p2", "p3"]
    assert data["identities"]["p0"]["faces"] == ["plain/p0/faces", "paired/p0/faces"]
    assert data["identities"]["p3"]["faces"] == ["plain/p3/faces"]
    pairs = {name: [pair["truth"] for pair in table.get("pairs", ())] for name, table in data["identities"].items()}
    assert pairs == {"p0": [], "p1": ["paired/p0/truth"], "p2": ["paired/p1/truth"], "p3": []}


def test_its_settings_are_settings() -> None:
    assert set(base.SETTINGS) <= set(Train.model_fields)
    assert {"faces", "pairs", "path"} == set(Person.model_fields)
    assert Train.model_validate({**base.SETTINGS, "out": Path("run")}).shared
