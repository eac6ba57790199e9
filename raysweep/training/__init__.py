"""Training: everything that happens in the processes that train a run.

It imports `data`, `models`, `objectives`, `results.measure` and what these need, and knows neither Ray nor
MLflow. Start with `run.execute`, which takes a run from its claim on a folder to its `result.json`, and with
`loop.train`, the training loop. `engine` and `sharding` are the only modules that import DeepSpeed. `memory`
and `parameters` tell what a run needs before it trains.
"""
