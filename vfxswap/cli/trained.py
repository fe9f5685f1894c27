"""What the command line says of trained files: `vfxswap models card`, and the weights in `vfxswap identity check`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ConfigDict

from vfxswap.cli.output import say
from vfxswap.errors import ConsentError, Problem, VfxswapError
from vfxswap.files import file_sha256
from vfxswap.identity import Identity
from vfxswap.modelfile import Sidecar, described_file, read_sidecar
from vfxswap.trained import TrainedCard, read_card
from vfxswap.training.card import missing_in, model_card
from vfxswap.weights import TRAINED_SUFFIX, agree, same_person, verified_sha256


def print_card(path: Path, *, as_json: bool) -> None:
    """Prints the card of a trained file.

    Raises:
        UsageError: It is no trained file.
    """
    card = read_card(path)
    if as_json:
        say(card.model_dump_json(by_alias=True, indent=2))
    else:
        say(model_card(card, file=path.name, sha256=file_sha256(path)).rstrip("\n"))


def weights_problems(identity: Identity) -> list[Problem]:
    """What is wrong with the files of weights of an identity."""
    return [problem for path in identity.weights for problem in _problems(identity, path)]


class _AnySidecar(Sidecar):
    """What stands beside a model file of whatever kind; what only that kind's stage knows is left to it."""

    model_config = ConfigDict(extra="ignore")


def _problems(identity: Identity, path: Path) -> Iterator[Problem]:
    card = None
    try:
        verified_sha256(identity, path)
        if path.suffix.lower() == TRAINED_SUFFIX:
            card = read_card(path)
        else:
            described_file(path, read_sidecar(_AnySidecar, path))
    except VfxswapError as error:
        yield Problem(str(error), exit_code=error.exit_code)
        return
    name = None if card is None else _name(identity, card)
    if card is None or name is None:
        return
    try:
        agree(identity, card.identities[name], path=path, decoder=name)
    except ConsentError as error:
        yield Problem(str(error), exit_code=error.exit_code)


def _name(identity: Identity, card: TrainedCard) -> str | None:
    """Who of a trained file the identity is: by either of its names, else by the performer's."""
    names = [name for name in (identity.name, identity.title) if name in card.identities]
    records = {name: person.consent for name, person in card.identities.items()}
    names += [name for name, record in records.items() if record and same_person(record, identity.consent)]
    return next(iter(names), None)


def weights_lines(identity: Identity) -> list[str]:
    """What there is to say of an identity's weights, where nothing is wrong with them."""
    return [line for path in identity.weights for line in _lines(identity, path)]


def _lines(identity: Identity, path: Path) -> Iterator[str]:
    if path.suffix.lower() != TRAINED_SUFFIX:
        entry, beside = identity.entries.get(path.name), read_sidecar(_AnySidecar, path)
        yield f"{path.name}: licence {(entry.licence if entry else beside.licence) or 'not said'}"
        if beside.consent:
            yield f"  trained with the consent of {beside.consent}"
        return
    card = read_card(path)
    people = ", ".join(card.identities) or "nobody: a base"
    yield f"{path.name}: {card.crop.size_px} px, of {people}; licence {card.licence or 'not said'}"
    name = _name(identity, card)
    record = None if name is None else card.identities[name].consent
    if name is None:
        yield "  nobody in it has the name or the performer of this identity; a stage must say who = ..."
    elif record is not None and record.sha256 != identity.consent.sha256:
        yield f"  trained under an earlier consent record, of {record.valid_from} to {record.valid_until}"
    for advice in missing_in(identity, path):
        yield from (f"  {line}" for line in advice.splitlines())
