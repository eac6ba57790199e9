"""Registries: objects by name, open to the user's own code as `module:object`, and to installed packages as
plug-ins."""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from raysweep.errors import InvalidInput, did_you_mean, unknown, user_code

T = TypeVar("T")

PLUGINS = "raysweep.plugins"
"""The group of entry points by which an installed package names a module that registers its objects."""


@functools.cache
def load_plugins() -> None:
    """Import the modules of all plug-ins, once.

    Raises:
        InvalidInput: one can't be imported, or registers a name that is taken.
    """
    from importlib.metadata import entry_points

    for point in entry_points(group=PLUGINS):
        package = f" of {point.dist.name}" if point.dist else ""
        with user_code(f"plug-in {point.name!r}{package}: importing module {point.value!r}"):
            point.load()


class Registry(Generic[T]):
    """Objects by name.

    Args:
        what: the word used in messages ("task", "objective"…).
        kind: what an entry must be an instance of.
        of_function: makes an entry of a plain function, if one is enough as the user's own.
    """

    def __init__(self, what: str, kind: Any = object, of_function: Callable[[Any], T] | None = None) -> None:
        self.what = what
        self._kind = kind
        self._of_function = of_function
        self._entries: dict[str, T] = {}
        self._origins: dict[str, _Origin] = {}

    def add(self, name: str, entry: T) -> T:
        """Register an object.

        A module may register its own name again, since an experiment file is executed each time it is loaded.

        Raises:
            InvalidInput: another module has registered the name.
        """
        return self._add(name, entry, _caller())

    def register(self, name: str) -> Callable[[T], T]:
        """The decorator form of `add`."""
        origin = _caller()
        return lambda entry: self._add(name, entry, origin)

    def _add(self, name: str, entry: T, origin: "_Origin") -> T:
        earlier = self._origins.setdefault(name, origin)
        if not earlier.is_same(origin):
            raise InvalidInput(
                f"{self.what} {name!r} of {origin} is registered by {earlier} already; choose another name"
            )
        self._entries[name] = entry
        return entry

    def get(self, name: str) -> T:
        """The object of that name, or `module:object` imported from the user's own code.

        Raises:
            InvalidInput: the name is unknown, or the module or object can't be imported.
        """
        if name in self._entries:
            return self._entries[name]
        if ":" not in name:
            load_plugins()
            if name in self._entries:
                return self._entries[name]
            raise unknown(self.what, name, self._entries, f"Your own {self.what} is named module:object")
        module_name, _, attribute = name.partition(":")
        if not module_name or not attribute:
            raise InvalidInput(
                f"{self.what} {name!r} can't be imported; your own {self.what} is named module:object"
            )
        with user_code(f"{self.what} {name!r}: importing module {module_name!r}"):
            module = importlib.import_module(module_name)
            is_there = hasattr(module, attribute)
        if not is_there:
            raise InvalidInput(
                f"{self.what} {name!r}: module {module_name!r} ({module.__file__}) has no {attribute!r}"
                f"{did_you_mean(attribute, vars(module))}"
            )
        entry: T = getattr(module, attribute)
        if self._of_function is not None and inspect.isfunction(entry):
            return self._of_function(entry)
        self._check(name, entry)
        return entry

    def calling(self, name: str) -> AbstractContextManager[None]:
        """A context for calls of an entry: what the user's own raises is the user's error (see `user_code`),
        what one of raysweep's own raises is left alone."""
        return nullcontext() if self.is_own(name) else user_code(f"{self.what} {name!r}")

    def is_own(self, name: str) -> bool:
        """Whether an entry is one of raysweep's own."""
        return name in self._origins and self._origins[name].is_ours

    def module(self, name: str) -> str | None:
        """The module outside of raysweep that registered an entry; None of one of raysweep's own."""
        origin = self._origins[name]
        return None if origin.is_ours else origin.module

    def _check(self, name: str, entry: T) -> None:
        if not isinstance(entry, self._kind):
            wanted = (
                "callable" if self._kind is Callable else f"a {self._kind.__module__}.{self._kind.__name__}"
            )
            wanted = f"a function or {wanted}" if self._of_function else wanted
            raise InvalidInput(f"{self.what} {name!r} is of type {type(entry).__name__}; it must be {wanted}")

    def __iter__(self) -> Iterator[tuple[str, T]]:
        load_plugins()
        return iter(sorted(self._entries.items()))


@dataclass(frozen=True)
class _Origin:
    """The module that registered an entry; its file tells apart two experiment files of one name."""

    module: str
    file: str | None

    def __str__(self) -> str:
        return f"module {self.module!r}" + (f" ({self.file})" if self.file else "")

    def is_same(self, other: "_Origin") -> bool:
        """Whether both are one file, which an experiment may import by its own name, too."""
        return self.file == other.file if self.file else self == other

    @property
    def is_ours(self) -> bool:
        return self.module.startswith("raysweep.")


def _caller() -> _Origin:
    """The module that registers an entry.

    It is found on the stack: most entries are instances, whose `__module__` is that of their class. A
    function of this package that registers for another module (`hub_tasks.hub_task`) is passed over.
    """
    frame = sys._getframe(2)
    while True:
        origin = _Origin(str(frame.f_globals.get("__name__")), frame.f_globals.get("__file__"))
        if frame.f_code.co_name == "<module>" or not origin.is_ours or frame.f_back is None:
            return origin
        frame = frame.f_back


def summary(entry: object) -> str:
    """The first paragraph of an object's docstring in one line, for `raysweep list`."""
    return " ".join((entry.__doc__ or "").strip().partition("\n\n")[0].split())
