"""Convolutions along the length as products of spectra: with long kernels and many channels a fifth of the arithmetic.

The discrete Fourier transform of a few hundred positions is itself a matrix product. On a GPU's matrix units both
transforms and a product for each frequency take a third of the time of cuDNN's convolution (docs/LOG.md). A real signal's
spectrum is kept as real numbers: of each frequency the cosine's part, then the sine's, in an orthonormal basis, so that
the inverse, and every gradient, is a transposed product. Frequency 0 holds the two parts that have no sine: the constant
and the alternating one.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

MULTIPLE = 16
"""Spectra have a multiple of so many points: matrix units want their operands' sizes so."""


def convolve(features: Float[Tensor, "n length c"], weight: Float[Tensor, "d c taps"]) -> Float[Tensor, "n length d"]:
    """As `conv1d` with same padding does on channels last; `taps` must be odd. The result's type is the features'."""
    taps = weight.shape[2]
    depth = pad(weight.to(features.dtype), (0, _rounded_up(taps) - taps)).permute(1, 2, 0).contiguous()
    convolved: Tensor = _forward(features, depth, taps)[0]
    return convolved


def points(length: int, taps: int) -> int:
    """Points of a spectrum in which a kernel that reaches over one end doesn't meet the other."""
    return _rounded_up(length + taps // 2)


def _rounded_up(count: int) -> int:
    return -(-count // MULTIPLE) * MULTIPLE


@functools.cache
def basis(
    count: int, length: int, device: torch.device, dtype: torch.dtype
) -> tuple[Float[Tensor, "p p"], Float[Tensor, "p p"]]:
    """The orthonormal transform of so many points, a row a number of the spectrum, and its transpose.

    What lies behind the length of a sequence is nothing to it: 0 there.
    """
    position = torch.arange(count, dtype=torch.float64)
    angle = 2 * math.pi / count * torch.arange(1, count // 2, dtype=torch.float64)[:, None] * position
    pairs = torch.stack([angle.cos(), -angle.sin()], dim=1).flatten(0, 1) * math.sqrt(2 / count)
    ends = torch.stack([torch.ones_like(position), torch.cos(math.pi * position)]) / math.sqrt(count)
    transform = torch.cat([ends, pairs]).to(device, dtype)
    transform[:, length:] = 0
    return transform, transform.T.contiguous()


@functools.cache
def kernel_basis(
    count: int, taps: int, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "2 2 frequencies padded"]:
    """What a kernel's taps add to the 2 × 2 numbers that take a frequency's two parts to those of the result."""
    tap = torch.arange(taps, dtype=torch.float64) - taps // 2
    angle = 2 * math.pi / count * torch.arange(count // 2, dtype=torch.float64)[:, None] * tap
    cos, sin = angle.cos(), angle.sin()
    both = torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])])
    both[:, :, 0] = 0
    both[0, 0, 0], both[1, 1, 0] = 1, torch.cos(math.pi * tap)
    return pad(both, (0, _rounded_up(taps) - taps)).to(device, dtype)


# As operators of their own they stay whole where torch.compile works on what lies around them. Results are written to
# where the next product reads them: strides take the place of copies.


@torch.library.custom_op("nrtune::spectral_convolution", mutates_args=())
def _forward(features: Tensor, weight: Tensor, taps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The convolution; the features' spectrum (n, points, c); each frequency's matrix (points / 2, 2c, 2d)."""
    (n, length, c), d = features.shape, weight.shape[2]
    count = points(length, taps)
    transform, inverse = basis(count, length, features.device, features.dtype)
    of_taps = kernel_basis(count, taps, features.device, features.dtype)
    matrix = features.new_empty(count // 2, 2, c, 2, d)
    for i in range(2):
        for j in range(2):
            torch.bmm(of_taps[i, j].expand(c, -1, -1), weight, out=matrix[:, i, :, j].transpose(0, 1))
    matrix = matrix.view(count // 2, 2 * c, 2 * d)
    spectrum = _transformed(features, transform)
    product = features.new_empty(n, count, d)
    torch.bmm(_by_frequency(spectrum), matrix, out=_by_frequency(product))
    return torch.bmm(inverse.expand(n, -1, -1), product)[:, :length], spectrum, matrix


@_forward.register_fake
def _(features: Tensor, weight: Tensor, taps: int) -> tuple[Tensor, Tensor, Tensor]:
    (n, length, c), d = features.shape, weight.shape[2]
    count = points(length, taps)
    convolved = features.new_empty(n, count, d)[:, :length]
    return convolved, features.new_empty(n, count, c), features.new_empty(count // 2, 2 * c, 2 * d)


@torch.library.custom_op("nrtune::spectral_convolution_backward", mutates_args=())
def _backward(gradient: Tensor, spectrum: Tensor, matrix: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """The gradients of features (n, length, c) and weight (c, padded taps, d)."""
    (n, length, d), (_, count, c) = gradient.shape, spectrum.shape
    transform, inverse = basis(count, length, spectrum.device, spectrum.dtype)
    of_taps = kernel_basis(count, taps, spectrum.device, spectrum.dtype)
    of_product = _transformed(gradient, transform)
    of_matrix = torch.bmm(_by_frequency(spectrum).transpose(1, 2), _by_frequency(of_product))
    parts = of_matrix.view(count // 2, 2, c, 2, d)
    of_weight = spectrum.new_zeros(c, of_taps.shape[3], d)
    for i in range(2):
        for j in range(2):
            of_weight.baddbmm_(of_taps[i, j].T.expand(c, -1, -1), parts[:, i, :, j].transpose(0, 1))
    of_spectrum = torch.empty_like(spectrum)
    torch.bmm(_by_frequency(of_product), matrix.transpose(1, 2), out=_by_frequency(of_spectrum))
    return torch.bmm(inverse.expand(n, -1, -1), of_spectrum)[:, :length], of_weight


@_backward.register_fake
def _(gradient: Tensor, spectrum: Tensor, matrix: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    of_weight = spectrum.new_empty(spectrum.shape[2], _rounded_up(taps), gradient.shape[2])
    return torch.empty_like(spectrum)[:, : gradient.shape[1]], of_weight


def _transformed(features: Float[Tensor, "n length c"], transform: Float[Tensor, "p p"]) -> Float[Tensor, "n p c"]:
    """The spectrum of each sequence.

    Matrix units want the length to be a multiple of 8. So that it is, a sequence is read on into the one behind it, where
    the transform is 0; the last one has none behind it.
    """
    (n, length, c), count = features.shape, len(transform)
    if n == 1 or length % 8 == 0 or not features.is_contiguous():
        return torch.bmm(transform[:, :length].expand(n, -1, -1), features)
    spectrum = features.new_empty(n, count, c)
    on = min(count, 2 * length)
    torch.bmm(
        transform[:, :on].expand(n - 1, -1, -1),
        features.as_strided((n - 1, on, c), features.stride()),
        out=spectrum[:-1],
    )
    torch.mm(transform[:, :length], features[-1], out=spectrum[-1])
    return spectrum


def _by_frequency(spectrum: Float[Tensor, "n p c"]) -> Float[Tensor, "p2 n c2"]:
    """A view: for each frequency, of each sequence both parts of all channels."""
    by_frequency: Tensor = spectrum.unflatten(1, (-1, 2)).flatten(2).transpose(0, 1)
    return by_frequency


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.taps = inputs[2]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:])


def _gradients(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
    of_features, of_weight = _backward(gradients[0], *ctx.saved_tensors, ctx.taps)
    return of_features, of_weight, None


_forward.register_autograd(_gradients, setup_context=_keep)
