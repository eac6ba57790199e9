"""`python -m raysweep.cli`, which is the command `raysweep`."""

import sys

from raysweep.cli.main import main

sys.exit(main())
