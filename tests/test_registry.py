"""Registries: names are found or told, and belong to the module that registers them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raysweep.errors import InvalidInput
from raysweep.registry import Registry, load_plugins, summary


def test_a_registry_finds_names_and_modules_and_tells_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry: Registry[Callable[..., Any]] = Registry("method", Callable)
    registry.register("b")(lambda: None)
    registry.add("a", len)
    assert [name for name, _ in registry] == ["a", "b"]
    with pytest.raises(
        InvalidInput, match=r"unknown method 'c'; known: a, b\. Your own method is named module:object"
    ):
        registry.get("c")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "registry_mine.py").write_text("def mine():\n    '''My method.'''\nNUMBER = 3\n")
    (tmp_path / "registry_broken.py").write_text("def f():\n    1 / 0\nf()\n")
    (tmp_path / "registry_lacking.py").write_text("import registry_nonsense\n")
    assert summary(registry.get("registry_mine:mine")) == "My method."
    for name, told in [
        (
            "registry_absent:x",
            r"importing module 'registry_absent' failed: ModuleNotFoundError: No module named",
        ),
        ("registry_mine:yours", r"module 'registry_mine' \(.*registry_mine\.py\) has no 'yours'"),
        ("registry_mine:NUMBER", r"method 'registry_mine:NUMBER' is of type int; it must be callable"),
        (":x", "can't be imported; your own method is named module:object"),
        ("registry_mine:", "can't be imported; your own method is named module:object"),
    ]:
        with pytest.raises(InvalidInput, match=told) as refused:
            registry.get(name)
        assert "\n" not in str(refused.value)
    for name, frames in [
        ("registry_broken:f", [", line 3", ", line 2"]),
        ("registry_lacking:x", [", line 1"]),
    ]:
        with pytest.raises(InvalidInput, match=f"module '{name.partition(':')[0]}' failed:\n") as refused:
            registry.get(name)
        assert re.findall(r", line \d+", str(refused.value)) == frames  # the user's frames, and none of ours


def run_module(name: str, code: str, **namespace: Any) -> dict[str, Any]:
    """Execute code as a module of that name, as an import or `load_sweep` does."""
    namespace |= {"__name__": name, "__file__": f"/code/{name}.py"}
    exec(compile(code, f"/code/{name}.py", "exec"), namespace)
    return namespace


ADD = "registry.add('mine', {value!r})"
DECORATE = "@registry.register('mine')\ndef mine():\n    return {value!r}\n"
IN_A_FUNCTION = "def sweep():\n    registry.add('mine', {value!r})\nsweep()"


@pytest.mark.parametrize("code", [ADD, DECORATE, IN_A_FUNCTION])
def test_a_name_belongs_to_the_module_that_registers_it(code: str) -> None:
    registry: Registry[Any] = Registry("method")

    def registered() -> Any:
        entry = registry.get("mine")
        return entry() if callable(entry) else entry

    run_module("one", code.format(value=1), registry=registry)
    assert registered() == 1
    run_module("one", code.format(value=2), registry=registry)
    assert registered() == 2
    with pytest.raises(InvalidInput) as refused:
        run_module("two", code.format(value=3), registry=registry)
    assert str(refused.value) == (
        "method 'mine' of module 'two' (/code/two.py) is registered by module 'one' (/code/one.py) already; "
        "choose another name"
    )
    assert registered() == 2 and [name for name, _ in registry] == ["mine"]


def test_a_helper_of_the_package_registers_for_its_caller() -> None:
    registry: Registry[Any] = Registry("task")
    helper = run_module(
        "raysweep.helper", "def add(value):\n    registry.add('mine', value)", registry=registry
    )
    run_module("raysweep.first", "add(1)", add=helper["add"])
    with pytest.raises(InvalidInput, match=r"of module 'raysweep\.second' .* by module 'raysweep\.first' "):
        run_module("raysweep.second", "add(2)", add=helper["add"])
    with pytest.raises(InvalidInput, match=r"of module 'experiment' .* by module 'raysweep\.first' "):
        run_module("experiment", "def sweep():\n    add(2)\nsweep()", add=helper["add"])
    run_module("raysweep.first", "add(3)", add=helper["add"])
    assert registry.get("mine") == 3


@pytest.mark.parametrize(("module", "error"), [("raysweep.builtin", KeyError), ("experiment", InvalidInput)])
def test_what_the_users_own_entry_raises_is_the_users_error(module: str, error: type[Exception]) -> None:
    registry: Registry[Any] = Registry("method")
    run_module(module, "registry.add('mine', 3)", registry=registry)
    with pytest.raises(error), registry.calling("mine"):
        raise KeyError("x")
    with (
        pytest.raises(InvalidInput, match="method 'elsewhere:mine' failed"),
        registry.calling("elsewhere:mine"),
    ):
        raise SystemExit(0)


def test_a_summary_is_the_first_paragraph_in_one_line() -> None:
    def described() -> None:
        """Loss of two
        lines.

        More.
        """

    assert summary(described) == "Loss of two lines."
    assert summary(object.__new__(type("Bare", (), {}))) == ""


def test_an_installed_package_is_a_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[Callable[..., Any]] = Registry("method", Callable)
    monkeypatch.setattr("raysweep.registry_of_the_test", registry, raising=False)
    info = tmp_path / "house-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[raysweep.plugins]\nhouse = registry_house\n")
    (tmp_path / "registry_house.py").write_text(
        "import raysweep\nraysweep.registry_of_the_test.add('mine', len)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    load_plugins.cache_clear()
    assert registry.get("mine") is len and registry.module("mine") == "registry_house"
    assert [name for name, _ in registry] == ["mine"]
    (info / "entry_points.txt").write_text("[raysweep.plugins]\nhouse = registry_no_house\n")
    load_plugins.cache_clear()
    with pytest.raises(
        InvalidInput, match=r"plug-in 'house' of house: importing module 'registry_no_house' failed"
    ):
        list(registry)
    monkeypatch.undo()
    load_plugins.cache_clear()


def test_an_experiment_may_import_itself(tmp_path: Path) -> None:
    registry: Registry[Any] = Registry("method")
    run_module("mine", "registry.add('a', 1)", registry=registry)
    code = compile("registry.add('a', 2)", "/code/mine.py", "exec")
    exec(code, {"__name__": "raysweep_experiment_mine", "__file__": "/code/mine.py", "registry": registry})
    assert registry.get("a") == 2


def test_a_plain_function_may_be_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "registry_plain.py").write_text("def mine():\n    pass\nNUMBER = 3\n")
    registry: Registry[Boxed] = Registry("method", Boxed, of_function=Boxed)
    assert registry.get("registry_plain:mine").function.__name__ == "mine"
    with pytest.raises(InvalidInput, match=r"is of type int; it must be a function or a .*Boxed"):
        registry.get("registry_plain:NUMBER")
    strict: Registry[Boxed] = Registry("method", Boxed)
    with pytest.raises(InvalidInput, match=r"is of type function; it must be a .*Boxed"):
        strict.get("registry_plain:mine")


@dataclass(frozen=True)
class Boxed:
    function: Callable[..., Any]
