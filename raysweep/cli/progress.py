"""What a person sees while a sweep runs: a live table in a terminal, a line an event elsewhere (a job's
log)."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from raysweep.cli.console import FittedTable
from raysweep.cli.run_output import OutputFollower
from raysweep.cli.run_rows import (
    COLUMNS,
    DROPPED_FIRST,
    DROPPED_NAMES,
    NUM_NAMES,
    bar,
    duration,
    methods_of,
    metric_text,
    names_of,
    progress_cells,
    reading_of,
)
from raysweep.cli.time_left import TimeLeft
from raysweep.planning.plan import Plan
from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import ENDED, QueuedRun
from raysweep.store import RunStatus

_MOST_ROWS = 20
_BAR = 30
_TICK_SECONDS = 1.0
_PATIENCE_SECONDS = 20.0
"""With nothing running, before it is told why."""
_AGAIN_SECONDS = 120.0
"""Before that is told again, where there is no terminal."""
_COLOURS = {
    RunStatus.RUNNING: "cyan",
    RunStatus.DONE: "green",
    RunStatus.FAILED: "red",
    RunStatus.WAITING: "dim",
    RunStatus.STOPPED: "yellow",
}


class ShowsProgress(AbstractContextManager[Any, None], Protocol):
    """A context in which a queue's changes are shown."""

    def began(self, queue: RunQueue, why_idle: Callable[[RunQueue], str]) -> None:
        """A queue is about to be executed; `why_idle` tells why nothing of it runs."""

    def changed(self, queue: RunQueue, queued: QueuedRun) -> None:
        """A run's status has changed."""


