"""Draw docs/report.png, the picture in README: `make picture`. It needs a Chromium.

    python docs/picture.py [CAMPAIGN]

Without a campaign's folder it makes that of docs/tutorial.md, in a folder of its own: some minutes on two cores.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PICTURE = Path(__file__).with_name("report.png")
MOST_BYTES = 200_000
WIDTH, HEIGHT, SCALE = 1260, 815, 1.5
"""The window in pixels, and how many of the picture's make one of them."""

COLOURS = 32
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
         "--virtual-time-budget=5000")  # fmt: skip

COMMANDS = (
    "nrtune data simulate --out data",
    "nrtune search --families baseline,rank_stability,distributional"
    " --data data/lentiMPRA_simulated_activity_and_aleatoric_data.h5 --cagi5 data/cagi5"
    " --encoders study --recipe study --trials 4 --epochs 5 --confirm none --out campaign",
    "nrtune replicate campaign --use-case low_confidence --top 2 --seeds 3",
)
"""The tutorial's campaign."""


def browser() -> str:
    """A Chromium's path. Leaves the program where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or sys.exit(f"docs/picture.py needs one of {', '.join(BROWSERS)}")


def nrtune(command: str, folder: Path) -> None:
    """Run a command of nrtune in a folder."""
    words = command.split()
    assert words[0] == "nrtune"
    subprocess.run([sys.executable, "-m", "nrtune", *words[1:]], cwd=folder, check=True)


def draw(page: Path, picture: Path) -> None:
    """Photograph the top of a page and write it with few colours."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        command = [browser(), *FLAGS, f"--window-size={WIDTH},{HEIGHT}", f"--force-device-scale-factor={SCALE}",
                   f"--user-data-dir={folder}/profile", f"--screenshot={shot}", page.resolve().as_uri()]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        with Image.open(shot) as image:
            small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            small.save(picture, optimize=True)
    if picture.stat().st_size > MOST_BYTES:
        sys.exit(f"{picture} has {picture.stat().st_size} bytes, more than {MOST_BYTES}")


def main() -> None:
    """Make the campaign unless one is given, its report, and the picture of that."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("campaign", nargs="?", type=Path)
    given = parser.parse_args().campaign
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if given is None:
            for command in COMMANDS:
                nrtune(command, folder)
        else:  # commands in the report name the campaign as it is named here
            (folder / "campaign").symlink_to(given.resolve())
        nrtune("nrtune report campaign --out report", folder)
        draw(folder / "report" / "report.html", PICTURE)


if __name__ == "__main__":
    main()
