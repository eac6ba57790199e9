"""What a person sees while a sweep runs: a live table in a terminal, a line an event elsewhere (a job's
log)."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict, deque
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from raysweep.cli.console import FittedTable
from raysweep.planning.plan import Plan
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import ENDED, QueuedRun
from raysweep.store import RunStatus

_ROWS = 14
_OPEN = (RunStatus.WAITING, RunStatus.RUNNING)
_COLOURS = {
    RunStatus.RUNNING: "cyan",
    RunStatus.DONE: "green",
    RunStatus.FAILED: "red",
    RunStatus.WAITING: "dim",
    RunStatus.STOPPED: "yellow",
}


class ShowsProgress(AbstractContextManager[Any, None], Protocol):
    """A context in which a queue's changes are shown."""

    def changed(self, queue: RunQueue, queued: QueuedRun) -> None:
        """A run's status has changed."""


class Progress:
    """A context in which a queue's changes are shown."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._queue: RunQueue | None = None
        self._plan: Plan | None = None
        self._live: Live | None = None
        self._recent: deque[QueuedRun] = deque(maxlen=_ROWS)
        # By role and model, so that what is left needn't be counted anew over all runs at every change.
        self._open: Counter[tuple[str, str]] = Counter()
        self._took: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])
        """Seconds and number of the runs that were done here."""

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=2,
                transient=True,
                vertical_overflow="crop",
            )
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def changed(self, queue: RunQueue, queued: QueuedRun) -> None:
        """A run's status has changed."""
        if queue.plan is not self._plan:
            self._plan = queue.plan
            self._open = Counter(_like(item) for item in queue.runs.values() if item.status in _OPEN)
        elif queued.status in ENDED:
            self._open[_like(queued)] -= 1
        self._queue = queue
        if queued.status is RunStatus.WAITING and queued.reason and self._live is None:
            self._console.print(f"{queued.status:<7} {_describe(queued)}  {queued.reason}", markup=False)
        if queued.status in ENDED:
            self._recent.append(queued)
            if queued.status is RunStatus.DONE:
                took = self._took[_like(queued)]
                took[0] += queued.seconds or 0.0
                took[1] += 1
            if self._live is None:
                result = queued.reason or _accuracy_text(self._reading(queued))
                self._console.print(
                    f"{queued.status:<7} {_describe(queued)}  {result}  [{self._counts()}]", markup=False
                )

    def _render(self) -> RenderableType:
        if self._queue is None:
            return Text("starting", style="dim")
        running, waiting = (
            self._queue.first(status, _ROWS) for status in (RunStatus.RUNNING, RunStatus.WAITING)
        )
        room = max(0, _ROWS - len(running))
        recent = list(self._recent)[-max(room - 3, 0) :] if room > 3 else []
        shown = [*recent, *running, *waiting[: room - len(recent)]]
        table = FittedTable(
            columns=("role", "model", "pair", "seed", "status", "step", "accuracy"),
            rows=[self._row(queued) for queued in shown],
            num_names=3,
            styles=[_COLOURS.get(queued.status, "") for queued in shown],
        )
        return Group(table, Text(self._counts(), style="bold"))

    def _row(self, queued: QueuedRun) -> tuple[str, ...]:
        reading = self._reading(queued)
        return (
            queued.run.role,
            queued.run.spec.model.name,
            _pair(queued),
            str(queued.run.spec.seed),
            str(queued.status),
            f"{reading['step']}/{reading['num_steps']}" if "step" in reading else "",
            queued.reason[:40] or _accuracy_text(reading),
        )

    def _counts(self) -> str:
        assert self._queue is not None
        counts = {status: self._queue.count(status) for status in RunStatus}
        shown = (RunStatus.DONE, RunStatus.CACHED, RunStatus.RUNNING, RunStatus.FAILED, RunStatus.WAITING)
        parts = [f"{counts[status]} {status}" for status in shown]
        parts += [f"{counts[RunStatus.STOPPED]} stopped early"] if counts[RunStatus.STOPPED] else []
        left = self._seconds_left()
        return ", ".join(parts) + (f"; about {_duration(left)} left" if left is not None else "")

    def _seconds_left(self) -> float | None:
        """From what finished runs of the same model and kind took, else what any took; None before one has
        finished."""
        assert self._queue is not None
        num_done = sum(number for _, number in self._took.values())
        if num_done == 0 or self._queue.is_complete:
            return None
        overall = sum(seconds for seconds, _ in self._took.values()) / num_done
        means = {like: seconds / number for like, (seconds, number) in self._took.items()}
        total = sum(number * means.get(like, overall) for like, number in self._open.items())
        running = self._queue.first(RunStatus.RUNNING, self._queue.count(RunStatus.RUNNING))
        for queued in running:
            total -= min(
                means.get(_like(queued), overall), time.monotonic() - (queued.started or time.monotonic())
            )
        return max(0.0, total) / max(1, len(running))

    def _reading(self, queued: QueuedRun) -> dict[str, Any]:
        """What the run has told of itself: the last line of its progress, or its result."""
        assert self._queue is not None
        paths = self._queue.store.run(queued.run.id)
        try:
            if queued.status.is_finished:
                result = json.loads(paths.result.read_text())
                steps = result["info"]["num_steps"]
                return {"step": steps, "num_steps": steps} | result["metrics"]
            return dict(json.loads(paths.progress.read_text())) if queued.status is RunStatus.RUNNING else {}
        except (OSError, ValueError, KeyError):  # being written, or not there yet: shown next time
            return {}


def _like(queued: QueuedRun) -> tuple[str, str]:
    return queued.run.role, queued.run.spec.model.name


def _accuracy_text(reading: dict[str, Any]) -> str:
    for name in ("test_accuracy", "validation_accuracy"):
        if name in reading:
            return f"{reading[name]:.3f}"
    if "validation_loss" in reading:
        return f"loss {reading['validation_loss']:.3f}"
    return f"loss {reading['loss']:.3f}" if "loss" in reading else ""


def _describe(queued: QueuedRun) -> str:
    spec = queued.run.spec
    parts = [queued.run.role, spec.model.name, f"on {spec.task.label}", f"seed {spec.seed}"]
    if queued.run.role == "student":
        parts.append(spec.objective.name)
    return " ".join(parts + ([f"({_pair(queued)})"] if _pair(queued) else []))


def _pair(queued: QueuedRun) -> str:
    pairs = queued.run.pairs
    return f"{pairs[0][0]} → {pairs[0][1]}" if queued.run.role == "student" and len(pairs) == 1 else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else (f"{minutes} min {rest} s" if minutes else f"{rest} s")
