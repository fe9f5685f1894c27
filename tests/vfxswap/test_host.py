"""The host: every road to a plugin, every way a plugin can be wrong, and who is blamed."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import pytest

from vfxswap.errors import ExitCode, PluginError
from vfxswap.hookspecs import API_VERSION, StageKind
from vfxswap.host import Host
from vfxswap.stage import KINDS, ColorMatch

HEAD = """
from pathlib import Path
from vfxswap.hookspecs import API_VERSION, MediaOffer, StageOffer, hookimpl

@hookimpl
def vfxswap_api():
    return API_VERSION
"""
WARM = """
@hookimpl
def vfxswap_stages():
    return [StageOffer("warm", "color", f"{__name__}:Warm", "a warmer face", "MIT")]

def __getattr__(name):
    if name != "Warm":
        raise AttributeError(name)
    from vfxswap.stage import ColorMatch, ColorMatchOptions
    class Warm(ColorMatch[ColorMatchOptions]):
        Options = ColorMatchOptions
        def fit(self, swapped, plate, matte):
            return lambda colors: colors
    return Warm
"""

Folder = Callable[..., Path]
Install = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes a plugin folder: `folder(warm=CODE)` writes warm.py."""

    def make(at: str = "plugins", **files: str) -> Path:
        place = tmp_path / at
        place.mkdir(exist_ok=True)
        for name, code in files.items():
            (place / f"{name}.py").write_text(HEAD + code)
        return place

    return make


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with one plugin on the path, as pip would: `install("studio-grade", "warm", CODE)`."""

    def make(distribution: str, name: str, code: str, version: str = "2.1") -> None:
        site, module = tmp_path / "site", f"{distribution}_{name}".replace("-", "_")
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[vfxswap]\n{name} = {module}\n")
        (site / f"{module}.py").write_text(code)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return make


def host_of(*folders: Path, **environ: str) -> Host:
    """A host that sees these folders, installed plugins, and nothing else of the environment."""
    return Host(plugin_path=folders, environ=environ)


def test_the_kinds_of_offers_are_the_kinds_of_stages() -> None:
    assert set(get_args(StageKind)) == set(KINDS)


def test_a_plugin_in_a_folder_is_usable(folder: Folder) -> None:
    place = folder(warm=WARM)
    host = host_of(place)
    stage = host.stage_class("warm")
    assert issubclass(stage, ColorMatch)
    assert host.stages["warm"].offer.licence == "MIT"
    assert host.owner("warm") == f"warm ({place})"
    assert host.stages["warm"].plugin.location == str(place / "warm.py")


def test_an_installed_plugin_is_usable_and_named_with_its_version(install: Install) -> None:
    install("studio-grade", "grade", HEAD + WARM)
    host = host_of()
    assert issubclass(host.stage_class("warm"), ColorMatch)
    assert host.owner("warm") == "grade (studio-grade 2.1)"


def test_first_party_plugins_come_by_the_same_road() -> None:
    (entry,) = (entry for entry in entry_points(group="vfxswap") if entry.dist and entry.dist.name == "vfxswap")
    (record,) = (record for record in host_of().plugins if record.distribution == "vfxswap")
    assert (record.name, record.error) == (entry.name, None)
    assert {offer.name for offer in record.stages} <= set(host_of().stages)


def test_a_package_in_a_folder_loads_its_own_submodules(folder: Folder) -> None:
    place = folder()
    package = place / "grade"
    package.mkdir()
    (package / "__init__.py").write_text(HEAD + WARM.replace('f"{__name__}:Warm"', '".warm:Warm"'))
    (package / "warm.py").write_text(
        "from .names import TITLE\n" + WARM.partition("def __getattr__")[1] + WARM[WARM.index("(name)") :]
    )
    (package / "names.py").write_text("TITLE = 'Warm'\n")
    assert host_of(place).stage_class("warm").__name__ == "Warm"


def test_files_that_are_no_plugins_are_skipped(folder: Folder) -> None:
    place = folder(_helper="raise SystemExit(1)")
    (place / ".hidden.py").write_text("raise SystemExit(1)")
    (place / "notes.txt").write_text("no plugin")
    (place / "assets").mkdir()
    assert not [record for record in host_of(place).plugins if record.distribution == str(place)]


def test_folders_come_from_the_environment_too(folder: Folder, tmp_path: Path) -> None:
    first, second, third = folder("a", warm=WARM), folder("b", warm=WARM), folder("c", other="")
    host = host_of(first, VFXSWAP_PLUGIN_PATH=f"@{second}:{third}::{first}")
    assert [record.name for record in host.plugins if record.distribution.startswith(str(tmp_path))] == [
        "warm",
        "other",
    ]
    assert "warm" in host.stages


def test_a_missing_folder_is_listed(tmp_path: Path) -> None:
    (record,) = (record for record in host_of(tmp_path / "gone").plugins if record.error)
    assert record.error == f"the plugin path names {tmp_path / 'gone'}, but there is no such folder"


def test_loading_can_be_restricted_by_name(folder: Folder) -> None:
    host = host_of(folder(warm=WARM, cold="raise RuntimeError"), VFXSWAP_LOAD_PLUGINS="warm, absent")
    assert [record.name for record in host.plugins] == ["warm", "absent"]
    assert host.plugins[1].error == "VFXSWAP_LOAD_PLUGINS names it, but it is not there"
    assert host_of(VFXSWAP_LOAD_PLUGINS="").plugins == ()


def test_two_hosts_load_a_folder_each_for_itself(folder: Folder) -> None:
    place = folder(warm=WARM)
    assert host_of(place).stage_class("warm") is not host_of(place).stage_class("warm")


BROKEN = {
    "raise ImportError('no licence server')": "ImportError: no licence server",
    "import sys; sys.exit(3)": "SystemExit: 3",
    "def f(:": "SyntaxError",
    "@hookimpl\ndef vfxswap_stages(): return StageOffer('a', 'matte', 'm:A')": "must return a list of StageOffer",
    "@hookimpl\ndef vfxswap_stages(): return ['a']": "vfxswap_stages must return a list of StageOffer, got ['a']",
    "@hookimpl\ndef vfxswap_stages(): raise KeyError('x')": "KeyError: 'x'",
    "@hookimpl\ndef vfxswap_stages(): return [StageOffer('Big Name', 'matte', 'm:A')]": "'Big Name' must be lower case",
    "@hookimpl\ndef vfxswap_stages(): return [StageOffer('a', 'mate', 'm:A')]": "is of kind 'mate'; allowed: detector",
    "@hookimpl\ndef vfxswap_stages(): return [StageOffer('a', 'matte', 'm.A')]": "must be 'package.module:ClassName'",
    "@hookimpl\ndef vfxswap_stages(): return [StageOffer('a', 'matte', 'm:A')] * 2": "'a' is offered twice",
    "@hookimpl\ndef vfxswap_readers(): return [MediaOffer('a', 'm:A', 'mov')]": "must be a tuple such as",
    "@hookimpl\ndef vfxswap_models(): return [Path('/nowhere/models.toml')]": "there is no such file",
    "@hookimpl\ndef vfxswap_stagez(): return []": "no hook 'vfxswap_stagez'; did you mean 'vfxswap_stages'?",
    "@hookimpl\ndef on_frame(frame): pass": "there is no hook 'on_frame'",
    "def vfxswap_stages(): return []": "'vfxswap_stages' is not marked; put @hookimpl",
    "@hookimpl\ndef vfxswap_frame_done(picture): pass": "Argument(s) {'picture'}",
    "@hookimpl\ndef vfxswap_api(): return (99, 0)": "it is written for plugin API 99.0",
    f"@hookimpl\ndef vfxswap_api(): return ({API_VERSION[0]}, {API_VERSION[1] + 1})": "the lower",
    "@hookimpl\ndef vfxswap_api(): return '1.0'": "must return two whole numbers",
    "del vfxswap_api": "it has no hook vfxswap_api",
}


@pytest.mark.parametrize(("code", "reason"), BROKEN.items())
def test_a_broken_plugin_is_listed_with_its_reason_and_stops_no_other(
    folder: Folder, recwarn: pytest.WarningsRecorder, code: str, reason: str
) -> None:
    host = host_of(folder(bad=code, warm=WARM))
    (record,) = (record for record in host.plugins if record.name == "bad")
    assert record.error is not None
    assert reason in record.error
    assert [*record.stages, *record.readers, *record.writers, *record.models] == []
    assert issubclass(host.stage_class("warm"), ColorMatch)


def test_a_traceback_shows_the_plugin_and_nothing_of_the_host(folder: Folder) -> None:
    (record,) = (r for r in host_of(folder(bad="def f():\n    raise OSError('x')\nf()")).plugins if r.error)
    assert record.error is not None
    assert f'{record.location}", line' in record.error
    assert record.error.count("File ") == 2
    assert "importlib" not in record.error


def test_a_traceback_shows_what_a_hook_raised(folder: Folder) -> None:
    (record,) = (r for r in host_of(folder(bad="@hookimpl\ndef vfxswap_models(): return 1 / 0")).plugins if r.error)
    assert record.error is not None
    assert record.error.count("File ") == 1
    assert "return 1 / 0" in record.error


def test_a_broken_installed_plugin_is_blamed_by_distribution(install: Install) -> None:
    install("studio-grade", "grade", "import studio_secret")
    (record,) = (record for record in host_of().plugins if record.error)
    assert record.owner == "grade (studio-grade 2.1)"
    assert "No module named 'studio_secret'" in str(record.error)


def test_a_name_of_two_owners_belongs_to_neither(folder: Folder, install: Install) -> None:
    install("studio-grade", "grade", HEAD + WARM)
    extra = WARM.replace("return [", 'return [StageOffer("cold", "color", f"{__name__}:Warm"), ')
    place = folder(warm=extra)
    host = host_of(place)
    assert "warm" not in host.stages
    (clash,) = host.clashes
    assert [record.owner for record in clash.owners] == ["grade (studio-grade 2.1)", f"warm ({place})"]
    for use in (host.stage_class, host.owner):
        with pytest.raises(PluginError, match=r"'warm' is offered by grade \(studio-grade 2.1\) and warm"):
            use("warm")
    assert issubclass(host.stage_class("cold"), ColorMatch)


def test_two_plugins_of_one_name_are_both_there(folder: Folder) -> None:
    cold = WARM.replace('"warm"', '"cold"')
    host = host_of(folder("a", grade=WARM), folder("b", grade=cold))
    assert {"warm", "cold"} <= set(host.stages)


def test_an_unknown_stage_is_answered_with_the_nearest_name(folder: Folder) -> None:
    host = host_of(folder(warm=WARM, bad="raise OSError"))
    with pytest.raises(PluginError, match=r"no stage 'worm'; did you mean 'warm'\?.*broken plugin: bad \(") as caught:
        host.stage_class("worm")
    assert caught.value.exit_code is ExitCode.MISSING


UNUSABLE = {
    "nowhere.at_all:Warm": "No module named 'nowhere'",
    ":Absent": "AttributeError",
    ":Path": "must be a class that derives from vfxswap.stage.ColorMatch",
    ":vfxswap_api": "must be a class that derives",
    ":Half": "it must override fit",
    ":Loose": "its Options must derive from vfxswap.stage.ColorMatchOptions",
}


@pytest.mark.parametrize(("load", "reason"), UNUSABLE.items())
def test_a_class_that_is_not_what_was_offered_is_refused(folder: Folder, load: str, reason: str) -> None:
    classes = """
        from vfxswap.stage import ColorMatch
        class Half(ColorMatch): pass
        class Loose(ColorMatch):
            Options = dict
            def fit(self, swapped, plate, matte): return None
    """
    place = folder(warm=WARM.replace('f"{__name__}:Warm"', repr(load)) + textwrap.dedent(classes))
    with pytest.raises(PluginError, match="plugin warm") as caught:
        host_of(place).stage_class("warm")
    assert reason in str(caught.value)
    assert caught.value.plugin == "warm"


READER = """
@hookimpl
def vfxswap_readers():
    return [MediaOffer("NAME", f"{__name__}:Raw", (".raw", ".dat"))]

