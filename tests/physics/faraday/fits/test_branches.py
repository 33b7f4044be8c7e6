"""The n-pi branches against brute force: every cell that lines reach is found, once, and no other."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from physics.faraday.fits.angles import lowest
from physics.faraday.fits.branches import ROW, branch, cells, count_cells, half_turns, line_of, stored_branch

POINTS = np.array([2.94e-4, 0.87e-4, -1.35e-4, -2.46e-4])
LIMIT = 2e4


def reached(points, turns, limit):
    """Sets of half turns, the first zero, that a linear program finds nearest to some line within the limit."""
    slope = limit / np.pi
    window = [range(int(np.floor(-d)), int(np.ceil(d)) + 1) for d in slope * np.abs(points - points[0]) + 1.5]
    found = set()
    for numbers in itertools.product((0,), *window[1:]):
        y = turns + np.array(numbers)
        # Maximise the margin t of |y - c - b x| <= 1/2 - t, in units in which all numbers are near one.
        x = points * slope
        design = np.concatenate([np.stack([s * np.ones(len(x)), s * x, np.ones(len(x))], axis=1) for s in (1.0, -1.0)])
        room = np.concatenate([y + 0.5, 0.5 - y])
        best = linprog([0, 0, -1], design, room, bounds=[(None, None), (-1, 1), (None, None)])
        if best.status == 0 and best.x[2] > 1e-6:
            found.add(numbers)
    return found


def enumerated(points, turns, limit):
    line = line_of(*(jnp.asarray(x) for x in (points, turns, np.full(len(points), 1e-4))), jnp.ones(len(points), bool),
                   jnp.asarray(0.0), ())  # fmt: skip
    numbers, met = jax.vmap(half_turns, in_axes=(None, 0))(line, cells(points, limit, np.dtype(float)))
    numbers = np.stack(numbers, axis=1)[np.asarray(met)]
    return [tuple(int(n) for n in row - row[0]) for row in numbers]


@pytest.mark.parametrize(("points", "limit"), [(POINTS, LIMIT), (POINTS[:3], 3e4), (POINTS[[0, 3]], 1e4)])
def test_cells_are_those_that_lines_reach(points, limit):
    rng = np.random.default_rng(0)
    for _ in range(2):
        turns = rng.uniform(-0.5, 0.5, len(points))
        ours = enumerated(points, turns, limit)
        assert len(set(ours)) == len(ours)
        assert set(ours) == reached(points, turns, limit)
        assert len(ours) <= count_cells(points, limit)


def test_angles_without_noise_have_the_cells_of_the_neighbourhood():
    turns = np.mod(0.2 + 3000.0 * POINTS / np.pi + 0.5, 1.0) - 0.5
    ours = enumerated(POINTS, turns, LIMIT)
    assert len(set(ours)) == len(ours)
    shifted = reached(POINTS, turns + 1e-5 * np.mod(np.arange(4) * 0.618, 1.0), LIMIT)
    assert set(ours) >= shifted


def test_number_of_cells_is_small():
    # The set of four bands of the specification.
    table = cells(POINTS, LIMIT, np.dtype(float))
    assert count_cells(POINTS, LIMIT) == 30
    assert len(table.number) == 32
    assert len(table.number) % ROW == 0
    # Channels of one wavelength have no crossing.
    assert count_cells(np.array([0.0, 0.0]), 1e5) == 2


def test_line_of_a_branch_is_least_squares_with_blocks():
    rng = np.random.default_rng(3)
    x, sigma, shared = np.sort(rng.normal(size=5)), rng.uniform(0.02, 0.1, 5), 0.05
    y = 0.1 * x + 0.05 + 0.02 * rng.normal(size=5)
    bands = ((0, 1), (2, 3, 4))
    line = line_of(*(jnp.asarray(v) for v in (x, y, sigma**2)), jnp.ones(5, bool), jnp.asarray(shared**2), bands)
    membership = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]])
    C = np.diag(sigma**2) + shared**2 * membership.T @ membership
    X = np.stack([x, np.ones(5)], axis=1)
    covariance = np.linalg.inv(X.T @ np.linalg.solve(C, X))
    slope, level = covariance @ X.T @ np.linalg.solve(C, y)
    residual = y - slope * x - level
    table = cells(x, 0.01, np.dtype(float))
    found = jax.vmap(branch, in_axes=(None, 0))(line, table)
    best = int(np.argmin(found.chi2))
    np.testing.assert_allclose(found.slope[best], slope, rtol=1e-12)
    for field, kept in zip(found, stored_branch(line, jax.tree.map(lambda c: c[best], table)), strict=True):
        np.testing.assert_allclose(kept, field[best], rtol=1e-12)
    # The whole line may be shifted by half turns.
    shift = float(found.mean[best] - found.slope[best] * line.centre) - level
    assert shift == pytest.approx(round(shift), abs=1e-12)
    np.testing.assert_allclose(found.chi2[best], residual @ np.linalg.solve(C, residual), rtol=1e-11)
    np.testing.assert_allclose(line.slope_variance, covariance[0, 0], rtol=1e-12)
    np.testing.assert_allclose(line.mean_variance + line.centre**2 * line.slope_variance, covariance[1, 1], rtol=1e-12)
    np.testing.assert_allclose(-line.centre * line.slope_variance, covariance[0, 1], rtol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_lowest_numbers_in_order(dtype):
    """Against a stable sort, with ties and infinities; distances from the least are far above what the place takes."""
    cost = jnp.asarray([3.0, jnp.inf, 0.5, 3.5, 0.5, 1e4, jnp.inf], dtype)
    np.testing.assert_array_equal(lowest(cost, 5), [2, 4, 0, 3, 5])
    assert int(lowest(jnp.full(3, jnp.inf, dtype), 1)[0]) == 0
    rng = np.random.default_rng(5)
    many = rng.integers(0, 40, (200, 32)).astype(dtype)
    many[rng.uniform(size=many.shape) < 0.3] = np.inf
    found = jax.vmap(lowest, in_axes=(0, None))(jnp.asarray(many), 8)
    np.testing.assert_array_equal(found, np.argsort(many, axis=1, kind="stable")[:, :8])
