"""How many trials share a device: as many as pay, never more than fit."""

from __future__ import annotations

import pytest

from nrtune.orchestrator.execution.packing import Device, Probed, find_device, most_that_pay

GB = 1 << 30


@pytest.mark.parametrize(
    ("rates", "memory", "most", "expected", "measured"),
    [
        ({1: 100, 2: 190, 4: 350, 8: 360}, 1, 8, 4, [1, 2, 4, 8]),
        ({1: 100, 2: 105}, 1, 8, 1, [1, 2]),
        ({1: 100, 2: 190, 4: 350}, 1, 4, 4, [1, 2, 4]),
        ({1: 100, 2: 190, 4: 350}, 1, 3, 2, [1, 2]),
        ({1: 100, 2: 190}, 30, 8, 2, [1, 2]),  # 4 × 30 GB are more than 85 % of 80 GB
        ({1: 100}, 70, 8, 1, [1]),
    ],
)
def test_as_many_as_pay_and_fit(rates, memory, most, expected, measured):
    asked = []

    def probe(trials: int) -> Probed:
        asked.append(trials)
        return Probed(rates[trials], memory * GB)

    trials, found = most_that_pay(probe, 80 * GB, most)
    assert trials == expected
    assert asked == list(found) == measured


def test_the_device_is_a_gpu_where_there_is_one():
    nodes = [{"CPU": 4, "memory": 8 * GB}, {"CPU": 16, "GPU": 4, "memory": 64 * GB}, {"CPU": 64, "memory": 128 * GB}]
    assert find_device(nodes, lambda: 80 * GB) == Device(True, 80 * GB, 4)
    assert find_device([nodes[0], nodes[2]], lambda: 0) == Device(False, 128 * GB, 64)
