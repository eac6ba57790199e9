"""A sweep's progress in a notebook: a bar that is drawn anew in its place."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from raysweep.scheduling.queue import RunQueue
from raysweep.scheduling.queued_run import ENDED, QueuedRun
from raysweep.store import RunStatus

_SECONDS = 0.5
"""Between two drawings."""
_SHOWN = (RunStatus.DONE, RunStatus.CACHED, RunStatus.RUNNING, RunStatus.FAILED, RunStatus.WAITING)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class NotebookProgress:
    """A context in which a queue's changes are shown, as `raysweep.cli.progress.Progress` shows them in a
    terminal."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._queue: RunQueue | None = None
        self._drawn = 0.0

    def __enter__(self) -> NotebookProgress:
        from IPython.display import HTML, display

        self._handle = display(HTML("starting"), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw()

    def changed(self, queue: RunQueue, queued: QueuedRun) -> None:
        """A run's status has changed."""
        self._queue = queue
        if time.monotonic() - self._drawn >= _SECONDS:
            self._draw()

    def _draw(self) -> None:
        if self._queue is None or self._handle is None:
            return
        from IPython.display import HTML

        self._drawn = time.monotonic()
        counts = {status: self._queue.count(status) for status in RunStatus}
        ended = sum(counts[status] for status in (*ENDED, RunStatus.CACHED))
        listed = ", ".join(f"{counts[status]} {status}" for status in _SHOWN)
        bar = f'<progress value="{ended}" max="{len(self._queue.runs)}"></progress>'
        self._handle.update(HTML(f"{bar} {ended} of {len(self._queue.runs)} runs: {listed}"))
