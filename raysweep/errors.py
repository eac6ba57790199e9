"""Errors whose messages are written for the user.

Every error that a user can cause or must act on is a `RaysweepError`: the command line prints its message
without a traceback. A message says what is wrong, where, what is allowed, and what to do. No secret is in it:
`shown_address` is an address (of a tracking server, a database) without those that it holds, and `redacted`
takes them, and those among the environment variables, out of any text.
"""

import dataclasses
import difflib
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from urllib.parse import quote, quote_plus, unquote_plus

_PACKAGE = str(Path(__file__).parent)
_MOST_FRAMES = 20
"""Of a traceback in a message; endless recursion has a thousand."""
_LONGEST_UNKNOWN = 240
_LONGEST_NAME = 60
"""Characters of a message about an unknown name, so that with what stands before it, it has at most 300, and
of the name in it."""
HIDDEN = "***"
"""What stands for a secret."""
_FILES = ("sqlite", "file")
"""Schemes of addresses that are paths: a "?" or "#" in them is part of a name."""
_ADDRESS = re.compile(r"\b[A-Za-z][\w+.-]*://[^\s'\"<>]+")
_SETTING = re.compile(
    r"(?i)(?<![^\W_])((?:password|passwd|pwd|secret|access_token|auth_token|api_key|access_key|(?<!\w)token)=)"
    r"(\"[^\"]*\"|'[^']*'|[^\s&;,'\")]+)"
)
_SECRET_VARIABLE = re.compile(r"(?i)(token|password|passwd|secret|key|credentials?)$")
_SHORTEST = 6
"""Characters of a secret that is looked for by itself: a shorter one would hide words at random."""


class RaysweepError(Exception):
    """Base of all errors whose message is written for the user."""


class InvalidInput(RaysweepError, ValueError):
    """A spec, a sweep or a data set that can't be used; refused before anything trains."""


class CorruptFile(RaysweepError):
    """A file of the store whose content isn't what was written to it; such a file is never used."""


class ForeignFolder(RaysweepError):
    """A run folder that holds the spec of another run."""


class StorageFailed(RaysweepError, OSError):
    """A folder can't be written: its disk is full, read-only or gone, it was deleted, or isn't the user's."""


class ClusterLost(RaysweepError):
    """The cluster on which runs are executed is gone."""


class NodesMissing(RaysweepError):
    """The cluster lacks nodes for what is left, and was waited for long enough."""


class TrainingDiverged(RaysweepError):
    """The loss became NaN or infinite."""


class RunsFailed(RaysweepError):
    """Runs of a sweep that was run from Python failed. All others are done, and the store has them."""


class StoppedEarly(RaysweepError):
    """A search stopped the run early, since other trials of its study are better."""


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is a request from outside to end the process, not an error of what it does:
    Ctrl-C, or the `SystemExit` by which Ray ends a worker."""
    return isinstance(error, KeyboardInterrupt) or hasattr(error, "ray_terminate_msg")


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """The known name that is nearest to one that isn't known, as " (did you mean 'naive'?)"; "" if none is
    near. The dashes of options are the same in all, and make none of them near."""
    bare = {str(item).lstrip("-"): str(item) for item in known}
    near = difflib.get_close_matches(str(name).lstrip("-"), bare, n=1, cutoff=0.5)
    return f" (did you mean {bare[near[0]]!r}?)" if near else ""


def unknown(what: str, name: object, known: Iterable[object], hint: str = "") -> InvalidInput:
    """The error for a name outside a fixed set, of at most 240 characters: it has the nearest of the known
    names, and of the others those for which there is room."""
    names = sorted(str(item) for item in known)
    shown = repr(name) if len(repr(name)) <= _LONGEST_NAME else f"{repr(name)[:_LONGEST_NAME]}…"
    begin = f"unknown {what} {shown}{did_you_mean(name, names)}; known: "
    end = f". {hint}" if hint else ""
    listed, more = ", ".join(names) or "none", 0
    while len(names) > more and len(begin + listed + end) > _LONGEST_UNKNOWN:
        more += 1
        listed = ", ".join([*names[:-more], f"and {more} more"])
    return InvalidInput(begin + listed + end)


@contextmanager
def user_code(what: str) -> Iterator[None]:
    """Turn an exception of the user's own code in the block into an `InvalidInput`: any but an interrupt, so
    that code which calls `sys.exit(0)` can't end a command as if it had succeeded.

    Its message has the traceback, from the first frame of the user's code on, of a deep one its end.

    Args:
        what: the code that runs, which begins the message: "experiments/mine.py", "the loader of task
            'mine:TASK'".

    Raises:
        InvalidInput: the block raised an exception. A `RaysweepError` and an interrupt pass unchanged.
    """
    try:
        yield
    except RaysweepError:
        raise
    except BaseException as error:
        if is_interrupt(error):
            raise
        trace = _without_our_frames(error.__traceback__)
        if mistyped := _is_users(trace) and _mistyped(error):
            raise InvalidInput(f"{what}, line {_last_line(trace)}: {mistyped}") from error
        lines = traceback.format_exception(type(error), error, trace, limit=-_MOST_FRAMES, chain=False)
        details = "".join(lines).rstrip()
        separator = "\n" if "\n" in details else " "
        raise InvalidInput(f"{what} failed:{separator}{details}") from error


def _mistyped(error: BaseException) -> str | None:
    """What is wrong, if it is a name that the user took for one of raysweep's, or a field that is missing."""
    text = str(error)
    if isinstance(error, ImportError) and str(error.name).partition(".")[0] == "raysweep":
        found = re.match(r"cannot import name '(\w+)'", text)
        module = sys.modules.get(str(error.name))
        names = getattr(module, "__all__", dir(module))
        return str(unknown(f"name in {error.name}", found[1], names)) if found else None
    found = re.match(r"(\w+)\.__init__\(\) (got an unexpected keyword argument|missing .*:) (.+)", text)
    if not isinstance(error, TypeError) or found is None:
        return None
    fields = next(filter(None, (_fields(module, found[1]) for module in _own_modules())), None)
    if fields is None:
        return None
    if found[2].startswith("missing"):
        return f"{found[1]} lacks {found[3]}"
    return str(unknown(f"field of {found[1]}", found[3].strip("'"), fields))


