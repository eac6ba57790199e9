"""The command line: raysweep plan | run | status | results | report | figures | export | measure |
sync | list.

options.py says what can be typed, main.py runs it, and commands/ has a module for each command, imported when
it is called. plans.py, progress.py and console.py show things. outcome.py turns errors into exit codes, and
terminal.py knows the process around a command: encodings, pipes, signals. Start reading at commands/run.py.

A new command is a function in commands/ and an `add` in options.py. argparse and argcomplete, since they take
10 ms to import, where Typer takes 60 and another 50 to read the options, and Cyclopts 75.

It may import all packages but `api`, which does what the commands do from Python.
"""
