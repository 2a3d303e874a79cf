"""Checks of arguments that every module shares.

Each function returns the value as a plain float64 or int64 array (or as a Python number) and raises
a `ValueError` that names the argument, says what was wrong and says what is allowed. An array that
is already of the right type is returned as it is, not copied.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_Kind = TypeVar("_Kind")
_Entry = TypeVar("_Entry", bound=np.generic)


def _fail(name: str, wrong: str, allowed: str) -> ValueError:
    """Return the error that all checks raise, in one form of words."""
    return ValueError(f"{name} {wrong}; allowed: {allowed}")


def _real(value: Any, name: str, allowed: str, *, empty: bool = False) -> NDArray[Any]:
    """Return `value` as an array of real numbers, not of booleans, complex, text or objects."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise _fail(name, f"is not a rectangular array of numbers ({error})", allowed) from error
    if array.size == 0 and not empty:
        raise _fail(name, f"is empty (shape {array.shape})", allowed)
    if array.dtype.kind not in "iuf":
        raise _fail(name, f"has entries of type {array.dtype}", allowed)
    return array


def _finite(value: Any, name: str, allowed: str) -> FloatArray:
    """Return `value` as a finite float64 array of any shape."""
    array = _real(value, name, allowed).astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise _fail(name, f"has {bad} entries that are NaN or infinite", allowed)
    return array


def real(value: Any, name: str, *, empty: bool = False) -> NDArray[Any]:
    """Check an array of real numbers, NaN and infinities among them; maybe an empty one."""
    allowed = "an array of real numbers" if empty else "a non-empty array of real numbers"
    return _real(value, name, allowed, empty=empty)


def array(value: Any, name: str) -> FloatArray:
    """Check an array of finite real numbers of any shape.

    Parameters
    ----------
    value
        What was passed.
    name
        Name of the argument, for the message.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    ValueError
        Empty, not numeric, or not finite.
    """
    return _finite(value, name, "a non-empty array of finite real numbers")


def matrix(value: Any, name: str, n_columns: int | None = None) -> FloatArray:
    """Check a matrix of finite real numbers.

    Parameters
    ----------
    value
        What was passed.
    name
        Name of the argument, for the message.
    n_columns
        Number of columns that it must have, when that is known.

    Returns
    -------
    ndarray of float64, shape (N, d)

    Raises
    ------
    ValueError
        Empty, not numeric, not finite, or not of two dimensions and `n_columns` columns.
    """
    columns = "d" if n_columns is None else str(n_columns)
    allowed = f"a non-empty matrix of finite real numbers, shape (N, {columns})"
    result = _finite(value, name, allowed)
    if result.ndim != 2 or (n_columns is not None and result.shape[1] != n_columns):
        raise _fail(name, f"has shape {result.shape}", allowed)
    return result


def vector(value: Any, name: str, length: int | None = None) -> FloatArray:
    """Check a vector of finite real numbers.

    Parameters
    ----------
    value
        What was passed.
    name
        Name of the argument, for the message.
    length
        Length that it must have, when that is known.

    Returns
    -------
    ndarray of float64, shape (length,)

    Raises
    ------
    ValueError
        Empty, not numeric, not finite, or of another shape.
    """
    allowed = f"a vector of {'at least one' if length is None else length} finite real numbers"
    result = _finite(value, name, allowed)
    if result.ndim != 1 or (length is not None and result.shape[0] != length):
        raise _fail(name, f"has shape {result.shape}", allowed)
    return result


def _scalar(value: Any, name: str, allowed: str) -> float:
    """Return one finite real number."""
    array = _finite(value, name, allowed)
    if array.ndim != 0:
        raise _fail(name, f"has shape {array.shape}", allowed)
    return float(array)


def number(value: Any, name: str) -> float:
    """Check one finite real number; return it as a float, or raise `ValueError`."""
    return _scalar(value, name, "a finite real number")


def positive(value: Any, name: str) -> float:
    """Check one finite number > 0; return it as a float, or raise `ValueError`."""
    allowed = "a finite number > 0"
    result = _scalar(value, name, allowed)
    if result <= 0:
        raise _fail(name, f"is {result}", allowed)
    return result


