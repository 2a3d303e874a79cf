"""Exact laws of quantised networks: against brute force over all weights, and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibcore.quantized import (
    GuessAndCheck,
    Law,
    _fold,
    _group,
    _small_sign_counts,
    boolean_cube,
    codes_of_points,
    convolve,
    cube_averages,
    distinct_points_law,
    function_prior,
    guess_and_check_samples,
    inputs_prior,
    mean_by_size,
    measure_of_masks,
    neuron_law,
    pinned_parameters,
    seen_set_law,
    sign_counts,
    superset_sums,
)

TERNARY = (-1, 0, 1)


def brute_force(d, widths, alphabet, scaled):
    """Run every network, one vector of weights at a time."""
    shapes = list(zip([d, *widths], [*widths, 1], strict=True))
    size = sum(o * i + o * (2 if scaled else 1) for i, o in shapes)
    counts = np.zeros(2**2**d)
    for flat in itertools.product(alphabet, repeat=size):
        f, at = boolean_cube(d), 0
        for layer, (i, o) in enumerate(shapes):
            w, at = np.reshape(flat[at : at + o * i], (o, i)), at + o * i
            b, at = np.array(flat[at : at + o]), at + o
            f = f @ w.T
            if scaled:
                f, at = f * np.array(flat[at : at + o]), at + o
            f = f + b
            if layer + 1 < len(shapes):
                f = np.maximum(f, 0)
        counts[sum(1 << k for k in range(2**d) if f[k, 0] > 0)] += 1
    return counts / counts.sum()


@pytest.mark.parametrize(
    ("d", "widths", "alphabet", "scaled"),
    [
        (1, (1,), TERNARY, False),
        (1, (2,), TERNARY, False),
        (2, (1,), TERNARY, False),
        (3, (1,), TERNARY, False),
        (1, (1,), TERNARY, True),
        (2, (1,), TERNARY, True),
        (1, (3,), (0, 1), False),
        (2, (3,), (-1, 1), False),
        (3, (2,), (-1, 2), False),
        (1, (1, 1), TERNARY, False),
        (1, (2, 1), (0, 1), False),
        (2, (2, 1), (-1, 2), False),
        (1, (2, 2), (-1, 1), False),
        (1, (1, 1), (-1, 2), True),
        (1, (2, 1), (0, 1), True),
    ],
)
def test_function_prior_is_that_of_brute_force(d, widths, alphabet, scaled):
    expected = brute_force(d, widths, alphabet, scaled)
    prior = function_prior(d, widths, alphabet, scaled=scaled)
    np.testing.assert_allclose(prior, expected, rtol=1e-12, atol=0)


def test_wide_prior_without_symmetry_and_by_the_chunked_sum():
    # 2**21 comparisons are formed at once, more of them bit by bit.
    cube = boolean_cube(3)
    plain = function_prior(3, (3,))
    np.testing.assert_allclose(inputs_prior(cube, 3), plain, rtol=1e-12)
    assert plain.sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("scaled", [False, True])
def test_prior_agrees_with_random_networks(scaled):
    rng = np.random.default_rng(0)
    prior, n, width = function_prior(3, (3,), scaled=scaled), 200_000, 3
    w, b = rng.integers(-1, 2, (n, width, 3)), rng.integers(-1, 2, (n, width, 1))
    z, c = rng.integers(-1, 2, (n, 1, width)), rng.integers(-1, 2, (n, 1, 1))
    gamma = rng.integers(-1, 2, (n, width, 1)) if scaled else 1
    outer = rng.integers(-1, 2, (n, 1, 1)) if scaled else 1
    f = outer * (z @ np.maximum(gamma * (w @ boolean_cube(3).T) + b, 0)) + c
    observed = np.bincount(codes_of_points(f[:, 0]), minlength=256) / n
    assert (np.abs(observed - prior) < 5 * np.sqrt(prior / n) + 1e-12).all()


def test_channels_of_a_convolution():
    rng = np.random.default_rng(1)
    windows = rng.integers(-1, 2, (4, 3, 2))  # four points, three positions, kernels of size two
    counts = np.zeros(16)
    for k1, k2, b, z, c in itertools.product(TERNARY, repeat=5):
        pooled = np.maximum(windows @ [k1, k2] + b, 0).sum(axis=1)
        counts[codes_of_points(z * pooled + c)] += 1
    np.testing.assert_allclose(inputs_prior(windows, 1), counts / counts.sum(), rtol=1e-14)
    law = neuron_law(windows, TERNARY)
    assert law.total == 3**4
    assert np.unique(law.values, axis=0).shape == law.values.shape


def test_laws_by_hand():
    # One neuron on the single point x = 1: z relu(w + b), w + b in -2..2.
    law = neuron_law([[1]], TERNARY)
    found = dict(zip(law.values[:, 0].tolist(), law.counts.tolist(), strict=True))
    assert found == {0: 9 + 2 * 6, -1: 2, 1: 2, -2: 1, 2: 1}
    twice = convolve(law, law)
    total = dict(zip(twice.values[:, 0].tolist(), twice.counts.tolist(), strict=True))
    by_hand: dict[int, float] = {}
    for (a, m), (b, n) in itertools.product(found.items(), repeat=2):
        by_hand[a + b] = by_hand.get(a + b, 0) + m * n
    assert total == by_hand
    assert sign_counts(law, law, Law(np.array([[0]]), np.ones(1))).tolist() == [
        sum(n for v, n in by_hand.items() if v <= 0), sum(n for v, n in by_hand.items() if v > 0)
    ]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), flips=st.booleans())
def test_cube_averages_are_those_over_the_whole_group(seed, flips):
    rng = np.random.default_rng(seed)
    values, cube = rng.standard_normal(16), boolean_cube(2)
    total, size = np.zeros(16), 0
    signs = list(itertools.product((1, -1), repeat=2)) if flips else [(1, 1)]
    for order, sign in itertools.product(itertools.permutations(range(2)), signs):
        image = (cube[:, order] * sign + 1) // 2 @ [2, 1]
        for code in range(16):
            moved = sum(1 << i for i in range(4) if code >> image[i] & 1)
            total[code] += values[moved]
        size += 1
    np.testing.assert_allclose(
        cube_averages(values, 2, flips=flips), total / size, rtol=1e-12, atol=1e-12
    )


def test_averages_of_a_prior_change_nothing():
    prior = inputs_prior(boolean_cube(3), 2)
    np.testing.assert_allclose(cube_averages(prior, 3), prior, rtol=1e-13)


# --- guess and check -----------------------------------------------------------------------------


def naive_guess_and_check(prior, teacher, measure, mask, epsilon):
    """Interpolation probability, expected error and failure, by going through all functions."""
    m = measure.size
    fit = error = failure = 0.0
    for code, p in enumerate(prior):
        wrong = [i for i in range(m) if (code ^ teacher) >> i & 1]
        if any(mask >> i & 1 for i in wrong):
            continue
        loss = sum(measure[i] for i in wrong)
        fit, error, failure = fit + p, error + p * loss, failure + p * (loss > epsilon + 1e-12)
    return fit, error / fit, failure / fit


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(1, 4), uniform=st.booleans())
def test_posterior_is_that_of_going_through_all_functions(seed, m, uniform):
    rng = np.random.default_rng(seed)
    prior, measure = rng.dirichlet(np.ones(2**m)), rng.dirichlet(np.ones(m))
    measure = np.full(m, 1 / m) if uniform else measure
    teacher, epsilon = int(rng.integers(2**m)), float(rng.choice([0.0, 0.25, 0.5]))
    law = GuessAndCheck(prior, teacher, None if uniform else measure)
    assert law.complexity == pytest.approx(-math.log(prior[teacher]))
    for mask in range(2**m):
        fit, error, failure = naive_guess_and_check(prior, teacher, measure, mask, epsilon)
        assert law.interpolation[mask] == pytest.approx(fit, rel=1e-12)
        assert law.error[mask] == pytest.approx(error, abs=1e-12)
        assert law.failure(epsilon)[mask] == pytest.approx(failure, abs=1e-12)


@given(seed=st.integers(0, 10_000), m=st.integers(0, 6))
def test_superset_sums_and_means_by_size(seed, m):
    values = np.random.default_rng(seed).standard_normal(2**m)
    masks = range(2**m)
    expected = [sum(values[b] for b in masks if b & a == a) for a in masks]
    np.testing.assert_allclose(superset_sums(values), expected, atol=1e-12)
    for k, mean in enumerate(mean_by_size(values)):
        chosen = [values[a] for a in masks if a.bit_count() == k]
        assert mean == pytest.approx(np.mean(chosen), abs=1e-12)


def test_laws_of_the_sample():
    measure = np.array([0.5, 0.3, 0.2])
    law = seen_set_law(measure, 4)
    expected = np.zeros(8)
    for draw in itertools.product(range(3), repeat=4):
        mask = 0
        for i in draw:
            mask |= 1 << i
        expected[mask] += math.prod(measure[i] for i in draw)
    np.testing.assert_allclose(law[4], expected, rtol=1e-12)
    np.testing.assert_allclose(law.sum(axis=1), 1)
    uniform, sizes = seen_set_law(np.full(5, 0.2), 7), np.bitwise_count(np.arange(32))
    by_size = np.array([np.bincount(sizes, row) for row in uniform])
    np.testing.assert_allclose(distinct_points_law(5, 7), by_size, atol=1e-15)
    np.testing.assert_allclose(measure_of_masks(measure)[[0, 1, 6, 7]], [0, 0.5, 0.5, 1])


# --- counts --------------------------------------------------------------------------------------


def test_counts_by_hand():
    assert pinned_parameters(3, (1,), (4,)) == 4 + 5
    assert pinned_parameters(10, (8, 8), (64, 64)) == 673
    assert pinned_parameters(10, (8, 8), (64, 64), scaled=True) == 410
    assert pinned_parameters(3, (0,), (4,)) == 5
    assert pinned_parameters(10, (8, 8), (8, 8)) == 10 * 8 + 8 + 64 + 8 + 8 + 1


def test_sample_sizes():
    assert guess_and_check_samples(6.3472, 0.1, 0.1) == 154
    assert guess_and_check_samples(6.3472, 0.1, 0.1, sharp=True) == 87
    assert guess_and_check_samples([1.0, 2.0], [[0.5], [0.25]], 0.1).shape == (2, 2)


UNIFORM = np.full(4, 0.25)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: boolean_cube(5), "d is 5"),
        (lambda: boolean_cube(0), "d is 0"),
        (lambda: codes_of_points(np.ones((2, 63))), "outputs"),
        (lambda: codes_of_points(1.0), "outputs"),
        (lambda: neuron_law([[0.5]], TERNARY), "inputs has entries"),
        (lambda: neuron_law([1, 2], TERNARY), "inputs has shape"),
        (lambda: neuron_law(np.ones((17, 1)), TERNARY), "inputs has shape"),
        (lambda: neuron_law([[1]], (1,)), "alphabet"),
        (lambda: neuron_law([[1]], (1, 1)), "alphabet"),
        (lambda: neuron_law([[1]], (0.5, 1)), "alphabet"),
        (lambda: convolve(neuron_law([[1]], TERNARY), neuron_law([[1], [1]], TERNARY)), "b has"),
        (lambda: sign_counts(*[neuron_law([[1], [1]], TERNARY)] * 3), "left, right, offset"),
        (lambda: function_prior(2, (1, 1, 1)), "widths"),
        (lambda: function_prior(2, ()), "widths"),
        (lambda: function_prior(2, (0,)), "widths"),
        (lambda: inputs_prior([[1]], 0), "width"),
        (lambda: cube_averages(np.ones(3), 1), "by_code"),
        (lambda: superset_sums(np.ones(3)), "values has length 3"),
        (lambda: mean_by_size(np.ones(3)), "by_mask has length 3"),
        (lambda: distinct_points_law(0, 1), "m is 0"),
        (lambda: distinct_points_law(1, -1), "n_samples"),
        (lambda: seen_set_law([0.5, 0.4], 1), "measure"),
        (lambda: seen_set_law([1.0, 0.0], 1), "measure"),
        (lambda: GuessAndCheck([0.5, 0.6], 0), "prior"),
        (lambda: GuessAndCheck([0.5, 0.25, 0.25], 0), "prior"),
        (lambda: GuessAndCheck(UNIFORM, 4), "teacher"),
        (lambda: GuessAndCheck([1.0, 0.0], 1), "teacher"),
        (lambda: GuessAndCheck(UNIFORM, 0, [1.0]), "measure"),
        (lambda: GuessAndCheck(UNIFORM, 0).failure(-1), "epsilon"),
        (lambda: pinned_parameters(2, (3,), (2,)), "teacher, student"),
        (lambda: pinned_parameters(2, (1,), (2, 2)), "teacher, student"),
        (lambda: guess_and_check_samples(-1, 0.1, 0.1), "complexity"),
        (lambda: guess_and_check_samples(1, 0, 0.1), "epsilon"),
        (lambda: guess_and_check_samples(1, 0.1, 1), "delta"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ((-1, 0.1, 0.1), "complexity .*allowed: numbers >= 0"),
        ((1, 1.0, 0.1), r"epsilon .*allowed: numbers in \(0, 1\)"),
        ((1, 0.1, 0.0), r"delta .*allowed: numbers in \(0, 1\)"),
    ],
)
def test_the_allowed_numbers_are_said(arguments, allowed):
    with pytest.raises(ValueError, match=allowed):
        guess_and_check_samples(*arguments)
    assert guess_and_check_samples(0, 0.5, 0.5) == math.ceil(3 * math.log(4) / 0.5)


def test_a_teacher_wider_in_one_layer_is_refused():
    assert pinned_parameters(2, (1, 3), (2, 3)) > 0
    with pytest.raises(ValueError, match="the teacher's no larger"):
        pinned_parameters(2, (1, 4), (2, 3))
    with pytest.raises(ValueError, match=r"^teacher"):
        pinned_parameters(2, (-1,), (2,))


@pytest.mark.parametrize("largest", [50, 10_000, 16_000, 40_000])
def test_signs_bit_by_bit_are_those_of_all_pairs(largest):
    """Numbers that fit 16 bits together and such that do not; three thresholds, uneven counts."""
    rng = np.random.default_rng(2)
    left, right = (
        Law(rng.integers(-largest, largest + 1, (n, 2)), rng.integers(1, 9, n).astype(float))
        for n in (1030, 1030)
    )
    offset = Law(np.array([[-1], [0], [largest]]), np.array([1.0, 2.0, 3.0]))
    found, expected = sign_counts(left, right, offset), _small_sign_counts(left, right, offset)
    np.testing.assert_array_equal(found, expected)
    assert found.sum() == left.total * right.total * 6
    assert (found > 0).all()


def test_the_largest_sizes_are_allowed():
    assert codes_of_points(np.full(62, 1.0)) == 2**62 - 1
    assert len(boolean_cube(4)) == 16
    assert len(boolean_cube(1)) == 2
    assert neuron_law(np.ones((16, 1)), TERNARY).values.shape[1] == 16
    assert seen_set_law(np.full(16, 1 / 16), 1)[1].sum() == pytest.approx(1)
    for call in (
        lambda: seen_set_law(np.full(17, 1 / 17), 1),
        lambda: measure_of_masks([0.6, 0.5]),
    ):
        with pytest.raises(ValueError, match=r"^measure has"):
            call()
    law = neuron_law(np.ones((17, 1))[:1], TERNARY)
    long = Law(np.zeros((1, 17), dtype=np.int64), np.ones(1))
    with pytest.raises(ValueError, match="lengths 17, 17, 1; allowed: m, m, 1 with m <= 16"):
        sign_counts(long, long, law)
    with pytest.raises(ValueError, match="lengths 1, 2, 1"):
        sign_counts(law, neuron_law([[1], [1]], TERNARY), law)
    with pytest.raises(ValueError, match="lengths 1, 1, 2"):
        sign_counts(law, law, neuron_law([[1], [1]], TERNARY))


def test_probabilities_add_up_to_rounding():
    GuessAndCheck([0.5, 0.5 + 5e-10], 0)
    GuessAndCheck([0.5, 0.5], 0, [1.0 + 5e-13])
    for prior, measure, name in (
        ([0.5, 0.5 + 2e-9], None, "prior"),
        ([1.5, -0.5], None, "prior"),
        ([0.5, 0.5], [1.0 + 2e-12], "measure"),
        ([0.25] * 4, [1.5, -0.5], "measure"),
    ):
        with pytest.raises(ValueError, match=f"^{name} has"):
            GuessAndCheck(prior, 0, measure)
    with pytest.raises(ValueError, match=r"^teacher is 1; allowed: a code with positive"):
        GuessAndCheck([1.0, 0.0], 1)


def test_the_teacher_makes_no_error_and_no_error_is_negative():
    law = GuessAndCheck(np.full(2**10, 2.0**-10), 5, np.full(10, 0.1))
    assert law.errors[-1] == 0.0
    assert law.errors.min() == 0.0
    assert law.teacher == 5
    assert law.complexity == pytest.approx(10 * math.log(2))
    # An error of exactly ε is not above it, though 1 - 0.9 - 0.1 is not exactly zero.
    one_wrong = 2**10 - 1 - 1
    assert law.failure(0.1)[one_wrong] == 0.0
    assert law.failure(0.0999)[one_wrong] == 0.5


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (([1.0, -0.5], 0.1, 0.1), "complexity"),
        (([1.0, -2.0], 0.1, 0.1), "complexity"),
        ((1.0, [0.1, 0.0], 0.1), "epsilon"),
        ((1.0, [0.1, 1.0], 0.1), "epsilon"),
        ((1.0, 0.1, [0.1, -0.1]), "delta"),
        ((1.0, 0.1, [0.1, 1.5]), "delta"),
    ],
)
def test_one_number_out_of_range_is_enough(arguments, name):
    with pytest.raises(ValueError, match=f"^{name} is"):
        guess_and_check_samples(*arguments)


# --- the parts of a law ---------------------------------------------------------------------------


def as_counts(law):
    """A law as a dictionary, its values as tuples."""
    found = {}
    for value, count in zip(law.values.tolist(), law.counts.tolist(), strict=True):
        assert tuple(value) not in found
        found[tuple(value)] = count
    return found


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("alphabet", [TERNARY, (2, -1), (0, 1, 3)])
def test_a_neuron_counts_its_weight_settings(scaled, alphabet):
    inputs = np.array([[1, -2], [0, 1], [3, 3]])
    expected: dict[tuple, float] = {}
    for setting in itertools.product(alphabet, repeat=5 if scaled else 4):
        w, b, z = np.array(setting[:2]), setting[2], setting[3]
        gamma = setting[4] if scaled else 1
        value = tuple((z * np.maximum(gamma * (inputs @ w) + b, 0)).tolist())
        expected[value] = expected.get(value, 0) + 1
    law = neuron_law(inputs, alphabet, scaled=scaled)
    assert as_counts(law) == expected
    assert law.total == len(alphabet) ** (5 if scaled else 4)
    assert neuron_law(inputs, alphabet).total == len(alphabet) ** 4


def test_sums_of_independent_laws_by_going_through_all_pairs():
    rng = np.random.default_rng(0)
    a, b = (Law(np.unique(rng.integers(-3, 4, (n, 3)), axis=0), np.ones(1)) for n in (9, 14))
    a = Law(a.values, rng.integers(1, 9, len(a.values)).astype(float))
    b = Law(b.values, rng.integers(1, 9, len(b.values)).astype(float))
    expected: dict[tuple, float] = {}
    for (x, m), (y, n) in itertools.product(as_counts(a).items(), as_counts(b).items()):
        key = tuple(p + q for p, q in zip(x, y, strict=True))
        expected[key] = expected.get(key, 0) + m * n
    both = convolve(a, b)
    assert as_counts(both) == expected
    assert both.values.dtype == np.int64
    with pytest.raises(ValueError, match=r"^b has vectors of length 2; allowed: 3, as in a"):
        convolve(a, Law(np.zeros((1, 2), dtype=np.int64), np.ones(1)))


@pytest.mark.parametrize(("d", "flips", "size"), [(1, True, 2), (2, True, 8), (3, True, 48),
                                                  (3, False, 6), (2, False, 2)])  # fmt: skip
def test_symmetries_of_the_cube(d, flips, size):
    cube = boolean_cube(d)
    group = _group(d, flips)
    signs = itertools.product((1, -1), repeat=d) if flips else [(1,) * d]
    expected = set()
    for sign, order in itertools.product(list(signs), itertools.permutations(range(d))):
        moved = cube[:, list(order)] * np.array(sign)
        expected.add(tuple(((moved + 1) // 2 @ (1 << np.arange(d)[::-1])).tolist()))
    assert {tuple(row) for row in group.tolist()} == expected
    assert group.shape == (size, 2**d)


def test_folding_adds_up_orbits():
    """9000 vectors, more than are folded at once; each orbit keeps one of its own."""
    rng, group = np.random.default_rng(3), _group(2, True)
    values = np.unique(rng.integers(-9, 10, (9000, 4)), axis=0)
    rng.shuffle(values)
    law = Law(values, rng.integers(1, 9, len(values)).astype(float))
    assert len(values) > 8300

    def orbit(row):
        return min(tuple(row[g].tolist()) for g in group)

    expected: dict[tuple, float] = {}
    for row, count in zip(values, law.counts, strict=True):
        expected[orbit(row)] = expected.get(orbit(row), 0) + count
    folded = _fold(law, group)
    assert {orbit(row): n for row, n in zip(folded.values, folded.counts, strict=True)} == expected
    assert len(folded.values) == len(expected)


def test_signs_at_sixteen_points_and_at_the_ends_of_sixteen_bits():
    value = np.arange(-8, 8)[None]
    point, none = Law(value, np.array([2.0])), Law(np.zeros((1, 16), dtype=np.int64), np.ones(1))
    counts = sign_counts(point, none, Law(np.array([[0], [-3]]), np.array([1.0, 5.0])))
    expected = np.zeros(2**16)
    expected[sum(1 << i for i in range(16) if i - 8 > 0)] += 2
    expected[sum(1 << i for i in range(16) if i - 8 > 3)] += 10
    np.testing.assert_array_equal(counts, expected)
    # More pairs than are formed at once, and thresholds just within and beyond 16 bits.
    many = Law(np.repeat([[0], [1]], 1500, axis=0), np.ones(3000))
    for low in (-16383, -16384, -20_000):
        left = Law(np.repeat([[low], [low + 1]], 700, axis=0), np.ones(1400))
        offset = Law(np.array([[low], [-low]]), np.ones(2))
        found = sign_counts(left, many, offset)
        # low + shift + right > 0 only at shift = -low: with one or two of the ones
        above = 700 * 1500 + 700 * 3000
        assert found.tolist() == [2 * 1400 * 3000 - above, above]


def test_alphabets_in_any_order_and_without_symmetry():
    np.testing.assert_allclose(
        function_prior(2, (2,), (1, 0, -1)), function_prior(2, (2,), TERNARY), rtol=1e-12
    )
    np.testing.assert_allclose(function_prior(2, (2,)), function_prior(2, (2,), TERNARY))
    np.testing.assert_allclose(
        inputs_prior(boolean_cube(2), 2), inputs_prior(boolean_cube(2), 2, TERNARY, scaled=False)
    )
    lopsided = function_prior(2, (2,), (2, -1))
    np.testing.assert_allclose(lopsided, inputs_prior(boolean_cube(2), 2, (-1, 2)), rtol=1e-12)
    assert np.abs(cube_averages(lopsided, 2) - lopsided).max() > 1e-3
    np.testing.assert_allclose(cube_averages(lopsided, 2, flips=False), lopsided, rtol=1e-12)


def test_priors_of_deep_networks_agree_with_random_ones():
    rng, n = np.random.default_rng(1), 200_000
    prior = function_prior(2, (3, 2), (-1, 1))
    f = boolean_cube(2).T[None]
    for out, fan_in in ((3, 2), (2, 3), (1, 2)):
        f = rng.choice([-1, 1], (n, out, fan_in)) @ f + rng.choice([-1, 1], (n, out, 1))
        f = f if out == 1 else np.maximum(f, 0)
    observed = np.bincount(codes_of_points(f[:, 0]), minlength=16) / n
    assert (np.abs(observed - prior) < 5 * np.sqrt(prior / n) + 1e-12).all()
    assert prior.sum() == pytest.approx(1.0, abs=1e-14)


def test_more_counts_by_hand():
    assert pinned_parameters(2, (1, 2), (3, 5)) == (2 + 1) + (2 * 3 + 2) + (5 + 1)
    assert pinned_parameters(2, (1, 2), (3, 5), scaled=True) == (2 + 6) + (2 + 10) + (2 + 2)
    assert pinned_parameters(1, (), ()) == 2
    assert pinned_parameters(1, (1,), (1,)) == 4
    assert pinned_parameters(1, (), (), scaled=True) == 3
    for arguments in ((0, (1,), (1,)), (1, (1,), (0,))):
        with pytest.raises(ValueError, match=r"^(d|student) is 0"):
            pinned_parameters(*arguments)


def test_laws_of_no_sample_and_of_one_point():
    assert distinct_points_law(1, 2).tolist() == [[1, 0], [0, 1], [0, 1]]
    assert distinct_points_law(2, 2).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]]
    assert seen_set_law([1.0], 1).tolist() == [[1, 0], [0, 1]]
    assert seen_set_law([0.25, 0.75], 0).tolist() == [[1, 0, 0, 0]]
    assert superset_sums([5.0]).tolist() == [5.0]
    values = np.array([1.0, 2.0, 3.0, 4.0])
    superset_sums(values)
    assert values.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_guess_and_check_of_two_points_by_hand():
    """Functions 00, 01, 10, 11 (bit 0 last), the teacher 01: agreement on both, the first, ..."""
    law = GuessAndCheck([0.1, 0.2, 0.3, 0.4], 1, [0.25, 0.75])
    assert law.by_agreement.tolist() == [0.3, 0.4, 0.1, 0.2]
    assert law.errors.tolist() == [1.0, 0.75, 0.25, 0.0]
    np.testing.assert_allclose(law.interpolation, [1.0, 0.6, 0.3, 0.2])
    np.testing.assert_allclose(law.error, [0.3 + 0.3 + 0.025, 0.5, 0.025 / 0.3, 0], atol=1e-15)
    np.testing.assert_allclose(law.failure(0.25), [0.7, 0.4 / 0.6, 0.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(law.failure(0.0), [0.8, 0.4 / 0.6, 0.1 / 0.3, 0.0], atol=1e-15)
    assert law.measure.tolist() == [0.25, 0.75]
    np.testing.assert_allclose(GuessAndCheck([0.5, 0.5], 0).measure, [1.0])


@pytest.mark.parametrize("widths", [(1,), (1, 1)])
def test_scaled_is_a_flag(widths):
    with pytest.raises(ValueError, match=r"^scaled "):
        function_prior(1, widths, (-1, 2), scaled="no")
    with pytest.raises(ValueError, match=r"^scaled "):
        inputs_prior([[1]], 1, scaled=2)
    with pytest.raises(ValueError, match=r"^flips "):
        cube_averages(np.ones(4), 1, flips="no")
    with pytest.raises(ValueError, match=r"^sharp "):
        guess_and_check_samples(1.0, 0.1, 0.1, sharp="no")
    with pytest.raises(ValueError, match=r"^scaled "):
        pinned_parameters(1, (1,), (1,), scaled="no")
