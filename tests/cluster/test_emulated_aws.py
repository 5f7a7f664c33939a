"""cluster.yaml against an emulated AWS: what `ray up` asks it for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hosts import run, wait_for
from laptop import Laptop

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PORT = "5555"
ME = "203.0.113.7/32"
LOOK = """
import boto3, json
region = "us-east-1"
ec2, iam = boto3.client("ec2", region), boto3.client("iam")
efs, s3 = boto3.client("efs", region), boto3.client("s3", region)
profiles = iam.list_instance_profiles()["InstanceProfiles"]
print("found", json.dumps({
    "instances": [one for r in ec2.describe_instances()["Reservations"] for one in r["Instances"]],
    "groups": ec2.describe_security_groups()["SecurityGroups"],
    "keys": [key["KeyName"] for key in ec2.describe_key_pairs()["KeyPairs"]],
    "profiles": {p["InstanceProfileName"]: [role["RoleName"] for role in p["Roles"]] for p in profiles},
    "buckets": [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]],
    "targets": {f["FileSystemId"]: efs.describe_mount_targets(FileSystemId=f["FileSystemId"])["MountTargets"]
                for f in efs.describe_file_systems()["FileSystems"]},
    "subnets": len(ec2.describe_subnets()["Subnets"]),
}, default=str))
"""


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """A laptop whose network ends at itself, where an emulated AWS answers: the addresses that this makes up are others'."""
    if os.geteuid() != 0:
        pytest.skip("a network that ends at itself needs root")
    if shutil.which("ip") is None:
        pytest.skip("a network that ends at itself needs apt-get install iproute2")
    namespace = f"nrtune{os.getpid()}-aws"
    run("ip", "netns", "add", namespace)
    try:
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        keys = {"AWS_ACCESS_KEY_ID": "emulated", "AWS_SECRET_ACCESS_KEY": "emulated", "AWS_DEFAULT_REGION": "us-east-1"}
        address = f"http://127.0.0.1:{PORT}"
        laptop = Laptop(tmp_path, namespace, AWS_ENDPOINT_URL=address, AWS_EC2_METADATA_DISABLED="true", **keys)
        (tmp_path / "dist").mkdir()
        server = laptop.start("moto_server", "-H", "127.0.0.1", "-p", PORT)
        try:
            wait_for("the emulated AWS", lambda: f":{PORT} " in laptop.run("ss", "--no-header", "-ltn"), 60)
            yield laptop
        finally:
            server.kill()
            server.communicate()
    finally:
        run("ip", "netns", "del", namespace, check=False)


def look(laptop: Laptop) -> dict[str, object]:
    """What is in the account."""
    return json.loads(laptop.run("python", "-c", LOOK).partition("found ")[2])


def prepare(laptop: Laptop, *arguments: str) -> str:
    return laptop.run("python", "clusters/prepare_aws.py", *arguments)


def up(laptop: Laptop) -> str:
    """Run `ray up` until it waits for the head's ssh server, which never comes; returns what it said."""
    process = laptop.start("ray", "up", "cluster.yaml", "--yes", "--no-config-cache")
    said = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "SSH still not available" in line:
                return said
        raise AssertionError(f"`ray up` ended:\n{said}")
    finally:
        process.kill()
        process.communicate()


def nrtune_group(found: dict[str, object]) -> dict[str, object]:
    (group,) = (group for group in found["groups"] if group["GroupName"] == "nrtune")
    return group


def ingress(group: dict[str, object]) -> set[tuple[object, ...]]:
    """Protocol, first and last port, and who, of each rule."""
    return {
        (rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"), who)
        for rule in group["IpPermissions"]
        for who in [
            *(one["CidrIp"] for one in rule["IpRanges"]),
            *(one["CidrIpv6"] for one in rule["Ipv6Ranges"]),
            *(one["GroupId"] for one in rule["UserIdGroupPairs"]),
        ]
    }


def test_the_head_is_as_the_file_says_and_only_ssh_is_open(laptop: Laptop):
    prepare(laptop, "--ssh-from", ME)
    config = yaml.safe_load((laptop.folder / "cluster.yaml").read_text())
    up(laptop)
    found = look(laptop)
    (head,) = found["instances"]
    named = config["available_node_types"]["head"]["node_config"]
    assert head["InstanceType"] == named["InstanceType"]
    assert head["ImageId"] == named["ImageId"]
    assert head["KeyName"] == "nrtune"
    assert "nrtune" in found["keys"]
    assert (laptop.home / ".ssh" / "nrtune.pem").stat().st_mode & 0o077 == 0
    assert head["IamInstanceProfile"]["Arn"].endswith("/nrtune-head")
    assert "InstanceLifecycle" not in head  # not a spot instance
    group = nrtune_group(found)
    assert [one["GroupId"] for one in head["SecurityGroups"]] == [group["GroupId"]]
    inside = [rule for rule in ingress(group) if rule[3] == group["GroupId"]]
    assert [rule[0] for rule in inside] == ["-1"]
    assert ingress(group) - set(inside) == {("tcp", 22, 22, ME)}
    tags = {tag["Key"]: tag["Value"] for tag in head["Tags"]}
    assert tags["ray-cluster-name"] == "nrtune"
    assert tags["ray-node-type"] == "head"
    up(laptop)  # the same head again
    assert [one["InstanceId"] for one in look(laptop)["instances"]] == [head["InstanceId"]]


def test_what_the_file_names_is_prepared_once(laptop: Laptop):
    first = prepare(laptop, "--ssh-from", ME)
    text = (laptop.folder / "cluster.yaml").read_text()
    found = look(laptop)
    (bucket,), (share,) = found["buckets"], found["targets"]
    assert f"s3://{bucket}/mlflow" in text
    assert f"{share}.efs.us-east-1.amazonaws.com:/" in text
    assert "CHANGE-ME." not in text
    assert "s3://CHANGE-ME" not in text
    assert found["profiles"] == {"nrtune-head": ["nrtune-head"]}
    assert len(found["targets"][share]) == found["subnets"] > 0

    again = prepare(laptop, "--ssh-from", "198.51.100.0/24")
    assert "names them now" in first
    assert "names them now" not in again
    assert (laptop.folder / "cluster.yaml").read_text() == text
    after = look(laptop)
    rules = ingress(nrtune_group(after))
    assert {rule[3] for rule in rules if rule[0] == "tcp"} == {"198.51.100.0/24"}
    assert len(rules) == 2
    unchanged = ("buckets", "targets", "profiles")
    assert {key: after[key] for key in unchanged} == {key: found[key] for key in unchanged}


def test_ssh_for_everybody_is_refused(laptop: Laptop):
    refused = run(
        *laptop.command("python", "clusters/prepare_aws.py", "--ssh-from", "::/0"),
        cwd=laptop.folder, env=laptop.environment, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "is everybody" in refused.stdout
    assert not [group for group in look(laptop)["groups"] if group["GroupName"] == "nrtune"]
