"""The local runner: a plan in this process, one run after another, without Ray. For debugging and for most tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raysweep.scheduling.board import Board
from raysweep.search.searches import histories
from raysweep.search.stopping import Referee
from raysweep.training.execute import Job, execute
from raysweep.training.process import ProcessNotClean, clean_process


def run_locally(board: Board, code: Mapping[str, Any]) -> None:
    """Execute every run of the board that isn't done, in the board's order.

    Whatever `Resources.num_workers` says, one process trains: by the design a result doesn't depend on it.
    """
    referee = None
    if board.plan.growth is not None and board.plan.growth.searches.search.stopping_call is not None:
        searches = board.plan.growth.searches
        referee = Referee(searches.search, histories(searches))
    while heads := board.heads():
        run = heads[0]
        board.start(run)
        job = Job.of(run, board.store, code, referee, in_process=True)
        try:
            with clean_process():
                execute(job)
        except ProcessNotClean:
            board.end(run)
            raise
        except Exception as error:  # the trial's boundary: the run's error.txt holds the traceback
            board.end(run, f"{type(error).__name__}: {error}")
        else:
            board.end(run)
