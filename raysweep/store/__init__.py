"""The store: a folder that is the only record of what was computed.

It imports `files`, `spec` and `predictions`, and knows neither how runs are trained nor how they are shown.
Start with `store.Store`, which names the parts of the folder and tells the status of a run; `run_folder` has
the files of one run, `lease` who may write them, `leftovers` what killed processes left behind, `code_state`
the commit and changes of the user's code.
"""

from raysweep.store.run_folder import RunFolder as RunFolder
from raysweep.store.status import RunStatus as RunStatus
from raysweep.store.store import Store as Store
