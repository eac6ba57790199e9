"""Starting Ray: connecting to the cluster that `RAY_ADDRESS` names, or starting Ray on this machine, which
takes seconds that planning can use."""

from __future__ import annotations

import logging
import os
import threading

_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    # The searcher itself limits how many trials there are.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Tune's own record of all trials is for `Tuner.restore`; every 10 s, it would take longer the more there
    # have been.
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",
    # Trials read and write the store by absolute paths; relative paths in specs mean the directory of the
    # driver.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Tune's trials have an environment of their own, for which none of the processes that Ray starts ahead is
    # used.
    "RAY_prestart_worker_first_driver": "0",
}

_has_begun: threading.Event | None = None
"""Set as soon as Ray has started in the background, or failed to."""


def begin() -> None:
    """Start Ray in the background. `start` waits for it, and tells if it failed."""
    global _has_begun
    import ray

    if _has_begun is None and not ray.is_initialized():
        _has_begun = threading.Event()
        threading.Thread(target=_begin, args=(_has_begun,), name="ray-start", daemon=True).start()


def _begin(has_begun: threading.Event) -> None:
    try:
        _initialize()
    except Exception:
        logging.getLogger(__name__).debug("Ray didn't start ahead; `start` tries again", exc_info=True)
    has_begun.set()
    threading.Event().wait()  # Ray's processes end with the thread that started them


def start() -> None:
    """Connect this process to Ray, unless it is connected."""
    import ray

    if _has_begun is not None:
        _has_begun.wait()
    if not ray.is_initialized():
        _initialize()


def _initialize() -> None:
    import ray

    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    # Of a cluster that runs already, the dashboard stays as it is.
    ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
