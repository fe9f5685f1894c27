"""The training loop: draws, learns, shows, saves, until the budget is used up or somebody asks to stop."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from vfxswap.conveyor import ReadAhead
from vfxswap.errors import Cancelled, MediaError, OutOfMemory, UsageError
from vfxswap.files import make_folder, whole
from vfxswap.nets.comb import Comb
from vfxswap.nets.spec import CombSpec
from vfxswap.training.augment import Batch, dice_for, varied
from vfxswap.training.checkpoint import Memory, differences, read_checkpoint, write_checkpoint
from vfxswap.training.curve import Curve
from vfxswap.training.events import Prepared, Previewed, Saved, Started, Stepped, Tell, Warned
from vfxswap.training.faces import Draw, Roll, sized, some
from vfxswap.training.interrupts import Asked, stop_asked
from vfxswap.training.lanes import Lanes, lanes
from vfxswap.training.learner import Diverged, Learner
from vfxswap.training.previews import MOST_PEOPLE, grid, scored, write_preview
from vfxswap.training.result import Outcome, delivered
from vfxswap.training.schedule import Schedule
from vfxswap.training.settings import Settings
from vfxswap.training.starting import started
from vfxswap.training.stills import Stills, stills_of
from vfxswap.training.strangers import strangers

LEFT_OUT = "left_out.txt"
"""Lists the files that could not be read, in the training's folder."""
_SPIKE_MEMORY = 100
_STYLE_FACES = 16
_PREVIEW_FACES = 16
_AHEAD = 2
Clock = Callable[[], float]


def train(
    settings: Settings, *, device: str = "cpu", resume: bool = False, tell: Tell, clock: Clock = time.monotonic
) -> Outcome:
    """Trains as a training file says.

    Args:
        settings: The file, read and checked.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; started by torchrun, each process takes its own.
        resume: Whether to go on from the checkpoint that is there.
        tell: Is told what happens.
        clock: Seconds.

    Returns:
        The trained file, its card and its scores.

    Raises:
        UsageError: There is a checkpoint and `resume` was not said, or one that does not fit; too few faces.
        Diverged: The losses went wrong; the last good checkpoint is kept.
        Cancelled: Somebody asked to stop; everything is saved.
        OutOfMemory: The device has too little memory; says what would fit.
        MediaError: The trained file cannot be written.
    """
    make_folder(settings.train.out)
    with ExitStack() as held:
        lane = held.enter_context(lanes(device))
        asked = held.enter_context(stop_asked())
        tell = tell if lane.leads else _silent
        roll = Roll(
            settings,
            size_px=settings.train.size,
            warn=lambda text: tell(Warned(text)),
            read=lambda part: tell(Prepared("looking through the faces", part)),
        )
        held.callback(roll.close)
        run = _Run(settings, lane, roll, tell, clock)
        held.callback(run.close)
        with _memory_enough(settings):
            run.begin(resume=resume)
            run.work(asked)
            return run.finish()


