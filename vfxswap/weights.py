"""Trained weights in an identity's folder: which file is meant, and whether it is this identity's.

What a trained file says of itself is its card (`vfxswap.trained`), what identity.toml says of the file its entry; the
two and the consent record must be of one person.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from vfxswap.errors import ConsentError, ModelMissing, UsageError
from vfxswap.files import file_sha256
from vfxswap.identity import Consent, Identity
from vfxswap.trained import TrainedCard, TrainedIdentity, demand_architecture, read_card

TRAINED_SUFFIX = ".safetensors"
"""Of trained files."""
_UNSAFE = {".pth", ".pt", ".pkl", ".ckpt"}
"""Pickles by other names."""


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
        raise UsageError(
            f"identity {identity.name!r} has no trained weights: there is no {kinds} in {identity.folder}"
            + _not_loaded(identity.folder)
        )
    if name is not None:
        found = [path for path in files if name in {path.name, path.stem}]
        if len(found) == 1:
            return found[0]
        known = {spelling: path.name for path in files for spelling in (path.name, path.stem)}
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {known[close[0]]!r}?" if close else ""
        raise UsageError(f"there are no weights {name!r} in {identity.folder}; there are {', '.join(names)}{hint}")
    if len(files) > 1:
        raise UsageError(
            f"there are several files of weights in {identity.folder} ({', '.join(names)}); say which, as"
            f' weights = "{names[0]}"'
        )
    return files[0]


def _not_loaded(folder: Path) -> str:
    """Names a file that somebody may have put there to be loaded."""
    found = sorted(path.name for path in folder.glob("*") if path.suffix.lower() in _UNSAFE)
    return f"; {found[0]} may hold code and is never loaded: convert it to safetensors or ONNX" if found else ""


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
    """Reads the card of a trained file of a comb, and no weights: these are held against the card when they are loaded.

    Raises:
        UsageError: It is no trained file, is damaged, or of another architecture.
    """
    from vfxswap.nets.comb import ARCHITECTURE  # noqa: PLC0415 - names and messages need no torch
    from vfxswap.nets.spec import CombSpec  # noqa: PLC0415 - names and messages need no torch

    card = read_card(path)
    demand_architecture(path, card, ARCHITECTURE)
    spec = CombSpec.from_dict(card.spec)
    if spec.shared and spec.stills:
        raise UsageError(
            f"{path} is a base, which shows nobody: train a person on it, with init in the training file, or train with"
            " shared = false"
        )
    return card


def morphs(card: TrainedCard) -> bool:
    """Whether what lies between two of its people is a face: their decoders have an ancestor in common, or are one."""
    return bool(card.base) or card.spec.get("shared") is True


NO_MORPH = (
    "was trained from noise, so that its decoders have no ancestor in common, and what lies between them is no face;"
    ' train it from a base, with init = "base"'
)
"""Why a trained file does not morph."""


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
