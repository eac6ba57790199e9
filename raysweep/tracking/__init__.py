"""Tracking: shows in a tracking system, such as MLflow, what the store records.

The store is the record and a tracking system only a view of it: `sync` rebuilds the view at any time, and
`BackgroundSync` keeps it up to date while a sweep runs, from one thread of the driver. Workers and trials
never talk to a tracking system.

Each sweep, run, cell and cell group is one `Entry`, which is the same for all backends. A backend is chosen
by the scheme of the tracking URI. Another one is a module beside `mlflow/` with the methods of `Backend` and
`Location`, which is imported here. May import everything up to results; nothing below imports it. Start
reading in `entry` and `backend`, then `sync`:

    entry       metadata, numbers and files of one sweep, run, cell or cell group
    params      a run's spec as params
    curves      numbers and curves as points, thinned
    build       from the plan and the store to entries
    findings    what the sweep found: a row of the results table each, and the answer
    backend     the interface of a backend, and the registry of backends
    sync        writes those entries of a plan that a backend doesn't have: `sync`, `log_report`
    background  the same while a sweep runs: `BackgroundSync`
    mlflow/     MLflow as a backend
"""

from raysweep.tracking import mlflow
from raysweep.tracking.backend import locate
from raysweep.tracking.background import BackgroundSync
from raysweep.tracking.sync import SyncSummary, TrackingFailed, log_report, sync

__all__ = ["BackgroundSync", "SyncSummary", "TrackingFailed", "locate", "log_report", "mlflow", "sync"]
