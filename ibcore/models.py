"""Linear networks: products of matrices, their predictors and their gradients.

A linear network of depth L with one output maps x to W_L ... W_1 x. Its predictor is the vector
w = (W_L ... W_1)ᵀ, and the gradient of a loss of w reaches each layer through the product of the
others.

Sources: Nacson et al. 2019, Convergence of Gradient Descent on Separable Data (linear networks of
any depth); Azulay et al. 2021, On the Implicit Bias of Initialization Shape (balanced starts).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ibcore import _validate
from ibcore._validate import FloatArray

__all__ = ["balanced_layers", "deep_linear_gradients", "deep_linear_layers", "end_to_end"]


def deep_linear_layers(
    layers: Sequence[ArrayLike], name: str, n_features: int | None = None
) -> list[FloatArray]:
    """Check that matrices chain to a linear network with one output.

    Parameters
    ----------
    layers
        W_1, ..., W_L with shapes (h_1, d), (h_2, h_1), ..., (1, h_{L-1}).
    name
        Name of the argument, for the message.
    n_features
        d, when it is known.

    Returns
    -------
    list of ndarray of float64

    Raises
    ------
    ValueError
        No layers, matrices that are not finite, or shapes that do not chain to one output.
    """
    _validate.sequence(layers, _validate.text(name, "name"), "matrices")
    if n_features is not None:
        _validate.integer(n_features, "n_features", 1)
    checked = [_validate.matrix(layer, f"{name}[{k}]") for k, layer in enumerate(layers)]
    widths = [n_features if n_features is not None else checked[0].shape[1] if checked else 0]
    widths += [layer.shape[0] for layer in checked]
    chained = all(layer.shape[1] == width for layer, width in zip(checked, widths, strict=False))
    if not checked or not chained or widths[-1] != 1:
        columns = "d" if n_features is None else str(n_features)
        raise ValueError(
            f"{name} has shapes {[layer.shape for layer in checked]}; allowed: at least one layer, "
            f"(h_1, {columns}), (h_2, h_1), ..., (1, h_(L-1))"
        )
    return checked


def end_to_end(layers: Sequence[FloatArray]) -> FloatArray:
    """Return the predictor w = (W_L ... W_1)ᵀ.

    Parameters
    ----------
    layers
        As in `deep_linear_layers`, each optionally with leading axes, shapes (..., h_l, h_{l-1}).

    Returns
    -------
    ndarray of float64, shape (..., d)
    """
    product = layers[-1]
    for layer in layers[-2::-1]:
        product = product @ layer
    return product[..., 0, :]


def deep_linear_gradients(layers: Sequence[FloatArray], gradient: FloatArray) -> list[FloatArray]:
    """Return the gradients of a function of the predictor with respect to the layers.

    Parameters
    ----------
    layers
        As in `deep_linear_layers`.
    gradient
        Gradient with respect to the predictor, shape (d,).

    Returns
    -------
    list of ndarray of float64
        (W_L ... W_{l+1})ᵀ gradientᵀ (W_{l-1} ... W_1)ᵀ, in the shapes of the layers.
    """
    before = [gradient]  # gradientᵀ (W_{l-1} ... W_1)ᵀ, shape (h_{l-1},)
    for layer in layers[:-1]:
        before.append(layer @ before[-1])
    gradients, after = [], np.ones(1)
    for layer, right in zip(reversed(layers), reversed(before), strict=True):
        gradients.append(np.outer(after, right))
        after = after @ layer
    return gradients[::-1]


def balanced_layers(
    w: ArrayLike, depth: int, width: int, rng: np.random.Generator
) -> list[FloatArray]:
    """Return the layers of a balanced network of rank one with the predictor w.

    Parameters
    ----------
    w
        The predictor, shape (d,), not zero.
    depth
        L >= 1.
    width
        Of the hidden layers, >= 1.
    rng
        Draws the directions of the hidden layers.

    Returns
    -------
    list of ndarray of float64
        W_l = ‖w‖^{1/L} u_l u_{l-1}ᵀ with unit vectors u_0 = w/‖w‖ and u_L = 1, so that
        W_l W_lᵀ = W_{l+1}ᵀ W_{l+1}.

    Raises
    ------
    ValueError
        Bad shapes, w = 0, or sizes that are not positive integers.
    """
    w = _validate.vector(w, "w")
    depth, width = _validate.integer(depth, "depth", 1), _validate.integer(width, "width", 1)
    rng = _validate.generator(rng, "rng")
    norm = float(np.linalg.norm(w))
    if norm == 0:
        raise ValueError("w is zero; allowed: a vector with a direction")
    hidden = rng.normal(size=(depth - 1, width))
    units = [w / norm, *(h / np.linalg.norm(h) for h in hidden), np.ones(1)]
    return [norm ** (1 / depth) * np.outer(units[k + 1], units[k]) for k in range(depth)]
