"""The model store: weights by name, pinned by sha256, with their licence.

A plugin describes the models that it loads in a `models.toml`; the files themselves lie in folders of the studio or the
user. Nothing is downloaded unless `ModelStore.pull` is called, and a file that is not the pinned one is refused.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tomli
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from vfxswap.download import Download, OpenUrl, Progress, checked_url, open_url
from vfxswap.errors import ModelMissing, Retryable, UsageError
from vfxswap.files import file_sha256

if sys.platform != "win32":
    import fcntl

CARD_FILE = "models.toml"
"""Name of the file that holds model cards, in a plugin or in a folder of the store."""


def bare_name(name: str) -> str:
    """A file's name, if it is one and no path; else a ValueError, for pydantic to report."""
    if name != Path(name).name or name in {".", "..", CARD_FILE} or "\\" in name:
        raise ValueError(f"file must be the bare name of a file, not {name!r}")
    return name


class ModelCard(BaseModel):
    """What is known of one model file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="What stages and `vfxswap models` call it.")
    file: Annotated[str, AfterValidator(bare_name)] = Field(description="Name of its file in the store's folders.")
    url: Annotated[str, AfterValidator(checked_url)] = Field(description="Where it is published; https.")
    by_hand: bool = Field(False, description="Whether `url` is a page, from which a person takes the file.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in lower-case hex.")
    size: int = Field(gt=0, description="Of the file, in bytes.")
    licence: str = Field(min_length=1, description="SPDX expression of the weights' licence.")
    commercial: bool = Field(description="Whether paid work may use it, as far as is known.")
    title: str = Field(min_length=1, description="What it is, in a line.")
    source: str = Field(min_length=1, description="Who trained it, and on what.")
    notes: str = Field("", description="What a user should know, such as doubts about the licence.")


def read_cards(path: Path) -> dict[str, ModelCard]:
    """Reads the `[models.NAME]` tables of a `models.toml`.

    Raises:
        UsageError: The file cannot be read, is not TOML, or a table is not a model card; names the file and the key.
    """
    try:
        tables = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the model cards in {path}: {error}") from error
    models = tables.pop("models", {})
    if tables or not isinstance(models, dict):
        raise UsageError(f"{path} may hold [models.NAME] tables only, found {', '.join(tables) or 'models = ...'}")
    return {name: _card(path, name, table) for name, table in models.items()}


def _card(path: Path, name: str, table: object) -> ModelCard:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: models.{name} must be a table, found {table!r}")
    try:
        return ModelCard.model_validate({**table, "name": name})
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise UsageError(f"{path}: models.{name} is not a model card: {found}") from error


def merged_cards(files: Sequence[Path]) -> dict[str, ModelCard]:
    """The cards of several files, by name.

    Raises:
        UsageError: Two files describe one name differently; names both.
    """
    cards: dict[str, ModelCard] = {}
    origin: dict[str, Path] = {}
    for file in files:
        for name, card in read_cards(file).items():
            if cards.setdefault(name, card) != card:
                raise UsageError(f"model {name!r} is described differently by {origin[name]} and {file}; remove one")
            origin.setdefault(name, file)
    return cards


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model of the store, and how it is."""

    card: ModelCard
    path: Path | None
    """Where it was found; None if in no folder."""
    problem: str = ""
    """What is wrong with the file; empty if nothing is known to be."""

    @property
    def ok(self) -> bool:
        """Whether there is a file and nothing is known to be wrong with it."""
        return self.path is not None and not self.problem


