"""Downloads that go on where they were broken off, and bring the pinned file or none."""

from __future__ import annotations

import ipaddress
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit

from vfxswap.errors import ModelMissing
from vfxswap.files import file_sha256

_CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30.0

Progress = Callable[[int, int], None]
"""Is told the bytes that are there and the bytes that there will be."""
OpenUrl = Callable[[urllib.request.Request], Any]
"""Opens a request as `urllib.request.urlopen` does."""


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or (host is not None and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def checked_url(url: str) -> str:
    """The address, if files may be fetched from it.

    Raises:
        ValueError: It is neither https nor this machine's own.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return url
    raise ValueError(f"models are fetched by https only, not from {url!r}")


class Published(Protocol):
    """A file that can be downloaded."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def file(self) -> str:
        """Its name."""

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def sha256(self) -> str:
        """Of its bytes, in lower-case hex."""

    @property
    def size(self) -> int:
        """Bytes."""


class Download:
    """One download into a `.part` file, which is there; an earlier one is gone on with."""

    def __init__(self, card: Published, part: Path, progress: Progress, opener: OpenUrl) -> None:
        self.card, self.part, self.progress, self.opener = card, part, progress, opener

    def run(self) -> None:
        """Makes the file whole.

        Raises:
            ModelMissing: The server cannot be reached, ended it early, or sent another file; says what to do by hand.
        """
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
            checked_url(newurl)
        except ValueError as error:
            fp.close()
            raise ConnectionRefusedError(f"redirected; {error}") from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_url(request: urllib.request.Request) -> Any:
    """Opens a request; one for https is never sent on to anything else."""
    return urllib.request.build_opener(_HttpsOnly).open(request, timeout=_TIMEOUT_SECONDS)
