"""Two-layer ReLU networks at interpolating minima: sharpness, and what it says of the function.

A network is f(x) = Σ v_i max(w_i·x + b_i, 0) + c, all of w, b, v, c trained on the loss
(1/2N) Σ (f(x_n) - y_n)². Where it interpolates, the Hessian has the eigenvalues of K/N with the
tangent Gram matrix K, and K depends on the labels through the network only.

Sources: Nacson et al. 2023, The Implicit Bias of Minima Stability in Multivariate Shallow ReLU
Networks; Mulayoff et al. 2021, The Implicit Bias of Minima Stability: A View from Function Space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, optimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ibcore import _validate
from ibcore._validate import FloatArray

__all__ = [
    "Descent",
    "ShallowNet",
    "balanced",
    "descend",
    "leading",
    "mean_gradient",
    "mean_square_radius",
    "mean_square_threshold",
    "path_sum",
    "random_net",
    "rescaled",
    "ridges",
    "sharpness",
    "stability_norm",
    "stability_weight",
    "tangent_gram",
]


@dataclass(frozen=True)
class ShallowNet:
    """A two-layer ReLU network with k neurons.

    Attributes
    ----------
    w
        Input weights, shape (k, d).
    b
        Biases of the neurons, shape (k,).
    v
        Output weights, shape (k,).
    c
        Output bias.
    """

    w: FloatArray
    b: FloatArray
    v: FloatArray
    c: float = 0.0

    def __post_init__(self) -> None:
        width = _validate.matrix(self.w, "w").shape[0]
        _validate.vector(self.b, "b", width)
        _validate.vector(self.v, "v", width)
        _validate.number(self.c, "c")

    def outputs(self, x: ArrayLike) -> FloatArray:
        """Values of f at the rows of `x`, shape (N,); `ValueError` where they do not fit."""
        f: FloatArray = self.v @ np.maximum(self.preactivations(x), 0.0) + self.c
        return f

    def preactivations(self, x: ArrayLike) -> FloatArray:
        """Values of w_i·x_n + b_i, shape (k, N); `ValueError` where `x` does not fit."""
        points = _validate.matrix(x, "x", self.w.shape[1])
        z: FloatArray = self.w @ points.T + self.b[:, None]
        return z

    def flat(self) -> FloatArray:
        """The weights as one vector, in the order of `ibcore.networks.Network`."""
        return np.concatenate([self.w.ravel(), self.b, self.v, [self.c]])


def random_net(rng: np.random.Generator, width: int, n_features: int) -> ShallowNet:
    """Draw a network: w of variance 1/d, v of variance 1/k, standard normal b, no output bias.

    Parameters
    ----------
    rng
        Source of the draws.
    width
        k >= 1.
    n_features
        d >= 1.

    Returns
    -------
    ShallowNet

    Raises
    ------
    ValueError
        `rng` is not a generator, or a size below one.
    """
    rng = _validate.generator(rng, "rng")
    k, d = _validate.integer(width, "width", 1), _validate.integer(n_features, "n_features", 1)
    w = rng.standard_normal((k, d)) / np.sqrt(d)
    return ShallowNet(w, rng.standard_normal(k), rng.standard_normal(k) / np.sqrt(k))


# --- sharpness -----------------------------------------------------------------------------------


def tangent_gram(net: ShallowNet, x: ArrayLike, *, output_bias: bool = True) -> FloatArray:
    """Gram matrix of the gradients of the outputs, K = Φᵀ Φ.

    Parameters
    ----------
    net
        The network.
    x
        Points, shape (N, d).
    output_bias
        Whether c is trained; without it K lacks the matrix of ones.

    Returns
    -------
    ndarray of shape (N, N)

    Raises
    ------
    ValueError
        Points that do not fit the network.
    """
    _validate.instance(net, "net", ShallowNet)
    _validate.flag(output_bias, "output_bias")
    points = _validate.matrix(x, "x", net.w.shape[1])
    z = net.preactivations(points)
    gated, features = np.where(z > 0, net.v[:, None], 0.0), np.maximum(z, 0.0)
    k: FloatArray = (points @ points.T + 1) * (gated.T @ gated) + features.T @ features
    return k + 1 if output_bias else k


def sharpness(net: ShallowNet, x: ArrayLike, *, output_bias: bool = True) -> float:
    """Largest eigenvalue of the Hessian where the network interpolates: that of K/N.

    Parameters as in `tangent_gram`. Nothing is said of points that are not interpolated.
    """
    return leading(tangent_gram(net, x, output_bias=output_bias))[0]


def leading(gram: ArrayLike) -> tuple[float, FloatArray]:
    """Largest eigenvalue of K/N, and its unit eigenvector.

    Parameters
    ----------
    gram
        K, shape (N, N), symmetric.

    Returns
    -------
    value, vector
        A float, and an ndarray of shape (N,) whose sign is arbitrary.

    Raises
    ------
    ValueError
        A matrix that is not square or not symmetric.
    """
    gram = _gram(gram)
    n = len(gram)
    values, vectors = linalg.eigh(gram, subset_by_index=[n - 1, n - 1])
    return float(values[0]) / n, vectors[:, 0]


def mean_gradient(net: ShallowNet, x: ArrayLike) -> float:
    """Squared length of the mean gradient of the outputs, 1ᵀK1/N². Parameters as in `sharpness`."""
    _validate.instance(net, "net", ShallowNet)
    return float(tangent_gram(net, x).mean())


# --- the function --------------------------------------------------------------------------------


def ridges(net: ShallowNet) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the neurons in the form a max(u·x - t, 0) with |u| = 1, those with w = 0 left out.

    Parameters
    ----------
    net
        The network.

    Returns
    -------
    a, u, t
        Shapes (m,), (m, d) and (m,), m <= k: what does not change when a neuron is rescaled.
    """
    _validate.instance(net, "net", ShallowNet)
    lengths = np.linalg.norm(net.w, axis=1)
    kept = lengths > 0
    lengths = lengths[kept]
    u, t = net.w[kept] / lengths[:, None], -net.b[kept] / lengths
    return net.v[kept] * lengths, u, t


