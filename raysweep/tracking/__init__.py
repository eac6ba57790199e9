"""Tracking: what the store records, shown in MLflow.

One MLflow experiment a sweep; in it one MLflow run for each finished cell, one for the sweep and, nested
below that, one for each distinct raysweep run. Each is found again by a tag (`raysweep.planning.sweep`,
`raysweep.run_id`, `raysweep.cell`), so no re-run ever makes a second one. Tags that people filter by: `kind`
("sweep", "cell", or the run's kinds), `task`, `model`, `weak`, `strong`, `method`, `seed`. Curves by step are
metrics `curve/…`; all other metrics are final numbers. Weights that a run kept in the store are a logged
model of it. The experiment's description links to saved views of it: tables and charts ready made.

The store is the record and MLflow a view of it: `sync` rebuilds the view, `Tracker` keeps it up to date while
a sweep runs, from one background thread of the driver. Workers and trials never talk to MLflow. The rooms:

    location    which tracking URIs are usable, and how the UI is opened
    params      a spec, flat
    points      a run's metrics and curves, thinned
    views       which columns, groups and charts MLflow's UI shows
    records     from the store's files to what an MLflow run holds; knows no MLflow
    writer      the only module that imports mlflow
    recorder    a plan's records, each written unless MLflow has it already; `sync`, `log_report`
    tracker     the background thread
"""

from raysweep.tracking.background import Tracker
from raysweep.tracking.mlflow.location import shown_uri, ui_command
from raysweep.tracking.sync import SyncSummary, TrackingFailed, log_report, sync

__all__ = ["SyncSummary", "Tracker", "TrackingFailed", "log_report", "shown_uri", "sync", "ui_command"]
