"""Searches as jobs of a real SLURM with two nodes: over both of them, told to stop, one after another, and ended."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from batch_system import Slurm, skip_without_slurm
from hosts import wait_for

from nrtune.trainables.data.simulate import HDF5_NAME

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    skip_without_slurm()
    (tmp_path / "slurm").mkdir()
    slurm = Slurm(tmp_path / "slurm")
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.close()


@pytest.fixture
def search(simulated_folder: Path) -> list[str]:
    """A search of four trials; how many epochs, and where to, is still to be said."""
    data = ["--data", str(simulated_folder / HDF5_NAME), "--families", "baseline,rank_stability", "--trials", "2"]
    network = ["--set", "encoder.channels=8", "--set", "encoder.depth=1", "--confirm", "none", "--gpus-per-trial", "0"]
    return ["search", *data, *network, "--scheduler", "none"]


def submitted(slurm: Slurm, *words: str) -> tuple[list[str], str]:
    """The ids of the jobs, and what was said."""
    done = subprocess.run(
        [sys.executable, "-m", "nrtune", "slurm", "submit", *words],
        env=slurm.environment, cwd=slurm.folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def records(campaign: Path) -> dict[str, dict[str, object]]:
    """Of each trial what decides and what came out, by fingerprint; times and the like are not of that."""
    lines = [json.loads(line) for line in (campaign / "trials.jsonl").read_text().splitlines()]
    assert len({line["fingerprint"] for line in lines}) == len(lines)
    return {line["fingerprint"]: {key: line[key] for key in ("status", "config", "metrics")} for line in lines}


def of_jobs(slurm: Slurm) -> list[str]:
    """Processes that jobs have started and that still are there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLURM_CONF") == slurm.environment["SLURM_CONF"] and "SLURM_JOB_ID" in (
                process.environ()
            ):
                found.append(shlex.join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def nothing_left(slurm: Slurm, campaign: Path) -> bool:
    return not of_jobs(slurm) and not [*(campaign / "slurm").glob("token-*")]


def test_a_search_on_both_nodes(slurm: Slurm, search: list[str], tmp_path: Path):
    campaign = tmp_path / "campaign"
    limits = ["--nodes", "2", "--cpus-per-node", "1", "--gpus-per-node", "1", "--time", "20"]
    (job,), said = submitted(slurm, *limits, *search, "--epochs", "1", "--out", str(campaign))
    token, log = campaign / "slurm" / f"token-{job}", campaign / "slurm" / f"{job}.out"
    wait_for("Ray on both nodes", lambda: log.exists() and "on 2 of the job's 2 nodes" in log.read_text())
    assert token.stat().st_mode & 0o777 == 0o600
    secret = token.read_text()
    assert len(secret) == 64
    assert not [line for line in of_jobs(slurm) if secret in line]
    assert secret not in (campaign / "slurm" / "job.sbatch").read_text() + said
    raylets = [line for line in of_jobs(slurm) if "/raylet/raylet" in line]
    folders = {re.search(r"--raylet_socket_name=(\S+?)/session", line)[1] for line in raylets}
    assert len(folders) == 2  # a folder of each node's own
    for line in raylets:  # what the job has, not what the machine has
        assert re.search(r"static_resource_list=\S*\bCPU,1(\.0)?\b", line), line
        assert re.search(r"static_resource_list=\S*\bGPU,1(\.0)?\b", line), line
    assert slurm.wait(job) == "COMPLETED 0:0", log.read_text()
    assert [one["status"] for one in records(campaign).values()] == ["finished"] * 4
    wait_for("all to end", lambda: nothing_left(slurm, campaign), 30)
    assert not [folder for folder in folders if os.path.exists(folder)]


def test_a_chain_finishes_what_a_job_had_to_leave(slurm: Slurm, search: list[str], tmp_path: Path):
    alone = [*search, "--epochs", "8", "--max-concurrent", "1", "--out"]
    unharmed, campaign = tmp_path / "unharmed", tmp_path / "campaign"
    (reference,), _ = submitted(slurm, "--cpus-per-node", "1", "--time", "20", *alone, str(unharmed))
    assert slurm.wait(reference) == "COMPLETED 0:0"
    chain, said = submitted(slurm, "--cpus-per-node", "1", "--time", "20", "--jobs", "4", *alone, str(campaign))
    assert len(chain) == 4
    assert f"scancel {' '.join(reversed(chain))}" in said

    # What SLURM sends ahead of a time limit, while the second trial trains; then a whole job started again, in the third.
    def trains(number: int) -> bool:
        return len([*campaign.glob("trials/*/last.pt")]) >= 1 and len([*campaign.glob("trials/*")]) >= number

    wait_for("the second trial", lambda: trains(2), 300)
    slurm.run("scancel", "--signal=TERM", "--batch", chain[0])
    assert slurm.wait(chain[0]) == "FAILED 130:0"
    assert "goes on from here" in (campaign / "slurm" / f"{chain[0]}.out").read_text()
    wait_for("the third trial", lambda: trains(3), 300)
    slurm.run("scontrol", "requeue", chain[1])
    assert slurm.wait(chain[1]) == "COMPLETED 0:0"
    for rest in chain[2:]:
        assert slurm.wait(rest).startswith("CANCELLED")
    assert records(campaign) == records(unharmed)
    wait_for("all to end", lambda: nothing_left(slurm, campaign), 30)


def test_two_jobs_of_one_campaign(slurm: Slurm, search: list[str], tmp_path: Path):
    campaign = tmp_path / "campaign"
    command = [*search, "--epochs", "30", "--out", str(campaign)]
    (first,), _ = submitted(slurm, "--cpus-per-node", "1", "--time", "20", *command)
    (queued,), said = submitted(slurm, "--cpus-per-node", "1", "--time", "20", *command)
    assert f"it waits for job {first}, of the same campaign" in said
    wait_for("the first job's search", lambda: (campaign / "trials").exists(), 300)
    assert slurm.state(queued).startswith("PENDING")
    # One that SLURM does not hold back, as it has not come by `submit`: it waits for the lock.
    run = [sys.executable, "-m", "nrtune", "slurm", "run", *command]
    name = re.search(r"--job-name=(\S+)", (campaign / "slurm" / "job.sbatch").read_text())[1]
    other = slurm.run(
        "sbatch", "--parsable", f"--job-name={name}", "--output=other.out", "--wrap", shlex.join(run)
    ).strip()
    log = slurm.folder / "other.out"
    wait_for(
        "the other to say so",
        lambda: log.exists() and f"job {first} is writing to it; this one waits" in log.read_text(),
    )
    slurm.run("scancel", first)
    assert slurm.wait(first).startswith("CANCELLED")
    assert slurm.wait(other) == "COMPLETED 0:0", log.read_text()
    assert slurm.wait(queued) == "COMPLETED 0:0"
    assert [one["status"] for one in records(campaign).values()] == ["finished"] * 4
    wait_for("all to end", lambda: nothing_left(slurm, campaign), 30)
