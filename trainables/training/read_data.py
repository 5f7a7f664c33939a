"""Reads what trials learn from and are scored on: of a campaign, and wherever that is looked at before there is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.data.benchmarks import BENCHMARKS
from nrtune.trainables.data.cell_lines import asked_or_usual, cell_line_of
from nrtune.trainables.data.lentimpra import read_dataset
from nrtune.trainables.data.paths import PathOrSplits
from nrtune.trainables.training.training_data import TrainingData


def read_training_data(
    data: PathOrSplits,
    benchmarks: Mapping[str, Path],
    *,
    cell_line: str | None = None,
    reading: Mapping[str, Any] | None = None,
) -> TrainingData:
    """Data, and the folder or file of each benchmark by its name, with windows of the data's length.

    cell_line: whose elements are averaged; None for the one that the data file's name tells. reading: how the data are read, by
    the keywords of `read_dataset`. Raises UserError.
    """
    dataset = read_dataset(data, **(reading or {}))
    usual = asked_or_usual(cell_line, cell_line_of(dataset.name))
    found = []
    for name in (name for name in BENCHMARKS if name in benchmarks):
        found.append(BENCHMARKS.get(name).read(benchmarks[name], length=dataset.length, cell_line=usual))
        if found[-1].benchmark != name:
            raise UserError(
                f"benchmark {name}: its reader calls it {found[-1].benchmark!r}; both must be the file's name"
            )
    return TrainingData(dataset, tuple(found))
