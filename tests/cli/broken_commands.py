"""Commands that can't work, with how each must end: by kind, what is wrong, the exit code, and words of the
message. Nothing may be trained, and no traceback may show raysweep's own code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from raysweep.cli.exit_codes import BAD_INPUT

GOOD = "from grid_helpers import *\nfrom raysweep import *\ndef sweep():\n    return small_sweep({fields})\n"


@dataclass(frozen=True, kw_only=True)
class BrokenCommand:
    """A command line in a folder of its own, and what must come of it."""

    name: str
    arguments: tuple[str, ...]
    told: str
    """Words on standard error."""
    code: int = BAD_INPUT
    files: Mapping[str, str] = field(default_factory=dict)
    """Of the folder, by name, beside experiment.py."""
    experiment: str = GOOD.format(fields="")
    environment: Mapping[str, str] = field(default_factory=dict)


def broken_commands() -> list[BrokenCommand]:
    """All of them."""
    return [
        *_usage(),
        *_paths(),
        *_experiments(),
        *_endings(),
        *_own_code(),
        *_shadows(),
        *_addresses(),
        *_stores(),
    ]


COMMANDS = ("plan", "run", "status", "results", "measure", "sync")


def _usage() -> Iterator[BrokenCommand]:
    for arguments, told in (
        ((), "the following arguments are required: COMMAND"),
        (("pln",), "unknown command 'pln' (did you mean 'plan'?)"),
        (("plan",), "the following arguments are required: FILE"),
        (("report", "experiment.py"), "the following arguments are required: --out"),
        (("plan", "experiment.py", "another.py"), "unknown argument another.py"),
        (("plan", "experiment.py", "--lr", "1"), "unknown argument --lr 1"),
        (("run", "experiment.py", "--json"), "unknown argument --json"),
        (("run", "experiment.py", "--runner"), "expected one argument"),
        (("plan", "experiment.py", "--gpus", "0"), "'0' isn't a whole number of at least 1"),
        (("plan", "experiment.py", "--gpus", "-1"), "'-1' isn't a whole number of at least 1"),
        (("plan", "experiment.py", "--gpus", "1.5"), "'1.5' isn't a whole number"),
        (("plan", "experiment.py", "--gpus", "nan"), "'nan' isn't a whole number"),
        (("plan", "experiment.py", "--gpus", "\ud800"), "isn't a whole number"),
        (("\ud800",), "unknown command"),
    ):
        yield BrokenCommand(name=f"usage: {' '.join(arguments)!r}", arguments=arguments, told=told)
    for runner, told in (
        ("slurm", "unknown runner 'slurm'; known: local, ray"),
        ("", "unknown runner ''"),
        ("\ud800", "unknown runner"),
        ("nothing:here", "importing module 'nothing' failed"),
        (":here", "can't be imported"),
        ("mine:", "can't be imported"),
        ("mine:absent", "has no 'absent'"),
        ("mine:NUMBER", "it must be callable"),
        ("mine:nothing", "must be a raysweep.scheduling.runner.Runner"),
        ("mine:leave", "runner 'mine:leave' failed"),
    ):
        yield BrokenCommand(
            name=f"runner: {runner!r}",
            arguments=("run", "experiment.py", "--runner", runner),
            told=told,
            files={"mine.py": "NUMBER = 3\ndef nothing(): pass\ndef leave(): raise SystemExit(0)\n"},
        )


def _paths() -> Iterator[BrokenCommand]:
    wrong = (
        ("", "is empty"),
        ("a\0b", "has a NUL"),
        ("half \ud800", "isn't UTF-8"),
        ("~nobody-of-this-name/x", "the name of no user"),
    )
    places = (
        ("plan", "{}"),
        ("run", "{}", "--local"),
        ("plan", "experiment.py", "--store", "{}"),
        ("status", "experiment.py", "--store", "{}"),
        ("run", "experiment.py", "--local", "--tracking-uri", "{}"),
        ("sync", "experiment.py", "--tracking-uri", "{}"),
        ("report", "experiment.py", "--out", "{}"),
        ("report", "experiment.py", "--out", "page.html", "--figures", "{}"),
    )
    for place in places:
        for text, told in wrong:
            arguments = tuple(argument.format(text) for argument in place)
            yield BrokenCommand(name=f"path: {arguments!r}", arguments=arguments, told=told)
    for variable in ("RAYSWEEP_STORE", "MLFLOW_TRACKING_URI"):
        yield BrokenCommand(
            name=f"path: {variable}",
            arguments=("run", "experiment.py"),
            told="isn't UTF-8",
            environment={variable: "half \udcff"},
        )


def _experiments() -> Iterator[BrokenCommand]:
    for location in (
        "absent.py",
        "absent.py:sweep",
        ".",
        "/dev/null/x.py",
        "x" * 5_000,
        "10:00:00",
        ":sweep",
    ):
        yield BrokenCommand(
            name=f"file: {location[:20]!r}", arguments=("plan", location), told="there is no experiment file"
        )
    yield BrokenCommand(
        name="file: text",
        arguments=("plan", "notes.txt"),
        told="isn't a Python file",
        files={"notes.txt": ""},
    )
    for function in ("absent", "NUMBER", "sweep.x", "\udcff"):
        told = "isn't UTF-8" if function == "\udcff" else f"has no function {function}()"
        yield BrokenCommand(
            name=f"function: {function!r}",
            arguments=("plan", f"experiment.py:{function}"),
            told=told,
            experiment=GOOD.format(fields="") + "NUMBER = 3\n",
        )
    for text, told in (
        ("", "has no function sweep()"),
        ("def sweep(:", "SyntaxError"),
        ("x = '\0'", "null bytes"),
        ("\tx\n  y", "Error"),
        ("import no_such_module_here", "No module named 'no_such_module_here'"),
        ("def sweep(): pass", "returned a NoneType; it must return a raysweep.Sweep"),
        ("def sweep(): return 3", "returned a int"),
        ("def sweep(x): pass", "missing 1 required positional argument: 'x'"),
        ("def sweep(): yield 3", "returned a generator"),
        ("import raysweep\nsweep = raysweep.Sweep", "TypeError"),
        ("def sweep(): return sweep()", "RecursionError"),
        ("class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd", "Odd"),
        ("raise ValueError('half \\ud800')", "ValueError: half"),
        ("def sweep(): assert 0, '→'", "AssertionError: →"),
    ):
        yield BrokenCommand(
            name=f"experiment: {text[:30]!r}", arguments=("plan", "experiment.py"), told=told, experiment=text
        )


_ENDINGS = (
    ("sys.exit(0)", "SystemExit: 0"),
    ("sys.exit()", "SystemExit"),
    ("sys.exit('bye')", "SystemExit: bye"),
    ("raise GeneratorExit", "GeneratorExit"),
    ("raise BaseExceptionGroup('g', [SystemExit(0)])", "BaseExceptionGroup: g"),
    ("raise StopIteration", "StopIteration"),
    ("raise MemoryError", "MemoryError"),
    ("raise BaseException('odd')", "BaseException: odd"),
    ("asyncio.run(asyncio.sleep(0)); raise asyncio.CancelledError", "CancelledError"),
)
_IMPORTS = "import asyncio, sys\n"


def _endings() -> Iterator[BrokenCommand]:
    """Code of the user's that ends the process, or tries to."""
    for statement, told in _ENDINGS:
        yield BrokenCommand(
            name=f"ending: import, {statement}",
            arguments=("plan", "experiment.py"),
            told=told,
            experiment=_IMPORTS + statement,
        )
        yield BrokenCommand(
            name=f"ending: sweep(), {statement}",
            arguments=("run", "experiment.py", "--local"),
            told=told,
            experiment=f"{_IMPORTS}def sweep():\n    {statement}",
        )
    for command in COMMANDS:
        yield BrokenCommand(
            name=f"ending: {command}",
            arguments=(command, "experiment.py"),
            told="experiment.py failed:",
            experiment="raise SystemExit(0)",
        )


