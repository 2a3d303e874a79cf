"""Curvature of a loss in the space of weights: gradients, Hessians, and sharpness.

Sharpness is the largest eigenvalue of the Hessian. It is found by Lanczos iteration on exact
Hessian-vector products in float64, or from the N×N Gram matrix where the loss is a sum of squares
that vanishes. Losses are functions of one flat torch tensor; what goes in and comes out is NumPy.

Sources: Giladi et al. 2020, At Stability's Edge; Kreisler et al. 2023, Gradient Descent
Monotonically Decreases the Sharpness of Gradient Flow Solutions (sharpness as what limits the
step); Pearlmutter 1994, Fast Exact Multiplication by the Hessian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from ibcore import _validate
from ibcore._validate import FloatArray

if TYPE_CHECKING:
    import torch

    from ibcore.networks import Objective

__all__ = [
    "CurvatureError",
    "Sharpness",
    "gradient",
    "gram_sharpness",
    "hessian",
    "hessian_product",
    "jacobian",
    "sharpness",
]

#: Below this dimension a dense eigenvalue problem is faster than Lanczos.
DENSE = 32


class CurvatureError(RuntimeError):
    """Lanczos iteration that did not converge."""


@dataclass(frozen=True)
class Sharpness:
    """The largest eigenvalue of a symmetric operator.

    Attributes
    ----------
    value : float
    vector : ndarray, shape (P,)
        Its eigenvector, of length one; the sign is arbitrary.
    products : int
        How many products with the operator it took.
    """

    value: float
    vector: FloatArray
    products: int


def _tensor(theta: ArrayLike) -> torch.Tensor:
    import torch

    return torch.tensor(_validate.vector(theta, "theta"))


def _array(value: torch.Tensor, name: str) -> FloatArray:
    found: FloatArray = value.detach().numpy()
    if not np.isfinite(found).all():
        raise ValueError(f"theta: expected weights where the {name} is finite")
    return found


def gradient(loss: Objective, theta: ArrayLike) -> FloatArray:
    """Gradient of a loss.

    Parameters
    ----------
    loss : callable
        Scalar function of a flat float64 torch tensor.
    theta : array_like, shape (P,)

    Returns
    -------
    ndarray, shape (P,)

    Raises
    ------
    ValueError
        `theta` is not a finite vector, or the gradient is not finite there.
    """
    _validate.function(loss, "loss")
    import torch

    return _array(torch.func.grad(loss)(_tensor(theta)), "gradient")


def hessian(loss: Objective, theta: ArrayLike) -> FloatArray:
    """Hessian of a loss, dense and symmetric.

    Parameters
    ----------
    loss : callable
        Scalar function of a flat float64 torch tensor.
    theta : array_like, shape (P,)

    Returns
    -------
    ndarray, shape (P, P)

    Raises
    ------
    ValueError
        `theta` is not a finite vector, or the Hessian is not finite there.
    """
    _validate.function(loss, "loss")
    import torch

    # Reverse over reverse: forward mode scripts its rules, which newer versions warn about.
    second = _array(torch.func.jacrev(torch.func.grad(loss))(_tensor(theta)), "Hessian")
    return (second + second.T) / 2


def hessian_product(loss: Objective, theta: ArrayLike) -> Callable[[FloatArray], FloatArray]:
    """Return the map from v to the Hessian times v, by differentiating the gradient.

    The gradient is computed once; a product costs about as much as one more.

    Parameters
    ----------
    loss : callable
        Scalar function of a flat float64 torch tensor.
    theta : array_like, shape (P,)

    Returns
    -------
    product : callable
        Maps an ndarray of shape (P,) to one.

    Raises
    ------
    ValueError
        `theta` is not a finite vector, or the gradient is not finite there.
    """
    _validate.function(loss, "loss")
    import torch

    point = _tensor(theta).requires_grad_()
    slope = torch.autograd.grad(loss(point), point, create_graph=True)[0]
    _array(slope, "gradient")

    def product(v: FloatArray) -> FloatArray:
        direction = torch.tensor(_validate.vector(v, "v", len(point)))
        if not slope.requires_grad:  # the loss is affine: its gradient depends on nothing
            return np.zeros(len(point))
        second = torch.autograd.grad(
            slope, point, direction, retain_graph=True, materialize_grads=True
        )[0]
        return _array(second, "Hessian")

    return product


def jacobian(outputs: Objective, theta: ArrayLike) -> FloatArray:
    """Jacobian of a vector of outputs.

    Parameters
    ----------
    outputs : callable
        Maps a flat float64 torch tensor to a tensor with M entries, of any shape.
    theta : array_like, shape (P,)

    Returns
    -------
    ndarray, shape (M, P)

    Raises
    ------
    ValueError
        `theta` is not a finite vector, or the Jacobian is not finite there.
    """
    _validate.function(outputs, "outputs")
    import torch

    found = torch.func.jacrev(lambda point: outputs(point).reshape(-1))(_tensor(theta))
    return _array(found, "Jacobian")


def gram_sharpness(rows: ArrayLike, n_samples: int) -> Sharpness:
    """Sharpness of (1/2N) Σ r² where all residuals r vanish: the top eigenvalue of JᵀJ/N.

    There the Hessian is JᵀJ/N with J the Jacobian of the residuals, and the Gram matrix JJᵀ/N, of
    size M instead of P, has the same eigenvalues.

    Parameters
    ----------
    rows : array_like, shape (M, P)
        J.
    n_samples : int
        N, the number of samples in the mean; M is N times the number of outputs.

    Returns
    -------
    Sharpness
        The vector is in the space of weights, Jᵀu/‖Jᵀu‖; zero where J is zero.

    Raises
    ------
    ValueError
        `rows` is not a finite matrix, or `n_samples` is below one.
    """
    j = _validate.matrix(rows, "rows")
    n_samples = _validate.integer(n_samples, "n_samples", minimum=1)
    values, vectors = np.linalg.eigh(j @ j.T / n_samples)
    vector = j.T @ vectors[:, -1]
    length = float(np.linalg.norm(vector))
    return Sharpness(float(values[-1]), vector / length if length > 0 else vector, 0)


def sharpness(
    product: Callable[[FloatArray], FloatArray],
    dimension: int,
    *,
    start: ArrayLike | None = None,
    rtol: float = 1e-10,
    restarts: int = 1000,
) -> Sharpness:
    """Largest eigenvalue of a symmetric operator by Lanczos iteration.

    "Largest" is algebraic: at a saddle with a strong downward curvature it is still the most
    positive eigenvalue, the one that limits the step of descent.

    Parameters
    ----------
    product : callable
        v ↦ Hv for ndarrays of shape (P,).
    dimension : int
        P.
    start : array_like, shape (P,), optional
        First vector; the eigenvector at a nearby point saves products. By default a fixed
        pseudo-random vector, so that results repeat.
    rtol : float
        Relative accuracy of the eigenvalue that stops the iteration.
    restarts : int
        How often the iteration may start anew from its best vectors before it gives up.

    Returns
    -------
    Sharpness

    Raises
    ------
    ValueError
        A dimension or number of restarts below one, a start that is zero or not finite, or a
        tolerance that is not positive.
    CurvatureError
        No convergence after so many restarts.
    """
    _validate.function(product, "product")
    dimension = _validate.integer(dimension, "dimension", minimum=1)
    restarts = _validate.integer(restarts, "restarts", minimum=1)
    rtol = _validate.positive(rtol, "rtol")
    anywhere = np.random.default_rng(0).normal(size=dimension)
    first = anywhere if start is None else _validate.vector(start, "start", dimension)
    if not first.any():
        raise ValueError("start: expected a vector that is not zero")
    taken = 0

    def counted(v: FloatArray) -> FloatArray:
        nonlocal taken
        taken += 1
        return product(v.reshape(-1))

    if dimension <= DENSE:
        rows = np.array([counted(row) for row in np.eye(dimension)])
        values, vectors = np.linalg.eigh((rows + rows.T) / 2)
    else:
        # ARPACK refuses to begin in the kernel; only the zero operator has all vectors there.
        if not counted(first).any():
            if not counted(anywhere).any():
                return Sharpness(0.0, first / np.linalg.norm(first), taken)
            first = anywhere
        operator = LinearOperator((dimension, dimension), matvec=counted, dtype=np.float64)
        try:
            values, vectors = eigsh(operator, k=1, which="LA", v0=first, tol=rtol, maxiter=restarts)
        except ArpackNoConvergence as error:
            raise CurvatureError(f"no eigenvalue to {rtol} in {taken} products") from error
    return Sharpness(float(values[-1]), vectors[:, -1], taken)