def _is_users(trace: TracebackType | None) -> bool:
    """Whether an exception was raised in a line of the user's own code."""
    frames = traceback.extract_tb(trace)
    return bool(frames) and not frames[-1].filename.startswith(_PACKAGE)


def _own_modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.partition(".")[0] == "raysweep"]


def _fields(module: ModuleType, class_name: str) -> list[str] | None:
    """The fields of a dataclass, if the module has one of that name."""
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not dataclasses.is_dataclass(found):
        return None
    return [field.name for field in dataclasses.fields(found) if field.init]


def _last_line(trace: TracebackType | None) -> int:
    """The line of the user's own code that was executed last."""
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if not frame.filename.startswith(_PACKAGE)]
    return lines[-1] if lines and lines[-1] else 0


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is neither in raysweep nor in Python's import machinery."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<frozen importlib")) and not file.endswith(
            "importlib/__init__.py"
        ):
            break
        trace = trace.tb_next
    return trace


def shown_address(address: str) -> str:
    """An address without what may be secret in it: all before an @, and the values of its query."""
    scheme, colon, rest = address.partition(":")
    if scheme.lower() in _FILES:
        return address
    if not colon or not re.fullmatch(r"[A-Za-z][\w+.-]*", scheme):
        scheme, colon, rest = "", "", address
    slashes = rest[: len(rest) - len(rest.lstrip("/"))]
    rest = rest[len(slashes) :]
    user, at, place = rest.rpartition("@")
    place, mark, query = _parts(place)
    shown = "&".join(f"{name}={HIDDEN}" if equals else HIDDEN for name, equals, _ in _settings(query))
    return f"{scheme}{colon}{slashes}{HIDDEN + at if at else user}{place}{mark}{shown}"


def redacted(text: str, *addresses: str) -> str:
    """A text without the secrets of addresses, of those that stand in it, and of the environment.

    Args:
        text: a message, a traceback, the content of a file.
        addresses: addresses that were used, parts of which may stand in the text.
    """
    for address in addresses:
        text = text.replace(address, shown_address(address))
    text = _ADDRESS.sub(lambda found: shown_address(found[0]), text)
    text = _SETTING.sub(rf"\1{HIDDEN}", text)
    secrets = {form for secret in _secrets(addresses) for form in _forms(secret)}
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)  # %2F is %2f
    return text


def _secrets(addresses: tuple[str, ...]) -> Iterator[str]:
    for name, value in os.environ.items():
        if _SECRET_VARIABLE.search(name):
            yield value
    for address in (*addresses, *(value for value in os.environ.values() if "://" in value)):
        scheme, _, rest = address.partition(":")
        if scheme.lower() in _FILES:
            continue
        user, _, place = rest.lstrip("/").rpartition("@")
        name, colon, password = user.partition(":")
        yield password if colon else name
        for _, _, value in _settings(_parts(place)[2]):
            yield value
            yield from (part.partition("=")[2] for part in unquote_plus(value).split(";"))


def _parts(place: str) -> tuple[str, str, str]:
    """What is before the query or fragment of an address, its mark, and what is after it."""
    found = re.search(r"[?#]", place)
    return (place, "", "") if found is None else (place[: found.start()], found[0], place[found.end() :])


def _settings(query: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in re.split(r"[&#]", query) if part]


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in a text."""
    plain = unquote_plus(secret)
    forms = {secret, plain, quote(plain, safe=""), quote_plus(plain), repr(plain)[1:-1]}
    return {form for form in forms if len(form) >= _SHORTEST}
