"""Linear networks: predictors and gradients against finite differences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ibcore.models import (
    balanced_layers,
    deep_linear_gradients,
    deep_linear_layers,
    end_to_end,
)


def random_layers(seed, widths):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(b, a)) for a, b in pairwise(widths)]


@pytest.mark.parametrize("widths", [(3, 1), (3, 4, 1), (2, 3, 5, 1), (2, 1, 1, 1, 1)])
def test_gradients_are_those_of_the_product(widths):
    layers, target = random_layers(0, widths), np.arange(1.0, widths[0] + 1)
    gradients = deep_linear_gradients(layers, target)  # of w ↦ target·w
    for k, layer in enumerate(layers):
        numerical = np.zeros_like(layer)
        for index in np.ndindex(layer.shape):
            moved = [part.copy() for part in layers]
            moved[k][index] += 1.0  # the product is affine in each entry
            numerical[index] = (end_to_end(moved) - end_to_end(layers)) @ target
        np.testing.assert_allclose(gradients[k], numerical, atol=1e-12)


def test_end_to_end_takes_leading_axes():
    layers = random_layers(1, (3, 4, 1))
    stacked = [np.stack([layer, 2 * layer]) for layer in layers]
    product = (layers[1] @ layers[0])[0]
    np.testing.assert_allclose(end_to_end(stacked), [product, 4 * product])


def test_layers_are_checked():
    layers = random_layers(2, (3, 4, 1))
    assert deep_linear_layers(layers, "layers", 3)[0] is layers[0]
    assert len(deep_linear_layers(layers, "layers")) == 2
    for bad, features in (([], None), (layers, 2), (layers[:1], 3), ([layers[1], layers[0]], 4)):
        with pytest.raises(ValueError, match=r"^layers has shapes"):
            deep_linear_layers(bad, "layers", features)
    with pytest.raises(ValueError, match=r"^layers\[0\]"):
        deep_linear_layers([[1.0]], "layers")


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_balanced_layers(depth):
    w = np.array([0.3, -0.5, 0.1])
    layers = balanced_layers(w, depth, 5, np.random.default_rng(0))
    np.testing.assert_allclose(end_to_end(deep_linear_layers(layers, "layers", 3)), w)
    for first, second in pairwise(layers):
        np.testing.assert_allclose(first @ first.T, second.T @ second, atol=1e-12)
    with pytest.raises(ValueError, match="w is zero"):
        balanced_layers([0.0], depth, 5, np.random.default_rng(0))


def test_a_network_of_width_one_has_the_predictor_too():
    w = np.array([3.0, -4.0])
    layers = balanced_layers(w, 3, 1, np.random.default_rng(0))
    assert [layer.shape for layer in layers] == [(1, 2), (1, 1), (1, 1)]
    np.testing.assert_allclose(end_to_end(layers), w)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1e-3, 1.0, 50.0])
def test_balanced_layers_are_the_products_that_are_stated(depth, size):
    w = size * np.array([0.6, -0.8])
    layers = balanced_layers(w, depth, 4, np.random.default_rng(3))
    drawn = np.random.default_rng(3).normal(size=(depth - 1, 4))
    units = [w / size, *(h / np.sqrt(h @ h) for h in drawn), np.array([1.0])]
    assert len(layers) == depth
    for k, layer in enumerate(layers):
        expected = size ** (1 / depth) * units[k + 1][:, None] * units[k]
        np.testing.assert_allclose(layer, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("layers", "features", "message"),
    [
        ([], None, r"^W has shapes \[\]; allowed: at least one layer, \(h_1, d\), \(h_2, h_1\), "),
        ([], 3, r"^W has shapes \[\]; allowed: at least one layer, \(h_1, 3\), "),
        ([np.ones((1, 3))], 2, r"^W has shapes \[\(1, 3\)\]; allowed: .*, \(h_1, 2\), "),
        ([np.ones((2, 3))], 3, r"^W has shapes \[\(2, 3\)\]; allowed: .* \(1, h_\(L-1\)\)$"),
        ([np.ones((2, 3)), np.ones((1, 3))], None, r"^W has shapes \[\(2, 3\), \(1, 3\)\]"),
        ([np.ones((2, 3)), np.full((1, 2), np.nan)], 3, r"^W\[1\] has "),
        ([np.ones((1, 3))], 0, r"^n_features is 0"),
        (3, None, r"^W "),
    ],
)
def test_layers_that_do_not_chain(layers, features, message):
    with pytest.raises(ValueError, match=message):
        deep_linear_layers(layers, "W", features)


def test_one_layer_is_a_network():
    (layer,) = deep_linear_layers([[[1.0, 2.0]]], "W", 2)
    np.testing.assert_array_equal(layer, [[1.0, 2.0]])
    np.testing.assert_array_equal(end_to_end([layer]), [1.0, 2.0])
    np.testing.assert_array_equal(deep_linear_gradients([layer], np.array([5.0, 7.0]))[0], [[5, 7]])
    with pytest.raises(ValueError, match=r"^name is a int"):
        deep_linear_layers([layer], 3)


@pytest.mark.parametrize(
    ("bad", "name"),
    [({"depth": 0}, "depth"), ({"width": 0}, "width"), ({"rng": 0}, "rng"), ({"w": [[1.0]]}, "w"),
     ({"w": [0.0, 0.0]}, "w")],
)  # fmt: skip
def test_bad_sizes_of_balanced_layers(bad, name):
    good = {"w": [1.0, 2.0], "depth": 2, "width": 3, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=rf"^{name} "):
        balanced_layers(**(good | bad))
