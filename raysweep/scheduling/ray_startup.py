"""Starting Ray: connecting to the cluster that `RAY_ADDRESS` names, or starting Ray on this machine, which
takes seconds that planning can use."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from raysweep.errors import InvalidInput
from raysweep.scheduling.ray_address import RayAddress, find_ray, require_startable, temporary_folder

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
    # As in `worker_group._no_retries`, for versions of Ray Train that count a drained node's workers so.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    # Users' names are in any language, whatever the locale of the shell.
    "PYTHONUTF8": "1",
}
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_MACHINE_ERROR = 70
"""The exit code for an error of the machine (see `raysweep.cli.exit_codes`)."""
_CONNECT_SECONDS = 35.0
"""How long a running Ray may take to let this process in; it would itself wait for half an hour."""


class _Start:
    """Ray as it starts in a thread of its own, since its processes end with the thread that started them."""

    def __init__(self, address: RayAddress | None) -> None:
        self.address = address
        self.error: Exception | None = None
        self.has_ended = threading.Event()
        threading.Thread(target=self._run, name="ray-start", daemon=True).start()

    def _run(self) -> None:
        try:
            _initialize(self.address)
        except Exception as error:  # of many unrelated types; `start` tells it
            self.error = error
        self.has_ended.set()
        threading.Event().wait()


_start: _Start | None = None


def require_ray() -> RayAddress | None:
    """The Ray that will be used; None for one that is started on this machine.

    Raises:
        InvalidInput: it can't be reached, or can't be started.
    """
    address = find_ray()
    if address is None:
        require_startable()
    else:
        address.require_answer()
    return address


def begin() -> None:
    """Start Ray in the background. `start` waits for it, and tells if it failed.

    Raises:
        InvalidInput: as `require_ray`.
    """
    global _start
    import ray

    if _start is None and not ray.is_initialized():
        _start = _Start(require_ray())


def start() -> None:
    """Connect this process to Ray, unless it is connected.

    Raises:
        InvalidInput: Ray can't be started or connected to.
    """
    global _start
    begin()
    if _start is None:
        return
    in_time = _start.has_ended.wait(_CONNECT_SECONDS if _start.address else None)
    address, error = _start.address, _start.error
    if in_time and error is None:
        return
    _start = None
    why = "it doesn't let this process in"
    if error is not None:
        why = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}".rstrip(". ")
    if address is not None:
        raise address.unusable(why) from error
    raise InvalidInput(
        f"Ray can't be started on this machine: {why}. Its logs are in "
        f"{temporary_folder()}/session_latest/logs; to train without it: --local"
    ) from error


def is_elsewhere() -> bool:
    """Whether this process is connected to a Ray that it didn't start, whose nodes may be other machines."""
    return _start is None or _start.address is not None


def _initialize(address: RayAddress | None) -> None:
    import ray

    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if address is None:
        _stay_on_this_machine()
    with _sigterm_kept(), _daemons_apart():
        # Of a cluster that runs already, the dashboard stays as it is.
        ray.init(
            address.text if address else "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False,
        )
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if address is None:
        threading.Thread(target=_end_without_daemons, name="ray-daemons", daemon=True).start()


def _end_without_daemons() -> None:
    """End this process soon after one of the daemons that it started has died, with a line. Ray would wait
    for it for a minute, in code that no signal interrupts, and then end it with a trace."""
    import atexit

    from ray._private import worker

    is_ending = threading.Event()
    atexit.register(is_ending.set)  # before Ray's own, which was registered before: it ends the daemons
    node = worker._global_node
    assert node is not None
    daemons = {
        name: node.all_processes[name][0].process
        for name in ("gcs_server", "raylet")
        if node.all_processes.get(name)
    }
    while not is_ending.wait(_LOOK_SECONDS):
        dead = [name for name, process in daemons.items() if process.poll() is not None]
        if dead and (is_ending.wait(_GRACE_SECONDS) or worker._global_node is not node):
            return  # Ray was shut down
        if dead:
            print(
                f"raysweep: Ray's {' and '.join(dead)} on this machine has died; what is done is kept, run "
                "the same command again to go on",
                file=sys.stderr,
                flush=True,
            )
            os._exit(_MACHINE_ERROR)


def _stay_on_this_machine() -> None:
    """Let nobody else in: all of Ray's processes listen on the loopback interface alone, and ask for a token
    that only this user can read."""
    from ray._private import ray_constants

    # Else Ray takes the machine's outer address for its node's, and so listens on all. `_node_ip_address` of
    # `ray.init` can't say so: it replaces 127.0.0.1 by the outer address.
    ray_constants.ENABLE_RAY_CLUSTER = False
    if os.environ.get("RAY_AUTH_MODE", "token") == "token" and "RAY_AUTH_TOKEN" not in os.environ:
        named = os.environ.get("RAY_AUTH_TOKEN_PATH")
        _make_private(Path(named) if named else Path.home() / ".ray" / "auth_token", may_make=not named)


def _make_private(token: Path, *, may_make: bool) -> None:
    """See to it that only its owner can read a token's file, which Ray would make for all to read."""
    try:
        if may_make and not token.exists():
            token.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=token.parent) as file:  # readable for its owner alone
                file.write(secrets.token_hex(32))
                file.flush()
                with contextlib.suppress(FileExistsError):  # another sweep has just made it
                    os.link(file.name, token)
        if token.stat().st_mode & 0o077:
            token.chmod(0o600)
    except OSError as error:
        raise InvalidInput(
            f"the file of Ray's token, {token}, can't be made readable for its owner alone: {error}; set "
            "RAY_AUTH_TOKEN_PATH to one that can"
        ) from error


@contextlib.contextmanager
def _daemons_apart() -> Iterator[None]:
    """Let Ray's processes that are started in the block have a session of their own. A signal to the whole
    process group of this one, as timeout(1), batch systems and terminals send it, would end them first, and
    this process would wait a minute for what they can't answer any more. They end with it all the same."""
    from ray._private import utils

    die_with_parent = utils.set_kill_on_parent_death_linux  # called in each of them before it begins

    def begin() -> None:
        os.setsid()
        die_with_parent()

    utils.set_kill_on_parent_death_linux = begin
    try:
        yield
    finally:
        utils.set_kill_on_parent_death_linux = die_with_parent


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep this process's handler of SIGTERM: Ray installs one that prints the stack of its C++ code.

    Python sets handlers in the main thread only; these functions of its C interface do in any.
    """
    get, put = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    get.restype = put.restype = ctypes.c_void_p
    put.argtypes = (ctypes.c_int, ctypes.c_void_p)
    handler = get(signal.SIGTERM)
    try:
        yield
    finally:
        put(signal.SIGTERM, handler)