class ModelStore:
    """Finds model files by name in a list of folders; the first folder that has the file wins.

    Args:
        folders: Looked through in this order; need not exist.
        cards: What is known of each model, by name.
    """

    def __init__(self, folders: Sequence[Path], cards: Mapping[str, ModelCard]) -> None:
        self.folders, self.cards = tuple(folders), dict(cards)
        self._hashes: dict[tuple[Path, int, int], str] = {}

    @classmethod
    def from_environment(cls, card_files: Sequence[Path], *, environ: Mapping[str, str] = os.environ) -> ModelStore:
        """The store of this machine.

        Its folders are those of `VFXSWAP_MODEL_PATH` (joined by `os.pathsep`; entries that begin with `@` are switched
        off), then `models` in `VFXSWAP_CACHE_DIR`, else in `vfxswap` of the user's cache folder (`XDG_CACHE_HOME`, else
        `~/.cache`).

        Args:
            card_files: The `models.toml` of each plugin. One in a folder of the store is read too.
            environ: The environment.

        Raises:
            UsageError: A card file is wrong, or two describe one name differently.
        """
        listed = environ.get("VFXSWAP_MODEL_PATH", "").split(os.pathsep)
        folders = [Path(entry).expanduser() for entry in listed if entry and not entry.startswith("@")]
        folders.append(cache_folder(environ) / "models")
        local = [folder / CARD_FILE for folder in folders if (folder / CARD_FILE).is_file()]
        return cls(folders, merged_cards([*card_files, *local]))

    def card(self, name: str) -> ModelCard:
        """The card of that name.

        Raises:
            ModelMissing: No plugin and no folder describes such a model; names the nearest.
        """
        if name in self.cards:
            return self.cards[name]
        near = difflib.get_close_matches(name, self.cards, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(self.cards)) or 'none'}"
        raise ModelMissing(f"no {CARD_FILE} describes a model {name!r}; {hint}")

    def find(self, name: str) -> Path | None:
        """Where the file is, unverified; None if in no folder.

        Raises:
            ModelMissing: There is no card of that name.
        """
        file = self.card(name).file
        return next((folder / file for folder in self.folders if (folder / file).is_file()), None)

    def path(self, name: str) -> Path:
        """Where the file is, verified by its sha256 (once for each file as it stands).

        Raises:
            ModelMissing: It is in no folder, or the first one found is not the pinned file; says what to do.
        """
        card, found = self.card(name), self.find(name)
        if found is None:
            raise ModelMissing(
                f"model {name!r} ({card.file}) is in none of the model folders ({self._listed()}); get it with:"
                f" vfxswap models pull {name}"
            )
        if problem := self._problem(card, found):
            raise ModelMissing(f"{problem}; get the right one with: vfxswap models pull {name}")
        return found

    def status(self) -> list[ModelStatus]:
        """Every model by name, and where it is; reads no file."""
        return [ModelStatus(self.cards[name], self.find(name)) for name in sorted(self.cards)]

    def verify(self) -> list[ModelStatus]:
        """The same, with every file that is there read and compared with its pinned sha256."""
        return [
            state if state.path is None else ModelStatus(state.card, state.path, self._problem(state.card, state.path))
            for state in self.status()
        ]

    def pull(self, name: str, *, progress: Progress | None = None, opener: OpenUrl | None = None) -> Path:
        """Downloads a model, unless the pinned file is there already.

        It goes to the first folder that can be written to. An interrupted download leaves a `.part` file there, and the
        next call goes on from it. The file appears under its name only when size and sha256 are right.

        Args:
            name: The model.
            progress: Is told how far it is, at least once.
            opener: Opens the request; None is urllib's, with https demanded of redirects too.

        Raises:
            ModelMissing: No folder can be written to, a person must take the file from a page, the server cannot be
                reached, it ended the download early, or sent another file than the pinned one; says what to do by hand.
            Retryable: Another process is downloading the same file.
        """
        card, found = self.card(name), self.find(name)
        if found is not None and not self._problem(card, found):
            return found
        folder = self._writable_folder(card)
        if card.by_hand:
            raise ModelMissing(
                f"model {name!r} is not downloaded by itself: take it from {card.url}, put it as {card.file} into"
                f" {folder}, and run vfxswap models verify"
            )
        if found is not None and self.folders.index(found.parent) < self.folders.index(folder):
            raise ModelMissing(f"{self._problem(card, found)}, and its folder cannot be written to; remove that file")
        part = folder / f"{card.file}.{card.sha256[:8]}.part"
        with _only_one(part):
            try:
                Download(card, part, progress or _silent, opener or open_url).run()
                part.replace(folder / card.file)
            finally:
                if part.exists() and not part.stat().st_size:
                    part.unlink()
        return folder / card.file

    def _writable_folder(self, card: ModelCard) -> Path:
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
            if os.access(folder, os.W_OK):
                return folder
        raise ModelMissing(
            f"no model folder can be written to ({self._listed()}); put {card.file} from {card.url} into one of them"
        )

    def _listed(self) -> str:
        return ", ".join(str(folder) for folder in self.folders) or "none; set VFXSWAP_MODEL_PATH"

    def _problem(self, card: ModelCard, path: Path) -> str:
        try:
            stat = path.stat()
            key = (path, stat.st_mtime_ns, stat.st_size)
            if key not in self._hashes:
                self._hashes[key] = file_sha256(path)
        except OSError as error:
            return f"{path} cannot be read: {error}"
        if self._hashes[key] == card.sha256:
            return ""
        return (
            f"{path} is not the pinned {card.file} of model {card.name!r}: its sha256 is {self._hashes[key]}, expected"
            f" {card.sha256}"
        )


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where vfxswap keeps what it can get again: `VFXSWAP_CACHE_DIR`, else `vfxswap` in the user's cache folder."""
    if own := environ.get("VFXSWAP_CACHE_DIR"):
        return Path(own).expanduser()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vfxswap"


def _silent(_done: int, _total: int) -> None:
    """The progress that nobody watches."""


@contextmanager
def _only_one(part: Path) -> Iterator[None]:
    """Holds a `.part` file for this process, since two that wrote to it would spoil it. Windows does not lock."""
    part.touch()
    if sys.platform == "win32":
        yield
        return
    with part.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            locked = False
        else:
            locked = part.exists()  # else the other process has just finished and moved it
        if not locked:
            raise Retryable(f"another process is downloading {part}; wait for it, then try again")
        yield
