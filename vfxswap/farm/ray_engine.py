"""Chunks as tasks of a Ray cluster: it places, restarts and counts; this process plans and assembles."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from vfxswap.clock import FrameRange
from vfxswap.errors import Cancelled, ChunkFailed, PluginError, Retryable, UsageError, VfxswapError
from vfxswap.farm.assemble import assemble
from vfxswap.farm.chunk import Stamps, needs_assembly, run_chunk, stamps_of
from vfxswap.farm.look import look
from vfxswap.farm.order import Order
from vfxswap.farm.pace import Pace
from vfxswap.farm.plan import Needs, planned
from vfxswap.host import Host
from vfxswap.render import ProgressCallback
from vfxswap.report import Report

_FORWARDED = ("OCIO", "VFXSWAP_")
"""Beginnings of the names of environment variables that workers get as they are here."""
_MOST_CPUS = 4
"""Threads of a chunk on a CPU; more cores of a machine take more chunks."""


_POLL_SECONDS = 1.0
_LEAVE_SECONDS = 60.0
"""For chunks that are given up: time to end the batch at work."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to, and how."""

    address: str | None = None
    """`HOST:PORT` or `auto`; None makes a cluster of this machine alone, for as long as the job takes."""
    chunk_frames: int | None = None
    """About how many frames a chunk has; None chooses by the pipeline's windows."""
    retries: int = 3
    """How often a chunk is tried again whose worker died or ran out of memory."""


class TryAgain(Exception):
    """A chunk stopped for a reason that may be gone next time; goes through Ray, so it is text alone."""


def run(
    order: Order,
    host: Host,
    cluster: Cluster,
    *,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> Report:
    """Runs a job on Ray, and assembles it here.

    Pipeline file, plate, models and delivery must be on a share that all machines see under one name.

    Args:
        order: The job. `auto` for its device means a GPU if the cluster has one.
        host: The plugins here; workers have their own.
        cluster: Where to.
        overwrite: Whether a delivery that is there may be replaced.
        progress: Is told after each chunk.

    Returns:
        What happened to each frame.

    Raises:
        ChunkFailed: A chunk failed, or was given up after the last retry; names it and the cause.
        PluginError: Ray is not installed.
        UsageError: The cluster cannot be reached, or has no such device.
        PipelineError: The pipeline file is wrong.
    """
    ray = _imported()
    if cluster.retries < 0:
        raise UsageError(f"retries must be 0 or more, got {cluster.retries}")
    plan = order.loaded(host, is_elsewhere=True)
    job = planned(plan, order, host, Needs(cluster.chunk_frames))
    if needs_assembly(plan) and plan.delivery_path.exists() and not overwrite:
        return assemble(plan, host)  # is done already, or is another movie
    with _connected(ray, cluster.address):
        device, resources = _resources(ray, order.device)
        order = replace(job.order, frames=str(job.frames), device=device)
        task = ray.remote(**resources, max_retries=cluster.retries, retry_exceptions=[TryAgain])(work)
        threads = int(resources["num_cpus"])
        if job.analyzes:
            first = ray.remote(**resources, max_retries=cluster.retries, retry_exceptions=[TryAgain])(analyze)
            _look_at(
                ray, first.options(name=f"{job.name} analyze").remote(order, threads), plan.frames, cluster.retries
            )
        before = stamps_of(plan) if overwrite else None
        waiting = {
            task.options(name=f"{job.name} {chunk}").remote(order, str(chunk), _within(before, chunk), threads): chunk
            for chunk in job.chunks
        }
        _wait(ray, waiting, Pace(len(job.frames), progress), cluster.retries)
    return assemble(plan, host, overwrite=overwrite)


def _within(stamps: Stamps | None, chunk: FrameRange) -> Stamps | None:
    return None if stamps is None else {number: stamp for number, stamp in stamps.items() if number in chunk}


def work(order: Order, chunk: str, before: Stamps | None, threads: int) -> dict[str, Any]:
    """One chunk, in a worker; what comes back is plain, as errors of the house do not travel.

    Args:
        order: The job.
        chunk: Its frames.
        before: What was there of these before the job began, which is overwritten; None overwrites nothing.
        threads: That run stages.

    Raises:
        TryAgain: The device's memory was too small; Ray tries again.
    """
    frames, overwrite = FrameRange.parse(chunk), before is not None

    def make(host: Host) -> Report:
        return run_chunk(order.loaded(host), frames, host, overwrite=overwrite, before=before, workers=threads)

    return _told(make, order)


def analyze(order: Order, threads: int) -> dict[str, Any]:
    """What comes before the chunks, in a worker.

    Raises:
        TryAgain: As `work` does.
    """
    return _told(lambda host: look(order.loaded(host), host, workers=threads), order)


def _told(task: Callable[[Host], object], order: Order) -> dict[str, Any]:
    try:
        task(Host(plugin_path=order.plugin_path))
    except Cancelled as error:
        return {"error": str(error)}
    except Retryable as error:
        raise TryAgain(str(error)) from None
    except VfxswapError as error:
        return {"error": str(error)}
    return {"error": None}


def _wait(ray: Any, waiting: dict[Any, FrameRange], pace: Pace, retries: int) -> None:
    """Waits for all chunks, and gives up the others with the first that fails."""
    try:
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1, timeout=_POLL_SECONDS)
            for task in ready:
                chunk = waiting.pop(task)
                _look_at(ray, task, chunk, retries)
                pace.add(len(chunk), chunk[-1])
    finally:
        for task in waiting:
            ray.cancel(task, force=False)
        if waiting:
            ray.wait(list(waiting), num_returns=len(waiting), timeout=_LEAVE_SECONDS)