def stability_weight(
    u: ArrayLike, t: ArrayLike, x: ArrayLike, *, two_sided: bool = True
) -> FloatArray:
    """Weight of the half-spaces u·x > t: P² E[u·x - t] (1 + |E x|²)^(1/2), means inside.

    Parameters
    ----------
    u
        Unit normals, shape (m, d).
    t
        Offsets, shape (m,).
    x
        Points, shape (N, d), equally likely.
    two_sided
        The smaller of the weights of u·x > t and of u·x < t, as in the stability norm. Otherwise
        that of u·x > t alone.

    Returns
    -------
    ndarray of shape (m,)
        Zero where the half-space holds no point.

    Raises
    ------
    ValueError
        Shapes that do not match, or values that are not finite.
    """
    _validate.flag(two_sided, "two_sided")
    points = _validate.matrix(x, "x")
    normals = _validate.matrix(u, "u", points.shape[1])
    z = normals @ points.T - _validate.vector(t, "t", len(normals))[:, None]
    weight = _half_space_weight(z, points)
    return np.minimum(weight, _half_space_weight(-z, points)) if two_sided else weight


def _half_space_weight(z: FloatArray, points: FloatArray) -> FloatArray:
    active = (z > 0).astype(np.float64)
    count, total = active.sum(axis=1), active @ points
    length = np.sqrt(count**2 + np.square(total).sum(axis=1))
    weight: FloatArray = np.maximum(z, 0.0).sum(axis=1) * length / len(points) ** 2
    return weight


def path_sum(net: ShallowNet, x: ArrayLike, *, two_sided: bool = False) -> float:
    """Σ |a_i| g(u_i, t_i), neuron by neuron.

    Parameters
    ----------
    net, x
        Network, and points of shape (N, d).
    two_sided
        Whether the weight is the smaller one of the two sides; see `stability_weight`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Points that do not fit the network.
    """
    _validate.instance(net, "net", ShallowNet)
    a, u, t = ridges(net)
    return float(np.abs(a) @ stability_weight(u, t, x, two_sided=two_sided)) if a.size else 0.0


def stability_norm(net: ShallowNet, x: ArrayLike, *, merge: float = 1e-9) -> float:
    """Σ |Σ a_i| g over the distinct hyperplanes of the network.

    Parameters
    ----------
    net, x
        Network, and points of shape (N, d).
    merge
        Neurons whose (u, t) agree to this distance, up to a common sign, bend f along the same
        hyperplane, and their a_i are added before the modulus is taken.

    Returns
    -------
    float
        Zero for functions that are affine.

    Raises
    ------
    ValueError
        Points that do not fit the network, or a negative distance.
    """
    _validate.instance(net, "net", ShallowNet)
    merge = _validate.non_negative(merge, "merge")
    a, u, t = ridges(net)
    if not a.size:
        return 0.0
    planes, m = np.column_stack([u, t]), len(a)
    pairs = cKDTree(np.vstack([planes, -planes])).query_pairs(merge, output_type="ndarray") % m
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(m, m))
    count, group = connected_components(links, directed=False)
    bend = np.abs(np.bincount(group, weights=a, minlength=count))
    first = np.unique(group, return_index=True)[1]
    return float(bend @ stability_weight(u[first], t[first], x))


