"""The settings that say what trials are trained and scored on, and how settings are read as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.paths import Role, split_paths

STUDY = "study"
"""In place of a list of encoders: those that the study had."""

ON_WHAT = ("data", "columns", "folds", "split_by", "val_chroms", "test_chroms", "noise", "replicate_columns", "cagi5", "satmut",
           "benchmark", "cell_line")  # fmt: skip
"""The settings that say what trials are trained and scored on."""

PATHS = ("cagi5", "satmut", "warm_start", "out", "use_cases")
"""The settings that are one path each; `data` may be three, and `benchmark` names several."""


class DataSettings(BaseModel):
    """What a campaign is told of its data.

    data: one file, or a table for each of train, val and test. columns: of tables, by their roles, replicates as a list or with
    + between; `replicate_columns` is the older way to name those. split_by chrom: chromosomes that are none of val_chroms
    and test_chroms train. benchmark: folders or files by the benchmark's name, beside those of CAGI5 and of the saturation
    mutagenesis table, which have names of their own here. accept: the ids of errors that the audit of the data finds, which then
    do not refuse.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path | tuple[Path, Path, Path] | None = None
    columns: dict[Role, str | tuple[str, ...]] = {}
    cagi5: Path | None = None
    satmut: Path | None = None
    benchmark: dict[str, Path] = {}
    cell_line: str | None = None
    folds: dict[Literal["val", "test"], tuple[int | str, ...]] | None = None
    split_by: Literal["chrom"] | None = None
    val_chroms: tuple[str, ...] = ()
    test_chroms: tuple[str, ...] = ()
    noise: Literal["auto", "orientation", "replicates", "none"] = "auto"
    replicate_columns: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _as_people_write_it(cls, values: Any) -> Any:
        """A list may be a text with commas, as flags are; ~ is the home folder."""
        if not isinstance(values, Mapping):
            return values
        read = dict(values)
        for name, field in cls.model_fields.items():
            if get_origin(field.annotation) is tuple and isinstance(given := read.get(name), str) and given != STUDY:
                read[name] = tuple(part.strip() for part in given.split(",") if part.strip())
            elif name in PATHS and isinstance(read.get(name), str | Path):
                read[name] = Path(read[name]).expanduser()
        if isinstance(paths := read.get("benchmark"), Mapping):
            read["benchmark"] = {
                of: Path(at).expanduser() if isinstance(at, str | Path) else at for of, at in paths.items()
            }
        return read

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_three(cls, value: Any) -> Any:
        parts = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(part, str | Path) for part in parts):
            return value
        paths = tuple(path.expanduser() for path in split_paths(value))
        return paths[0] if len(paths) == 1 else paths

    def data_files(self) -> tuple[Path, ...]:
        """The file of the data, or the three of its splits; none where none are given."""
        return () if self.data is None else split_paths(self.data)

    def reading(self) -> dict[str, Any]:
        """How `read_dataset` is to read the data. Raises UserError for what is said twice, or by half."""
        columns: dict[str, str | tuple[str, ...]] = {str(role): names for role, names in self.columns.items()}
        if (
            self.replicate_columns
            and columns.setdefault("replicates", self.replicate_columns) != self.replicate_columns
        ):
            raise UserError("replicate_columns and the replicates of --columns both name columns; give one of them")
        chroms = {"val": self.val_chroms, "test": self.test_chroms}
        if self.split_by is None and (given := next((name for name in chroms if chroms[name]), None)) is not None:
            raise UserError(
                f"--{given}-chroms {','.join(chroms[given])}: says nothing without --split-by chrom; give both"
            )
        return {
            "columns": columns,
            "folds": None if self.folds is None else {str(name): folds for name, folds in self.folds.items()},
            "chroms": None if self.split_by is None else chroms,
            "noise": self.noise,
        }

    def benchmarks(self) -> dict[str, Path]:
        """The folder or file of each benchmark, by its name. Raises UserError for one that is named twice."""
        short = {name: path for name, path in (("cagi5", self.cagi5), ("satmut", self.satmut)) if path is not None}
        for name in short:
            if self.benchmark.get(name, short[name]) != short[name]:
                raise UserError(f"--{name} and --benchmark {name}=… name two folders; give one of them")
        return {**short, **self.benchmark}
