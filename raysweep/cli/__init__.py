"""The command line: raysweep plan | run | status | results | report | measure | sync | list.

main.py parses options and turns errors into exit codes, commands.py does what a command asks for, and
plans.py, progress.py, console.py and listing.py show it. figures.py and export.py are the work of the scripts
in analysis/, which read MLflow alone. Start reading at `run_sweep` in commands.py.

It is the last package and may import all others; nothing imports it.
"""
