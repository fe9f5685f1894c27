"""A shell script that sends a job to Thinkbox Deadline 10: chunks, and a second job that depends on them.

Where the whole plate must be seen first, the chunks depend on a job that does so. All are jobs of Deadline's
CommandLine plugin; `<STARTFRAME>` and `<ENDFRAME>` are its words for a task's frames. Which workers have a GPU is said
there by pools, groups and limits, not by amounts: give them as lines of the job info.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from vfxswap.errors import UsageError
from vfxswap.farm.plan import FarmPlan, analyze_words, assemble_words, run_words

_CHUNK = "<STARTFRAME>-<ENDFRAME>"
_ATTEMPTS = 3
"""Errors of a task after which Deadline gives it up."""


def text(plan: FarmPlan, *, command: str = "vfxswap", info: Sequence[str] = ()) -> str:
    """The script, to be run where `deadlinecommand` is on the path.

    Args:
        plan: The job.
        command: What workers call.
        info: More lines of the job info files, as `Pool=gpu`.

    Raises:
        UsageError: One of these lines is none, or a word holds what Deadline's command line cannot.
    """
    if wrong := [line for line in info if "=" not in line or "\n" in line]:
        raise UsageError(f"cannot read {wrong[0]!r}; write KEY=VALUE, such as Pool=gpu")
    program, *before = shlex.split(command)
    render = [*before, *run_words(plan, _CHUNK, progress="deadline")]
    assemble = [*before, *assemble_words(plan, progress="deadline")]
    once = {"Frames": "0", "ChunkSize": "1"}
    chunks = {"Frames": str(plan.frames), "ChunkSize": str(plan.chunk_frames)}
    jobs: dict[str, tuple[dict[str, str], list[str]]] = {}
    if plan.analyzes:
        jobs["analyze"] = (once, [*before, *analyze_words(plan, progress="deadline")])
        chunks |= {"JobDependencies": "$analyze"}
    jobs["render"] = (chunks, render)
    jobs["assemble"] = (once | {"JobDependencies": "$render"}, assemble)
    parts = [_sent(plan, name, job, (program, words), info) for name, (job, words) in jobs.items()]
    return f"{_HEAD}{''.join(parts)}"


_HEAD = """\
#!/bin/sh
# Sends the jobs to Deadline: the chunks, the step that depends on all of them, and what they wait for, if anything.
set -eu
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

send() {
    deadlinecommand "$folder/$1.job" "$folder/$1.plugin" | tee /dev/stderr | sed -n 's/^JobID=//p' | tr -d '\\r'
}
"""


def _sent(
    plan: FarmPlan, name: str, job: Mapping[str, str], command: tuple[str, list[str]], info: Sequence[str]
) -> str:
    program, words = command
    lines = {"Plugin": "CommandLine", "Name": f"{plan.name} {name}", "BatchName": plan.name, **job}
    lines |= {
        "ConcurrentTasks": "1",
        "OverrideTaskFailureDetection": "true",
        "FailureDetectionTaskErrors": str(_ATTEMPTS),
    }
    lines |= {"OutputDirectory0": str(plan.delivery.parent)}
    plugin = {
        "Executable": program,
        "Arguments": " ".join(_argument(word) for word in words),
        "ShellExecute": "False",
        "SingleFramesOnly": "False",
    }
    return f"""
{_file(f"{name}.job", [*(f"{key}={value}" for key, value in lines.items()), *info])}
{_file(f"{name}.plugin", [f"{key}={value}" for key, value in plugin.items()])}
{name}=$(send {name})
"""


def _argument(word: str) -> str:
    """A word in Deadline's own quotes, where it needs some."""
    if '"' in word or "\n" in word:
        raise UsageError(f"{word!r} cannot be an argument of a Deadline job; write it into the pipeline file")
    return f"<QUOTE>{word}<QUOTE>" if any(letter.isspace() for letter in word) or not word else word


def _file(name: str, lines: Sequence[str]) -> str:
    """Writes a file of a job; of all that is in it, the number of another job alone is the shell's."""
    if not any(line in _OTHERS for line in lines):
        return "\n".join([f"cat > \"$folder/{name}\" <<'END'", *lines, "END"])
    kept = [line if line in _OTHERS else _escaped(line) for line in lines]
    return "\n".join([f'cat > "$folder/{name}" <<END', *kept, "END"])


_OTHERS = frozenset({"JobDependencies=$analyze", "JobDependencies=$render"})


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("$", "\\$").replace("`", "\\`")
