"""Results: from finished runs to numbers, rows and tables.

`measure` computes a run's numbers from its saved predictions. `frames.SweepData` is the read model of a whole
sweep, the only input of tables, pages, figures and exports: `from_store.read_store` makes it from the store,
and `raysweep.tracking.mlflow.reader.read_mlflow` from MLflow. It gives frames of cells, runs and curves, the
`rows` of the results table (`cells`), the `comparisons` of methods, `over_tasks` and `leads`, which pool
tasks and pairs, and the sweep's `provenance`. `statistics` has the intervals, made of the `noise` of means;
`seeds` tells which failed, `choices` what a search chose. `tables` turns all of it into texts, with `notes`
below them, `answer` says it in sentences, `markup` puts tables into Markdown and LaTeX, and `records` are the
same numbers flat, for frames, CSV files and tracking systems.

The package imports `planning` and whatever is below it, and neither training, tracking nor report. Start
reading in `frames`.
"""
