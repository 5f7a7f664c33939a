"""`ray up`, after a look at what it would only find out when a head runs already, or would do to one that does.

    python clusters/up.py cluster.yaml                   start the cluster, or go on with one that is stopped
    python clusters/up.py cluster.yaml --no-restart      change what differs, and leave the searches that run alone
    python clusters/up.py cluster.yaml --restart         the same, and start Ray again: searches that run are interrupted
    python clusters/up.py cluster.yaml --replace         end a head that is not as the file says, and launch another
    python clusters/up.py cluster.yaml --check           look, and start nothing

All other options are those of `ray up`. Nothing is started where the wheel or the token is missing, where a CHANGE-ME is left, or
where this machine lacks the key or the token of a cluster that is there: `ray up` would end its head and launch another.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

TOKEN = Path("~/.ray/auth_token").expanduser()
ON_HEAD = (
    "sha256sum <~/.ray/auth_token 2>/dev/null || echo none; pgrep -u $(id -u) -x gcs_server >/dev/null && echo runs"
)
"""What the head is asked: whose token it has, and whether Ray runs there. The token itself is not sent."""

SSH = [
    "ssh",
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "StrictHostKeyChecking=no"),
    *("-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "LogLevel=ERROR"),
]
"""As Ray calls it: addresses in a cloud are used again by others."""


class Head(NamedTuple):
    """A head that is there: where ssh finds it, and with which key."""

    address: str
    user: str
    key: Path


def main() -> None:
    """Look, and become `ray up`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cluster", type=Path, help="cluster.yaml, or another file of this kind")
    parser.add_argument("--no-restart", action="store_true")
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("--replace", action="store_true")
    parser.add_argument("--check", action="store_true")
    options, others = parser.parse_known_args()
    text = options.cluster.read_text()
    config = yaml.safe_load(text)
    check_files(config, text, options.cluster)
    aws = config["provider"]["type"] == "aws"
    head = aws_head(config, options.cluster, replace=options.replace) if aws else own_head(config)
    if head is not None:
        check_head(head, restarts_said=options.no_restart or options.restart or options.check, must_answer=not aws)
    if options.check:
        sys.stdout.write("nothing is missing\n")
        return
    ray = str(Path(sys.executable).with_name("ray"))
    words = [ray, "up", str(options.cluster), *(["--no-restart"] if options.no_restart else []), *others]
    os.execv(ray, words)  # noqa: S606  # the user's own words


def check_files(config: dict[str, Any], text: str, path: Path) -> None:
    """Ends the program where something is missing that `ray up` sends to the nodes."""
    rest = [line for line in text.splitlines() if "CHANGE-ME" in line.partition("#")[0]]
    if rest:
        sys.exit(f"{path} still has CHANGE-ME ({rest[0].strip()}): run `python clusters/prepare_aws.py` first")
    if not TOKEN.exists() or not TOKEN.read_text().strip():
        sys.exit(
            f"{TOKEN} is missing. For a new cluster: `ray get-auth-token --generate`; for one that is there, copy the file from"
            " the machine that started it"
        )
    for remote, local in config.get("file_mounts", {}).items():
        here = Path(local).expanduser()
        if here.name == "dist" and not any(here.glob("nrtune-*.whl")):
            sys.exit(f"{here.absolute()} has no wheel for the nodes: run `make dist` first")
        if not here.exists():
            sys.exit(
                f"{here.absolute()} is missing, which becomes {remote} on the nodes: run this from the project's folder"
            )


def own_head(config: dict[str, Any]) -> Head:
    """The head among machines of one's own."""
    provider = config["provider"]
    address = provider.get("external_head_ip", provider["head_ip"])
    return Head(address, config["auth"]["ssh_user"], Path(config["auth"]["ssh_private_key"]).expanduser())


def aws_head(config: dict[str, Any], path: Path, *, replace: bool) -> Head | None:
    """The head that the cluster has at AWS, running or stopped; None without one, and for one without an address.

    Ends the program where `ray up` would launch another, unless replace says that it may.
    """
    import boto3

    provider = config["provider"]
    ec2 = boto3.client("ec2", provider["region"])
    named = {"tag:ray-cluster-name": config["cluster_name"], "tag:ray-node-type": "head"}
    named["instance-state-name"] = "pending,running,stopping,stopped"
    filters = [{"Name": name, "Values": value.split(",")} for name, value in named.items()]
    found = [one for group in ec2.describe_instances(Filters=filters)["Reservations"] for one in group["Instances"]]
    if not found or replace:
        return None
    (head, *_) = sorted(found, key=lambda one: one["State"]["Name"] != "running")
    named_key = provider.get("key_pair", {}).get("key_name")
    key = Path(config["auth"].get("ssh_private_key", f"~/.ssh/{named_key}.pem")).expanduser()
    if not key.exists():
        sys.exit(
            f"the cluster's head, {head['InstanceId']}, is there, and its key {key} is not: `ray up` would make another key, end"
            f" a head that runs, and launch a new one. Copy {key} (mode 600) and {TOKEN} from the machine that started it"
        )
    if (tags := {tag["Key"]: tag["Value"] for tag in head["Tags"]}).get("ray-launch-config") != launch_hash(config):
        sys.exit(
            f"{head['InstanceId']}, the cluster's head, was started with another image, kind of machine, network or key than"
            f" {path} gives it now ({tags.get('ray-launch-config')}): `ray up` would end it and launch a new one. Take the file"
            " from the machine that started it, or say --replace"
        )
    return Head(head["PublicIpAddress"], config["auth"]["ssh_user"], key) if "PublicIpAddress" in head else None


def launch_hash(config: dict[str, Any]) -> str:
    """What Ray compares to find out whether a head is as its file says. Everything that it names must be there already."""
    from ray.autoscaler._private.commands import _bootstrap_config
    from ray.autoscaler._private.util import hash_launch_conf

    with contextlib.redirect_stdout(io.StringIO()):
        filled = _bootstrap_config(config, no_config_cache=True)
    node = filled["available_node_types"][filled["head_node_type"]]["node_config"]
    return str(hash_launch_conf(node, filled["auth"]))


def check_head(head: Head, *, restarts_said: bool, must_answer: bool) -> None:
    """Ends the program where a head has another token, or runs Ray and nothing was said about restarting it."""
    command = [*SSH, "-i", str(head.key), f"{head.user}@{head.address}", ON_HEAD]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)  # noqa: S603  # ssh, with a list
    if done.returncode == 255:
        said = f"{head.address} does not answer ssh ({' '.join(done.stderr.split())})"
        if must_answer:
            sys.exit(f"{said}: check its address, the user and the key in the cluster's file")
        sys.stdout.write(
            f"{said}: it may still be starting; or run prepare_aws.py again, if your own address has changed\n"
        )
        return
    digest, *runs = done.stdout.split("\n")
    if "runs" not in runs:
        return
    if digest.split()[0] not in ("none", hashlib.sha256(TOKEN.read_bytes()).hexdigest()):
        sys.exit(
            f"the Ray that runs on {head.address} has another token than {TOKEN}: `ray up` would restart it, and lock out who"
            " uses it. Copy that file from the machine that started the cluster"
        )
    if not restarts_said:
        sys.exit(
            f"Ray runs on {head.address}, and `ray up` would restart it under whatever search runs there: --no-restart leaves"
            " it running, --restart interrupts the search (which goes on when it is submitted again)"
        )


if __name__ == "__main__":
    main()