class Progress:
    """A context in which a queue's changes are shown.

    Args:
        console: where to.
        is_quiet: whether nothing is shown.
        follows_output: whether what runs print is shown too.
    """

    def __init__(
        self,
        console: Console,
        *,
        is_quiet: bool = False,
        follows_output: bool = False,
    ) -> None:
        self._console = console
        self._why_idle: Callable[[RunQueue], str] = lambda queue: "it hasn't begun"
        self._is_quiet = is_quiet
        self._follower = OutputFollower(console) if follows_output else None
        self._queue: RunQueue | None = None
        self._plan: Plan | None = None
        self._methods: dict[str, list[str]] = {}
        self._live: Live | None = None
        self._recent: deque[QueuedRun] = deque(maxlen=_MOST_ROWS)
        self._left = TimeLeft()
        self._began = self._busy = time.monotonic()
        """When the sweep began, and when something was last seen to run."""
        self._idle_reason = ""
        self._has_ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="raysweep-progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._console.is_terminal and not self._is_quiet:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=2,
                transient=True,
                vertical_overflow="crop",
            )
            self._live.__enter__()
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._has_ended.set()
        self._ticker.join(_TICK_SECONDS)  # it may wait for a Ray that is gone
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def began(self, queue: RunQueue, why_idle: Callable[[RunQueue], str]) -> None:
        """A queue is about to be executed; `why_idle` tells why nothing of it runs."""
        self._why_idle = why_idle
        self._follow(queue)
        self._busy = time.monotonic()
        self._queue = queue

    def changed(self, queue: RunQueue, queued: QueuedRun) -> None:
        """A run's status has changed."""
        self._follow(queue)
        self._left.changed(queued)
        self._queue = queue
        is_lost = queued.status is RunStatus.WAITING and queued.reason
        if is_lost and self._live is None and not self._is_quiet:
            self._console.print(f"{queued.status:<7} {_describe(queued)}  {queued.reason}", markup=False)
        if queued.status in ENDED:
            self._recent.append(queued)
            if self._live is None and not self._is_quiet:
                result = queued.reason or _result_text(self._reading(queued))
                self._console.print(
                    f"{queued.status:<7} {_describe(queued)}  {result}  [{self._counts()}]", markup=False
                )

    def _follow(self, queue: RunQueue) -> None:
        if queue.plan is not self._plan:
            self._plan = queue.plan
            self._methods = methods_of(queue.plan)
            self._left.begin(queue)

    def _tick(self) -> None:
        """What is told though no run's status changes."""
        told = -_AGAIN_SECONDS
        while not self._has_ended.wait(_TICK_SECONDS):
            queue = self._queue
            if self._follower and queue:
                self._follower.show(queue)
            now = time.monotonic()
            if queue and (queue.count(RunStatus.RUNNING) or queue.is_complete):
                self._busy, self._idle_reason = now, ""
                continue
            if now - self._busy < _PATIENCE_SECONDS or queue is None:
                continue
            self._idle_reason = f"nothing has run for {duration(now - self._busy)}: {self._why_idle(queue)}"
            if self._live is None and not self._is_quiet and now - told >= _AGAIN_SECONDS:
                told = now
                self._console.print(self._idle_reason, markup=False)

    def _render(self) -> RenderableType:
        if self._queue is None:
            return Text(f"starting; {duration(time.monotonic() - self._began)}", style="dim")
        footer = self._footer()
        room = max(1, self._console.height - 3 - sum(text.plain.count("\n") + 1 for text in footer))
        for count in range(min(_MOST_ROWS, room), 0, -1):
            table = self._table(count)
            if len(self._console.render_lines(table, pad=False)) <= room:
                break
        return Group(table, *footer)

    def _table(self, count: int) -> FittedTable:
        """The runs, as many as asked for: those that ended last, those that run, and those that come next."""
        assert self._queue is not None
        running, waiting = (
            self._queue.first(status, count) for status in (RunStatus.RUNNING, RunStatus.WAITING)
        )
        room = max(0, count - len(running))
        recent = list(self._recent)[-max(room - 3, 0) :] if room > 3 else []
        shown = [*recent, *running, *waiting[: room - len(recent)]]
        return FittedTable(
            columns=COLUMNS,
            rows=[self._row(queued) for queued in shown],
            num_names=NUM_NAMES,
            styles=[_COLOURS.get(queued.status, "") for queued in shown],
            droppable={column: DROPPED_NAMES[column] for column in DROPPED_FIRST},
        )

    def _row(self, queued: QueuedRun) -> tuple[str, ...]:
        reading = self._reading(queued)
        return (
            *names_of(queued.run, self._methods),
            str(queued.status),
            *progress_cells(reading),
        )

    def _footer(self) -> list[Text]:
        assert self._queue is not None
        queue = self._queue
        num_ended = sum(queue.count(status) for status in ENDED)
        share = num_ended / max(1, len(queue.runs))
        elapsed = duration(time.monotonic() - self._began)
        lines = [
            Text(f"{bar(share, _BAR)} {num_ended} of {len(queue.runs)} runs, {elapsed} so far", style="bold"),
            Text(self._counts()),
        ]
        lines += [
            Text(f"failed: {cause} ({count} runs)" if count > 1 else f"failed: {cause}", style="red")
            for cause, count in _causes(queue.failures).most_common(3)
        ]
        if self._idle_reason:
            lines.append(Text(self._idle_reason, style="yellow"))
        return lines

    def _counts(self) -> str:
        assert self._queue is not None
        counts = {status: self._queue.count(status) for status in RunStatus}
        shown = (RunStatus.DONE, RunStatus.CACHED, RunStatus.RUNNING, RunStatus.FAILED, RunStatus.WAITING)
        parts = [f"{counts[status]} {status}" for status in shown]
        parts += [f"{counts[RunStatus.STOPPED]} stopped early"] if counts[RunStatus.STOPPED] else []
        left = None if self._queue.is_complete else self._left.seconds(self._queue)
        return ", ".join(parts) + (f"; about {duration(left)} left" if left is not None else "")

    def _reading(self, queued: QueuedRun) -> dict[str, Any]:
        """What the run has told of itself."""
        assert self._queue is not None
        if queued.status not in (RunStatus.RUNNING, RunStatus.DONE):
            return {}
        folder = self._queue.store.run(queued.run.id)
        return reading_of(folder, is_done=queued.status is RunStatus.DONE)


def _causes(failures: list[QueuedRun]) -> Counter[str]:
    """How many runs failed of which cause; those that only need one that failed aren't counted."""
    return Counter(queued.reason for queued in failures if not queued.is_dependent)


def _result_text(reading: dict[str, Any]) -> str:
    """An accuracy as a bare number, or a loss."""
    return metric_text(reading).removeprefix("test ").removeprefix("validation ").removeprefix("accuracy ")


def _describe(queued: QueuedRun) -> str:
    spec = queued.run.spec
    parts = [queued.run.role, spec.model.name, f"on {spec.task.label}", f"seed {spec.seed}"]
    pairs = queued.run.pairs
    if queued.run.role == "student":
        parts.append(spec.objective.name)
        parts += [f"({' → '.join(pairs[0])})"] if len(pairs) == 1 else []
    return " ".join(parts)
