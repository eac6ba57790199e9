"""`python -m raysweep.cli`, which is the command `raysweep`."""

from raysweep.cli.main import command

command()
