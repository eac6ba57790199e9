"""Where MLflow is: a SQLite file on this machine, a database, or a server."""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from raysweep.errors import HIDDEN, InvalidInput, shown_address
from raysweep.registry import summary
from raysweep.tracking.backend import backends, one_line
from raysweep.tracking.mlflow.client import MlflowBackend
from raysweep.tracking.mlflow.database import SqliteFile, require_answer

_SERVERS = r"https?://.+|databricks(-uc)?(://.+)?"
_DATABASES = r"(postgresql|mysql|mssql)(\+\w+)?://.+"
_SCHEMES = ("sqlite", "http", "https", "databricks", "databricks-uc", "postgresql", "mysql", "mssql")
_SETTINGS = {
    # No network at run time except to the user's own server.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # At once, then after 2 and 4 s: an entry takes some twenty requests, so that if one in five failed hardly
    # any entry would be written. MLflow's own 7 tries of 120 s would delay the end of a sweep by minutes, and
    # `BackgroundSync` tries again by itself. Jitter would draw from Python's random numbers.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Two lines per entry, in the middle of the table of runs.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass(frozen=True)
class MlflowLocation:
    """A tracking URI of MLflow."""

    system: ClassVar[str] = "MLflow"
    address: str
    """The URI as it was given."""
    file: SqliteFile | None
    """The SQLite file, if it is one."""

    @property
    def uri(self) -> str:
        """The URI by which MLflow opens it."""
        return self.file.uri if self.file else self.address

    @property
    def database(self) -> Path | None:
        """The path of the SQLite file, if it is one."""
        return self.file.path if self.file else None

    @property
    def shown(self) -> str:
        """The URI as messages show it: without what may be secret."""
        if self.file:
            return f"sqlite:///{self.file.path}{self.file.options}"
        return shown_address(self.address)

    @property
    def is_server(self) -> bool:
        """Whether it is a server, which has a UI of its own."""
        return re.fullmatch(_SERVERS, self.address) is not None

    @property
    def ui_command(self) -> str:
        """The one command that opens MLflow's UI; of a server, its address."""
        if self.is_server:
            return self.shown.replace(f"{HIDDEN}@", "")
        if self.file and self.file.uri != self.shown:
            folder = shlex.quote(str(self.file.path.parent))
            return (
                f"cd {folder} && mlflow ui --backend-store-uri sqlite:///{shlex.quote(self.file.path.name)}"
            )
        return f"mlflow ui --backend-store-uri {shlex.quote(self.shown)}"

    def check(self) -> None:
        """Check that MLflow can keep a sweep there now.

        Raises:
            InvalidInput: it can't be reached, read or written, or isn't MLflow.
        """
        with self._reached():
            if self.is_server:
                from mlflow import MlflowClient

                _quiet()
                MlflowClient(self.uri).search_experiments(max_results=1)

    def open(self, sweep: str) -> MlflowBackend:
        """Open the experiment of that name, which is made if it isn't there."""
        with self._reached():
            _quiet()
        if self.file is None:
            return MlflowBackend(self.uri, sweep, None)  # the server knows where artifacts go
        with self.file.ready():
            return MlflowBackend(self.uri, sweep, (self.file.path.parent / "mlartifacts").as_uri())

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Check what can be checked at once, and tell the user of what fails in the block."""
        if self.file:
            self.file.require_usable()
        try:
            if re.fullmatch(_DATABASES, self.address):
                require_answer(self.address)
            yield
        except Exception as error:  # of a driver, of a URL: of whatever kind, nothing can be written there
            raise InvalidInput(
                f"MLflow at {self.shown} can't be used: {one_line(error, self.address)}. Start or repair it, "
                "or name another with --tracking-uri"
            ) from error

    @staticmethod
    def errors() -> tuple[type[Exception], ...]:
        """The exceptions of MLflow, of its database and of its file system or connection."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        # OSError: artifacts, and the exceptions of requests, which are of this class.
        return (MlflowException, SQLAlchemyError, OSError)


def _quiet() -> None:
    """Log neither each table that is made, nor each locked database and new try."""
    import mlflow  # noqa: F401 (which sets the levels anew)

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for name in ("mlflow", "alembic", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def locate_mlflow(uri: str) -> MlflowLocation:
    """MLflow: a file sqlite:///PATH, a server http(s)://HOST:PORT, or a database postgresql://…, mysql://… or
    mssql://… (MLflow keeps no runs in plain folders any more)

    Also sets what MLflow reads from the environment, where the user hasn't set it. Call it in the main
    thread, before any run.

    Args:
        uri: the tracking URI; a relative SQLite path is taken from the current directory.

    Raises:
        InvalidInput: it is none of these.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    file = SqliteFile.of_uri(uri)
    if file is None and not re.fullmatch(f"{_SERVERS}|{_DATABASES}", uri):
        raise InvalidInput(
            f"tracking URI {shown_address(uri)!r} can't be used; it must be of {summary(locate_mlflow)}"
        )
    return MlflowLocation(uri, file)


for scheme in _SCHEMES:
    backends.add(scheme, locate_mlflow)
