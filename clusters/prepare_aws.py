"""Make what cluster.yaml names in an AWS account, once, before its first `ray up`.

    python clusters/prepare_aws.py                               ssh from this machine's public address
    python clusters/prepare_aws.py --ssh-from 203.0.113.0/24     ssh from others; may be given more than once
    python clusters/prepare_aws.py --remove                      end and delete all of it, with all that is in it

It makes, in the region of cluster.yaml, what is not there yet: the security group (ssh from that address, everything between its
members), the head's instance profile, a bucket for what is final, an EFS file system with an address in each zone of the
default VPC. It then writes the names of the bucket and of the file system over CHANGE-ME in cluster.yaml. A second run changes
only the addresses that may use ssh, and goes on where a first one ended. It takes the credentials that boto3 finds; they need
EC2, IAM, S3 and EFS.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

PLACEHOLDER = "CHANGE-ME"
NAME = "nrtune"
EXISTS = "EntityAlreadyExists"
ADDRESS_SERVICE = "https://checkip.amazonaws.com"
"""Answers with the address that one comes from; AWS's own."""


def main() -> None:
    """Make all of it, or remove it, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--ssh-from", action="append", metavar="CIDR", type=_addresses, help="who may use ssh [default: this machine]"
    )
    parser.add_argument("--address-from", default=ADDRESS_SERVICE, metavar="URL", help=f"[default: {ADDRESS_SERVICE}]")
    parser.add_argument("--remove", action="store_true", help="delete all that was made, and all that is in it")
    parser.add_argument("--yes", action="store_true", help="delete without asking")
    parser.add_argument("cluster", nargs="?", type=Path, default=Path("cluster.yaml"), help="[default: cluster.yaml]")
    options = parser.parse_args()
    try:
        config = yaml.safe_load(options.cluster.read_text())
        if options.remove:
            from remove_aws import remove

            remove(config, options.cluster, sure=options.yes)
        else:
            make(config, options.cluster, options.ssh_from or [own_address(options.address_from)])
    except (ClientError, BotoCoreError, OSError) as error:
        sys.exit(f"{error}\nnothing else was done; the same command again goes on from here")


def make(config: dict[str, Any], path: Path, ssh_from: list[str]) -> None:
    """Make what a cluster's settings name, and write the names of bucket and file system into their file."""
    provider = config["provider"]
    region = provider["region"]
    head = config["available_node_types"][config["head_node_type"]]["node_config"]

    ec2 = boto3.client("ec2", region)
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        sys.exit(f"{region} has no default VPC; make one: aws ec2 create-default-vpc --region {region}")
    vpc = vpcs[0]["VpcId"]
    group = security_group(ec2, provider["security_group"]["GroupName"], vpc, ssh_from)
    say(f"security group {group}: ssh from {', '.join(ssh_from)}")
    account = boto3.client("sts", region).get_caller_identity()["Account"]
    bucket = bucket_name(account, region)
    make_bucket(boto3.client("s3", region), bucket, region)
    say(f"bucket {bucket}")
    profile = head["IamInstanceProfile"]["Name"]
    iam = boto3.client("iam")
    instance_profile(iam, profile, bucket, config["cluster_name"])
    # An account's first spot instance needs this role of AWS's own, which the head may not make.
    _unless_there(iam.create_service_linked_role, EXISTS, "InvalidInput", AWSServiceName="spot.amazonaws.com")
    say(f"instance profile {profile}")
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    share = file_system(boto3.client("efs", region), group, one_a_zone(subnets))
    say(f"file system {share}")
    text = path.read_text()
    filled = text.replace(f"fs-{PLACEHOLDER}.efs.us-east-1.", f"{share}.efs.{region}.")
    filled = filled.replace(f"s3://{PLACEHOLDER}", f"s3://{bucket}")
    if filled != text:
        path.write_text(filled)
        say(f"{path} names them now")


def own_address(service: str) -> str:
    """The public address of this machine, as a network of one. Ends the program where the service does not answer with one."""
    try:
        with urllib.request.urlopen(service, timeout=20) as answer:  # noqa: S310  # the user's own, or the default, over https
            return str(ipaddress.ip_network(answer.read(100).decode().strip()))
    except (OSError, ValueError) as error:
        sys.exit(f"{service} does not tell this machine's address ({error}); give it: --ssh-from 203.0.113.7/32")


