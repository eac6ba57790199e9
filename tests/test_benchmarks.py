"""`make benchmark` runs every benchmark and shows its results; nothing is timed here."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCRIPTS = {path.name for path in (ROOT / "benchmarks").glob("*.py")} - {"__main__.py", "common.py"}


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def named() -> set[str]:
    """The names of the scripts that `python benchmarks` runs."""
    text = (ROOT / "benchmarks" / "__main__.py").read_text()
    return set(re.findall(r'\("(\w+\.py)"', text))


def test_every_script_is_run_and_described() -> None:
    assert named() == SCRIPTS
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(script in readme for script in SCRIPTS)
    make = subprocess.run(
        ["make", "-n", "benchmark"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert ".venv/bin/python benchmarks" in make.splitlines()


def test_every_script_can_be_imported() -> None:
    names = ", ".join(sorted(script.removesuffix(".py") for script in SCRIPTS))
    found = run("-c", f"import sys; sys.path.insert(0, 'benchmarks'); import {names}")
    assert found.returncode == 0, found.stderr


def test_the_table_shows_goal_and_measured_value() -> None:
    found = run("benchmarks", "Critical path")
    assert found.returncode == 0, found.stderr
    table = found.stdout.rpartition("measured")[2]
    rows = re.findall(r"idle share of (\d+) GPUs.*? less .*?(\d+\.\d)% for (\d+\.\d)% .*?(met|missed)", table)
    assert [row[0] for row in rows] == ["8", "32", "128", "512"]
    assert all((row[3] == "met") is (float(row[1]) < float(row[2])) for row in rows)
    assert "0 of 4 goals missed" in table


def test_a_benchmark_that_breaks_and_an_unknown_one_are_errors(tmp_path: Path) -> None:
    code = "import runpy, sys; sys.path.insert(0, 'benchmarks'); sys.argv = ['benchmarks', 'Critical path']\n"
    code += "scope = runpy.run_path('benchmarks/__main__.py')\n"
    code += f"scope['SCRIPTS']['Critical path'] = ({str(tmp_path / 'absent.py')!r},)\n"
    code += "sys.exit(scope['main']())"
    broken = run("-c", code)
    assert broken.returncode == 1 and "Critical path: broken" in broken.stdout
    unknown = run("benchmarks", "Lunch")
    assert unknown.returncode == 2 and "unknown benchmark Lunch; there are: Training" in unknown.stderr
