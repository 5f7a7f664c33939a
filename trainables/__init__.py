"""Noise-resistant sequence-to-expression models: data, training, scoring. Plain PyTorch, no cluster needed.

from nrtune import TrialConfig, TrainingData, fit, preset, read_cagi5, read_dataset

data = TrainingData(read_dataset("lentiMPRA.h5"), (read_cagi5("cagi5/"),))
result = fit(TrialConfig.from_flat(preset("small")), data)
"""
