"""Three hosts of their own and the laptop that a cluster is started from."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hosts import Network, make_image, run, skip_without_hosts
from laptop import TOP, Laptop


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's wheel, as `make dist` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(TOP))
    return folder


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A switch without hosts; those that are connected to it share a folder at /srv/nrtune."""
    skip_without_hosts()
    shared = tmp_path / "shared"
    shared.mkdir()
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key"))
    image = make_image(tmp_path / "image", Path(sys.prefix), (tmp_path / "key.pub").read_text())
    folder = tmp_path / "hosts"
    folder.mkdir()
    network = Network(folder, image, shared)
    try:
        yield network
    finally:
        network.close()


@pytest.fixture
def laptop(tmp_path: Path, network: Network, wheel: Path) -> Laptop:
    """A laptop on the hosts' network, with clusters/on-premise.yaml made for hosts at 10.77.0.1 to 3."""
    folder = tmp_path / "laptop"
    folder.mkdir()
    laptop = Laptop(folder, network.connect("laptop", "10.77.0.100"))
    shutil.copytree(wheel, folder / "dist")
    path = folder / "clusters" / "on-premise.yaml"
    config = yaml.safe_load(path.read_text())
    config["provider"] |= {"head_ip": "10.77.0.1", "worker_ips": ["10.77.0.2", "10.77.0.3"]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(tmp_path / "key")}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return laptop
