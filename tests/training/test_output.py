"""What a run prints is kept."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from raysweep.training import output
from raysweep.training.output import kept_output

PRINTS = """
import os, subprocess, sys
from pathlib import Path
from raysweep.training.output import kept_output
print("before")
with kept_output(Path(sys.argv[1]), "run abc", has_process=True):
    print("printed ü")
    os.write(2, b"written below Python\\n")
    subprocess.run(["echo", "by a child"])
print("after")
"""


def test_all_that_a_process_of_its_own_writes_goes_into_the_log(tmp_path: Path) -> None:
    log = tmp_path / "runs" / "abc" / "log.txt"
    for _ in range(2):  # a second try appends
        done = subprocess.run(
            [sys.executable, "-c", PRINTS, log], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "before\nafter\n" and done.stderr == ""
    first, *lines = log.read_text(encoding="utf-8").splitlines()
    assert first.endswith(f" UTC] run abc, in process {first.split('process ')[1]}") and "run abc" in first
    assert lines[:3] == ["written below Python", "by a child", "printed ü"] or lines[:3] == [
        "printed ü",
        "written below Python",
        "by a child",
    ]
    assert "ended well after" in lines[3] and len(lines) == 9


def test_in_a_shared_process_what_is_printed_goes_both_ways(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with redirect_stdout(io.StringIO()) as shown:
        with kept_output(log, "run abc", has_process=False):
            print("seen and kept")
            sys.stdout.writelines(["two\n", "lines\n"])
            assert not sys.stdout.isatty()
        print("only seen")
    assert shown.getvalue() == "seen and kept\ntwo\nlines\nonly seen\n"
    assert log.read_text().splitlines()[1:4] == ["seen and kept", "two", "lines"]
    assert "only seen" not in log.read_text()


@pytest.mark.parametrize("error", [ValueError("no such label"), KeyboardInterrupt()])
def test_how_a_run_failed_is_in_its_log(error: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(error)), kept_output(tmp_path / "log.txt", "run abc", has_process=False):
        raise error
    *_, last = (tmp_path / "log.txt").read_text().splitlines()
    assert last == "ValueError: no such label" or last.endswith("UTC] interrupted")


def test_a_log_is_bounded_and_keeps_what_came_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MOST_BYTES", 1_000)
    log = tmp_path / "log.txt"
    with kept_output(log, "run abc", has_process=False) as kept:
        for number in range(1_000):
            print(f"line {number}")
            kept.shorten()
            assert os.stat(log).st_size < 2_100
    lines = log.read_text().splitlines()
    assert lines[0] == "[earlier output was left out]" and lines[-2] == "line 999"
    numbers = [int(line.split()[1]) for line in lines[1:-1]]
    assert numbers == list(range(numbers[0], 1_000)), "whole lines, none twice"
