"""Networks with quantised weights: the exact law of the function that uniform random weights give.

Every weight is drawn uniformly from a finite set of integers, the alphabet. On m points a network
is then one of 2**m functions, and the probability of each is a count of weight settings. Nothing
is sampled: hidden neurons are independent, so the law of the output before its sign is a
convolution of the law of one neuron, and the sign is taken in the last convolution only.

Conventions. The label of a point is +1 where the output is > 0, and -1 where it is <= 0. A function
on m points is its *code*, an integer with bit i set where point i is labelled +1. A set of points
is a *mask*, with bit i set where point i belongs to it. All logarithms are natural.

Source: the setting of Buzaglo et al. 2024.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibcore import _validate
from ibcore._validate import FloatArray, IntArray

__all__ = [
    "GuessAndCheck",
    "Law",
    "boolean_cube",
    "codes_of_points",
    "convolve",
    "cube_averages",
    "distinct_points_law",
    "function_prior",
    "guess_and_check_samples",
    "inputs_prior",
    "mean_by_size",
    "measure_of_masks",
    "neuron_law",
    "pinned_parameters",
    "seen_set_law",
    "sign_counts",
    "superset_sums",
]

_MAX_POINTS = 16  # 2**m codes and masks are held in memory

#: Fixed odd multipliers: a vector of integers is recognised by its sum with these, modulo 2**64.
_MULTIPLIERS = np.random.default_rng(0x5EED).integers(0, 2**63, size=4096, dtype=np.uint64) * 2 + 1


@dataclass(frozen=True)
class Law:
    """A random vector of integers, as a count of weight settings for each of its values.

    Attributes
    ----------
    values
        Distinct vectors, shape (n, m).
    counts
        How many weight settings give each, whole numbers in float64 (exact below 2**53), shape (n,)
    """

    values: IntArray
    counts: FloatArray

    @property
    def total(self) -> float:
        """Number of weight settings."""
        return float(self.counts.sum())


def _alphabet(value: ArrayLike) -> IntArray:
    """Check an alphabet: distinct integers, at least two."""
    result = _validate._whole(value, "alphabet", None, "a vector of distinct integers, two or more")
    if result.size < 2 or np.unique(result).size < result.size:
        raise ValueError(
            f"alphabet is {result.tolist()}; allowed: a vector of distinct integers, two or more"
        )
    return result


def boolean_cube(d: int) -> IntArray:
    """Return the corners of the cube.

    Parameters
    ----------
    d
        Dimension, 1 to 4.

    Returns
    -------
    ndarray of int64, shape (2**d, d)
        Entries -1 and +1; point i has the binary digits of i, the first coordinate the highest.

    Raises
    ------
    ValueError
        `d` is not an integer from 1 to 4.
    """
    d = _validate.integer(d, "d", 1)
    if d > 4:
        raise ValueError(f"d is {d}; allowed: 1 to 4, since there are 2**2**d functions")
    return np.array(list(itertools.product((-1, 1), repeat=d)), dtype=np.int64)


def codes_of_points(outputs: ArrayLike) -> IntArray:
    """Return the code of each row of outputs.

    Parameters
    ----------
    outputs
        Outputs of networks, shape (..., m) with m <= 62.

    Returns
    -------
    ndarray of int64, shape (...)

    Raises
    ------
    ValueError
        Not finite, or too many points.
    """
    f = _validate.array(outputs, "outputs")
    if f.ndim == 0 or f.shape[-1] > 62:
        raise ValueError(f"outputs has shape {f.shape}; allowed: (..., m) with m <= 62")
    return (f > 0) @ (1 << np.arange(f.shape[-1], dtype=np.int64))


# --- laws of outputs -----------------------------------------------------------------------------


def _sums(group: IntArray, counts: FloatArray) -> FloatArray:
    """Add up the counts of each group."""
    return np.bincount(group, counts).astype(np.float64, copy=False)


def _merge(values: IntArray, counts: FloatArray) -> Law:
    """Add up the counts of equal rows."""
    keys = values.astype(np.uint64) @ _MULTIPLIERS[: values.shape[1]]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return Law(values[first], _sums(inverse, counts))


def _settings(alphabet: IntArray, length: int) -> IntArray:
    """Return all vectors of weights, shape (Q**length, length)."""
    grid = np.meshgrid(*[alphabet] * length, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1)


def _activations(inputs: IntArray, alphabet: IntArray, scaled: bool) -> Law:
    """Return the law of one neuron's activation, summed over the positions of `inputs`."""
    fan_in = inputs.shape[-1]
    weights = _settings(alphabet, fan_in + (2 if scaled else 1))
    sums = np.tensordot(weights[:, :fan_in], inputs, axes=(1, inputs.ndim - 1))
    bias = weights[:, fan_in].reshape(-1, *[1] * (sums.ndim - 1))
    scale = weights[:, -1].reshape(bias.shape) if scaled else 1
    active = np.maximum(scale * sums + bias, 0)
    if active.ndim == 3:
        active = active.sum(axis=2)
    return _merge(active, np.ones(len(active)))


