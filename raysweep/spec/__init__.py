"""What a run computes: frozen values, checked when they are made and identified by their content."""

from raysweep.spec.optimization import Evaluation as Evaluation
from raysweep.spec.optimization import Optimization as Optimization
from raysweep.spec.optimization import Order as Order
from raysweep.spec.optimization import Precision as Precision
from raysweep.spec.optimization import Schedule as Schedule
from raysweep.spec.run import Call as Call
from raysweep.spec.run import Folder as Folder
from raysweep.spec.run import GroundTruth as GroundTruth
from raysweep.spec.run import HeadInit as HeadInit
from raysweep.spec.run import Hub as Hub
from raysweep.spec.run import ModelSpec as ModelSpec
from raysweep.spec.run import RunSpec as RunSpec
from raysweep.spec.run import Scratch as Scratch
from raysweep.spec.run import TaskKind as TaskKind
from raysweep.spec.run import TaskSpec as TaskSpec
from raysweep.spec.run import Truncation as Truncation
from raysweep.spec.run import Unlabelled as Unlabelled
from raysweep.spec.run import WeakLabels as WeakLabels
from raysweep.spec.tuning import Full as Full
from raysweep.spec.tuning import HeadOnly as HeadOnly
from raysweep.spec.tuning import Lora as Lora
from raysweep.spec.tuning import Prompting as Prompting