def non_negative(value: Any, name: str) -> float:
    """Check one finite number >= 0; return it as a float, or raise `ValueError`."""
    allowed = "a finite number >= 0"
    result = _scalar(value, name, allowed)
    if result < 0:
        raise _fail(name, f"is {result}", allowed)
    return result


def fraction(value: Any, name: str) -> float:
    """Check one number in [0, 1); return it as a float, or raise `ValueError`."""
    allowed = "a number in [0, 1)"
    result = _scalar(value, name, allowed)
    if not 0 <= result < 1:
        raise _fail(name, f"is {result}", allowed)
    return result


def integer(value: Any, name: str, minimum: int | None = None) -> int:
    """Check one integer that is at least `minimum`; a float is refused even when it is whole.

    Parameters
    ----------
    value
        What was passed.
    name
        Name of the argument, for the message.
    minimum
        Smallest value allowed; no bound when None.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        Not an integer, or too small.
    """
    allowed = "an integer" if minimum is None else f"an integer >= {minimum}"
    array = _real(value, name, allowed)
    if array.ndim != 0 or array.dtype.kind not in "iu":
        raise _fail(name, f"is {value!r}", allowed)
    result = int(array)
    if minimum is not None and result < minimum:
        raise _fail(name, f"is {result}", allowed)
    return result


def _whole(value: Any, name: str, length: int | None, allowed: str) -> IntArray:
    """Return a vector of whole numbers as int64 (floats that are whole are accepted)."""
    array = _finite(value, name, allowed)
    if array.ndim != 1 or (length is not None and array.shape[0] != length):
        raise _fail(name, f"has shape {array.shape}", allowed)
    rounded = np.rint(array)
    if not np.array_equal(rounded, array) or bool((np.abs(array) > 2**53).any()):
        raise _fail(name, "has entries that are not integers", allowed)
    return rounded.astype(np.int64)


def labels(value: Any, name: str, length: int | None = None) -> IntArray:
    """Check binary labels, which are -1 or +1.

    Parameters
    ----------
    value
        What was passed.
    name
        Name of the argument, for the message.
    length
        Number of labels that there must be, when that is known.

    Returns
    -------
    ndarray of int64, shape (length,)

    Raises
    ------
    ValueError
        Anything but a vector of that length with entries -1 and +1.
    """
    count = "" if length is None else f"{length} "
    allowed = f"a vector of {count}labels that are -1 or +1"
    result = _whole(value, name, length, allowed)
    if not np.isin(result, (-1, 1)).all():
        raise _fail(name, f"has the values {_some(result)}", allowed)
    return result


def classes(value: Any, name: str, n_classes: int, length: int | None = None) -> IntArray:
    """Check class indices 0, 1, ..., n_classes - 1.

    Parameters
    ----------
    value
        What was passed.
    name
        Name of the argument, for the message.
    n_classes
        Number of classes, at least 2. Not every class need occur.
    length
        Number of indices that there must be, when that is known.

    Returns
    -------
    ndarray of int64, shape (length,)

    Raises
    ------
    ValueError
        Anything but a vector of that length with entries 0..n_classes-1; or `n_classes` < 2.
    """
    integer(n_classes, "n_classes", 2)
    count = "" if length is None else f"{length} "
    allowed = f"a vector of {count}class indices 0..{n_classes - 1}"
    result = _whole(value, name, length, allowed)
    if bool((result < 0).any()) or bool((result >= n_classes).any()):
        raise _fail(name, f"has the values {_some(result)}", allowed)
    return result


def shaped(value: NDArray[_Entry], name: str, shape: tuple[int, ...]) -> NDArray[_Entry]:
    """Check the shape of an array; return it, or raise `ValueError`."""
    if value.shape != shape:
        raise _fail(name, f"has shape {value.shape}", f"shape {shape}")
    return value


