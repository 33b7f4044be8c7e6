import io

import numpy as np
import pytest

from neuro import plotting
from neuro.langevinflow import diagnostics


def drawn(figure):
    figure.savefig(io.BytesIO(), format="png")
    return figure.get_axes()


@pytest.fixture(scope="module")
def modes():
    damped = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    return diagnostics.Frequencies(damped + 0.5, damped, np.ones((2, 3)), np.ones((2, 3)))


@pytest.fixture(scope="module")
def principal():
    return diagnostics.principal_paths(np.random.default_rng(0).normal(size=(5, 6, 8)))


def test_frequencies_show_over_damped_modes_as_open_symbols(modes):
    left, right = drawn(plotting.plot_frequencies(modes))
    np.testing.assert_array_equal(left.get_lines()[1].get_ydata(), modes.undamped[1])
    faces = left.collections[1].get_facecolor()
    assert [bool(np.all(f == 1.0)) for f in faces] == [True, True, False]
    assert (left.get_ylabel(), right.get_ylabel()) == ("undamped frequency (Hz)", "damping time (s)")


def test_paths_are_drawn_in_pairs_of_directions(principal):
    panels = drawn(plotting.plot_paths(principal, labels=[0, 0, 1, 1, 2]))
    assert len(panels) == 3
    np.testing.assert_allclose(panels[1].get_lines()[2].get_xydata(), np.asarray(principal.paths)[1][:, [0, 2]])
    assert panels[0].get_xlabel() == f"direction 1 ({100 * float(principal.explained[0]):.0f} %)"
    with pytest.raises(ValueError, match="labels: expected the shape"):
        plotting.plot_paths(principal, labels=[0, 1])
    with pytest.raises(ValueError, match="principal: expected at least two directions, got 1"):
        plotting.plot_paths(principal._replace(paths=principal.paths[:, :, :1]))


def test_the_landscape_holds_the_paths(principal):
    distance = np.linspace(-2.0, 2.0, 5)
    plane = distance[:, None] ** 2 + 3.0 * distance[None, :] ** 2
    land = diagnostics.Landscape(distance, np.stack([plane[:, 2], plane[2]]), plane)
    left, right, _ = drawn(plotting.plot_landscape(land, principal, most_trials=2))
    np.testing.assert_allclose(left.get_lines()[1].get_ydata(), 3.0 * distance**2)
    assert len(right.get_lines()) == 2


def test_a_wave_beside_its_spectrum(modes):
    path = np.random.default_rng(0).normal(size=(12, 8))
    spectrum = diagnostics.wave_spectrum(path[None], channels=2, bin_width=0.02)
    axes = drawn(plotting.plot_waves(path, spectrum, modes, bin_width=0.02, ring=1))
    np.testing.assert_allclose(axes[0].get_images()[0].get_array(), path.reshape(12, 2, 4)[:, 1].T)
    assert axes[0].get_xlim() == pytest.approx((0.0, 0.24))
    with pytest.raises(ValueError, match="ring: expected one of 0, 1; got 2"):
        plotting.plot_waves(path, spectrum, modes, bin_width=0.02, ring=2)
    with pytest.raises(ValueError, match="path: expected the shape"):
        plotting.plot_waves(path[:, :3], spectrum, modes, bin_width=0.02)


def test_bars_of_the_shuffle_test_start_at_the_model_s_own_loss():
    test = diagnostics.ShuffleTest(0.37, 0.40, 0.39, 0.44, 0.37, 0.42)
    (axes,) = drawn(plotting.plot_shuffle(test))
    assert [bar.get_x() + bar.get_width() for bar in axes.patches] == pytest.approx([0.40, 0.39, 0.44, 0.37])
