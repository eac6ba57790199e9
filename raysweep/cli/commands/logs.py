"""The command `raysweep logs`."""

from __future__ import annotations

from rich.console import Console

from raysweep.cli.exit_codes import SUCCESS
from raysweep.cli.run_output import show_log
from raysweep.store import Store


def show_logs(console: Console, *, folder: str, id: str, follows: bool) -> int:
    """What a run printed."""
    show_log(Store.existing(folder), id, console, follows=follows)
    return SUCCESS
