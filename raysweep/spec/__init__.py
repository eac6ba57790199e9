"""Specs: frozen values that say what a run computes, checked when they are made and identified by their
content.

Specs know nothing of data, models or stores: this package imports only `errors`. Start with `run`, whose
`RunSpec` holds all other values. `optimization` and `tuning` are parts of it, `resources` says where a run
computes and is never part of its identity, `identity` makes ids, `validation` checks fields.
"""

from raysweep.spec.bases import Folder as Folder
from raysweep.spec.bases import Hub as Hub
from raysweep.spec.bases import Scratch as Scratch
from raysweep.spec.call import Call as Call
from raysweep.spec.optimization import Evaluation as Evaluation
from raysweep.spec.optimization import Optimization as Optimization
from raysweep.spec.optimization import Order as Order
from raysweep.spec.optimization import Precision as Precision
from raysweep.spec.optimization import Schedule as Schedule
from raysweep.spec.run import Combination as Combination
from raysweep.spec.run import GroundTruth as GroundTruth
from raysweep.spec.run import HeadInit as HeadInit
from raysweep.spec.run import ModelSpec as ModelSpec
from raysweep.spec.run import RunSpec as RunSpec
from raysweep.spec.run import Truncation as Truncation
from raysweep.spec.run import Unlabelled as Unlabelled
from raysweep.spec.run import WeakLabels as WeakLabels
from raysweep.spec.task import TaskKind as TaskKind
from raysweep.spec.task import TaskSpec as TaskSpec
from raysweep.spec.tuning import Features as Features
from raysweep.spec.tuning import Full as Full
from raysweep.spec.tuning import HeadOnly as HeadOnly
from raysweep.spec.tuning import Lora as Lora
from raysweep.spec.tuning import Probe as Probe
from raysweep.spec.tuning import Prompting as Prompting
from raysweep.spec.tuning import Unembedding as Unembedding
