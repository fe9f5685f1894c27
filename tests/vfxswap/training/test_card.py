"""Model cards: all facts in words, and what identity.toml should say, which is told and never written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tomli

from vfxswap.errors import UsageError
from vfxswap.files import file_sha256
from vfxswap.identity import Identity, WeightsEntry, load_identity
from vfxswap.testing import synthetic_card, synthetic_comb, synthetic_identity, write_synthetic_trained
from vfxswap.trained import CurvePoint, FacesetUse, TrainedCard, TrainedIdentity
from vfxswap.training.card import card_path, entry_text, missing_in, model_card, write_model_card

COMB = synthetic_comb()
RECORD = synthetic_identity().consent


def rich_card() -> TrainedCard:
    """A card that says something everywhere."""
    uses = (FacesetUse(name="sh010 | plate", sha256="ab" * 32, faces=540, held_out=60, left_out=2),)
    people = {
        "hero": TrainedIdentity(title="Anna, young", consent=RECORD, licence="owned", facesets=uses),
        "double": TrainedIdentity(title="sh010"),
    }
    return synthetic_card(
        COMB,
        identities=people,
        production="Night Train",
        purpose="de-age",
        base="cd" * 32,
        seconds=4000.0,
        iterations=20000,
        curve=tuple(CurvePoint(iteration=100 * i, loss=1 / (i + 1)) for i in range(50)),
        scores={"hero": {"psnr_matte_db": 33.25, "faces": 60.0}},
        options={"train": {"size": 32}},
        commercial=None,
    )


def test_it_says_whose_from_what_and_on_which_terms() -> None:
    text = model_card(rich_card(), file="hero.safetensors", sha256="ef" * 32)
    assert text.startswith("# Anna, young, sh010\n")
    for line in (
        "| File | `hero.safetensors` |",
        f"| sha256 | `{'ef' * 32}` |",
        "| Architecture | comb-2, 32 px |",
        "| Licence | CC0-1.0; paid work: not said |",
        "| Production | Night Train (de-age) |",
        f"| Started from | the trained file of sha256 `{'cd' * 32}` |",
        f"| hero | sh010 \\| plate | 540 | 60 | 2 | `{'ab' * 32}` |",
        "| hero | 33.25 | 60 |",
        "20000 iterations in 1 h 07 min.",
        "To put the face of hero in the place of another's in moving pictures,",
        "**double**: sh010. Licence of the pictures: not said. Trained to be replaced;",
        f"from 2000-01-01 to 2999-12-31, for any (any): tests (record `{RECORD.sha256}`)",
    ):
        assert line in text, line


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    lines = model_card(rich_card(), file="f", sha256="0").splitlines()
    first = lines.index("| Iteration | Loss |") + 2
    rows = [line for line in lines[first : first + 20] if line.startswith("|")]
    assert (len(rows), rows[0], rows[-1]) == (12, "| 0 | 1 |", "| 4900 | 0.02 |")


def test_a_base_is_nobodys() -> None:
    text = model_card(synthetic_card(COMB, identities={}), file="base.safetensors", sha256="0")
    assert text.startswith("# A base\n")
    assert "It makes nobody's face." in text
    assert "None: no faces were held out." in text


def test_it_lies_beside_the_file(tmp_path: Path) -> None:
    trained = tmp_path / "hero.safetensors"
    write_synthetic_trained(trained, COMB)
    path = write_model_card(trained)
    assert path == card_path(trained) == tmp_path / "hero.MODEL.md"
    assert f"`{file_sha256(trained)}`" in path.read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hero.MODEL.md", "hero.safetensors"]
    with pytest.raises(UsageError, match="there is no trained file"):
        write_model_card(tmp_path / "other.safetensors")


RECORD_TEXT = """\
name = "hero"
licence = "owned"
[consent]
performer = "a drawn face"
grantor = "nobody; it is drawn by a formula"
productions = ["*"]
purposes = ["*"]
from = 2000-01-01
until = 2999-12-31
scope = "tests"
"""


def opened(folder: Path) -> Identity:
    identity, problems = load_identity("hero", folder)
    assert problems == []
    assert identity is not None
    return identity


def test_what_is_told_to_be_written_is_right(tmp_path: Path) -> None:
    trained, record = tmp_path / "hero.safetensors", tmp_path / "identity.toml"
    write_synthetic_trained(trained, COMB)
    record.write_text(RECORD_TEXT)
    (advice,) = missing_in(opened(tmp_path), trained)
    head, _, table = advice.partition("\n")
    assert head == f"{record} says nothing of hero.safetensors; write at its end:"
    record.write_text(f"{RECORD_TEXT}\n{table}\n")
    identity = opened(tmp_path)
    assert identity.entries["hero.safetensors"] == WeightsEntry(
        sha256=file_sha256(trained), licence="CC0-1.0", commercial=True, consent=identity.consent.sha256
    )
    assert missing_in(identity, trained) == []
    assert record.read_text() == f"{RECORD_TEXT}\n{table}\n"


def test_a_file_that_was_trained_again_and_a_missing_licence(tmp_path: Path) -> None:
    trained, record = tmp_path / "hero.safetensors", tmp_path / "identity.toml"
    write_synthetic_trained(trained, COMB)
    record.write_text(RECORD_TEXT.replace('licence = "owned"\n', "") + "\n" + entry_text(trained, RECORD))
    write_synthetic_trained(trained, synthetic_comb(seed=2))
    first, second = missing_in(opened(tmp_path), trained)
    assert first == f'{record} names no licence; write above [consent]:\nlicence = "..."'
    assert second.startswith(
        f"{record} describes another hero.safetensors; write in the place of its table:\n[weights."
    )


def test_the_table_names_the_record_of_the_same_performer(tmp_path: Path) -> None:
    trained = tmp_path / "hero.safetensors"
    earlier = RECORD.model_copy(update={"scope": "less"})
    write_synthetic_trained(trained, COMB, consents={"hero": earlier, "double": None}, commercial=None)
    entry = tomli.loads(entry_text(trained, RECORD))["weights"]["hero.safetensors"]
    assert entry["consent"] == earlier.sha256
    assert "commercial" not in entry
    stranger = RECORD.model_copy(update={"performer": "somebody else"})
    assert "consent" not in tomli.loads(entry_text(trained, stranger))["weights"]["hero.safetensors"]
    assert missing_in(replace(synthetic_identity(folder=tmp_path), licence="owned"), trained)
