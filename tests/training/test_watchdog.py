"""A process that stands still while it executes a run is told of, and killed where it may be."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STANDING_STILL = {
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "waiting": "threading.Event().wait()",
    "busy": "\nwhile True: pass",
}


def run(folder: Path, code: str, *, may_kill: bool = True, seconds: float = 0.6) -> tuple[int, str]:
    """Execute code in a process that is watched; its exit code and standard error."""
    script = (
        "import os, signal, threading, time\n"
        "from raysweep.training.watchdog import Watch, alive, watched\n"
        f"with watched(Watch('abc', {seconds}, {str(folder / 'run' / 'error.txt')!r}, {may_kill})):\n"
        + "".join(f"    {line}\n" for line in code.splitlines())
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("how", STANDING_STILL)
def test_a_process_that_stands_still_is_killed_and_its_last_sign_told(how: str, tmp_path: Path) -> None:
    code, err = run(tmp_path, f"alive('step 3 of 9')\n{STANDING_STILL[how]}")
    assert (code, err) == (-signal.SIGKILL, "")
    told = (tmp_path / "run" / "error.txt").read_text()
    assert told.startswith("no sign of life for 0.6 s (Resources.timeout_seconds): the last one, at 20")
    assert "UTC, was step 3 of 9, in process" in told and told.count("\n") == 1


def test_a_process_that_has_other_work_is_only_told_of(tmp_path: Path) -> None:
    code, err = run(tmp_path, "time.sleep(2)", may_kill=False)
    assert code == 0 and not (tmp_path / "run" / "error.txt").exists()
    assert err.startswith("raysweep: run abc: no sign of life for 0.6 s") and err.endswith("Ctrl-C ends it\n")
    assert "UTC, was its start, in process" in err


def test_signs_of_life_and_the_end_of_a_run_keep_a_process(tmp_path: Path) -> None:
    code, err = run(tmp_path, "for _ in range(20):\n    time.sleep(0.1)\n    alive('a step')", seconds=1.5)
    assert (code, err) == (0, "") and not (tmp_path / "run" / "error.txt").exists()


def test_the_error_of_a_run_is_kept(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "error.txt").write_text("the loss became nan\n")
    assert run(tmp_path, "time.sleep(60)")[0] == -signal.SIGKILL
    assert (tmp_path / "run" / "error.txt").read_text() == "the loss became nan\n"