def balanced(net: ShallowNet, x: ArrayLike) -> ShallowNet:
    """Rescale neurons so that |v| (1 + |E x|²)^(1/2) = E[w·x + b], means over active points.

    The function stays, and the squared mean gradient falls to 1 + 2 Σ |a| g.

    Parameters
    ----------
    net, x
        Network, and points of shape (N, d). Neurons without active points, or with v = 0, are left
        alone.

    Returns
    -------
    ShallowNet

    Raises
    ------
    ValueError
        Points that do not fit the network.
    """
    _validate.instance(net, "net", ShallowNet)
    z = net.preactivations(x)
    active = (z > 0).astype(np.float64)
    reach = np.sqrt(active.sum(axis=1) ** 2 + np.square(active @ np.asarray(x)).sum(axis=1))
    return rescaled(net, np.abs(net.v) * reach, np.maximum(z, 0.0).sum(axis=1))


def rescaled(net: ShallowNet, outer: ArrayLike, inner: ArrayLike) -> ShallowNet:
    """Scale w, b by s and v by 1/s so that outer / s = inner s, neuron by neuron.

    Parameters
    ----------
    net
        The network.
    outer, inner
        What shrinks with v and what grows with w, shape (k,). Neurons where one of the two is not
        positive are left alone.

    Returns
    -------
    ShallowNet
        The same function.

    Raises
    ------
    ValueError
        Vectors of another length, or not finite.
    """
    _validate.instance(net, "net", ShallowNet)
    outer = _validate.vector(outer, "outer", len(net.v))
    inner = _validate.vector(inner, "inner", len(net.v))
    movable = (outer > 0) & (inner > 0)
    s = np.sqrt(np.where(movable, outer, 1.0) / np.where(movable, inner, 1.0))
    return replace(net, w=net.w * s[:, None], b=net.b * s, v=net.v / s)


# --- descent -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Descent:
    """Where a run of gradient descent ended.

    Attributes
    ----------
    net
        The last network.
    mse
        Its mean squared error.
    steps
        Updates made.
    highest
        The largest mean squared error on the way.
    """

    net: ShallowNet
    mse: float
    steps: int
    highest: float


def descend(
    nets: Sequence[ShallowNet],
    x: ArrayLike,
    y: ArrayLike,
    steps: ArrayLike,
    *,
    updates: int,
    ramp: int = 0,
    stop: float = 0.0,
) -> list[Descent]:
    """Full-batch gradient descent on (1/2N) Σ (f - y)², several runs at once.

    Parameters
    ----------
    nets
        Where the runs start: networks of one shape, or a single one for all.
    x, y
        Points, shape (N, d), and targets, shape (N,).
    steps
        Step size of each run, shape (E,).
    updates
        Most updates of a run.
    ramp
        The step grows in equal parts from 1/20 to its value during the first `ramp` updates.
    stop
        A run ends at this mean squared error >= 0, once the ramp is over.

    Returns
    -------
    list of Descent
        One a run.

    Raises
    ------
    ValueError
        Arguments out of range, or networks of several shapes.
    FloatingPointError
        A run diverged.
    """
    points = _validate.matrix(x, "x")
    targets = _validate.vector(y, "y", len(points))
    stop = _validate.non_negative(stop, "stop")
    _validate.sequence(nets, "nets", "networks")
    for k, net in enumerate(nets):
        _validate.instance(net, f"nets[{k}]", ShallowNet)
    rates = _validate.vector(steps, "steps")
    if (rates <= 0).any():
        raise ValueError("steps has entries that are not positive; allowed: step sizes > 0")
    updates, ramp = _validate.integer(updates, "updates", 1), _validate.integer(ramp, "ramp", 0)
    starts = list(nets) * (len(rates) if len(nets) == 1 else 1)
    if len(starts) != len(rates) or len({net.w.shape for net in starts}) != 1:
        raise ValueError(
            f"nets has {len(nets)} networks of shapes {[net.w.shape for net in nets]}; "
            f"allowed: one, or {len(rates)} of one shape"
        )
    run = _Runs(starts, points, targets, rates)
    for t in range(updates):
        run.step(min(1.0, 0.05 + 0.95 * t / ramp) if ramp else 1.0)
        if t >= ramp:
            run.retire(stop, t)
            if not run.alive.size:
                break
    run.retire(np.inf, updates)
    return run.ended


