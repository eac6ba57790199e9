"""The parser of the command line: how it says what is wrong, and how a shell completes it."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from raysweep.errors import InvalidInput, did_you_mean


class Parser(argparse.ArgumentParser):
    """Says what is wrong as other errors are told, with the nearest of what there is."""

    def error(self, message: str) -> NoReturn:
        raise InvalidInput(f"{message}; see {self.prog} --help")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            near = did_you_mean(unknown[0], self._option_string_actions)
            self.error(f"unknown argument {' '.join(unknown)}{near}")
        return options, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = str(action.metavar).lower()
            near = did_you_mean(value, action.choices)
            self.error(f"unknown {what} {value!r}{near}; known: {', '.join(action.choices)}")


class ShowCompletion(argparse.Action):
    """Prints the code by which a shell completes `raysweep`, and ends."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: str | None = None
    ) -> NoReturn:
        from argcomplete.shell_integration import shellcode

        print(shellcode([parser.prog], shell=values))
        parser.exit()
