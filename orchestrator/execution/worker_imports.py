"""Whether workers find the modules that this process has: what a notebook puts into sys.path they do not see."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.registry import plugin_folders

_FIND = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]))
"""


def check_worker_imports() -> None:
    """See that a worker on this machine finds nrtune, and what the user's plug-ins import. Raises UserError.

    Nothing is imported: a worker is a Python of its own, whose path has neither the working folder nor what was added here.
    """
    imported = {"nrtune": "nrtune"}
    for folder in plugin_folders():
        for path in sorted(folder.rglob("*.py")):
            imported |= {name: str(path) for name in _imports(path) if name not in imported}
    here = {name: origin for name in imported if (origin := _found(name)) is not None}
    for name in _missing_in_a_worker(here):
        raise UserError(
            f"{imported[name]}: workers can't import {name}, which this process has from {here[name]}; install it, or put"
            " its folder into PYTHONPATH before the start"
        )


def _imports(path: Path) -> set[str]:
    """The top-level modules that a file imports, the standard library's left out."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):  # it is told of where the file is used
        return set()
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def _found(name: str) -> str | None:
    """Where this process has a module from; None where it has none."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # made at run time
        return None
    return None if spec is None else spec.origin or ", ".join(spec.submodule_search_locations or ())


def _missing_in_a_worker(names: Iterable[str]) -> list[str]:
    asked = subprocess.run(  # noqa: S603  # this Python; names are arguments
        [sys.executable, "-P", "-c", _FIND, *names],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if asked.returncode:
        said = asked.stderr.strip().rpartition("\n")[2]
        raise UserError(f"{sys.executable} does not start, so that no worker would ({said}); mend the installation")
    missing: list[str] = json.loads(asked.stdout)
    return missing
