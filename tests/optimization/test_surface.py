"""Tests of the quadratic cost surface against closed forms, NumPy and scipy."""

import keras
import numpy as np
import pytest
from scipy import optimize

from dlkeras.optimization import QuadraticSurface

R = [[1, 0.5], [0.5, 1]]
P = [0.5, 0.25]


def lecture_surface():
    return QuadraticSurface(R, P, sigma_d2=1)


def test_the_issues_surface_has_eigenvalues_half_and_three_halves():
    surface = lecture_surface()
    np.testing.assert_allclose(surface.eigenvalues, [0.5, 1.5], rtol=1e-14)
    np.testing.assert_allclose(surface.minimizer, [0.5, 0], atol=1e-15)
    assert surface.minimum_error == pytest.approx(0.75, rel=1e-14)
    assert surface.max_step_size == pytest.approx(4 / 3, rel=1e-14)
    assert surface.condition_number == pytest.approx(3, rel=1e-14)


def test_mean_square_error_is_the_expanded_quadratic_form():
    surface = lecture_surface()
    for w in np.random.default_rng(0).normal(size=(20, 2)):
        expanded = 1 - 2 * np.dot(P, w) + w @ np.array(R) @ w
        assert surface.mean_square_error(w) == pytest.approx(expanded, rel=1e-12)
        assert surface.cost(w) == pytest.approx(expanded / 2, rel=1e-12)


def test_the_gradient_equals_finite_differences_of_the_cost():
    surface = lecture_surface()
    for w in np.random.default_rng(1).normal(size=(5, 2)):
        slope = optimize.approx_fprime(w, surface.cost, 1e-6)
        np.testing.assert_allclose(surface.gradient(w), slope, atol=1e-5)


def test_the_bowl_of_the_lecture_has_its_minimum_at_5_and_3():
    surface = QuadraticSurface.bowl()
    found = optimize.minimize(surface.cost, [0.0, 0.0], jac=surface.gradient)
    np.testing.assert_allclose(found.x, [5, 3], atol=1e-6)
    assert surface.is_optimal([5, 3])
    assert not surface.is_optimal([5, 3.001])
    assert surface.cost([5, 3]) == 0


def test_the_optimality_condition_does_not_depend_on_the_surfaces_scale():
    for scale in (1e-12, 1, 1e12):
        surface = QuadraticSurface.bowl((5, 3), R=scale * np.array(R))
        assert surface.is_optimal(surface.minimizer)
        assert not surface.is_optimal([5, 3.001])


def test_a_bowl_keeps_its_minimizer_shape_and_floor():
    surface = QuadraticSurface.bowl((-1, 2), R=R, minimum_error=0.3)
    np.testing.assert_allclose(surface.minimizer, [-1, 2], rtol=1e-12)
    assert surface.mean_square_error([-1, 2]) == pytest.approx(0.3)
    np.testing.assert_array_equal(surface.R, R)


def test_from_data_has_the_least_squares_solution_and_its_residual():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(50, 2)) @ [[1, 0.4], [0, 0.7]]
    d = x @ [5, 3] + rng.normal(scale=0.3, size=50)
    surface = QuadraticSurface.from_data(x, d)
    solution, residual, *_ = np.linalg.lstsq(x, d, rcond=None)
    np.testing.assert_allclose(surface.minimizer, solution, rtol=1e-10)
    assert surface.minimum_error == pytest.approx(residual[0] / 50, rel=1e-8)
    for w in rng.normal(size=(5, 2)):
        assert surface.cost(w) == pytest.approx(np.mean((d - x @ w) ** 2) / 2)


def test_the_gradient_over_data_is_minus_the_mean_of_error_times_input():
    x = np.array([[1.0, 2], [0.5, -1], [2, 0]])
    d, w = np.array([1.0, 2, 3]), np.array([0.3, -0.2])
    e = d - x @ w
    expected = np.mean(-e[:, None] * x, axis=0)  # the lecture's g(n) = -e x
    surface = QuadraticSurface.from_data(x, d)
    np.testing.assert_allclose(surface.gradient(w), expected, rtol=1e-12)


def test_data_without_noise_has_a_minimum_of_zero():
    x = np.random.default_rng(3).normal(size=(30, 2))
    surface = QuadraticSurface.from_data(x, x @ [5, 3])
    assert surface.minimum_error == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(surface.minimizer, [5, 3], rtol=1e-10)


def test_without_sigma_d2_the_minimum_is_zero():
    assert QuadraticSurface(R, P).minimum_error == pytest.approx(0, abs=1e-15)
    assert QuadraticSurface(R, P).sigma_d2 == pytest.approx(0.25)  # p'w*


