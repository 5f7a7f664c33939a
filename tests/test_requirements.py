"""The lock files say what pyproject.toml asks for, and the installation chooses a build of PyTorch and says what it costs."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import install
import lock
import pytest
import wheelhouse
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[1]
LOCKS = TOP / "requirements"
EXTRAS = {"user.txt": (), "cluster.txt": ("cluster",), "dev.txt": ("cluster", "dev")}


def pinned(path: Path) -> dict[str, Requirement]:
    """The pins of a lock file or of constraints.txt that hold on this machine, by name."""
    lines = re.findall(r"^[a-z].*?(?= *\\?$)", path.read_text(), flags=re.M)
    found = (Requirement(line) for line in lines)
    return {canonicalize_name(pin.name): pin for pin in found if pin.marker is None or pin.marker.evaluate()}


def version(pin: Requirement) -> str:
    """The one version that a pin admits."""
    (only,) = pin.specifier
    assert only.operator == "=="
    return only.version


def asked(extras: tuple[str, ...]) -> list[Requirement]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines if not line.startswith("nrtune[")]


def needed(requirements: list[Requirement]) -> set[str]:
    """The names of all that these need on this machine, as the installed packages say; PyTorch's libraries aside."""
    names: set[str] = set()
    left = [(requirement, "") for requirement in requirements]
    seen: set[tuple[str, str]] = set()
    while left:
        requirement, extra = left.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        names.add(name)
        for of in ("", *requirement.extras):
            if (name, of) not in seen:
                seen.add((name, of))
                left += [(Requirement(line), of) for line in importlib.metadata.requires(name) or ()]
    return {name for name in names if not lock.WITH_CUDA.fullmatch(name)}


@pytest.mark.parametrize("name", EXTRAS)
def test_the_lock_is_what_pyproject_asks_for(name: str):
    """If it fails: `make lock`."""
    pins = pinned(LOCKS / name) | pinned(LOCKS / "torch-cpu.txt")
    requirements = asked(EXTRAS[name])
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(version(pins[canonicalize_name(requirement.name)])), requirement
    of_torch = {"triton"} if name != "dev.txt" else set()  # asked for by PyTorch's CUDA builds alone
    assert pins.keys() - {"torch"} == needed(requirements) - of_torch


def test_constraints_are_the_locks_versions():
    pins = pinned(LOCKS / "dev.txt")
    constraints = pinned(TOP / "constraints.txt")
    assert version(constraints.pop("torch")) == install.locked_torch()
    assert {name: str(pin) for name, pin in constraints.items()} == {name: str(pin) for name, pin in pins.items()}
    user = pinned(LOCKS / "user.txt")
    assert {name: version(pin) for name, pin in user.items()} == {name: version(pins[name]) for name in user}


@pytest.mark.parametrize("path", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.name)
def test_every_pin_has_hashes(path: Path):
    entries = re.findall(r"^[a-z].*(?:\n\s+--hash=sha256:[0-9a-f]{64}.*)*", path.read_text(), flags=re.M)
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_is_installed_is_what_is_locked():
    for name, pin in pinned(LOCKS / "dev.txt").items():
        assert importlib.metadata.version(name) == version(pin), name
    assert importlib.metadata.version("torch").startswith(install.locked_torch())


@pytest.mark.parametrize(
    ("asked_for", "gpu", "linux", "backend", "said"),
    [
        ("auto", False, True, "cpu", "PyTorch for CPUs: 0.2 GB to download, 0.8 GB on disk; no GPU was found"),
        ("auto", True, True, "auto", "for the GPU of this machine: about 2.7 GB to download"),
        ("auto", True, False, "cpu", "as PyPI has it for this system"),
        ("cpu", False, True, "cpu", "PyTorch for CPUs: 0.2 GB"),
        ("cpu", True, True, "cpu", "THE GPU OF THIS MACHINE WILL NOT BE USED"),
        ("cu130", False, True, "cu130", "about 2.7 GB to download, 4.6 GB on disk. NO GPU WAS FOUND HERE"),
        ("cu130", True, True, "cu130", "for the GPU of this machine"),
    ],
)
def test_the_build_of_pytorch(asked_for: str, gpu: bool, linux: bool, backend: str, said: str):
    found, sentence = install.choose_torch(asked_for, gpu, linux)
    assert found == backend
    assert said in sentence


