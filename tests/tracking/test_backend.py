"""A tracking URI's scheme chooses the backend."""

from __future__ import annotations

import pytest
from memory_backend import MemoryLocation

from raysweep.errors import InvalidInput
from raysweep.tracking import locate
from raysweep.tracking.backend import one_line
from raysweep.tracking.mlflow import MlflowLocation


def test_the_scheme_of_the_uri_chooses_the_backend() -> None:
    assert isinstance(locate("memory:"), MemoryLocation)
    for uri in ("http://10.0.0.1:5000", "https://mlflow.org", "databricks", "databricks-uc://profile"):
        assert isinstance(locate(uri), MlflowLocation)
    for uri in ("postgresql+psycopg2://me@host/db", "mysql://host/db", "mssql+pyodbc://host/db"):
        assert isinstance(locate(uri), MlflowLocation)


@pytest.mark.parametrize("wrong", ["runs", "file:///tmp/runs", "htp://host", "", "://", "ähm:"])
def test_a_uri_of_no_backend_is_refused_with_those_of_each_backend(wrong: str) -> None:
    with pytest.raises(InvalidInput, match=r"can't be used; it must be of") as refused:
        locate(wrong)
    assert repr(wrong) in str(refused.value)
    assert "sqlite:///PATH" in str(refused.value) and "memory: for tests" in str(refused.value)


def test_an_error_is_one_short_line_with_the_cause_of_a_failed_connection() -> None:
    assert one_line(ValueError("two\nlines")) == "ValueError: two lines"
    assert len(one_line(ValueError("x" * 1000))) == 300 and one_line(ValueError("x" * 1000)).endswith("…")
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except ConnectionRefusedError as refused:
            raise RuntimeError("tried 7 times") from refused
    except RuntimeError as error:
        assert one_line(error) == "ConnectionRefusedError: [Errno 111] Connection refused"
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise RuntimeError("outer") from inner
    except RuntimeError as error:
        assert one_line(error) == "RuntimeError: outer"
