"""What is told of a try that was lost."""

import pytest

from raysweep.scheduling.endings import DIED, cause_of_death

# As Ray 2.60 has them.
KILLED = """\
ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.
\tclass_name: SlotTrial
\tactor_id: 0fd1c3cbd8d1c4a0b7d2a3ad01000000
\tpid: 20742
\tnamespace: 4b5f6b5c
\tip: 10.0.0.7
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: \
Worker unexpectedly exits with a connection error code 2. End of file. There are \
some potential root causes."""
NODE_DIED = """\
ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.
\tpid: 311
\tip: 10.0.0.8
The actor died because its node has died. Node Id: 5a7c. the actor's node was terminated: received SIGTERM."""
UNAVAILABLE = """\
ray.exceptions.ActorUnavailableError: The actor 5e5397e514f5ba6b63ef713401000000 is unavailable: The actor \
is temporarily unavailable: RpcError: RPC error: Socket closed rpc_code: 14.
"""
RAISED = """\
ray::SlotTrial.train() (pid=20742, ip=10.0.0.7, actor_id=0fd1)
  File "ray/_private/node.py", line 1, in f
RuntimeError: the worker group ended before its run was done
"""


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (
            KILLED,
            "process 20742 on node 10.0.0.7, which trained it, died, and may have run out of memory (Worker "
            "unexpectedly exits with a connection error code 2)",
        ),
        (
            NODE_DIED,
            "process 311 on node 10.0.0.8, which trained it, died with its node",
        ),
        (RAISED, "RuntimeError: the worker group ended before its run was done"),
        ("", DIED),
    ],
)
def test_the_cause_names_process_node_and_what_ray_knows(told: str, cause: str) -> None:
    assert cause_of_death(told) == cause


def test_a_slot_that_ray_only_finds_unavailable_is_named_as_it_named_itself() -> None:
    where = "process 311 on node 10.0.0.8 (64bb889b)"
    told = "which trained it, doesn't answer any more: it died, or its node did"
    assert cause_of_death(UNAVAILABLE, where) == f"{where}, {told}"
    assert cause_of_death(UNAVAILABLE) == f"the process, {told}"
    assert cause_of_death(NODE_DIED) == "process 311 on node 10.0.0.8, which trained it, died with its node"
