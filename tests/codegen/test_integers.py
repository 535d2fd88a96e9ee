"""Integer division, conversions of floats to integers, and any and all: against Python's own, at their edges."""

import numpy as np
import pytest

import twain


@pytest.fixture
def rng():
    seed = np.random.SeedSequence().entropy % 2**32
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def integers(rng, count):
    """int64 of all magnitudes, and the edges."""
    found = rng.integers(-(2**63), 2**63 - 1, count, dtype="int64", endpoint=True) >> rng.integers(0, 63, count)
    near = [1, 2, 3, 7, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**62, 2**62 + 1, 2**63 - 2, 2**63 - 1]
    edges = np.array([0, -(2**63), *near, *(-v for v in near)], "int64")
    chosen = rng.random(count) < 0.3
    found[chosen] = rng.choice(edges, chosen.sum())
    return found


def test_divisions_of_int64(rng):
    a, b = integers(rng, 20_011), integers(rng, 20_011)
    with np.errstate(all="ignore"):
        quotient, rest = (np.where(b == 0, 0, f(a, b)) for f in (np.floor_divide, np.remainder))
    x, y = twain.asarray(a), twain.asarray(b)
    np.testing.assert_array_equal(np.asarray(x // y), quotient)
    np.testing.assert_array_equal(np.asarray(x % y), rest)
    for divisor in (7, -3, 2**40):
        np.testing.assert_array_equal(np.asarray(x // divisor), a // divisor)


@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
def test_floats_become_integers(rng, source):
    edges = [2.0**k + d for k in (7, 8, 15, 16, 31, 32, 63, 64) for d in (-1, -0.5, 0, 0.5, 1)]
    edges += [np.nextafter(np.float32(2.0**k), np.float32(0)) for k in (31, 32, 63, 64)]
    values = [*edges, *(-v for v in edges), np.nan, np.inf, -np.inf, 0.0, -0.0, 0.99, -0.99]
    spread = rng.standard_normal(999) * 10.0 ** rng.uniform(-3, 25, 999)
    with np.errstate(over="ignore"):
        x = np.concatenate([values, spread]).astype(source)
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        low, high = int(np.iinfo(name).min), int(np.iinfo(name).max)
        ends = {np.inf: high, -np.inf: low}
        want = [0 if v != v else ends.get(v) if v in ends else min(max(int(v), low), high) for v in x.tolist()]
        got = twain.asarray(x).astype(getattr(twain, name))
        np.testing.assert_array_equal(np.asarray(got), np.array(want, name), err_msg=name)


def test_any_and_all_stop_where_nothing_can_change(rng):
    for count in (1, 5, 3000, 100_003):
        for found in range(3):
            x = np.zeros(count, bool)
            x[rng.integers(0, count, found)] = True
            for y in (x, ~x, x * 0.5):
                assert bool(twain.any(twain.asarray(y))) == y.any()
                assert bool(twain.all(twain.asarray(y))) == y.all()
                rows = y[: count // 3 * 3].reshape(3, -1)
                np.testing.assert_array_equal(np.asarray(twain.any(twain.asarray(rows), axis=1)), rows.any(1))
                np.testing.assert_array_equal(np.asarray(twain.all(twain.asarray(rows) > 0, axis=0)), (rows > 0).all(0))