def _own_code() -> Iterator[BrokenCommand]:
    """Each part of one's own that planning calls, as each raises."""
    parts = {
        "loader": ("tasks=['mine:TASK']", "task 'mine:TASK' failed:"),
        "lazy loader": ("tasks=['mine:LAZY_TASK']", "task 'mine:LAZY_TASK' failed:"),
        "recipe": ("methods=['mine:recipe']", "method 'mine:recipe' failed:"),
        "resources": ("resources=__import__('mine').recipe", "Sweep.resources failed:"),
        "module": ("methods=['leaving:recipe']", "importing module 'leaving' failed:"),
        "attribute": ("methods=['lazy:recipe']", "importing module 'lazy' failed:"),
    }
    for statement, told in _ENDINGS:
        mine = (
            f"{_IMPORTS}from raysweep.tasks.base import Task\n"
            f"def load(**params):\n    {statement}\n"
            f"def rows():\n    {statement}\n    yield\n"
            f"def recipe(cell):\n    {statement}\n"
            "TASK = Task(name='mine', summary='', kind='classification', load=load)\n"
            "def load_lazily():\n    return {'train': rows()}\n"
            "LAZY_TASK = Task(name='lazy', summary='', kind='classification', load=load_lazily)\n"
        )
        lazy = f"{_IMPORTS}def __getattr__(name):\n    if name == 'recipe':\n        {statement}\n"
        for part, (fields, place) in parts.items():
            if (part, statement) == ("lazy loader", "raise StopIteration"):
                continue  # Python makes a RuntimeError of it
            yield BrokenCommand(
                name=f"own {part}: {statement}",
                arguments=("plan", "experiment.py"),
                told=f"{place}|{told}",
                files={"mine.py": mine, "leaving.py": _IMPORTS + statement, "lazy.py": lazy},
                experiment=GOOD.format(fields=fields),
            )


