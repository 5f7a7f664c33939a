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
from hosts import run, wait_for

from nrtune.trainables.data.simulate import HDF5_NAME

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def slurm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Slurm]:
    """A SLURM that runs; with the parameter "isolated" one without names, internet and a home to write to."""
    skip_without_slurm()
    (tmp_path / "slurm").mkdir()
    slurm = Slurm(tmp_path / "slurm", isolated=getattr(request, "param", "") == "isolated")
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
    return asked(slurm, "submit", *words)


def asked(slurm: Slurm, *words: str) -> tuple[list[str], str]:
    """What nrtune slurm prints, by words, and what it says."""
    done = subprocess.run(
        [*slurm.enter, sys.executable, "-m", "nrtune", "slurm", *words],
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


def trains(campaign: Path, number: int) -> bool:
    """Whether of trials that run one after another that many have begun, and the last one has epochs behind it."""
    ended = records(campaign) if (campaign / "trials.jsonl").exists() else {}
    training = {path.parent.name for path in campaign.glob("trials/*/last.pt")}
    return len(ended) >= number - 1 and not training <= ended.keys()


def nothing_left(slurm: Slurm, campaign: Path) -> bool:
    return not of_jobs(slurm) and not [*(campaign / "slurm").glob("token-*")]


@pytest.mark.parametrize("slurm", ["connected", "isolated"], indirect=True)
def test_a_search_on_both_nodes(slurm: Slurm, search: list[str], tmp_path: Path):
    campaign = tmp_path / "campaign"
    limits = ["--nodes", "2", "--cpus-per-node", "1", "--gpus-per-node", "1", "--time", "20"]
    (job,), said = submitted(slurm, *limits, *search, "--epochs", "1", "--out", str(campaign))
    token, log = campaign / "slurm" / f"token-{job}", campaign / "slurm" / f"{job}.out"
    wait_for("Ray on both nodes", lambda: log.exists() and "on 2 of the job's 2 nodes" in log.read_text(), 300)
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
    assert "MLflow has all 4 trials" in log.read_text()  # afterwards: nothing of it is written while trials run
    assert (campaign / "mlflow.db").stat().st_mtime > (campaign / "trials.jsonl").stat().st_mtime
    wait_for("all to end", lambda: nothing_left(slurm, campaign), 30)
    assert not [folder for folder in folders if os.path.exists(folder)]


def states(slurm: Slurm, chain: list[str]) -> list[str]:
    """The states of a chain's jobs, once all have ended: at most so many without success, one with it, the rest cancelled."""
    found = [slurm.wait(job, 900) for job in chain]
    done = found.index("COMPLETED 0:0")
    assert all(state.startswith("FAILED") for state in found[:done]), found
    assert all(state.startswith("CANCELLED") for state in found[done + 1 :]), found
    return found


def running(slurm: Slurm, chain: list[str]) -> str:
    """The job of a chain that runs: the first, unless Ray did not start on a busy machine."""
    (job,) = (job for job in chain if slurm.state(job).startswith("RUNNING"))
    return job


def unharmed(slurm: Slurm, campaign: Path, *command: str) -> dict[str, dict[str, object]]:
    """The records of a search that nothing befalls."""
    chain, _ = submitted(slurm, "--cpus-per-node", "1", "--time", "30", "--jobs", "3", *command, "--out", str(campaign))
    states(slurm, chain)
    return records(campaign)


def test_a_chain_finishes_what_a_job_had_to_leave(slurm: Slurm, search: list[str], tmp_path: Path):
    alone = [*search, "--epochs", "30", "--max-concurrent", "1"]
    wanted, campaign = unharmed(slurm, tmp_path / "unharmed", *alone), tmp_path / "campaign"
    limits = ["--cpus-per-node", "1", "--time", "20", "--jobs", "6"]
    chain, said = submitted(slurm, *limits, *alone, "--out", str(campaign))
    assert len(chain) == 6
    assert f"scancel {' '.join(reversed(chain))}" in said

    # What SLURM sends ahead of a time limit, while the second trial trains; then a whole job started again, in the third.
    wait_for("the second trial", lambda: trains(campaign, 2), 600)
    told = running(slurm, chain)
    slurm.run("scancel", "--signal=TERM", "--batch", told)
    assert slurm.wait(told) == "FAILED 130:0"
    assert not (campaign / "mlflow.db").exists()
    assert "goes on from here" in (campaign / "slurm" / f"{told}.out").read_text()
    assert len(records(campaign)) < 4
    wait_for("the third trial", lambda: trains(campaign, 3), 600)
    again = running(slurm, chain)
    slurm.run("scontrol", "requeue", again)
    assert "COMPLETED 0:0" in states(slurm, chain)
    assert records(campaign) == wanted
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
    again = [sys.executable, "-m", "nrtune", "slurm", "run", *command]
    name = re.search(r"--job-name=(\S+)", (campaign / "slurm" / "job.sbatch").read_text())[1]
    other = slurm.run(
        "sbatch", "--parsable", f"--job-name={name}", "--output=other.out", "--wrap", shlex.join(again)
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


def test_a_time_limit_in_the_middle_of_a_trial(slurm: Slurm, search: list[str], tmp_path: Path):
    alone = [*search, "--epochs", "300", "--max-concurrent", "1"]
    wanted, campaign = unharmed(slurm, tmp_path / "unharmed", *alone), tmp_path / "campaign"
    limits = ["--cpus-per-node", "1", "--grace", "60", "--time", "2", "--jobs", "15"]
    chain, _ = submitted(slurm, *limits, *alone, "--out", str(campaign))
    assert "FAILED 130:0" in states(slurm, chain)  # told by SLURM itself
    assert records(campaign) == wanted
    wait_for("all to end", lambda: nothing_left(slurm, campaign), 30)


def test_workers_come_and_go(slurm: Slurm, search: list[str], tmp_path: Path):
    long = [*search, "--epochs", "60", "--max-concurrent", "2"]
    wanted, campaign = unharmed(slurm, tmp_path / "unharmed", *long), tmp_path / "campaign"

    # The search itself is never preempted, and trains nothing.
    urgent = ["--cpus-per-node", "1", "--time", "30", "--sbatch", "partition=urgent", "--sbatch", "nodelist=n1"]
    (driver,), _ = submitted(slurm, *urgent, "--elastic", *long, "--out", str(campaign))
    log, head = campaign / "slurm" / f"{driver}.out", campaign / "slurm" / "head.json"
    wait_for("the head to wait", lambda: log.exists() and "waits for its first worker" in log.read_text(), 300)
    assert not (campaign / "trials.jsonl").exists()
    private = [head, campaign / "slurm" / f"token-{driver}"]
    assert [path.stat().st_mode & 0o777 for path in private] == [0o600, 0o600]
    small = ["--count", "2", "--gres", "gpu:1", "--cpus", "1", "--time", "30"]
    (workers,), _ = asked(slurm, "workers", *small, str(campaign))
    wait_for("a trial on each worker", lambda: len([*campaign.glob("trials/*/last.pt")]) >= 2, 600)
    secret = private[1].read_text()
    assert not [line for line in of_jobs(slurm) if secret in line]

    # A job that matters more takes the second node: SLURM ends the worker there, and starts it again when it can.
    taken = ["--partition=urgent", "--nodelist=n2", "--cpus-per-task=2", "--output=/dev/null"]
    other = slurm.run("sbatch", "--parsable", *taken, "--wrap", "sleep infinity").strip()
    wait_for("the preemption", lambda: "goes on from its checkpoint (lost_node" in log.read_text(), 300)
    slurm.run("scancel", other)
    wait_for("the end of a trial", lambda: (campaign / "trials.jsonl").exists(), 600)
    slurm.run("scancel", f"{workers}_1")  # for good
    assert slurm.wait(driver, 900) == "COMPLETED 0:0", log.read_text()
    assert records(campaign) == wanted
    wait_for("all to end", lambda: nothing_left(slurm, campaign), 60)
    assert not head.exists()


def test_workers_without_a_search_are_refused(slurm: Slurm, tmp_path: Path):
    done = run(
        sys.executable, "-m", "nrtune", "slurm", "workers", "--count", "2", str(tmp_path / "campaign"),
        env=slurm.environment, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no search of yours takes workers there" in done.stdout
    assert not slurm.run("squeue", "--noheader").strip()
