"""What can be fetched, and from where: `catalogue.yaml`, typed."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nrtune.trainables.core.errors import UserError, one_line, suggest

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
MEGABYTE = 10**6

_REGION = re.compile(r"(chr\w+):(\d+)-(\d+)")


class Region(NamedTuple):
    """Bases first to last of a chromosome, 1-based, both included."""

    chrom: str
    first: int
    last: int


def _inside(path: str) -> str:
    if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("must lead to a place below a folder")
    return path


def _checksum(text: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", text):
        raise ValueError("must be sha256: or md5: and its hex digits")
    return text


Url = Annotated[str, Field(pattern=r"^https?://[^/]+")]
Inside = Annotated[str, AfterValidator(_inside)]
Checksum = Annotated[str, AfterValidator(_checksum)]
Megabytes = Annotated[int, Field(ge=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Archive(_Entry):
    """A tar file. record: address of a Zenodo record's description, with sizes and MD5 of its files, this one's `name`."""

    name: str
    urls: Annotated[tuple[Url, ...], Field(min_length=1)]
    record: Url | None = None
    checksum: Checksum | None = None
    max_mb: Megabytes
    unpacked_max_mb: Megabytes


class Windows(_Entry):
    """Sequences around elements: `margin` bases on both sides. url: with chrom, start (0-based) and end to be filled in."""

    genome: str
    url: Url
    margin: Annotated[int, Field(ge=0)]
    elements: dict[str, Annotated[str, Field(pattern=_REGION.pattern)]]

    def regions(self) -> dict[str, Region]:
        """The window of each element."""
        found = {}
        for name, text in self.elements.items():
            chrom, first, last = _REGION.fullmatch(text).groups()  # type: ignore[union-attr]
            found[name] = Region(chrom, int(first) - self.margin, int(last) + self.margin)
        return found


class File(_Entry):
    """A file to have: from `urls`, a `member` of an `archive`, the `windows`; or else from a mirror alone.

    path: below the folder that is fetched to. mirror: where mirrors have it, the first that does.
    """

    path: Inside
    mirror: tuple[Inside, ...] = ()
    urls: tuple[Url, ...] = ()
    archive: str | None = None
    member: str | None = None
    windows: bool = False
    checksum: Checksum | None = None
    max_mb: Megabytes

    @model_validator(mode="after")
    def _one_source(self) -> File:
        if bool(self.urls) + bool(self.archive) + self.windows > 1:
            raise ValueError("needs one source: urls, archive or windows")
        if bool(self.archive) != bool(self.member):
            raise ValueError("archive and member go together")
        return self

    @property
    def has_source(self) -> bool:
        """Whether it can be had without a mirror."""
        return bool(self.urls or self.archive or self.windows)

    @property
    def mirror_paths(self) -> tuple[str, ...]:
        """Below a mirror's address, the first choice first."""
        return self.mirror or (self.path,)


class DataSet(_Entry):
    """What one name stands for. by_hand: how to get what can't be fetched; there: a pattern of the files it then has."""

    about: Annotated[str, Field(max_length=52)]
    size: Annotated[str, Field(max_length=8)]
    licence: str
    cite: str
    files: tuple[File, ...] = ()
    by_hand: str | None = None
    there: Inside | None = None

    @model_validator(mode="after")
    def _something(self) -> DataSet:
        if bool(self.files) == (self.by_hand is not None and self.there is not None):
            raise ValueError("needs either files, or by_hand and there")
        return self


class Catalogue(_Entry):
    """All data sets by name, and what they are taken from."""

    archives: dict[str, Archive]
    windows: Windows
    data: dict[str, DataSet]

    @model_validator(mode="after")
    def _known_archives(self) -> Catalogue:
        for name, entry in self.data.items():
            for file in entry.files:
                if file.archive is not None and file.archive not in self.archives:
                    raise ValueError(f"{name}: unknown archive {file.archive!r}{suggest(file.archive, self.archives)}")
        return self

    def find(self, name: str) -> DataSet:
        """The data set of a name, in capitals or not. Raises UserError with the nearest known name."""
        if name.lower() not in self.data:
            raise UserError(f"unknown data {name!r}{suggest(name.lower(), self.data)}; nrtune data fetch lists all")
        return self.data[name.lower()]


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Read a catalogue, nrtune's own by default. Raises UserError, one sentence, for one that is malformed."""
    path = path or CATALOGUE
    try:
        return Catalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {place}: {first['msg'][0].lower()}{first['msg'][1:]}") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: can't be read as YAML ({one_line(error)})") from error
