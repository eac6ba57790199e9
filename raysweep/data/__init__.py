"""Data: what runs read is checked, identified by its content and written into the store before anything
trains.

It imports `tasks`, `models`, `transforms` and `store`. Start with `inputs.RunInputs`, which is everything
that a run reads; `examples`, `labels` and `tokens` are its parts, and `pinning` identifies tasks and models
when a sweep is planned.
"""
