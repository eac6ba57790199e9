"""The README is true: its links lead somewhere, and every command in it is run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()
]

# These run elsewhere: `make check` runs this test; the experiment on real text takes long, and
# tests/test_nlp_experiment.py runs it on few rows; tests/ray/test_cluster.py follows cluster/README.md.
CHECKED_ELSEWHERE = ("make check", "RAYSWEEP_DATASETS=")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks, with this checkout's environment."""
    folder = tmp_path_factory.mktemp("checkout") / "raysweep"
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in tracked:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def run(command: str, folder: Path, seconds: int = 500) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "MAKE"))
    }
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.ray
@pytest.mark.skipif(
    not (ROOT / ".venv" / ".installed").exists(), reason="the environment wasn't made by make"
)
def test_every_command_works_in_the_order_in_which_it_stands(checkout: Path) -> None:
    outputs = {}
    for command in COMMANDS:
        if command.startswith(CHECKED_ELSEWHERE):
            continue
        if "raysweep ui" in command:
            _answers(command, checkout)
        else:
            # The environment is there already, and is this checkout's: make must not install into it from the
            # copy.
            outputs[command] = run(command.replace("make ", "make -o .venv/.installed "), checkout)
    first = outputs["make quickstart"]
    assert "24 done, 0 cached, 0 running, 0 failed, 0 waiting" in first
    table = first[first.index("task  ") :]
    again = run("make -o .venv/.installed quickstart", checkout)
    assert "24 of 24 runs are done already" in again
    assert again[again.index("task  ") :] == table, "the second time, the same table"


def test_the_command_on_real_text_is_the_experiment_that_another_test_runs() -> None:
    commands = [command for command in COMMANDS if command.startswith("RAYSWEEP_DATASETS=")]
    assert len(commands) == 1 and commands[0].endswith(".venv/bin/raysweep run experiments/nlp.py:small")


def test_the_task_of_one_s_own_can_be_planned(tmp_path: Path) -> None:
    """The README's file as it stands, but for its models, which a machine without a hub hasn't."""
    (example,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
        if "classification_task" in block
    ]
    for name, here in (
        ('"gpt2-xl"', '"sandbox-12"'),
        ('["gpt2"]', '["sandbox-6"]'),
        ('get("gpt2")', 'get("sandbox")'),
    ):
        assert name in example
        example = example.replace(name, here)
    (tmp_path / "reviews.py").write_text(example)
    rows = [f"title {number},a body of {number} words,{number % 5 + 1},{number}" for number in range(400)]
    (tmp_path / "reviews.csv").write_text("\n".join(["title,body,stars,length", *rows]))
    printed = run(f"{ROOT}/.venv/bin/raysweep plan reviews.py --json", tmp_path)
    assert json.loads(printed)["num_trainings"] == 9


def test_the_search_can_be_planned(tmp_path: Path) -> None:
    """The README's file as it stands, but for its models and tasks."""
    (example,) = [
        block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "Search(" in block
    ]
    for name, here in (
        ('get("gpt2")["gpt2"]', 'get("sandbox")["sandbox-6"]'),
        ('get("qwen2.5")["qwen2.5-0.5b"]', 'get("sandbox")["sandbox-12"]'),
        ('["sciq", "boolq"]', '["sandbox"]'),
    ):
        assert name in example
        example = example.replace(name, here)
    (tmp_path / "searched.py").write_text(example)
    printed = json.loads(run(f"{ROOT}/.venv/bin/raysweep plan searched.py --json", tmp_path))
    # 4 trials of the supervisor, which Optuna must hear of first, and the ceilings of 3 seeds.
    assert [run["role"] for run in printed["runs"]].count("supervisor") == 4 and printed["num_trainings"] == 7


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "cluster/README.md", "experiments/README.md"]
)
def test_links_lead_to_files(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert target.startswith("http") or ((ROOT / page).parent / target).exists(), target


def _answers(command: str, folder: Path) -> None:
    """A server starts, prints an address that answers, and ends by Ctrl-C."""
    process = subprocess.Popen(
        f"exec {command}", shell=True, cwd=folder, start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert urllib.request.urlopen(address, timeout=30).status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
