"""The batch script of a search as SLURM and a shell read it, what a job has, and what is said where there is no SLURM."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nrtune.orchestrator.execution.limits import memory_limit, usable_cores
from nrtune.orchestrator.execution.slurm_script import SlurmJob, job_name

TOP = Path(__file__).parents[3]
SEARCH = ("search", "--data", "/project/data/FILE.h5", "--trials", "20", "--preset", "study", "--out")


def directives(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]


def told(folder: Path, *words: str, path: str = "") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of nrtune slurm, called in a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")} | {"PATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "nrtune", "slurm", *words], env=environment, cwd=folder, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_the_script_in_the_repository_is_what_submit_writes():
    written = (TOP / "clusters" / "slurm.sbatch").read_text().splitlines()
    job = SlurmJob(
        name=job_name(Path("/project/campaign")),
        output="/project/campaign/slurm/%j.out",
        interpreter="/project/venv/bin/python",
        command=(*SEARCH, "/project/campaign"),
        nodes=2,
        cpus=8,
        gpus=4,
        time="1-00:00:00",
        options=("--partition=gpu", "--mem=64G"),
        setup=("module load cuda",),
    )
    ours = job.script().splitlines()
    assert [written[0], *written[3:]] == ours
    assert all(line.startswith("# ") for line in written[1:3])


def test_names_with_spaces_and_quotes_reach_slurm_and_nrtune(tmp_path: Path):
    interpreter = tmp_path / "an interpreter"
    interpreter.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    interpreter.chmod(0o755)
    command = ("search", "--out", "a b/it's", "--set", 'x="$HOME"')
    job = SlurmJob(name="a b", output="/a b/%j.out", interpreter=shlex.quote(str(interpreter)), command=command)
    assert {'--job-name="a b"', '--output="/a b/%j.out"', "--nodes=1", "--requeue"} <= set(directives(job.script()))
    assert not [option for option in directives(job.script()) if option.startswith(("--cpus", "--gpus", "--time"))]
    printed = subprocess.run(["bash", "-c", job.script()], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["-P", "-m", "nrtune", "slurm", "run", *command]


def test_jobs_of_one_folder_have_one_name(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "campaign")
    (tmp_path / "campaign").mkdir()
    assert job_name(tmp_path / "campaign") == job_name(tmp_path / "other" / ".." / "campaign")
    assert job_name(tmp_path / "link").rpartition("-")[2] == job_name(tmp_path / "campaign").rpartition("-")[2]
    assert job_name(tmp_path / "campaign") != job_name(tmp_path / "elsewhere" / "campaign")


@pytest.mark.end_to_end
def test_what_is_wrong_is_said_before_anything_is_written(tmp_path: Path):
    search = ["search", "--data", "data.h5", "--out", "campaign"]
    code, _, said = told(tmp_path, "submit", *search)
    assert (code, "submit from where SLURM is" in said) == (2, True), said
    code, _, said = told(tmp_path, "submit", "retry", "campaign")
    assert (code, "a job runs search, study, replicate, not 'retry'" in said) == (2, True), said
    code, _, said = told(tmp_path, "submit", *search, "--trails", "3")
    assert (code, "--trails" in said) == (2, True), said
    code, printed, _ = told(tmp_path, "submit", "--dry-run", "--sbatch", "partition=gpu", *search)
    assert (code, printed[:12]) == (0, "#!/bin/bash\n")
    assert {"--partition=gpu", f"--output={tmp_path}/campaign/slurm/%j.out"} <= set(directives(printed))
    assert [*tmp_path.iterdir()] == []


def test_a_job_has_what_it_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    none = (tmp_path / "none", tmp_path)
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "3")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "200")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert (usable_cores(*none), memory_limit(*none)) == (8, None)  # a shell of salloc's on a login node, for one
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert (usable_cores(*none), memory_limit(*none)) == (3, 200 << 20)
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "0")  # all there is
    assert memory_limit(*none) is None