def test_the_contours_principal_axes_lie_on_the_contour_and_are_orthogonal():
    surface = lecture_surface()
    long, short = surface.contour_axes(1.0).T
    for axis in (long, -long, short, -short):
        assert surface.cost(surface.minimizer + axis) == pytest.approx(1.0)
    assert long @ short == pytest.approx(0, abs=1e-12)
    # E - Emin = lambda r^2 / 2, by hand: Emin = .375
    assert np.linalg.norm(long) == pytest.approx((2 * 0.625 / 0.5) ** 0.5)
    assert np.linalg.norm(short) == pytest.approx((2 * 0.625 / 1.5) ** 0.5)
    # for equal diagonals the axes are the diagonals: (1, -1) long, (1, 1) short
    assert long[0] == pytest.approx(-long[1])
    assert short[0] == pytest.approx(short[1])


def test_every_point_of_a_contour_has_its_cost():
    surface = lecture_surface()
    points = surface.contour(0.9, points=37)
    assert points.shape == (37, 2)
    np.testing.assert_allclose(surface.cost(points), 0.9, rtol=1e-12)


def test_the_gradient_field_is_laid_out_as_meshgrid():
    surface = lecture_surface()
    g1, g2 = surface.gradient_field([0, 1, 2], [-1, 1])
    assert g1.shape == g2.shape == (2, 3)
    np.testing.assert_allclose([g1[1, 2], g2[1, 2]], surface.gradient([2, 1]))


def test_errors_and_jacobian_belong_to_the_cost_and_its_gradient():
    surface, w = lecture_surface(), np.array([0.7, -1.1])
    e, J = surface.errors(w), surface.jacobian(w)
    assert e @ e / 2 == pytest.approx(surface.cost(w))
    np.testing.assert_allclose(J.T @ e, surface.gradient(w), atol=1e-12)


def test_tensors_of_the_backend_are_taken_like_arrays():
    surface = QuadraticSurface(
        keras.ops.convert_to_tensor(R), keras.ops.convert_to_tensor(P), 1.0
    )
    w = keras.Variable([0.4, 0.2])
    assert float(surface.mean_square_error(w)) == pytest.approx(0.78, rel=1e-6)


def test_the_surface_cannot_be_changed_through_its_arrays():
    source = np.array(R)
    surface = QuadraticSurface(source, P)
    source[0, 0] = 9
    assert surface.R[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        surface.R[0, 0] = 9


def test_an_asymmetry_of_rounding_is_averaged_away():
    surface = QuadraticSurface([[1, 0.5 + 1e-8], [0.5 - 1e-8, 1]], P)
    np.testing.assert_array_equal(surface.R, surface.R.T)
    np.testing.assert_allclose(surface.R, R, atol=1e-12)


def test_a_surface_over_one_weight_is_a_parabola():
    surface = QuadraticSurface([[2.0]], [1.0])
    assert surface.minimizer == pytest.approx([0.5])
    assert surface.cost([1.5]) == pytest.approx(1.0)  # 2 (1.5 - 0.5)^2 / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 0.5]], P), r"`R` must be square. Received: R of shape \(1, 2\)"),
        ((R, [1, 2, 3]), r"one entry per row .* Received: p of shape \(3,\)"),
        (([[1, 0.5], [0.4, 1]], P), r"`R` must be symmetric. Received: R="),
        (([[1, 2], [2, 1]], P), "`R` must be positive definite .* eigenvalue -1"),
        (([[1, 1], [1, 1]], P), "`R` must be positive definite"),
        (([[1, float("nan")], [0, 1]], P), "`R` must be finite"),
        ((R, [float("inf"), 0]), "`p` must be finite"),
        ((R, P, 0.2), r"`sigma_d2` must be at least .* Received: sigma_d2=0.2"),
        ((np.array(R) + 1j, P), "`R` must hold real numbers"),
    ],
)
def test_a_surface_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        QuadraticSurface(*arguments)


def test_collinear_inputs_are_refused():
    with pytest.raises(ValueError, match="not collinear"):
        QuadraticSurface.from_data([[1, 2], [2, 4], [3, 6]], [1, 2, 3])


def test_data_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"same number .* d of shape \(3,\)"):
        QuadraticSurface.from_data([[1, 2], [2, 1]], [1, 2, 3])


def test_weights_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"axis of 2 weights. Received: w of shape"):
        lecture_surface().gradient([1, 2, 3])


def test_a_contour_below_the_bowl_is_refused():
    with pytest.raises(ValueError, match=r"above the minimum cost, 0.375"):
        lecture_surface().contour_axes(0.3)
