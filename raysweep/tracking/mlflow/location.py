"""Where MLflow is: a SQLite file on this machine, a database, or a server."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from raysweep.errors import InvalidInput
from raysweep.registry import summary
from raysweep.tracking.backend import backends
from raysweep.tracking.mlflow.client import MlflowBackend

_SERVERS = r"https?://.+|databricks(-uc)?(://.+)?"
_DATABASES = r"(postgresql|mysql|mssql)(\+\w+)?://.+"
_SCHEMES = ("sqlite", "http", "https", "databricks", "databricks-uc", "postgresql", "mysql", "mssql")
_SETTINGS = {
    # No network at run time except to the user's own server.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # `BackgroundSync` tries again by itself; MLflow's own 7 tries of 120 s would delay the end of a sweep by
    # minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Two lines per entry, in the middle of the table of runs.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass(frozen=True)
class MlflowLocation:
    """A checked tracking URI of MLflow."""

    system: ClassVar[str] = "MLflow"
    uri: str
    database: Path | None
    """The SQLite file, if it is one."""

    @property
    def shown(self) -> str:
        """The URI as messages show it: without a user's name and password."""
        return re.sub(r"//[^/@]*@", "//", self.uri)

    @property
    def ui_command(self) -> str:
        """The one command that opens MLflow's UI; of a server, its address."""
        if re.fullmatch(_SERVERS, self.uri):
            return self.shown
        return f"mlflow ui --backend-store-uri {shlex.quote(self.uri)}"

    def open(self, sweep: str) -> MlflowBackend:
        """Open the experiment of that name, which is made if it isn't there."""
        # Beside a SQLite file; else the server knows where.
        artifacts = (self.database.parent / "mlartifacts").as_uri() if self.database else None
        return MlflowBackend(self.uri, sweep, artifacts)

    @staticmethod
    def errors() -> tuple[type[Exception], ...]:
        """The exceptions of MLflow, of its database and of its file system or connection."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        # OSError: artifacts, and the exceptions of requests, which are of this class.
        return (MlflowException, SQLAlchemyError, OSError)


def locate_mlflow(uri: str) -> MlflowLocation:
    """MLflow: a file sqlite:///PATH, a server http(s)://HOST:PORT, or a database postgresql://…, mysql://… or
    mssql://… (MLflow keeps no runs in plain folders any more)

    Also sets what MLflow reads from the environment, where the user hasn't set it. Call it in the main
    thread, before any run.

    Args:
        uri: the tracking URI; a relative SQLite path is taken from the current directory.

    Raises:
        InvalidInput: MLflow can't keep a sweep there.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    path, _, options = uri.removeprefix("sqlite:///").partition("?")
    if uri.startswith("sqlite:///") and path and path != ":memory:":
        database = Path(path).absolute()
        _require_writable(uri, database)
        return MlflowLocation(f"sqlite:///{database}" + (f"?{options}" if options else ""), database)
    if not re.fullmatch(f"{_SERVERS}|{_DATABASES}", uri):
        raise InvalidInput(f"tracking URI {uri!r} can't be used; it must be of {summary(locate_mlflow)}")
    return MlflowLocation(uri, None)


def _require_writable(uri: str, database: Path) -> None:
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"the folder of tracking URI {uri!r} can't be made ({error}); name another one"
        ) from error
    if not os.access(database if database.exists() else database.parent, os.W_OK):
        raise InvalidInput(
            f"tracking URI {uri!r}: {database} can't be written; name another file with --tracking-uri"
        )


for scheme in _SCHEMES:
    backends.add(scheme, locate_mlflow)