def _look_at(ray: Any, task: Any, chunk: FrameRange, retries: int) -> None:
    again = "" if retries == 0 else f", also when tried again {'once' if retries == 1 else f'{retries} times'}"
    try:
        outcome = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        raise ChunkFailed(str(chunk), f"{error.cause or error}{again}") from None
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise ChunkFailed(
            str(chunk),
            f"its worker died{again} ({reason}); look at this frame range's log on the cluster, or run it"
            f" by itself: vfxswap run PIPELINE --chunk {chunk[0]}-{chunk[-1]}",
        ) from None
    if outcome["error"] is not None:
        raise ChunkFailed(str(chunk), outcome["error"])


def _imported() -> Any:
    try:
        import ray  # noqa: PLC0415 - an extra
        import ray.exceptions  # noqa: PLC0415
    except ImportError as error:
        raise PluginError("Ray is not installed; install the extra: pip install 'vfxswap[farm]'") from error
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """A connection for as long as the block takes, unless this process has one."""
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    values = {name: value for name, value in os.environ.items() if name.startswith(_FORWARDED)}
    try:
        # What workers print is theirs: standard output belongs to the progress of this process.
        ray.init(
            address=address,
            runtime_env={"env_vars": values},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **options,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(f"no Ray cluster answers at {address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _resources(ray: Any, device: str | None) -> tuple[str, dict[str, float]]:
    """Where chunks compute, and what Ray is asked to give each."""
    nodes: list[Mapping[str, float]] = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus, cpus = (max((node.get(kind, 0) for node in nodes), default=0) for kind in ("GPU", "CPU"))
    kind = (device or "auto").partition(":")[0]  # which GPU of a machine it is, is Ray's to say
    if kind == "auto":
        kind = "cuda" if gpus >= 1 else "cpu"
    if kind == "cuda" and gpus < 1:
        raise UsageError("no machine of the Ray cluster has a GPU; bring one up, or say --device cpu")
    if cpus < 1:
        raise UsageError("no machine of the Ray cluster has a CPU to give; start them with --num-cpus")
    return kind, {"num_cpus": min(_MOST_CPUS, int(cpus)), "num_gpus": 1 if kind == "cuda" else 0}
