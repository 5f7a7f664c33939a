"""Logged models where nothing is known of nrtune."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig

import pandas as pd

ELSEWHERE = """
import importlib.util, json, os, sys
sys.path.append(os.environ["PACKAGES"])  # without its .pth files, by which nrtune's checkout would be found
assert importlib.util.find_spec("nrtune") is None
uri, models, sequences, raw = json.load(sys.stdin)
import mlflow, pandas
mlflow.set_tracking_uri(uri)
frame = pandas.DataFrame({"sequence": sequences})
loaded = [mlflow.pyfunc.load_model(model) for model in models]
print(json.dumps([model.predict(frame, params={"raw": raw}).to_dict("list") for model in loaded]))
"""


def predict_elsewhere(
    uri: str, models: list[str], sequences: list[str], *python: object, raw: bool = False
) -> list[pd.DataFrame]:
    """In a process, and a folder, that know nothing of nrtune."""
    packages = "" if python else sysconfig.get_paths()["purelib"]
    done = subprocess.run(
        [*(python or (sys.executable, "-S")), "-c", ELSEWHERE],
        input=json.dumps([uri, models, sequences, raw]),
        env={"PATH": os.environ["PATH"], "PACKAGES": packages, "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return [pd.DataFrame(found) for found in json.loads(done.stdout)]
