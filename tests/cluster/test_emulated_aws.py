"""cluster.yaml against an emulated AWS: what `ray up` asks it for."""

from __future__ import annotations

import json
import os
import re
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
TWO_IN_A_ZONE = """
import boto3
ec2 = boto3.client("ec2", "us-east-1")
vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.128.0/20", AvailabilityZone="us-east-1a")
"""
HEAD_POLICY = """
import boto3, json
policy = boto3.client("iam").get_role_policy(RoleName="nrtune-head", PolicyName="nrtune-head")
print("found", json.dumps(policy["PolicyDocument"]))
"""
LOOK = """
import boto3, json
region = "us-east-1"
ec2, iam = boto3.client("ec2", region), boto3.client("iam")
efs, s3 = boto3.client("efs", region), boto3.client("s3", region)
profiles = iam.list_instance_profiles()["InstanceProfiles"]
print("found", json.dumps({
    "instances": [one for r in ec2.describe_instances()["Reservations"] for one in r["Instances"]
                  if one["State"]["Name"] != "terminated"],
    "groups": ec2.describe_security_groups()["SecurityGroups"],
    "keys": [key["KeyName"] for key in ec2.describe_key_pairs()["KeyPairs"]],
    "profiles": {p["InstanceProfileName"]: [role["RoleName"] for role in p["Roles"]] for p in profiles},
    "buckets": [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]],
    "targets": {f["FileSystemId"]: efs.describe_mount_targets(FileSystemId=f["FileSystemId"])["MountTargets"]
                for f in efs.describe_file_systems()["FileSystems"]},
    "zones": len({subnet["AvailabilityZoneId"] for subnet in ec2.describe_subnets()["Subnets"]}),
    "roles": [role["RoleName"] for role in iam.list_roles()["Roles"]],
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
    laptop.run("python", "-c", TWO_IN_A_ZONE)
    first = prepare(laptop, "--ssh-from", ME)
    text = (laptop.folder / "cluster.yaml").read_text()
    found = look(laptop)
    (bucket,), (share,) = found["buckets"], found["targets"]
    assert f"s3://{bucket}/mlflow" in text
    assert f"{share}.efs.us-east-1.amazonaws.com:/" in text
    assert "CHANGE-ME." not in text
    assert "s3://CHANGE-ME" not in text
    assert found["profiles"] == {"nrtune-head": ["nrtune-head"]}
    assert len(found["targets"][share]) == found["zones"] > 0

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


def refused(laptop: Laptop, *command: str) -> str:
    """What a command says that ends with an error of its own: a sentence, and no traceback."""
    done = run(*laptop.command("python", *command), cwd=laptop.folder, env=laptop.environment, check=False)
    assert done.returncode in (1, 2), done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def test_ssh_is_open_to_the_own_address_and_never_to_everybody(laptop: Laptop):
    assert "is everybody" in refused(laptop, "clusters/prepare_aws.py", "--ssh-from", "::/0")
    assert "give it: --ssh-from" in refused(laptop, "clusters/prepare_aws.py", "--address-from", "http://127.0.0.1:1/")
    assert not [group for group in look(laptop)["groups"] if group["GroupName"] == "nrtune"]
    service = laptop.start(
        "python", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(laptop.home), "5556"
    )
    try:
        (laptop.home / "me").write_text("203.0.113.7\n")
        wait_for("the service", lambda: ":5556 " in laptop.run("ss", "--no-header", "-ltn"), 60)
        prepare(laptop, "--address-from", "http://127.0.0.1:5556/me")
    finally:
        service.kill()
        service.communicate()
    assert {rule[3] for rule in ingress(nrtune_group(look(laptop))) if rule[0] == "tcp"} == {ME}


def test_the_head_tags_and_ends_nodes_of_its_own_cluster_alone(laptop: Laptop):
    prepare(laptop, "--ssh-from", ME)
    policy = json.loads(laptop.run("python", "-c", HEAD_POLICY).partition("found ")[2])
    for statement in policy["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if any(re.search("CreateTags|Stop|Start|Terminate", action) for action in actions):
            (condition,) = statement["Condition"].values()
            assert "nrtune" in [value for key, value in condition.items() if key.endswith("/ray-cluster-name")]


@pytest.mark.timeout(600)
def test_a_second_laptop_does_not_replace_the_head(laptop: Laptop, tmp_path: Path):
    assert "prepare_aws.py" in refused(laptop, "clusters/up.py", "cluster.yaml")  # CHANGE-ME
    prepare(laptop, "--ssh-from", ME)
    assert "make dist" in refused(laptop, "clusters/up.py", "cluster.yaml")
    (laptop.folder / "dist" / "nrtune-0-py3-none-any.whl").touch()
    assert look(laptop)["instances"] == []
    up(laptop)
    (head,) = look(laptop)["instances"]

    def copied(name: str) -> None:
        shutil.copy(laptop.home / name, second.home / name)

    second = Laptop(tmp_path / "second", laptop.namespace, **laptop.own)
    shutil.copy(laptop.folder / "cluster.yaml", second.folder / "cluster.yaml")
    shutil.copytree(laptop.folder / "dist", second.folder / "dist")
    said = refused(second, "clusters/up.py", "cluster.yaml", "--check")
    assert f"{second.home}/.ssh/nrtune.pem" in said
    assert f"{second.home}/.ray/auth_token" in said
    copied(".ssh/nrtune.pem")
    copied(".ray/auth_token")
    assert "nothing is missing" in second.run("python", "clusters/up.py", "cluster.yaml", "--check")
    text = (second.folder / "cluster.yaml").read_text()
    (second.folder / "cluster.yaml").write_text(text.replace("m7i.xlarge", "m7i.2xlarge"))
    said = refused(second, "clusters/up.py", "cluster.yaml", "--check")
    assert f"{head['InstanceId']}, the cluster's head, was started with another" in said
    assert [one["InstanceId"] for one in look(second)["instances"]] == [head["InstanceId"]]


@pytest.mark.timeout(600)
def test_all_that_was_made_is_removed(laptop: Laptop):
    before = look(laptop)
    text = (laptop.folder / "cluster.yaml").read_text()
    prepare(laptop, "--ssh-from", ME)
    (bucket,) = look(laptop)["buckets"]
    put = f"import boto3; boto3.client('s3', 'us-east-1').put_object(Bucket={bucket!r}, Key='mlflow/1', Body=b'1')"
    laptop.run("python", "-c", put)
    up(laptop)
    remove = ("clusters/prepare_aws.py", "--remove")
    assert "still run: `ray down cluster.yaml` first" in refused(laptop, *remove, "--yes")
    laptop.run("ray", "down", "cluster.yaml", "--yes", "--no-config-cache")
    there = look(laptop)
    assert [one["State"]["Name"] for one in there["instances"]] == ["stopped"]
    assert "--yes deletes without asking" in refused(laptop, *remove)
    assert look(laptop) == there
    assert "all of it is gone" in prepare(laptop, "--remove", "--yes")
    after = look(laptop)
    left = set(after.pop("roles")) - set(before.pop("roles"))
    assert all(name.startswith("AWSServiceRole") for name in left)  # AWS's own, for spot instances
    assert after == before
    assert (laptop.folder / "cluster.yaml").read_text() == text
    prepare(laptop, "--remove", "--yes")  # once more, of nothing
    assert "names them now" in prepare(laptop, "--ssh-from", ME)