def _shadows() -> Iterator[BrokenCommand]:
    for name in ("datasets.py", "torch.py", "peft.py", "numpy.py", "json.py", "ray/__init__.py"):
        for command in ("plan", "run"):
            yield BrokenCommand(
                name=f"shadow: {command}, {name}",
                arguments=(command, "experiment.py"),
                told="has the name of a library",
                files={name: ""},
            )


def _addresses() -> Iterator[BrokenCommand]:
    for address, told in (
        ("127.0.0.1:1", "Connection refused"),
        ("ray://127.0.0.1:1", "Connection refused"),
        ("[::1]:1", "can't be reached"),
        ("nonsense", "this isn't an address"),
        ("http://a b", "this isn't an address"),
        ("http://127.0.0.1:1", "this isn't an address"),
        ("/dev/null", "this isn't an address"),
        ("127.0.0.1:", "this isn't an address"),
        ("127.0.0.1:0", "this isn't an address"),
        ("127.0.0.1:65536", "this isn't an address"),
        ("127.0.0.1:1\n", "this isn't an address"),
        ("half \udcff:1", "can't be reached"),
        (f"{'x' * 300}:1", "can't be reached"),
    ):
        yield BrokenCommand(
            name=f"RAY_ADDRESS: {address[:20]!r}",
            arguments=("run", "experiment.py"),
            told=told,
            environment={"RAY_ADDRESS": address, "RAY_TMPDIR": "absent"},
        )
    for variable in ("RAY_TMPDIR", "TMPDIR"):
        for folder, told in (("/tmp/" + "x" * 60, "whose name is too long"), ("/dev/null", "can't be made")):
            yield BrokenCommand(
                name=f"{variable}: {folder[:12]}",
                arguments=("run", "experiment.py"),
                told=told,
                environment={variable: folder},
            )


def _stores() -> Iterator[BrokenCommand]:
    for store in ("experiment.py", "/dev/null", "/dev/null/store", "/proc/store", "x" * 300):
        for command, told in (
            ("plan", "can't be written"),
            ("run", "can't be written"),
            ("status", "there is no store"),
        ):
            yield BrokenCommand(
                name=f"store: {command}, {store[:16]}",
                arguments=(command, "experiment.py", "--store", store),
                told=told,
            )
    for page in (".", "experiment.py/page.html", "/proc/page.html"):
        yield BrokenCommand(
            name=f"page: {page}",
            arguments=("report", "experiment.py", "--out", page),
            told="can't be written",
        )
