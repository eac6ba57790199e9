"""Recipes: a method is a small function from a cell of the grid to the runs that answer it."""

from raysweep.recipes import baselines as baselines  # these modules register their recipes
from raysweep.recipes import controls as controls
from raysweep.recipes import methods as methods
from raysweep.recipes.cell import Cell, CellRuns, Recipe, recipes

__all__ = ["Cell", "CellRuns", "Recipe", "recipes"]
