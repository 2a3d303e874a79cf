"""Curvature: against closed forms, finite differences and dense eigenvalue problems."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ibcore import curvature
from ibcore.curvature import (
    CurvatureError,
    gradient,
    gram_sharpness,
    hessian,
    hessian_product,
    jacobian,
    sharpness,
)
from ibcore.networks import Network, squared_loss


def quadratic(matrix):
    a = torch.tensor(matrix)
    return lambda w: w @ a @ w / 2


def symmetric(seed, n):
    a = np.random.default_rng(seed).normal(size=(n, n))
    return (a + a.T) / 2


@pytest.fixture(scope="module")
def problem():
    """A network too large for the dense branch, and its loss on ten samples."""
    network, rng = Network((4, 8, 2)), np.random.default_rng(0)
    x, y = rng.normal(size=(10, 4)), rng.normal(size=(10, 2))
    return network, x, y, network.initial(rng)


def test_gradient_and_hessian_of_a_quadratic():
    a, w = symmetric(0, 5), np.random.default_rng(1).normal(size=5)
    np.testing.assert_allclose(gradient(quadratic(a), w), a @ w, atol=1e-14)
    np.testing.assert_allclose(hessian(quadratic(a), w), a, atol=1e-14)


def test_hessian_products_are_columns_of_the_hessian(problem):
    network, x, y, theta = problem
    loss = squared_loss(network, x, y)
    product, dense = hessian_product(loss, theta), hessian(loss, theta)
    columns = np.array([product(e) for e in np.eye(network.n_parameters)])
    np.testing.assert_allclose(columns, dense, atol=1e-13)


def test_gradient_agrees_with_central_differences(problem):
    network, x, y, theta = problem
    loss = squared_loss(network, x, y)
    v = np.random.default_rng(5).normal(size=network.n_parameters)
    up, down = (float(loss(torch.tensor(theta + h * v))) for h in (1e-5, -1e-5))
    assert (up - down) / 2e-5 == pytest.approx(v @ gradient(loss, theta), rel=1e-8)


def test_sharpness_is_the_top_of_the_dense_spectrum(problem):
    network, x, y, theta = problem
    loss = squared_loss(network, x, y)
    values, vectors = np.linalg.eigh(hessian(loss, theta))
    top = sharpness(hessian_product(loss, theta), network.n_parameters)
    assert top.value == pytest.approx(values[-1], rel=1e-12)
    assert abs(top.vector @ vectors[:, -1]) == pytest.approx(1, abs=1e-10)
    assert 0 < top.products < network.n_parameters


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 31, 32, 33, 80]))
def test_sharpness_of_random_operators_is_algebraic(seed, n):
    a = symmetric(seed, n) - 20 * np.eye(n)  # all eigenvalues negative
    assert sharpness(lambda v: a @ v, n).value == pytest.approx(np.linalg.eigvalsh(a)[-1])


def test_a_good_start_saves_products():
    a = symmetric(3, 300)
    cold = sharpness(lambda v: a @ v, 300)
    warm = sharpness(lambda v: a @ v, 300, start=cold.vector)
    assert warm.products < cold.products
    assert warm.value == pytest.approx(cold.value, rel=1e-12)


def test_sharpness_of_nothing_is_zero():
    nothing = sharpness(lambda v: 0 * v, 40)
    assert nothing.value == 0
    assert np.linalg.norm(nothing.vector) == pytest.approx(1)


def test_a_start_in_the_kernel_does_no_harm():
    scale = np.arange(40.0)
    top = sharpness(lambda v: scale * v, 40, start=np.eye(40)[0])
    assert top.value == pytest.approx(39, rel=1e-12)


def test_gram_sharpness_is_that_of_the_hessian_at_interpolation(problem):
    network, x, _, theta = problem
    fitted = network.outputs(torch.tensor(theta), torch.tensor(x)).numpy()
    loss = squared_loss(network, x, fitted)
    rows = jacobian(lambda w: network.outputs(w, torch.tensor(x)), theta)
    gram, lanczos = gram_sharpness(rows, 10), sharpness(hessian_product(loss, theta), len(theta))
    assert rows.shape == (20, network.n_parameters)
    assert gram.value == pytest.approx(lanczos.value, rel=1e-12)
    assert abs(gram.vector @ lanczos.vector) == pytest.approx(1, abs=1e-10)


def test_gram_sharpness_of_nothing():
    nothing = gram_sharpness(np.zeros((2, 3)), 2)
    assert nothing.value == 0
    assert not nothing.vector.any()
    assert nothing.products == 0


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_gram_sharpness_of_one_row(size):
    """One row r of the Jacobian: the eigenvalue is |r|²/N along r, however small r is."""
    row = size * np.array([[3.0, 0.0, -4.0]])
    top = gram_sharpness(row, 5)
    assert top.value == pytest.approx(25 * size**2 / 5)
    np.testing.assert_allclose(np.abs(top.vector), [0.6, 0.0, 0.8], atol=1e-12)
    assert top.products == 0


def test_the_hessian_of_a_piecewise_linear_loss_is_zero():
    product = hessian_product(lambda w: torch.relu(w).sum(), [1.0, -1.0, 2.0])
    assert not product(np.ones(3)).any()


def test_a_looser_tolerance_saves_products():
    a = symmetric(4, 300)
    exact, rough = (sharpness(lambda v: a @ v, 300, rtol=rtol) for rtol in (1e-12, 1e-2))
    assert rough.products < exact.products
    assert rough.value == pytest.approx(exact.value, rel=1e-2)


def test_no_convergence_is_said():
    crowded = 1 - 1e-6 * np.linspace(0, 1, 400) ** 2
    with pytest.raises(CurvatureError, match="products"):
        sharpness(lambda v: crowded * v, 400, rtol=1e-14, restarts=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradient(lambda w: w.sum(), [np.nan]), "theta"),
        (lambda: gradient(lambda w: torch.log(w).sum(), [0.0]), "gradient is finite"),
        (lambda: hessian_product(lambda w: torch.log(w).sum(), [0.0]), "gradient is finite"),
        (lambda: sharpness(lambda v: v, 3, restarts=0), "restarts"),
        (lambda: hessian_product(lambda w: (w**3).sum(), [1.0, 2.0])(np.ones(3)), "v"),
        (lambda: sharpness(lambda v: v, 0), "dimension"),
        (lambda: sharpness(lambda v: v, 3, start=np.zeros(3)), "start"),
        (lambda: sharpness(lambda v: v, 3, rtol=0.0), "rtol"),
        (lambda: gram_sharpness([[1.0]], 0), "n_samples"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_importing_does_not_load_torch():
    code = "import sys, ibcore.curvature, ibcore.networks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_affine_loss_has_no_curvature() -> None:
    product = hessian_product(lambda theta: 2 * theta.sum(), [1.0, 2.0])
    np.testing.assert_array_equal(product(np.array([1.0, 3.0])), [0.0, 0.0])


def test_a_gradient_that_depends_on_something_else_has_no_curvature() -> None:
    slope = torch.ones(3, dtype=torch.float64, requires_grad=True)
    np.testing.assert_array_equal(hessian_product(lambda w: slope @ w, [1.0, 2, 3])([1.0, 0, 0]), 0)


@pytest.mark.parametrize("n", [1, 5, 32])
def test_few_dimensions_take_one_product_each(n):
    a = symmetric(n, n)
    top = sharpness(lambda v: a @ v, n)
    values, vectors = np.linalg.eigh(a)
    assert top.products == n
    assert top.value == pytest.approx(values[-1])
    assert abs(top.vector @ vectors[:, -1]) == pytest.approx(1)


def test_a_product_that_is_not_quite_symmetric_is_made_so():
    top = sharpness(lambda v: np.array([[1.0, 2.0], [0.0, 1.0]]) @ v, 2)
    assert top.value == pytest.approx(2.0)
    np.testing.assert_allclose(np.abs(top.vector), np.sqrt(0.5))


def test_the_zero_operator_takes_two_products():
    start = 3 * np.eye(40)[7]
    nothing = sharpness(lambda v: 0 * v, 40, start=start)
    assert (nothing.value, nothing.products) == (0.0, 2)
    np.testing.assert_array_equal(nothing.vector, np.eye(40)[7])


def test_what_lanczos_is_asked_for(monkeypatch):
    seen = []

    def eigsh(operator, **options):
        seen.append(options)
        return np.array([2.0]), np.ones((40, 1))

    monkeypatch.setattr(curvature, "eigsh", eigsh)
    start = np.arange(40.0)
    sharpness(lambda v: v, 40, start=start)
    sharpness(lambda v: v, 40, rtol=1e-3, restarts=7)
    first, second = (options.pop("v0") for options in seen)
    np.testing.assert_array_equal(first, start)
    assert second.any()
    assert seen == [
        {"k": 1, "which": "LA", "tol": 1e-10, "maxiter": 1000},
        {"k": 1, "which": "LA", "tol": 1e-3, "maxiter": 7},
    ]


def test_one_restart_is_allowed_and_failure_counts_products():
    assert sharpness(lambda v: 2 * v, 40, restarts=1).value == pytest.approx(2)
    crowded, count = 1 - 1e-6 * np.linspace(0, 1, 400) ** 2, []

    def product(v):
        count.append(v)
        return crowded * v

    with pytest.raises(CurvatureError) as failure:
        sharpness(product, 400, rtol=1e-14, restarts=1)
    assert str(failure.value) == f"no eigenvalue to 1e-14 in {len(count)} products"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: gradient(lambda w: torch.log(w).sum(), [0.0]), "gradient"),
        (lambda: hessian(lambda w: torch.sqrt(w).sum(), [0.0]), "Hessian"),
        (lambda: hessian_product(lambda w: torch.log(w).sum(), [0.0]), "gradient"),
        (lambda: hessian_product(lambda w: (w**1.5).sum(), [0.0])([1.0]), "Hessian"),
        (lambda: jacobian(lambda w: torch.log(w), [0.0]), "Jacobian"),
    ],
)
def test_what_is_not_finite_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^theta: expected weights where the {name} is finite$"):
        call()


def test_a_jacobian_of_outputs_of_any_shape():
    found = jacobian(lambda w: torch.outer(w, w), [2.0, 3.0])
    np.testing.assert_array_equal(found, [[4, 0], [3, 2], [3, 2], [0, 6]])
