"""Checkpoints: written whole or not at all, and read without running any code that they could hold."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import write_atomically

FORMAT = 1

DAMAGE = (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, TypeError, LookupError, AttributeError)
"""What torch.load raises for a damaged or foreign file."""


class Unreadable(UserError):
    """A file is no checkpoint, or not a whole one."""


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values to `path`, replacing it at once when all is on disk.

    Raises OSError where that can't be written: torch itself would say something else of a full disk.
    """
    whole = serialised(content)
    write_atomically(path, lambda temporary: temporary.write_bytes(whole), parents=False)


def serialised(content: dict[str, Any]) -> memoryview:
    """What `save` writes."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    return buffer.getbuffer()


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save` wrote.

    Raises UserError for a missing file, Unreadable for a damaged or foreign one, and what the disk or the device raises:
    that says nothing about the file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        content = torch.load(io.BytesIO(path.read_bytes()), map_location=device, weights_only=True)
    except PermissionError as error:
        raise UserError(f"{path}: may not be read") from error
    except DAMAGE as error:
        # torch has RuntimeError for a damaged archive, and so has a device that is out of memory.
        if isinstance(error, RuntimeError) and not any(
            word in str(error) for word in ("PytorchStreamReader", "weights_only")
        ):
            raise
        raise Unreadable(f"{path}: is not a readable nrtune checkpoint ({type(error).__name__})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Unreadable(f"{path}: is not a checkpoint of this nrtune version")
    return content
