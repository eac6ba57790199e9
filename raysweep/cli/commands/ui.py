"""The command `raysweep ui`."""

from __future__ import annotations

from rich.console import Console

from raysweep.cli.ui import open_ui
from raysweep.planning.sweep import load_sweep


def show_ui(console: Console, *, file: str, folder: str, tracking_uri: str, opens_browser: bool) -> int:
    """MLflow's pages on the sweep."""
    return open_ui(tracking_uri, load_sweep(file).name, console, opens_browser=opens_browser)
