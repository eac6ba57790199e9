"""Runners by name."""

from __future__ import annotations

from collections.abc import Callable

from raysweep.errors import InvalidInput
from raysweep.registry import Registry
from raysweep.scheduling.runner import Runner

runners: Registry[Callable[[], Runner]] = Registry("runner", Callable)
"""Makers of a runner."""


@runners.register("ray")
def ray() -> Runner:
    """Ray Tune on the cluster that `RAY_ADDRESS` names, or on this machine."""
    from raysweep.scheduling.tune import RayRunner

    return RayRunner()


@runners.register("local")
def local() -> Runner:
    """This process, one run after another, without Ray: for debugging."""
    from raysweep.scheduling.local import LocalRunner

    return LocalRunner()


def make_runner(name: str) -> Runner:
    """The runner of that name, or of the user's own `module:object`.

    Raises:
        InvalidInput: there is none, or the object makes something else.
    """
    make = runners.get(name)
    with runners.calling(name):
        runner: object = make()
    if not isinstance(runner, Runner):
        raise InvalidInput(
            f"runner {name!r} made a {type(runner).__name__}; it must be a raysweep.scheduling.runner.Runner"
        )
    return runner
