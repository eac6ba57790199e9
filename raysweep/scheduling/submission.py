"""A sweep as a job of a Ray cluster: submitted once, followed, left, and ended in order.

A submission is known by its sweep, its code and its options: the same command again finds the job that it
started, and follows that. Only a job that has ended is followed by a new one, which goes on where the old one
was, since runs are known by their content.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput, RaysweepError, shown_address
from raysweep.scheduling.package import Package

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

_GRACE_SECONDS = 120
"""That a stopped sweep has to end in order, before Ray kills it; Ray's default is 3."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Submission:
    """What is submitted."""

    sweep: str
    """The sweep's name."""
    command: Sequence[str]
    """What the job runs."""
    package: Package
    environment: Mapping[str, str]
    """Variables of the job, beside those of the cluster's head."""
    commit: str | None

    @property
    def id(self) -> str:
        """Name and digest of all that is submitted. A job's id is this, numbered from the second try on."""
        content = json.dumps([self.command, self.package.digest, sorted(self.environment.items())])
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.sweep).strip("-")[:40]
        return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


class JobServer:
    """The job server of a cluster."""

    def __init__(self, address: str) -> None:
        """
        Raises:
            InvalidInput: nothing answers there, or it refuses.
        """
        from ray.job_submission import JobSubmissionClient

        self.address = address
        try:
            self._client: JobSubmissionClient = JobSubmissionClient(address)
        except Exception as error:  # Ray raises what it meets: of requests, of its own, bare RuntimeErrors
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InvalidInput(
                f"the job server at {shown_address(address)} can't be used: {reason[:300]}; --address names "
                "the dashboard of a cluster, such as http://127.0.0.1:8265, and RAY_AUTH_TOKEN or "
                "RAY_AUTH_TOKEN_PATH its token"
            ) from error

    def latest(self, submission: Submission) -> JobDetails | None:
        """The last job of a submission, or None."""
        jobs = {job.submission_id: job for job in self._client.list_jobs() if job.submission_id is not None}
        tries = sorted(
            (int(match[1] or 1), name)
            for name in jobs
            if (match := re.fullmatch(rf"{re.escape(submission.id)}(?:-try(\d+))?", name))
        )
        return jobs[tries[-1][1]] if tries else None

    def submit(self, submission: Submission) -> str:
        """Start a job, the next try if there was one, and return its id."""
        before = self.latest(submission)
        job = submission.id
        if before is not None and before.submission_id is not None:
            number = re.fullmatch(rf"{re.escape(job)}(?:-try(\d+))?", before.submission_id)
            job = f"{job}-try{int((number and number[1]) or 1) + 1}"
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(_GRACE_SECONDS), **submission.environment}
        if submission.commit is not None:
            variables["RAYSWEEP_COMMIT"] = submission.commit
        with tempfile.TemporaryDirectory(prefix="raysweep-package-") as folder:
            submission.package.copy_to(Path(folder), {"commit": submission.commit, "sweep": submission.sweep})
            self._client.submit_job(
                entrypoint=shlex.join(submission.command),
                submission_id=job,
                runtime_env={"working_dir": folder, "env_vars": variables},
                metadata={"sweep": submission.sweep, "commit": submission.commit or "unknown"},
            )
        return job

    def follow(self, job: str, show: Callable[[str], None]) -> int:
        """Show a job's output until it ends, from its first line.

        Returns:
            The exit code of its command; 70 if it has none, as when the cluster was lost.
        """
        asyncio.run(self._show(job, show))
        while True:  # the logs end a moment before the status is told
            info = self._client.get_job_info(job)
            if info.status.is_terminal():
                break
            time.sleep(_POLL_SECONDS)
        if info.driver_exit_code is not None:
            return info.driver_exit_code if info.driver_exit_code >= 0 else 128 - info.driver_exit_code
        return 0 if info.status == "SUCCEEDED" else 70

    async def _show(self, job: str, show: Callable[[str], None]) -> None:
        async for lines in self._client.tail_job_logs(job):
            show(lines)

    def cancel(self, job: str) -> None:
        """End a job in order (SIGTERM), and wait until it has ended.

        Raises:
            RaysweepError: it hasn't within the time that Ray gives it, and some.
        """
        self._client.stop_job(job)
        deadline = time.monotonic() + _GRACE_SECONDS + 30
        while not self._client.get_job_info(job).status.is_terminal():
            if time.monotonic() > deadline:
                raise RaysweepError(
                    f"job {job} was told to end {_GRACE_SECONDS + 30} s ago and still runs: `ray job logs "
                    f"{job}`"
                )
            time.sleep(_POLL_SECONDS)
