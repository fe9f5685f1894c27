"""Model cards: what a trained file is, from what it was made and for what it may be used, for people to read.

The facts are in the trained file itself (`vfxswap.trained.TrainedCard`); `NAME.MODEL.md` beside it is the same in words
(after Mitchell et al., Model Cards for Model Reporting, FAT* 2019). identity.toml, which people write, is never written
to: what should stand there is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from vfxswap.files import file_sha256, whole
from vfxswap.identity import Consent, Identity
from vfxswap.trained import CurvePoint, TrainedCard, TrainedIdentity, read_card
from vfxswap.weights import same_person

_CURVE_ROWS = 12
"""Places of the curve that are shown."""
_SCORES = {
    "psnr_matte_db": "PSNR inside the matte, dB",
    "psnr_db": "PSNR of the crop, dB",
    "ssim": "SSIM",
    "faces": "faces",
}
"""What scores are called."""


def card_path(trained: Path) -> Path:
    """Where the model card of a trained file lies."""
    return trained.with_name(f"{trained.stem}.MODEL.md")


def write_model_card(trained: Path) -> Path:
    """Writes the model card beside a trained file.

    Raises:
        UsageError: It is no trained file.
        MediaError: The card cannot be written.
    """
    text = model_card(read_card(trained), file=trained.name, sha256=file_sha256(trained))
    path = card_path(trained)
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def model_card(card: TrainedCard, *, file: str, sha256: str) -> str:
    """A model card in Markdown.

    Args:
        card: The facts.
        file: Name of the trained file.
        sha256: Of the trained file, in hex.
    """
    parts = [
        f"# {_title(card)}",
        *_about(card, file, sha256),
        "## Whose face",
        *(_people(card) or ["Nobody's: a base, made of performers who do not exist, to train others from."]),
        "## Use",
        *_use(card),
        "## Data",
        *_data(card),
        "## Training",
        *_training(card),
        "## Scores",
        *_scored(card),
        "## Limits",
        *_limits(card),
    ]
    return "\n\n".join(parts) + "\n"


def _title(card: TrainedCard) -> str:
    return ", ".join(person.title for person in card.identities.values()) or "A base"


def _about(card: TrainedCard, file: str, sha256: str) -> Iterator[str]:
    paid = {True: "may be used for paid work", False: "not for paid work", None: "paid work: not said"}[card.commercial]
    rows = [
        ("File", f"`{file}`"),
        ("sha256", f"`{sha256}`"),
        ("Made by", card.made_by),
        ("Architecture", f"{card.architecture}, {card.crop.size_px} px"),
        ("Crops", f"{card.crop.template}, zoom {card.zoom:g}, {card.color_space}"),
        ("Licence", f"{card.licence or 'not said'}; {paid}"),
        ("Production", f"{card.production or 'not said'} ({card.purpose or 'purpose not said'})"),
        ("Started from", f"the trained file of sha256 `{card.base}`" if card.base else "noise"),
    ]
    yield _table(("", ""), rows)


def _people(card: TrainedCard) -> list[str]:
    return [_person(name, person) for name, person in card.identities.items()]


def _person(name: str, person: TrainedIdentity) -> str:
    head = f"**{name}**: {person.title}. Licence of the pictures: {person.licence or 'not said'}."
    if person.consent is None:
        return f"{head} Trained to be replaced; without a consent record this face must not be put in."
    return f"{head} {_consent(person.consent)}"


def _consent(record: Consent) -> str:
    return (
        f"Consent of {record.performer}, given by {record.grantor}, from {record.valid_from} to {record.valid_until},"
        f" for {_all(record.productions)} ({_all(record.purposes)}): {record.scope} (record `{record.sha256}`)"
    )


def _all(names: Sequence[str]) -> str:
    return ", ".join("any" if name == "*" else name for name in names)


def _use(card: TrainedCard) -> Iterator[str]:
    shown = [name for name, person in card.identities.items() if person.consent is not None]
    if not card.identities:
        yield "To start a training from, which then needs fewer faces and less time. It makes nobody's face."
        return
    yield (
        f"To put the face of {' or '.join(shown) or 'nobody'} in the place of another's in moving pictures, as far as"
        " the consent records above allow it, and for nothing else. What an identity's `identity.toml` says on the day"
        " of use rules; a run that it does not cover is refused."
    )


def _data(card: TrainedCard) -> Iterator[str]:
    rows = [
        (name, use.name, str(use.faces), str(use.held_out), str(use.left_out), f"`{use.sha256}`")
        for name, person in card.identities.items()
        for use in person.facesets
    ]
    heads = ("Who", "Faceset", "Trained on", "Held out", "Left out", "Hash of its index")
    yield _table(heads, rows) if rows else "Not said."


def _training(card: TrainedCard) -> Iterator[str]:
    yield f"{card.iterations} iterations in {_hours(card.seconds)}."
    if card.curve:
        points = _thinned(card.curve)
        yield _table(("Iteration", "Loss"), [(str(point.iteration), f"{point.loss:.4g}") for point in points])
    if card.options:
        yield f"```json\n{json.dumps(card.options, indent=1, sort_keys=True, default=dict)}\n```"


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{seconds / 60:.1f} min"


def _thinned(curve: Sequence[CurvePoint]) -> Sequence[CurvePoint]:
    """Some points, the first and the last among them."""
    if len(curve) <= _CURVE_ROWS:
        return curve
    step = (len(curve) - 1) / (_CURVE_ROWS - 1)
    return [curve[round(place * step)] for place in range(_CURVE_ROWS)]


def _scored(card: TrainedCard) -> Iterator[str]:
    if not card.scores:
        yield "None: no faces were held out."
        return
    keys = list(dict.fromkeys(key for scores in card.scores.values() for key in scores))
    rows = [[name, *(_number(scores.get(key)) for key in keys)] for name, scores in card.scores.items()]
    yield "Each face as itself, on faces that were held out and never trained on."
    yield _table(("Who", *(_SCORES.get(key, key) for key in keys)), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _limits(card: TrainedCard) -> Iterator[str]:
    yield "\n".join(
        [
            "- It knows the poses, expressions and light of its data; what was not there is invented.",
            "- Scores are of faces as themselves. Of a swap there is no truth to score against: look at it.",
            f"- A face larger than {card.crop.size_px} pixels of crop comes out softer than the plate.",
            "- What passes before a face (hands, hair, glasses) needs a matte of its own.",
            "- Crops must be aligned as above, from landmarks as steady as those of the data.",
        ]
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in lines
    )


def entry_text(trained: Path, consent: Consent) -> str:
    """The table that identity.toml should have of a trained file, as TOML.

    Args:
        trained: The file.
        consent: The identity's record; the table names the one of the same performer that the file was trained under.

    Raises:
        UsageError: It is no trained file.
    """
    card = read_card(trained)
    records = [person.consent for person in card.identities.values() if person.consent is not None]
    facts: dict[str, str | bool | None] = {
        "sha256": file_sha256(trained),
        "licence": card.licence or "not said",
        "commercial": card.commercial,
        "consent": next((record.sha256 for record in records if same_person(record, consent)), None),
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items() if value is not None]
    return "\n".join([f"[weights.{json.dumps(trained.name, ensure_ascii=False)}]", *lines])


def missing_in(identity: Identity, trained: Path) -> list[str]:
    """What identity.toml should say of a trained file and does not, in words and as TOML; empty if it says it.

    Raises:
        UsageError: It is no trained file.
    """
    record, said = identity.folder / "identity.toml", []
    if not identity.licence:
        said.append(f'{record} names no licence; write above [consent]:\nlicence = "..."')
    entry = identity.entries.get(trained.name)
    if entry is None:
        said.append(
            f"{record} says nothing of {trained.name}; write at its end:\n{entry_text(trained, identity.consent)}"
        )
    elif entry.sha256 != file_sha256(trained):
        table = entry_text(trained, identity.consent)
        said.append(f"{record} describes another {trained.name}; write in the place of its table:\n{table}")
    return said
