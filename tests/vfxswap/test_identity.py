"""Identities and their consent records."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
import tomli

from vfxswap.errors import ExitCode, Problem, UsageError
from vfxswap.identity import Consent, Identity, consent_problems, load_identity, write_template

GOOD = """\
name = "Anna, young"
licence = "owned by the studio"
[consent]
performer = "Anna Muster"
grantor = "Muster Agency"
productions = ["Night Train", "Day Train"]
purposes = ["double", "de-age"]
from = 2026-01-01
until = 2026-12-31
scope = "all scenes"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A right identity."""
    folder = tmp_path / "hero"
    folder.mkdir()
    (folder / "identity.toml").write_text(GOOD)
    (folder / "still02.jpg").write_bytes(b"")
    (folder / "still01.PNG").write_bytes(b"")
    return folder


def found(folder: Path) -> tuple[list[Problem], list[str]]:
    """What is wrong with a folder, also in words without its place."""
    identity, problems = load_identity("hero", folder)
    assert identity is None
    return problems, [str(problem).replace(f"{folder}/", "") for problem in problems]


def opened(folder: Path) -> Identity:
    """An identity that is right."""
    identity, problems = load_identity("hero", folder)
    assert problems == []
    assert identity is not None
    return identity


def test_a_right_folder(folder: Path) -> None:
    (folder / "hero.safetensors").write_bytes(b"")
    (folder / "notes.txt").write_text("no still")
    (folder / "contact.jpg").write_bytes(b"")
    identity = opened(folder)
    assert (identity.name, identity.title, identity.licence) == ("hero", "Anna, young", "owned by the studio")
    assert [path.name for path in identity.stills] == ["still01.PNG", "still02.jpg"]
    assert [path.name for path in identity.weights] == ["hero.safetensors"]
    assert identity.color_space == "srgb"
    assert identity.consent.valid_until == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('performer = "Anna Muster"\n', "", "consent.performer: is missing; a consent record must have it"),
        ('"Anna Muster"', '"  "', "consent.performer: is empty (found '  ')"),
        ('"Anna Muster"', "7", "consent.performer: must be text, in quotes (found 7)"),
        ('["Night Train", "Day Train"]', "[]", "consent.productions: is empty; list at least one"),
        ('["Night Train", "Day Train"]', '[""]', "consent.productions.0: is empty"),
        (
            '["Night Train", "Day Train"]',
            '"Night Train"',
            "consent.productions: must be a list, such as [\"...\"] (found 'Night Train')",
        ),
        (
            "until = 2026-12-31",
            'until = "soon"',
            "consent.until: must be a date, such as 2026-01-31 without quotes (found 'soon')",
        ),
        ("until = 2026-12-31", "until = 2025-12-31", "consent: until (2025-12-31) is before from (2026-01-01)"),
        ("grantor", "granter", "consent.grantor: is missing; a consent record must have it"),
        ("[consent]", "[consents]", "consent: is missing; a consent record must have it"),
    ],
)
def test_a_consent_record_with_a_hole_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    (folder / "identity.toml").write_text(GOOD.replace(old, new, 1))
    problems, words = found(folder)
    assert f"identity.toml: {message}" in words
    assert all(problem.exit_code is ExitCode.REFUSED for problem in problems if "consent:" in str(problem))
    assert problems[words.index(f"identity.toml: {message}")].exit_code is ExitCode.REFUSED


def test_a_misspelt_key_has_the_nearest_name(folder: Path) -> None:
    (folder / "identity.toml").write_text(GOOD.replace("until", "untill").replace("licence", "license"))
    assert sorted(found(folder)[1]) == [
        "identity.toml: consent.until: is missing; a consent record must have it",
        "identity.toml: consent.untill: unknown key (found '2026-12-31'); did you mean 'until'?",
        "identity.toml: license: unknown key (found 'owned by the studio'); did you mean 'licence'?",
    ]


def test_a_color_space_is_any_name_until_a_pipeline_knows_its_configuration(folder: Path) -> None:
    (folder / "identity.toml").write_text('color_space = "house gamma"\n' + GOOD)
    identity, _ = load_identity("hero", folder)
    assert identity is not None
    assert identity.color_space == "house gamma"
    (folder / "identity.toml").write_text('color_space = " "\n' + GOOD)
    problems, words = found(folder)
    assert words[0].startswith("identity.toml: color_space: ")
    assert problems[0].exit_code is ExitCode.USAGE


def test_no_record_is_no_consent(folder: Path) -> None:
    (folder / "identity.toml").unlink()
    problems, words = found(folder)
    assert words == [
        f"identities.hero: path: {folder} has no identity.toml with a consent record; write one with: vfxswap identity"
        f" new {folder}"
    ]
    assert problems[0].exit_code is ExitCode.REFUSED


def test_a_folder_that_is_not_there_or_empty(folder: Path) -> None:
    assert found(folder / "no")[0][0].exit_code is ExitCode.USAGE
    for still in folder.glob("still*"):
        still.unlink()
    assert "holds neither stills (still*.jpg, .png, .tif, .exr) nor weights" in found(folder)[1][0]


def test_a_record_that_is_no_toml(folder: Path) -> None:
    (folder / "identity.toml").write_text("name =")
    assert found(folder)[1][0].startswith("identity.toml: is not valid TOML: Invalid value (at ")


@pytest.fixture
def consent(folder: Path) -> Consent:
    """A record of one year."""
    return opened(folder).consent


@pytest.mark.parametrize(
    ("production", "purpose", "today", "objection"),
    [
        ("Night Train", "double", date(2026, 1, 1), None),
        ("Day Train", None, date(2026, 12, 31), None),
        (
            "Night Train",
            None,
            date(2025, 12, 31),
            "consent of Anna Muster is valid only from 2026-01-01; today is 2025-12-31",
        ),
        (
            "Night Train",
            None,
            date(2027, 1, 1),
            "consent of Anna Muster ended on 2026-12-31; today is 2027-01-01; ask Muster Agency",
        ),
        (
            "night train",
            None,
            date(2026, 6, 1),
            "consent of Anna Muster is for Night Train, Day Train, not for production 'night train'",
        ),
        ("Day Train", "dub", date(2026, 6, 1), "consent of Anna Muster is for double, de-age, not for purpose 'dub'"),
    ],
)
def test_what_consent_covers(
    consent: Consent, production: str, purpose: str | None, today: date, objection: str | None
) -> None:
    objections = consent.objections(production=production, purpose=purpose, today=today)
    assert objections == ([] if objection is None else [objection])


def test_any_production_and_purpose(folder: Path) -> None:
    text = GOOD.replace('["Night Train", "Day Train"]', '["*"]').replace('["double", "de-age"]', '["*"]')
    (folder / "identity.toml").write_text(text)
    today = date(2026, 6, 1)
    assert consent_problems(opened(folder), production="x", purpose="y", today=today, where="identities.hero") == []


def test_a_refusal_names_the_record(folder: Path) -> None:
    (problem,) = consent_problems(
        opened(folder), production="Other", purpose=None, today=date(2026, 6, 1), where="identities.hero"
    )
    assert problem.exit_code is ExitCode.REFUSED
    assert str(problem).startswith("identities.hero: consent of Anna Muster is for Night Train, Day Train, not for")
    assert str(problem).endswith(f"; the record is {folder / 'identity.toml'}")


def test_the_template_is_toml_and_is_refused_as_it_stands(tmp_path: Path) -> None:
    file = write_template(tmp_path / "a" / "b", 'He said "no"\n')
    assert tomli.loads(file.read_text())["name"] == 'He said "no"\n'
    problems, words = found(file.parent)
    assert [problem.exit_code for problem in problems] == [ExitCode.REFUSED] * 7
    assert sorted(word.split(": ")[1] for word in words) == [
        f"consent.{key}" for key in ("from", "grantor", "performer", "productions", "purposes", "scope", "until")
    ]


def test_the_template_filled_in_is_right(tmp_path: Path) -> None:
    file = write_template(tmp_path / "hero", "hero")
    today = date.today()
    text = file.read_text()
    for key in ("performer", "grantor", "scope"):
        text = text.replace(f'{key} = ""', f'{key} = "words"')
    for key in ("productions", "purposes"):
        text = text.replace(f"{key} = []", f'{key} = ["*"]')
    text = text.replace("# from = 2026-01-31", f"from = {today}")
    file.write_text(text.replace("# until = 2026-12-31", f"until = {today + timedelta(days=1)}"))
    (file.parent / "still.jpg").write_bytes(b"")
    assert opened(file.parent).title == "hero"


def test_a_record_that_is_there_is_left_alone(folder: Path) -> None:
    with pytest.raises(UsageError, match="there is a consent record already, and it is left as it is"):
        write_template(folder, "other")
    assert (folder / "identity.toml").read_text() == GOOD
    with pytest.raises(UsageError, match="there is a file where the folder should be"):
        write_template(folder / "still02.jpg", "other")
    with pytest.raises(UsageError, match=r"cannot write .*: Not a directory"):
        write_template(folder / "still02.jpg" / "deeper", "other")


WEIGHTS = """
[weights."hero.safetensors"]
sha256 = "{0}"
licence = "owned by the studio"
commercial = true
consent = "{0}"
"""


def test_weights_may_have_a_table_each(folder: Path) -> None:
    (folder / "hero.safetensors").write_bytes(b"")
    (folder / "identity.toml").write_text(GOOD + WEIGHTS.format("a1" * 32))
    (entry,) = opened(folder).entries.items()
    assert entry[0] == "hero.safetensors"
    assert (entry[1].sha256, entry[1].licence, entry[1].commercial) == ("a1" * 32, "owned by the studio", True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a1a1", "A1", 'weights."hero.safetensors".sha256: must be a sha256: 64 digits 0-9, a-f'),
        ("licence =", "license =", "unknown key (found 'owned by the studio'); did you mean 'licence'?"),
        ('"hero.', '"heroe.', "there is no such file of weights in the folder"),
        ('"owned by the studio"\ncommercial', '" "\ncommercial', 'weights."hero.safetensors".licence: is empty'),
    ],
)
def test_a_wrong_table_of_weights(folder: Path, old: str, new: str, message: str) -> None:
    (folder / "hero.safetensors").write_bytes(b"")
    head, table = GOOD, WEIGHTS.format("a1" * 32)
    (folder / "identity.toml").write_text(head + table.replace(old, new, 1))
    problems, texts = found(folder)
    assert any(message in text for text in texts), texts
    assert all(problem.exit_code is ExitCode.USAGE for problem in problems)


def test_what_is_yet_to_be_trained_may_be_described(folder: Path) -> None:
    (folder / "identity.toml").write_text(GOOD + WEIGHTS.format("a1" * 32))
    assert load_identity("hero", folder)[0] is None
    identity, problems = load_identity("hero", folder, bare=True)
    assert problems == []
    assert identity is not None


def test_a_changed_record_has_another_sha256(folder: Path) -> None:
    consent = opened(folder).consent
    assert consent.sha256 == opened(folder).consent.sha256
    (folder / "identity.toml").write_text(GOOD.replace("2026-12-31", "2027-12-31"))
    assert opened(folder).consent.sha256 != consent.sha256
