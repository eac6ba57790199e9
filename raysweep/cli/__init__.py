"""The command line: raysweep plan | run | status | results | report | measure | sync | list.

main.py parses options, commands.py does what a command asks for, and plans.py, progress.py, console.py and
listing.py show it. outcome.py turns errors into exit codes, and terminal.py knows the process around a
command: encodings, pipes, signals. figures.py and export.py are the work of the scripts in analysis/, which
read MLflow alone. Start reading at `run_sweep` in commands.py.

It is the last package and may import all others; nothing imports it.
"""
