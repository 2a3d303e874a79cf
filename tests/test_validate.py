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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _validate.labels([-(2.0**54)], "y"), "entries that are not integers"),
        (lambda: _validate.labels([1.0, 1e300], "y"), "entries that are not integers"),
        (lambda: _validate.labels([2.0**53], "y"), "has the values 9007199254740992"),
        (lambda: _validate.labels([-(2.0**53)], "y"), "has the values -9007199254740992"),
        (lambda: _validate.labels([1, 2], "y"), "has the values 1, 2"),
        (lambda: _validate.labels(range(6), "y"), "values 0, 1, 2, 3, 4, 5; allowed"),
        (lambda: _validate.labels(range(7), "y"), r"values 0, 1, 2, 3, 4, 5, \.\.\.; allowed"),
        (lambda: _validate.classes([0.5, 1], "y", 2), "entries that are not integers"),
        (lambda: _validate.classes([0, 2], "y", 2), "has the values 0, 2"),
        (lambda: _validate.classes([0], "y", 2, 2), r"y has shape \(1,\); allowed: .* of 2 class"),
        (lambda: _validate.classes([2], "y", 2), r"a vector of class indices 0\.\.1$"),
        (lambda: _validate.indices([0, 3], "i", 3, (2,)), r"has the values 0, 3; .* 0\.\.2"),
        (lambda: _validate.indices([-1, 0], "i", 3, (2,)), "has the values -1, 0"),
        (lambda: _validate.indices([0.0], "i", 3, (1,)), "has entries of type float64"),
        (lambda: _validate.indices([0], "i", 3, (2,)), r"has shape \(1,\); allowed: shape \(2,\)"),
        (lambda: _validate.vector([1.0, 2.0, 3.0], "v", 2), "has shape"),
        (lambda: _validate.vector([[1.0], [2.0]], "v", 2), "has shape"),
        (lambda: _validate.vector([], "v"), "at least one finite"),
        (lambda: _validate.matrix([1.0, 2.0], "m", 2), "has shape"),
        (lambda: _validate.matrix(np.ones((1, 1, 2)), "m"), "has shape"),
        (lambda: _validate.matrix(np.ones((1, 2, 1)), "m", 2), "has shape"),
        (lambda: _validate.number([[1.0]], "n"), "has shape"),
        (lambda: _validate.integer(1, "k", 2), "^k is 1; allowed: an integer >= 2"),
        (lambda: _validate.integer(1.5, "k"), "^k is 1.5; allowed: an integer$"),
        (lambda: _validate.integer([[1]], "k"), "is"),
        (lambda: _validate.times([0.0, 0.0], "t"), "does not increase strictly"),
        (lambda: _validate.times([0.0, 1.0, 0.5], "t"), "does not increase strictly"),
        (lambda: _validate.times([[1.0]], "t"), r"finite times$"),
        (lambda: _validate.times([0.5, 2.0], "t", 1.0), r"starts at 0.5; .* times, all >= 1$"),
        (lambda: _validate.update_counts([-1], "t"), "starts at -1; .* all >= 0"),
        (lambda: _validate.update_counts([0.5], "t"), "not whole numbers"),
        (lambda: _validate.array([1.0, NAN, np.inf], "a"), "has 2 entries"),
        (lambda: _validate.array([], "a"), r"a is empty \(shape \(0,\)\)"),
        (lambda: _validate.real([], "a"), "a non-empty array of real"),
        (lambda: _validate.real(["a"], "a", empty=True), "allowed: an array of real"),
        (lambda: _validate.real(1j, "a"), "has entries of type complex128"),
        (lambda: _validate.positive_array([1.0, 0.0], "p"), "has the entry 0"),
        (lambda: _validate.flags([1, 0], "f"), "has entries of type int64"),
        (lambda: _validate.flag(1, "f"), "^f is 1; allowed: True or False"),
        (lambda: _validate.text(1, "t"), "is a int; allowed: text"),
        (lambda: _validate.instance(1, "x", np.ndarray), "is a int; allowed: a ndarray"),
        (lambda: _validate.instance(1, "x", OSError), "allowed: an OSError"),
        (lambda: _validate.instance(1, "x", IndexError), "allowed: an IndexError"),
        (lambda: _validate.instance(1, "x", TypeError), "allowed: a TypeError"),
        (lambda: _validate.instance(1, "x", EOFError), "allowed: an EOFError"),
        (lambda: _validate.instance(1, "x", KeyError), "allowed: a KeyError"),
        (lambda: _validate.sequence("abc", "s", "numbers"), "is a str; .* sequence of numbers"),
        (lambda: _validate.shaped(np.ones(2), "s", (3,)), r"has shape \(2,\); allowed: shape"),
        (lambda: _validate.generator(0, "rng"), "is a int; allowed: a numpy.random.Generator"),
        (lambda: _validate.function(1, "f"), "is a int; allowed: a function"),
    ],
)
def test_what_was_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_ends_of_ranges_are_allowed():
    assert _validate.non_negative(0.0, "x") == 0.0
    assert _validate.non_negative(0.5, "x") == 0.5
    assert _validate.positive(0.5, "x") == 0.5
    assert _validate.positive(5e-324, "x") == 5e-324
    assert (_validate.fraction(0.0, "x"), _validate.fraction(0.5, "x")) == (0.0, 0.5)
    assert _validate.integer(np.uint8(3), "k", 3) == 3
    assert _validate.integer(0, "k", 0) == 0
    assert _validate.classes([0, 1], "y", 2).tolist() == [0, 1]
    assert _validate.labels([-1, 1, 1], "y", 3).tolist() == [-1, 1, 1]
    assert _validate.indices(np.uint8([0, 2]), "i", 3, (2,)).dtype == np.int64
    assert _validate.update_counts([0, 1, 5], "t").dtype == np.int64
    assert _validate.times([0.5], "t", 0.5).tolist() == [0.5]
    assert _validate.times([0.5, 0.6], "t", -np.inf).tolist() == [0.5, 0.6]
    assert _validate.times([1.0, 1.0 + 1e-12], "t").size == 2
    assert _validate.positive_array([0.5, 2.0], "p").tolist() == [0.5, 2.0]
    assert _validate.real([1], "r").dtype.kind == "i"
    assert _validate.flag(False, "f") is False


