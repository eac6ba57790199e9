"""What runs print: `raysweep logs`, and `raysweep run -v`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from raysweep.errors import CorruptFile, InvalidInput, redacted
from raysweep.files import read_json
from raysweep.scheduling.queue import RunQueue
from raysweep.store import RunFolder, RunStatus, Store
from raysweep.store.logs import logs_of
from raysweep.store.progress import read_on

_LOOK_SECONDS = 0.5
_SHOWN_LETTERS = 8
_MOST_NAMED = 10


class LogReader:
    """Reads a log on where it has read before, in whole lines."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0

    def lines(self) -> list[str]:
        """The lines since the last call. Of a log that was shortened meanwhile, all that is left."""
        whole, self._offset = read_on(self._log, self._offset)
        return redacted(whole.decode("utf-8", errors="replace")).splitlines()


class OutputFollower:
    """Shows what the runs of a queue print, each line after its run's id."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._readers: dict[Path, LogReader] = {}
        self._followed: set[str] = set()

    def show(self, queue: RunQueue) -> None:
        """Print what was added since the last call by runs that run, or did at the last call."""
        running = {queued.run.id for queued in queue.first(RunStatus.RUNNING, len(queue.runs))}
        for run_id in sorted(running | self._followed):
            for log in logs_of(queue.store.run(run_id)):
                for line in self._readers.setdefault(log, LogReader(log)).lines():
                    self._console.print(f"[{run_id[:_SHOWN_LETTERS]}] {line}", markup=False, soft_wrap=True)
        self._followed = running


def show_log(
    store: Store,
    prefix: str,
    console: Console,
    *,
    follows: bool,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Print what a run printed, below what it is.

    Args:
        store: where it is.
        prefix: the beginning of its id.
        console: where to print.
        follows: whether to go on until it ends.
        pause: waits, for tests.

    Raises:
        InvalidInput: no run's id begins so, or several do, or it has printed nothing yet.
    """
    run = _find(store, prefix)
    console.print(_title(run, store), style="bold", markup=False, soft_wrap=True)
    logs = logs_of(run)
    if not logs and not follows:
        raise InvalidInput(
            f"run {run.folder.name} has no log: it hasn't begun, or an earlier raysweep trained it"
        )
    for line in _lines(run, follows=follows, pause=pause):
        console.print(line, markup=False, soft_wrap=True)


def _lines(run: RunFolder, *, follows: bool, pause: Callable[[float], None]) -> Iterator[str]:
    readers: dict[Path, LogReader] = {}
    while True:
        has_ended = any(path.exists() for path in (run.result, run.error, run.stopped))
        logs = logs_of(run)
        for log in logs:
            lines = readers.setdefault(log, LogReader(log)).lines()
            if lines and len(logs) > 1:
                yield f"── {log.name}"
            yield from lines
        if not follows or has_ended:
            return
        pause(_LOOK_SECONDS)


def _find(store: Store, prefix: str) -> RunFolder:
    runs = sorted(path.name for path in (store.folder / "runs").glob("[!.]*") if path.is_dir())
    found = [name for name in runs if name.startswith(prefix)] if prefix else []
    if len(found) == 1:
        return store.run(found[0])
    if not found:
        raise InvalidInput(
            f"no run in {store.folder} has an id that begins with {prefix!r}; raysweep plan FILE lists ids"
        )
    named = ", ".join(found[:_MOST_NAMED]) + (", …" if len(found) > _MOST_NAMED else "")
    raise InvalidInput(f"{len(found)} runs have ids that begin with {prefix!r}: {named}; give more of it")


def _title(run: RunFolder, store: Store) -> str:
    """The run by its model, task and seed, and the supervisor whose labels it is trained on."""
    try:
        fields = read_json(run.spec)["fields"]
        title = f"{fields['model']['name']} on {fields['task']['name']}, seed {fields['seed']}"
        supervisor = fields["labels"].get("supervisor")
    except (CorruptFile, KeyError, TypeError):  # it hasn't begun
        return f"run {run.folder.name}"
    taught = f"\n  on the labels of {_title(store.run(supervisor), store)}" if supervisor else ""
    return f"run {run.folder.name}: {title}{taught}"
