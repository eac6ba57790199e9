"""Databases that MLflow writes without a server of its own: a SQLite file, which several sweeps may want to
make at once, and those of a database server."""

from __future__ import annotations

import functools
import importlib
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from raysweep.errors import InvalidInput
from raysweep.files import FileLock, in_package, written_atomically

_SQLITE_HEADER = b"SQLite format 3\0"
_MISREAD = "%?"
"""Characters that SQLAlchemy reads in a URI's path as something else: as an escape, and as the begin of
options."""
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class SqliteFile:
    """A SQLite file as MLflow's database."""

    path: Path
    """Absolute."""
    options: str
    """What follows the path in its URI: "" or "?" and settings of SQLite's driver."""

    @classmethod
    def of_uri(cls, uri: str) -> SqliteFile | None:
        """The file of a URI sqlite:///PATH; None if it names none."""
        found = re.fullmatch(r"sqlite:///(?P<path>.+?)(?P<options>\?\w+=[^/?]*)?", uri)
        if found is None or found["path"] == ":memory:":
            return None
        return cls(Path(found["path"]).absolute(), found["options"] or "")

    @property
    def uri(self) -> str:
        """The URI by which this process opens it, whatever the names of its folders are."""
        return self._uri_of(self.path.name) + self.options

    def _uri_of(self, name: str) -> str:
        folder = self.path.parent
        if any(character in str(folder) for character in _MISREAD):
            folder = Path(f"/proc/self/fd/{_opened(folder)}")
        return f"sqlite:///{folder / name}"

    def require_usable(self) -> None:
        """Check that it is such a file, or can be made in a folder that is there, and can be written.

        Raises:
            InvalidInput: says why it can't be used.
        """
        name = self.path.name
        if any(character in name for character in _MISREAD):
            self._refuse('MLflow can\'t open a file with a "?" or "%" in its name')
        if not self.path.parent.is_dir():
            self._refuse(f"there is no folder {self.path.parent}; make it")
        if in_package(self.path):
            self._refuse("it is in the folder into which Ray unpacks this job, and which Ray deletes")
        try:
            probe = self.path.with_name(f".{name}.{uuid.uuid4().hex[:8]}.tmp")
            probe.touch()
            probe.unlink()
            if not self.path.exists():
                return
            if not self.path.is_file():
                self._refuse("that is a folder" if self.path.is_dir() else "that is no ordinary file")
            with self.path.open("r+b") as file:
                header = file.read(len(_SQLITE_HEADER))
        except OSError as error:
            self._refuse(f"it can't be written ({error})")
        if header not in (b"", _SQLITE_HEADER):
            self._refuse("that file is no SQLite database")

    def _refuse(self, why: str) -> None:
        raise InvalidInput(
            f"tracking URI 'sqlite:///{self.path}' can't be used: {why}; name another file with "
            "--tracking-uri"
        )

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Have the file with MLflow's tables, and be the only process that changes them, in the block.

        Two processes that make the tables at once break the file for good, and so does one that is killed
        meanwhile. So a new file is made aside and renamed, and MLflow is to be opened within the block, since
        it adds the tables that an earlier version of it lacked.
        """
        lock = FileLock.take(self.path.with_name(f".{self.path.name}.lock"))
        with lock or nullcontext():
            if not self.path.exists() or not self.path.stat().st_size:
                if lock and lock.is_sure:  # else another may be making it
                    for left in self.path.parent.glob(f".{self.path.name}.*.tmp*"):  # by one that was killed
                        left.unlink(missing_ok=True)
                self._make()
            yield

    def _make(self) -> None:
        from mlflow import MlflowClient

        with written_atomically(self.path) as aside:
            MlflowClient(self._uri_of(aside.name)).search_experiments(max_results=1)


@functools.cache
def _opened(folder: Path) -> int:
    """A descriptor of a folder, which stays open: the driver has few such folders."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def require_answer(uri: str) -> None:
    """Check that a database server answers and lets this user in.

    MLflow itself would try for two minutes.

    Raises:
        ModuleNotFoundError: the database's driver isn't installed. OSError, SQLAlchemyError: it can't be
            reached, or refuses.
    """
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    url.get_dialect().import_dbapi()
    if url.host:
        port = url.port or _PORTS[url.get_backend_name()]
        socket.create_connection((url.host, port), timeout=_PATIENCE_SECONDS).close()
    engine = sqlalchemy.create_engine(url, poolclass=importlib.import_module("sqlalchemy.pool").NullPool)
    engine.connect().close()
