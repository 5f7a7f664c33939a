"""What a campaign leaves as it found it, for a notebook that goes on with a Ray Tune or an Optuna of its own."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def variables_as_found(*prefixes: str) -> Iterator[None]:
    """Put the environment's variables of these names back at the end, whoever has set them."""

    def variables() -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}

    found = variables()
    try:
        yield
    finally:
        for name in variables().keys() - found.keys():
            del os.environ[name]
        os.environ.update(found)


@contextmanager
def loggers_as_found(*names: str) -> Iterator[None]:
    """Put the loggers' levels back at the end; what they belong to has been imported, which gives them some."""
    found = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in names}
    try:
        yield
    finally:
        for name, (level, propagate) in found.items():
            logging.getLogger(name).setLevel(level)
            logging.getLogger(name).propagate = propagate


@contextmanager
def temporary_files_in(folder: Path | None) -> Iterator[None]:
    """Temporary files of this process, libraries' included, go into a folder that is removed whatever becomes of it."""
    found = tempfile.tempdir
    try:
        if folder is not None:
            (place := folder / "temporary").mkdir()
            tempfile.tempdir = str(place)
        yield
    finally:
        tempfile.tempdir = found
