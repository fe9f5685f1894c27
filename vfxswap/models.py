"""The model store: weights by name, pinned by sha256, with their licence.

A plugin describes the models that it loads in a `models.toml`; the files themselves lie in folders of the studio or the
user. Nothing is downloaded unless `ModelStore.pull` is called, and a file that is not the pinned one is refused.
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import tomli
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from vfxswap.errors import ModelMissing, Retryable, UsageError

if sys.platform != "win32":
    import fcntl

CARD_FILE = "models.toml"
"""Name of the file that holds model cards, in a plugin or in a folder of the store."""
_CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30.0


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or (host is not None and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return url
    raise ValueError(f"models are fetched by https only, not from {url!r}")


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
    url: Annotated[str, AfterValidator(_checked_url)] = Field(description="Where it is published; https.")
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


Progress = Callable[[int, int], None]
"""Is told the bytes that are there and the bytes that there will be."""
OpenUrl = Callable[[urllib.request.Request], Any]
"""Opens a request as `urllib.request.urlopen` does."""


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
            ModelMissing: No folder can be written to, the server cannot be reached, it ended the download early, or
                sent another file than the pinned one; says what to do by hand.
            Retryable: Another process is downloading the same file.
        """
        card, found = self.card(name), self.find(name)
        if found is not None and not self._problem(card, found):
            return found
        folder = self._writable_folder(card)
        if found is not None and self.folders.index(found.parent) < self.folders.index(folder):
            raise ModelMissing(f"{self._problem(card, found)}, and its folder cannot be written to; remove that file")
        part = folder / f"{card.file}.{card.sha256[:8]}.part"
        with _only_one(part):
            try:
                _Download(card, part, progress or _silent, opener or _open_url).run()
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


class _Download:
    """One download into a `.part` file; see `ModelStore.pull`."""

    def __init__(self, card: ModelCard, part: Path, progress: Progress, opener: OpenUrl) -> None:
        self.card, self.part, self.progress, self.opener = card, part, progress, opener

    def run(self) -> None:
        have = self.part.stat().st_size
        self.progress(min(have, self.card.size), self.card.size)
        if have < self.card.size:
            have = self._receive(have)
        if have < self.card.size:
            raise self._failed(f"the server ended it after {have} of {self.card.size} bytes")
        actual = "" if have > self.card.size else file_sha256(self.part)
        if actual != self.card.sha256:
            self.part.unlink()
            found = f"sha256 {actual}" if actual else f"more than {self.card.size} bytes"
            raise self._failed(f"the server sent another file ({found}, expected sha256 {self.card.sha256})")

    def _receive(self, have: int) -> int:
        """Appends what the server sends to the `have` bytes that are there; returns how many there are then."""
        headers = {"User-Agent": "vfxswap", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        request = urllib.request.Request(self.card.url, headers=headers)  # noqa: S310 - the card holds https only
        try:
            with self.opener(request) as response:
                resumed = response.status == HTTPStatus.PARTIAL_CONTENT and _range_start(response.headers) == have
                with self.part.open("ab") as file:
                    if not resumed:
                        file.truncate(0)
                    return self._append(response, file, have if resumed else 0)
        except HTTPError as error:
            error.close()
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self.part.unlink()  # the server's file is shorter than what is there: it is another file
            raise self._failed(str(error)) from error
        except (OSError, HTTPException) as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error

    def _append(self, response: IO[bytes], file: IO[bytes], have: int) -> int:
        while have <= self.card.size and (chunk := response.read(_CHUNK_BYTES)):
            file.write(chunk)
            have += len(chunk)
            self.progress(min(have, self.card.size), self.card.size)
        return have

    def _failed(self, what: str) -> ModelMissing:
        has_bytes = self.part.exists() and self.part.stat().st_size
        again = "run the command again to go on from there, or " if has_bytes else ""
        return ModelMissing(
            f"cannot download model {self.card.name!r} from {self.card.url}: {what}; {again}put that file as"
            f" {self.card.file} into {self.part.parent} by hand"
        )


def _range_start(headers: HTTPMessage) -> int | None:
    """First byte of `Content-Range: bytes 100-199/200` (RFC 9110 14.4)."""
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    start = rest.partition("-")[0]
    return int(start) if unit == "bytes" and start.isdigit() else None


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent from https to anything else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _checked_url(newurl)
        except ValueError as error:
            fp.close()
            raise ConnectionRefusedError(f"redirected; {error}") from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open_url(request: urllib.request.Request) -> Any:
    return urllib.request.build_opener(_HttpsOnly).open(request, timeout=_TIMEOUT_SECONDS)


def _silent(_done: int, _total: int) -> None:
    """The progress that nobody watches."""


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
