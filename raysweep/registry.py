"""Registries: objects by name, open to the user's own code as `module:object`."""

import importlib
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Generic, TypeVar

from raysweep.errors import InvalidInput, unknown, user_code

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects by name.

    Args:
        what: the word used in messages ("task", "objective"…).
        kind: what an entry must be an instance of.
    """

    def __init__(self, what: str, kind: Any = object) -> None:
        self.what = what
        self._kind = kind
        self._entries: dict[str, T] = {}
        self._origins: dict[str, str] = {}
        """By name, the module that registered the entry."""

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

    def _add(self, name: str, entry: T, origin: str) -> T:
        earlier = self._origins.setdefault(name, origin)
        if earlier != origin:
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
            raise unknown(self.what, name, self._entries, f"Your own {self.what} is named module:object")
        module_name, _, attribute = name.partition(":")
        if not module_name or not attribute:
            raise InvalidInput(
                f"{self.what} {name!r} can't be imported; your own {self.what} is named module:object"
            )
        with user_code(f"{self.what} {name!r}: importing module {module_name!r}"):
            module = importlib.import_module(module_name)
        if not hasattr(module, attribute):
            raise InvalidInput(
                f"{self.what} {name!r}: module {module_name!r} ({module.__file__}) has no {attribute!r}"
            )
        entry: T = getattr(module, attribute)
        self._check(name, entry)
        return entry

    def _check(self, name: str, entry: T) -> None:
        if not isinstance(entry, self._kind):
            wanted = (
                "callable" if self._kind is Callable else f"a {self._kind.__module__}.{self._kind.__name__}"
            )
            raise InvalidInput(f"{self.what} {name!r} is of type {type(entry).__name__}; it must be {wanted}")

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return iter(sorted(self._entries.items()))


def _caller() -> str:
    """The module that registers an entry, with its file, which tells apart two experiment files of one name.

    It is found on the stack: most entries are instances, whose `__module__` is that of their class. A
    function of this package that registers for another module (`hub_tasks.hub_task`) is passed over.
    """
    frame = sys._getframe(2)
    while frame.f_code.co_name != "<module>" and _is_ours(frame) and frame.f_back is not None:
        frame = frame.f_back
    module = f"module {frame.f_globals.get('__name__')!r}"
    file = frame.f_globals.get("__file__")
    return f"{module} ({file})" if file else module


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("raysweep.")


def summary(entry: object) -> str:
    """The first paragraph of an object's docstring in one line, for `raysweep list`."""
    return " ".join((entry.__doc__ or "").strip().partition("\n\n")[0].split())
