"""What `raysweep submit` takes and prints; tests/ray/test_cluster.py submits to a real job server."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysweep.cli.commands.submit import _below, _command
from raysweep.errors import InvalidInput
from raysweep.scheduling.package import Package
from raysweep.scheduling.submission import Submission


def test_the_command_that_finds_a_job_again_names_what_makes_it_that_job() -> None:
    command = _command("a b.py", "http://head:8265", "/shared/store", "http://me:hunter2@mlflow")
    assert command == (
        "raysweep submit 'a b.py' --address http://head:8265 --store /shared/store --tracking-uri "
        "'http://***@mlflow'"
    )
    assert (
        _command("a.py", "http://head:8265", None, None) == "raysweep submit a.py --address http://head:8265"
    )


def test_a_submission_is_known_by_sweep_code_and_options(tmp_path: Path) -> None:
    def submission(digest: str = "0", **environment: str) -> str:
        package = Package(tmp_path, {"mine.py": digest})
        return Submission("my sweep!", ["raysweep", "run", "mine.py"], package, environment, None).id

    assert submission().startswith("my-sweep-") and submission() == submission()
    assert len({submission(), submission("1"), submission(RAYSWEEP_STORE="/a")}) == 3


def test_an_experiment_must_be_in_what_is_submitted(tmp_path: Path) -> None:
    assert _below(str(tmp_path / "deep" / "mine.py:small"), tmp_path) == "deep/mine.py:small"
    with pytest.raises(InvalidInput, match=r"isn't in .*; change to its project's folder"):
        _below("/elsewhere/mine.py", tmp_path)
