"""The public surface: an inventory that is checked in, docstrings everywhere, and a command line that starts at once.

Run this file as a program to write the inventory anew, then look at the difference.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPO = Path(__file__).resolve().parent.parent
INVENTORY = Path(__file__).with_name("public_surface.json")
MODULES = (
    "vfxswap",
    *(
        f"vfxswap.{name}"
        for name in (
            *("errors", "clock", "color", "geometry", "frame", "media", "stage", "models", "identity", "hookspecs"),
            *("alignment", "brief", "faceset", "files", "modelfile", "options", "trained", "weights"),
            *("trackfile", "report", "host", "testing"),
        )
    ),
)
"""What plugins and embedders may import, besides `vfxswap.ops`."""
HEAVY = ("torch", "cv2", "av", "kornia", "onnxruntime", "OpenImageIO", "numpy")


def surface() -> dict[str, dict[str, Any]]:
    """Every public name of every public module: signatures of functions, members of classes."""
    ops = importlib.import_module("vfxswap.ops")
    names = [*MODULES, *(f"vfxswap.ops.{found.name}" for found in pkgutil.iter_modules(ops.__path__))]
    return {name: dict(described(importlib.import_module(name))) for name in names}


def described(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public names of a module: those in `__all__`, else those that it defines."""
    stated = getattr(module, "__all__", None)
    defined = inspect.get_annotations(module) if stated is None else {}
    for name in sorted(stated if stated is not None else {*vars(module), *defined}):
        value = getattr(module, name)
        if name.startswith("_") and stated is None:
            continue
        if stated is None and (isinstance(value, ModuleType) or _is_imported(module, name, value)):
            continue
        yield name, _form(value)


def _is_imported(module: ModuleType, name: str, value: object) -> bool:
    home = getattr(value, "__module__", None)
    if inspect.isclass(value) or inspect.isfunction(value):
        return home != module.__name__
    assigned = {
        target.id
        for node in ast.parse(inspect.getsource(module)).body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    return name not in assigned


def _form(value: object) -> Any:
    if inspect.isclass(value):
        return sorted(_members(value))
    if inspect.isfunction(value):
        return _signature(value)
    return "value"


def _signature(function: Callable[..., object]) -> str:
    """Names, types and order; that there is a default, not which: it may be the machine's own, such as `os.environ`."""
    signature = inspect.signature(function)
    blank = [
        parameter if parameter.default is parameter.empty else parameter.replace(default=...)
        for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=blank)).replace("'", "").replace("Ellipsis", "...")


def _members(kind: type) -> set[str]:
    """What a class itself says, without what Python, pydantic and enumerations add."""
    own = {name for name in vars(kind) if not name.startswith("_") and name != "model_config"}
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    return own | fields | {name for name in inspect.get_annotations(kind) if not name.startswith("_")}


def test_the_surface_is_as_checked_in() -> None:
    stored = json.loads(INVENTORY.read_text(encoding="utf-8"))
    assert surface() == stored, "if this is meant: python tests/test_public_surface.py, and say so in CHANGELOG.md"


def test_what_is_exported_can_be_had() -> None:
    for name in MODULES:
        module = importlib.import_module(name)
        assert [word for word in getattr(module, "__all__", ()) if not hasattr(module, word)] == []


def test_no_other_name_is_in_the_package() -> None:
    package = importlib.import_module("vfxswap")
    with pytest.raises(AttributeError, match="has no attribute 'swap'"):
        package.swap  # noqa: B018 - looking is what is tested


def undocumented(file: Path) -> Iterator[str]:
    """Public modules, classes, functions and methods without a docstring."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if ast.get_docstring(tree) is None:
        yield str(file)
    bodies: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    while bodies:
        prefix, body = bodies.pop()
        for node in body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name[0] == "_":
                continue
            overloaded = any(
                "overload" in ast.unparse(mark) or ".setter" in ast.unparse(mark) for mark in node.decorator_list
            )
            if ast.get_docstring(node) is None and not overloaded:
                yield f"{file}:{node.lineno} {prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                bodies.append((f"{prefix}{node.name}.", node.body))


def test_every_public_name_has_a_docstring() -> None:
    files = [*(REPO / "vfxswap").rglob("*.py"), *(REPO / "plugins" / "vfxswap_plugins").rglob("*.py")]
    assert [text for file in sorted(files) for text in undocumented(file)] == []


@pytest.mark.parametrize("words", [["--help"], ["plugins"], ["run", "--help"], ["check", "--help"]], ids=" ".join)
def test_the_command_line_starts_without_the_heavy_libraries(words: list[str]) -> None:
    code = (
        "import sys; from vfxswap.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, vfxswap; print(sorted(name for name in sys.modules if name.startswith('vfxswap')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['vfxswap']"


if __name__ == "__main__":
    INVENTORY.write_text(json.dumps(surface(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
