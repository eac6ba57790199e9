"""Exit codes of the commands."""

SUCCESS = 0
FAILED = 1
"""A run failed, or a file can't be read or written."""
BAD_INPUT = 2
"""Bad input or usage; nothing was trained."""
UNFINISHED = 3
"""Something isn't finished yet."""
INTERNAL_ERROR = 70
"""An error of raysweep or of the machine."""
INTERRUPTED = 130
