"""The Dockerfile's steps, carried out one after another in a bare Debian: no builder of images is needed, and none is tested."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import run

TOP = Path(__file__).parents[2]
BASE = "python:3.11-slim-bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
"""What stands for the base image: Debian 12 has the same Python."""

SHARED = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs", "/opt/wheels", "/proc", "/dev")
"""Of this machine: its network, and where it finds packages."""

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bare Debian."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("a bare Debian needs root, and apt-get install debootstrap")
    root = tmp_path_factory.mktemp("debian") / "root"
    alone = ["unshare", "--mount", "--propagation", "private"]
    done = run(*alone, "debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), check=False)
    if done.returncode:
        pytest.skip(f"no Debian is to be had here: {done.stdout.strip().splitlines()[-1]}")
    (root / "usr" / "local" / "bin" / "python").symlink_to("/usr/bin/python3.11")
    yield root
    shutil.rmtree(root, ignore_errors=True)


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def share(root: Path) -> str:
    """Shell that shows the root what it has of this machine: to be run in a namespace of its own, with which all of it goes."""
    lines = []
    for place in SHARED:
        there = root / place[1:]
        if Path(place).is_dir():
            there.mkdir(parents=True, exist_ok=True)
        else:
            there.unlink(missing_ok=True)
            there.touch()
        lines.append(f"mount --rbind {place} {shlex.quote(str(there))}")
    return " && ".join(lines)


def wanted(context: Path) -> list[str]:
    """What .dockerignore lets into the image, links included."""
    return [line[1:] for line in (context / ".dockerignore").read_text().splitlines() if line.startswith("!")]


def copy(context: Path, source: str, target: Path) -> None:
    """As COPY does: a file into a folder, or all that is wanted of the context."""
    target.mkdir(parents=True, exist_ok=True)
    for name in wanted(context) if source == "." else [source]:
        run("cp", "--archive", str(context / name), str(target))


def test_the_steps_of_the_dockerfile_in_a_bare_debian(root: Path):
    environment = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    environment |= {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "PIP_RETRIES": "1", "HOME": "/root"}
    user, folder = "root", "/"
    mounts = share(root)

    def step(command: str) -> subprocess.CompletedProcess[str]:
        home = "/root" if user == "root" else f"/home/{user}"
        own = [f"{name}={value}" for name, value in (environment | {"HOME": home}).items()]
        inside = ["chroot", f"--userspec={user}", str(root), "env", "-i", *own, "sh", "-c", f"cd {folder} && {command}"]
        private = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
        return run(*private, f"{mounts} && exec {shlex.join(inside)}")

    for name, rest in instructions((TOP / "Dockerfile").read_text()):
        match name:
            case "FROM":
                assert rest == BASE
            case "ARG":
                key, _, value = rest.partition("=")
                environment[key] = value
            case "COPY":
                source, target = rest.split()
                copy(TOP, source, root / target.strip("/"))
            case "RUN":
                step(rest)
            case "USER":
                user = rest
            case "WORKDIR":
                folder = rest
            case "ENV":
                for word in shlex.split(rest):
                    key, _, value = word.partition("=")
                    environment[key] = value.replace(f"${key}", environment.get(key, ""))
            case "CMD":
                assert step("nrtune --help").stdout
            case _:
                pytest.fail(f"{name}: what it does is not known here")
    said = step("id -u && test -w . && python -c 'import boto3, psycopg2, torch; print(torch.__version__)'")
    assert said.stdout.split()[-2] == "1000"
    assert said.stdout.split()[-1].endswith("+cpu")
    assert not (root / "tmp" / "nrtune").exists()  # the sources don't stay
    assert "ray, version" in step("ray --version").stdout
