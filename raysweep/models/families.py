"""Families of pretrained models with the training defaults of each size."""

from __future__ import annotations

from dataclasses import dataclass

from raysweep.errors import unknown
from raysweep.registry import Registry
from raysweep.spec import ModelSpec, Optimization


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model of a sweep's grid: the weights to start from, and how they are trained."""

    spec: ModelSpec
    optimization: Optimization

    @property
    def name(self) -> str:
        """How the model is called in tables."""
        return self.spec.name


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models that differ in size, smallest first."""

    name: str
    summary: str
    models: tuple[Model, ...]

    def __getitem__(self, name: str) -> Model:
        """A model by its name.

        Raises:
            InvalidInput: there is no such model in the family.
        """
        for model in self.models:
            if model.name == name:
                return model
        raise unknown(f"model of family {self.name}", name, [model.name for model in self.models])


families: Registry[Family] = Registry("model family", Family)
