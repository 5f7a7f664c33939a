"""What a process may use of its machine: by its affinity, and by the control groups that it is in."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from nrtune.orchestrator.execution import limits
from nrtune.orchestrator.execution.limits import ADDRESS_SPACE, check_address_space, memory_limit, usable_cores
from nrtune.trainables.core.errors import UserError


class Groups:
    """Control groups as the kernel shows them."""

    def __init__(self, folder: Path, own: str, files: dict[str, str]) -> None:
        self.own, self.mounted = folder / "own", folder / "mounted"
        self.own.write_text(own)
        self.mounted.mkdir()
        for name, text in files.items():
            path = self.mounted / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")

    def cores(self) -> int:
        return usable_cores(self.own, self.mounted)

    def memory(self) -> int | None:
        return memory_limit(self.own, self.mounted)


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


def test_without_groups_there_is_what_the_affinity_says(tmp_path: Path):
    assert usable_cores(tmp_path / "none", tmp_path) == 8
    assert memory_limit(tmp_path / "none", tmp_path) is None


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("350000 100000", 3), ("50000 100000", 1)])
def test_the_tightest_of_the_groups_around_counts(tmp_path: Path, quota: str, cores: int):
    files = {"slurm/job/cpu.max": quota, "slurm/job/step/cpu.max": "max 100000", "slurm/job/memory.max": "1000000",
             "slurm/job/step/memory.max": "max", "slurm/memory.max": "2000000"}  # fmt: skip
    groups = Groups(tmp_path, "0::/slurm/job/step\n", files)
    assert (groups.cores(), groups.memory()) == (cores, 1_000_000)


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
def test_groups_of_version_1_count_as_well(tmp_path: Path, folder: str):
    files = {f"{folder}/job/cpu.cfs_quota_us": "200000", f"{folder}/job/cpu.cfs_period_us": "100000",
             f"{folder}/cpu.cfs_quota_us": "-1", f"{folder}/cpu.cfs_period_us": "100000",
             "memory/job/memory.limit_in_bytes": "3000000",
             "memory/memory.limit_in_bytes": str(2**63 - 4096)}  # fmt: skip
    groups = Groups(tmp_path, "4:cpu,cpuacct:/job\n3:memory:/job\n0::/\n", files)
    assert (groups.cores(), groups.memory()) == (2, 3_000_000)


def test_a_group_that_lies_outside_of_a_container_is_passed_over(tmp_path: Path):
    groups = Groups(tmp_path, "0::/docker/0123\n", {"cpu.max": "400000 100000", "memory.max": "max"})
    assert (groups.cores(), groups.memory()) == (4, None)


def test_a_limit_of_the_address_space_is_refused(monkeypatch: pytest.MonkeyPatch):
    for limit in (resource.RLIM_INFINITY, ADDRESS_SPACE):
        monkeypatch.setattr(limits.resource, "getrlimit", lambda kind, limit=limit: (limit, limit))
        check_address_space()
    monkeypatch.setattr(limits.resource, "getrlimit", lambda kind: (ADDRESS_SPACE - 1, ADDRESS_SPACE - 1))
    with pytest.raises(UserError, match="ulimit -v unlimited"):
        check_address_space()
