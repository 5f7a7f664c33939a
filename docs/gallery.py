"""Make three finished reports to look at, in gallery/: `make gallery`. Half an hour on two cores, most of it the real search.

    python docs/gallery.py [--data FILE --cagi5 FOLDER] [--published TABLE] [--minutes 20] [--out gallery]

demo: simulated data, whose truth is known. wtc11: the default search on a lentiMPRA file, scored on CAGI5. published: the
study's own table. What no file is given for is left out, and said; a campaign that is there goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def nrtune(*words: str | Path) -> None:
    """Run a command of nrtune; leave the program with its exit code where it fails."""
    told = [str(word) for word in words]
    sys.stderr.write(f"nrtune {' '.join(told)}\n")
    if code := subprocess.run([sys.executable, "-m", "nrtune", *told], check=False).returncode:
        sys.exit(code)


def main() -> None:
    """Make the campaigns that can be made, and a report of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a lentiMPRA file, such as WTC11's")
    parser.add_argument("--cagi5", type=Path, help="CAGI5's folder")
    parser.add_argument("--published", type=Path, help="the study's published_trials.csv")
    parser.add_argument("--minutes", type=int, default=20, help="time budget of the search on --data")
    parser.add_argument("--out", type=Path, default=Path("gallery"))
    given = parser.parse_args()
    made: dict[str, Path] = {}
    given.out.mkdir(parents=True, exist_ok=True)
    nrtune("demo", "--out", given.out / "demo")
    made["demo"] = given.out / "demo" / "campaign"
    if given.published:
        made["published"] = given.out / "published"
        if not made["published"].exists():
            nrtune("import-published", given.published, "--out", made["published"])
    if given.data and given.cagi5:
        made["wtc11"] = given.out / "wtc11"
        nrtune("search", "--data", given.data, "--cagi5", given.cagi5, "--time-budget", str(given.minutes),
               "--out", made["wtc11"])  # fmt: skip
    for name, campaign in made.items():
        nrtune("report", campaign, "--out", given.out / f"{name}-report")
    sys.stdout.writelines(f"{given.out / f'{name}-report' / 'report.html'}\n" for name in made)
    if missing := {"published", "wtc11"} - made.keys():
        sys.stderr.write(f"left out, as no file was given for it: {', '.join(sorted(missing))}\n")


if __name__ == "__main__":
    main()
