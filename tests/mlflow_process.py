"""MLflow's server as a process of its own."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def free_port() -> int:
    """A port of 127.0.0.1 at which nothing answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextmanager
def mlflow_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """A tracking server with its database in `folder`, once it answers; its address."""
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, start_new_session=True, stdout=log, stderr=log
        )
    try:
        _wait_for(f"{address}/health", 90)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


@contextmanager
def answering(status: int, body: str, port: int = 0) -> Iterator[str]:
    """A server that gives everybody the same answer; its address."""
    with _serving(lambda request, content: (status, body.encode()), port) as address:
        yield address


@contextmanager
def failing_proxy(address: str, share: float) -> Iterator[str]:
    """A server that answers that share of all requests with status 500 and passes the others on to another
    server; its address."""
    numbers = random.Random(0)

    def answer(request: BaseHTTPRequestHandler, content: bytes) -> tuple[int, bytes]:
        if numbers.random() < share:
            return 500, b"{}"
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        passed_on = urllib.request.Request(
            address + request.path, content or None, headers, method=request.command
        )
        try:
            with urllib.request.urlopen(passed_on) as answered:
                return answered.status, answered.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    with _serving(answer) as proxy:
        yield proxy


@contextmanager
def _serving(
    answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, bytes]], port: int = 0
) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *arguments: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _wait_for(address: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address).close()
            return
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, f"nothing answers at {address}"
            time.sleep(0.2)
