"""Planning: from a sweep to the graph of distinct runs that answer it.

sweep.py is what an experiment file describes, plan.py checks it, pins all that it reads and lays out its
runs, graph.py holds the runs and cells, validate.py refuses what couldn't be trained.
`raysweep.planning.search` searches hyperparameters before cells are laid out. Start reading at `make_plan` in
plan.py.

It may import data, recipes and all packages before these; nothing of it trains, and it knows no scheduler.
"""
