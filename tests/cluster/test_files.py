"""The cluster files as they are written: Ray takes them, they open nothing, and hold no secret."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.helpers.accounts import COLLEAGUE, GROUP, OTHER, as_account

TOP = Path(__file__).parents[2]
CLUSTERS = [TOP / "cluster.yaml", TOP / "clusters" / "on-premise.yaml"]
RAYJOB = TOP / "clusters" / "kubernetes" / "rayjob.yaml"
FILES = [TOP / "cluster.yaml", TOP / "Dockerfile", RAYJOB, *sorted((TOP / "clusters").iterdir())]

OFFENCES = {
    "listens on every address": r"0\.0\.0\.0|--(dashboard-)?host[= ](?!127\.0\.0\.1\b)\S+|listen_addresses",
    "opens a port": r"IpPermissions:|(?i:ufw|iptables|nft)\s|--(ray-client-server|dashboard|node-manager|worker)-port",
    "holds a secret": r"AKIA\w{16}|PRIVATE KEY|aws_credentials|(?i:secret_access_key|password|passwd)\s*[:=]\s*\S"
    r"|RAY_AUTH_TOKEN=|\b[0-9a-f]{32,}\b|://[^\s/@]+:[^\s/@]+@",
    "goes without the token": r"RAY_AUTH_MODE=(?!token\b)|RAY_ENABLE_K8S_TOKEN_AUTH",
}
"""What no file for clusters may hold."""


def offences(text: str) -> list[str]:
    """What is wrong with a file."""
    found = [f"{what}: {match[0]}" for what, pattern in OFFENCES.items() for match in re.finditer(pattern, text)]
    starts = [
        line for line in text.splitlines() if re.search(r"\bray start\b", line) and not line.lstrip().startswith("#")
    ]
    found += [f"starts Ray without the token: {line}" for line in starts if "RAY_AUTH_MODE=token" not in line]
    return found + [
        f"starts Ray in anybody's folder: {line}" for line in starts if '--temp-dir="$RAY_FOLDER"' not in line
    ]


@pytest.mark.parametrize("path", [path for path in FILES if path.is_file()], ids=lambda path: path.name)
def test_a_file_opens_nothing_and_holds_no_secret(path: Path):
    assert offences(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        '    RAY_AUTH_MODE=token ray start --temp-dir="$RAY_FOLDER" --head --dashboard-host=0.0.0.0',
        '    RAY_AUTH_MODE=token ray start --temp-dir="$RAY_FOLDER" --head --dashboard-host=10.0.0.5',
        "    RAY_AUTH_MODE=token ray start --head",
        "    mlflow server --host :: --port 5000",
        "  security_group: {GroupName: nrtune, IpPermissions: [{FromPort: 5000}]}",
        '  - ray start --address=$RAY_HEAD_IP:6379 --temp-dir="$RAY_FOLDER"',
        "  - export RAY_AUTH_MODE=disabled; ray stop",
        "database=postgresql+psycopg2://mlflow:hunter2@localhost/mlflow",
        "export PGPASSWORD=hunter2",
        "export RAY_AUTH_TOKEN=0123",
        "key=AKIAABCDEFGHIJKLMNOP",
    ],
)
def test_what_opens_or_tells_is_found(line: str):
    assert offences(f"# fine\n{line}\n")


@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.name)
def test_ray_takes_the_file(path: Path):
    util = pytest.importorskip("ray.autoscaler._private.util")
    config = yaml.safe_load(path.read_text())
    assert all(
        (TOP / local).exists() for local in config["file_mounts"].values() if local[0] != "~" and local != "dist"
    )
    util.validate_config(util.prepare_config(copy.deepcopy(config)))
    with pytest.raises(Exception, match="worker_type"):
        util.validate_config(util.prepare_config(config | {"worker_type": "g6.xlarge"}))


def test_workers_come_and_go_on_aws():
    config = yaml.safe_load(CLUSTERS[0].read_text())
    types = dict(config["available_node_types"])
    head = types.pop(config["head_node_type"])
    assert head["resources"] == {"CPU": 0}  # no trial runs there
    assert "InstanceMarketOptions" not in head["node_config"]
    assert len({worker["node_config"]["InstanceType"] for worker in types.values()}) == len(types) >= 2
    for worker in types.values():
        assert (worker["min_workers"], worker["node_config"]["InstanceMarketOptions"]) == (0, {"MarketType": "spot"})
        assert worker["max_workers"] <= config["max_workers"]
    images = {one["node_config"]["ImageId"] for one in [head, *types.values()]}
    assert re.fullmatch(r"ami-[0-9a-f]{17}", images.pop())
    assert not images
    assert 0 < config["idle_timeout_minutes"] <= 60


def test_both_files_set_nodes_up_alike():
    aws, own = (yaml.safe_load(path.read_text()) for path in CLUSTERS)
    assert aws["file_mounts"] == own["file_mounts"]
    for commands in ("setup_commands", "head_setup_commands"):
        assert [line.split()[1] for line in aws[commands]] == [line.split()[1] for line in own[commands]]


def test_a_node_without_token_or_wheel_is_not_set_up(tmp_path: Path):
    script = [str(TOP / "clusters" / "setup-node.sh"), str(tmp_path)]

    def told() -> str:
        done = subprocess.run(script, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True)
        assert done.returncode == 1
        return done.stderr

    assert "ray get-auth-token --generate" in told()
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("token")
    assert "make dist" in told()
    assert token.stat().st_mode & 0o077 == 0  # nobody else on the node reads it
    assert not (tmp_path / ".bashrc").exists()


@contextmanager
def private_folder(user: int) -> Iterator[Path]:
    """What private-ray.sh makes for an account, removed before and after."""
    folder = Path(f"/tmp/nrtune-{user}")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)


SOURCED = """. "$0" || exit 1; echo "$RAY_FOLDER $AUTOSCALER_METRIC_PORT $RAY_ROTATION_MAX_BYTES" """


@pytest.mark.parametrize("made_before", ["nothing", "its own, open to all", "another's", "a link to its own"])
def test_ray_on_a_node_gets_a_folder_of_this_account_alone(made_before: str, tmp_path: Path):
    command = [*as_account(OTHER, tmp_path / "home"), "bash", "-c", SOURCED, TOP / "clusters" / "private-ray.sh"]
    with private_folder(OTHER) as folder:
        if made_before != "nothing":
            lies = tmp_path / "home" / "mine" if made_before == "a link to its own" else folder
            lies.mkdir()
            os.chown(lies, COLLEAGUE if made_before == "another's" else OTHER, GROUP)
            lies.chmod(0o777)
            if lies is not folder:
                folder.symlink_to(lies)
        done = subprocess.run(command, capture_output=True, text=True)
        if made_before in ("another's", "a link to its own"):
            assert (done.returncode, done.stdout) == (1, "")
            assert f"{folder} is not a folder of this account" in done.stderr
        else:
            assert (done.returncode, done.stdout) == (0, f"{folder}/r -1 10000000\n"), done.stderr
            assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, OTHER)


def test_pods_of_the_rayjob_are_alike_and_nobodys():
    spec = yaml.safe_load(RAYJOB.read_text())["spec"]["rayClusterSpec"]
    pinned = re.search(r"^ray==(\S+)", (TOP / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert spec["rayVersion"] == pinned
    assert spec["authOptions"] == {"mode": "token"}
    user = re.search(r"useradd --uid (\d+)", (TOP / "Dockerfile").read_text())[1]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    assert len({pod["containers"][0]["image"] for pod in pods}) == 1
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == int(user)
        (mounted,) = pod["containers"][0]["volumeMounts"]
        assert mounted["name"] == pod["volumes"][0]["name"]
    assert groups[0]["rayStartParams"]["num-cpus"] == "0"


def test_the_head_s_mlflow_is_reached_by_a_tunnel_alone():
    """It asks nobody who calls: it listens on loopback, and no other file has it listen elsewhere."""
    hosts = re.findall(r"--host[ =](\S+)", (TOP / "clusters" / "setup-head.sh").read_text())
    assert hosts == ["127.0.0.1"]
    for path in (TOP / "clusters").rglob("*"):
        if path.is_file():
            assert not re.search(r"mlflow\W+server(?!.*--host 127\.0\.0\.1)", path.read_text()), path