def neuron_law(inputs: ArrayLike, alphabet: ArrayLike, *, scaled: bool = False) -> Law:
    """Return the law of what one hidden neuron adds to the output.

    Parameters
    ----------
    inputs
        Whole numbers: the points, shape (m, k); or, for a channel of a convolution with sum
        pooling, the windows of each point, shape (m, positions, k).
    alphabet
        Values of each weight, distinct integers.
    scaled
        Give the neuron a scale γ: z·relu(γ (w·x) + b) instead of z·relu(w·x + b).

    Returns
    -------
    Law
        Vectors of shape (m,).

    Raises
    ------
    ValueError
        Inputs that are not whole numbers of that shape, or an alphabet without two distinct values.
    """
    _validate.flag(scaled, "scaled")
    points, letters = _whole_points(inputs), _alphabet(alphabet)
    active = _activations(points, letters, scaled)
    values = (letters[:, None, None] * active.values).reshape(-1, len(points))
    return _merge(values, np.tile(active.counts, letters.size))


def _whole_points(inputs: ArrayLike) -> IntArray:
    """Check inputs: whole numbers, at most 2**16 functions."""
    x = _validate.array(inputs, "inputs")
    allowed = f"whole numbers, shape (m, k) or (m, positions, k) with m <= {_MAX_POINTS}"
    if x.ndim not in (2, 3) or len(x) > _MAX_POINTS:
        raise ValueError(f"inputs has shape {x.shape}; allowed: {allowed}")
    if not np.array_equal(np.rint(x), x):
        raise ValueError(f"inputs has entries that are not integers; allowed: {allowed}")
    return x.astype(np.int64)


def convolve(a: Law, b: Law) -> Law:
    """Return the law of the sum of two independent vectors of the same length.

    Raises
    ------
    ValueError
        The vectors differ in length.
    """
    _validate.instance(a, "a", Law)
    _validate.instance(b, "b", Law)
    if a.values.shape[1] != b.values.shape[1]:
        raise ValueError(
            f"b has vectors of length {b.values.shape[1]}; allowed: {a.values.shape[1]}, as in a"
        )
    multipliers = _MULTIPLIERS[: a.values.shape[1]]
    left, right = a.values.astype(np.uint64) @ multipliers, b.values.astype(np.uint64) @ multipliers
    keys = (left[:, None] + right).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    i, j = np.divmod(first, len(right))
    counts = _sums(inverse, np.outer(a.counts, b.counts).ravel())
    return Law(a.values[i] + b.values[j], counts)


