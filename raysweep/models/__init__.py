"""Models: where their tokenizers, configurations and weights come from, and the named families.

It imports `spec` and `store`. `raysweep.training.model` builds models and saves them. Start with `families`
for what a sweep names, and with `source` for how a model is found. Importing this package registers the
families; it imports nothing heavy and downloads nothing.
"""

from raysweep.models import hub_families as hub_families
from raysweep.models import sandbox as sandbox
