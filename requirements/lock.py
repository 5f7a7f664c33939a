"""Write the lock files of this folder, and constraints.txt, from pyproject.toml: `make lock`.

What is pinned stays pinned while pyproject.toml allows it; `make lock UPGRADE=1` takes the newest of everything.

    user.txt        what nrtune needs to run, PyTorch aside
    cluster.txt     that, and what the nodes of a cluster need
    dev.txt         that, and the developers' tools
    torch-cpu.txt   PyTorch's build for CPUs, of PyTorch's own index
    build.txt       what an editable installation is built with
    uv.txt          uv itself
    constraints.txt every version of dev.txt and PyTorch's, without hashes: for pip, and for a cluster's nodes

PyTorch's CUDA libraries are in none of them: each CUDA build names its own, by exact versions.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from pathlib import Path

from install import HERE, TOP, InstallError, find_uv, locked_torch, pip_configuration, say, uv_environment

OLDEST_PYTHON = "3.11"
CPU_INDEX = "https://download.pytorch.org/whl/cpu/torch/"
WITH_CUDA = re.compile(r"torch|nvidia-.*|cuda-.*")
"""Packages that come with PyTorch, whichever build is chosen. (Triton comes with CUDA's, and for the tests.)"""

HEADER = "# Written by `make lock` from pyproject.toml: change that, and run it again.\n"


def entries(text: str) -> dict[str, str]:
    """A lock file's entries, hashes included, by name."""
    return {re.split(r"[=\s;\[]", entry)[0]: entry for entry in re.findall(r"^\S.*(?:\n\s+\S.*)*", text, flags=re.M)
            if not entry.startswith("#")}  # fmt: skip


def compile_lock(uv: str, environment: dict[str, str], name: str, *sources: str, given: str = "") -> dict[str, str]:
    """The entries that uv resolves; those of the file that is there are kept where they can be.

    given: requirements for the source "-".
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / name
        if "UPGRADE" not in os.environ:
            before = HERE / name
            out.write_text((TOP / "constraints.txt").read_text() + (before.read_text() if before.exists() else ""))
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes",
                   "--no-annotate", "--no-header", "--output-file", out, *sources]  # fmt: skip
        words = [str(word) for word in command]
        if subprocess.run(words, cwd=TOP, env=environment, input=given, text=True, check=False).returncode:
            raise InstallError(f"uv found no versions for {name}; nothing was written")
        return entries(out.read_text())


def cpu_wheels(version: str) -> dict[str, str]:
    """SHA-256 of each wheel of a version at PyTorch's index of CPU builds, by file name. Raises InstallError."""
    try:
        with urllib.request.urlopen(CPU_INDEX, timeout=60) as answer:
            page = answer.read().decode()
    except OSError as error:
        raise InstallError(f"{CPU_INDEX}: can't be read ({error}); PyTorch stays at {locked_torch()}") from error
    found = re.findall(r'href="[^"#]*/(torch-[^"#]+\.whl)#sha256=([0-9a-f]{64})"', page)
    ours = (f"torch-{version}%2B", f"torch-{version}-")
    return {name.replace("%2B", "+"): digest for name, digest in found if name.startswith(ours)}


def torch_lock(wheels: dict[str, str], version: str) -> str:
    """The text of torch-cpu.txt. uv compares hashes for the exact version that is pinned, its local part included."""
    text = HEADER
    for pin, marker, ours in (
        (f"{version}+cpu", "sys_platform != 'darwin'", lambda name: "+cpu" in name),
        (version, "sys_platform == 'darwin'", lambda name: "macosx" in name),
    ):
        lines = [f"    --hash=sha256:{digest}" for name, digest in sorted(wheels.items()) if ours(name)]
        text += " \\\n".join([f"torch=={pin} ; {marker}", *lines]) + "\n"
    return text


def write(path: Path, text: str) -> None:
    """Write a file if it changes, and say so."""
    if path.exists() and path.read_text() == text:
        return
    path.write_text(text)
    say(f"wrote {path.relative_to(TOP)}")


def lock() -> None:
    """Write all files, or none. Raises InstallError."""
    environment = uv_environment(pip_configuration())
    for variable in ("UV_FIND_LINKS", "UV_DEFAULT_INDEX", "UV_INDEX"):
        environment.pop(variable, None)  # a lock is of PyPI, whatever mirror is used here
    uv = find_uv(environment)
    build = tomllib.loads((TOP / "pyproject.toml").read_text())["build-system"]["requires"]
    extras = ("--extra", "cluster", "--extra", "dev")
    found = {
        "user.txt": compile_lock(uv, environment, "user.txt", "pyproject.toml"),
        "cluster.txt": compile_lock(uv, environment, "cluster.txt", "pyproject.toml", *extras[:2]),
        "dev.txt": compile_lock(uv, environment, "dev.txt", "pyproject.toml", *extras),
        "build.txt": compile_lock(uv, environment, "build.txt", "-", given="\n".join([*build, "editables"])),
        "uv.txt": compile_lock(uv, environment, "uv.txt", "-", given="uv"),
    }
    pinned = re.match(r"torch==([\d.]+)", found["dev.txt"]["torch"])
    assert pinned, "uv resolves nrtune without torch"
    version = pinned[1]
    texts: dict[Path, str] = {}
    if version != locked_torch():
        texts[HERE / "torch-cpu.txt"] = torch_lock(cpu_wheels(version), version)
    for name, of_name in found.items():
        leave = WITH_CUDA if name == "dev.txt" else re.compile(f"{WITH_CUDA.pattern}|triton")
        kept = [entry for package, entry in of_name.items() if not leave.fullmatch(package)]
        texts[HERE / name] = HEADER + "\n".join(kept) + "\n"
    plain = [entry.partition(" \\")[0] for package, entry in found["dev.txt"].items()
             if package == "torch" or not WITH_CUDA.fullmatch(package)]  # fmt: skip
    texts[TOP / "constraints.txt"] = (
        "# Every version that nrtune is tested with. torch is the plain release: a build for CPUs satisfies it as well.\n"
        + HEADER + "\n".join(plain) + "\n"
    )  # fmt: skip
    for path, text in texts.items():
        write(path, text)


if __name__ == "__main__":
    try:
        lock()
    except InstallError as error:
        say(str(error))
        sys.exit(2)
