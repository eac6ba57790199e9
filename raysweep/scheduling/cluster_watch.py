"""Notices that the cluster is lost: that nothing answers any more where its head was.

Ray itself says nothing of it. Its workers die one by one, which looks as if every run had failed, and after a
minute it ends the driver's process without a word.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from types import TracebackType

from raysweep.errors import ClusterLost, RaysweepError
from raysweep.scheduling.queue import RunQueue

_LOOK_SECONDS = 1.0
_CONNECT_SECONDS = 5.0
_PATIENCE_SECONDS = 20.0
"""Without an answer, before the cluster is lost."""
_END_SECONDS = 20.0
"""How long Ray Tune may take to end then; it may wait for what will never come. Together less than the minute
after which Ray ends the process."""


class ClusterWatch:
    """A context in which the head of a cluster is looked at. If it is lost, the queue is closed, so that no
    run counts as failed, and Ray Tune is interrupted.

    Args:
        address: host:port of the head.
        queue: what the cluster executes.
    """

    def __init__(self, address: str, queue: RunQueue) -> None:
        self._address = address
        self._queue = queue
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ray-watch", daemon=True)

    def __enter__(self) -> ClusterWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._has_ended.set()

    def is_lost(self) -> bool:
        """Whether nothing answers there, now and for a while."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            if time.monotonic() > end:
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def problem(self) -> RaysweepError:
        """What the user is told."""
        return ClusterLost(
            f"the Ray cluster is lost: nothing answers at {self._address} any more. No run has failed, "
            "and what is done is kept; start a cluster and run the same command again to go on"
        )

    def _answers(self) -> bool:
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except OSError:
            return False
        return True

    def _watch(self) -> None:
        while not self._has_ended.wait(_LOOK_SECONDS):
            if not self._answers() and self.is_lost():
                break
        else:
            return
        self._queue.close(self.problem())
        if self._has_ended.is_set():
            return
        os.kill(os.getpid(), signal.SIGINT)
        if not self._has_ended.wait(_END_SECONDS):
            print(f"raysweep: {self.problem()}", file=sys.stderr, flush=True)
            os._exit(os.EX_SOFTWARE)
