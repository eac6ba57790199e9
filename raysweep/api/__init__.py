"""A sweep from Python, in a script or a notebook: `raysweep.plan`, `raysweep.run` and `raysweep.load`.

They do what the commands of the same names do, on the same path, and return frames instead of printing
tables; what a command says when it ends badly is the message of an exception. `raysweep` names them without
importing this package before one of them is used. It is the last package: nothing imports it.
"""

from raysweep.api.plan import PlannedSweep, plan
from raysweep.api.results import Results, load
from raysweep.api.run import run

__all__ = ["PlannedSweep", "Results", "load", "plan", "run"]
