"""Losses of the margin, in the log domain where they underflow.

A loss ℓ(u) of the signed margin u = y xᵀw is monotone decreasing. Two logarithms describe it at any
margin: log ℓ(u) itself and the exponent f(u) = -log(-ℓ'(u)) of its tail, so that the gradient of
Σ ℓ(x_nᵀw) is -Σ e^{-f(x_nᵀw)} x_n. Both stay finite where ℓ and ℓ' underflow (u ≳ 745 for the
exponential loss, reached by gradient descent at t ≈ e^745).

Sources: Soudry et al. 2018 (Assumptions 2 and 3, Definition 2), Nacson et al. 2019 (tails).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ibcore import _validate
from ibcore._validate import FloatArray

__all__ = [
    "EXPONENTIAL",
    "LOGISTIC",
    "PROBIT",
    "QUADRATIC_EXPONENTIAL",
    "SIGMOID",
    "Loss",
    "log_cross_entropy",
    "log_power",
    "poly_exponential",
    "polynomial",
    "scaled",
]

Function = Callable[[ArrayLike], FloatArray]


@dataclass(frozen=True)
class Loss:
    """A decreasing loss of the signed margin, with its tail in the log domain.

    The functions take an array of margins of any shape (or a number) and return float64 of the same
    shape. They do not check for NaN: they sit in the inner loops of descent and flow.

    Attributes
    ----------
    name
        Name for figures and tables.
    log_value
        log ℓ(u).
    exponent
        f(u) = -log(-ℓ'(u)).
    exponent_slope
        f'(u).
    smoothness
        β, the smallest Lipschitz constant of ℓ' on the whole line; None when there is none.
    tail
        (a, c) of a tight exponential tail, -ℓ'(u) = c e^{-au} (1 + O(e^{-μu})) (Soudry et al. 2018,
        Definition 2 and Assumption 3); None when the loss has no such tail.
    """

    name: str
    log_value: Function
    exponent: Function
    exponent_slope: Function
    smoothness: float | None
    tail: tuple[float, float] | None

    def value(self, u: ArrayLike) -> FloatArray:
        """Return ℓ(u), 0 where it underflows and inf where it overflows.

        Parameters
        ----------
        u
            Margins, any shape.

        Returns
        -------
        ndarray of float64, the shape of `u`
        """
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self.log_value(u)), dtype=np.float64)

    def slope(self, u: ArrayLike) -> FloatArray:
        """Return -ℓ'(u) >= 0, the *negated* derivative (the weight of a sample in the gradient).

        Parameters
        ----------
        u
            Margins, any shape.

        Returns
        -------
        ndarray of float64, the shape of `u`; 0 where it underflows and inf where it overflows
        """
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(-self.exponent(u)), dtype=np.float64)


def _float(u: ArrayLike) -> FloatArray:
    """Return margins as float64."""
    return np.asarray(u, dtype=np.float64)


def _log_softplus_minus(u: FloatArray) -> FloatArray:
    """Return log log(1 + e^{-u}), which is -u - e^{-u}/2 + O(e^{-2u}) for large u."""
    z = np.exp(-np.maximum(u, 0.0))
    tiny = z < 1e-9
    # log1p(z)/z loses nothing down to tiny z, but 0/0 must not be formed.
    correction = np.where(tiny, -0.5 * z, np.log(np.log1p(z) / np.where(tiny, 1.0, z) + tiny))
    return np.where(u > 0, -u + correction, np.log(np.logaddexp(0.0, -np.minimum(u, 0.0))))


EXPONENTIAL = Loss(
    name="exponential",
    log_value=lambda u: -_float(u),
    exponent=lambda u: +_float(u),
    exponent_slope=lambda u: np.ones_like(_float(u)),
    smoothness=None,
    tail=(1.0, 1.0),
)
"""ℓ(u) = e^{-u}."""

LOGISTIC = Loss(
    name="logistic",
    log_value=lambda u: _log_softplus_minus(_float(u)),
    exponent=lambda u: np.logaddexp(0.0, _float(u)),
    exponent_slope=lambda u: special.expit(_float(u)),
    smoothness=0.25,
    tail=(1.0, 1.0),
)
"""ℓ(u) = log(1 + e^{-u})."""


def _sigmoid_exponent(u: ArrayLike) -> FloatArray:
    """Return softplus(u) + softplus(-u) without the cancellation of its two terms."""
    size = np.abs(_float(u))
    return np.asarray(size + 2.0 * np.log1p(np.exp(-size)))


SIGMOID = Loss(
    name="sigmoid",
    log_value=lambda u: -np.logaddexp(0.0, _float(u)),
    exponent=_sigmoid_exponent,
    exponent_slope=lambda u: np.tanh(0.5 * _float(u)),
    smoothness=1.0 / (6.0 * math.sqrt(3.0)),
    tail=(1.0, 1.0),
)
"""ℓ(u) = 1/(1 + e^u): not convex; its slope vanishes at -∞ too, so Assumption 2 fails there."""


def _probit_log_value(u: ArrayLike) -> FloatArray:
    """Return log(-log Φ(u)): for u > 0 by -log(1 - q) = q (1 + q/2 + ...), q = Φ(-u)."""
    u = _float(u)
    q = special.ndtr(-np.maximum(u, 0.0))
    tiny = q < 1e-9
    correction = np.where(tiny, 0.5 * q, np.log(-np.log1p(-q) / np.where(tiny, 1.0, q) + tiny))
    above: FloatArray = special.log_ndtr(-np.maximum(u, 0.0)) + correction
    return np.asarray(np.where(u > 0, above, np.log(-special.log_ndtr(np.minimum(u, 0.0)))))


def _probit_exponent(u: ArrayLike) -> FloatArray:
    """Return u²/2 + log √(2π) + log Φ(u); for u < 0 by erfcx, where those terms cancel."""
    u = _float(u)
    below: FloatArray = np.log(
        math.sqrt(math.pi / 2) * special.erfcx(-np.minimum(u, 0.0) / math.sqrt(2))
    )
    up = np.maximum(u, 0.0)
    above: FloatArray = 0.5 * up**2 + 0.5 * math.log(2 * math.pi) + special.log_ndtr(up)
    return np.asarray(np.where(u < 0, below, above))


def _probit_exponent_slope(u: ArrayLike) -> FloatArray:
    """Return u + φ(u)/Φ(u); for u < -50 by the asymptotic series, where the two terms cancel."""
    u = _float(u)
    x = np.maximum(-u, 50.0)
    series = (1 - (2 - (10 - (74 - 706 / x**2) / x**2) / x**2) / x**2) / x
    return np.where(u < -50, series, u + np.exp(-_probit_exponent(u)))


PROBIT = Loss(
    name="probit",
    log_value=_probit_log_value,
    exponent=_probit_exponent,
    exponent_slope=_probit_exponent_slope,
    smoothness=1.0,
    tail=None,
)
"""ℓ(u) = -log Φ(u): smooth, but its tail is Gaussian, not exponential."""


def _quadratic_log_value(u: ArrayLike) -> FloatArray:
    """Return -u for u > 0, else log(1 - u + u²/2)."""
    u = _float(u)
    low = np.minimum(u, 0.0)
    below = 2.0 * np.log(np.hypot(1.0, 1.0 - low)) - math.log(2.0)  # (1 + (1 - u)²)/2
    return np.where(u > 0, -u, below)


QUADRATIC_EXPONENTIAL = Loss(
    name="quadratic-exponential",
    log_value=_quadratic_log_value,
    exponent=lambda u: np.maximum(_float(u), 0.0) - np.log1p(-np.minimum(_float(u), 0.0)),
    exponent_slope=lambda u: 1.0 / (1.0 - np.minimum(_float(u), 0.0)),
    smoothness=1.0,
    tail=(1.0, 1.0),
)
"""ℓ(u) = e^{-u} for u > 0, 1 - u + u²/2 below: the exponential loss made globally smooth (β = 1),
with slopes that are not bounded, so that steps that are too large diverge."""


def scaled(loss: Loss, a: float, c: float) -> Loss:
    """Return the loss k ℓ(κu) whose tail is -ℓ' ~ c e^{-au}.

    Parameters
    ----------
    loss
        A loss with a tight exponential tail (a₀, c₀).
    a, c
        Rate and factor of the tail wanted, both > 0.

    Returns
    -------
    Loss
        With κ = a/a₀ and k = (c/c₀)/κ.

    Raises
    ------
    ValueError
        The loss has no exponential tail, or `a` or `c` is not positive.

    Notes
    -----
    Soudry et al. 2018, after Assumption 3: a and c can be absorbed into x_n and η.
    """
    _validate.instance(loss, "loss", Loss)
    a, c = _validate.positive(a, "a"), _validate.positive(c, "c")
    if loss.tail is None:
        raise ValueError(f"loss {loss.name!r} has no exponential tail; allowed: a loss with one")
    stretch, ratio = a / loss.tail[0], c / loss.tail[1]
    return Loss(
        name=f"{loss.name} (a={a:g}, c={c:g})",
        log_value=lambda u: math.log(ratio / stretch) + loss.log_value(stretch * _float(u)),
        exponent=lambda u: loss.exponent(stretch * _float(u)) - math.log(ratio),
        exponent_slope=lambda u: stretch * loss.exponent_slope(stretch * _float(u)),
        smoothness=None if loss.smoothness is None else ratio * stretch * loss.smoothness,
        tail=(a, c),
    )


def _extended(
    name: str, exponent: Function, exponent_slope: Function, log_value: Function, rate: float
) -> Loss:
    """Return a loss from its exponent on u >= 1, continued to u < 1.

    There f(u) = f(1) - 1 + e^{k(u-1)}, k = f'(1) = `rate`: f and f' are continuous at 1, f
    increases and -ℓ' stays below e^{1-f(1)}. Then ℓ is strictly convex and ℓ' is Lipschitz with
    the constant k e^{-f(1)} (attained at u = 1: f' e^{-f} decreases above, increases below), and
    ℓ(u) = ℓ(1) + e^{1-f(1)}/k [E₁(e^{k(u-1)}) - E₁(1)].
    """
    at_one = float(exponent(1.0))
    value_at_one = math.exp(float(log_value(1.0)))

    def log_value_below(u: FloatArray) -> FloatArray:
        log_z = rate * (u - 1)
        # E₁(z) = -γ - log z + O(z); the series keeps arguments that underflow.
        far = log_z < -40
        e1 = np.where(far, -np.euler_gamma - log_z, special.exp1(np.exp(np.maximum(log_z, -40.0))))
        return np.asarray(
            np.log(value_at_one + math.exp(1 - at_one) / rate * (e1 - special.exp1(1.0)))
        )

    def joined(above: Function, below: Callable[[FloatArray], Any]) -> Function:
        def function(u: ArrayLike) -> FloatArray:
            u = _float(u)
            return np.where(u >= 1, above(np.maximum(u, 1.0)), below(np.minimum(u, 1.0)))

        return function

    return Loss(
        name=name,
        log_value=joined(log_value, log_value_below),
        exponent=joined(exponent, lambda u: at_one - 1 + np.exp(rate * (u - 1))),
        exponent_slope=joined(exponent_slope, lambda u: rate * np.exp(rate * (u - 1))),
        smoothness=rate * math.exp(-at_one),
        tail=None,
    )


def _log_upper_gamma(a: float, x: FloatArray) -> FloatArray:
    """Return log Γ(a, x), also where it underflows (by the continued fraction of Legendre)."""
    split = a + 50.0
    near = special.gammaln(a) + np.log(special.gammaincc(a, np.minimum(x, split)))
    z = np.maximum(x, split)
    fraction = z + 401.0 - a
    for n in range(200, 0, -1):
        fraction = z + 2 * n - 1 - a - n * (n - a) / fraction
    far = -z + a * np.log(z) - np.log(fraction)
    return np.asarray(np.where(x > split, far, near))


def poly_exponential(nu: float) -> Loss:
    """Return the loss with the poly-exponential tail -ℓ'(u) = exp(-u^ν).

    Parameters
    ----------
    nu
        ν > 0.

    Returns
    -------
    Loss
        The tail holds for u >= 1 (at u = 0 the exponent u^ν has no finite slope when ν < 1). Below
        1 f(u) = e^{ν(u-1)}, so that f and f' are continuous and ℓ is strictly convex with β = ν/e.
        `tail` is (1, 1) for ν = 1, else None.

    Raises
    ------
    ValueError
        `nu` is not a positive number.

    Notes
    -----
    Nacson et al. 2019, Convergence of Gradient Descent on Separable Data (poly-exponential tails).
    """
    nu = _validate.positive(nu, "nu")
    loss = _extended(
        f"poly-exponential (ν={nu:g})",
        lambda u: _float(u) ** nu,
        lambda u: nu * _float(u) ** (nu - 1),
        lambda u: _log_upper_gamma(1 / nu, _float(u) ** nu) - math.log(nu),
        rate=nu,
    )
    tail = (1.0, 1.0) if nu == 1.0 else None
    return Loss(
        loss.name, loss.log_value, loss.exponent, loss.exponent_slope, loss.smoothness, tail
    )


def polynomial(p: float) -> Loss:
    """Return the loss with the polynomial tail -ℓ'(u) = u^{-(p+1)}, ℓ(u) = u^{-p}/p.

    Parameters
    ----------
    p
        p > 0.

    Returns
    -------
    Loss
        The tail holds for u >= 1. Below 1 f(u) = e^{(p+1)(u-1)} - 1, so that f and f' are
        continuous and ℓ is strictly convex with β = p + 1.

    Raises
    ------
    ValueError
        `p` is not a positive number.

    Notes
    -----
    Nacson et al. 2019, Convergence of Gradient Descent on Separable Data (tails too heavy for max
    margin).
    """
    p = _validate.positive(p, "p")
    return _extended(
        f"polynomial (p={p:g})",
        lambda u: (p + 1) * np.log(_float(u)),
        lambda u: (p + 1) / _float(u),
        lambda u: -p * np.log(_float(u)) - math.log(p),
        rate=p + 1,
    )


def log_power(a: float) -> Loss:
    """Return the loss with the sub-poly-exponential tail -ℓ'(u) = exp(-(1 + log u)^a).

    Parameters
    ----------
    a
        a > 1: lighter than every polynomial tail, heavier than every poly-exponential one.

    Returns
    -------
    Loss
        The tail holds for u >= 1. Below 1 f(u) = e^{a(u-1)}, so that f and f' are continuous and ℓ
        is strictly convex with β = a/e.

    Raises
    ------
    ValueError
        `a` is not a number > 1.

    Notes
    -----
    Nacson et al. 2019, Convergence of Gradient Descent on Separable Data (super-polynomial tails).
    The 1 makes f' positive at u = 1; u f'(u) = a (1 + log u)^{a-1} grows without bound. With
    y = 1 + log u, ℓ(u) = ∫_y^∞ e^{z-1-z^a} dz; the exponent is convex, and 64 nodes of
    Gauss-Laguerre give log ℓ to 1e-6 for a >= 1.2.
    """
    a = _validate.positive(a, "a")
    if a <= 1:
        raise ValueError(f"a is {a}; allowed: a number > 1")
    nodes, weights = np.polynomial.laguerre.laggauss(64)

    def log_value(u: ArrayLike) -> FloatArray:
        y = 1 + np.log(_float(u))[..., None]
        rate = a * y ** (a - 1) - 1
        z = nodes / rate
        # the integrand against e^{-nodes}: z - ((y + z)^a - y^a) + nodes, at most 0 by convexity
        rest = z - y**a * np.expm1(a * np.log1p(z / y)) + nodes
        total = (weights * np.exp(rest)).sum(axis=-1)
        return np.asarray((y - 1 - y**a - np.log(rate))[..., 0] + np.log(total))

    return _extended(
        f"log-power (a={a:g})",
        lambda u: (1 + np.log(_float(u))) ** a,
        lambda u: a * (1 + np.log(_float(u))) ** (a - 1) / _float(u),
        log_value,
        rate=a,
    )


def log_cross_entropy(logits: ArrayLike, y: ArrayLike) -> float:
    """Return the logarithm of the softmax cross-entropy summed over samples.

    Parameters
    ----------
    logits
        Shape (N, K), K >= 2.
    y
        Class indices 0..K-1, shape (N,).

    Returns
    -------
    float
        log Σ_n log(1 + Σ_{k≠y_n} e^{z_{nk} - z_{n y_n}}), exact also where the loss underflows.

    Raises
    ------
    ValueError
        Shapes that do not match, entries that are not finite, fewer than two classes, or labels
        that are not class indices.
    """
    logits = _validate.matrix(logits, "logits")
    n_samples, n_classes = logits.shape
    if n_classes < 2:
        raise ValueError(f"logits has shape {logits.shape}; allowed: at least two columns")
    y = _validate.classes(y, "y", n_classes, n_samples)
    rows = np.arange(n_samples)
    others = logits - logits[rows, y][:, None]
    others[rows, y] = -np.inf
    margins = -special.logsumexp(others, axis=1)
    return float(special.logsumexp(_log_softplus_minus(margins)))
