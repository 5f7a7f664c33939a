"""Ensembles of networks, whose predictions are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.core.files import BEST
from nrtune.trainables.data.adapters import Adapters
from nrtune.trainables.evaluation.calibration import Calibration
from nrtune.trainables.inference import SequenceEnsemble, SequenceModel, ensemble_content, load_model
from nrtune.trainables.models.prediction import Prediction
from nrtune.trainables.training import checkpoint
from nrtune.trainables.training.config import TrialConfig, preset

CONFIG = TrialConfig.from_flat(preset("small", "factorized"))
SEQUENCES = ["GGAA", "GAAA", "AAAA"]


class CountG(torch.nn.Module):
    """Predicts `times` the number of G, with a variance of its own."""

    def __init__(self, times: float, variance: float | None) -> None:
        super().__init__()
        self.times, self.variance = torch.nn.Parameter(torch.tensor(times)), variance

    def forward(self, tokens: torch.Tensor) -> Prediction:
        mean = self.times * (tokens == 2).sum(dim=1)
        log_variance = None if self.variance is None else torch.full_like(mean, np.log(self.variance))
        return Prediction(mean, log_variance, mean[:, None], {})


def member(
    times: float,
    variance: float | None = None,
    *,
    to: Calibration | None = None,
    length: int = 4,
    adapters: Adapters | None = None,
) -> SequenceModel:
    to = to or Calibration(1.0, 0.0)
    return SequenceModel(CONFIG, f"f{times:g}", length, CountG(times, variance), to, adapters)  # type: ignore[arg-type]


def test_an_ensemble_predicts_the_mean_of_calibrated_members():
    """The second is on a scale ten times as wide, and would decide alone."""
    both = SequenceEnsemble([member(1.0), member(30.0, to=Calibration(0.1, 1.0))], {})
    found = both.predict(SEQUENCES)
    assert found.mean.tolist() == pytest.approx([(2 + 7) / 2, (1 + 4) / 2, (0 + 1) / 2], abs=1e-6)
    assert found.log_variance is None
    assert both.predict(SEQUENCES, raw=True).mean.tolist() == pytest.approx([31.0, 15.5, 0.0], abs=1e-5)
    assert both.variant_effect(SEQUENCES[1:], SEQUENCES[:2]).tolist() == pytest.approx([2.0, 2.0], abs=1e-6)
    assert both.predict([]).mean.shape == (0,)


def test_its_variance_is_that_of_the_mixture():
    """Law of total variance: the mean of the members' variances, and the variance of their means in log2(RNA/DNA)."""
    both = SequenceEnsemble([member(1.0, 0.5), member(30.0, 1.5, to=Calibration(0.1, 1.0))], {})
    between = [((7 - 2) / 2) ** 2, ((4 - 1) / 2) ** 2, ((1 - 0) / 2) ** 2]
    for raw in (False, True):
        found = both.predict(SEQUENCES, raw=raw).log_variance
        assert np.exp(found).tolist() == pytest.approx([(0.5 + 1.5) / 2 + part for part in between], rel=1e-5)
    assert SequenceEnsemble([member(1.0, 0.5), member(2.0)], {}).predict(SEQUENCES).log_variance is None


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "an ensemble has two members or more, not 1"),
        ([member(2.0, length=5)], "f2 was trained on sequences of 5 bases and f1 on 4: they make no ensemble"),
        (
            [member(2.0, adapters=Adapters("A", "C")), member(3.0, adapters=Adapters("A", "G"))],
            "f3 was trained with adapters A … G and f2 with A … C: no sequence can be shown to both",
        ),
        ([member(2.0, to=Calibration(-0.5, 0.0))], "f2 can be no member of an ensemble: its output falls"),
    ],
)
def test_what_makes_no_ensemble(others, message):
    with pytest.raises(UserError, match=message):
        SequenceEnsemble([member(1.0), *others], {})


def test_inserts_are_put_between_the_adapters_of_the_training():
    one = member(1.0, adapters=Adapters("G", "G"))
    old = member(1.0)
    for model in (one, SequenceEnsemble([one, old], {})):  # that of a checkpoint of before is not known
        assert model.adapters == ("G", "G")
        assert model.predict(["AA", "GAAG", "ga", "AAAA"]).mean.tolist() == pytest.approx([2, 2, 3, 0], abs=1e-6)
        assert model.variant_effect(["AA"], ["GA"]).tolist() == pytest.approx([1], abs=1e-6)
        with pytest.raises(
            UserError, match=r"sequences have 1 bases .* pad them with N, or give inserts of 2, which go between"
        ):
            model.predict(["A"])
    for model in (old, member(1.0, adapters=Adapters("", ""))):
        with pytest.raises(UserError, match=r"sequences have 2 bases and the model was trained on 4; pad them with N$"):
            model.predict(["AA"])


def test_letters_that_are_taken_for_others_are_said():
    with pytest.warns(UserWarning, match="taken for") as said:
        found = member(1.0).predict(["GGUU", "guRa", "GGAA"]).mean
    assert found.tolist() == pytest.approx([2, 1, 2], abs=1e-6)
    assert [str(one.message) for one in said] == [
        "2 of 3 sequences have U, which was taken for T",
        "1 of 3 sequences have letters for several bases, which were taken for N",
    ]
    with pytest.raises(UserError, match="row 1 has 'E' at position 4"):
        member(1.0).predict(["ACGE"])


def test_a_file_holds_its_members_whole(tmp_path):
    for seed, channels in ((0, 8), (1, 16)):
        torch.manual_seed(seed)
        config = TrialConfig.from_flat({**preset("small", "factorized"), "encoder.channels": channels, "seed": seed})
        content = {"config": config.to_flat(), "fingerprint": f"f{seed}", "length": 30, "epoch": 3,
                   "state": config.build_model().state_dict(), "calibration": Calibration(2.0, seed)._asdict()}  # fmt: skip
        checkpoint.save(tmp_path / str(seed) / BEST, content)
    paths = {f"T{seed}": tmp_path / str(seed) / BEST for seed in (0, 1)}
    members = [{"name": f"T{seed}", "fingerprint": f"f{seed}", "seed": seed} for seed in (0, 1)]
    about = {
        "campaign": "c",
        "campaign_id": "1",
        "use_case": "overall",
        "select_on": "val",
        "what": "two",
        "members": members,
    }
    checkpoint.save(tmp_path / "e.pt", ensemble_content(paths, about))
    found = load_model(tmp_path / "e.pt")
    assert isinstance(found, SequenceEnsemble)
    assert (found.about, found.length) == (about, 30)
    assert [one.fingerprint for one in found.members] == ["f0", "f1"]
    assert [one.config for one in found.members] == [load_model(path).config for path in paths.values()]
    assert checkpoint.load(tmp_path / "e.pt")["members"][1]["epoch"] == 3  # whatever best.pt has
    sequences = ["ACGTN" * 6, "GGCAT" * 6]
    own = [load_model(path).predict(sequences).mean for path in paths.values()]
    assert found.predict(sequences).mean == pytest.approx(np.mean(own, axis=0), abs=1e-6)
    with pytest.raises(UserError, match=r"e\.pt: is an ensemble; load best\.pt"):
        ensemble_content({"T0": paths["T0"], "e": tmp_path / "e.pt"}, {})
    whole = (tmp_path / "e.pt").read_bytes()
    (tmp_path / "e.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(checkpoint.Unreadable, match=r"e\.pt: is not a readable nrtune checkpoint"):
        load_model(tmp_path / "e.pt")
