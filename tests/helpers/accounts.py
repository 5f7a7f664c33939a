"""Commands as another account of this machine: what it may not write is not written, whatever root may do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

OTHER, COLLEAGUE, GROUP = 61_001, 61_002, 61_000
"""Numbers of two accounts and their group, none of which need have a name."""


def as_account(user: int, home: Path, *, umask: int = 0o022) -> list[str]:
    """What goes before a command to run it as an account, whose home is made. Skips where this is not for us to do.

    It may read everything, as the interpreter may lie in the home of whoever runs the tests; it may write what its account may.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root, with setpriv, can run commands as another account")
    home.mkdir(exist_ok=True)
    os.chown(home, user, GROUP)
    reading = "-all,+dac_read_search"
    return [
        "setpriv", f"--reuid={user}", f"--regid={GROUP}", "--clear-groups",
        f"--inh-caps={reading}", f"--ambient-caps={reading}", "--bounding-set=-all,+dac_read_search",
        "env", f"HOME={home}", "sh", "-c", f'umask {umask:03o} && exec "$@"', "sh",
    ]  # fmt: skip