from vfxswap.media import Reader

class Raw(Reader):
    @classmethod
    def can_read(cls, path): return "WORD" in path.name
    def __init__(self, path): pass
    @property
    def info(self): raise NotImplementedError
    def frames(self, first, last): return iter(())
    def close(self): pass
"""


def reader(name: str, word: str) -> str:
    """A plugin with a reader of .raw files that have a word in their names."""
    return READER.replace("NAME", name).replace("WORD", word)


def test_a_reader_is_found_by_suffix_and_name(folder: Folder) -> None:
    host = host_of(folder(a=reader("one", "left"), b=reader("two", "right")))
    assert host.reader_for(Path("/p/left.RAW")).__module__.endswith("_a")
    assert host.reader_for(Path("right.dat")).__module__.endswith("_b")


def test_a_file_that_no_reader_takes_is_answered_with_the_suffixes_known(folder: Folder) -> None:
    host = host_of(folder(a=reader("one", "left")))
    with pytest.raises(PluginError, match=r"no reader takes 'x.zzz'; suffixes known: .*\.raw"):
        host.reader_for(Path("x.zzz"))
    with pytest.raises(PluginError, match=r"no reader takes 'x.raw' \(reader 'one' does not take such a name\)"):
        host.reader_for(Path("x.raw"))
    with pytest.raises(PluginError, match=r"no writer takes 'left.raw'"):
        host.writer_for(Path("left.raw"))


def test_a_file_that_two_readers_take_is_refused(folder: Folder) -> None:
    host = host_of(folder(a=reader("one", "left"), b=reader("two", "le")))
    with pytest.raises(PluginError, match=r"several readers take left.raw: 'one' of a \(.*\) and 'two' of b"):
        host.reader_for(Path("left.raw"))
    host = host_of(folder("other", a=reader("one", "left"), b=reader("one", "right")))
    with pytest.raises(PluginError, match=r"reader 'one' is offered by a \(.*\) and b"):
        host.reader_for(Path("left.raw"))


def test_model_cards_are_those_of_all_plugins(folder: Folder) -> None:
    cards = "@hookimpl\ndef vfxswap_models(): return [Path(__file__).with_suffix('.toml')]"
    place = folder(a=cards, b=cards)
    (place / "a.toml").touch()
    (place / "b.toml").touch()
    assert host_of(place).model_cards()[-2:] == [place / "a.toml", place / "b.toml"]


WATCH = """
seen = []
@hookimpl
def vfxswap_shot_started(pipeline, first, last):
    seen.append((pipeline, first, last))
    (Path(__file__).parent / "seen.txt").write_text(str(seen))
