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