def test_the_build_for_cpus_comes_from_where_pip_has_it_or_from_pytorchs_own_index(tmp_path: Path):
    assert install.cpu_arguments(str(tmp_path), linux=True) == ["--torch-backend", "cpu"]
    (tmp_path / f"torch-{install.locked_torch()}+cu130-cp311-cp311-linux_x86_64.whl").touch()
    assert install.cpu_arguments(str(tmp_path), linux=True) == ["--torch-backend", "cpu"]
    (tmp_path / f"torch-{install.locked_torch()}+cpu-cp311-cp311-linux_x86_64.whl").touch()
    for place in (str(tmp_path), f"file://{tmp_path}", f"/nowhere {tmp_path}"):
        assert install.cpu_arguments(place, linux=True) == []
    assert install.cpu_arguments("", linux=False) == []


def test_uv_is_told_of_pips_sources_where_it_has_none_of_its_own(monkeypatch: pytest.MonkeyPatch):
    pip = {"find-links": "/wheels\nhttps://host/wheels", "index-url": "https://host/simple", "timeout": "3"}
    for variable in install.FROM_PIP.values():
        monkeypatch.delenv(variable, raising=False)
    environment = install.uv_environment(pip)
    assert environment["UV_FIND_LINKS"] == "/wheels https://host/wheels"
    assert environment["UV_DEFAULT_INDEX"] == "https://host/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://own/simple")
    assert install.uv_environment(pip)["UV_DEFAULT_INDEX"] == "https://own/simple"


def test_pips_configuration_is_read_as_pip_reads_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "pip.conf").write_text("[global]\nfind-links = /one\nindex-url = https://host/simple\n")
    monkeypatch.setattr(install, "PYTHON", Path(sys.executable))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", "/two")
    found = install.pip_configuration()
    assert (found["find-links"], found["index-url"]) == ("/two", "https://host/simple")


@pytest.fixture
def path_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(any(Path("/proc/driver/nvidia/gpus").glob("*")), reason="this machine has a GPU")
def test_a_gpu_is_one_that_its_driver_sees(path_with: Path):
    assert not install.gpu_found()
    tool = path_with / "nvidia-smi"
    for script, found in (
        ("echo 'NVIDIA-SMI has failed'; exit 9", False),
        ("echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)'", True),
    ):
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        assert install.gpu_found() is found


@pytest.mark.parametrize(
    ("arguments", "torch", "code", "said"),
    [
        ([], "", 1, "usage: python requirements/install.py user|dev"),
        (["usr"], "", 1, "usage: python requirements/install.py user|dev"),
        (["user"], "gpu", 2, "install: TORCH=gpu: unknown; give cpu, a CUDA version such as cu130, or leave it out"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_installs_nothing(arguments, torch: str, code: int, said: str):
    script = [sys.executable, str(LOCKS / "install.py"), *arguments]
    done = subprocess.run(script, env={**os.environ, "TORCH": torch}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip().splitlines()) == (code, [said])


@pytest.mark.slow
def test_a_wheelhouse_is_all_that_an_installation_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wheelhouse, "TOP", tmp_path)
    monkeypatch.setenv("TORCH", "cpu")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "dist", TOP]
    subprocess.run(build, check=True)
    wheelhouse.collect(tmp_path / "wheels")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    # Nothing of this machine's configuration, which may name other places of packages.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    alone = clean | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    python = tmp_path / "venv" / "bin" / "python"
    install_it = [python, "-m", "pip", "install", "--quiet", "--constraint", TOP / "constraints.txt", "nrtune[cluster]"]
    subprocess.run(install_it, env=alone, check=True)
    told = subprocess.run(
        [python, "-m", "nrtune", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert importlib.metadata.version("nrtune") in told.stdout
    subprocess.run([python, "-m", "pip", "check"], env=alone, check=True)


def test_a_wheelhouse_needs_the_own_wheel_and_the_others_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wheelhouse, "TOP", tmp_path)
    with pytest.raises(install.InstallError, match="make dist"):
        wheelhouse.collect(tmp_path / "wheels")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "nrtune-1-py3-none-any.whl").touch()
    monkeypatch.setattr(wheelhouse, "gpu_found", lambda: True)
    monkeypatch.delenv("TORCH", raising=False)
    with pytest.raises(install.InstallError, match="TORCH=cu130"):
        wheelhouse.collect(tmp_path / "wheels")
    assert not (tmp_path / "wheels").exists()
