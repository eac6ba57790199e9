"""How a command ends: what it says, and its exit code."""

from __future__ import annotations

import contextlib
import errno
import sys
import traceback
from collections.abc import Callable

from raysweep.cli.exit_codes import (
    BAD_INPUT,
    FAILED,
    INTERNAL_ERROR,
    INTERRUPTED,
    OUTPUT_CLOSED,
    SUCCESS,
    TERMINATED,
    TRY_AGAIN,
)
from raysweep.cli.terminal import OutputClosed, Termination, flush_output, show_all_characters, tell
from raysweep.errors import ClusterLost, NodesMissing, RaysweepError, StorageFailed, redacted

_OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)
"""Also told without the name of a file."""


def exit_code(work: Callable[[], int]) -> int:
    """Do the work of a command.

    Args:
        work: returns the exit code if nothing goes wrong.

    Returns:
        The exit code. What went wrong is on standard error, in a message for the user if one can mend it.
    """
    show_all_characters()
    with Termination() as termination:
        try:
            code = work()
        except RaysweepError as error:
            tell(str(error))
            code = FAILED if isinstance(error, StorageFailed) else BAD_INPUT
            code = INTERNAL_ERROR if isinstance(error, ClusterLost) else code
            code = TRY_AGAIN if isinstance(error, NodesMissing) else code
        except KeyboardInterrupt:
            how = "ended by SIGTERM" if termination.happened else "interrupted"
            tell(f"{how}; run the same command again to go on")
            code = TERMINATED if termination.happened else INTERRUPTED
        except OutputClosed:
            code = OUTPUT_CLOSED
        except BaseException as error:  # not left to Python, whose codes would say that a run failed, or 0
            code = _tell_error(error)
    return OUTPUT_CLOSED if not flush_output() and code == SUCCESS else code


def _tell_error(error: BaseException) -> int:
    """Tell an error that isn't one of the input; returns the exit code."""
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _OF_A_DISK):
        tell(f"{error}. See to that file or its disk, and run the same command again: what is done is kept")
        return FAILED
    with contextlib.suppress(OSError):  # nobody listens
        print(redacted(traceback.format_exc()), file=sys.stderr)
    return INTERNAL_ERROR
