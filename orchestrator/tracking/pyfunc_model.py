"""The code of a logged model: MLflow copies this file, with nrtune.trainables packed beside it, to run where that is loaded.

Nothing imports it: it needs nrtune.trainables, torch and pandas, and no installation of nrtune.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class ActivityModel(PythonModel):
    """From a column `sequence` to `prediction`, log2(RNA/DNA), and where the model has one `log_variance`.

    Both are means over both strands where the trial was scored so. With params={"raw": True} `prediction` is the model's own
    output.
    """

    def load_context(self, context: Any) -> None:
        """Load the checkpoint."""
        if (code := context.artifacts["code"]) not in sys.path:
            sys.path.insert(0, code)  # as MLflow does with a folder of code
        from nrtune.trainables.inference import load_model

        self.model = load_model(context.artifacts["checkpoint"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predict n sequences of the trained length, or inserts that stand between the adapters of the training.

        Letters, and what raises UserError: as in `SequenceModel.predict`.
        """
        found = self.model.predict(model_input["sequence"].tolist(), raw=bool((params or {}).get("raw", False)))
        columns: dict[str, Any] = {"prediction": found.mean.astype(np.float64)}
        if found.log_variance is not None:
            columns["log_variance"] = found.log_variance
        return pd.DataFrame(columns)


set_model(ActivityModel())