def sign_counts(left: Law, right: Law, offset: Law) -> FloatArray:
    """Return how many weight settings give each function sign(left + right + offset).

    Parameters
    ----------
    left, right
        Independent outputs on m <= 16 points; the shorter law on the left is faster.
    offset
        Law of the bias of the output, vectors of length 1.

    Returns
    -------
    ndarray, shape (2**m,)
        Counts by code.

    Raises
    ------
    ValueError
        Lengths that do not match, or more than 16 points.
    """
    _validate.instance(left, "left", Law)
    _validate.instance(right, "right", Law)
    _validate.instance(offset, "offset", Law)
    m = right.values.shape[1]
    if left.values.shape[1] != m or offset.values.shape[1] != 1 or m > _MAX_POINTS:
        raise ValueError(
            f"left, right, offset have vectors of lengths {left.values.shape[1]}, {m}, "
            f"{offset.values.shape[1]}; allowed: m, m, 1 with m <= {_MAX_POINTS}"
        )
    if len(left.counts) * len(right.counts) * m <= 2**21:
        return _small_sign_counts(left, right, offset)
    largest = sum(int(np.abs(law.values).max()) for law in (left, right, offset))
    small = np.int16 if largest < 2**15 else np.int64  # a third of the time, where it is enough
    columns = np.ascontiguousarray(right.values.T).astype(small)
    bits: dict[tuple[int, int], NDArray[np.uint16]] = {}

    def bit(i: int, threshold: int) -> NDArray[np.uint16]:
        """Bit i of the code of every vector on the right, given what the rest adds at point i."""
        if (i, threshold) not in bits:
            above = columns[i] > small(threshold)
            bits[i, threshold] = above.astype(np.uint16) << np.uint16(i)
        return bits[i, threshold]

    counts = np.zeros(2**m)
    code = np.empty(columns.shape[1], dtype=np.uint16)
    for row, count in zip(left.values.tolist(), left.counts.tolist(), strict=True):
        for (shift,), times in zip(offset.values.tolist(), offset.counts.tolist(), strict=True):
            code[:] = 0
            for i, value in enumerate(row):
                code |= bit(i, -value - shift)
            counts += count * times * np.bincount(code, right.counts, minlength=2**m)
    return counts


def _small_sign_counts(left: Law, right: Law, offset: Law) -> FloatArray:
    """Do the same with all pairs in memory at once."""
    m = right.values.shape[1]
    counts = np.zeros(2**m)
    pairs = np.outer(left.counts, right.counts).ravel()
    for (shift,), times in zip(offset.values.tolist(), offset.counts.tolist(), strict=True):
        codes = np.zeros((len(left.counts), len(right.counts)), dtype=np.int64)
        for i in range(m):
            above = np.add.outer(left.values[:, i], right.values[:, i]) > -shift
            codes += above.astype(np.int64) << i
        counts += times * np.bincount(codes.ravel(), pairs, minlength=2**m)
    return counts


# --- symmetry of the cube ------------------------------------------------------------------------


