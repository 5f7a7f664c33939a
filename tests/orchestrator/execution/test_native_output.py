"""What C++ says goes to a file, and what Python says to the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys
from pathlib import Path
from nrtune.orchestrator.execution.native_output import native_output_to

said = []
with native_output_to(Path(sys.argv[1]), said.append):
    os.write(2, sys.argv[2].encode())
    print("a sentence", file=sys.stderr)
os.write(2, b"after\\n")
print(*said)
"""


def said(log: Path, native: str) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, log, native], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_what_is_written_below_python_goes_to_a_file_that_is_named(tmp_path: Path):
    log = tmp_path / "ray.log"
    assert said(log, "") == ("\n", "a sentence\nafter\n")
    assert not log.exists()
    assert said(log, "[W] rpc\n") == (f"Ray's own messages are in {log}\n", "a sentence\nafter\n")
    assert said(log, "") == ("\n", "a sentence\nafter\n")
    assert log.read_text() == "[W] rpc\n"


def test_a_stream_that_is_no_descriptor_stays(tmp_path: Path, capsys):
    from nrtune.orchestrator.execution.native_output import native_output_to

    before = sys.stderr
    with native_output_to(tmp_path / "log", print):
        assert sys.stderr is before
        os.write(2, b"native\n")
    assert (tmp_path / "log").read_text() == "native\n"
