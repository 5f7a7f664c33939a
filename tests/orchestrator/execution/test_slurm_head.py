"""Whom a worker of SLURM's joins: who joins a head runs what that gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nrtune.orchestrator.execution.slurm_head import HEAD_FILE, forget_head, read_head, write_head, write_privately
from nrtune.orchestrator.execution.slurm_script import SlurmWorkers
from tests.helpers.accounts import OTHER


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A folder in which a head at 10.0.0.1:6379 is told."""
    write_privately(tmp_path / "token-7", "secret")
    write_head(tmp_path, "10.0.0.1:6379", tmp_path / "token-7")
    return tmp_path


def test_a_head_is_told_to_its_own_account_alone(told: Path):
    assert read_head(told) == ("10.0.0.1:6379", told / "token-7")
    assert {path.stat().st_mode & 0o777 for path in told.iterdir()} == {0o600}
    forget_head(told, told / "token-8")  # another head's, which has ended
    assert read_head(told) is not None
    forget_head(told, told / "token-7")
    assert read_head(told) is None


@pytest.mark.parametrize("name", [HEAD_FILE, "token-7"])
@pytest.mark.parametrize("made", ["open to others", "a link", "a pipe", "another's", "missing", "no text"])
def test_what_another_may_have_put_there_is_no_head(told: Path, name: str, made: str):
    path = told / name
    match made:
        case "open to others":
            path.chmod(0o640)
        case "a link":
            path.rename(told / "elsewhere")
            path.symlink_to(told / "elsewhere")
        case "a pipe":
            path.unlink()
            os.mkfifo(path, 0o600)
        case "another's":
            if os.geteuid() != 0:
                pytest.skip("giving a file away needs root")
            os.chown(path, OTHER, -1)
        case "missing":
            path.unlink()
        case "no text":
            path.write_bytes(b"\xff\xfe{")
    assert read_head(told) is None


def test_a_head_names_no_file_elsewhere(told: Path):
    (told / "slurm").mkdir()
    write_head(told / "slurm", "10.0.0.1:6379", told / "token-7")
    assert read_head(told / "slurm") is None  # a token lies beside


def test_the_script_of_workers(tmp_path: Path):
    interpreter = tmp_path / "python"
    interpreter.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    interpreter.chmod(0o755)
    workers = SlurmWorkers(
        name="c-1-workers", output="/c/worker-%A_%a.out", interpreter=str(interpreter), folder="/a b/it's", count=8,
        gres="gpu:1", options=("--partition=spot",),
    )  # fmt: skip
    asked = [line.removeprefix("#SBATCH ") for line in workers.script().splitlines() if line.startswith("#SBATCH")]
    assert {"--array=1-8", "--gres=gpu:1", "--nodes=1", "--requeue", "--partition=spot"} <= set(asked)
    printed = subprocess.run(["bash", "-c", workers.script()], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["-P", "-m", "nrtune", "slurm", "worker", "/a b/it's"]


@pytest.mark.end_to_end
def test_workers_of_no_search_are_refused(tmp_path: Path):
    command = [sys.executable, "-m", "nrtune", "slurm", "workers", "--count", "2", str(tmp_path / "campaign")]
    done = subprocess.run(command, env=os.environ | {"PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [*tmp_path.iterdir()] == []