def indices(value: Any, name: str, count: int, shape: tuple[int, ...]) -> IntArray:
    """Check indices 0, 1, ..., count - 1 in an array of integers of a shape, or raise."""
    allowed = f"integers 0..{count - 1}, shape {shape}"
    array = _real(value, name, allowed)
    if array.dtype.kind not in "iu":
        raise _fail(name, f"has entries of type {array.dtype}", allowed)
    shaped(array, name, shape)
    if bool((array < 0).any()) or bool((array >= count).any()):
        raise _fail(name, f"has the values {_some(array)}", allowed)
    return array.astype(np.int64, copy=False)


def flags(value: Any, name: str) -> NDArray[np.bool_]:
    """Check an array of switches, of any shape; return it, or raise `ValueError`."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise _fail(name, f"is not a rectangular array ({error})", "True and False") from error
    if array.dtype != np.bool_:
        raise _fail(name, f"has entries of type {array.dtype}", "True and False")
    return array


def _some(values: IntArray) -> str:
    """Return the distinct values, at most six of them, for a message."""
    distinct = [str(value) for value in np.unique(values)]
    return ", ".join(distinct[:6] + (["..."] if len(distinct) > 6 else []))


def times(value: Any, name: str, minimum: float | None = None) -> FloatArray:
    """Check a strictly increasing sequence of times.

    Parameters
    ----------
    value
        What was passed.
    name
        Name of the argument, for the message.
    minimum
        Smallest first time allowed; no bound when None.

    Returns
    -------
    ndarray of float64, shape (T,)

    Raises
    ------
    ValueError
        Empty, not finite, not of one dimension, not strictly increasing, or too early.
    """
    bound = "" if minimum is None else f", all >= {minimum:g}"
    allowed = f"a strictly increasing vector of finite times{bound}"
    result = _finite(value, name, allowed)
    if result.ndim != 1:
        raise _fail(name, f"has shape {result.shape}", allowed)
    if bool((np.diff(result) <= 0).any()):
        raise _fail(name, "does not increase strictly", allowed)
    if minimum is not None and math.isfinite(minimum) and result[0] < minimum:
        raise _fail(name, f"starts at {result[0]:g}", allowed)
    return result


def update_counts(value: Any, name: str) -> IntArray:
    """Check strictly increasing numbers of updates, whole and >= 0; return them as int64."""
    result = times(value, name, minimum=0)
    if not np.array_equal(result, np.rint(result)):
        raise _fail(name, "has entries that are not whole numbers", "numbers of updates")
    return result.astype(np.int64)


def generator(value: Any, name: str) -> np.random.Generator:
    """Check a NumPy random generator: a seed or the legacy `RandomState` is refused."""
    if not isinstance(value, np.random.Generator):
        raise _fail(name, f"is a {type(value).__name__}", "a numpy.random.Generator")
    return value


def instance(value: object, name: str, kind: type[_Kind]) -> _Kind:
    """Check that a value is of a class of `ibcore` or torch; return it, or raise `ValueError`."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise _fail(name, f"is a {type(value).__name__}", f"{article} {kind.__name__}")
    return value


def text(value: object, name: str) -> str:
    """Check that a value is a word or a sentence; return it, or raise `ValueError`."""
    if not isinstance(value, str):
        raise _fail(name, f"is a {type(value).__name__}", "text")
    return value


def flag(value: object, name: str) -> bool:
    """Check a switch: a word such as "no" would count as True, and is refused."""
    if not isinstance(value, (bool, np.bool_)):
        raise _fail(name, f"is {value!r}", "True or False")
    return bool(value)


def function(value: object, name: str) -> None:
    """Check that a value can be called; what it returns is checked where it is called."""
    if not callable(value):
        raise _fail(name, f"is a {type(value).__name__}", "a function")


def sequence(value: object, name: str, of: str) -> None:
    """Check that a value is a list, a tuple or an array; a word is a sequence of letters."""
    if not isinstance(value, (list, tuple, range, np.ndarray)):
        raise _fail(name, f"is a {type(value).__name__}", f"a sequence of {of}")


def positive_array(value: Any, name: str) -> FloatArray:
    """Check an array of finite numbers > 0 of any shape; return it, or raise `ValueError`."""
    result = array(value, name)
    if (result <= 0).any():
        raise _fail(name, f"has the entry {result.min():g}", "numbers > 0")
    return result