def test_what_is_of_the_right_type_is_not_copied():
    numbers, whole = np.ones(3), np.arange(3)
    assert _validate.array(numbers, "a") is numbers
    assert _validate.vector(numbers, "v", 3) is numbers
    assert _validate.positive_array(numbers, "p") is numbers
    assert _validate.real(whole, "r") is whole
    assert _validate.indices(whole, "i", 3, (3,)) is whole
    assert _validate.shaped(whole, "s", (3,)) is whole
    assert _validate.times(whole + 0.5, "t").dtype == np.float64


def test_whole_numbers_reach_to_two_to_the_53():
    top = 2.0**53
    assert _validate._whole([-top, top], "n", None, "whole numbers").tolist() == [-(2**53), 2**53]
    for bad in ([0.0, top + 2], [-top - 2, 0.0], [0.0, 0.5]):
        with pytest.raises(ValueError, match=r"^n .*; allowed: whole numbers"):
            _validate._whole(bad, "n", None, "whole numbers")


@pytest.mark.parametrize(
    ("values", "said"), [(range(6), "0, 1, 2, 3, 4, 5"), ([5, 3, 5], "3, 5"),
                         (range(7), "0, 1, 2, 3, 4, 5, ...")]
)  # fmt: skip
def test_at_most_six_values_are_said(values, said):
    assert _validate._some(np.array(list(values))) == said


def test_times_begin_at_the_least_that_is_allowed():
    assert _validate.times([2.0, 3.0], "t", minimum=2).tolist() == [2.0, 3.0]
    with pytest.raises(ValueError, match=r"^t starts at 2; allowed: .*, all >= 2.5"):
        _validate.times([2.0, 3.0], "t", minimum=2.5)
    assert _validate.times([-5.0], "t").tolist() == [-5.0]
    with pytest.raises(ValueError, match=r"^t does not increase strictly"):
        _validate.times([1.0, 2.0, 2.0], "t")
