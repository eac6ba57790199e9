"""The wheel: what is in it, what it says of itself, and that it types a user's file."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import raysweep

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
USER_FILE = """
from collections.abc import Sequence

from raysweep import Call, Evaluation, Folder, Method, Model, ModelSpec, Optimization, Resources, RunSpec
from raysweep import Sweep, TaskSpec, families, grid
from raysweep.planning.plan import make_plan
from raysweep.recipes import Cell, CellRuns
from raysweep.store import Store


def own(cell: Cell, gamma: float = 2.0) -> CellRuns:
    return cell.runs(cell.student(cell.supervisor(), Call("mine:focal", {"gamma": gamma})))


def resources(spec: RunSpec) -> Resources:
    return Resources(num_workers=2 if spec.model.name == "mine" else 1)


def sweep(seeds: Sequence[int] = (0, 1)) -> Sweep:
    mine = Model(
        spec=ModelSpec(name="mine", base=Folder(path="models/mine")),
        optimization=Optimization(learning_rate=1e-5),
    )
    return Sweep(
        name="typed",
        tasks=[TaskSpec(name="sciq"), "boolq"],
        pairs=grid(weak=[families.get("gpt2")["gpt2"]], strong=[mine]),
        methods=["naive", Method(name="own", recipe="mine:own", params={"gamma": 1.0})],
        seeds=seeds,
        evaluation=Evaluation(every=10),
        resources=resources,
    )


print(make_plan(sweep(), Store("store")).num_trainings + 1)
"""
WRONG_LINES = {
    "reveal_type(sweep().name)": 'Revealed type is "str"',
    "Sweep(name=3, tasks=[], pairs=[], methods=[], seeds=[])": "arg-type",
    "Optimization(learning_rte=1.0)": "call-arg",
    'make_plan(sweep(), Store("store")).num_training': "attr-defined",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source, built from a copy of it."""
    setuptools = pytest.importorskip("setuptools", minversion="77", reason="builds wheels")
    assert setuptools
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "raysweep", folder / "raysweep", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD, "."], cwd=folder, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "raysweep").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert names == source and "raysweep/py.typed" in names


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    told = metadata(wheel)
    assert (told["Name"], told["Version"], told["License-Expression"]) == (
        "raysweep",
        raysweep.__version__,
        "Apache-2.0",
    )
    assert told["Description-Content-Type"] == "text/markdown" and told["Project-URL"] and told["Author"]
    assert {"Typing :: Typed", "Operating System :: POSIX :: Linux"} <= set(told.get_all("Classifier", []))
    assert {"chess", "optuna", "test"} <= set(told.get_all("Provides-Extra", []))
    needed = [line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line]
    # torch has none: each machine has the build for its own GPUs.
    assert [line for line in needed if ">=" not in line] == ["torch"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {raysweep.__version__}\n" in citation and "license: Apache-2.0" in citation


def test_lowest_versions_are_those_of_the_constraints(wheel: Path) -> None:
    lowest = dict(
        re.findall(r"^([\w-]+)==(.+)$", (ROOT / "constraints-lowest.txt").read_text(), re.MULTILINE)
    )
    for line in metadata(wheel).get_all("Requires-Dist", []):
        found = re.fullmatch(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", line)
        assert found is None or lowest[found[1]] == found[2], line


def test_mypy_types_a_users_file_by_the_wheel(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)

    def mypy(text: str) -> str:
        (tmp_path / "user.py").write_text(text)
        python = str(tmp_path / "venv/bin/python")
        command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "user.py"]
        environment = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")
        }
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        return done.stdout + done.stderr

    assert "Success: no issues found" in mypy(USER_FILE)
    found = mypy(USER_FILE + "\n".join(WRONG_LINES) + "\n").splitlines()
    last = USER_FILE.count("\n")
    for number, told in enumerate(WRONG_LINES.values(), start=last + 1):
        assert any(line.startswith(f"user.py:{number}:") and told in line for line in found), (told, found)
