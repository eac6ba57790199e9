"""Registries: a dict from name to object with one line of help, open to the user's own code by
`module:object`."""

import importlib
from collections.abc import Callable, Iterator
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

    def add(self, name: str, entry: T) -> T:
        """Register an object; a name can be taken once."""
        if name in self._entries:
            raise InvalidInput(f"{self.what} {name!r} is registered already; choose another name")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """The decorator form of `add`."""
        return lambda entry: self.add(name, entry)

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


def summary(entry: object) -> str:
    """The first line of an object's docstring, for `raysweep list`."""
    return (entry.__doc__ or "").strip().partition("\n")[0]