class _Runs:
    """Runs of descent side by side: arrays with the run as the leading axis."""

    def __init__(
        self, nets: list[ShallowNet], x: FloatArray, y: FloatArray, rates: FloatArray
    ) -> None:
        _validate.matrix(x, "x", nets[0].w.shape[1])
        self.x, self.y, self.rates = np.column_stack([x, np.ones(len(x))]), y, rates
        self.w = np.stack([np.column_stack([net.w, net.b]) for net in nets])
        self.v, self.c = np.stack([net.v for net in nets]), np.array([net.c for net in nets])
        self.alive, self.highest = np.arange(len(nets)), np.zeros(len(nets))
        self.found: list[Descent | None] = [None] * len(nets)
        self._forward()

    @property
    def ended(self) -> list[Descent]:
        return [run for run in self.found if run is not None]

    def _forward(self) -> None:
        e, k, d = self.w.shape
        self.h = np.maximum((self.w.reshape(e * k, d) @ self.x.T).reshape(e, k, -1), 0.0)
        self.residual = (self.v[:, None] @ self.h)[:, 0] + self.c[:, None] - self.y
        self.mse = np.square(self.residual).mean(axis=1)
        if not np.isfinite(self.mse).all():
            raise FloatingPointError("gradient descent diverged: take a smaller step")
        self.highest = np.maximum(self.highest, self.mse)

    def step(self, share: float) -> None:
        e, k, d = self.w.shape
        eta = share * self.rates
        pull = self.residual * (eta / len(self.y))[:, None]
        delta = np.where(self.h > 0, pull[:, None], 0.0)
        slope = (delta.reshape(e * k, -1) @ self.x).reshape(e, k, d)
        dv = (self.h @ pull[..., None])[..., 0]
        self.w -= slope * self.v[..., None]
        self.v -= dv
        self.c -= pull.sum(axis=1)
        self._forward()

    def retire(self, stop: float, t: int) -> None:
        """Take out the runs that are done."""
        done = self.mse <= stop
        if not done.any():
            return
        for i in np.flatnonzero(done):
            net = ShallowNet(self.w[i, :, :-1], self.w[i, :, -1], self.v[i], float(self.c[i]))
            self.found[self.alive[i]] = Descent(
                net, float(self.mse[i]), t + np.isfinite(stop), float(self.highest[i])
            )
        for name in ("w", "v", "c", "h", "residual", "mse", "alive", "highest", "rates"):
            setattr(self, name, getattr(self, name)[~done])


# --- linear stability ----------------------------------------------------------------------------


def mean_square_radius(gram: ArrayLike, step: float, batch: int = 1) -> float:
    """Factor by which E|r|² grows in a step of SGD, linearised at an interpolating minimum.

    Parameters
    ----------
    gram
        K, shape (N, N), symmetric and positive semi-definite.
    step
        Step size.
    batch
        Samples in a batch, drawn without replacement; N gives gradient descent.

    Returns
    -------
    float
        Spectral radius of C ↦ E (I - ηK_B) C (I - ηK_B)ᵀ on the range of K, with K_B the columns of
        K in the batch, others zero, over the size of the batch. The minimum is stable in mean
        square where it is below one.

    Raises
    ------
    ValueError
        A matrix that is not square, sizes out of range, or a step that is not positive.

    Notes
    -----
    Dense, of size rank(K)²: meant for N up to some forty.
    """
    k, step, batch = _gram(gram), _validate.positive(step, "step"), _batch(batch, gram)
    n = len(k)
    values, vectors = np.linalg.eigh(k)
    kept = values > 1e-12 * values[-1]
    basis, spectrum = vectors[:, kept], values[kept]
    m = spectrum.size
    both = (batch - 1) / max(n - 1, 1)  # that a second sample is in the batch, given the first
    drift = np.eye(m) - step / n * np.diag(spectrum)
    own = np.einsum("ni,nj,nk,nl->ijkl", basis, basis, basis, basis).reshape(m * m, m * m)
    noise = both * np.eye(m * m) + (1 - both) * own
    scale = np.kron(spectrum, spectrum)
    mean = np.kron(drift, drift) - step**2 / n**2 * np.diag(scale)
    operator = mean + step**2 / (n * batch) * scale[:, None] * noise
    return float(np.abs(np.linalg.eigvals(operator)).max())


def mean_square_threshold(gram: ArrayLike, batch: int = 1) -> float:
    """Largest step at which the minimum is stable in mean square. Parameters as in the radius."""
    k = _gram(gram)
    most = 2 * len(k) / float(np.linalg.eigvalsh(k)[-1])
    if _batch(batch, k) == len(k):
        return most
    return float(
        optimize.brentq(
            lambda step: mean_square_radius(k, step, batch) - 1, 1e-3 * most, most, xtol=1e-14
        )
    )


def _gram(value: ArrayLike) -> FloatArray:
    k = _validate.matrix(value, "gram")
    if k.shape[0] != k.shape[1] or not np.allclose(k, k.T):
        raise ValueError(f"gram has shape {k.shape}; allowed: a symmetric matrix")
    return k


def _batch(value: int, gram: ArrayLike) -> int:
    batch, n = _validate.integer(value, "batch", 1), len(np.asarray(gram))
    if batch > n:
        raise ValueError(f"batch is {batch}; allowed: at most the {n} samples")
    return batch
