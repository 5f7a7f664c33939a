"""Delete what prepare_aws.py and `ray up` have made in an AWS account: `prepare_aws.py --remove`.

Gone with it are the campaigns on the file system, what MLflow keeps in the bucket, and its database on the head's disk. What is
left: AWS's own role for spot instances, which costs nothing, and the key in ~/.ssh.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from prepare_aws import NAME, PLACEHOLDER, bucket_name, find_file_system, say

GONE = {"404", "NoSuchBucket", "NoSuchEntity", "FileSystemNotFound", "InvalidGroup.NotFound", "InvalidKeyPair.NotFound"}
"""How AWS says that there is nothing to delete."""

ATTEMPTS = 100
"""Looks, three seconds apart, whether AWS is done with something."""


def remove(config: dict[str, Any], path: Path, *, sure: bool) -> None:
    """Delete all of it, after a question unless sure, and write CHANGE-ME into the settings' file again.

    Ends the program before anything is deleted where nodes of the cluster still run, or the question is answered otherwise.
    """
    provider, region = config["provider"], config["provider"]["region"]
    head = config["available_node_types"][config["head_node_type"]]["node_config"]
    ec2, efs = boto3.client("ec2", region), boto3.client("efs", region)
    bucket = bucket_name(boto3.client("sts", region).get_caller_identity()["Account"], region)
    nodes = _nodes(ec2, config["cluster_name"])
    running = [name for name, state in nodes.items() if state in ("pending", "running")]
    if running:
        sys.exit(f"{', '.join(running)} of the cluster still run: `ray down {path}` first; nothing was deleted")
    share = find_file_system(efs)
    say(f"To be deleted for ever, in {region}:")
    say(f"  {len(nodes)} stopped nodes, the head's disk with MLflow's database among them")
    say(f"  the file system {share} with all campaigns" if share else "  no file system: there is none")
    say(f"  the bucket {bucket} with MLflow's files, the security group, the instance profile, the key pair")
    if not sure and not (sys.stdin.isatty() and input(f"Type {NAME} to delete all of it: ").strip() == NAME):
        sys.exit("nothing was deleted; --yes deletes without asking")
    if nodes:
        ec2.terminate_instances(InstanceIds=list(nodes))
        _wait_until(lambda: not _nodes(ec2, config["cluster_name"]), "the nodes to end")
    if share is not None:
        _remove_file_system(efs, share)
    _remove_bucket(region, bucket)
    _remove_profile(head["IamInstanceProfile"]["Name"])
    if key := provider.get("key_pair", {}).get("key_name"):
        _unless_gone(ec2.delete_key_pair, KeyName=key)
    for vpc in ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]:
        named = {"vpc-id": vpc["VpcId"], "group-name": provider["security_group"]["GroupName"]}
        filters = [{"Name": name, "Values": [value]} for name, value in named.items()]
        for group in ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
            _remove_group(ec2, group["GroupId"])
    text = path.read_text()
    emptied = text.replace(f"s3://{bucket}", f"s3://{PLACEHOLDER}")
    if share is not None:
        emptied = emptied.replace(f"{share}.efs.{region}.", f"fs-{PLACEHOLDER}.efs.us-east-1.")
    if emptied != text:
        path.write_text(emptied)
    say("all of it is gone")


def _nodes(ec2: Any, cluster: str) -> dict[str, str]:
    """The state of each instance of a cluster that is not gone, by its id."""
    filters = [{"Name": "tag:ray-cluster-name", "Values": [cluster]}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    found = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
    return {one["InstanceId"]: one["State"]["Name"] for one in found if one["State"]["Name"] != "terminated"}


def _remove_file_system(efs: Any, share: str) -> None:
    for target in efs.describe_mount_targets(FileSystemId=share)["MountTargets"]:
        _unless_gone(efs.delete_mount_target, MountTargetId=target["MountTargetId"])
    _wait_until(lambda: not efs.describe_mount_targets(FileSystemId=share)["MountTargets"], "EFS to free its addresses")
    efs.delete_file_system(FileSystemId=share)
    _wait_until(lambda: find_file_system(efs) is None, "the file system to go")


def _remove_bucket(region: str, name: str) -> None:
    s3 = boto3.client("s3", region)
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if objects and (left := s3.delete_objects(Bucket=name, Delete={"Objects": objects}).get("Errors")):
                sys.exit(f"{name}: {left[0]['Key']} can't be deleted ({left[0].get('Message', left[0].get('Code'))})")
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
    _unless_gone(s3.delete_bucket, Bucket=name)


def _remove_profile(name: str) -> None:
    iam = boto3.client("iam")
    _unless_gone(iam.remove_role_from_instance_profile, InstanceProfileName=name, RoleName=name)
    _unless_gone(iam.delete_instance_profile, InstanceProfileName=name)
    _unless_gone(iam.delete_role_policy, RoleName=name, PolicyName=name)
    _unless_gone(iam.delete_role, RoleName=name)


def _remove_group(ec2: Any, group: str) -> None:
    """Delete a security group; interfaces of what was just ended hold it for a while."""

    def deleted() -> bool:
        try:
            _unless_gone(ec2.delete_security_group, GroupId=group)
        except ClientError as error:
            if error.response["Error"]["Code"] != "DependencyViolation":
                raise
            return False
        return True

    _wait_until(deleted, "the security group to be free")


def _unless_gone(delete: Any, **arguments: str) -> None:
    try:
        delete(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise


def _wait_until(holds: Any, what: str) -> None:
    for _ in range(ATTEMPTS):
        if holds():
            return
        time.sleep(3)
    sys.exit(f"waited five minutes for {what}; the same command again goes on from here")
