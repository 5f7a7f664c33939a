"""Sequences around elements from the UCSC REST API, a request each, as references.json has them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from nrtune.trainables.core.errors import UserError, one_line
from nrtune.trainables.data.fetch.catalogue import Region, Windows

PAUSE = 1.0
"""Seconds between requests, as UCSC asks of programs."""


def fetch_windows(windows: Windows, read: Callable[[str], bytes]) -> str:
    """The text of references.json: of each element chrom, start and end (1-based, included), length and sequence.

    read: makes a request. Raises UserError for an answer that is not the sequence asked for, and what `read` raises.
    """
    references: dict[str, dict[str, Any]] = {}
    for name, region in tqdm(windows.regions().items(), desc=f"{windows.genome} windows", disable=None):
        if references:
            time.sleep(PAUSE)
        sequence = _sequence(windows, region, read)
        references[name] = {
            "chrom": region.chrom,
            "start": region.first,
            "end": region.last,
            "length": len(sequence),
            "sequence": sequence,
        }
    return json.dumps(references, indent=1) + "\n"


def _sequence(windows: Windows, region: Region, read: Callable[[str], bytes]) -> str:
    chrom, first, last = region
    url = windows.url.format(genome=windows.genome, chrom=chrom, start=first - 1, end=last)
    try:
        answer = json.loads(read(url))
        sequence = str(answer["dna"]).upper()  # repeats are in lower case
    except UserError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{url}: answers something else than a sequence ({one_line(error)}); try again later"
        ) from error
    if len(sequence) != last - first + 1 or set(sequence) - set("ACGTN"):
        raise UserError(f"{url}: answers {len(sequence)} letters, not {last - first + 1} of A C G T N; try again later")
    return sequence
