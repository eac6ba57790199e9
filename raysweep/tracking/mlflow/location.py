"""Where MLflow is: a SQLite file on this machine, a database, or a server."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from raysweep.errors import InvalidInput

_SERVERS = r"https?://.+|databricks(-uc)?(://.+)?"
_DATABASES = r"(postgresql|mysql|mssql)(\+\w+)?://.+"


@dataclass(frozen=True)
class Location:
    """A checked tracking URI."""

    uri: str
    database: Path | None
    """The SQLite file, if it is one."""

    @classmethod
    def of(cls, uri: str) -> Location:
        """Check a tracking URI; a relative SQLite path is taken from the current directory.

        Raises:
            InvalidInput: MLflow can't keep a sweep there.
        """
        path, _, options = uri.removeprefix("sqlite:///").partition("?")
        if uri.startswith("sqlite:///") and path and path != ":memory:":
            database = Path(path).absolute()
            try:
                database.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidInput(
                    f"the folder of tracking URI {uri!r} can't be made ({error}); name another one"
                ) from error
            if not os.access(database if database.exists() else database.parent, os.W_OK):
                raise InvalidInput(
                    f"tracking URI {uri!r}: {database} can't be written; name another file with "
                    "--tracking-uri"
                )
            return cls(f"sqlite:///{database}" + (f"?{options}" if options else ""), database)
        if not re.fullmatch(f"{_SERVERS}|{_DATABASES}", uri):
            raise InvalidInput(
                f"tracking URI {uri!r} can't be used; it must be a file sqlite:///PATH, a server "
                "http(s)://HOST:PORT, or a database postgresql://…, mysql://… or mssql://… (MLflow keeps no "
                "runs in plain folders any more)"
            )
        return cls(uri, None)

    @property
    def shown(self) -> str:
        """The URI as messages show it: without a user's name and password."""
        return re.sub(r"//[^/@]*@", "//", self.uri)

    @property
    def artifacts(self) -> str | None:
        """Where artifacts of a new experiment go: beside a SQLite file; else None, which leaves it to the
        server."""
        return (self.database.parent / "mlartifacts").as_uri() if self.database else None


def shown_uri(uri: str) -> str:
    """A tracking URI as messages show it: without a user's name and password."""
    return Location.of(uri).shown


def ui_command(uri: str) -> str:
    """The one command that opens MLflow's UI on a tracking URI; of a server, its address."""
    location = Location.of(uri)
    if re.fullmatch(_SERVERS, location.uri):
        return location.shown
    return f"mlflow ui --backend-store-uri {shlex.quote(location.uri)}"
