"""A PostgreSQL of one's own, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import free_port

USER = "nr"


@contextmanager
def database(password: str) -> Iterator[str]:
    """The address of an empty database that asks for a password, over TCP. Skips where PostgreSQL is missing."""
    programs = [*sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), shutil.which("pg_ctl")]
    if programs[-1] is None:
        programs.pop()
    if not programs:
        pytest.skip("no PostgreSQL here (pg_ctl)")
    within, port = Path(str(programs[-1])).parent, free_port()
    folder = Path(tempfile.mkdtemp(prefix="nrtune-pg-", dir="/tmp"))  # pytest's own may be entered by its user alone
    words: list[str] = []
    try:
        (folder / "password").write_text(password)
        if os.geteuid() == 0:  # whom it refuses
            owner = pwd.getpwnam("postgres")
            for path in (folder, folder / "password"):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            words = ["runuser", "-u", "postgres", "--"]

        def run(program: str, *arguments: str) -> None:
            command = [*words, str(within / program), *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

        run("initdb", "-D", "data", "-A", "scram-sha-256", "-U", USER, f"--pwfile={folder / 'password'}")
        options = f"-p {port} -k {folder} -c fsync=off"
        run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg2://{USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
