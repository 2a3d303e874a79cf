"""Fully connected networks as functions of one flat vector of weights, in torch.

A network of widths (d, h_1, ..., h_L, c) maps x to W_L' φ(... φ(W_1 x + b_1) ...) + b_L'. All its
weights and biases are one vector θ, so that descent, flow and curvature are written once, for
vectors. Weights are drawn with NumPy generators: the same seed gives the same network in any
version of torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ibcore import _validate
from ibcore._validate import FloatArray

if TYPE_CHECKING:
    import torch

    #: A scalar function of a flat vector of weights.
    Objective = Callable[[torch.Tensor], torch.Tensor]

__all__ = ["Network", "squared_loss"]

ACTIVATIONS = ("identity", "relu", "softplus", "tanh")


@dataclass(frozen=True)
class Network:
    """A fully connected network, its weights apart.

    Parameters
    ----------
    widths : tuple of int
        d, h_1, ..., h_L, c: features, hidden units of each layer, outputs.
    activation : {"tanh", "relu", "softplus", "identity"}
        φ, after every layer but the last.
    biases : bool
        Whether layers add a vector of their own.

    Raises
    ------
    ValueError
        Fewer than two widths, a width below one, or an unknown activation.
    """

    widths: tuple[int, ...]
    activation: str = "tanh"
    biases: bool = True

    def __post_init__(self) -> None:
        _validate.sequence(self.widths, "widths", "integers")
        _validate.flag(self.biases, "biases")
        if len(self.widths) < 2:
            raise ValueError(f"widths: expected at least two, got {self.widths}")
        for k, width in enumerate(self.widths):
            _validate.integer(width, f"widths[{k}]", minimum=1)
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation: expected one of {', '.join(ACTIVATIONS)}, got {self.activation!r}"
            )

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the parts of θ in their order: W_1, b_1, W_2, b_2, ..."""
        parts: list[tuple[int, ...]] = []
        for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False):
            parts.append((fan_out, fan_in))
            if self.biases:
                parts.append((fan_out,))
        return parts

    @property
    def n_parameters(self) -> int:
        """Length P of θ."""
        return sum(math.prod(shape) for shape in self.shapes)

    def initial(self, rng: np.random.Generator, gain: float = 1.0) -> FloatArray:
        """Draw weights of variance gain² / fan-in; biases are zero.

        Parameters
        ----------
        rng : numpy.random.Generator
        gain : float
            Standard deviation of the weights times the square root of the fan-in.

        Returns
        -------
        theta : ndarray, shape (P,)

        Raises
        ------
        ValueError
            `rng` is not a generator, or `gain` is not positive.
        """
        rng, gain = _validate.generator(rng, "rng"), _validate.positive(gain, "gain")
        return np.concatenate(
            [
                (gain / math.sqrt(shape[1]) * rng.normal(size=shape)).ravel()
                if len(shape) == 2
                else np.zeros(shape)
                for shape in self.shapes
            ]
        )

    def outputs(self, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Evaluate the network.

        Parameters
        ----------
        theta : torch.Tensor, shape (P,)
        x : torch.Tensor, shape (N, d)

        Returns
        -------
        torch.Tensor, shape (N, c)

        Raises
        ------
        ValueError
            Shapes that do not fit the network.
        """
        import torch

        _validate.instance(theta, "theta", torch.Tensor)
        _validate.instance(x, "x", torch.Tensor)
        if tuple(theta.shape) != (self.n_parameters,):
            raise ValueError(
                f"theta: expected shape ({self.n_parameters},), got {tuple(theta.shape)}"
            )
        if x.ndim != 2 or x.shape[1] != self.widths[0]:
            raise ValueError(f"x: expected shape (N, {self.widths[0]}), got {tuple(x.shape)}")
        parts = iter(torch.split(theta, [math.prod(shape) for shape in self.shapes]))
        last = len(self.widths) - 2
        for k, (fan_in, fan_out) in enumerate(zip(self.widths, self.widths[1:], strict=False)):
            x = x @ next(parts).reshape(fan_out, fan_in).T
            if self.biases:
                x = x + next(parts)
            if k < last:
                x = _activate(self.activation, x)
        return x


def _activate(name: str, x: torch.Tensor) -> torch.Tensor:
    import torch

    functions: dict[str, Any] = {
        "identity": lambda z: z,
        "relu": torch.relu,
        "softplus": torch.nn.functional.softplus,
        "tanh": torch.tanh,
    }
    activated: torch.Tensor = functions[name](x)
    return activated


def squared_loss(network: Network, x: ArrayLike, y: ArrayLike) -> Objective:
    """Return θ ↦ (1/2N) Σₙ ‖f_θ(x_n) − y_n‖², in float64.

    Parameters
    ----------
    network : Network
    x : array_like, shape (N, d)
    y : array_like, shape (N, c), or (N,) where c = 1

    Returns
    -------
    loss : callable
        Function of a flat torch tensor of shape (P,), differentiable any number of times.

    Raises
    ------
    ValueError
        Data that are not finite, or whose shapes do not fit the network or each other.
    """
    _validate.instance(network, "network", Network)
    import torch

    samples = _validate.matrix(x, "x", network.widths[0])
    targets = _validate.array(y, "y")
    expected = (len(samples), network.widths[-1])
    if targets.shape != expected and not (expected[1] == 1 and targets.shape == expected[:1]):
        raise ValueError(f"y: expected shape {expected}, got {targets.shape}")
    inputs, wanted = torch.tensor(samples), torch.tensor(targets.reshape(expected))

    def loss(theta: torch.Tensor) -> torch.Tensor:
        return ((network.outputs(theta, inputs) - wanted) ** 2).sum() / (2 * len(inputs))

    return loss
