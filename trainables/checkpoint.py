"""Checkpoints: written whole or not at all, and read without running any code that they could hold."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from trainables.errors import UserError
from trainables.files import write_atomically

FORMAT = 1


class Unreadable(UserError):
    """A file is no checkpoint, or not a whole one."""


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values to `path`, replacing it at once when all is on disk.

    Raises OSError where that can't be written: torch itself would say something else of a full disk.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getbuffer()))


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save` wrote. Raises UserError for a missing file, Unreadable for a damaged or foreign one."""
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise Unreadable(f"{path}: is not a readable nrtune checkpoint ({type(error).__name__})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Unreadable(f"{path}: is not a checkpoint of this nrtune version")
    return content
