"""Who may import what, what importing costs, and that the README tells the truth."""

import ast
import graphlib
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
SLOW = HEAVY | {"pandas", "pyarrow", "scipy"}
"""What takes longer to import than a command that only names things may take."""


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


LAYERS = (
    "errors, gc_control < files, registry, spec < tasks, objectives, predictions < store, metrics, "
    "transforms, probes < models, rules < data, recipes < planning < results < training, tracking, report < "
    "estimates < scheduling < cli < api"
)
"""A package imports only packages before it, for its types too."""


def level_of() -> dict[str, int]:
    """By package, or module at the top, its place in `LAYERS`."""
    groups = enumerate(LAYERS.split("<"))
    return {name.strip(): place for place, group in groups for name in group.split(",")}


def own_imports(file: Path) -> Iterator[str]:
    """What a module imports of raysweep, as dotted names without "raysweep."; a name may be that of an
    object."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (
                name.name.removeprefix("raysweep.")
                for name in node.names
                if name.name.startswith("raysweep.")
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "raysweep":
            base = (node.module or "").removeprefix("raysweep").lstrip(".")
            yield from (f"{base}.{name.name}".lstrip(".") for name in node.names)


def module_name(file: Path) -> str:
    """The dotted name of a module without "raysweep."; a package is named as such."""
    return (
        ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        .removesuffix(".__init__")
        .removesuffix("__init__")
    )


def test_every_package_has_its_layer_and_the_top_is_small() -> None:
    names = {file.stem for file in PACKAGE.glob("*.py")} | {
        file.parent.name for file in PACKAGE.glob("*/__init__.py")
    }
    assert names - {"__init__"} == set(level_of())
    assert (
        len(names - {"__init__"}) <= 25
        and len({file.stem for file in PACKAGE.glob("*.py")} - {"__init__"}) <= 6
    )


def test_a_package_imports_only_packages_before_it() -> None:
    levels = level_of()
    upward = []
    for file in MODULES:
        own = module_name(file).partition(".")[0]
        for target in own_imports(file):
            package = target.partition(".")[0]
            if own and package in levels and package != own and levels[package] >= levels[own]:
                upward.append(f"{module_name(file)} imports {target}")
    assert upward == []


def test_no_module_imports_itself_over_others() -> None:
    names = {module_name(file) for file in MODULES}
    graph: dict[str, set[str]] = {}
    for file in MODULES:
        for target in own_imports(file):
            while target and target not in names:
                target = target.rpartition(".")[0]
            if target and target != module_name(file):
                graph.setdefault(module_name(file), set()).add(target)
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_only_scheduling_and_search_import_ray() -> None:
    assert all(name.startswith(("scheduling/", "planning/search/")) for name in importers("ray"))
    at_import = importers("ray", at_import_time=True)
    assert at_import == {
        f"scheduling/{name}.py"
        for name in ("gpu_memory", "searcher", "shared_store", "slot", "tune", "worker_group")
    }


def test_only_mlflows_backend_imports_mlflow() -> None:
    assert importers("mlflow") and all(name.startswith("tracking/mlflow/") for name in importers("mlflow"))
    assert importers("mlflow", at_import_time=True) == set()


def texts(file: Path) -> Iterator[str]:
    """The texts in a module's code, docstrings left out."""
    tree = ast.parse(file.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_only_mlflows_backend_knows_its_tags() -> None:
    knowing = {
        file.relative_to(PACKAGE).as_posix()
        for file in MODULES
        if any(re.search(r"\bmlflow\.(?!db\b)", text) for text in texts(file))
    }
    own = {name for name in knowing if name.startswith("tracking/mlflow/")}
    assert {"tracking/mlflow/tags.py", "tracking/mlflow/views.py"} <= own
    assert knowing == own


def test_tracking_knows_no_backend() -> None:
    for file in PACKAGE.glob("tracking/*.py"):
        if file.name != "__init__.py":  # which registers them
            assert not any(name.startswith("tracking.mlflow") for name in own_imports(file)), file


def test_only_the_engine_and_sharding_import_deepspeed_and_only_where_they_train() -> None:
    assert importers("deepspeed") == {"training/engine.py", "training/sharding.py"}
    assert importers("deepspeed", at_import_time=True) == set()


@pytest.mark.parametrize("package", sorted(HEAVY - {"ray"}))
def test_nothing_heavy_is_imported_before_it_is_needed(package: str) -> None:
    assert importers(package, at_import_time=True) == set()


def test_few_functions_take_a_store_beside_what_is_read_from_it() -> None:
    """`RunInputs` is both; what remains makes one, or is about a whole plan."""
    specs = {"RunSpec", "TaskSpec", "ModelSpec", "Plan", "PlannedRun"}
    found = []
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                given = [argument.annotation for argument in node.args.args + node.args.kwonlyargs]
                names = [set(re.findall(r"\w+", ast.unparse(item))) for item in given if item]
                if {"Store"} in names and any(item & specs for item in names):
                    found.append(f"{module_name(file)}.{node.name}")
    assert 0 < len(found) <= 25, found


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
        "from raysweep.cli.main import main; main(['list', '--json'])",
        "from raysweep.cli.main import main; main(['--help'])",
        "from raysweep.cli.main import main; main(['plan', '--help'])",
        "import runpy; runpy.run_path('experiments/quickstart.py')['sweep']()",
    ],
    ids=["import", "family", "list", "help", "help of plan", "experiment"],
)
def test_what_needs_no_training_loads_nothing_heavy(code: str) -> None:
    program = f"{code}\nimport json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded & SLOW == set()


def test_every_dependency_names_a_file_that_exists() -> None:
    listed = re.findall(
        r'^ +"([\w-]+)(?:\[.*\])?(?:>=[\d.]+)?", +# (.*)$',
        (ROOT / "pyproject.toml").read_text(),
        re.MULTILINE,
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
        known = ("plan", "run", "status", "logs", "results", "report", "ui", "figures", "export", "measure")
        assert commands <= {*known, "submit", "sync", "list"}, commands
        makefile = (ROOT / "Makefile").read_text() if (ROOT / "Makefile").exists() else ""
        for target in set(re.findall(r"^(?:\$ )?make ([\w-]+)", text, re.MULTILINE)):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"README.md names make {target}"
