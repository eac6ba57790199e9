"""Reports of a sweep: the page, its figures, and a comparison with published numbers.

`write.publish` makes a report and writes it. `figures` draws what there are numbers for, `page` puts answer,
tables and figures into one HTML file, and `published` finds published numbers that stand beside the sweep's.
All of them take a `raysweep.results.frames.SweepData`, wherever it was read from, and compute no result of
their own. The package imports `results` and whatever is below it. Start reading in `write`.
"""
