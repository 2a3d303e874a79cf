"""The shared checks name the argument, say what was wrong and say what is allowed."""

import numpy as np
import pytest

from ibcore import _validate

NAN = float("nan")
BAD = [
    (_validate.array, []),
    (_validate.array, ["a"]),
    (_validate.matrix, [1.0, 2.0]),
    (_validate.matrix, np.empty((0, 3))),
    (_validate.matrix, [[1.0], [1.0, 2.0]]),
    (_validate.matrix, [[True]]),
    (_validate.matrix, [[1j]]),
    (_validate.matrix, [[NAN]]),
    (_validate.matrix, [[np.inf]]),
    (_validate.matrix, [[None]]),
    (_validate.matrix, None),
    (_validate.vector, [[1.0]]),
    (_validate.vector, "word"),
    (_validate.number, [1.0]),
    (_validate.number, True),
    (_validate.positive, 0.0),
    (_validate.positive, NAN),
    (_validate.positive, "1"),
    (_validate.non_negative, -1e-300),
    (_validate.fraction, -0.1),
    (_validate.fraction, 1.0),
    (_validate.fraction, NAN),
    (_validate.integer, 1.0),
    (_validate.integer, True),
    (_validate.integer, [1]),
    (_validate.labels, [0, 1]),
    (_validate.labels, [1.5, 1]),
    (_validate.labels, [True, False]),
    (_validate.labels, [[1]]),
    (_validate.labels, list(range(10))),
    (_validate.times, [[1.0]]),
    (_validate.times, [1.0, 1.0]),
    (_validate.times, [2.0, 1.0]),
    (_validate.times, [0.0, np.inf]),
    (_validate.update_counts, [0.5, 1.0]),
    (_validate.update_counts, [-1, 1]),
    (_validate.real, ["a"]),
    (_validate.real, []),
    (_validate.positive_array, [1.0, 0.0]),
    (_validate.positive_array, [1.0, NAN]),
    (_validate.text, 3),
    (_validate.text, None),
    (_validate.flag, "no"),
    (_validate.flag, 1),
    (_validate.flags, [0, 1]),
    (_validate.flags, [[True], [True, False]]),
    (_validate.function, "word"),
    (lambda value, name: _validate.instance(value, name, dict), []),
    (lambda value, name: _validate.sequence(value, name, "words"), "word"),
    (lambda value, name: _validate.sequence(value, name, "words"), {"a", "b"}),
    (lambda value, name: _validate.indices(value, name, 3, (2,)), [0, 3]),
    (lambda value, name: _validate.indices(value, name, 3, (2,)), [-1, 0]),
    (lambda value, name: _validate.indices(value, name, 3, (2,)), [0.0, 1.0]),
    (lambda value, name: _validate.indices(value, name, 3, (2,)), [0]),
    (_validate.generator, 3),
    (_validate.generator, np.random.RandomState(0)),
]


@pytest.mark.parametrize(("check", "value"), BAD)
def test_bad_values_are_refused_by_name(check, value):
    with pytest.raises(ValueError, match=r"^thing .*; allowed: "):
        check(value, "thing")


class _Stubborn:
    """Refuses to become an array, as a tensor that requires a gradient does."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not today")


def test_what_cannot_become_an_array_is_refused():
    with pytest.raises(ValueError, match="thing is not a rectangular array"):
        _validate.array(_Stubborn(), "thing")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _validate.vector([1.0], "v", 2), r"shape \(1,\); allowed: a vector of 2"),
        (lambda: _validate.matrix([[1.0]], "m", 2), r"allowed: .* shape \(N, 2\)"),
        (lambda: _validate.integer(1, "k", 2), "allowed: an integer >= 2"),
        (lambda: _validate.labels([1], "y", 2), "allowed: a vector of 2 labels"),
        (lambda: _validate.classes([0, 3], "y", 3), r"values 0, 3; allowed: .* 0\.\.2"),
        (lambda: _validate.classes([-1, 1], "y", 2), r"values -1, 1"),
        (lambda: _validate.classes([0], "y", 2, 3), r"a vector of 3 class"),
        (lambda: _validate.classes([0], "y", 1), "n_classes is 1"),
        (lambda: _validate.times([0.0, 1.0], "t", 1.0), "starts at 0; .* >= 1"),
    ],
)
def test_what_is_allowed_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_good_values_come_back_plain():
    matrix = np.ones((2, 3))
    assert _validate.matrix(matrix, "m", 3) is matrix
    assert _validate.matrix([[1, 2]], "m").dtype == np.float64
    assert _validate.matrix(np.ones((1, 1), dtype=np.float32), "m").dtype == np.float64
    assert _validate.vector([1], "v", 1).tolist() == [1.0]
    assert _validate.array(3, "a").shape == ()
    assert (_validate.number(-2, "n"), _validate.positive(np.float32(2), "n")) == (-2.0, 2.0)
    assert _validate.non_negative(0, "n") == 0.0
    assert _validate.integer(np.int32(4), "n", 4) == 4
    assert _validate.integer(-4, "n") == -4
    assert _validate.labels([1.0, -1.0], "y").dtype == np.int64
    assert _validate.classes([0, 2], "y", 3, 2).tolist() == [0, 2]
    assert _validate.times([1, 2], "t", 1.0).tolist() == [1.0, 2.0]
    assert _validate.times([-1, 2], "t").size == 2
    assert np.isnan(_validate.real([1.0, NAN], "r")[1])
    assert _validate.real([], "r", empty=True).size == 0
    assert _validate.positive_array(2, "p").shape == ()
    assert _validate.text("word", "t") == "word"
    assert _validate.flag(np.True_, "f") is True
    assert _validate.flags([[True, False]], "f").shape == (1, 2)
    assert _validate.instance(matrix, "m", np.ndarray) is matrix
    assert _validate.indices([[0, 2]], "i", 3, (1, 2)).tolist() == [[0, 2]]
    _validate.function(abs, "f")
    for several in ([1], (1,), range(1), matrix):
        _validate.sequence(several, "s", "numbers")
    generator = np.random.default_rng(0)
    assert _validate.generator(generator, "rng") is generator
