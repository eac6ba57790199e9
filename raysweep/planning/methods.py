"""The methods of a sweep: their parameters are checked before anything is laid out."""

from __future__ import annotations

from dataclasses import replace

from raysweep.data.pinning import Pinner
from raysweep.errors import InvalidInput
from raysweep.models.families import Model
from raysweep.objectives import objectives
from raysweep.planning.sweep import Method
from raysweep.recipes import recipes
from raysweep.spec import Call
from raysweep.spec.parameters import Parameters
from raysweep.transforms import transforms


def checked_method(method: Method | str, pinner: Pinner) -> Method:
    """A method, once its recipe takes its parameters, with the models among them pinned.

    Raises:
        InvalidInput: the recipe is unknown, or doesn't take the parameters.
    """
    method = Method(name=method, recipe=method) if isinstance(method, str) else method
    parameters = Parameters(recipes.get(method.recipe), num_leading=1)
    is_named = method.name == method.recipe
    parameters.check(
        method.params, f"method {method.name!r}" + ("" if is_named else f": recipe {method.recipe!r}")
    )
    _check_calls(method)
    return replace(method, params={name: _pinned(value, pinner) for name, value in method.params.items()})


def _check_calls(method: Method) -> None:
    """Check the losses and transforms among a method's parameters, and tell what is wrong by what the user
    wrote; a recipe may make others, which are checked with their runs."""
    params = method.params
    losses = [params.get("objective")]
    listed = params.get("transforms")
    relabelled = listed if isinstance(listed, list | tuple) else []
    for registry, calls in ((objectives, losses), (transforms, relabelled)):
        for call in calls:
            if isinstance(call, Call):
                try:
                    parameters: Parameters = registry.get(call.name).parameters
                except InvalidInput as error:
                    raise InvalidInput(f"method {method.name!r}: {error}") from error
                parameters.check(call.params, f'method {method.name!r}: Call("{call.name}")')


def pinned_model(model: Model, pinner: Pinner) -> Model:
    """A model with its weights identified; raises as `Pinner.model`."""
    return replace(model, spec=pinner.model(model.spec))


def _pinned(value: object, pinner: Pinner) -> object:
    if isinstance(value, Model):
        return pinned_model(value, pinner)
    if isinstance(value, tuple | list):
        return [_pinned(item, pinner) for item in value]
    return value