@contextmanager
def _memory_enough(settings: Settings) -> Iterator[None]:
    """Says what to do where not a batch alone is too large."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        given = settings.train
        raise OutOfMemory(
            f"the device has too little memory for {given.size} px with batch = {given.batch}: choose a smaller batch"
            f" or size, or narrower widths ({str(error).splitlines()[0]})"
        ) from error


def _silent(_: object) -> None:
    """What all but the leading process tell."""


@dataclass(slots=True)
class _Count:
    """Where a training stands."""

    step: int = 0
    seconds: float = 0.0
    spikes: int = 0
    base: str = ""


class _Run:
    def __init__(self, settings: Settings, lane: Lanes, roll: Roll, tell: Tell, clock: Clock) -> None:
        self.settings, self.lane, self.roll, self.tell, self._clock = settings, lane, roll, tell, clock
        self.schedule = Schedule(settings.train, settings.augment)
        self.count = _Count()
        self._losses: deque[float] = deque(maxlen=_SPIKE_MEMORY)
        self._saved_at = -1
        self._previews = [some(own.held_out, settings.train.size, _PREVIEW_FACES) for own in roll.people[:MOST_PEOPLE]]
        self._hashes = {
            name: [item.hash for item in (*own.faces, *(one for pair in own.pairs for one in pair))]
            for name, own in settings.sources.items()
        }

    def _people(self) -> range:
        return range(len(self.settings.people))

    def close(self) -> None:
        """Ends what writes."""
        if hasattr(self, "curve"):
            self.curve.close()

    def begin(self, *, resume: bool) -> None:
        """Takes up the checkpoint, or starts anew."""
        out = self.settings.train.out
        found = read_checkpoint(out)
        if found is not None and not resume:
            raise UsageError(
                f"{out} holds a training of {found[0].step} steps; go on with --resume, or train into another folder"
            )
        if found is None and resume:
            self.tell(Warned(f"{out} holds no checkpoint; training begins"))
        if found is None:
            self._start()
        else:
            self._go_on(*found)
        self.curve = Curve(out, self.count.step, writes=self.lane.leads)
        self._began = self._clock() - self.count.seconds
        if self.lane.leads:
            self._list_left_out()
        if self.lane.leads and not resume:
            for message in strangers(self.settings.sources):
                self.tell(Warned(message))
        weights = sum(weight.numel() for weight in self.learner.comb.parameters())
        faces = {person.name: len(person.faces) for person in self.roll.people}
        given = self.settings.train
        self.tell(
            Started(given.out, faces, self.count.step, given.iterations, given.minutes, str(self.lane.device), weights)
        )

    def _list_left_out(self) -> None:
        rows = [f"{file}: {why}" for person in self.roll.people for file, why in person.left_out.items()]
        if rows:
            with whole(self.settings.train.out / LEFT_OUT) as temporary:
                temporary.write_text("\n".join([*rows, ""]), encoding="utf-8")

    def _start(self) -> None:
        spec = self.settings.start_spec
        faces = [some(self.roll.people[k].faces, spec.size_px, _STYLE_FACES) for k in self._people()]
        start = started(
            spec,
            self.settings.init,
            faces,
            self._stills(),
            seed=self.settings.train.seed,
            tell=lambda part: self.tell(Prepared("choosing styles of the base", part)),
        )
        self.learner = Learner(start.comb, self.settings, self.lane, primed=start.primed)
        self.count.base = start.base

    def _stills(self) -> Stills:
        """Everybody's."""
        given = self.settings.train
        side = self.settings.still_px
        own = [stills_of(person.faces, given.stills, side) for person in self.roll.people]
        return Stills(*(torch.stack(parts) for parts in zip(*own, strict=True)))

    def _go_on(self, memory: Memory, tensors: dict[str, Tensor]) -> None:
        wrong = differences(memory, self.settings.options(), self._hashes)
        if wrong:
            raise UsageError(
                f"{self.settings.train.out} holds another training, which cannot be gone on with: {'; '.join(wrong)}"
            )
        comb = Comb(CombSpec.from_dict(memory.spec))
        if comb.spec.shared:  # others have theirs in the checkpoint, as they have learnt them
            comb.dress(*self._stills())
        self.learner = Learner(comb, self.settings, self.lane, primed=memory.primed)
        self.learner.restore(comb, tensors)
        self._losses.extend(memory.losses)
        self._saved_at = memory.step
        self.count = _Count(memory.step, memory.seconds, memory.spikes, memory.base)

    def work(self, asked: Asked) -> None:
        """Steps until the budget is used up."""
        device = self.lane.device
        with ReadAhead(self._draws(), depth=_AHEAD, name="faces") as draws:
            for pending in draws:
                progress = self._progress()
                if progress >= 1:
                    break
                if self.lane.agreed(bool(asked)):
                    self._save()
                    raise Cancelled(
                        f"stopped by {asked.by or 'another process'} after step {self.count.step}; that of step"
                        f" {self._saved_at} is saved in {self.settings.train.out}, go on with --resume"
                    )
                growth = self.schedule.growth(progress)
                self.learner.resize(growth)
                bend = self.schedule.bends(progress)
                batches = [self._batch(draw, number, bend, device) for number, draw in enumerate(pending)]
                self._step(batches, progress)
        if self.learner.comb.spec.fade < 1 or self.learner.size_px < self.settings.train.size:
            self.tell(Warned("the budget was used up before the full size was reached; give it more, or start larger"))

    def _progress(self) -> float:
        used = self.schedule.progress(self.count.step, self._clock() - self._began)
        return self.lane.led(used) if self.settings.train.minutes is not None else used

    def _draws(self) -> Iterator[list[Draw]]:
        """The faces of all steps to come, at full size: how large they are used is known when they are."""
        given = self.settings.train
        for step in range(self.count.step, given.iterations):
            yield [
                self.roll.draw(
                    step * given.accumulate + part,
                    batch=given.batch,
                    lane=self.lane.own,
                    lanes=self.lane.count,
                )
                for part in range(given.accumulate)
            ]

    def _batch(self, draw: Draw, part: int, bend: bool, device: torch.device) -> Batch:
        given = self.settings.train
        lane = self.lane.own * given.accumulate + part
        dice = dice_for(given.seed, self.count.step, lane)
        return varied(draw.sized(self.learner.size_px), self.settings.augment, dice, bend=bend, device=device)

    def _step(self, batches: list[Batch], progress: float) -> None:
        step, began = self.count.step, self._clock()
        rate = self.schedule.rate(step, progress)
        try:
            parts = self.learner.learn(
                batches, step=step, progress=progress, rate=rate, averaging=self.schedule.averaging(step)
            )
        except Diverged as error:
            raise self._diverged(f"a loss or gradient is no number ({error})") from error
        self.count.step += 1
        self._watch(parts["loss"] - parts.get("fooled", 0.0))  # what the discriminator thinks has no lower bound
        now = self._clock()
        self.count.seconds = now - self._began
        faces = sum(len(batch.inputs) for batch in batches) * self.lane.count
        self._tell_step(parts, rate, faces / max(now - began, 1e-9))
        if self.count.step % self.settings.train.preview_every == 0:
            self._preview()
        if self.count.step % self.settings.train.save_every == 0:
            self._save(fatal=False)

    def _tell_step(self, parts: dict[str, float], rate: float, faces_per_second: float) -> None:
        step, seconds = self.count.step, self.count.seconds
        progress = self.schedule.progress(step, seconds)
        self.curve.add(step, parts)
        self.tell(
            Stepped(
                step=step,
                iterations=self.settings.train.iterations,
                progress=progress,
                size_px=self.learner.size_px,
                parts=parts,
                rate=rate,
                faces_per_second=faces_per_second,
                seconds=seconds,
                eta_seconds=seconds * (1 - progress) / max(progress, 1e-9),
            )
        )

    def _watch(self, loss: float) -> None:
        """Stops where losses jumped and stayed high; a single spike is none."""
        stop = self.settings.stop
        full = len(self._losses) == _SPIKE_MEMORY
        high = full and loss > stop.spike * statistics.median(self._losses)
        self.count.spikes = self.count.spikes + 1 if high else 0
        if self.lane.agreed(self.count.spikes >= stop.spikes):
            raise self._diverged(f"{stop.spikes} losses in a row were above {stop.spike:g} times the median")
        if not high:
            self._losses.append(loss)

    def _diverged(self, what: str) -> Diverged:
        kept = f"the checkpoint of step {self._saved_at} is kept" if self._saved_at >= 0 else "nothing was saved yet"
        return Diverged(
            f"training went wrong at step {self.count.step + 1}: {what}; {kept}. Try a smaller learning_rate or clip,"
            " or look for spoilt pictures in the facesets"
        )

    def _preview(self) -> None:
        if not self.lane.leads or not any(map(len, self._previews)):
            return
        comb = self.learner.average
        faces = [sized(planes, comb.spec.size_px) for planes in self._previews]
        with suppress(MediaError):  # a full disk must not end a training; saving says so
            path = write_preview(self.settings.train.out, grid(comb, faces), self.count.step)
            shown = list(self.settings.people)[:MOST_PEOPLE]
            scores = {name: scored(comb, faces[number], number) for number, name in enumerate(shown)}
            told = {name: score.psnr_matte_db for name, score in scores.items() if score is not None}
            self.curve.preview(self.count.step, path, told)
            self.tell(Previewed(path, self.count.step, told))

    def _save(self, *, fatal: bool = True) -> None:
        """Writes a checkpoint, unless losses are high just now, in which case the last good one stays."""
        if not self.lane.leads or self.count.spikes or self._saved_at == self.count.step:
            return
        memory = Memory(
            step=self.count.step,
            seconds=self.count.seconds,
            spec=self.learner.comb.spec.to_dict(),
            options=self.settings.options(),
            facesets=self._hashes,
            losses=tuple(self._losses),
            spikes=self.count.spikes,
            primed=self.learner.primed,
            base=self.count.base,
        )
        self.curve.flush()  # before the checkpoint, for a resumed run takes back what comes after it, and adds nothing
        try:
            path = write_checkpoint(self.settings.train.out, memory, self.learner.tensors())
        except MediaError as error:
            if fatal:
                raise
            self.tell(Warned(f"{error}; training goes on, and saving is tried again after the next steps"))
            return
        self._saved_at = self.count.step
        self.tell(Saved(path, self.count.step))

    def finish(self) -> Outcome:
        """Saves, scores on all held-out faces, and writes the trained file."""
        self._save()
        comb = self.learner.average.settled()
        size = comb.spec.size_px
        scores = {}
        for number, name in enumerate(self.settings.people if self.lane.leads else ()):
            score = scored(comb, some(self.roll.people[number].held_out, size), number)
            if score is not None:
                scores[name] = score
        outcome = delivered(
            self.settings,
            comb,
            roll=self.roll,
            scores=scores,
            curve=self.curve.points(),
            iterations=self.count.step,
            seconds=self.count.seconds,
            base=self.count.base,
            writes=self.lane.leads,
        )
        self.tell(Saved(outcome.path, self.count.step))
        return outcome
