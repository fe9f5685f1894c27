"""The documentation is of this code: hooks with their signatures, the example verbatim, links that lead somewhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import tomli

from vfxswap import stage, testing
from vfxswap.hookspecs import API_VERSION, Hooks, StageKind
from vfxswap.host import Host

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "plugins/README.md", "docs"]
HOOKS = [hook for name, hook in vars(Hooks).items() if name.startswith("vfxswap_")]


def pages(repo: Path) -> list[Path]:
    """All pages that are there."""
    found = [repo / page for page in PAGES]
    return [page for root in found for page in ([root] if root.is_file() else sorted(root.rglob("*.md")))]


@pytest.fixture
def guide(repo: Path) -> str:
    return (repo / "docs/write-a-plugin.md").read_text()


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_every_hook_is_documented_with_its_signature(guide: str, hook: Callable[..., object]) -> None:
    signature = str(inspect.signature(hook)).replace("(self, ", "(").replace("(self)", "()").replace("'", "")
    assert f"`{hook.__name__}{signature}`\n: " in guide


def test_no_other_hook_is_documented(guide: str) -> None:
    documented = set(re.findall(r"^`(vfxswap_\w+)\(", guide, re.MULTILINE))
    assert documented == {hook.__name__ for hook in HOOKS}


@pytest.mark.parametrize("file", ["vfxswap_cdl.py", "pyproject.toml", "tests/test_vfxswap_cdl.py"])
def test_the_example_is_in_the_guide_word_for_word(repo: Path, guide: str, file: str) -> None:
    language = "toml" if file.endswith(".toml") else "python"
    assert f"```{language}\n{(repo / 'examples/vfxswap-cdl' / file).read_text()}```" in guide


def test_the_pipeline_of_the_guide_is_valid(repo: Path, guide: str) -> None:
    (fragment,) = re.findall(r"```toml\n(\[\[stages\]\].*?)```", guide, re.DOTALL)
    (table,) = tomli.loads(fragment)["stages"]
    cdl = Host(plugin_path=[repo / "examples/vfxswap-cdl"], environ={}).stage_class(table.pop("use"))
    assert testing.options_of(cdl, table).strength == table["strength"]


def test_the_guide_knows_all_kinds_and_suites(guide: str) -> None:
    for kind, base in stage.KINDS.items():
        demanded = getattr(stage, f"{base.__name__}Options", stage.StageOptions).__name__
        (row,) = (line for line in guide.splitlines() if line.startswith(f"| `{kind}` | `{base.__name__}` |"))
        assert row.endswith(f"| `{demanded}` |")
    assert set(stage.KINDS) == set(get_args(StageKind))
    for suite in (name for name in testing.__all__ if name.endswith("Contract") and name != "StageContract"):
        assert f"`{suite}`" in guide


def test_the_example_is_written_for_this_api(repo: Path) -> None:
    host = Host(plugin_path=[repo / "examples/vfxswap-cdl"], environ={})
    (record,) = (record for record in host.plugins if record.name == "vfxswap_cdl")
    assert record.error is None
    assert f"return {API_VERSION}" in Path(record.location).read_text()


def test_links_lead_somewhere(repo: Path) -> None:
    broken = [
        f"{page.relative_to(repo)}: {target}"
        for page in pages(repo)
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_pages_hold_no_path_of_a_machine(repo: Path) -> None:
    words = re.compile(r"(?<![\w.])/(work|tmp|root|home)/")
    assert [str(page) for page in pages(repo) if words.search(page.read_text())] == []
