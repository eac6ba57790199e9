"""Models: where weights come from, the named families, how a model is built and saved.

Importing this package registers the families; nothing heavy is imported and nothing is downloaded.
"""

from raysweep.models import hub_families as hub_families
from raysweep.models import sandbox as sandbox
