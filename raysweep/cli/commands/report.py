"""The command `raysweep report`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from raysweep.cli.commands.loading import load
from raysweep.cli.exit_codes import SUCCESS, UNFINISHED
from raysweep.cli.terminal import tell
from raysweep.report.write import publish
from raysweep.results.from_store import read_store
from raysweep.tracking import locate, log_report, sync


def make_report(
    console: Console, *, file: str, folder: str, tracking_uri: str, out: str, figures: str | None
) -> int:
    """The page, its figures, and both in MLflow."""
    plan, store = load(file, folder)
    page, pictures = Path(out), Path(figures) if figures else None

    def log(written: Path) -> None:
        console.print(
            f"{page}: the report" + (f"\n{pictures}: its figures" if pictures else ""), markup=False
        )
        sync(tracking_uri, plan, store)  # so that MLflow has the runs that the report is about
        log_report(tracking_uri, plan, store, written)

    data = read_store(plan, store)
    publish(data, file, log, page, pictures)
    console.print(
        f"{locate(tracking_uri).shown}: all runs and cells; report and figures on the sweep's own run",
        markup=False,
    )
    missing = int((~data.planned["is_finished"]).sum())
    if missing:
        tell(f"{missing} of {len(plan.cells)} cells aren't finished; the report says which")
    return UNFINISHED if missing else SUCCESS
