"""`raysweep ui`: opens the tracking system's pages on a sweep."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from pathlib import Path

from rich.console import Console

from raysweep.cli.defaults import default_uri
from raysweep.cli.exit_codes import FAILED, SUCCESS
from raysweep.cli.terminal import tell
from raysweep.errors import shown_address
from raysweep.tracking.mlflow.location import locate_mlflow
from raysweep.tracking.mlflow.page import sweep_page

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 120.0
_END_SECONDS = 10.0


def ui_command(file: str, uri: str) -> str:
    """The command that opens a sweep's pages, as it can be pasted where this one was given.

    Args:
        file: the experiment.
        uri: the tracking URI, which is named unless it is the one by default.
    """
    named = [] if uri == default_uri() else ["--tracking-uri", shown_address(uri)]
    return shlex.join([_program(), "ui", file, *named])


def _program() -> str:
    """This program as it was called; `python -m` calls it by its file."""
    called = Path(sys.argv[0])
    return "raysweep" if called.suffix == ".py" or called.name in ("", "-c") else sys.argv[0]


def open_ui(uri: str, sweep: str, console: Console, *, opens_browser: bool) -> int:
    """Open the pages on a sweep; of a file or a database, serve them on this machine until Ctrl-C.

    Args:
        uri: the tracking URI.
        sweep: the sweep's name.
        console: where the address is printed.
        opens_browser: whether a browser is opened there.

    Raises:
        InvalidInput: the URI can't be used, or MLflow has no such sweep.
    """
    location = locate_mlflow(uri)
    page = sweep_page(location, sweep)
    if location.is_server:
        _show(f"{location.ui_command.rstrip('/')}/{page}", console, opens_browser=opens_browser)
        return SUCCESS
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", location.uri]
    server = subprocess.Popen(
        [*command, "--host", _HOST, "--port", str(port), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # Without consumers of MLflow's own jobs, seven processes that outlive it.
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    address = f"http://{_HOST}:{port}/"
    try:
        if not _answers(server, address):
            said = (server.stderr.read() if server.stderr and server.poll() is not None else "").strip()
            tell(f"MLflow's server didn't come up: {said.splitlines()[-1] if said else 'it says nothing'}")
            return FAILED
        _show(address + page, console, opens_browser=opens_browser)
        console.print("Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            server.wait()
        return SUCCESS
    finally:
        _end(server)


def _show(address: str, console: Console, *, opens_browser: bool) -> None:
    console.out(address, highlight=False)
    if opens_browser:
        webbrowser.open(address)


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(server: subprocess.Popen[str], address: str) -> bool:
    end = time.monotonic() + _PATIENCE_SECONDS
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}health", timeout=5):
            return True
        time.sleep(0.2)
    return False


def _end(server: subprocess.Popen[str]) -> None:
    server.terminate()
    try:
        server.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
