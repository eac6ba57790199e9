"""Estimates: what runs cost in time and memory before they train, and what a cluster would make of a plan.

It imports `planning` and `training`, which say what runs compute. Start with `runtime` for seconds and
`gpu_sharing` for memory; `throughput` reads what finished runs took, `simulation` and `backfill` place runs
on devices, and `forecast` puts all of this together.
"""
