"""Rules: pure functions from what several sources say of the same examples to labels.

A rule takes a table of predictions a source and a `RuleContext` and returns labels over the same ids;
examples that it gives no label stay in the table, not covered, with what would be said of them. The order of
the rows never matters, and that of the sources doesn't matter to rules that say so. Only a rule that declares
it reads half A and the truth there; none reads any other truth.

Imports `errors`, `registry`, `spec`, `predictions` and `transforms` only. Start with `base`; the other
modules are the rules, by purpose: `averages`, `choices`, and `models` of how good each source is.
"""

from raysweep.rules import averages, choices, models
from raysweep.rules.base import HALF_A, HalfA, Rule, RuleContext, combine, predicts_only_half_a, rules

__all__ = [
    "HALF_A",
    "HalfA",
    "Rule",
    "RuleContext",
    "averages",
    "choices",
    "combine",
    "models",
    "predicts_only_half_a",
    "rules",
]
