"""What the reading commands take of a campaign of many trials: seconds of CPU, and their largest memory.

    python benchmarks/large_campaigns.py CAMPAIGN [--trials 200 2000]

CAMPAIGN is a finished one; its trials are repeated under other names, with other metrics and the same predictions. One thread a
command. Seconds are of the process itself, so that a busy machine tells little; the first `best` computes, the later read what it
has kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OF_ONE = ["best", "--use-case", "overall"]
COMMANDS = (["status"], ["trials"], OF_ONE, OF_ONE, ["best"], ["best"], ["report"])
FAMILIES = (("rank_stability", "RS"), ("distributional", "DI"), ("hard_negative", "HN"))


def main() -> None:
    """Measure and print a line a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 2000])
    arguments = parser.parse_args()
    sys.stdout.write(f"{'trials':>6}  {'command':<28}  {'CPU s':>6}  {'MB':>5}\n")
    with tempfile.TemporaryDirectory(dir=arguments.campaign.parent) as place:
        for trials in arguments.trials:
            folder = enlarged(arguments.campaign, Path(place) / str(trials), trials)
            for command, *more in COMMANDS:
                seconds, megabytes = measured([command, str(folder), *more])
                sys.stdout.write(f"{trials:6}  {' '.join([command, *more]):<28}  {seconds:6.1f}  {megabytes:5.0f}\n")
                sys.stdout.flush()


def enlarged(campaign: Path, folder: Path, trials: int) -> Path:
    """Make a folder of so many trials of a campaign, the first of them as it is."""
    (folder / "trials").mkdir(parents=True)
    shutil.copy(campaign / "campaign.json", folder)
    shutil.copytree(campaign / "references", folder / "references")
    records, generator = [json.loads(line) for line in (campaign / "trials.jsonl").open()], random.Random(0)
    with (folder / "trials.jsonl").open("w") as file:
        for number in range(trials):
            record = json.loads(json.dumps(records[number % len(records)]))
            there = campaign / "trials" / record["fingerprint"]
            if number:
                family, code = FAMILIES[number % len(FAMILIES)]
                record |= {
                    "family": family,
                    "name": f"{code}-{number:04d}",
                    "number": number,
                    "published": None,
                    "aliases": {},
                }
                record["fingerprint"] = f"{generator.getrandbits(64):016x}"
                record["config"]["lr"] = generator.uniform(1e-4, 1e-2)
                record["metrics"] = {
                    name: value + generator.gauss(0, 0.02) for name, value in record["metrics"].items()
                }
            file.write(json.dumps(record) + "\n")
            shutil.copytree(there, folder / "trials" / record["fingerprint"], copy_function=os.link)
    return folder


def measured(arguments: list[str]) -> tuple[float, float]:
    """Seconds of CPU and megabytes of a command in a process of its own."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 'nrtune', *sys.argv[1:]], stdout=subprocess.DEVNULL, check=True);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, text=True, stdout=subprocess.PIPE, env=environment
    )
    seconds, megabytes = map(float, said.stdout.split())
    return seconds, megabytes


if __name__ == "__main__":
    main()
