"""What can go wrong, and whose fault it was.

Every error that vfxswap raises on purpose derives from `VfxswapError` and carries the exit code with which the command
line ends. The message says what was found, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """How a command ends; farms act on these numbers."""

    OK = 0
    """Everything asked for was done."""
    FAILED = 1
    """One or more frames failed."""
    USAGE = 2
    """The command line or the pipeline file is wrong."""
    MISSING = 3
    """A plugin, a model or a feature of this machine is missing."""
    REFUSED = 4
    """Consent or a licence does not allow it."""
    RETRY = 75
    """The same command may succeed later (out of memory, cancelled)."""


class VfxswapError(Exception):
    """Base of all errors raised on purpose by vfxswap."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class UsageError(VfxswapError):
    """A call or a command line cannot be carried out as it stands."""

    exit_code = ExitCode.USAGE


class ShapeError(VfxswapError):
    """A tensor does not have the promised shape, dtype or range.

    Args:
        what: Whose tensor it is, such as `"matte of stage 'hull'"`.
        expected: The promise, such as `"(4, 1, 512, 512) float32"`.
        actual: What was found.
    """

    def __init__(self, what: str, *, expected: str, actual: str) -> None:
        super().__init__(f"{what} must be {expected}, got {actual}")
        self.what, self.expected, self.actual = what, expected, actual


class MediaError(VfxswapError):
    """A plate or a delivery cannot be read or written.

    Args:
        message: What happened and what to do.
        path: The file.
        frame: The shot's number of the frame at which it happened, where there is one.
    """

    def __init__(self, message: str, *, path: object = None, frame: int | None = None) -> None:
        super().__init__(message)
        self.path, self.frame = path, frame


class TruncatedPlate(MediaError):
    """A plate ended before the frame count that its header promises."""


class ColorError(MediaError):
    """The colour of a picture is not known, or not supported; it is never guessed."""

    exit_code = ExitCode.USAGE


class PluginError(VfxswapError):
    """A plugin is missing, broken, or offers what it must not.

    Args:
        message: What is wrong and what to do.
        plugin: Name of the plugin.
        distribution: The installed package (and version) or the folder that it came from.
    """

    exit_code = ExitCode.MISSING

    def __init__(self, message: str, *, plugin: str | None = None, distribution: str | None = None) -> None:
        super().__init__(message)
        self.plugin, self.distribution = plugin, distribution


class ModelMissing(VfxswapError):
    """A model file is not in any folder of the model store, or is not the pinned one."""

    exit_code = ExitCode.MISSING


class Refused(VfxswapError):
    """Consent or a licence does not cover what was asked."""

    exit_code = ExitCode.REFUSED


class ConsentError(Refused):
    """An identity has no valid consent for this production."""


class FrameFailed(VfxswapError):
    """A stage failed on a frame.

    Args:
        stage: Name of the stage in the pipeline file.
        owner: Plugin and distribution that the stage comes from.
        frames: The shot's numbers of the frames it was working on; none if it failed before the first.
        cause: The error.
    """

    def __init__(self, *, stage: str, owner: str, frames: Sequence[int], cause: BaseException) -> None:
        where = "before the first frame"
        if frames:
            where = f"at frame {frames[0]}" if len(frames) == 1 else f"at frames {frames[0]}-{frames[-1]}"
        super().__init__(f"stage {stage!r} (from {owner}) failed {where}: {type(cause).__name__}: {cause}")
        self.stage, self.owner, self.frames, self.cause = stage, owner, tuple(frames), cause


class ChunkFailed(VfxswapError):
    """A farm gave up a chunk of a job.

    Args:
        chunk: Its frames.
        cause: What came of it, how often it was tried, and what to do.
    """

    def __init__(self, chunk: str, cause: str) -> None:
        super().__init__(f"chunk {chunk} failed: {cause}")
        self.chunk, self.cause = chunk, cause


class Retryable(VfxswapError):
    """The work stopped for a reason that may be gone next time."""

    exit_code = ExitCode.RETRY


class OutOfMemory(Retryable):
    """The device has too little memory for a batch."""


class Cancelled(Retryable):
    """Somebody asked the work to stop."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a pipeline file.

    Each field that is known is said in the text: file, stage, key, value, what is allowed, the nearest name.
    """

    message: str
    """What is wrong, in words."""
    file: str | None = None
    """The file that holds it."""
    stage: str | None = None
    """The stage, as `stages[3] (mkl)`, or the table, as `shot`."""
    key: str | None = None
    """The key inside the stage or table."""
    value: object = None
    """What the file says."""
    allowed: str | None = None
    """What may stand there."""
    nearest: str | None = None
    """The existing name that is most like the value."""
    exit_code: ExitCode = ExitCode.USAGE
    """How a run ends for this problem alone."""

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.file, self.stage, self.key) if part)
        text = f"{where}: {self.message}" if where else self.message
        if self.value is not None:
            text += f" (found {self.value!r})"
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.nearest:
            text += f"; did you mean {self.nearest!r}?"
        return text


class PipelineError(VfxswapError):
    """A pipeline cannot start; holds every problem found, not only the first.

    Args:
        problems: All of them, at least one.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    @property
    def run_exit_code(self) -> ExitCode:
        """The gravest thing to mend first: a wrong file before a missing plugin before a refusal."""
        return min((problem.exit_code for problem in self.problems), default=ExitCode.USAGE)
