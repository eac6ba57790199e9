"""Probes: pure functions from features and labels to a classifier, in closed form or as a convex problem.

A probe takes `LabelledFeatures` and returns a function from features to class probabilities. It reads no
model and no store. Imports `errors`, `registry`, `spec` and `predictions` only. Start with `base`; the other
modules are the probes, by what they assume: `linear`, `neighbours`,
`contrast`, `mixtures`, `trust`, `sparse`. `geometry` has measures of features that aren't probes.
"""

from raysweep.probes import contrast, linear, mixtures, neighbours, sparse, trust
from raysweep.probes.base import Fitted, LabelledFeatures, ProbeFit, fit_probe, probes

__all__ = [
    "Fitted",
    "LabelledFeatures",
    "ProbeFit",
    "contrast",
    "fit_probe",
    "linear",
    "mixtures",
    "neighbours",
    "probes",
    "sparse",
    "trust",
]