"""


def test_watchers_are_told_and_one_that_fails_stops_none(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    bad = "@hookimpl\ndef vfxswap_shot_started(): raise OSError('tracker is down')"
    place = folder(a=bad, b=WATCH)
    with caplog.at_level(logging.WARNING):
        failures = host_of(place).notify("vfxswap_shot_started", pipeline="x.toml", first=1001, last=1010)
    assert failures == [f"vfxswap_shot_started of plugin a ({place}) failed: OSError: tracker is down"]
    assert failures[0] in caplog.text
    assert (place / "seen.txt").read_text() == "[('x.toml', 1001, 1010)]"


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("vfxswap_shot_started", {"pipeline": "x.toml", "first": 1001, "last": 1010}),
        ("vfxswap_frame_done", {"frame": 1001}),
        ("vfxswap_shot_finished", {"report": "done"}),
    ],
)
def test_watchers_take_what_arguments_they_like(folder: Folder, hook: str, arguments: dict[str, object]) -> None:
    last = list(arguments)[-1]
    none = f"@hookimpl\ndef {hook}(): raise OSError('none')"
    one = f"@hookimpl\ndef {hook}({last}): raise OSError({last})"
    failures = host_of(folder(none=none, one=one)).notify(hook, **arguments)
    assert [text.rpartition(": ")[2] for text in failures] == ["none", str(arguments[last])]


def test_listing_plugins_imports_nothing_heavy() -> None:
    code = "import sys, vfxswap.host as h; h.Host(environ={}); print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["torch", "cv2", "av", "kornia", "numpy", "pydantic", "onnxruntime", "OpenImageIO"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
