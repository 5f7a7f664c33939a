"""Machines on this machine: network namespaces on one switch, each with a systemd, an ssh server and files of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SYSTEMD = Path("/lib/systemd/systemd")
COMMANDS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "pg_ctlcluster": "postgresql",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "/usr/sbin/sshd": "openssh-server",
    str(SYSTEMD): "systemd",
}
"""What the hosts need of this machine, and the Debian package that has it."""

UNWANTED = ("avahi-daemon", "bluetooth", "cron", "cups", "systemd-timesyncd", "systemd-networkd", "NetworkManager")


def skip_without_hosts() -> None:
    """Skip where no hosts can be made here."""
    if os.geteuid() != 0:
        pytest.skip("making hosts in namespaces needs root")
    missing = sorted({package for command, package in COMMANDS.items() if shutil.which(command) is None})
    if missing:
        pytest.skip(f"making hosts needs apt-get install {' '.join(missing)}")
    refused = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--cgroup", "--fork", "true"], capture_output=True, text=True
    )
    if refused.returncode:
        pytest.skip(f"this machine lets nobody make namespaces: {refused.stderr.strip()}")


def wait_for(what: str, holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for nothing: {what}"
        time.sleep(0.3)


def run(*command: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, both outputs together; where it fails, they are the error."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert not check or done.returncode == 0, f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout}"
    return done


class Network:
    """A switch, and hosts at 10.77.0.1 and on; nothing outside it can be reached, and it can't be reached from outside."""

    def __init__(self, folder: Path, image: Path, shared: Path) -> None:
        self.folder, self.image, self.shared = folder, image, shared
        self.prefix = f"nrtune{os.getpid()}"
        self.namespaces: list[str] = []
        self.hosts: list[Host] = []
        self.switch = self._namespace("switch")
        run("ip", "-n", self.switch, "link", "add", "switch", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "switch", "up")

    def connect(self, name: str, address: str) -> str:
        """Make a network namespace with an address on the switch; returns its name."""
        namespace = self._namespace(name)
        run("ip", "link", "add", "eth0", "netns", namespace, "type", "veth", "peer", name, "netns", self.switch)
        run("ip", "-n", self.switch, "link", "set", name, "master", "switch", "up")
        run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", namespace, "link", "set", device, "up")
        # It leads nowhere, but Ray takes a machine's address from its default route.
        run("ip", "-n", namespace, "route", "add", "default", "via", "10.77.0.254")
        return namespace

    def host(self, address: str) -> Host:
        """Boot a host."""
        name = f"host{len(self.hosts) + 1}"
        host = Host(self.connect(name, address), address, name, self)
        self.hosts.append(host)
        host.boot()
        return host

    def close(self) -> None:
        """End all hosts and take the switch away."""
        for host in self.hosts:
            host.off()
        for namespace in self.namespaces:
            run("ip", "netns", "del", namespace, check=False)

    def _namespace(self, name: str) -> str:
        namespace = f"{self.prefix}-{name}"
        run("ip", "netns", "add", namespace)
        self.namespaces.append(namespace)
        return namespace


class Host:
    """A machine that can be switched off and on again; what is on its disk stays."""

    def __init__(self, namespace: str, address: str, name: str, network: Network) -> None:
        self.namespace, self.address, self.name, self.network = namespace, address, name, network
        self.process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Switch it on, and wait for its ssh server."""
        unshare = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]
        script = [str(Path(__file__).with_name("host.sh")), str(self.network.folder / self.name)]
        command = ["ip", "netns", "exec", self.namespace, *unshare, *script, str(self.network.image)]
        with (self.network.folder / f"{self.name}.log").open("w") as log:
            self.process = subprocess.Popen(
                [*command, str(self.network.shared), self.name], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for(f"{self.name}'s ssh server", lambda: ":22 " in self.listening(check=False), 60)

    def off(self) -> None:
        """Cut its power."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)  # the kernel ends all that ran in its pid namespace
            self.process.wait(30)
            wait_for(f"{self.name} to go", lambda: not run("ip", "netns", "pids", self.namespace).stdout.strip(), 30)
            self.process = None

    def run(self, command: str, check: bool = True) -> str:
        """Run a shell command on it as root; returns what it printed."""
        init = self._init()
        if init is None:
            assert not check, f"{self.name} is off"
            return ""
        enter = ["nsenter", "--target", init, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        enter += ["--root", "--wd"]  # those of the host
        environment = ["env", "-i", "HOME=/root", f"PATH={os.defpath}:/usr/sbin:/sbin"]
        return run(*enter, *environment, "bash", "-c", command, check=check).stdout

    def listening(self, check: bool = True) -> str:
        """Its listening TCP sockets, a line each: address:port and the process."""
        return self.run("ss --no-header --listening --tcp --numeric --processes", check=check)

    def _init(self) -> str | None:
        assert self.process is not None
        assert self.process.poll() is None, (self.network.folder / f"{self.name}.log").read_text()
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            if Path(f"/proc/{child}/exe").exists() and os.readlink(f"/proc/{child}/exe").endswith("systemd/systemd"):
                return child
        return None


def make_image(folder: Path, environment: Path, public_key: str) -> Path:
    """Make what the hosts have beside this machine's files: a key that may log in, and installed Python packages.

    The packages are a copy of an environment's, for installing them anew would take minutes a host: set-up finds them there, and
    installs nrtune's wheel over them.
    """
    home = folder / "files" / "root"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "authorized_keys").write_text(public_key)
    home.chmod(0o700)
    (home / ".ssh").chmod(0o700)
    target = folder / "nrtune" / "venv"
    target.parent.mkdir()
    copied = run("cp", "-al", str(environment), str(target), check=False)
    if copied.returncode:  # hard links do not reach other file systems
        shutil.rmtree(target, ignore_errors=True)
        run("cp", "-a", str(environment), str(target))
    for script in (target / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        if content.startswith(b"#!") and bytes(environment) in content:
            mode = script.stat().st_mode
            script.unlink()  # never through the link into the environment itself
            script.write_bytes(content.replace(bytes(environment), b"/root/nrtune/venv"))
            script.chmod(mode)
    system = folder / "files" / "etc" / "systemd" / "system"
    system.mkdir(parents=True)
    for unit in UNWANTED:
        (system / f"{unit}.service").symlink_to("/dev/null")
    return folder
