"""A command and the process around it: encodings, pipes, signals, names."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from raysweep.cli.exit_codes import BAD_INPUT, OUTPUT_CLOSED, SUCCESS, TERMINATED
from raysweep.cli.main import main

ROOT = Path(__file__).parents[2]
EXPERIMENT = """
from grid_helpers import small_model, small_sweep, small_task
def sweep():
    return small_sweep(name="größer → 大", tasks=[small_task("Ελλάδα")])
"""


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the command line as a process, its output in pipes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHON"))}
    path = f"{ROOT}:{ROOT / 'tests'}"
    return subprocess.Popen(
        [sys.executable, "-m", "raysweep.cli", *arguments],
        env=inherited | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAYSWEEP_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("experiment.py").write_text(EXPERIMENT, encoding="utf-8")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "utf-8:strict"},
    ],
    ids=["latin-1", "ascii", "C locale", "utf-8"],
)
def test_what_the_terminal_cannot_show_is_replaced(environment: dict[str, str]) -> None:
    out, err = start("plan", "experiment.py", **environment).communicate()
    assert err == "" and "gr" in out and "supervisor" in out and "need 3 trainings" in out


@pytest.mark.parametrize("arguments", [["plan", "experiment.py"], ["list"], ["list", "--json"], ["--help"]])
def test_a_closed_pipe_ends_a_command_quietly(arguments: list[str]) -> None:
    process = start(*arguments)
    assert process.stdout and process.stderr
    process.stdout.close()
    err = process.stderr.read()
    assert err == "" and process.wait() == OUTPUT_CLOSED


def test_closed_streams_end_no_command() -> None:
    arguments = f"{sys.executable} -m raysweep.cli list >&- 2>&-"
    assert subprocess.run(arguments, shell=True, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode == 0


def test_sigterm_is_one_line_and_exit_code_143() -> None:
    Path("experiment.py").write_text("print('here', flush=True)\nimport time\ntime.sleep(60)\n")
    process = start("plan", "experiment.py")
    assert process.stdout and process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (TERMINATED, "")
    assert err == "raysweep: ended by SIGTERM; run the same command again to go on\n"


def test_a_thread_that_never_ends_is_named_and_left() -> None:
    Path("experiment.py").write_text(
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, name='left-behind').start()\n"
        "def sweep(): pass\n"
    )
    process = start("plan", "experiment.py")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (BAD_INPUT, "") and err.endswith(
        "raysweep: threads are still running: left-behind; the process ends without them\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plan", "experiment\0.py"], "has a NUL"),
        (["plan", "experiment\udcff.py"], "isn't UTF-8"),
        (["plan", "experiment.py", "--store", "a\0"], "has a NUL"),
        (["plan", "experiment.py", "--store", ""], "is empty"),
        (["plan", "experiment.py", "--store", "\udcff"], "isn't UTF-8"),
        (["report", "experiment.py", "--out", "~nobody-of-this-name/page.html"], "the name of no user"),
        (["sync", "experiment.py", "--tracking-uri", "sqlite:///\udcff.db"], "isn't UTF-8"),
    ],
)
def test_a_path_that_cannot_be_one_is_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == BAD_INPUT
    assert told in capsys.readouterr().err


def test_a_tilde_is_the_home_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path("home").absolute()))
    monkeypatch.syspath_prepend(ROOT / "tests")
    Path("home").mkdir()
    Path("experiment.py").rename("home/experiment.py")
    assert main(["plan", "~/experiment.py", "--store", "~/store"]) == SUCCESS
    monkeypatch.setenv("RAYSWEEP_STORE", "~/another")
    assert main(["plan", "~/experiment.py:sweep"]) == SUCCESS
    assert {path.name for path in Path("home").iterdir()} >= {"store", "another"} and not Path("~").exists()
