"""Install nrtune, with what it needs at the locked versions, into .venv beside this folder.

    python requirements/install.py user     what `make demo` needs
    python requirements/install.py dev      the developers' tools as well

uv does the work, because it takes seconds where pip takes minutes; pip brings it into .venv where the machine has none.
Nothing is resolved here: `make lock` has done that, and each file's SHA-256 is compared with the lock's.

PyTorch comes as the build for CPUs unless a GPU is found. TORCH=cpu or TORCH=cu130 (any of uv's torch backends) decides
otherwise, and what that costs is said before anything is downloaded.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
VENV = TOP / ".venv"
PYTHON = VENV / "bin" / "python"

OLDEST_UV = (0, 9)
"""Older versions lack some option that is used below."""

CPU_SIZE = "0.2 GB to download, 0.8 GB on disk"
CUDA_SIZE = "2.7 GB to download, 4.6 GB on disk"
"""PyTorch 2.13.0 with its libraries, for x86-64 Linux."""

FROM_PIP = {
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "cert": "SSL_CERT_FILE",
}
"""What pip is configured with and uv must be told, because it reads none of pip's configuration."""


class InstallError(Exception):
    """What is wrong, and what to do, in one sentence."""


def say(sentence: str) -> None:
    """Print a line to standard error."""
    print(f"install: {sentence}", file=sys.stderr, flush=True)  # noqa: T201


def run(*command: object, environment: dict[str, str] | None = None) -> None:
    """Run a command that says itself what goes wrong. Raises InstallError."""
    done = subprocess.run([str(word) for word in command], env=environment, check=False)
    if done.returncode:
        raise InstallError(f"`{command[0]}` ended with exit code {done.returncode}; nothing was marked as installed")


# ---- what this machine has


