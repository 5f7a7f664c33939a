"""Run a command three times beside two processes that keep two cores busy: `make test-under-load`."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

TIMES = 3
BUSY = [
    sys.executable,
    "-c",
    "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))",
]
"""Ends with its parent, however that ends."""


def main(command: list[str]) -> int:
    """Return the exit code of the first run that fails, or 0."""
    with ExitStack() as stack:
        for _ in range(2):
            busy = stack.enter_context(subprocess.Popen(BUSY))
            stack.callback(busy.kill)
        for _ in range(TIMES):
            code = subprocess.run(command, check=False).returncode
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
