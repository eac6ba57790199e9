"""Recipes: the methods of a sweep, each a small function from a cell of the grid to the runs that answer it.

Imports packages up to `transforms` and `models`, never planning, training or results: a recipe only describes
runs. Start with `cell`, then `methods`, and `ensembles`, which combine
runs; `baselines` and `controls` are what methods are compared with.
"""

from raysweep.recipes import baselines as baselines  # these modules register their recipes
from raysweep.recipes import controls as controls
from raysweep.recipes import ensembles as ensembles
from raysweep.recipes import methods as methods
from raysweep.recipes import probing as probing
from raysweep.recipes.cell import Cell, CellRuns, Recipe, recipes

__all__ = ["Cell", "CellRuns", "Recipe", "recipes"]