def gpu_found() -> bool:
    """Whether the machine has an NVIDIA driver that sees a GPU."""
    if any(Path("/proc/driver/nvidia/gpus").glob("*")):
        return True
    query = shutil.which("nvidia-smi")
    if query is None:
        return False
    done = subprocess.run([query, "--list-gpus"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "GPU 0" in done.stdout


def pip_configuration() -> dict[str, str]:
    """Options of `pip config list` by name; the environment's win over a file's."""
    listed = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    found: dict[str, tuple[int, str]] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section, -1)
        if rank >= found.get(name, (0, ""))[0]:
            found[name] = (rank, str(ast.literal_eval(value)))
    return {name: value for name, (_, value) in found.items()}


def uv_environment(pip: dict[str, str]) -> dict[str, str]:
    """The environment for uv: pip's sources of packages, where uv has not been told of others."""
    environment = dict(os.environ)
    for option, variable in FROM_PIP.items():
        if option in pip and variable not in environment:
            environment[variable] = " ".join(pip[option].split())
    # As pip does: the best version of all indexes. That the file is the right one, its hash says.
    environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    environment["VIRTUAL_ENV"] = str(VENV)
    environment.pop("UV_TORCH_BACKEND", None)  # TORCH says it
    return environment


def find_uv(environment: dict[str, str]) -> str:
    """The machine's uv if it is new enough, or the one that pip brings into .venv."""
    own = PYTHON.with_name("uv")
    for candidate in (shutil.which("uv"), own):
        if candidate and Path(candidate).exists():
            told = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
            version = re.search(r"(\d+)\.(\d+)", told)
            if version and (int(version[1]), int(version[2])) >= OLDEST_UV:
                return str(candidate)
    run(PYTHON, "-m", "pip", "install", "-qq", "--require-hashes", "-r", HERE / "uv.txt")
    return str(own)


# ---- PyTorch


def locked_torch() -> str:
    """The version of PyTorch that is locked, without the name of a build."""
    found = re.search(r"^torch==([\d.]+)", (HERE / "torch-cpu.txt").read_text(), flags=re.MULTILINE)
    assert found, "torch-cpu.txt pins no torch"
    return found[1]


def choose_torch(asked: str, gpu: bool, linux: bool) -> tuple[str, str]:
    """The backend ("cpu", "auto" or one of CUDA's) and the sentence that says it. Raises InstallError for an odd one."""
    if not re.fullmatch(r"auto|cpu|cu\d+|rocm[\d.]+|xpu", asked):
        raise InstallError(f"TORCH={asked}: unknown; give cpu, a CUDA version such as cu130, or leave it out")
    if not linux and asked == "auto":
        return "cpu", f"PyTorch as PyPI has it for this system: {CPU_SIZE}"
    if asked == "cpu" and gpu:
        return asked, f"PyTorch for CPUs ({CPU_SIZE}), as TORCH=cpu asks; THE GPU OF THIS MACHINE WILL NOT BE USED"
    if asked == "cpu" or (asked == "auto" and not gpu):
        return "cpu", f"PyTorch for CPUs: {CPU_SIZE}" + ("" if asked == "cpu" else "; no GPU was found")
    if not gpu:
        return asked, (
            f"PyTorch for {asked}, as TORCH={asked} asks: about {CUDA_SIZE}. NO GPU WAS FOUND HERE; "
            f"Ctrl-C and TORCH=cpu take {CPU_SIZE}"
        )
    return asked, f"PyTorch for the GPU of this machine: about {CUDA_SIZE}"


def cpu_arguments(find_links: str, linux: bool) -> list[str]:
    """Where uv finds the build for CPUs: where pip finds packages, or at PyTorch's own index. PyPI's is CUDA's on Linux."""
    if not linux or has_cpu_build(find_links):
        return []
    return ["--torch-backend", "cpu"]


def has_cpu_build(find_links: str) -> bool:
    """Whether one of pip's folders of packages has the locked version's build for CPUs."""
    wheel = f"torch-{locked_torch()}+cpu-*.whl"
    return any(list(Path(place.removeprefix("file://")).glob(wheel)) for place in find_links.split())


# ---- the whole


def install(what: str) -> None:
    """Make .venv, or bring it up to date. Raises InstallError."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this is where an older one is told
        version = ".".join(map(str, sys.version_info[:2]))
        raise InstallError(f"nrtune needs Python 3.11 or newer, and this is {version}: use `make PYTHON=python3.11`")
    linux = sys.platform == "linux"
    backend, sentence = choose_torch(os.environ.get("TORCH") or "auto", gpu_found(), linux)
    if not PYTHON.exists():
        run(sys.executable, "-m", "venv", VENV)
    environment = uv_environment(pip_configuration())
    uv = find_uv(environment)
    installed = PYTHON.parent.parent.glob("lib/python3*/site-packages/torch-*.dist-info")
    if not any(f"-{locked_torch()}" in path.name for path in installed):
        say(sentence)
    torch = HERE / "torch-cpu.txt"
    pip_install = [uv, "pip", "install", "--quiet"]
    if backend == "cpu":
        of_cpu = cpu_arguments(environment.get("UV_FIND_LINKS", ""), linux)
        try:
            run(*pip_install, "--no-deps", "--require-hashes", "-r", HERE / f"{what}.txt", "-r", torch, *of_cpu,
                environment=environment)  # fmt: skip
        except InstallError as error:
            where = "; PyTorch's build for CPUs is at download.pytorch.org, or in a folder that UV_FIND_LINKS names"
            raise InstallError(f"{error}{where if of_cpu else ''}") from error
    else:  # CUDA's libraries are pinned by the build itself
        run(*pip_install, "--no-deps", "--require-hashes", "-r", HERE / f"{what}.txt", environment=environment)
        run(*pip_install, "--torch-backend", backend, "-c", TOP / "constraints.txt", f"torch=={locked_torch()}",
            environment=environment)  # fmt: skip
    run(
        *pip_install, "--no-deps", "--build-constraints", HERE / "build.txt", "--editable", TOP, environment=environment
    )
    for done in ("user", what):
        (VENV / f".{done}").touch()


def main() -> None:
    """Run from the command line."""
    if sys.argv[1:] not in (["user"], ["dev"]):
        sys.exit("usage: python requirements/install.py user|dev")
    try:
        install(sys.argv[1])
    except InstallError as error:
        say(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted: the same command again goes on from here")
        sys.exit(130)


if __name__ == "__main__":
    main()
