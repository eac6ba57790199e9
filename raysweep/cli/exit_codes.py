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
TRY_AGAIN = 75
"""Only runs that were lost with processes, nodes, the network or a disk are left, or the cluster lacks nodes:
the same command may succeed later (EX_TEMPFAIL of sysexits.h)."""
INTERRUPTED = 130
"""By Ctrl-C; as a shell counts, 128 and the number of the signal."""
OUTPUT_CLOSED = 141
"""Nobody reads the output any more, as after `| head -1`: what SIGPIPE does to other programs."""
TERMINATED = 143
"""By SIGTERM, as from a batch system or `ray job stop`."""
