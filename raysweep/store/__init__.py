"""The store: a folder that is the only record of what was computed."""

from raysweep.store.run_folder import RunFolder as RunFolder
from raysweep.store.run_folder import RunStatus as RunStatus
from raysweep.store.store import Store as Store
