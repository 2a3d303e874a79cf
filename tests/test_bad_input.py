"""Bad input: every public function refuses what its annotations rule out, and says which argument.

`CASES` has one valid call of every public function, class and method of `ibcore`; a test holds the
list complete. Each argument in turn is replaced by every bad value that its annotation names, and
the call must raise a `ValueError` that names the argument and says what is allowed. Where a value
is in truth allowed, `ALLOWED` says so and why; the result must then be finite.

What a call means when an argument is left out, and the least integer that each argument takes, are
on record in `tests/reference`: a default that changes would change results in silence.

``python tests/test_bad_input.py`` prints the whole table of arguments, bad values and messages, and
rewrites its summary and the record of the interface in `tests/reference`.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import altair as alt
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ibcore
from ibbook import json_files
from ibcore import interactive, losses, margins, minidoc, minivlm, networks, quantized, shallow
from ibcore.claims import Claim, ClaimError

NAN, INF = float("nan"), float("inf")
SUMMARY = Path(__file__).parent / "reference" / "bad_input.json"
INTERFACE = SUMMARY.with_name("interface.json")
Arguments = Callable[[], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Case:
    """One valid call.

    `method` makes the bound method of a call that is one; `extra` are positional arguments behind
    the named ones; `positive` names the arrays whose entries must be positive, for which zero and
    negative entries are bad values too.
    """

    arguments: Arguments
    method: Callable[[], Callable[..., Any]] | None = None
    positive: str = ""
    extra: Callable[[], tuple[Any, ...]] = tuple


CASES: dict[str, Case] = {}


def add(names: str, arguments: Arguments, **options: Any) -> None:
    """Enter the same call for one or several functions of a module, divided by blanks."""
    module, _, functions = names.partition(".")
    for function in functions.split():
        CASES[f"{module}.{function}"] = Case(arguments, **options)


# --- what the calls are made of ------------------------------------------------------------------

SIGNED = [[1.0, 2.0], [2.0, 0.5], [3.0, 1.0], [0.5, 3.0]]
X = [[1.0, 2.0], [2.0, 0.5], [-3.0, -1.0], [-0.5, -3.0]]
LABELS = [1, 1, -1, -1]
THREE = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.5], [1.0, 0.0, 0.1], [0.1, 0.0, 2.0]]
CLASSES = [0, 1, 2, 0]
UPDATES = [1, 10, 100]
LINE = [[-1.0], [0.2], [1.5], [2.0]]
PLANE = [[1.0, 2.0], [0.5, -1.0], [0.0, 0.3]]
WIDE, TARGETS = [[1.0, 2.0, 0.5], [0.0, 1.0, 1.0]], [1.0, 2.0]
LATE = [2.0, 3.0]
LAYERS = [np.array([[0.5, 0.5], [0.1, 0.2]]), np.array([[0.5, 0.5]])]
COVARIANCE = [[1.0, 0.5], [0.5, 1.0]]
NETWORK = networks.Network((2, 3, 1))
LOGISTIC, EXPONENTIAL = losses.LOGISTIC, losses.EXPONENTIAL


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def given_as(**arguments: Any) -> Arguments:
    return lambda: dict(arguments)


@cache
def hard() -> margins.HardMargin:
    return margins.hard_margin(SIGNED)


@cache
def steep() -> list[list[float]]:
    return [[2.0, 0.1], [0.1, 2.0], [4.0, 3.0]]


@cache
def net() -> shallow.ShallowNet:
    return shallow.random_net(rng(), 3, 2)


@cache
def line_net() -> shallow.ShallowNet:
    return shallow.random_net(rng(), 3, 1)


@cache
def gram() -> Any:
    return shallow.tangent_gram(line_net(), LINE)


def chart() -> alt.Chart:
    return alt.Chart(interactive.table(x=[1.0, 2.0])).mark_point().encode(x="x:Q")


def a_knob() -> alt.Parameter:
    return interactive.knob("step", 0, 1, 0.1, start=0.5)


@cache
def pages() -> minidoc.Pages:
    return minidoc.draw(2, rng())


@cache
def scans() -> minidoc.Scan:
    return minidoc.scan(pages())


@cache
def base() -> minivlm.Base:
    return minivlm.Base()


@cache
def frozen() -> minivlm.Base:
    made = minivlm.Base(1)
    minivlm.freeze(made)
    return made


@cache
def axes() -> Any:
    return plt.subplots()[1]


def claim() -> Claim:
    return Claim("tiny2020-claim-thm1", grade="exact instance")


def compared() -> Claim:
    made = claim()
    made.equal("q", measured=1.0, predicted=1.0, atol=0.1)
    return made


def controlled() -> Claim:
    made = compared()
    made.control("k", measured=2.0)
    return made


def law() -> quantized.Law:
    return quantized.neuron_law([[1, -1], [1, 1]], [-1, 1])


def coin() -> quantized.Law:
    return quantized.Law(np.array([[1], [-1]]), np.ones(2))


def square(theta: torch.Tensor) -> torch.Tensor:
    return (theta**2).sum()


def words() -> list[Any]:
    return [[("NAME", 0.1, 0.1, 0.2, 0.2)], [("12", 0.1, 0.1, 0.2, 0.2)]]


# --- the calls -----------------------------------------------------------------------------------

add(
    "claims.Claim",
    given_as(
        id="a-b", grade="exact instance", scope="", contradicted="", seeds=[0], dtype="float64"
    ),
)
BOTH = {"measured": [1.0, 1.0], "predicted": [1.0, 1.0], "atol": 0.1, "drift": 0.01}
PATH = [float(k) for k in range(8)]
add("claims.Claim.equal", given_as(quantity="q", **BOTH), method=lambda: claim().equal)
add("claims.Claim.at_most", given_as(quantity="q", **BOTH), method=lambda: claim().at_most)
add("claims.Claim.at_least", given_as(quantity="q", **BOTH), method=lambda: claim().at_least)
add(
    "claims.Claim.limit",
    given_as(quantity="q", measured=[1.0, 1.0], predicted=1.0, rtol=0.1),
    method=lambda: claim().limit,
)
add(
    "claims.Claim.rate",
    given_as(quantity="q", log_x=PATH, log_y=PATH, predicted=1.0, rtol=0.1),
    method=lambda: claim().rate,
)
add(
    "claims.Claim.exact",
    given_as(quantity="q", measured=[1, 2], predicted=[1, 2]),
    method=lambda: claim().exact,
)
add(
    "claims.Claim.qualitative",
    given_as(quantity="q", holds=True, measured="a", predicted="b"),
    method=lambda: claim().qualitative,
)
add(
    "claims.Claim.control",
    given_as(broken="k"),
    method=lambda: lambda broken: compared().control(broken, measured=2.0),
)
add("claims.Claim.report", dict, method=lambda: controlled().report)
add("claims.not_checked", given_as(id="a-b", because="why"))
add("comparisons.fit_rate", given_as(log_x=PATH, log_y=PATH))
add(
    "comparisons.evaluate resolution",
    given_as(relation="equal", measured=1.0, predicted=1.0, atol=0.1),
)
add("reports.Report headline as_text as_html", lambda: {"record": controlled().report().record})
add(
    "reports.summary resolution",
    lambda: {"comparison": controlled().report().record["comparisons"][0]},
)
add("reports.number", given_as(value=1.5, digits=3))

add("curvature.gradient hessian hessian_product", given_as(loss=square, theta=[1.0, 2.0]))
add("curvature.jacobian", given_as(outputs=lambda theta: theta**2, theta=[1.0, 2.0]))
add("curvature.gram_sharpness", given_as(rows=[[1.0, 2.0, 3.0], [0.5, 1.0, 0.0]], n_samples=2))
add(
    "curvature.sharpness",
    given_as(product=lambda v: 2 * v, dimension=3, start=[1.0, 2.0, 3.0], rtol=1e-8, restarts=10),
)

add("datasets.draw_until", lambda: {"draw": rng().normal, "meets": lambda x: x > 0})
add("datasets.Dataset", given_as(x=X, y=LABELS, name="toy", provenance="drawn"))
add("datasets.fold_labels", given_as(x=X, y=LABELS))
add("datasets.soudry_figure1", lambda: {"rng": rng(), "asymmetric": False})
add("datasets.spanning_separable", lambda: {"rng": rng(), "n_samples": 6, "n_features": 2})
add(
    "datasets.non_spanning_separable",
    lambda: {"rng": rng(), "n_samples": 6, "n_features": 3, "n_support": 2},
)
add("datasets.log_ladder", given_as(n_features=3))
add("datasets.degenerate_separable", lambda: {"rng": rng()})
add(
    "datasets.mnist",
    lambda: {"digits": (0, 1), "n_train": 20, "n_validation": 10, "rng": rng(), "bias": True},
)

RUN = {"signed": SIGNED, "step_size": 0.1, "record_at": UPDATES, "w0": [0.0, 0.1], "loss": LOGISTIC}
add("descent.log_spaced", given_as(start=1, stop=100, per_decade=3))
add("descent.gradient_descent", given_as(**RUN, momentum=0.5))
add("descent.normalized_gradient_descent", given_as(**RUN, decay=0.5, by="loss"))
add(
    "descent.stochastic_gradient_descent",
    lambda: dict(**RUN, rng=rng(), batch_size=2, replacement=False, runs=2),
)
add("descent.step_size_bounds", given_as(signed=SIGNED, smoothness=0.25, batch_size=2))
add("descent.adam", given_as(**RUN, beta1=0.9, beta2=0.99, epsilon=1e-8, decay=0.1))
add("descent.adagrad", given_as(**RUN, initial_accumulator=1e-8))
add(
    "descent.softmax_gradient_descent",
    given_as(
        x=THREE, y=CLASSES, n_classes=3, step_size=0.1, record_at=UPDATES, w0=np.zeros((3, 3))
    ),
)
add("descent.class_weights", given_as(w0=np.ones((3, 3)), n_classes=3, n_features=3))

add(
    "flattest.flattest_rescaling", lambda: {"net": line_net(), "x": LINE, "rtol": 1e-3, "rounds": 5}
)
add("flattest.flattest_interpolant", given_as(x=[0.0, 1.0, 2.0], y=[0.0, 1.0, 0.5]))
add("flattest.least_stability_norm", given_as(x=LINE, y=[0.0, 1.0, 0.5, 0.0], tolerance=0.1))

FLOW = {"signed": SIGNED, "s0": 1.0, "s_eval": LATE, "loss": EXPONENTIAL, "rtol": 1e-6}
add(
    "flow.log_total_loss",
    given_as(signed=SIGNED, weights=[[1.0, 1.0], [2.0, 2.0]], loss=EXPONENTIAL),
)
add("flow.log_time_flow", given_as(**FLOW, step_size=0.1, w0=[0.5, 0.5], discrete=False))
add("flow.descend_then_flow", given_as(**RUN, s_eval=[6.0, 7.0], rtol=1e-6, discrete=False))
add(
    "flow.stochastic_leap",
    lambda: {
        "signed": SIGNED,
        "step_size": 0.1,
        "w0": [[0.5, 0.5]],
        "s0": 2.5,
        "s_eval": [3.0, 3.5],
        "rng": rng(),
        "replacement": True,
        "loss": LOGISTIC,
        "window": 0.5,
    },
)
add(
    "flow.log_time_residual_flow",
    lambda: {
        "signed": SIGNED,
        "hard": hard(),
        "step_size": 0.1,
        "rho0": [0.0, 0.0],
        "sigma0": 1.0,
        "sigma_eval": [1.5, 2.0],
        "rtol": 1e-6,
    },
)
add(
    "flow.log_time_softmax_flow",
    given_as(
        x=THREE,
        y=CLASSES,
        n_classes=3,
        step_size=0.1,
        w0=np.zeros((3, 3)),
        s0=1.0,
        s_eval=LATE,
        rtol=1e-6,
    ),
)
add(
    "flow.log_time_euler",
    given_as(velocity=lambda s, w: -w, w0=[1.0, 2.0], s0=0.0, s_eval=[1.0, 2.0], step=0.1),
)
add("flow.deep_linear_flow", given_as(**FLOW, depth=2, w0=[0.5, 0.5]))
add(
    "flow.polynomial_tail_flow",
    given_as(signed=SIGNED, p=1.0, v0=[1.0, 1.0], s_eval=LATE, depth=2, rtol=1e-6),
)
add("flow.layered_flow", given_as(**FLOW, layers=LAYERS))
add(
    "flow.diagonal_flow",
    given_as(signed=SIGNED, depth=2, u0=[1.0, 1.0], v0=[0.5, 0.5], log_norms=[1.5, 2.0], rtol=1e-6),
    positive="u0 v0",
)
add(
    "flow.flow_to_interpolation",
    given_as(
        velocity=lambda w: -w,
        start=[1.0, 2.0],
        stop=1e-6,
        residual=lambda w: w,
        horizon=100.0,
        rtol=1e-6,
    ),
)

add("losses.Loss.value", given_as(u=[1.0, 2.0]), method=lambda: LOGISTIC.value)
add("losses.Loss.slope", given_as(u=[1.0, 2.0]), method=lambda: LOGISTIC.slope)
add("losses.scaled", given_as(loss=LOGISTIC, a=1.5, c=2.0))
add("losses.poly_exponential", given_as(nu=0.5))
add("losses.polynomial", given_as(p=1.5))
add("losses.log_power", given_as(a=1.5))
add("losses.log_cross_entropy", given_as(logits=[[1.0, 2.0], [3.0, 4.0]], y=[0, 1]))

add("margins.separability_certificate hard_margin iterated_log_ladder", given_as(signed=SIGNED))
add(
    "margins.multiclass_constraints multiclass_hard_margin",
    given_as(x=THREE, y=CLASSES, n_classes=3),
)
add("margins.normalized_margin", given_as(w=[1.0, 1.0], signed=SIGNED))
add("margins.margin_gap", lambda: {"w": [1.0, 1.0], "signed": SIGNED, "hard": hard()})
add("margins.angle", given_as(u=[1.0, 2.0], v=[2.0, 1.0]))
add("margins.direction_gap", given_as(w=[1.0, 2.0], w_hat=[2.0, 1.0]))
add("margins.margin_gap_constant", lambda: {"hard": hard()})
add("margins.direction_gap_constant", lambda: {"hard": hard(), "residual": [0.1, 0.2]})
add("margins.support_spans", lambda: {"signed": SIGNED, "hard": hard()})
add(
    "margins.residual_limit",
    lambda: {
        "signed": SIGNED,
        "hard": hard(),
        "step_size": 0.1,
        "w0": [0.0, 0.0],
        "check_span": True,
    },
)
add(
    "margins.convergence_exponent residual_covariance",
    lambda: {"signed": steep(), "hard": margins.hard_margin(steep())},
)
add("margins.heavy_tail_limit heavy_tail_exponent", given_as(signed=SIGNED, p=1.0))
add("margins.lexicographic_max_margin", given_as(signed=SIGNED, norm="l1"))
add("margins.constrained_minimiser", given_as(signed=SIGNED, radius=5.0))
add("margins.split_margin split_minimiser", given_as(shallow=SIGNED, deep=SIGNED, level=1.5))

add("minidoc.draw", lambda: {"n": 2, "rng": rng()})
add("minidoc.scan transcript", lambda: {"pages": pages()})
add("minidoc.reduce", lambda: {"scans": scans(), "budget": 6})
add("minidoc.degrade", lambda: {"scans": scans(), "factor": 0.5, "noise": 2.0, "rng": rng()})
add("minidoc.letters", given_as(words=["NAME", "12"]))
add("minidoc.pad", lambda: {"pages": words()})
add(
    "minidoc.readable",
    lambda: {"pages": pages(), "questions": minidoc.ask(pages(), rng()), "read": words()},
)
add(
    "minidoc.ask",
    lambda: {"pages": pages(), "rng": rng(), "per_page": 1, "shares": (0.5, 0.5, 0.0)},
)

add("minivlm.train_text", lambda: {"base": minivlm.Base(), "seed": 0, "steps": 1})
add(
    "minivlm.train_vision train_answers",
    lambda: {"base": minivlm.Base(), "heads": minivlm.ReadOut(0), "seed": 0, "steps": 1},
)
add(
    "minivlm.pretrain_encoder",
    lambda: {"encoder": minivlm.Encoder(1), "seed": 0, "steps": 1, "rate": 1e-3},
)
add("minivlm.expand", lambda: {"encoder": minivlm.Encoder(1), "n_queries": 2, "seed": 0})
add(
    "minivlm.align",
    lambda: {
        "base": frozen(),
        "encoder": minivlm.Encoder(1),
        "seed": 0,
        "text_steps": 1,
        "image_steps": 1,
    },
)
add("minivlm.freeze state_hash", lambda: {"module": minivlm.Encoder(1)})
add("minivlm.look", lambda: {"base": base(), "scans": scans(), "budget": 6})
add(
    "minivlm.encode",
    lambda: {
        "encoder": minivlm.Encoder(2),
        "letters": minidoc.transcript(pages())[0],
        "boxes": pages().boxes,
        "asked": [0, 1],
        "present": np.ones((2, 8), bool),
    },
)
add(
    "minivlm.answer",
    lambda: {"base": base(), "asked": [0, 1]},
    extra=lambda: (torch.zeros(2, 1, 64),),
)
add("minivlm.pack", lambda: {"modules": {"encoder": minivlm.Encoder(1)}})
add("minivlm.pretrained", given_as(dtype=torch.float32))
add("minivlm.record Block", dict)
add("minivlm.Base ReadOut", given_as(seed=0))
add("minivlm.Encoder", given_as(n_queries=2, seed=0, aware=True, compress=True))
add("minivlm.WordHeads", given_as(n_queries=2, seed=0))

add("models.deep_linear_layers", given_as(layers=LAYERS, name="layers", n_features=2))
add("models.balanced_layers", lambda: {"w": [1.0, 2.0], "depth": 2, "width": 3, "rng": rng()})
add("networks.Network", given_as(widths=(2, 3, 1), activation="tanh", biases=True))
add("networks.Network.initial", lambda: {"rng": rng(), "gain": 1.0}, method=lambda: NETWORK.initial)
add(
    "networks.Network.outputs",
    lambda: {"theta": torch.ones(NETWORK.n_parameters), "x": torch.ones(4, 2)},
    method=lambda: NETWORK.outputs,
)
add("networks.squared_loss", given_as(network=NETWORK, x=X, y=[1.0, 2.0, 3.0, 4.0]))

add("orthants.cap_probability cap_lower_bound", given_as(d=3, angle=[0.5, 1.0]), positive="angle")
add("orthants.arc_cosine_kernel", given_as(a=[[1.0, 2.0]], b=[[1.0, 0.0], [0.0, 1.0]]))
add(
    "orthants.bounce",
    lambda: {"f": [[1.0, 2.0], [0.5, 0.2]], "covariance": COVARIANCE, "time": 1.0, "rng": rng()},
    positive="f",
)
add(
    "orthants.orthant_path",
    lambda: {
        "covariance": COVARIANCE,
        "n_particles": 10,
        "rng": rng(),
        "checkpoints": (1,),
        "moves": 1,
    },
)

add("interactive.knob", given_as(label="step", low=0.0, high=1.0, step=0.1, start=0.5))
add("interactive.table", given_as(digits=5, x=[1.0, 2.0]))
add("interactive.plane", given_as(x="w", y="v", low=-1.0, high=1.0))
add("interactive.Turnable", lambda: {"chart": chart().add_params(a_knob())})
add(
    "interactive.Turnable.still",
    dict,
    method=lambda: interactive.Turnable(chart().add_params(a_knob())).still,
)
add(
    "interactive.turnable",
    lambda: {"knobs": [a_knob()], "height": 100},
    method=lambda: partial(interactive.turnable, chart()),
)
add("plotting.use_style", dict)
add("plotting.panels", given_as(columns=2, rows=1, height=2.0))
add(
    "plotting.theory measured curve control",
    lambda: {"ax": axes(), "x": [1.0, 2.0], "y": [1.0, 2.0]},
)
add("plotting.separator", lambda: {"ax": axes(), "w": [1.0, 2.0]})
add("plotting.decades", lambda: {"ax": axes(), "ticks": [1, 2]})

CORNERS = [[1, -1], [1, 1]]
add("quantized.boolean_cube", given_as(d=2))
add("quantized.codes_of_points", given_as(outputs=[[1.0, -1.0], [2.0, 3.0]]))
add("quantized.neuron_law", given_as(inputs=CORNERS, alphabet=[-1, 0, 1], scaled=False))
add("quantized.convolve", lambda: {"a": law(), "b": law()})
add("quantized.sign_counts", lambda: {"left": law(), "right": law(), "offset": coin()})
add("quantized.cube_averages", given_as(by_code=[1.0, 2.0, 3.0, 4.0], d=1, flips=True))
add("quantized.function_prior", given_as(d=2, widths=[2], alphabet=(-1, 0, 1), scaled=False))
add("quantized.inputs_prior", given_as(inputs=CORNERS, width=2, alphabet=(-1, 0, 1), scaled=False))
add("quantized.superset_sums", given_as(values=[1.0, 2.0, 3.0, 4.0]))
add("quantized.mean_by_size", given_as(by_mask=[1.0, 2.0, 3.0, 4.0]))
add("quantized.distinct_points_law", given_as(m=3, n_samples=4))
add("quantized.seen_set_law", given_as(measure=[0.5, 0.25, 0.25], n_samples=3), positive="measure")
add("quantized.measure_of_masks", given_as(measure=[0.5, 0.25, 0.25]), positive="measure")
add(
    "quantized.GuessAndCheck",
    given_as(prior=[0.25, 0.25, 0.25, 0.25], teacher=1, measure=[0.5, 0.5]),
    positive="measure",
)
add(
    "quantized.GuessAndCheck.failure",
    given_as(epsilon=0.1),
    method=lambda: quantized.GuessAndCheck([0.25] * 4, 1).failure,
)
add("quantized.pinned_parameters", given_as(d=2, teacher=[2], student=[3], scaled=False))
add(
    "quantized.guess_and_check_samples",
    given_as(complexity=2.0, epsilon=0.1, delta=0.1, sharp=False),
    positive="epsilon delta",
)

add("radon.gaussian_weight gaussian_weight_slope", given_as(t=[0.5, 1.0]))
add("radon.bump_density", given_as(t=[0.5, 1.0], beta=1.0, n_features=2))
add("radon.pyramid", given_as(x=[[0.1, 0.2], [0.3, 0.4]]))
add("radon.pyramid_density", given_as(angle=0.3, t=[0.1, 0.2], eps=0.1))
add("radon.pyramid_norm", given_as(eps=0.1, weight=np.ones_like, nodes=4))
add("radon.pyramid_rate", given_as(weight=np.ones_like))

add(
    "regularizers.weight_magnitudes root_k",
    given_as(scale=[1.0, 2.0], shape=[0.1, 0.2]),
    positive="scale",
)
add(
    "regularizers.diagonal_potential",
    given_as(u_plus=[1.0, 2.0], u_minus=[1.0, 1.0], v_plus=[0.5, 0.5], v_minus=[0.1, 0.2]),
)
add(
    "regularizers.hyperbolic_entropy hyperbolic_entropy_slope",
    given_as(w=[1.0, 2.0], root_k=[1.0, 2.0]),
    positive="root_k",
)
add(
    "regularizers.least_hyperbolic_entropy",
    given_as(x=WIDE, y=TARGETS, log_root_k=[0.0, 0.1, 0.2], tilt=[0.0, 0.1, 0.0]),
)
add(
    "regularizers.margin_hyperbolic_entropy",
    given_as(signed=SIGNED, log_root_k=[0.0, 0.1], margin=1.0),
)
add(
    "regularizers.stagewise_margin", given_as(signed=SIGNED, margins=[0.5, 1.0]), positive="margins"
)
add(
    "regularizers.least_l2 least_l1",
    given_as(x=WIDE, y=TARGETS, weights=[1.0, 2.0, 1.0]),
    positive="weights",
)
add("regularizers.margin_l1", given_as(signed=SIGNED))
add("regularizers.null_projector", given_as(x=WIDE))
add("regularizers.neuron_potential neuron_slope", given_as(r=[1.0, 2.0], delta=0.5))
add(
    "regularizers.least_radial",
    given_as(x=WIDE, y=TARGETS, slope=lambda r: 2 * r, tilt=[0.0, 0.1, 0.0]),
)
add("regularizers.neuron_limit", given_as(x=WIDE, y=TARGETS, a0=2.0, w0=[0.1, 0.2, 0.3], sign=1))
add("regularizers.hessian_map_defect", given_as(metric=np.diag, w=[1.0, 2.0]))

add("shallow.ShallowNet", given_as(w=np.ones((2, 2)), b=np.ones(2), v=np.ones(2), c=0.5))
add("shallow.ShallowNet.outputs", given_as(x=PLANE), method=lambda: net().outputs)
add("shallow.ShallowNet.preactivations", given_as(x=PLANE), method=lambda: net().preactivations)
add("shallow.ShallowNet.flat", dict, method=lambda: net().flat)
add("shallow.random_net", lambda: {"rng": rng(), "width": 3, "n_features": 2})
add("shallow.tangent_gram sharpness", lambda: {"net": net(), "x": PLANE, "output_bias": True})
add("shallow.leading", lambda: {"gram": gram()})
add("shallow.mean_gradient balanced", lambda: {"net": net(), "x": PLANE})
add("shallow.ridges", lambda: {"net": net()})
add(
    "shallow.stability_weight",
    given_as(u=[[1.0, 0.0], [0.0, 1.0]], t=[0.0, 0.1], x=PLANE, two_sided=True),
)
add("shallow.path_sum", lambda: {"net": net(), "x": PLANE, "two_sided": False})
add("shallow.stability_norm", lambda: {"net": net(), "x": PLANE, "merge": 1e-9})
add("shallow.rescaled", lambda: {"net": net(), "outer": [1.0, 2.0, 3.0], "inner": [1.0, 1.0, 1.0]})
add(
    "shallow.descend",
    lambda: {
        "nets": [net()],
        "x": PLANE,
        "y": [1.0, 0.0, 0.5],
        "steps": [0.01],
        "updates": 5,
        "ramp": 1,
        "stop": 1e-9,
    },
    positive="steps",
)
add("shallow.mean_square_radius", lambda: {"gram": gram(), "step": 0.1, "batch": 2})
add("shallow.mean_square_threshold", lambda: {"gram": gram(), "batch": 2})

W, STEP = {"w": [1.2, 0.8, 1.1]}, {"w": [1.2, 0.8, 1.1], "step_size": 0.1}
PAIR = {"u": [1.0, 1.0, 1.0], "v": [0.5, 0.5, 0.5], "x": WIDE}
add("solutions.scalar_step in_invariant_set frozen_peak", given_as(**STEP), positive="step_size")
add("solutions.scalar_descent", given_as(**STEP, n_steps=5), positive="step_size")
add("solutions.scalar_on_manifold", given_as(**W, product=0.5), positive="product")
add(
    "solutions.scalar_solution scalar_sharpness scalar_solution_sharpness scalar_elementary "
    "scalar_normal_form",
    given_as(**W),
)
add("solutions.scalar_minimum", given_as(pattern=[1.0, -1.0, 0.5], sharpness=5.0))
add("solutions.frozen_map", given_as(**STEP, product=0.5), positive="step_size product")
add(
    "solutions.frozen_orbit",
    given_as(**STEP, product=0.5, burn=1, keep=2),
    positive="step_size product",
)
add(
    "solutions.squared_step squared_drift",
    given_as(**PAIR, y=TARGETS, step_size=0.01),
    positive="step_size",
)
add("solutions.squared_solution", given_as(**PAIR, y=TARGETS))
add("solutions.squared_sharpness", given_as(**PAIR))
add(
    "solutions.least_squares_solution",
    given_as(residuals=lambda theta: theta - 1, theta=[0.0, 0.5], tolerance=1e-4, stop=1e-8),
)

add(
    "stability.characteristic_polynomial",
    given_as(c=0.5, delay=2, momentum=0.1, kind="heavy ball", decay=0.0),
)
add("stability.random_delay_polynomial", given_as(c=0.5, law=[0.5, 0.5]))
add("stability.spectral_radius", given_as(polynomial=[1.0, 0.5, 0.1]))
add("stability.delay_threshold", given_as(delay=[1.0, 2.0]))
add("stability.fastest_delayed_rate", given_as(delay=2))
add("stability.momentum_threshold", given_as(delay=2, momentum=0.5, kind="shifted"))
add("stability.decay_threshold", given_as(delay=2, decay=0.1))
add("stability.random_delay_threshold", given_as(law=[0.25, 0.5, 0.25]))
add("stability.impulse_energy", given_as(c=[0.1, 0.2], delay=2), positive="c")
add("stability.mean_square_threshold", given_as(delay=2, noise=0.5))
add("stability.mean_square_radius", given_as(c=0.1, delay=1, noise=0.5))
add("stability.random_worker_moments", given_as(c=0.5, workers=3))
add("stability.random_worker_threshold", given_as(workers=[1, 2]), positive="workers")
DELAYED = {
    "gradient": lambda x: x,
    "start": [1.0, 2.0],
    "step_size": 0.1,
    "delay": 1,
    "momentum": 0.1,
    "kind": "heavy ball",
}
add(
    "stability.delayed_descent",
    given_as(**DELAYED, record_at=UPDATES, bound=1e6),
    positive="step_size",
)
add("stability.growth_rate", given_as(**DELAYED, steps=200, transient=0.5), positive="step_size")

add("tokens.tokens_internvl2", given_as(width=500, height=700, max_tiles=4, thumbnail=True))
add("tokens.tokens_qwen2vl", given_as(width=500, height=700, min_pixels=3136, max_pixels=10**6))
add("tokens.tokens_llava_onevision", given_as(width=500, height=700, max_crops=4))
add("tokens.prefill_flops", given_as(n=1, d=2, d_kv=3, f=4, layers=5))
add("tokens.crossover_length", given_as(d=2, d_kv=3, f=4))


# --- what is allowed all the same ----------------------------------------------------------------

#: Public, and without a case: why.
UNCHECKED = {
    **dict.fromkeys(
        ["models.end_to_end", "models.deep_linear_gradients"],
        "in the inner loops of flow and descent, which check layers by deep_linear_layers",
    ),
    **dict.fromkeys(
        [
            "minivlm.fourier", "minivlm.Block.forward", "minivlm.Base.features",
            "minivlm.Base.look", "minivlm.Base.read", "minivlm.Base.hidden",
            "minivlm.Base.forward", "minivlm.Encoder.states", "minivlm.Encoder.forward",
            "minivlm.ReadOut.loss",
        ],
        "a layer of a network, on tensors; look, encode and answer check what enters",
    ),
}  # fmt: skip

#: Why a bad value of this name can be a good one.
REASONS = {
    "an extra axis": "any leading axes are allowed",
    "shorter axis 0": "no other argument fixes this length",
    "shorter axis 1": "no other argument fixes this length",
    "zero": "zero is in the range",
    "a zero": "zero is in the range",
    "negative": "the sign is free",
    "an empty list": "there may be none",
    "another word": "a text of the author's",
    "a word": "a text of the author's",
    "NaN": "a NaN leaves a gap in the line",
    "infinity": "what is infinite lies outside the figure",
}

#: Bad values that a function takes, by argument; the reasons are those of `REASONS`.
TAKEN = {
    "claims.Claim": (
        "scope: another word; contradicted: another word; seeds: an empty list; dtype: another word"
    ),
    "claims.Claim.at_least": (
        "quantity: another word; "
        "measured: an extra axis, shorter axis 0; "
        "predicted: an extra axis, shorter axis 0; "
        "atol: zero; "
        "drift: zero"
    ),
    "claims.Claim.at_most": (
        "quantity: another word; "
        "measured: an extra axis, shorter axis 0; "
        "predicted: an extra axis, shorter axis 0; "
        "atol: zero; "
        "drift: zero"
    ),
    "claims.Claim.control": "broken: a word",
    "claims.Claim.equal": (
        "quantity: another word; "
        "measured: an extra axis, shorter axis 0; "
        "predicted: an extra axis, shorter axis 0; "
        "atol: zero; "
        "drift: zero"
    ),
    "claims.Claim.exact": "quantity: another word",
    "claims.Claim.limit": (
        "quantity: another word; "
        "measured: an extra axis; "
        "predicted: an extra axis; "
        "rtol: zero; "
        "drift: zero"
    ),
    "claims.Claim.qualitative": (
        "quantity: another word; measured: another word; predicted: another word"
    ),
    "claims.Claim.rate": (
        "quantity: another word; "
        "log_x: an extra axis; "
        "log_y: an extra axis; "
        "predicted: an extra axis; "
        "rtol: zero; "
        "drift: zero"
    ),
    "claims.not_checked": "because: another word",
    "comparisons.fit_rate": "log_x: an extra axis; log_y: an extra axis",
    "curvature.gradient": "theta: shorter axis 0",
    "curvature.gram_sharpness": "rows: shorter axis 0, shorter axis 1",
    "curvature.hessian": "theta: shorter axis 0",
    "curvature.hessian_product": "theta: shorter axis 0",
    "curvature.jacobian": "theta: shorter axis 0",
    "datasets.Dataset": "x: shorter axis 1; name: another word; provenance: another word",
    "datasets.fold_labels": "x: shorter axis 1",
    "descent.adagrad": "signed: shorter axis 0; record_at: shorter axis 0",
    "descent.adam": (
        "signed: shorter axis 0; record_at: shorter axis 0; beta1: zero; beta2: zero; decay: zero"
    ),
    "descent.gradient_descent": "signed: shorter axis 0; record_at: shorter axis 0; momentum: zero",
    "descent.normalized_gradient_descent": (
        "signed: shorter axis 0; record_at: shorter axis 0; decay: zero"
    ),
    "descent.softmax_gradient_descent": "record_at: shorter axis 0",
    "descent.step_size_bounds": "signed: shorter axis 0, shorter axis 1",
    "descent.stochastic_gradient_descent": "record_at: shorter axis 0",
    "flattest.flattest_rescaling": "x: shorter axis 0",
    "flattest.least_stability_norm": "tolerance: zero",
    "flow.deep_linear_flow": "signed: shorter axis 0; s0: negative, zero; s_eval: shorter axis 0",
    "flow.descend_then_flow": (
        "signed: shorter axis 0; record_at: shorter axis 0; s_eval: shorter axis 0"
    ),
    "flow.diagonal_flow": "signed: shorter axis 0; log_norms: shorter axis 0",
    "flow.flow_to_interpolation": "start: shorter axis 0",
    "flow.layered_flow": "signed: shorter axis 0; s0: negative, zero; s_eval: shorter axis 0",
    "flow.log_time_euler": (
        "w0: an extra axis, shorter axis 0; s0: negative, zero; s_eval: shorter axis 0"
    ),
    "flow.log_time_flow": "signed: shorter axis 0; s0: negative, zero; s_eval: shorter axis 0",
    "flow.log_time_residual_flow": "sigma0: negative, zero; sigma_eval: shorter axis 0",
    "flow.log_time_softmax_flow": "s0: negative, zero; s_eval: shorter axis 0",
    "flow.log_total_loss": "signed: shorter axis 0; weights: shorter axis 0",
    "flow.polynomial_tail_flow": "signed: shorter axis 0; s_eval: shorter axis 0",
    "flow.stochastic_leap": "signed: shorter axis 0; s_eval: shorter axis 0",
    "interactive.knob": "label: another word; low: negative, zero; start: zero",
    "interactive.plane": "x: another word; y: another word; low: negative, zero; high: zero",
    "margins.angle": "u: an extra axis; v: an extra axis",
    "margins.constrained_minimiser": "signed: shorter axis 0, shorter axis 1",
    "margins.direction_gap": "w: an extra axis; w_hat: an extra axis",
    "margins.hard_margin": "signed: shorter axis 0, shorter axis 1",
    "margins.heavy_tail_exponent": "signed: shorter axis 0, shorter axis 1",
    "margins.heavy_tail_limit": "signed: shorter axis 0, shorter axis 1",
    "margins.iterated_log_ladder": "signed: shorter axis 0, shorter axis 1",
    "margins.lexicographic_max_margin": "signed: shorter axis 0, shorter axis 1",
    "margins.margin_gap": "w: an extra axis",
    "margins.multiclass_constraints": "x: shorter axis 1",
    "margins.normalized_margin": "w: an extra axis; signed: shorter axis 0",
    "margins.separability_certificate": "signed: shorter axis 0, shorter axis 1",
    "margins.split_margin": "shallow: shorter axis 1; deep: shorter axis 1",
    "margins.split_minimiser": (
        "shallow: shorter axis 1; deep: shorter axis 1; level: negative, zero"
    ),
    "minidoc.degrade": "noise: zero",
    "minidoc.letters": "words: an empty list",
    "minidoc.readable": "read: an empty list",
    "minivlm.Base": "seed: zero",
    "minivlm.Encoder": "seed: zero",
    "minivlm.ReadOut": "seed: zero",
    "minivlm.WordHeads": "seed: zero",
    "minivlm.align": "seed: zero; text_steps: zero; image_steps: zero",
    "minivlm.expand": "seed: zero",
    "minivlm.look": "budget: zero",
    "minivlm.pretrain_encoder": "seed: zero; steps: zero",
    "minivlm.train_answers": "seed: zero; steps: zero",
    "minivlm.train_text": "seed: zero; steps: zero",
    "minivlm.train_vision": "seed: zero; steps: zero",
    "models.balanced_layers": "w: shorter axis 0",
    "models.deep_linear_layers": "name: another word",
    "orthants.arc_cosine_kernel": "b: shorter axis 0",
    "orthants.bounce": "f: a zero, shorter axis 0",
    "orthants.cap_lower_bound": "angle: an extra axis, shorter axis 0",
    "orthants.cap_probability": "angle: an extra axis, shorter axis 0",
    "orthants.orthant_path": "checkpoints: an empty list",
    "plotting.control": "x: NaN, infinity; y: NaN, infinity",
    "plotting.curve": "x: NaN, infinity; y: NaN, infinity",
    "plotting.decades": "ticks: an empty list",
    "plotting.measured": "x: NaN, infinity; y: NaN, infinity",
    "plotting.theory": "x: NaN, infinity; y: NaN, infinity",
    "quantized.GuessAndCheck": "teacher: zero",
    "quantized.GuessAndCheck.failure": "epsilon: zero",
    "quantized.codes_of_points": "outputs: an extra axis, shorter axis 0, shorter axis 1",
    "quantized.distinct_points_law": "n_samples: zero",
    "quantized.function_prior": "alphabet: shorter axis 0",
    "quantized.guess_and_check_samples": (
        "complexity: an extra axis; epsilon: an extra axis; delta: an extra axis"
    ),
    "quantized.inputs_prior": (
        "inputs: an extra axis, shorter axis 0, shorter axis 1; alphabet: shorter axis 0"
    ),
    "quantized.neuron_law": (
        "inputs: an extra axis, shorter axis 0, shorter axis 1; alphabet: shorter axis 0"
    ),
    "quantized.seen_set_law": "n_samples: zero",
    "radon.bump_density": "t: an extra axis, shorter axis 0",
    "radon.gaussian_weight": "t: an extra axis, shorter axis 0",
    "radon.gaussian_weight_slope": "t: an extra axis, shorter axis 0",
    "radon.pyramid": "x: shorter axis 0, shorter axis 1",
    "radon.pyramid_density": "t: an extra axis, shorter axis 0",
    "regularizers.hessian_map_defect": "w: shorter axis 0",
    "regularizers.hyperbolic_entropy": (
        "w: an extra axis, shorter axis 0; root_k: an extra axis, shorter axis 0"
    ),
    "regularizers.hyperbolic_entropy_slope": (
        "w: an extra axis, shorter axis 0; root_k: an extra axis, shorter axis 0"
    ),
    "regularizers.margin_hyperbolic_entropy": "signed: shorter axis 0",
    "regularizers.margin_l1": "signed: shorter axis 0, shorter axis 1",
    "regularizers.neuron_limit": "a0: negative, zero; sign: negative",
    "regularizers.neuron_potential": "r: an extra axis, shorter axis 0; delta: negative, zero",
    "regularizers.neuron_slope": "r: an extra axis, shorter axis 0; delta: negative, zero",
    "regularizers.null_projector": "x: shorter axis 0, shorter axis 1",
    "regularizers.root_k": (
        "scale: an extra axis, shorter axis 0; shape: an extra axis, shorter axis 0"
    ),
    "regularizers.stagewise_margin": (
        "signed: shorter axis 0, shorter axis 1; margins: shorter axis 0"
    ),
    "regularizers.weight_magnitudes": (
        "scale: an extra axis, shorter axis 0; shape: an extra axis, shorter axis 0"
    ),
    "shallow.ShallowNet": "w: shorter axis 1; c: negative, zero",
    "shallow.ShallowNet.outputs": "x: shorter axis 0",
    "shallow.ShallowNet.preactivations": "x: shorter axis 0",
    "shallow.balanced": "x: shorter axis 0",
    "shallow.descend": "ramp: zero; stop: zero",
    "shallow.mean_gradient": "x: shorter axis 0",
    "shallow.path_sum": "x: shorter axis 0",
    "shallow.sharpness": "x: shorter axis 0",
    "shallow.stability_norm": "x: shorter axis 0; merge: zero",
    "shallow.stability_weight": "x: shorter axis 0",
    "shallow.tangent_gram": "x: shorter axis 0",
    "solutions.frozen_map": (
        "w: an extra axis, shorter axis 0; step_size: an extra axis; product: an extra axis"
    ),
    "solutions.frozen_orbit": (
        "w: an extra axis, shorter axis 0; "
        "step_size: an extra axis; "
        "product: an extra axis; "
        "burn: zero"
    ),
    "solutions.frozen_peak": "w: an extra axis, shorter axis 0; step_size: an extra axis",
    "solutions.in_invariant_set": "w: an extra axis, shorter axis 0; step_size: an extra axis",
    "solutions.least_squares_solution": "theta: shorter axis 0",
    "solutions.scalar_descent": "w: an extra axis, shorter axis 0; step_size: an extra axis",
    "solutions.scalar_elementary": "w: an extra axis, shorter axis 0",
    "solutions.scalar_minimum": "pattern: shorter axis 0",
    "solutions.scalar_normal_form": "w: an extra axis, shorter axis 0",
    "solutions.scalar_on_manifold": "w: an extra axis, shorter axis 0; product: an extra axis",
    "solutions.scalar_sharpness": "w: an extra axis, shorter axis 0",
    "solutions.scalar_solution": "w: an extra axis, shorter axis 0",
    "solutions.scalar_solution_sharpness": "w: an extra axis, shorter axis 0",
    "solutions.scalar_step": "w: an extra axis, shorter axis 0; step_size: an extra axis",
    "solutions.squared_drift": (
        "u: an extra axis; "
        "v: an extra axis; "
        "x: an extra axis; "
        "y: an extra axis; "
        "step_size: an extra axis"
    ),
    "solutions.squared_sharpness": (
        "u: an extra axis; v: an extra axis; x: an extra axis, shorter axis 0"
    ),
    "solutions.squared_solution": (
        "u: an extra axis; v: an extra axis; x: an extra axis; y: an extra axis"
    ),
    "solutions.squared_step": (
        "u: an extra axis; "
        "v: an extra axis; "
        "x: an extra axis; "
        "y: an extra axis; "
        "step_size: an extra axis"
    ),
    "stability.characteristic_polynomial": "delay: zero; momentum: zero; decay: zero",
    "stability.decay_threshold": "delay: zero; decay: zero",
    "stability.delay_threshold": "delay: an extra axis, shorter axis 0",
    "stability.delayed_descent": (
        "start: an extra axis, shorter axis 0; delay: zero; record_at: shorter axis 0"
    ),
    "stability.fastest_delayed_rate": "delay: zero",
    "stability.growth_rate": "start: an extra axis, shorter axis 0; delay: zero; transient: zero",
    "stability.impulse_energy": "c: an extra axis, shorter axis 0; delay: zero",
    "stability.mean_square_radius": "delay: zero; noise: zero",
    "stability.mean_square_threshold": "delay: zero; noise: zero",
    "stability.momentum_threshold": "delay: zero; momentum: zero",
    "stability.random_worker_threshold": "workers: an extra axis, shorter axis 0",
    "stability.spectral_radius": "polynomial: shorter axis 0",
}
ALLOWED = {
    name: {
        argument.strip(): set(values.strip().split(", "))
        for argument, _, values in (part.partition(":") for part in entry.split(";"))
    }
    for name, entry in TAKEN.items()
}

#: The inner loops of descent and flow call these: they check nothing, and say so.
LOOPS = {"losses.Loss.value", "losses.Loss.slope"}

# --- bad values ----------------------------------------------------------------------------------


def bad_values(annotation: str, value: Any, *, positive: bool) -> dict[str, Any]:
    """The values that an annotation rules out, or might, by name."""
    made: dict[str, Any] = {} if "None" in annotation else {"nothing": None}
    if annotation.startswith("bool"):
        return made | {"a word": "no", "a number": 2, "a list": [True]}
    if annotation.startswith(("float", "int")):
        return made | bad_numbers(value, whole=annotation.startswith("int"))
    if "Generator" in annotation:
        return made | {"a seed": 0, "a legacy generator": np.random.RandomState(0)}
    if re.search(r"Callable|Field|Gradient|Weight|Objective", annotation):
        return made | {"a word": "word", "a number": 1.0}
    if re.match(r"str|Literal|Momentum|Grade|Relation", annotation):
        return made | {"another word": "unknown", "a number": 3}
    if "Array" in annotation and "Sequence" not in annotation:
        return made | bad_arrays(value, positive=positive)
    if annotation == "Any":
        return {}
    listed = {"an empty list": []} if "Sequence" in annotation or "tuple" in annotation else {}
    return made | {"a word": "word", "a number": 3} | listed


def bad_numbers(value: Any, *, whole: bool) -> dict[str, Any]:
    size = abs(value or 1)
    made = {
        "a word": "word", "a flag": True, "a list": [size, size], "complex": 1j, "NaN": NAN,
        "infinity": INF, "-infinity": -INF, "zero": 0 * size, "negative": -size,
    }  # fmt: skip
    return made | ({"a fraction": size + 0.5} if whole else {})


def bad_arrays(value: Any, *, positive: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "a word": "word", "an empty list": [], "a ragged list": [[1.0], [1.0, 2.0]],
        "objects": [object()],
    }  # fmt: skip
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        return made
    array = array.astype(np.float64)
    made |= {"complex": array * (1 + 1j), "an extra axis": array[None].astype(value_type(value))}
    made |= {"NaN": with_last(array, NAN), "infinity": with_last(array, INF)}
    for axis, length in enumerate(array.shape):
        if length > 1:
            shorter = np.asarray(value).take(range(length - 1), axis=axis)
            made[f"shorter axis {axis}"] = shorter
    if positive:
        made |= {"a zero": with_last(array, 0.0), "negative": -array}
    return made


def value_type(value: Any) -> Any:
    return np.asarray(value).dtype


def with_last(array: Any, entry: float) -> Any:
    changed = array.copy()
    changed.reshape(-1)[-1] = entry
    return changed


# --- what comes of a call ------------------------------------------------------------------------


def numbers(result: Any) -> Iterator[Any]:
    """The floating-point numbers in a result, as arrays."""
    if isinstance(result, torch.Tensor):
        yield from numbers(result.detach().numpy())
    elif isinstance(result, (float, np.floating, np.ndarray)):
        array = np.asarray(result)
        if array.dtype.kind == "f":
            yield array
    elif isinstance(result, torch.nn.Module):
        yield from numbers(list(result.state_dict().values()))
    elif dataclasses.is_dataclass(result):
        yield from numbers([getattr(result, f.name) for f in dataclasses.fields(result)])
    elif isinstance(result, dict):
        yield from numbers(list(result.values()))
    elif isinstance(result, (list, tuple)) or inspect.isgenerator(result):
        for part in result:
            yield from numbers(part)


def call(name: str, /, **replaced: Any) -> list[Any]:
    """Call with some arguments replaced; return the numbers that come back."""
    case = CASES[name]
    function = case.method() if case.method else PUBLIC[name]
    arguments = {**case.arguments(), **replaced}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if case.extra():
            result = function(*arguments.values(), *case.extra())
        else:
            result = function(**arguments)
        return list(numbers(result))


def refusal(name: str, argument: str, bad: str, value: Any) -> str | None:
    """The message with which a call refuses a bad value; None where it takes it."""
    try:
        found = call(name, **{argument: value})
    except ClaimError:
        return None  # a comparison that fails: the value was understood
    except ValueError as error:
        message = str(error)
        # A length that does not fit may be told of either of two arrays.
        named = re.search(rf"(?<!\w){argument}(?!\w)", message) or bad.startswith("shorter")
        assert named, f"the message does not name {argument}: {message}"
        assert re.search("allowed|expected|one of", message), f"what is allowed? {message}"
        return message
    assert all(np.isfinite(array).all() for array in found), "a silent NaN or infinity"
    return None


def public() -> dict[str, Any]:
    """Functions, classes and their methods, by name; exceptions and mere records left out."""
    found = {}
    for module in pkgutil.iter_modules(ibcore.__path__):
        if module.name.startswith("_"):
            continue
        for name, thing in vars(importlib.import_module(f"ibcore.{module.name}")).items():
            if not name.startswith("_") and is_ours(thing, module.name):
                found |= with_methods(f"{module.name}.{name}", thing)
    return found


def is_ours(thing: Any, module: str) -> bool:
    callable_ = inspect.isfunction(thing) or inspect.isclass(thing)
    return callable_ and thing.__module__ == f"ibcore.{module}"


def with_methods(name: str, thing: Any) -> dict[str, Any]:
    if not inspect.isclass(thing):
        return {name: thing}
    if issubclass(thing, Exception):
        return {}
    methods = {
        f"{name}.{method}": function
        for method, function in vars(thing).items()
        if inspect.isfunction(function) and not method.startswith("_")
    }
    return methods if is_record(thing) else {name: thing} | methods


def is_record(kind: type) -> bool:
    """Whether a class only holds what functions that check have computed."""
    made = dataclasses.is_dataclass(kind) and "__post_init__" not in vars(kind)
    return made or hasattr(kind, "_fields")


PUBLIC = public()


@cache
def rows(name: str) -> list[tuple[str, str, Any]]:
    """The bad values of every argument of a call: argument, name of the bad value, bad value."""
    case = CASES[name]
    function = case.method() if case.method else PUBLIC[name]
    arguments = case.arguments()
    made = []
    for argument, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        value = arguments.get(argument, parameter.default)
        positive = argument in case.positive.split()
        values = bad_values(str(parameter.annotation), value, positive=positive)
        made += [(argument, bad, value) for bad, value in values.items()]
    return made


# --- the tests -----------------------------------------------------------------------------------


def test_every_public_function_has_a_case() -> None:
    assert set(PUBLIC) - set(UNCHECKED) == set(CASES)
    assert set(UNCHECKED) <= set(PUBLIC), "an entry that is no longer public"


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_valid_call_is_valid(name: str) -> None:
    """Else a bad value could be refused for what is wrong elsewhere in the call."""
    call(name)


@pytest.mark.parametrize("name", sorted(set(CASES) - LOOPS))
def test_bad_values_are_refused_by_name(name: str) -> None:
    taken: dict[str, set[str]] = {}
    for argument, bad, value in rows(name):
        try:
            if refusal(name, argument, bad, value) is None:
                taken.setdefault(argument, set()).add(bad)
        except Exception as error:
            raise AssertionError(f"{name}, {argument}: {bad}") from error
    assert taken == ALLOWED.get(name, {})


def test_what_is_allowed_has_a_reason() -> None:
    named = {bad for taken in ALLOWED.values() for values in taken.values() for bad in values}
    assert named == set(REASONS)
    assert set(ALLOWED) <= set(CASES)


def arguments_that_refuse(*bad: str) -> list[tuple[str, str]]:
    """Arguments for which all these values are bad and none of them is allowed."""
    found = []
    for name in sorted(set(CASES) - LOOPS):
        made: dict[str, set[str]] = {}
        for argument, value, _ in rows(name):
            made.setdefault(argument, set()).add(value)
        for argument, values in made.items():
            if set(bad) <= values - ALLOWED.get(name, {}).get(argument, set()):
                found.append((name, argument))
    return found


POSITIVE = arguments_that_refuse("zero", "negative", "NaN")
FILLED = arguments_that_refuse("NaN", "complex", "an extra axis")


@settings(max_examples=300)
@given(st.sampled_from(POSITIVE), st.floats(max_value=0.0) | st.sampled_from([NAN, INF]))
def test_no_number_out_of_range_gets_through(case: tuple[str, str], value: float) -> None:
    assert refusal(*case, "a number out of range", value)


@settings(max_examples=300)
@given(st.sampled_from(FILLED), st.integers(0, 10**6), st.sampled_from([NAN, INF, -INF]))
def test_no_nan_gets_through_wherever_it_stands(
    case: tuple[str, str], place: int, entry: float
) -> None:
    name, argument = case
    array = np.array(CASES[name].arguments()[argument], dtype=np.float64)
    array.reshape(-1)[place % array.size] = entry
    assert refusal(name, argument, "NaN", array)


def summary() -> dict[str, Any]:
    """How many bad values are refused and how many are allowed, in all and by module."""
    modules: dict[str, Counter[str]] = {}
    for name in sorted(set(CASES) - LOOPS):
        counts = modules.setdefault(name.partition(".")[0], Counter(refused=0, allowed=0))
        counts["functions"] += 1
        counts["arguments"] += len({argument for argument, _, _ in rows(name)})
        for argument, bad, _ in rows(name):
            taken = bad in ALLOWED.get(name, {}).get(argument, set())
            counts["allowed" if taken else "refused"] += 1
    total = sum(modules.values(), Counter())
    return dict(total) | {"modules": {name: dict(counts) for name, counts in modules.items()}}


def test_the_summary_is_up_to_date() -> None:
    assert json_files.read(SUMMARY) == summary(), "run `python tests/test_bad_input.py`"


def interface(module: str) -> dict[str, Any]:
    """Of every function of a module: the defaults of its arguments, and their least integers."""
    return {name: arguments for name in MODULES[module] if (arguments := options(name))}


def options(name: str) -> dict[str, Any]:
    """The defaults of a call, and the least integers that it says it takes."""
    made: dict[str, Any] = {}
    for argument, parameter in inspect.signature(PUBLIC[name]).parameters.items():
        default = parameter.default
        if isinstance(default, (bool, int, float, str, tuple)):
            made[argument] = {"default": repr(default)}
        if str(parameter.annotation).startswith("int"):
            message = refusal(name, argument, "negative", -(10**9)) or ""
            if least := re.search(r"an integer >= (\d+)", message):
                made[argument] = made.get(argument, {}) | {"least": int(least[1])}
    return made


MODULES: dict[str, list[str]] = {}
for _name in sorted(CASES):
    MODULES.setdefault(_name.partition(".")[0], []).append(_name)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_interface_is_the_one_on_record(module: str) -> None:
    recorded = json_files.read(INTERFACE)
    assert interface(module) == recorded[module], "run `python tests/test_bad_input.py`"
    assert set(recorded) == set(MODULES)


if __name__ == "__main__":
    json_files.write(summary(), SUMMARY)
    json_files.write({module: interface(module) for module in sorted(MODULES)}, INTERFACE)
    table = csv.writer(sys.stdout)
    table.writerow(("function", "argument", "bad value", "message"))
    for row_name in sorted(set(CASES) - LOOPS):
        for row_argument, row_bad, row_value in rows(row_name):
            message = refusal(row_name, row_argument, row_bad, row_value)
            table.writerow(
                (row_name, row_argument, row_bad, message or f"allowed: {REASONS[row_bad]}")
            )
