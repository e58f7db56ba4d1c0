"""A small real model: a two-layer network, trained by gradient descent on two moons, with numpy only."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def two_moons(points: int, noise: float, seed: int) -> tuple[Floats, Floats]:
    """Points of shape (points, 2) and labels 0.0 or 1.0 of shape (points,)."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, np.pi, points)
    label = random.integers(0, 2, points)
    x = np.where(label == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(label == 0, np.sin(angle), 0.5 - np.sin(angle))
    moons = np.stack([x, y], axis=1) + random.normal(0, noise, (points, 2))
    return moons, label.astype(np.float64)


@dataclass(frozen=True)
class Progress:
    """What training tells after each batch; `epoch` is fractional."""

    epoch: float
    loss: float
    accuracy: float
    end_of_epoch: bool


class Network:
    """2 inputs, a tanh layer, one sigmoid output."""

    def __init__(self, hidden: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.w1: Floats = random.normal(0, 1, (2, hidden))
        self.b1: Floats = np.zeros(hidden)
        self.w2: Floats = random.normal(0, 1 / np.sqrt(hidden), hidden)
        self.b2 = 0.0

    def predict(self, x: Floats) -> Floats:
        logits: Floats = np.tanh(x @ self.w1 + self.b1) @ self.w2 + self.b2
        return 1 / (1 + np.exp(-logits))

    def train(
        self, x: Floats, y: Floats, *, rate: float, batches: int, epochs: int, first_epoch: int = 0
    ) -> Iterator[Progress]:
        for epoch in range(first_epoch, first_epoch + epochs):
            for number, rows in enumerate(np.array_split(np.arange(len(x)), batches), start=1):
                self._descend(x[rows], y[rows], rate)
                p = np.clip(self.predict(x), 1e-9, 1 - 1e-9)
                loss = float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
                accuracy = float(np.mean((p > 0.5) == (y > 0.5)))
                yield Progress(epoch + number / batches, loss, accuracy, number == batches)

    def _descend(self, x: Floats, y: Floats, rate: float) -> None:
        hidden = np.tanh(x @ self.w1 + self.b1)
        error = (1 / (1 + np.exp(-(hidden @ self.w2 + self.b2))) - y) / len(y)
        back = np.outer(error, self.w2) * (1 - hidden**2)
        self.w2 -= rate * hidden.T @ error
        self.b2 -= rate * float(error.sum())
        self.w1 -= rate * x.T @ back
        self.b1 -= rate * back.sum(axis=0)

    def weights(self) -> bytes:
        """All weights as little-endian doubles."""
        flat = np.concatenate([self.w1.ravel(), self.b1, self.w2, [self.b2]])
        return bytes(flat.astype("<f8").tobytes())

    def decision_map(self, size: int = 48) -> NDArray[np.uint8]:
        """The decision over the plane as a grey picture of shape (size, size)."""
        axis = np.linspace(-1.5, 2.5, size)
        plane = np.stack(np.meshgrid(axis, axis[::-1]), axis=-1).reshape(-1, 2)
        return (self.predict(plane).reshape(size, size) * 255).astype(np.uint8)


def png(grey: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG file."""
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
