"""Results: from finished runs to numbers, rows and tables.

`measure` computes a run's numbers from its saved predictions. `frames.SweepData` is the read model of a whole
sweep, the only input of tables, pages, figures and exports: `from_store.read_store` makes it from the store,
and `raysweep.tracking.mlflow.reader.read_mlflow` from MLflow. It gives frames of cells, runs and curves, the
`rows` of the results table (`cells`), the `comparisons` of methods, and the sweep's `provenance`. `tables`
turns rows into texts, `statistics` has the intervals, `choices` what a search chose.

The package imports `planning` and whatever is below it, and neither training, tracking nor report. Start
reading in `frames`.
"""
