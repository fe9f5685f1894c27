"""Trained weights in an identity's folder: which file is meant, and whether it is this identity's.

What a trained file says of itself is its card (`vfxswap.trained`), what identity.toml says of the file its entry; the
two and the consent record must be of one person.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vfxswap.errors import ConsentError, ModelMissing, UsageError
from vfxswap.identity import Consent, Identity
from vfxswap.models import file_sha256
from vfxswap.trained import TrainedCard, TrainedIdentity, read_card

TRAINED_SUFFIX = ".safetensors"
"""Of trained files."""


def choose_weights(identity: Identity, name: str | None, *, suffixes: Sequence[str] = (TRAINED_SUFFIX,)) -> Path:
    """The file of weights that is meant.

    Args:
        identity: Whose folder is looked into.
        name: The file's name, with or without its suffix; None takes the only one.
        suffixes: Of the files that would do.

    Raises:
        UsageError: There is no such file, or none was named and there are several.
    """
    files = [path for path in identity.weights if path.suffix.lower() in suffixes]
    names = [path.name for path in files]
    kinds = ", ".join(f"*{suffix}" for suffix in suffixes)
    if not files:
        raise UsageError(f"identity {identity.name!r} has no trained weights: there is no {kinds} in {identity.folder}")
    if name is not None:
        found = [path for path in files if name in {path.name, path.stem}]
        if len(found) == 1:
            return found[0]
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"there are no weights {name!r} in {identity.folder}; there are {', '.join(names)}{hint}")
    if len(files) > 1:
        raise UsageError(
            f"there are several files of weights in {identity.folder} ({', '.join(names)}); say which, as"
            f' weights = "{names[0]}"'
        )
    return files[0]


def verified_sha256(identity: Identity, path: Path) -> str:
    """The sha256 of a file of weights, in hex.

    Raises:
        ModelMissing: It cannot be read, or is not the file that identity.toml describes.
    """
    try:
        found = file_sha256(path)
    except OSError as error:
        raise ModelMissing(f"{path} cannot be read: {error.strerror or error}") from error
    entry = identity.entries.get(path.name)
    if entry is not None and entry.sha256 != found:
        raise ModelMissing(
            f"{path} is not the file that {identity.folder / 'identity.toml'} describes: its sha256 is {found},"
            f' expected {entry.sha256}; get the right file, or mend [weights."{path.name}"] if this one is right'
        )
    return found


def readable(path: Path) -> TrainedCard:
    """Reads the card of a trained file and makes sure, by its header, that its weights are those of the card.

    Raises:
        UsageError: It is no trained file, of another architecture, or does not hold what its card says.
    """
    import torch  # noqa: PLC0415 - names and messages need none

    from vfxswap.nets.comb import ARCHITECTURE, Comb, CombSpec  # noqa: PLC0415

    card = read_card(path)
    if card.architecture != ARCHITECTURE:
        raise UsageError(
            f"{path} holds a model of architecture {card.architecture!r} (made by {card.made_by}); this reads"
            f" {ARCHITECTURE!r}: train it again, or use the release that made it"
        )
    with torch.device("meta"):  # shapes without memory
        wanted = {name: list(value.shape) for name, value in Comb(CombSpec.from_dict(card.spec)).state_dict().items()}
    try:
        with safe_open(str(path), framework="np") as file:
            found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    wrong = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if wrong:
        raise UsageError(
            f"{path} is damaged: its weights are not those of its card ({wrong[0]} is {found.get(wrong[0], 'missing')},"
            f" expected {wanted.get(wrong[0], 'none')}; {len(wrong)} such)"
        )
    return card


def same_person(one: Consent, other: Consent) -> bool:
    """Whether two records are about one performer, by name; blanks and capitals do not count."""
    return one.performer.casefold().split() == other.performer.casefold().split()


def agree(identity: Identity, trained: TrainedIdentity, *, path: Path, decoder: str) -> None:
    """Makes sure that weights were trained on the face that an identity's consent record is about.

    The record may have been renewed since, so that only who is meant counts; identity.toml says what is allowed now.

    Args:
        identity: Who is put in.
        trained: Who is asked for of the file, by its card.
        path: The file, for the message.
        decoder: The name of that one in the file.

    Raises:
        ConsentError: They are of different people, or the file was trained without a consent record of that face.
    """
    if trained.consent is None:
        raise ConsentError(
            f"{path} was trained without a consent record of {decoder!r}, who is there to be replaced and not to be put"
            " in; train again with an identity.toml for that face"
        )
    if not same_person(identity.consent, trained.consent):
        raise ConsentError(
            f"{path} was trained on the face of {trained.consent.performer!r} (its {decoder!r}), but the consent record"
            f" {identity.folder / 'identity.toml'} is about {identity.consent.performer!r}; take the weights of that"
            " performer, or the right identity"
        )