def bucket_name(account: str, region: str) -> str:
    """The name of an account's bucket: the world's buckets share their names."""
    return f"{NAME}-{account}-{region}"


def one_a_zone(subnets: list[dict[str, Any]]) -> dict[str, str]:
    """A subnet of each zone by the zone's id, its default one where it has one: EFS takes one address a zone."""
    chosen: dict[str, str] = {}
    for subnet in sorted(subnets, key=lambda one: (not one["DefaultForAz"], one["SubnetId"])):
        chosen.setdefault(subnet["AvailabilityZoneId"], subnet["SubnetId"])
    return chosen


def security_group(ec2: Any, name: str, vpc: str, ssh_from: list[str]) -> str:
    """Make a security group that is open within itself and for ssh from addresses, or set one's ssh rule; its id."""
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
    ssh["IpRanges"] = [{"CidrIp": one} for one in ssh_from if ":" not in one]
    ssh["Ipv6Ranges"] = [{"CidrIpv6": one} for one in ssh_from if ":" in one]
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


def instance_profile(iam: Any, name: str, bucket: str, cluster: str) -> None:
    """Make the head's instance profile, with a role of the same name."""
    trust = _policy("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})
    _unless_there(iam.create_role, EXISTS, RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=head_policy(bucket, cluster))
    _unless_there(iam.create_instance_profile, EXISTS, InstanceProfileName=name)
    if not iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def head_policy(bucket: str, cluster: str) -> str:
    """What the head may do: start workers, tag and end those of its own cluster, and use the bucket."""
    own = {"StringEquals": {"aws:ResourceTag/ray-cluster-name": cluster}}
    launched = {"StringEquals": {"ec2:CreateAction": "RunInstances", "aws:RequestTag/ray-cluster-name": cluster}}
    instances, ends = (
        "arn:aws:ec2:*:*:instance/*",
        ["ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"],
    )
    statements = [
        {"Action": ["ec2:Describe*", "ec2:RunInstances"], "Resource": "*"},
        {"Action": "ec2:CreateTags", "Resource": instances, "Condition": launched},
        {"Action": ["ec2:CreateTags", *ends], "Resource": instances, "Condition": own},
        {"Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": f"arn:aws:s3:::{bucket}"},
        {"Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": f"arn:aws:s3:::{bucket}/*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]})


def file_system(efs: Any, group: str, subnets: dict[str, str]) -> str:
    """Make an encrypted file system that the security group's members reach in each zone; its id.

    subnets: one of each zone, by the zone's id. Zones in which EFS is not to be had are said, and left out.
    """
    if (found := find_file_system(efs)) is None:
        tags = [{"Key": "Name", "Value": NAME}]
        made = efs.create_file_system(CreationToken=NAME, Encrypted=True, ThroughputMode="elastic", Tags=tags)
        found = made["FileSystemId"]
    share = str(found)
    _wait(lambda: efs.describe_file_systems(FileSystemId=share)["FileSystems"])

    def targets() -> list[dict[str, Any]]:
        return list(efs.describe_mount_targets(FileSystemId=share)["MountTargets"])

    there = {target["AvailabilityZoneId"] for target in targets()}
    for zone, subnet in subnets.items():
        if zone in there:
            continue
        try:
            efs.create_mount_target(FileSystemId=share, SubnetId=subnet, SecurityGroups=[group])
        except ClientError as error:
            if error.response["Error"]["Code"] == "UnsupportedAvailabilityZone":
                say(f"EFS is not in zone {zone}: name the other zones as provider.availability_zone in cluster.yaml")
            elif error.response["Error"]["Code"] != "MountTargetConflict":  # made since we looked
                raise
    _wait(targets)
    return share


def find_file_system(efs: Any) -> str | None:
    """The id of the file system that was made before; None without one."""
    pages = efs.get_paginator("describe_file_systems").paginate()
    found = [one for page in pages for one in page["FileSystems"] if one.get("CreationToken") == NAME]
    return str(found[0]["FileSystemId"]) if found else None


def _wait(things: Callable[[], list[dict[str, Any]]]) -> None:
    """Wait until EFS says that all of some things can be used: it takes a minute or two."""
    for _ in range(100):
        if {thing["LifeCycleState"] for thing in things()} == {"available"}:
            return
        time.sleep(3)
    sys.exit("EFS takes too long; look at it in the console, and run this again")


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


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
