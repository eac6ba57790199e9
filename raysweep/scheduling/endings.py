"""Tries of a run: what ended one, the run's own fault or the cluster's, and whether there is another."""

from __future__ import annotations

import re
import time
from collections import Counter

from raysweep.estimates.out_of_memory import is_out_of_memory, with_more_memory
from raysweep.planning.graph import PlannedRun
from raysweep.spec import Features
from raysweep.spec.resources import Resources
from raysweep.store import RunFolder

MOST_TRIES = 3
_PAUSES_SECONDS = (2.0, 15.0)
"""Before the second try, and before the third: what was lost may be coming back."""

DIED = "the process that trained it died; it may have run out of memory"

_INFRASTRUCTURE = re.compile(
    # Ray's words for the death of a process or a node.
    r"^(?:ActorDiedError|ActorUnavailableError|RayActorError|NodeDiedError|WorkerCrashedError|RaySystemError"
    r"|WorkerHealthCheckTimeoutError|ObjectLostError|OwnerDiedError)\b"
    # torch.distributed's: a worker that is gone, found by the others, or a network that fails.
    r"|^Dist(?:Backend|Network|Store)Error\b|\bNCCL\b|\bnccl\w*Error\b|gloo/transport"
    r"|Connection (?:closed|reset) by peer|Socket Timeout|Timed out after \d+ ?ms|Timed out waiting \d+ ?ms"
    # The operating system's, of a network or a disk: EIO, ENODEV, ETIMEDOUT, EHOSTUNREACH, ESTALE.
    r"|^(?:TimeoutError|ConnectionError|ConnectionResetError|ConnectionRefusedError|BrokenPipeError|"
    r"ReadTimeout|ConnectTimeout)\b|\[Errno (?:5|19|110|113|116)\]|can't be written: the disk at"
    # A GPU's.
    r"|uncorrectable ECC error|unspecified launch failure|no CUDA-capable device|GPU is lost"
    # The watchdog's.
    r"|^no sign of life for "
)


def is_infrastructure(cause: str) -> bool:
    """Whether a failure's cause (the first line of error.txt) is the death of a process or node, the network,
    a device, or the store's disk, so that the same run may succeed if it is tried again. The run's own error
    is final: the same code on the same data would only fail again."""
    return bool(_INFRASTRUCTURE.search(cause))


def cause_of_end(folder: RunFolder, reason: str) -> tuple[str, bool]:
    """Why a run that isn't done ended, and whether it was lost, so that the same run may succeed if it is
    tried again. `reason` is what is known if the run itself has left no error.txt; it is written there.

    Raises:
        RaysweepError: the store can't be written.
    """
    is_lost = not folder.error.exists() or is_infrastructure(folder.failure())
    folder.tell_failure(reason or DIED)
    return folder.failure(), is_lost


def may_be_tried_again(cause: str) -> bool:
    """Whether a failure isn't the run's own error: with other resources or elsewhere it may succeed."""
    return is_infrastructure(cause) or is_out_of_memory(cause)


def cause_of_death(told: str, where: str = "") -> str:
    """Why a slot failed, in one line, from the error that Ray has of it: which process, where, how it ended.
    Ray doesn't know by which signal. `where` is the process and its node, as the slot itself has said."""
    if re.search(r"actor \w+ is unavailable", told, re.IGNORECASE):  # told before Ray knows what died
        return (
            f"{where or 'the process'}, which trained it, doesn't answer any more: it died, or its node did"
        )
    process, node = re.search(r"^\s*pid: (\d+)$", told, re.MULTILINE), re.search(r"\bip: ([\w.:]+)", told)
    if not re.search(r"actor (?:is dead|died)|worker died|node has died", told, re.IGNORECASE):
        lines = [line for line in told.splitlines() if line.strip()]
        return lines[-1].strip() if lines else DIED
    who = f"process {process[1]}" if process else "the process"
    where = f" on node {node[1]}" if node else ""
    if re.search(r"\bnode has died", told):
        return f"{who}{where}, which trained it, died with its node"
    detail = re.search(r"Worker exit detail: ([^\n]+)", told)
    how = detail[1].partition(". ")[0].rstrip(".") if detail else "Ray doesn't know how"
    return f"{who}{where}, which trained it, died, and may have run out of memory ({how})"


class Tries:
    """How often each run of a queue was tried, and when it is tried again."""

    def __init__(self) -> None:
        self._number: Counter[str] = Counter()
        self._due: dict[str, float] = {}

    def larger(self, run: PlannedRun, folder: RunFolder) -> Resources | None:
        """What a run that ran out of memory is tried with again; None for any other."""
        if not folder.error.exists():
            return None
        trains = not isinstance(run.spec.model.tuning, Features)
        batch_size = run.spec.optimization.batch_size if trains else None
        return with_more_memory(run.resources, folder.failure(), batch_size)

    def again(self, run_id: str) -> bool:
        """A try was lost. Whether there is another; after a pause, `due` names the run."""
        self._number[run_id] += 1
        number = self._number[run_id]
        if number >= MOST_TRIES:
            return False
        self._due[run_id] = time.monotonic() + _PAUSES_SECONDS[number - 1]
        return True

    def of(self, run_id: str) -> str:
        """Which try was lost last, in words."""
        return f"try {self._number[run_id]} of {MOST_TRIES}"

    def due(self) -> list[str]:
        """The runs whose pause is over; each is named once."""
        if not self._due:
            return []
        now = time.monotonic()
        found = [run_id for run_id, at in self._due.items() if at <= now]
        for run_id in found:
            del self._due[run_id]
        return found
