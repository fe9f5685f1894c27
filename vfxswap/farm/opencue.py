"""A script for OpenCue's PyOutline: a layer of chunks, and one that waits for all of them.

Where the whole plate must be seen first, the chunks wait for a layer that does so.

Tokens are those that Cuebot puts into a layer's command (`#FRAMESPEC#`: the frames of this chunk); the script launches
without PyCuerun, which would call a command once for each frame of a chunk.
"""

from __future__ import annotations

import shlex

from vfxswap.farm.plan import FarmPlan, analyze_words, assemble_words, run_words

_TOKEN = "#FRAMESPEC#"  # noqa: S105 - no password


def text(plan: FarmPlan, *, command: str = "vfxswap", show: str = "testing", shot: str = "") -> str:
    """The script, to be run with the studio's Python that has PyOutline.

    Args:
        plan: The job.
        command: What hosts call.
        show: OpenCue's name of the show.
        shot: And of the shot; the job's name if not said.
    """
    render = [*shlex.split(command), *run_words(plan, _TOKEN, progress="alfred")]
    assemble = [*shlex.split(command), *assemble_words(plan, progress="alfred")]
    name = "".join(letter if letter.isalnum() else "_" for letter in plan.name)
    return f'''\
"""{plan.name}: frames {plan.frames}, about {plan.chunk_frames} in a chunk."""

from outline import Outline, cuerun
from outline.modules.shell import Shell

job = Outline({name!r}, shot={shot or name!r}, show={show!r})
{_first(plan, command)}
render = Shell(
    "render",
    command={_quoted(render)},
    range={str(plan.frames)!r},
    chunk={plan.chunk_frames},
{_needs(plan)})
{"render.depend_all(analyze)" + chr(10) if plan.analyzes else ""}job.add_layer(render)

assemble = Shell(
    "assemble",
    command={_quoted(assemble)},
    range="1",
)
assemble.depend_all(render)
job.add_layer(assemble)

cuerun.launch(job, use_pycuerun=False)
'''


def _first(plan: FarmPlan, command: str) -> str:
    """The layer before the chunks, if there is one."""
    if not plan.analyzes:
        return ""
    words = [*shlex.split(command), *analyze_words(plan, progress="alfred")]
    return f"""
analyze = Shell(
    "analyze",
    command={_quoted(words)},
    range="1",
{_needs(plan)})
job.add_layer(analyze)
"""


def _quoted(words: list[str]) -> str:
    """A list of Python with words as the host's shell needs them; the token is put in before a shell sees it."""
    lines = [f"        {word if word == _TOKEN else shlex.quote(word)!r}," for word in words]
    lines = [line.replace(_TOKEN, repr(_TOKEN)) if line.strip() == f"{_TOKEN}," else line for line in lines]
    return "\n".join(["[", *lines, "    ]"])


def _needs(plan: FarmPlan) -> str:
    needs, lines = plan.needs, []
    if needs.vcpus:
        lines += [f"cores={needs.vcpus}", "overrideCores=True"]
    if needs.memory_mib:
        lines.append(f'memory="{needs.memory_mib}m"')
    if needs.gpus:
        lines.append(f"gpus={needs.gpus}")
    if needs.gpu_memory_mib:
        lines.append(f'gpu_memory="{needs.gpu_memory_mib}m"')
    return "".join(f"    {line},\n" for line in lines)