def _cube_permutations(d: int, flips: bool) -> list[list[IntArray]]:
    """Return factors of the group of the cube, as permutations of its corners.

    Every element is a product with one permutation from each factor: reflections one coordinate at
    a time, then the transversals of S_{k-1} in S_k.
    """
    cube = boolean_cube(d)
    powers = 1 << np.arange(d)[::-1]

    def index(points: IntArray) -> IntArray:
        return ((points + 1) // 2) @ powers

    factors = []
    for i in range(d if flips else 0):
        factors.append([np.arange(2**d), index(cube * np.where(np.arange(d) == i, -1, 1))])
    for k in range(1, d):
        swaps = []
        for i in range(k + 1):
            order = np.arange(d)
            order[[i, k]] = order[[k, i]]
            swaps.append(index(cube[:, order]))
        factors.append(swaps)
    return factors


def _group(d: int, flips: bool) -> IntArray:
    """Return all symmetries of the corners of the cube, shape (|G|, 2**d)."""
    elements = [np.arange(2**d)]
    for factor in _cube_permutations(d, flips):
        elements = [a[b] for a in elements for b in factor]
    return np.array(elements)


def _fold(law: Law, group: IntArray) -> Law:
    """Return one vector for each orbit of the group, with the counts of the whole orbit."""
    multipliers = _MULTIPLIERS[: law.values.shape[1]]
    placed = np.empty((multipliers.size, len(group)), dtype=np.uint64)
    for column, permutation in zip(placed.T, group, strict=True):
        column[permutation] = multipliers
    keys = np.empty(len(law.values), dtype=np.uint64)
    for start in range(0, len(keys), 4096):
        rows = slice(start, start + 4096)
        keys[rows] = (law.values[rows].astype(np.uint64) @ placed).min(axis=1)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return Law(law.values[first], _sums(inverse, law.counts))


def cube_averages(by_code: ArrayLike, d: int, *, flips: bool = True) -> FloatArray:
    """Average a function of codes over the symmetries of the cube.

    Parameters
    ----------
    by_code
        One number for each function on the corners of the cube, shape (2**2**d,).
    d
        Dimension, 1 to 4.
    flips
        Include the reflections x_i -> -x_i, not only the permutations of the coordinates.

    Returns
    -------
    ndarray, shape (2**2**d,)

    Raises
    ------
    ValueError
        Shapes that do not match, or values that are not finite.
    """
    _validate.flag(flips, "flips")
    m = len(boolean_cube(d))
    result = _validate.vector(by_code, "by_code", 2**m)
    codes = np.arange(2**m)
    digits = (codes[:, None] >> np.arange(m)) & 1
    for factor in _cube_permutations(d, flips):
        moved = [result[digits[:, p] @ (1 << np.arange(m))] for p in factor]
        result = np.mean(moved, axis=0)
    return result


# --- the prior over functions --------------------------------------------------------------------


def function_prior(
    d: int, widths: Sequence[int], alphabet: ArrayLike = (-1, 0, 1), *, scaled: bool = False
) -> FloatArray:
    """Return the probability of every function on the cube under uniform quantised weights.

    Parameters
    ----------
    d
        Dimension of the input, 1 to 4.
    widths
        Widths of one or two hidden ReLU layers.
    alphabet
        Values of each weight and bias, distinct integers.
    scaled
        Give each neuron, that of the output included, a scale: relu(γ (w·x) + b).

    Returns
    -------
    ndarray, shape (2**2**d,)
        Probabilities by code; they add up to 1.

    Raises
    ------
    ValueError
        Sizes or an alphabet out of range.

    Notes
    -----
    Exact: counts of weight settings, grouped by convolution. Vectors of outputs are told apart by
    64-bit keys; two of a million distinct ones share one with a probability below 1e-7. With two
    hidden layers the first is enumerated up to the symmetries of the cube.
    """
    _validate.sequence(widths, "widths", "integers")
    _validate.flag(scaled, "scaled")
    points, letters = boolean_cube(d), _alphabet(alphabet)
    sizes = [_validate.integer(width, "widths", 1) for width in widths]
    if len(sizes) not in (1, 2):
        raise ValueError(f"widths is {sizes}; allowed: one or two hidden layers")
    flips = np.array_equal(np.sort(letters), np.sort(-letters))
    group = _group(d, flips)
    if len(sizes) == 1:
        counts = _output_counts(points, letters, sizes[0], scaled, group)
    else:
        counts = _two_layer_counts(points, letters, sizes, scaled, group)
    averaged = cube_averages(counts, d, flips=flips)
    return _normalised(averaged)


def inputs_prior(
    inputs: ArrayLike, width: int, alphabet: ArrayLike = (-1, 0, 1), *, scaled: bool = False
) -> FloatArray:
    """Return the probability of every function on given points, for one hidden layer.

    Parameters
    ----------
    inputs
        As for `neuron_law`.
    width
        Number of neurons, or of channels.
    alphabet, scaled
        As for `function_prior`.

    Returns
    -------
    ndarray, shape (2**m,)
        Probabilities by code.

    Raises
    ------
    ValueError
        Arguments out of range.
    """
    points, letters = _whole_points(inputs), _alphabet(alphabet)
    counts = _output_counts(points, letters, _validate.integer(width, "width", 1), scaled, None)
    return _normalised(counts)


def _normalised(counts: FloatArray) -> FloatArray:
    """Turn counts into probabilities."""
    total: float = counts.sum()
    return counts / total


def _output_counts(
    inputs: IntArray, letters: IntArray, width: int, scaled: bool, group: IntArray | None
) -> FloatArray:
    """Return counts by code for one hidden layer, up to symmetry where a group is given."""
    neuron = neuron_law(inputs, letters, scaled=scaled)
    zero = Law(np.zeros((1, len(inputs)), dtype=np.int64), np.ones(1))
    offset = _merge(letters[:, None], np.ones(letters.size))
    left, right = zero, zero
    for k in range(width):
        if k % 2 == 0:
            right = convolve(right, neuron)
        else:
            left = convolve(left, neuron)
            left = left if group is None else _fold(left, group)
    scales = letters if scaled else np.ones(1, dtype=np.int64)
    return sum(
        (
            sign_counts(
                Law(s * left.values, left.counts), Law(s * right.values, right.counts), offset
            )
            for s in scales
        ),
        start=np.zeros(2 ** len(inputs)),
    )


def _two_layer_counts(
    points: IntArray, letters: IntArray, widths: Sequence[int], scaled: bool, group: IntArray
) -> FloatArray:
    """Return counts by code for two hidden layers, first layers up to symmetry."""
    active = _activations(points, letters, scaled)
    keys = active.values.astype(np.uint64) @ _MULTIPLIERS[: len(points)]
    order = np.argsort(keys)
    moved = active.values[:, group].astype(np.uint64) @ _MULTIPLIERS[: len(points)]
    image = order[np.searchsorted(keys, moved, sorter=order)].T  # (|G|, n)
    first = np.array(
        list(itertools.combinations_with_replacement(range(len(keys)), widths[0])), dtype=np.int64
    )
    radix = len(keys) ** np.arange(widths[0])
    label = np.min([np.sort(p[first], axis=1) @ radix for p in image], axis=0)
    _, chosen, inverse = np.unique(label, return_index=True, return_inverse=True)
    orders = [math.factorial(widths[0]) / math.prod(map(math.factorial, np.unique(
        row, return_counts=True)[1].tolist())) for row in first]  # fmt: skip
    settings = np.bincount(inverse, np.array(orders) * active.counts[first].prod(axis=1))
    counts = np.zeros(2 ** len(points))
    for row, times in zip(first[chosen], settings, strict=True):
        hidden = active.values[row].T
        counts += times * _output_counts(hidden, letters, widths[1], scaled, None)
    return counts


# --- guess and check -----------------------------------------------------------------------------


def _by_mask(value: ArrayLike, name: str) -> tuple[FloatArray, int]:
    """Return one number for each mask of m points, shape (2**m,), and m."""
    values = _validate.vector(value, name)
    m = values.size.bit_length() - 1
    if values.size != 2**m:
        raise ValueError(f"{name} has length {values.size}; allowed: a power of two")
    return values, m


def superset_sums(values: ArrayLike) -> FloatArray:
    """Return Z with Z[A] = sum of values[B] over the masks B that contain A.

    Parameters
    ----------
    values
        One number for each mask, shape (2**m,).

    Returns
    -------
    ndarray, shape (2**m,)

    Raises
    ------
    ValueError
        Not a finite vector whose length is a power of two.
    """
    checked, m = _by_mask(values, "values")
    sums = checked.copy()
    for i in range(m):
        pairs = sums.reshape(-1, 2, 2**i)
        pairs[:, 0] += pairs[:, 1]
    return sums


def mean_by_size(by_mask: ArrayLike) -> FloatArray:
    """Average a function of masks over the masks of each size.

    Parameters
    ----------
    by_mask
        One number for each mask, shape (2**m,).

    Returns
    -------
    ndarray, shape (m + 1,)

    Raises
    ------
    ValueError
        Not a finite vector whose length is a power of two.
    """
    values, _m = _by_mask(by_mask, "by_mask")
    sizes = np.bitwise_count(np.arange(values.size)).astype(np.int64)
    return np.bincount(sizes, values) / np.bincount(sizes)


def distinct_points_law(m: int, n_samples: int) -> FloatArray:
    """Return the law of the number of distinct points among uniform draws.

    Parameters
    ----------
    m
        Number of points, at least 1.
    n_samples
        Largest number of draws N, at least 0.

    Returns
    -------
    ndarray, shape (N + 1, m + 1)
        Row n: probabilities of 0, ..., m distinct points after n draws.

    Raises
    ------
    ValueError
        Sizes out of range.
    """
    m = _validate.integer(m, "m", 1)
    n_samples = _validate.integer(n_samples, "n_samples", 0)
    law = np.zeros((n_samples + 1, m + 1))
    law[0, 0] = 1
    seen = np.arange(m + 1) / m
    for n in range(n_samples):
        law[n + 1] = law[n] * seen
        law[n + 1, 1:] += law[n, :-1] * (1 - seen[:-1])
    return law


def seen_set_law(measure: ArrayLike, n_samples: int) -> FloatArray:
    """Return the law of the set of points among independent draws.

    Parameters
    ----------
    measure
        Probabilities of the m <= 16 points, adding up to 1, shape (m,).
    n_samples
        Largest number of draws N, at least 0.

    Returns
    -------
    ndarray, shape (N + 1, 2**m)
        Row n: probability of each mask of points seen after n draws.

    Raises
    ------
    ValueError
        Not a probability vector of at most 16 entries, or N out of range.
    """
    mu = _measure(measure, None)
    n_samples = _validate.integer(n_samples, "n_samples", 0)
    law = np.zeros((n_samples + 1, 2**mu.size))
    law[0, 0] = 1
    for n in range(n_samples):
        for i, weight in enumerate(mu):
            before, after = (a.reshape(-1, 2, 2**i) for a in (law[n], law[n + 1]))
            after[:, 1] += weight * (before[:, 0] + before[:, 1])
    return law


def _measure(value: ArrayLike | None, m: int | None) -> FloatArray:
    """Check a probability vector over points; uniform over m where m is given, and no vector."""
    if value is None and m:
        return np.full(m, 1 / m)
    mu = _validate.vector(value, "measure", m)
    if mu.size > _MAX_POINTS or (mu <= 0).any() or abs(mu.sum() - 1) > 1e-12:
        raise ValueError(
            f"measure has {mu.size} entries from {mu.min():g}, sum {mu.sum():g}; allowed: at most "
            f"{_MAX_POINTS} positive probabilities that add up to 1"
        )
    return mu


class GuessAndCheck:
    """The law of guess and check: the prior given that the sampled points are labelled correctly.

    Draw functions from the prior until the first that labels the sample as the teacher does. What
    is drawn has the law of the prior given that event, and depends on the sample through the set of
    its points only. All quantities are exact, for every set at once.

    Parameters
    ----------
    prior : array_like, shape (2**m,)
        Probability of each function, by code; m <= 16.
    teacher : int
        Code of the function that labels the points, with positive probability.
    measure : array_like, shape (m,), optional
        Probabilities of the points; uniform by default.

    Raises
    ------
    ValueError
        Not a probability vector, or a teacher that the prior never draws.
    """

    def __init__(self, prior: ArrayLike, teacher: int, measure: ArrayLike | None = None) -> None:
        p = _validate.vector(prior, "prior")
        m = p.size.bit_length() - 1
        if p.size != 2**m or m > _MAX_POINTS or (p < 0).any() or abs(p.sum() - 1) > 1e-9:
            raise ValueError(
                f"prior has {p.size} entries from {p.min():g}, sum {p.sum():g}; allowed: 2**m "
                f"probabilities that add up to 1, m <= {_MAX_POINTS}"
            )
        teacher = _validate.integer(teacher, "teacher", 0)
        if teacher >= p.size or p[teacher] == 0:
            raise ValueError(f"teacher is {teacher}; allowed: a code with positive probability")
        self.teacher = teacher
        self.measure = _measure(measure, m)
        masks = np.arange(p.size)
        #: Prior by the mask of the points on which a function agrees with the teacher.
        self.by_agreement = p[~(masks ^ teacher) & (p.size - 1)]
        right = measure_of_masks(self.measure)
        #: Error of the functions, by the mask of agreement.
        self.errors = np.maximum(1 - right, 0.0)
        self.errors[-1] = 0.0

    @property
    def complexity(self) -> float:
        """Effective sample complexity: minus the logarithm of the teacher's probability."""
        return -math.log(self.by_agreement[-1])

    @cached_property
    def interpolation(self) -> FloatArray:
        """Probability that a guess fits the points of each mask, shape (2**m,)."""
        return superset_sums(self.by_agreement)

    @cached_property
    def error(self) -> FloatArray:
        """Expected error of what guess and check returns, by mask, shape (2**m,)."""
        return superset_sums(self.by_agreement * self.errors) / self.interpolation

    def failure(self, epsilon: float) -> FloatArray:
        """Probability that what guess and check returns has an error above ε, by mask.

        Parameters
        ----------
        epsilon
            Number >= 0.

        Returns
        -------
        ndarray, shape (2**m,)

        Raises
        ------
        ValueError
            `epsilon` is negative or not finite.
        """
        bad = self.errors > _validate.non_negative(epsilon, "epsilon") + 1e-12
        return superset_sums(self.by_agreement * bad) / self.interpolation


def measure_of_masks(measure: ArrayLike) -> FloatArray:
    """Return the measure of every mask of points.

    Parameters
    ----------
    measure
        Probabilities of the m <= 16 points, shape (m,).

    Returns
    -------
    ndarray, shape (2**m,)

    Raises
    ------
    ValueError
        Not a probability vector of at most 16 entries.
    """
    total = np.zeros(1)
    for weight in _measure(measure, None):
        total = np.concatenate([total, total + weight])
    return total


# --- counts and sample sizes ---------------------------------------------------------------------


def pinned_parameters(
    d: int, teacher: Sequence[int], student: Sequence[int], *, scaled: bool = False
) -> int:
    """Count the weights that have to be set for a student to compute the teacher's function.

    Parameters
    ----------
    d
        Dimension of the input.
    teacher, student
        Hidden widths, of the same depth, the teacher's no larger; the output has width 1. A
        constant has a teacher of width 0. For channels, with d the size of the kernel.
    scaled
        Count for scaled neurons (2 numbers silence a neuron) instead of plain ones (its outgoing
        weights to the teacher's neurons are zero).

    Returns
    -------
    int
        Sum over layers of d*_l d_{l-1} + d*_l, or of d*_l d*_{l-1} + 2 d_l where `scaled`.

    Raises
    ------
    ValueError
        Depths that differ, or a teacher wider than the student.
    """
    _validate.sequence(teacher, "teacher", "integers")
    _validate.sequence(student, "student", "integers")
    _validate.flag(scaled, "scaled")
    d = _validate.integer(d, "d", 1)
    narrow = [_validate.integer(width, "teacher", 0) for width in teacher]
    wide = [_validate.integer(width, "student", 1) for width in student]
    if len(narrow) != len(wide) or any(a > b for a, b in zip(narrow, wide, strict=False)):
        raise ValueError(
            f"teacher, student are {narrow} and {wide}; allowed: widths of the same depth, "
            "the teacher's no larger"
        )
    narrow, wide = [d, *narrow, 1], [d, *wide, 1]
    if scaled:
        return sum(narrow[k] * narrow[k - 1] + 2 * wide[k] for k in range(1, len(wide)))
    return sum(narrow[k] * wide[k - 1] + narrow[k] for k in range(1, len(wide)))


def guess_and_check_samples(
    complexity: ArrayLike, epsilon: ArrayLike, delta: ArrayLike, *, sharp: bool = False
) -> IntArray:
    """Return a number of samples that suffices for error ε with probability 1 - δ.

    Parameters
    ----------
    complexity
        Effective sample complexity C, or an upper bound on it, >= 0.
    epsilon, delta
        Numbers in (0, 1). The three are broadcast.
    sharp
        (C + log(1/δ))/ε instead of the paper's (C + 3 log(2/δ))/ε.

    Returns
    -------
    ndarray of int64
        Rounded up.

    Raises
    ------
    ValueError
        Numbers out of range.
    """
    _validate.flag(sharp, "sharp")
    c = _validate.array(complexity, "complexity")
    eps, dlt = _validate.array(epsilon, "epsilon"), _validate.array(delta, "delta")
    for name, value, low in (("complexity", c, -1.0), ("epsilon", eps, 0.0), ("delta", dlt, 0.0)):
        if (value <= low).any() or (low == 0.0 and (value >= 1).any()) or (value < 0).any():
            allowed = "numbers >= 0" if low < 0 else "numbers in (0, 1)"
            raise ValueError(f"{name} is {value.tolist()}; allowed: {allowed}")
    logs = np.log(1 / dlt) if sharp else 3 * np.log(2 / dlt)
    return np.ceil((c + logs) / eps).astype(np.int64)
