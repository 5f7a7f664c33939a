"""What several families search; the defaults are the study's."""

from __future__ import annotations

from collections.abc import Mapping

from nrtune.search_spaces._family import SWITCH, Choice, Float, Parameter, Value

STUDY_ENCODER = "dream_rnn"
"""What the study put a method on, unless the encoder was the method."""

_FACTORIZED, _GC_BINS = ("factorized",), (5, 10, 20)
_BOTTLENECK = f"{SWITCH}bottleneck"

LR = Float(name="lr", low=5e-4, high=2e-2, default=0.005, log=True)
"""On the study's encoders; others say in their files at which learning rates they train."""

COMMON: tuple[Parameter, ...] = (
    LR,
    Float(name="weight_decay", low=1e-4, high=0.1, default=0.01, log=True),
)
"""Every family: the optimiser. What is searched of an encoder, its own file says."""

ENCODER = Choice(name="encoder", values=(STUDY_ENCODER, *_FACTORIZED), default=STUDY_ENCODER)

BOTTLENECK: tuple[Parameter, ...] = (
    Choice(name=_BOTTLENECK, values=(False, True), default=False, when={"encoder": _FACTORIZED}),
    Float(name="encoder.vib_beta", low=1e-4, high=1, default=0.01, log=True, when={_BOTTLENECK: (True,)}),
)
"""The factorized encoder's variational bottleneck, or none."""

ADVERSARY: tuple[Parameter, ...] = (
    Choice(name="encoder.gc_bins", values=(0, *_GC_BINS), default=0, when={"encoder": _FACTORIZED}),
    Float(name="encoder.gc_weight", low=0.1, high=10, default=1.0, log=True, when={"encoder.gc_bins": _GC_BINS}),
)
"""The factorized encoder's GC adversary, or none."""

VIB: Mapping[str, Value] = {_BOTTLENECK: True, "encoder.vib_beta": 0.01}
GC: Mapping[str, Value] = {"encoder.gc_bins": 10}
"""The study's factorized_vib and factorized_gc_adversarial; both together are its factorized_full."""
