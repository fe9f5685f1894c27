"""The house: each module imports from its own floor or below, each library has its place, the core names no plugin.

Imports are read from the source, those inside functions and under TYPE_CHECKING too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from vfxswap.host import Host
from vfxswap.offers import PluginRecord

REPO = Path(__file__).resolve().parent.parent
CORE, PLUGINS = REPO / "vfxswap", REPO / "plugins" / "vfxswap_plugins"

FLOORS: dict[int, set[str]] = {
    0: {"errors", "clock", "color", "cryptomatte", "download", "files", "geometry", "alignment", "ocio"},
    1: {"nets", "ops"},
    2: {
        "analysis",
        "brief",
        "faceset",
        "frame",
        "hookspecs",
        "identity",
        "journal",
        "layers",
        "media",
        "modelfile",
        "models",
        "options",
        "report",
        "setting",
        "stage",
        "timeline",
        "trackfile",
        "trained",
        "weights",
    },
    3: {"discovery", "offers", "host", "pipeline"},
    4: {
        "assembly",
        "casting",
        "chunks",
        "conveyor",
        "coverage",
        "cutsearch",
        "crops",
        "delivered",
        "drivers",
        "facesets",
        "farm",
        "framekeys",
        "handover",
        "lab",
        "line",
        "nuke",
        "portraits",
        "recall",
        "record",
        "render",
        "score",
        "shots",
        "testing",
        "trackcast",
        "training",
        "verify",
        "workers",
    },
    5: {"cli"},
}
"""The floor of every module and package of `vfxswap`."""
WINGS: dict[str, set[str]] = {
    "cutsearch": set(),
    "facesets": set(),
    "farm": set(),
    "lab": set(),
    "nuke": set(),
    "score": set(),
    "shots": set(),
    "testing": set(),
    "training": {"facesets", "lab"},
}
"""What only the command line and itself may import, with the other wings that it may import."""
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}
PLUGIN_FLOOR = 2
"""The highest floor that plugins import."""

PLACES: dict[str, set[str]] = {
    "av": {"plugins"},
    "OpenImageIO": {"plugins", "lab"},  # the lab writes pictures that no plate was like, so no writer plugin is asked
    "OpenEXR": {"plugins"},
    "PyOpenColorIO": {"ocio"},
    "onnx": {"training"},
    "onnxruntime": {"plugins", "training"},  # what is exported is computed once
    "kornia": {"plugins", "ops", "lab", "score", "training"},
    "tensorboard": {"training"},
    "cv2": {"plugins", "ops", "faceset", "facesets", "lab", "testing", "workers"},
    "filelock": {"analysis"},
    "pluggy": {"hookspecs", "offers"},
    "typer": {"cli", "lab"},
    "rich": {"cli"},
    "pytest": {"testing"},
    "openjd": {"farm"},
    "ray": {"farm"},
    "yaml": {"farm"},
    "opentimelineio": {"timeline"},
}
"""Where a library may be imported."""
FIELD_WORDS = {"alpha", "dfm", "grain", "occlusion", "tracks"}
"""Names of stages that are words of the field too: channels and forms of files, what film shows, what hides a face, and
what follows one."""
HEAVY = ("torch", "cv2", "av", "kornia", "onnxruntime", "OpenImageIO", "PyOpenColorIO", "opentimelineio")


def imports(file: Path, package: str) -> Iterator[str]:
    """Full names of all modules that a file imports, relative ones resolved."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: -(node.level - 1) or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            # `from vfxswap import stage` names a module by its last word.
            yield from (f"{base}.{alias.name}" for alias in node.names) if base == "vfxswap" else (base,)


def sources(root: Path) -> Iterator[tuple[Path, str, str]]:
    """`(file, package that it is in, top-level name inside the root)` of all sources."""
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root.parent).with_suffix("").parts
        top = "" if len(parts) == 2 and parts[1] == "__init__" else parts[1]
        yield file, ".".join(parts[:-1]), top


def units(names: Iterator[str]) -> set[str]:
    """The top-level names inside `vfxswap` among imported modules; "" is the package itself."""
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == "vfxswap":
            found.add(parts[1] if len(parts) > 1 and parts[1] in FLOOR_OF else "")
    return found


def test_imports_are_read_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import os.path as p\nfrom vfxswap import stage, host\nfrom . import near\nfrom ..ops.warp import cut\n"
        "if TYPE_CHECKING:\n    from vfxswap.report import Report\ndef f():\n    import vfxswap.cli\n"
    )
    found = list(imports(file, "vfxswap.drivers"))
    assert found[:2] == ["os.path", "vfxswap.stage"]
    assert {"vfxswap.host", "vfxswap.drivers", "vfxswap.ops.warp", "vfxswap.report", "vfxswap.cli"} <= set(found)
    assert units(iter(found)) == {"stage", "host", "drivers", "ops", "report", "cli"}


