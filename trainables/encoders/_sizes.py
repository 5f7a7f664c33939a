"""Sizes that encoders check or work out alike."""

from __future__ import annotations

from nrtune.trainables.core.errors import UserError
from nrtune.trainables.encoders import Encoder


def check_odd(encoder: Encoder, name: str) -> None:
    """Refuse a kernel that has no middle position. Raises UserError."""
    if (length := getattr(encoder, name)) % 2 == 0:
        raise UserError(f"encoder {encoder.name()}: {name} must be odd, not {length}")


def scaled(size: int, channels: int, published: int) -> int:
    """A layer's published size in a network with so many `channels` in its first layer in place of the `published` ones.

    A multiple of 8, which a CPU's vectors want, and at least 8: blocks of one or two channels predicted one value for all.
    """
    return max(8, 8 * round(size * channels / published / 8))
