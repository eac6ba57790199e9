"""Executing a plan: on Ray, in this process, or with a runner of the user's own.

`run_plan` (run.py) is the entry point: it does what is the same for every runner. The queue (queue.py) is the
state machine of a plan's runs and knows no Ray; a `Runner` (runner.py) takes runs from it. The Ray runner
(tune.py) is made of a searcher that decides, slots that execute, the capacity of the cluster, and worker
groups. Start reading at run.py, then local.py, which is the smallest runner.

It may import everything but the command line. Only it and `raysweep.planning.search` import ray.
"""
