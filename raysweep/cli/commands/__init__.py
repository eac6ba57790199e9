"""What the commands do: each is a function of the options it needs and a console, and returns the exit code.

A module here may import what it likes: `raysweep.cli.app` imports it when its command is called.
"""
