"""Whether what is held out was held out from the weights that trials start from, too."""

from __future__ import annotations

from nrtune.trainables.data.audit.copies import IDENTITY, SHARED, find_copies
from nrtune.trainables.data.audit.splits import ADAPTERS
from nrtune.trainables.data.dataset import Dataset, shared_ends
from nrtune.trainables.data.findings import Finding, flagged

START_SAW = "start-saw-held-out"
"""The id of findings of sequences that the weights were trained on."""


def audit_start(trained_on: Dataset, dataset: Dataset) -> list[Finding]:
    """Validation and test sequences of a data set that are, or nearly are, training sequences of another.

    Cell lines are often assayed with one library: its sequences then stand in the same split of both, or scores are too good.
    """
    ends = shared_ends(dataset.tokens, ADAPTERS)
    train = trained_on.rows("train")
    found: list[Finding] = []
    for split in ("val", "test"):
        rows = dataset.rows(split)
        copies = find_copies(trained_on.tokens[train], dataset.tokens[rows], ends)
        exact = copies.same >= 0
        found += flagged(
            exact,
            START_SAW,
            "error",
            f"sequences were trained on in {trained_on.name}, whose weights trials start from",
            where=split,
            example=dataset.places.at(rows).one,
            advice="give both data sets the same splits, or weights of one whose training left them out",
        )
        found += flagged(
            ~exact & (copies.near >= 0),
            "start-saw-near-copies",
            "warning",
            f"sequences have {SHARED} bases in a row in common with one that was trained on in {trained_on.name}, whose weights"
            f" trials start from, or are {IDENTITY * 100:g} % identical with it",
            where=split,
            example=dataset.places.at(rows).one,
        )
    return found