def test_every_module_has_a_floor() -> None:
    there = {top for _, _, top in sources(CORE) if top and not top.startswith("_")}
    assert there - set(FLOOR_OF) == set(), "give them a floor in FLOORS, and in CONTRIBUTING.md"
    assert set(FLOOR_OF) - there == set(), "no longer there"


def test_modules_import_from_their_own_floor_or_below() -> None:
    wrong = [
        f"{file.relative_to(REPO)} (floor {FLOOR_OF[top]}) imports {other} (floor {FLOOR_OF[other]})"
        for file, package, top in sources(CORE)
        for other in units(imports(file, package)) - {""}
        if top and FLOOR_OF[other] > FLOOR_OF[top]
    ]
    assert wrong == []


def test_wings_are_imported_by_the_command_line_and_what_stands_on_them_alone() -> None:
    wrong = [
        f"{file.relative_to(REPO)} imports {other}"
        for file, package, top in sources(CORE)
        for other in units(imports(file, package)) & set(WINGS) - WINGS.get(top, set())
        if top not in {other, "cli"}
    ]
    assert wrong == []


def test_modules_do_not_import_in_circles() -> None:
    graph: dict[str, set[str]] = {}
    for file, package, top in sources(CORE):
        if top:
            graph.setdefault(top, set()).update(units(imports(file, package)) - {"", top})
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_plugins_import_the_contracts_and_not_one_another() -> None:
    wrong = []
    for file, package, top in sources(PLUGINS):
        names = list(imports(file, package))
        high = {unit for unit in units(iter(names)) if unit and FLOOR_OF[unit] > PLUGIN_FLOOR}
        # What one kind's package shares inside itself is its own affair; what all kinds share is private: `_onnx`.
        others = {name for name in names if name.startswith("vfxswap_plugins.") and not _shared(name, top)}
        wrong += [f"{file.relative_to(REPO)} imports {name}" for name in sorted(high | others)]
    assert wrong == []


def _shared(name: str, top: str) -> bool:
    inner = name.split(".")[1]
    return inner == top or inner.startswith("_")


def test_stages_do_not_import_stages() -> None:
    offered = {offer.load.partition(":")[0] for offer in own_plugin().stages}
    wrong = [
        f"{file.relative_to(REPO)} imports {name}"
        for file, package, _ in sources(PLUGINS)
        for name in imports(file, package)
        if name in offered
    ]
    assert wrong == []


def test_libraries_are_imported_in_their_places() -> None:
    wrong = []
    for root, inside in ((CORE, False), (PLUGINS, True)):
        for file, package, top in sources(root):
            for library in {name.split(".")[0] for name in imports(file, package)} & set(PLACES):
                place = "plugins" if inside else top
                wrong += [f"{file.relative_to(REPO)} imports {library}"] if place not in PLACES[library] else []
    assert wrong == []


def test_the_lowest_floor_needs_no_library_but_numpy_and_ocio() -> None:
    libraries = {
        name.split(".")[0]
        for file, package, top in sources(CORE)
        if FLOOR_OF.get(top) == 0
        for name in imports(file, package)
    }
    assert libraries - set(sys.stdlib_module_names) <= {"numpy", "vfxswap", "PyOpenColorIO"}


def test_ops_know_no_frames_files_or_settings() -> None:
    wrong = {
        f"{file.relative_to(REPO)} imports {name}"
        for file, package, top in sources(CORE)
        if top == "ops"
        for name in imports(file, package)
        if name.split(".")[0] in {"pathlib", "os", "io", "pydantic", "json"}
    }
    assert wrong == set()


@pytest.mark.parametrize(
    "module", ["hookspecs", "stage", "media", "models", "identity", "trackfile", "host", "pipeline"]
)
def test_contracts_and_host_load_nothing_heavy(module: str) -> None:
    code = f"import sys, vfxswap.{module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def own_plugin() -> PluginRecord:
    """The record of the first-party plugins."""
    return next(record for record in Host(environ={}).plugins if record.distribution == "vfxswap")


def words(file: Path) -> Iterator[tuple[int, str]]:
    """String constants of a file and their lines, docstrings left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def test_the_core_knows_no_plugin_by_name() -> None:
    names = {offer.name for offer in own_plugin().stages} - FIELD_WORDS | {"vfxswap_plugins", "vfxswap-plugins"}
    wrong = [
        f"{file.relative_to(REPO)}:{line} says {word!r}"
        for file, _, _ in sources(CORE)
        for line, word in words(file)
        if word in names or "vfxswap_plugins" in word
    ]
    assert wrong == []
