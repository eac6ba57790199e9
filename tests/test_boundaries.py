"""Who may import what, what importing costs, and that the README tells the truth."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "raysweep"
MODULES = sorted(PACKAGE.rglob("*.py"))
README = ROOT / "README.md"
HEAVY = {
    "torch",
    "ray",
    "mlflow",
    "transformers",
    "datasets",
    "deepspeed",
    "peft",
    "sklearn",
    "huggingface_hub",
    "tokenizers",
}


def imports(file: Path, *, at_import_time: bool) -> Iterator[str]:
    """The top packages that a module imports: all, or those outside functions and `if TYPE_CHECKING`."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if at_import_time and (is_function or is_for_types):
                continue
            yield child
            yield from walk(child)

    for node in walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield (node.module or "").partition(".")[0]


def importers(package: str, *, at_import_time: bool = False) -> set[str]:
    """The modules below raysweep/ that import a package."""
    found = (file for file in MODULES if package in set(imports(file, at_import_time=at_import_time)))
    return {file.relative_to(PACKAGE).as_posix() for file in found}


def test_only_scheduling_and_search_import_ray() -> None:
    assert importers("ray") and all(name.startswith(("scheduling/", "search/")) for name in importers("ray"))


def test_only_tracking_and_results_import_mlflow() -> None:
    assert importers("mlflow") and all(
        name.startswith("tracking/") or name == "results.py" for name in importers("mlflow")
    )
    assert importers("mlflow", at_import_time=True) == set()


def test_only_the_engine_imports_deepspeed_and_only_where_it_trains() -> None:
    assert importers("deepspeed") == {"training/engine.py"}
    assert importers("deepspeed", at_import_time=True) == set()


@pytest.mark.parametrize("package", sorted(HEAVY - {"ray"}))
def test_nothing_heavy_is_imported_before_it_is_needed(package: str) -> None:
    assert importers(package, at_import_time=True) == set()


def test_the_trainer_knows_no_scheduler_and_no_tracker() -> None:
    for room, allowed in (
        ("scheduling", ("scheduling/", "commands.py", "forecast.py", "progress.py")),
        ("tracking", ("tracking/", "commands.py")),
    ):
        users = {
            file.relative_to(PACKAGE).as_posix()
            for file in MODULES
            if re.search(rf"^ *(?:from|import) raysweep\.{room}\b", file.read_text(), re.MULTILINE)
        }
        assert "commands.py" in users and all(name.startswith(allowed) for name in users), users


def test_modules_and_functions_stay_small_and_say_what_they_are() -> None:
    for file in MODULES:
        text = file.read_text()
        assert text.count("\n") <= 320, f"{file} has {text.count(chr(10))} lines; divide it"
        tree = ast.parse(text)
        assert not text.strip() or ast.get_docstring(tree), f"{file} has no docstring"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno
                assert length <= 70, f"{file}: {node.name} has {length} lines; divide it"


@pytest.mark.parametrize(
    "code",
    [
        "import raysweep",
        "import raysweep; raysweep.families.get('gpt2')['gpt2-xl']",
        "import sys, raysweep.cli; sys.argv = ['raysweep', '--help']; raysweep.cli.main(['list', '--json'])",
        "import raysweep.cli\ntry: raysweep.cli.main(['--help'])\nexcept SystemExit: pass",
        "import runpy; runpy.run_path('experiments/quickstart.py')['sweep']()",
    ],
    ids=["import", "family", "list", "help", "experiment"],
)
def test_what_needs_no_training_loads_nothing_heavy(code: str) -> None:
    program = f"{code}\nimport json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded & HEAVY == set()


def test_every_dependency_names_a_file_that_exists() -> None:
    listed = re.findall(
        r'^ +"([\w-]+)(?:\[.*\])?", +# (.*)$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert {"torch", "ray", "mlflow", "scipy", "numpy"} <= {name for name, _ in listed}
    for name, comment in listed:
        for path in re.findall(r"(?:raysweep|tests)/[\w/.]*", comment):
            assert (ROOT / path).exists(), (
                f"pyproject.toml: {name} is said to be needed by {path}, which isn't there"
            )


@pytest.mark.skipif(not README.exists(), reason="there is no README yet")
class TestReadme:
    def test_links_to_files_lead_somewhere(self) -> None:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README.read_text()):
            if not re.match(r"\w+:", target):
                assert (ROOT / target).exists(), f"README.md links to {target}"

    def test_named_files_and_commands_exist(self) -> None:
        text = README.read_text()
        for path in set(
            re.findall(r"\b(?:experiments|analysis|benchmarks|cluster|raysweep|tests)/[\w/.-]*\w", text)
        ):
            assert (ROOT / path).exists(), f"README.md names {path}"
        commands = set(re.findall(r"\braysweep ([a-z]+)\b(?= +[\w./-]*\.py| FILE)", text))
        assert commands <= {"plan", "run", "status", "results", "report", "measure", "sync", "list"}, commands
        makefile = (ROOT / "Makefile").read_text() if (ROOT / "Makefile").exists() else ""
        for target in set(re.findall(r"^(?:\$ )?make ([\w-]+)", text, re.MULTILINE)):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"README.md names make {target}"
