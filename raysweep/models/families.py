"""Families of pretrained models, with default training values for each size."""

from __future__ import annotations

from dataclasses import dataclass

from raysweep.errors import unknown
from raysweep.registry import Registry
from raysweep.spec import ModelSpec, Optimization


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model in the grid of a sweep: the weights to start from, and how they are trained."""

    spec: ModelSpec
    optimization: Optimization

    @property
    def name(self) -> str:
        """The model's name in tables."""
        return self.spec.name


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models of different sizes, the smallest first."""

    name: str
    summary: str
    models: tuple[Model, ...]

    def __getitem__(self, name: str) -> Model:
        """The model of this name.

        Raises:
            InvalidInput: the family has no such model.
        """
        for model in self.models:
            if model.name == name:
                return model
        raise unknown(f"model of family {self.name}", name, [model.name for model in self.models])


families: Registry[Family] = Registry("model family", Family)
