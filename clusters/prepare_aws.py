"""Make what cluster.yaml names in an AWS account, once, before its first `ray up`.

    python clusters/prepare_aws.py --ssh-from 203.0.113.7/32

It makes, in the region of cluster.yaml, what is not there yet: the security group (ssh from that address, everything between its
members), the head's instance profile, a bucket for what is final, an EFS file system with an address in each zone of the
default VPC. It then writes the names of the bucket and of the file system over CHANGE-ME in cluster.yaml. A second run changes
only the addresses that may use ssh. It takes the credentials that boto3 finds; they need EC2, IAM, S3 and EFS.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import ClientError

PLACEHOLDER = "CHANGE-ME"
NAME = "nrtune"
EXISTS = "EntityAlreadyExists"


def main() -> None:
    """Make all of it, and say what was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ssh-from", required=True, metavar="CIDR", type=_addresses, help="who may use ssh")
    parser.add_argument("cluster", nargs="?", type=Path, default=Path("cluster.yaml"), help="[default: cluster.yaml]")
    options = parser.parse_args()
    config = yaml.safe_load(options.cluster.read_text())
    provider = config["provider"]
    region = provider["region"]
    head = config["available_node_types"][config["head_node_type"]]["node_config"]

    ec2 = boto3.client("ec2", region)
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        sys.exit(f"{region} has no default VPC; make one: aws ec2 create-default-vpc --region {region}")
    vpc = vpcs[0]["VpcId"]
    group = security_group(ec2, provider["security_group"]["GroupName"], vpc, options.ssh_from)
    _say(f"security group {group}: ssh from {options.ssh_from}")
    account = boto3.client("sts", region).get_caller_identity()["Account"]
    bucket = f"{NAME}-{account}-{region}"
    make_bucket(boto3.client("s3", region), bucket, region)
    _say(f"bucket {bucket}")
    profile = head["IamInstanceProfile"]["Name"]
    iam = boto3.client("iam")
    instance_profile(iam, profile, bucket)
    # An account's first spot instance needs this role of AWS's own, which the head may not make.
    _unless_there(iam.create_service_linked_role, EXISTS, "InvalidInput", AWSServiceName="spot.amazonaws.com")
    _say(f"instance profile {profile}")
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    share = file_system(boto3.client("efs", region), group, [subnet["SubnetId"] for subnet in subnets])
    _say(f"file system {share}")
    text = options.cluster.read_text()
    filled = text.replace(f"fs-{PLACEHOLDER}.efs.us-east-1.", f"{share}.efs.{region}.")
    filled = filled.replace(f"s3://{PLACEHOLDER}", f"s3://{bucket}")
    if filled != text:
        options.cluster.write_text(filled)
        _say(f"{options.cluster} names them now")


def security_group(ec2: Any, name: str, vpc: str, ssh_from: str) -> str:
    """Make a security group that is open within itself and for ssh from an address, or set one's ssh rule; its id."""
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [name]}]
    found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    if found:
        group, rules = found[0]["GroupId"], found[0]["IpPermissions"]
    else:
        about = "nrtune: ssh from outside, everything inside"
        group = ec2.create_security_group(GroupName=name, Description=about, VpcId=vpc)["GroupId"]
        rules = []
    inside = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    ranges = "Ipv6Ranges" if ":" in ssh_from else "IpRanges"
    ssh[ranges] = [{"CidrIpv6" if ":" in ssh_from else "CidrIp": ssh_from}]
    wanted = [rule for rule in rules if rule["IpProtocol"] == "-1" and _only_from(rule, group)]
    others = [rule for rule in rules if rule not in wanted]
    if others:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=others)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh] if wanted else [inside, ssh])
    return str(group)


def make_bucket(s3: Any, name: str, region: str) -> None:
    """Make a bucket that nobody can make public."""
    try:
        s3.head_bucket(Bucket=name)
        return
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **where)
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))


def instance_profile(iam: Any, name: str, bucket: str) -> None:
    """Make the head's instance profile, with a role of the same name."""
    trust = _policy("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})
    _unless_there(iam.create_role, EXISTS, RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=head_policy(bucket))
    _unless_there(iam.create_instance_profile, EXISTS, InstanceProfileName=name)
    if not iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def head_policy(bucket: str) -> str:
    """What the head may do: start workers, end those of a Ray cluster, and use the bucket."""
    tagged = {"StringLike": {"aws:ResourceTag/ray-cluster-name": "*"}}
    statements = [
        {"Action": ["ec2:Describe*", "ec2:RunInstances"], "Resource": "*"},
        {"Action": "ec2:CreateTags", "Resource": "arn:aws:ec2:*:*:*/*"},
        {"Action": ["ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"], "Resource": "*", "Condition": tagged},
        {"Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": f"arn:aws:s3:::{bucket}"},
        {"Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": f"arn:aws:s3:::{bucket}/*"},
    ]  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]})


def file_system(efs: Any, group: str, subnets: list[str]) -> str:
    """Make an encrypted file system that the security group's members reach in each subnet; its id."""
    found = [one for one in _all_file_systems(efs) if one.get("CreationToken") == NAME]
    if found:
        share = found[0]["FileSystemId"]
    else:
        tags = [{"Key": "Name", "Value": NAME}]
        made = efs.create_file_system(CreationToken=NAME, Encrypted=True, ThroughputMode="elastic", Tags=tags)
        share = made["FileSystemId"]
    _wait(lambda: efs.describe_file_systems(FileSystemId=share)["FileSystems"])

    def targets() -> list[dict[str, Any]]:
        return list(efs.describe_mount_targets(FileSystemId=share)["MountTargets"])

    there = {target["SubnetId"] for target in targets()}
    for subnet in subnets:
        if subnet not in there:
            efs.create_mount_target(FileSystemId=share, SubnetId=subnet, SecurityGroups=[group])
    _wait(targets)
    return str(share)


def _wait(things: Callable[[], list[dict[str, Any]]]) -> None:
    """Wait until EFS says that all of some things can be used: it takes a minute or two."""
    for _ in range(100):
        if {thing["LifeCycleState"] for thing in things()} == {"available"}:
            return
        time.sleep(3)
    sys.exit("EFS takes too long; look at it in the console, and run this again")


def _all_file_systems(efs: Any) -> list[dict[str, Any]]:
    pages = efs.get_paginator("describe_file_systems").paginate()
    return [one for page in pages for one in page["FileSystems"]]


def _only_from(rule: dict[str, Any], group: str) -> bool:
    """Whether a rule lets in members of the group, and nobody else."""
    others = any(rule.get(key) for key in ("IpRanges", "Ipv6Ranges", "PrefixListIds"))
    return not others and [pair["GroupId"] for pair in rule.get("UserIdGroupPairs", [])] == [group]


def _policy(action: str, **statement: Any) -> str:
    allowed = {"Effect": "Allow", "Action": action, **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def _unless_there(create: Any, *codes: str, **arguments: str) -> None:
    """Create something; AWS says that it is there already by an error code, of which it has several."""
    try:
        create(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in codes:
            raise


def _addresses(text: str) -> str:
    """A network in CIDR notation. Raises ArgumentTypeError for everybody's."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; give an address such as 203.0.113.7/32") from error
    if network.prefixlen == 0:
        raise argparse.ArgumentTypeError(f"{text} is everybody; give your own address, such as 203.0.113.7/32")
    return str(network)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
