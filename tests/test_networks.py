"""Networks as functions of a flat vector: against torch's own layers, and their loss by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ibcore.networks import Network, squared_loss

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "softplus": torch.nn.Softplus,
               "identity": torch.nn.Identity}  # fmt: skip


def layered(network: Network, theta: torch.Tensor) -> torch.nn.Module:
    """The same network from torch.nn, with its weights set to θ."""
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in zip(network.widths, network.widths[1:], strict=False):
        layers += [torch.nn.Linear(fan_in, fan_out, bias=network.biases).double(),
                   ACTIVATIONS[network.activation]()]  # fmt: skip
    module = torch.nn.Sequential(*layers[:-1])
    torch.nn.utils.vector_to_parameters(theta, module.parameters())
    return module


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("biases", [True, False])
def test_outputs_are_those_of_torch_layers(activation, biases):
    network = Network((5, 4, 3, 2), activation, biases)
    rng = np.random.default_rng(0)
    theta, x = torch.tensor(rng.normal(size=network.n_parameters)), torch.tensor(
        rng.normal(size=(7, 5)))  # fmt: skip
    with torch.no_grad():
        expected = layered(network, theta)(x)
    torch.testing.assert_close(network.outputs(theta, x), expected, rtol=1e-13, atol=1e-13)


def test_number_of_parameters():
    assert Network((784, 20, 10)).n_parameters == 784 * 20 + 20 + 20 * 10 + 10
    assert Network((3, 2, 1), biases=False).n_parameters == 8


def test_initial_weights_have_the_stated_variance_and_no_biases():
    network = Network((400, 300, 1))
    theta = network.initial(np.random.default_rng(0), gain=2.0)
    first, bias = theta[: 400 * 300], theta[400 * 300 : 400 * 300 + 300]
    assert np.var(first) == pytest.approx(4 / 400, rel=0.02)
    assert not bias.any()
    assert np.array_equal(theta, network.initial(np.random.default_rng(0), gain=2.0))


@pytest.mark.parametrize("flat", [True, False])
def test_squared_loss_is_half_the_mean_square(flat):
    network, rng = Network((3, 4, 1)), np.random.default_rng(1)
    theta, x, y = network.initial(rng), rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
    outputs = network.outputs(torch.tensor(theta), torch.tensor(x)).numpy()
    loss = squared_loss(network, x, y[:, 0] if flat else y)
    assert float(loss(torch.tensor(theta))) == pytest.approx(((outputs - y) ** 2).sum() / 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((3,),), "widths: expected at least two"),
        (((3, 0),), r"widths\[1\]"),
        (((3, 1), "step"), "activation: expected one of identity"),
    ],
)
def test_bad_networks(arguments, message):
    with pytest.raises(ValueError, match=message):
        Network(*arguments)


def test_bad_data():
    network = Network((3, 2))
    theta = torch.zeros(network.n_parameters, dtype=torch.float64)
    with pytest.raises(ValueError, match="theta: expected shape"):
        network.outputs(theta[1:], torch.zeros(4, 3))
    with pytest.raises(ValueError, match="x: expected shape"):
        network.outputs(theta, torch.zeros(4, 2))
    with pytest.raises(ValueError, match="y: expected shape"):
        squared_loss(network, np.zeros((4, 3)), np.zeros(4))
    with pytest.raises(ValueError, match="x"):
        squared_loss(network, np.full((4, 3), np.nan), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="gain"):
        network.initial(np.random.default_rng(0), gain=0.0)


def test_weights_are_drawn_with_gain_one_unless_told():
    network = Network((40, 50, 1))
    theta = network.initial(np.random.default_rng(0))
    first = theta[: 40 * 50]
    assert first.std() * np.sqrt(40) == pytest.approx(1.0, rel=0.05)
    np.testing.assert_allclose(network.initial(np.random.default_rng(0), gain=2.0), 2 * theta)


def test_parts_of_the_vector_in_their_order():
    assert Network((3, 2, 1)).shapes == [(2, 3), (2,), (1, 2), (1,)]
    assert Network((3, 1), biases=False).shapes == [(1, 3)]
    network = Network((1, 1))
    assert (network.activation, network.biases, network.n_parameters) == ("tanh", True, 2)
    # one layer has no activation: 2 x + 5
    out = network.outputs(torch.tensor([2.0, 5.0]), torch.tensor([[1.0], [10.0]]))
    assert out.tolist() == [[7.0], [25.0]]
    two = Network((1, 1, 1), "relu")
    out = two.outputs(torch.tensor([1.0, -2.0, 3.0, -1.0]), torch.tensor([[1.0], [4.0]]))
    assert out.tolist() == [[-1.0], [5.0]]


def test_initial_weights_are_drawn_part_by_part():
    network, rng = Network((3, 2, 4)), np.random.default_rng(5)
    theta = network.initial(np.random.default_rng(5), gain=0.5)
    first, second = rng.normal(size=(2, 3)), rng.normal(size=(4, 2))
    expected = [*(0.5 * first / np.sqrt(3)).ravel(), 0, 0,
                *(0.5 * second / np.sqrt(2)).ravel(), 0, 0, 0, 0]  # fmt: skip
    np.testing.assert_allclose(theta, expected, rtol=1e-14)


def test_the_loss_has_derivatives_of_any_order_and_several_outputs():
    network, rng = Network((2, 3)), np.random.default_rng(0)
    x, y = rng.normal(size=(4, 2)), rng.normal(size=(4, 3))
    theta = torch.tensor(network.initial(rng)).requires_grad_()
    loss = squared_loss(network, x, y)
    errors = x @ theta.detach().numpy()[:6].reshape(3, 2).T - y
    assert float(loss(theta.detach())) == pytest.approx((errors**2).sum() / 8)
    (slope,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    np.testing.assert_allclose(slope.detach().numpy()[:6], (errors.T @ x / 4).ravel(), rtol=1e-12)
    assert slope.dtype == torch.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Network(3), r"^widths "),
        (lambda: Network((3, 2.5)), r"^widths\[1\] is 2.5"),
        (lambda: Network((0, 2)), r"^widths\[0\] is 0"),
        (lambda: Network((3, 1), biases=1), r"^biases "),
        (lambda: Network((3,)), r"^widths: expected at least two, got \(3,\)$"),
        (lambda: Network((3, 1), "step"), r"one of identity, relu, softplus, tanh, got 'step'$"),
        (lambda: Network((3, 1)).initial(0), r"^rng is a int"),
        (lambda: Network((3, 1)).initial(np.random.default_rng(0), -1.0), r"^gain is -1"),
        (lambda: Network((2, 1)).outputs(np.zeros(3), torch.zeros(1, 2)), r"^theta is a ndarray"),
        (lambda: Network((2, 1)).outputs(torch.zeros(3), np.zeros((1, 2))), r"^x is a ndarray"),
        (lambda: Network((2, 1)).outputs(torch.zeros(4), torch.zeros(1, 2)),
         r"^theta: expected shape \(3,\), got \(4,\)$"),
        (lambda: Network((2, 1)).outputs(torch.zeros(1, 3), torch.zeros(1, 2)),
         r"^theta: expected shape \(3,\), got \(1, 3\)$"),
        (lambda: Network((2, 1)).outputs(torch.zeros(3), torch.zeros(2)),
         r"^x: expected shape \(N, 2\), got \(2,\)$"),
        (lambda: Network((2, 1)).outputs(torch.zeros(3), torch.zeros(1, 1, 2)),
         r"^x: expected shape \(N, 2\), got \(1, 1, 2\)$"),
        (lambda: Network((2, 1)).outputs(torch.zeros(3), torch.zeros(1, 2, 2)), r"^x: expected"),
        (lambda: squared_loss(3, [[1.0]], [1.0]), r"^network is a int"),
        (lambda: squared_loss(Network((2, 1)), np.ones((3, 1)), np.ones(3)), r"^x has shape"),
        (lambda: squared_loss(Network((2, 1)), np.ones((3, 2)), np.ones(2)),
         r"^y: expected shape \(3, 1\), got \(2,\)$"),
        (lambda: squared_loss(Network((2, 2)), np.ones((3, 2)), np.ones(3)),
         r"^y: expected shape \(3, 2\), got \(3,\)$"),
        (lambda: squared_loss(Network((2, 1)), np.ones((3, 2)), np.ones((1, 3))), r"^y: expected"),
        (lambda: squared_loss(Network((2, 1)), np.ones((3, 2)), [[np.nan]] * 3), r"^y has "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
