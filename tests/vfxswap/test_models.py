"""The model store: finding, pinning, downloading from a server that behaves and from ones that do not."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vfxswap.errors import ExitCode, ModelMissing, Retryable, UsageError
from vfxswap.models import ModelCard, ModelStore, cache_folder, merged_cards, read_cards

if sys.platform != "win32":
    import fcntl

WEIGHTS = bytes(range(256)) * 4096  # 1 MiB, several chunks


def a_card(url: str = "https://example.org/net.onnx", data: bytes = WEIGHTS, **changes: Any) -> ModelCard:
    facts: dict[str, Any] = {
        "name": "net",
        "file": "net.onnx",
        "url": url,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "licence": "MIT",
        "commercial": True,
        "title": "a net",
        "source": "trained on nothing",
    }
    return ModelCard(**(facts | changes))


def toml_of(card: ModelCard) -> str:
    facts = card.model_dump(exclude={"name"})
    lines = [
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in facts.items()
    ]
    return "\n".join([f"[models.{card.name}]", *lines, ""])


def a_store(tmp_path: Path, card: ModelCard | None = None) -> ModelStore:
    return ModelStore([tmp_path / "models"], {"net": card or a_card()})


@dataclass
class Behaviour:
    """How the server behaves, and what it was asked."""

    data: bytes = WEIGHTS
    cut_after: int | None = None
    honours_range: bool = True
    status: int = 200
    redirect: str = ""
    ranges: list[str | None] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    behaviour: ClassVar[Behaviour]

    def do_GET(self) -> None:
        how, wanted = self.behaviour, self.headers.get("Range")
        how.ranges.append(wanted)
        if how.redirect or how.status != 200:
            self.send_response(302 if how.redirect else how.status)
            self.send_header("Location", how.redirect)
            self.end_headers()
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and how.honours_range else 0
        if start >= len(how.data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(how.data) - 1}/{len(how.data)}")
        self.send_header("Content-Length", str(len(how.data) - start))
        self.end_headers()
        self.wfile.write(how.data[start : how.cut_after])

    def log_message(self, *_: object) -> None:
        """Keeps quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Behaviour]]:
    """A server on loopback: its address and its behaviour."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    behaviour = Behaviour()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/net.onnx", behaviour
        http.shutdown()
        thread.join()


def test_a_pull_gives_the_pinned_file_and_tells_its_progress(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    url, behaviour = server
    store, told = a_store(tmp_path, a_card(url)), list[tuple[int, int]]()
    path = store.pull("net", progress=lambda done, total: told.append((done, total)))
    assert path == tmp_path / "models" / "net.onnx"
    assert path.read_bytes() == WEIGHTS
    assert store.path("net") == path
    assert told[0] == (0, len(WEIGHTS))
    assert told[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert told == sorted(told)
    assert [entry.name for entry in path.parent.iterdir()] == ["net.onnx"]
    store.pull("net")
    assert behaviour.ranges == [None], "what is there is not fetched again"


def test_an_interrupted_pull_goes_on_where_it_stopped(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    url, behaviour = server
    store = a_store(tmp_path, a_card(url))
    behaviour.cut_after = 600_000
    with pytest.raises(ModelMissing, match=r"run the command again to go on from there"):
        store.pull("net")
    (part,) = (tmp_path / "models").iterdir()
    assert part.suffix == ".part"
    assert part.read_bytes() == WEIGHTS[:600_000]
    assert store.find("net") is None
    behaviour.cut_after = None
    assert store.pull("net").read_bytes() == WEIGHTS
    assert behaviour.ranges == [None, "bytes=600000-"]
    assert not part.exists()


def test_a_server_that_ignores_ranges_starts_anew(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    url, behaviour = server
    store = a_store(tmp_path, a_card(url))
    behaviour.cut_after = 600_000
    with pytest.raises(ModelMissing):
        store.pull("net")
    behaviour.cut_after, behaviour.honours_range = None, False
    assert store.pull("net").read_bytes() == WEIGHTS
    assert behaviour.ranges[-1] == "bytes=600000-"


def test_a_whole_part_is_not_fetched_again(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    url, behaviour = server
    card = a_card(url)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"net.onnx.{card.sha256[:8]}.part").write_bytes(WEIGHTS)
    assert a_store(tmp_path, card).pull("net").read_bytes() == WEIGHTS
    assert behaviour.ranges == []


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (WEIGHTS[:-1] + b"x", "the server sent another file"),
        (WEIGHTS + b"more", f"more than {len(WEIGHTS)} bytes"),
    ],
)
def test_another_file_is_thrown_away(
    tmp_path: Path, server: tuple[str, Behaviour], served: bytes, message: str
) -> None:
    url, behaviour = server
    behaviour.data = served
    card = a_card(url)
    with pytest.raises(ModelMissing, match=message) as caught:
        a_store(tmp_path, card).pull("net")
    assert card.sha256 in str(caught.value)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_shorter_file_is_told_apart_from_a_broken_line(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    url, behaviour = server
    behaviour.data = WEIGHTS[:1000]
    store = a_store(tmp_path, a_card(url))
    with pytest.raises(ModelMissing, match="ended it after 1000 of"):
        store.pull("net")
    with pytest.raises(ModelMissing, match="416"):
        store.pull("net")
    assert list((tmp_path / "models").iterdir()) == []


def test_what_the_server_says_is_passed_on(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    url, behaviour = server
    behaviour.status = 404
    with pytest.raises(ModelMissing, match=r"404.*put that file as net.onnx into .*models by hand") as caught:
        a_store(tmp_path, a_card(url)).pull("net")
    assert url in str(caught.value)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_server_that_is_not_there(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    url = server[0].replace(server[0].split(":")[2].split("/")[0], "1")
    with pytest.raises(ModelMissing, match=r"cannot download model 'net'.*refused.*by hand"):
        a_store(tmp_path, a_card(url)).pull("net")


def test_a_redirect_does_not_leave_https(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    url, behaviour = server
    behaviour.redirect = "http://example.org/net.onnx"
    with pytest.raises(ModelMissing, match="by https only"):
        a_store(tmp_path, a_card(url)).pull("net")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not lock")
def test_one_process_downloads_at_a_time(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    card = a_card(server[0])
    part = tmp_path / "models" / f"net.onnx.{card.sha256[:8]}.part"
    part.parent.mkdir()
    with part.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Retryable, match="another process is downloading"):
            a_store(tmp_path, card).pull("net")


def test_a_pull_replaces_a_wrong_file(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.onnx").write_bytes(b"not it")
    store = a_store(tmp_path, a_card(server[0]))
    assert store.pull("net").read_bytes() == WEIGHTS
    assert store.path("net").read_bytes() == WEIGHTS


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_wrong_file_in_a_locked_folder_is_named(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "net.onnx").write_bytes(b"not it")
    locked.chmod(0o555)
    store = ModelStore([locked, tmp_path / "own"], {"net": a_card(server[0])})
    with pytest.raises(ModelMissing, match="remove that file"):
        store.pull("net")


def test_what_a_person_must_take_from_a_page_is_not_downloaded(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    card = a_card(server[0], by_hand=True)
    store = a_store(tmp_path, card)
    with pytest.raises(ModelMissing, match=f"take it from {re.escape(card.url)}, put it as net.onnx into .*models"):
        store.pull("net")
    assert list((tmp_path / "models").iterdir()) == []
    (tmp_path / "models" / "net.onnx").write_bytes(WEIGHTS)
    assert store.pull("net") == tmp_path / "models" / "net.onnx"


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ModelStore([tmp_path / "file" / "models"], {"net": a_card()})
    with pytest.raises(
        ModelMissing, match=r"no model folder can be written to .*put net.onnx from https://example.org"
    ):
        store.pull("net")


def test_the_default_opener_is_not_needed(tmp_path: Path, server: tuple[str, Behaviour]) -> None:
    asked: list[str] = []

    def opener(request: urllib.request.Request) -> Any:
        asked.append(request.full_url)
        return urllib.request.urlopen(request, timeout=5)

    a_store(tmp_path, a_card(server[0])).pull("net", opener=opener)
    assert asked == [server[0]]


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    store = ModelStore([tmp_path / "a", tmp_path / "b"], {"net": a_card()})
    assert store.find("net") is None
    with pytest.raises(ModelMissing) as caught:
        store.path("net")
    text = str(caught.value)
    assert all(
        part in text for part in ("net.onnx", str(tmp_path / "a"), str(tmp_path / "b"), "vfxswap models pull net")
    )
    assert caught.value.exit_code is ExitCode.MISSING


def test_an_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="did you mean 'net'"):
        a_store(tmp_path).path("nett")
    with pytest.raises(ModelMissing, match="known: none"):
        ModelStore([], {}).find("net")


def test_a_file_that_is_not_the_pinned_one_is_refused_even_after_a_good_look(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    file, store = tmp_path / "models" / "net.onnx", a_store(tmp_path)
    file.write_bytes(WEIGHTS)
    assert store.path("net") == file
    file.write_bytes(b"tampered")
    with pytest.raises(ModelMissing) as caught:
        store.path("net")
    assert hashlib.sha256(b"tampered").hexdigest() in str(caught.value)
    assert a_card().sha256 in str(caught.value)


def test_a_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.onnx").write_bytes(WEIGHTS)
    digest, calls = hashlib.file_digest, list[str]()

    def counted(file: Any, name: str) -> Any:
        calls.append(name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    store = a_store(tmp_path)
    store.path("net")
    store.path("net")
    assert calls == ["sha256"]


def test_the_first_folder_wins_and_what_is_switched_off_is_skipped(tmp_path: Path) -> None:
    for name in ("off", "one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.onnx").write_bytes(WEIGHTS)
    (tmp_path / "cards.toml").write_text(toml_of(a_card()))
    entries = [f"@{tmp_path / 'off'}", "", str(tmp_path / "one"), str(tmp_path / "two")]
    environ = {"VFXSWAP_MODEL_PATH": os.pathsep.join(entries), "VFXSWAP_CACHE_DIR": str(tmp_path / "cache")}
    store = ModelStore.from_environment([tmp_path / "cards.toml"], environ=environ)
    assert store.folders == (tmp_path / "one", tmp_path / "two", tmp_path / "cache" / "models")
    assert store.path("net") == tmp_path / "one" / "net.onnx"


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder({"VFXSWAP_CACHE_DIR": "/c"}) == Path("/c")
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/vfxswap")
    assert cache_folder({}) == Path("/home/somebody/.cache/vfxswap")


def test_a_folder_may_bring_its_own_cards(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(toml_of(a_card()))
    store = ModelStore.from_environment([], environ={"VFXSWAP_MODEL_PATH": str(tmp_path)})
    assert store.card("net") == a_card()


def test_two_different_cards_of_one_name_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(toml_of(a_card()))
    two.write_text(toml_of(a_card(licence="GPL-3.0-only")))
    assert merged_cards([one, one]) == {"net": a_card()}
    with pytest.raises(UsageError, match=r"'net' is described differently by .*one.toml and .*two.toml"):
        merged_cards([one, two])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models.net", "cannot read the model cards"),
        ("[weights.net]", r"may hold \[models.NAME\] tables only, found weights"),
        ("[models]\nnet = 1", "models.net must be a table"),
        ("[models.net]\nfile = 'net.onnx'", "url: Field required"),
        (toml_of(a_card()).replace("https", "http"), "fetched by https only"),
        (toml_of(a_card()).replace("https://example.org", "file:///etc"), "fetched by https only"),
        (toml_of(a_card()).replace("'net.onnx'", "'../net.onnx'"), "bare name"),
        (toml_of(a_card()).replace("'net.onnx'", "'models.toml'"), "bare name"),
        (toml_of(a_card()).replace("size = ", "size = 0."), "size"),
        (toml_of(a_card()).replace(a_card().sha256, "abc"), "sha256"),
        (toml_of(a_card()) + "colour = 'red'", "colour: Extra inputs"),
    ],
)
def test_a_wrong_card_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_cards(path)
    assert str(path) in str(caught.value)


def test_status_reads_no_file_and_verify_reads_all(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "net.onnx").write_bytes(WEIGHTS)
    (folder / "bad.onnx").write_bytes(b"bad")
    cards = {name: a_card(name=name, file=f"{name}.onnx") for name in ("net", "bad", "gone")}
    store = ModelStore([folder], cards)
    assert [(state.card.name, state.path is not None, state.ok) for state in store.status()] == [
        ("bad", True, True),
        ("gone", False, False),
        ("net", True, True),
    ]
    assert [(state.card.name, state.ok) for state in store.verify()] == [("bad", False), ("gone", False), ("net", True)]
    assert "its sha256 is" in store.verify()[0].problem
