"""How long the command takes to say something."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from benchmarks.material import Material
from benchmarks.measure import Table, cpu, in_turn, wall

MOST_SECONDS = 0.3
_HEAVY = ("torch", "cv2", "av", "kornia", "onnxruntime", "OpenImageIO")
_TELL = """
import sys
sys.argv = ["vfxswap", *{arguments!r}]
from vfxswap.cli import main
try:
    main()
except SystemExit:
    pass
print(",".join(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def started(found: Material, rounds: int) -> Table:  # noqa: ARG001 - there is nothing to work on
    """Times two commands, and sees what they import."""
    commands = {"vfxswap --help": ["--help"], "vfxswap plugins": ["plugins"]}
    runs = {name: (lambda arguments=arguments: _run(arguments)) for name, arguments in commands.items()}
    bare = lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)  # noqa: E731
    costs = in_turn({"python -c pass": bare, **runs}, rounds=2 * rounds)
    heavy = {name: _imported(arguments) for name, arguments in commands.items()}
    seconds = wall(costs["vfxswap --help"])
    rows = [
        [name, f"{wall(taken):.2f}", f"{cpu(taken):.2f}", heavy.get(name) or "none"] for name, taken in costs.items()
    ]
    return Table(
        "Start-up",
        f"Processes of their own, warm file cache; of {', '.join(_HEAVY)}, which are imported.",
        ("command", "wall s", "processor s", "heavy imports"),
        rows,
        [
            (f"--help in {seconds:.2f} s, at most {MOST_SECONDS} s", seconds <= MOST_SECONDS),
            ("neither imports a heavy library", not any(heavy.values())),
        ],
    )


def _run(arguments: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "vfxswap.cli", *arguments], check=True, stdout=subprocess.DEVNULL)


def _imported(arguments: Sequence[str]) -> str:
    code = _TELL.format(arguments=list(arguments), heavy=_HEAVY)
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return result.stderr.splitlines()[-1]
