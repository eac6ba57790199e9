"""The command line: raysweep plan | run | status | results | report | measure | sync | list.

options.py says what can be typed, main.py runs it, and commands/ has a module for each command, imported when
it is called. plans.py, progress.py and console.py show things. outcome.py turns errors into exit codes, and
terminal.py knows the process around a command: encodings, pipes, signals. figures.py and export.py are the
work of the scripts in analysis/, which read MLflow alone. Start reading at commands/run.py.

A new command is a function in commands/ and an `add` in options.py. argparse and argcomplete, since they take
10 ms to import, where Typer takes 60 and another 50 to read the options, and Cyclopts 75.

It is the last package and may import all others; nothing imports it.
"""
