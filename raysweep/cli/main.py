"""The command line: raysweep plan | run | status | results | report | figures | export | measure |
sync | list.

It has no science flags: an experiment is a Python file (see experiments/). Exit codes: 0 success; 1 a run
failed, or a file can't be read or written; 2 bad input or usage, nothing was trained; 3 something isn't
finished yet (of run and sync: in MLflow); 70 an error of raysweep or the machine, with its traceback; 130
interrupted, 143 by SIGTERM; 141 the reader of the output has gone.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import NoReturn

from raysweep.cli.exit_codes import SUCCESS
from raysweep.cli.options import make_parser
from raysweep.cli.outcome import exit_code
from raysweep.cli.terminal import OutputConsole, end_process
from raysweep.gc_control import raise_gc_thresholds


def command() -> NoReturn:
    """The command `raysweep`, in a process of its own."""
    end_process(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    raise_gc_thresholds()
    return exit_code(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = make_parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may come next; this ends the process
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        options = vars(parser.parse_args(arguments))
    except SystemExit:  # after --help, --version or --completion
        return SUCCESS
    module, _, function = options.pop("command").partition(":")
    work = getattr(importlib.import_module(f"raysweep.cli.commands.{module}"), function)
    return int(work(OutputConsole(), **options))
