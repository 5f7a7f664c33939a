"""A folder that data are fetched to, and the checksums of what was: SHA256SUMS, as `sha256sum --check` reads it."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pooch.hashes import file_hash, hash_algorithm, hash_matches

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import write_atomically
from nrtune.trainables.data.fetch.catalogue import File
from nrtune.trainables.data.fetch.partial_file import discard, keep

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class ChecksumStore:
    """What a folder holds of the catalogue. A checksum once recorded is enforced, on disk and for a later download."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, file: File) -> Path:
        """Where a file belongs."""
        return self.folder / file.path

    def holds(self, file: File) -> bool:
        """Whether a file is there, as it was fetched. Makes no request.

        Raises UserError for one that changed since, or that came from elsewhere and has no published checksum.
        """
        path = self.path(file)
        if not path.exists():
            return False
        digest, recorded = file_hash(path), self._sums().get(file.path)
        if recorded is None:
            if file.checksum is None or not hash_matches(path, file.checksum):
                raise UserError(f"{path}: is there, but nrtune did not fetch it; move it away, or give another --to")
            self._record(file.path, digest)
        elif digest != recorded:
            raise UserError(
                f"{path}: changed since it was fetched; move it away and fetch it again, or give another --to"
            )
        return True

    def accept(self, path: Path, content: Path, file: File, where: str) -> None:
        """Check what is about to become a file, and record its checksum.

        Raises UserError where it is not what the catalogue, or an earlier fetch, has.
        """
        check(content, file.checksum, where)
        digest, recorded = file_hash(content), self._sums().get(file.path)
        if recorded not in (None, digest):
            raise UserError(
                f"{where}: differs from what was fetched as {path} before, so it isn't kept;"
                f" take its line out of {self.folder / SUMS} to have it nevertheless"
            )
        self._record(file.path, digest)  # before the file appears: after a crash in between, it is fetched again

    def take(self, part: Path, file: File, where: str) -> None:
        """Make a whole download the file that it is; one that is something else is deleted. Raises UserError."""
        try:
            self.accept(self.path(file), part, file, where)
        except UserError:
            discard(part)
            raise
        keep(part, self.path(file))

    def _sums(self) -> dict[str, str]:
        path = self.folder / SUMS
        if not path.exists():
            return {}
        lines = path.read_text(encoding="utf-8").splitlines()
        matches = [(number, _LINE.fullmatch(line)) for number, line in enumerate(lines, start=1) if line]
        for number, match in matches:
            if match is None:
                raise UserError(f"{path}: line {number} is not a SHA-256 and a path; mend or delete it")
        return {match[2]: match[1] for _, match in matches if match is not None}

    def _record(self, name: str, digest: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder):
            sums = {**self._sums(), name: digest}
            text = "".join(f"{value}  {key}\n" for key, value in sorted(sums.items()))
            write_atomically(self.folder / SUMS, lambda temporary: temporary.write_text(text, encoding="utf-8"))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Others that fetch into the folder wait meanwhile, on file systems that know locks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check(content: Path, checksum: str | None, where: str) -> None:
    """Compare a file with a published checksum, `md5:…` or `sha256:…`. Raises UserError where they differ."""
    if not hash_matches(content, checksum):
        kind = hash_algorithm(checksum).upper()
        raise UserError(
            f"{where}: its {kind} is not the published one, so it isn't kept; fetch it again, or from elsewhere"
        )
