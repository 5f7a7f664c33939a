"""Checkpoints: written whole or not at all, read without running any code that they could hold, and known to be as written."""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.core.shape import DamagedFile

FORMAT = 2
WITHOUT_DIGEST = 1
"""The format of before there were digests."""
DIGEST = "digest"

LARGEST, LARGEST_INDEX, MOST_VALUES, DEEPEST = 1 << 30, 16 << 20, 1_000_000, 16
"""Limits on a file: its bytes, those of what describes its tensors, how many values it holds, and how deep they are nested."""

DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    OverflowError,
)
"""What reading a damaged or foreign file raises."""
_ARCHIVE = b"PK\x03\x04"
_MADE_OF = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"}
"""What a checkpoint is made of beside plain values and storages of tensors."""


class Unreadable(DamagedFile):
    """A file is no checkpoint, not a whole one, or not as it was written."""


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values to `path`, replacing it at once when all is on disk.

    Raises OSError where that can't be written: torch itself would say something else of a full disk.
    """
    whole = serialised(content)
    write_atomically(path, lambda temporary: temporary.write_bytes(whole), parents=False)


def serialised(content: Mapping[str, Any]) -> memoryview:
    """What `save` writes: tensors as they are on the CPU, and a digest of all."""
    kept = _on({**content, "format": FORMAT}, "cpu")
    kept[DIGEST] = digest_of(kept)
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    return buffer.getbuffer()


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save` wrote.

    Raises UserError for a missing file, Unreadable for a damaged or foreign one, and what the disk or the device raises:
    that says nothing about the file.
    """
    if path.is_dir():
        raise Unreadable(f"{path}: is a folder, not a checkpoint")
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        with path.open("rb") as file:
            _check_archive(file, path.stat().st_size)
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
        if isinstance(content, dict):
            _check_values(content, path.stat().st_size)
    except PermissionError as error:
        raise UserError(f"{path}: may not be read") from error
    except torch.OutOfMemoryError:
        raise
    except DAMAGE as error:
        raise Unreadable(f"{path}: is not a readable nrtune checkpoint ({type(error).__name__})") from error
    if not isinstance(content, dict) or content.get("format") not in (FORMAT, WITHOUT_DIGEST):
        raise Unreadable(f"{path}: is not a checkpoint of this nrtune version")
    check_digest(content, str(path))
    found: dict[str, Any] = _on(content, device)
    return found


def check_digest(content: Mapping[str, Any], where: str) -> None:
    """See that what was saved is as it was. where: it lies, for the error. Raises Unreadable."""
    if content.get("format") == FORMAT and content.get(DIGEST) != digest_of(content):
        raise Unreadable(
            f"{where}: was altered since nrtune wrote it (its digest is another); put the file of then back"
        )


def digest_of(content: Mapping[str, Any]) -> str:
    """32 hex digits of all that is saved but a digest itself: plain values, and tensors' names, types, shapes and bytes."""
    found = hashlib.blake2b(digest_size=16)
    for part in _encoded({key: value for key, value in content.items() if key != DIGEST}):
        found.update(part)
    return found.hexdigest()


def _encoded(value: Any) -> Iterator[bytes | memoryview]:
    if isinstance(value, Tensor):
        yield f"{value.dtype}{tuple(value.shape)}".encode()
        yield value.detach().contiguous().flatten().view(torch.uint8).numpy().data
    elif isinstance(value, Mapping):
        yield f"{{{len(value)}".encode()
        for key, item in value.items():
            yield from _encoded(key)
            yield from _encoded(item)
    elif isinstance(value, list | tuple):
        yield f"[{len(value)}".encode()
        for item in value:
            yield from _encoded(item)
    else:
        yield f"{type(value).__name__}{value!r},".encode()


def _on(value: Any, device: torch.device | str) -> Any:
    """The same with its tensors on a device."""
    if isinstance(value, Tensor):
        return value.detach().to(device)
    if isinstance(value, dict):
        return {key: _on(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on(item, device) for item in value)
    return value


def _check_archive(file: Any, size: int) -> None:
    """See that a file is what torch.save writes of tensors and plain values, before any of it is read. Raises ValueError."""
    if size > LARGEST:
        raise ValueError(f"has {size} bytes")
    if file.read(len(_ARCHIVE)) != _ARCHIVE:  # torch itself would read another kind of file
        raise ValueError("is no archive")
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("is packed")
        if sum(member.file_size for member in members) > size:
            raise ValueError("says that it holds more than it has")
        (index,) = (member for member in members if member.filename.endswith("/data.pkl"))
        if index.file_size > LARGEST_INDEX:
            raise ValueError("describes too many tensors")
        for opcode, argument, _ in pickletools.genops(archive.read(index)):
            if opcode.name == "GLOBAL" and argument not in _MADE_OF and not _is_storage(str(argument)):
                raise ValueError(f"is made of {argument}")


def _is_storage(name: str) -> bool:
    return name.startswith("torch ") and name.endswith("Storage")


def _check_values(content: Any, size: int) -> None:
    """See that there are tensors and plain values alone, no more than a file of so many bytes can hold. Raises ValueError."""
    left, bytes_left = MOST_VALUES, 2 * size  # two names may stand for the same tensor
    level = [content]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, Tensor):
                if value.layout is not torch.strided or value.device.type != "cpu":
                    raise ValueError("has tensors of other kinds")
                bytes_left -= value.numel() * value.element_size()
            elif isinstance(value, dict):
                below += [*value, *value.values()]
            elif isinstance(value, list | tuple):
                below += value
            elif not isinstance(value, str | int | float | bool | None):
                raise ValueError(f"has a {type(value).__name__}")
            if len(below) > left or bytes_left < 0:
                raise ValueError("holds more than its file")
        left -= len(below)
        level = below
        if not level:
            return
    raise ValueError("is nested too deeply")
