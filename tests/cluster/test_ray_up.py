"""`ray up` on hosts of its own, as README tells it: a search that needs no laptop, an MLflow server that outlives all."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosts import Host, Network, run, wait_for
from laptop import Laptop

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

CLUSTER = "clusters/on-premise.yaml"
SEARCH = (
    "nrtune search --families baseline,rank_stability --data /srv/nrtune/data/{data} --cagi5 /srv/nrtune/data/cagi5"
    " --trials 2 --epochs 1 --max-concurrent 2 --address auto --tracking-uri http://127.0.0.1:5522"
    " --out /srv/nrtune/campaigns/first"
)


ON_EVERY_NODE = """
import os, socket, sys
from importlib.metadata import version
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

@ray.remote
def node():
    import nrtune.orchestrator
    return socket.gethostname(), version("nrtune"), os.path.isdir("/srv/nrtune/data")

ray.init(address="auto", log_to_driver=False)
print("interpreter", sys.executable)
asked = [node.options(scheduling_strategy=On(one["NodeID"], soft=False)).remote() for one in ray.nodes()]
for found in sorted(ray.get(asked)):
    print("node", *found)
"""


def on_head(laptop: Laptop, command: str) -> str:
    return laptop.run("ray", "exec", CLUSTER, command)


@contextmanager
def tunnel(laptop: Laptop, port: int, *command: str) -> Iterator[str]:
    """A tunnel to a port of the head, by a command that holds it open; yields its address on the laptop."""
    process = laptop.start(*command)
    try:

        def is_open() -> bool:
            assert process.poll() is None, process.communicate()[0]
            return f"127.0.0.1:{port} " in laptop.run("ss", "--no-header", "-ltn")

        wait_for("the tunnel", is_open, 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


def ssh(port: int, key: Path) -> list[str]:
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes"]
    return ["ssh", *options, "-i", str(key), "-N", "-L", f"{port}:localhost:{port}", "root@10.77.0.1"]


def asked(laptop: Laptop, url: str, body: object = None) -> tuple[int, str]:
    """HTTP status and body of a page as the laptop sees it; 0 where nothing answers."""
    program = """if True:
        import sys, urllib.error, urllib.request
        request = urllib.request.Request(sys.argv[1], sys.argv[2].encode() or None, {"Content-Type": "application/json"})
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        except OSError as error:
            sys.exit(print(0, error))
        print(answer.status, answer.read().decode())
    """
    status, _, text = laptop.run("python", "-c", program, url, "" if body is None else json.dumps(body)).partition(" ")
    return int(status), text


def runs(laptop: Laptop, server: str) -> dict[str, str]:
    """State of each run that an MLflow server knows, by name."""

    def search(what: str, body: dict[str, object]) -> list[dict[str, object]]:
        status, text = asked(laptop, f"{server}/api/2.0/mlflow/{what}/search", body | {"max_results": 100})
        assert status == 200, text
        return json.loads(text).get(what, [])

    ids = [experiment["experiment_id"] for experiment in search("experiments", {})]
    return {run["info"]["run_name"]: run["info"]["status"] for run in search("runs", {"experiment_ids": ids})}


def main_pid(host: Host, unit: str) -> str:
    return host.run(f"systemctl show --property MainPID --value {unit}").strip()


def open_to_others(host: Host) -> dict[str, str]:
    """The command line of the process behind each TCP port that listens on more than loopback, by port."""
    found = {}
    for line in host.listening().splitlines():
        address, _, port = line.split()[3].rpartition(":")
        if address.strip("[]").removeprefix("::ffff:") not in ("127.0.0.1", "::1"):
            pid = re.search(r"pid=(\d+)", line)[1]
            found[port] = host.run(f"tr '\\0' ' ' < /proc/{pid}/cmdline")
    return found


def test_a_search_on_machines_of_ones_own(network: Network, laptop: Laptop, tmp_path: Path):
    head, *_ = (network.host(f"10.77.0.{number}") for number in (1, 2, 3))
    key, campaign = tmp_path / "key", network.shared / "campaigns" / "first"
    laptop.run("ray", "up", CLUSTER, "--yes")
    ray = "RAY_AUTH_MODE=token /root/nrtune/venv/bin/ray"
    wait_for("all three nodes", lambda: " 3 local.cluster.node" in head.run(f"{ray} status", check=False), 180)

    # What listens, where, and to whom it answers.
    for host in network.hosts:
        others = open_to_others(host)
        assert "sshd" in others.pop("22")
        assert "6379" in others or host is not head
        # Ray has no choice of address for what its nodes need of each other; all of it asks for the token.
        assert all(re.search(r"/ray/|\bray\.util\.client\b|^ray::", command) for command in others.values()), others
        assert not {"5522", "5432", "8265", "44217", "44227"} & set(others)
        assert host.run("stat -c %a,%U /tmp/nrtune-0").strip() == "700,root"
    assert asked(laptop, "http://10.77.0.1:5522/health")[0] == 0
    anybody = laptop.environment | {"RAY_AUTH_MODE": "disabled"}
    refused = run(*laptop.command("ray", "status", "--address", "10.77.0.1:6379"), env=anybody, check=False)
    assert refused.returncode != 0
    assert "uthentication" in refused.stdout

    # A script of one's own, and a search that outlives the connection it was started over.
    on_head(laptop, "nrtune data simulate --n 400 --out /srv/nrtune/data")
    (laptop.folder / "nodes.py").write_text(ON_EVERY_NODE)
    told = laptop.run("ray", "submit", CLUSTER, "nodes.py")
    assert "interpreter /root/nrtune/venv/bin/python" in told
    assert re.findall(r"^node (\S+) \S+ True", told, re.MULTILINE) == ["host1", "host2", "host3"], told
    with tunnel(laptop, 8265, *ssh(8265, key)) as dashboard:
        assert asked(laptop, f"{dashboard}/api/jobs/")[0] == 401  # without the token
        data = next((network.shared / "data").glob("*.h5")).name
        arguments = SEARCH.format(data=data).split()
        submitted = laptop.run("ray", "job", "submit", "--no-wait", "--address", dashboard, "--", *arguments)
        assert "succe" in submitted, submitted
    status = campaign / "status.json"
    wait_for("the search", lambda: status.exists() and json.loads(status.read_text())["state"] == "finished", 300)
    families = {"  baseline: 2 finished", "  rank_stability: 2 finished"}
    assert families <= set(on_head(laptop, "nrtune status /srv/nrtune/campaigns/first").splitlines())

    # The MLflow server has it, and keeps it whatever is killed.
    with tunnel(laptop, 5522, "ray", "exec", CLUSTER, "-p", "5522", "sleep 1d") as server:
        # The campaign and its four trials; kept trials become models there before the campaign's own run ends.
        wait_for("MLflow's runs", lambda: list(runs(laptop, server).values()) == ["FINISHED"] * 5)
        recorded = runs(laptop, server)
        assert families <= set(laptop.run("nrtune", "status", server).splitlines())
        assert len(list((network.shared / "mlflow").rglob("best.pt"))) == 4
        units = ("nrtune-mlflow", "postgresql@15-main")
        before = {unit: main_pid(head, unit) for unit in units}
        for unit in units:
            head.run(f"kill -9 {before[unit]}")
        # Until systemd has seen the kill, what is left of the old server may still answer.
        wait_for("a new MLflow", lambda: not {*before.values(), "0"} & {main_pid(head, unit) for unit in units})
        wait_for("MLflow to come back", lambda: asked(laptop, f"{server}/health")[0] == 200)
        assert runs(laptop, server) == recorded

        # A second `ray up`, and each script once more, leave all of it alone.
        before = {unit: main_pid(head, unit) for unit in units}
        assert "already up to date" in laptop.run("ray", "up", CLUSTER, "--yes")
        on_head(laptop, "bash ~/nrtune/clusters/setup-node.sh /srv/nrtune")
        on_head(laptop, "bash ~/nrtune/clusters/setup-head.sh /srv/nrtune/mlflow")
        assert before == {unit: main_pid(head, unit) for unit in units}
        assert runs(laptop, server) == recorded
    assert head.run("grep -c nrtune /root/.bashrc").strip() == "1"

    laptop.run("ray", "down", CLUSTER, "--yes")
    for host in network.hosts:
        wait_for(f"Ray to end on {host.name}", lambda host=host: "raylet" not in host.run("ps -e -o comm"), 120)

    head.off()
    head.boot()
    with tunnel(laptop, 5000, *ssh(5000, key)) as server:
        wait_for("MLflow after a reboot", lambda: asked(laptop, f"{server}/health")[0] == 200)
        assert runs(laptop, server) == recorded
