"""The steps of a bidirectional LSTM in torch: what the kernels do, for where they can't be compiled."""

from __future__ import annotations

import torch
from torch import Tensor


def go_forward(gates: Tensor, hidden: Tensor, cell: Tensor, recurrent: Tensor) -> None:
    """Activate gates (n, steps, 8H), which hold the inputs' part, and write hidden and cell (n, steps, 2H).

    recurrent: (2, 4H, H). The forward direction comes first; gates are input, forget, candidate, output.
    """
    for direction, times in enumerate(_times(gates.shape[1])):
        of_direction = [values.chunk(2, dim=2)[direction] for values in (gates, hidden, cell)]
        h, c = torch.zeros_like(of_direction[1][:, 0]), torch.zeros_like(of_direction[2][:, 0], dtype=torch.float32)
        for t in times:
            here = of_direction[0][:, t]
            i, f, g, o = (here + h @ recurrent[direction].T).float().chunk(4, dim=1)
            i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
            here.copy_(torch.cat([i, f, g, o], dim=1))
            c = f * c + i * g
            h = (o * c.tanh()).to(h.dtype)
            of_direction[1][:, t], of_direction[2][:, t] = h, c


def go_backward(gates: Tensor, of_gates: Tensor, of_hidden: Tensor, cell: Tensor, recurrent: Tensor) -> None:
    """Write of_gates, the gradients of the gates before their activation, from those of the hidden states."""
    for direction, times in enumerate(_times(gates.shape[1])):
        activated, out, of_h, cells = (
            values.chunk(2, dim=2)[direction] for values in (gates, of_gates, of_hidden, cell)
        )
        later_h, later_c = (torch.zeros_like(cells[:, 0], dtype=torch.float32) for _ in range(2))
        for t, before in zip(reversed(times), [*reversed(times[:-1]), None], strict=True):
            i, f, g, o = activated[:, t].float().chunk(4, dim=1)
            c0 = torch.zeros_like(later_c) if before is None else cells[:, before]
            c, h = cells[:, t].float().tanh(), later_h + of_h[:, t].float()
            of_c = later_c + h * o * (1 - c * c)
            of_all = [of_c * g * i * (1 - i), of_c * c0 * f * (1 - f), of_c * i * (1 - g * g), h * c * o * (1 - o)]
            out[:, t] = torch.cat(of_all, dim=1).to(out.dtype)
            later_c, later_h = of_c * f, (out[:, t] @ recurrent[direction]).float()


def _times(steps: int) -> tuple[range, range]:
    return range(steps), range(steps - 1, -1, -1)
