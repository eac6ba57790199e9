"""MLflow as a tracking backend: the only package that imports mlflow, and that knows MLflow's tags, limits,
statuses and UI.

One MLflow experiment per sweep. Each of its entries is an MLflow run: one for the sweep itself; one for each
distinct raysweep run, nested below the sweep's; one for each cell that is done; and one for each cell group
at the end, with the numbers of its row in `raysweep results`. Each is found again by a tag (`raysweep.sweep`,
`raysweep.run_id`, `raysweep.cell`, `raysweep.group`), so writing one again never makes a second one. Tags
that people filter by: `kind` ("sweep", "run", "cell", "group"), `role` (of a run), `task`, `model`, `weak`,
`strong`, `method`, `seed`. Curves by step are metrics `curve/…`; all other metrics are final numbers. Weights
that a run kept in the store are a logged model of its MLflow run. The experiment's description links to saved
views: tables and charts ready made.

Imports the modules of `raysweep.tracking` that know no backend. mlflow itself is imported inside functions,
since that takes seconds. Start reading in `client`:

    location    which tracking URIs can be used, MLflow's settings, and the command that opens its UI
    database    SQLite files, which several sweeps may make at once, and database servers
    tags        MLflow's names for what an entry holds: tags, statuses, limits
    client      writes entries into an experiment
    views       the columns, groups and charts of MLflow's UI
    reader      reads a sweep back as frames, without the store
"""

from raysweep.tracking.mlflow.location import MlflowLocation

__all__ = ["MlflowLocation"]
