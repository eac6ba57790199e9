"""Files of the user's that would be imported in place of a library's: `datasets.py` beside an experiment."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from raysweep.errors import InvalidInput

_UNUSED = {"test"}
"""Of the standard library, modules that nothing imports."""


def require_no_shadows(folder: Path) -> None:
    """Check that no module in a folder, which is imported from before all others, has a library's name.

    Raises:
        InvalidInput: one has the name of a module that raysweep, or a library that it needs, may import.
    """
    for name, path in sorted(_modules(folder)):
        if name in sys.stdlib_module_names - _UNUSED or name in _library_modules():
            raise InvalidInput(
                f"{path} has the name of a library, in whose place it would be imported; rename it, for "
                f"example to my_{path.name}"
            )


def _modules(folder: Path) -> Iterator[tuple[str, Path]]:
    try:
        for path in folder.iterdir():
            if path.suffix == ".py":
                yield path.stem, path
            elif (path / "__init__.py").is_file():
                yield path.name, path
    except OSError:  # it can't be read, so nothing is imported from it
        return


@functools.cache
def _library_modules() -> frozenset[str]:
    """Names of the modules that the libraries have which raysweep needs, directly or not, but its own."""
    import importlib.metadata

    needed: set[str] = set()
    open_names = ["raysweep"]
    while open_names:
        name = _normalized(open_names.pop())
        if name in needed:
            continue
        needed.add(name)
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # an extra that isn't installed
            continue
        for requirement in requirements:
            is_own_extra = name == "raysweep" and 'extra == "test"' not in requirement
            if "extra ==" not in requirement or is_own_extra:
                open_names += re.findall(r"^[\w.-]+", requirement)
    found = importlib.metadata.packages_distributions()
    return frozenset(
        module for module, owners in found.items() if needed & {_normalized(owner) for owner in owners}
    ) - {"raysweep"}


def _normalized(name: str) -> str:
    """A distribution's name as PyPI compares names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
