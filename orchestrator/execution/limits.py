"""What this process may use of its machine, which can be less than there is: cores, memory, address space."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from nrtune.trainables.core.errors import UserError

ADDRESS_SPACE = 64 << 30
"""Bytes. Ray and CUDA reserve far more addresses than they use memory; below this a start is likely to fail in odd places."""

OWN, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def usable_cores(own: Path = OWN, groups: Path = GROUPS) -> int:
    """The cores that this process may use: of its affinity, as SLURM's cpusets set it, and by its control group's quota.

    In a SLURM job never more than it has of the node, for not every site holds its jobs to that.

    own: which groups it is in. groups: where they are mounted.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min([there, *_quotas(own, groups), *_of_slurm("SLURM_CPUS_ON_NODE")])))


def memory_limit(own: Path = OWN, groups: Path = GROUPS) -> int | None:
    """The bytes of memory that this process's control groups or its SLURM job leave it; None where that is all there is."""
    limits = [
        int(text) for text in _texts("memory", ("memory.max", "memory.limit_in_bytes"), own, groups) if text != "max"
    ]
    limits += [megabytes << 20 for megabytes in _of_slurm("SLURM_MEM_PER_NODE")]
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(limits) if limits and min(limits) < machine else None


def check_address_space() -> None:
    """See that Ray's processes can reserve the addresses that they ask for. Raises UserError."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE:
        raise UserError(
            f"ulimit -v: the address space is limited to {limit / 1e9:.1f} GB, in which Ray does not start; lift that with"
            " `ulimit -v unlimited`, or ask your cluster for it: memory is limited otherwise"
        )


def _of_slurm(variable: str) -> list[int]:
    """What a variable of SLURM's says; nothing outside of a job, or where it asked for all there is (0)."""
    text = os.environ.get(variable, "")
    return [int(text)] if "SLURM_JOB_ID" in os.environ and text.isdigit() and int(text) else []


def _quotas(own: Path, groups: Path) -> Iterator[float]:
    """The cores of each quota."""
    for text in _texts("cpu", ("cpu.max",), own, groups):
        quota, period = text.split()
        if quota != "max":
            yield int(quota) / int(period)
    quotas = _texts("cpu", ("cpu.cfs_quota_us",), own, groups)
    periods = _texts("cpu", ("cpu.cfs_period_us",), own, groups)
    for quota, period in zip(quotas, periods, strict=True):
        if int(quota) > 0:
            yield int(quota) / int(period)


def _texts(controller: str, names: tuple[str, ...], own: Path, groups: Path) -> list[str]:
    """What files say of the groups that this process is in and of those around them, the innermost first."""
    found = []
    for folder in _groups(controller, own, groups):
        for name in names:
            try:
                found.append((folder / name).read_text().strip())
            except OSError:  # another version's file, or, within a container, a group that lies outside
                continue
    return found


def _groups(controller: str, own: Path, groups: Path) -> Iterator[Path]:
    """The folders of a controller's groups, of version 1 and 2."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mounted = groups
        elif controller in controllers.split(","):
            mounted = next((groups / name for name in (controllers, controller) if (groups / name).is_dir()), groups)
        else:
            continue
        innermost = mounted / path.lstrip("/")
        while innermost != mounted:
            yield innermost
            innermost = innermost.parent
        yield mounted
