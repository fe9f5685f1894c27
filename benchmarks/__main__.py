"""Speed and memory, measured against ffmpeg and against plain ways of doing the same; writes benchmarks/RESULTS.md.

    python -m benchmarks                         all
    python -m benchmarks pass plumbing           some; the other sections of RESULTS.md stay as they are

Every comparison is a ratio within one run, its cases in turn, and holds on a busy machine as well as it may.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date

from benchmarks.color import converted
from benchmarks.cuts import searched
from benchmarks.farming import again, chunked, divided
from benchmarks.journeys import full, passing, plumbed
from benchmarks.lab import priced, recognised
from benchmarks.looks import blended, colored
from benchmarks.material import CACHE, HERE, Material, material
from benchmarks.measure import Table, machine
from benchmarks.memory import remembered
from benchmarks.paste import pasted
from benchmarks.sequences import sequenced
from benchmarks.startup import started
from benchmarks.tracking import followed
from benchmarks.training import learnt

BENCHMARKS: dict[str, Callable[[Material, int], Table]] = {
    "pass": passing,
    "plumbing": plumbed,
    "full": full,
    "paste": pasted,
    "sequences": sequenced,
    "spaces": converted,
    "memory": remembered,
    "startup": started,
    "color": colored,
    "blend": blended,
    "lab": priced,
    "performers": recognised,
    "training": learnt,
    "chunks": chunked,
    "workers": divided,
    "again": again,
    "cuts": searched,
    "tracks": followed,
}
_NEED_MODELS = {"plumbing", "full", "memory", "performers"}


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and memory.")
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is run")
    arguments = parser.parse_args()
    lines, found = machine(), material()
    lines.append(f"The clip: {found.says}. {date.today().isoformat()}, {arguments.rounds} rounds.")
    for name in arguments.names or BENCHMARKS:
        print(name, file=sys.stderr)
        if found.missing and name in _NEED_MODELS:
            text = f"## {name}\n\nNot run: no model {', '.join(found.missing)} on this machine (VFXSWAP_MODEL_PATH).\n"
        else:
            text = BENCHMARKS[name](found, arguments.rounds).markdown()
        print(text)
        _keep(name, text, lines)
    (HERE / "RESULTS.md").write_text(_page(), encoding="utf-8")
    return 0


def _keep(name: str, text: str, lines: list[str]) -> None:
    (CACHE / f"{name}.json").write_text(json.dumps({"text": text, "machine": lines}), encoding="utf-8")


def _page() -> str:
    """All sections that were measured; the machine is said once for those that were measured together."""
    parts, said = [(HERE / "speed_head.md").read_text(encoding="utf-8")], [""]
    for name in BENCHMARKS:
        path = CACHE / f"{name}.json"
        if not path.is_file():
            continue
        section = json.loads(path.read_text(encoding="utf-8"))
        if section["machine"] != said:
            said = section["machine"]
            parts.append("".join(f"- {line}\n" for line in said))
        parts.append(section["text"])
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
