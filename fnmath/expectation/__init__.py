"""Expectation: the mean of a function of a random variable, and how surely it is known.

Notation: E f = ∫ f(x) p(x) dx. The distribution is given by draws, by a map from the unit cube, by
its parameters, or by its outcomes.

By draws and points, with a standard error:

    monte_carlo_expectation, antithetic_expectation, stratified_expectation
    quasi_monte_carlo_expectation     by sobol_points or halton_points
    importance_expectation            draws from elsewhere, and what they are worth
    control_variate_expectation       with what is known of similar functions

By quadrature:

    gauss_legendre_expectation, gauss_hermite_expectation, gauss_laguerre_expectation
    adaptive_integral, sparse_grid_expectation, unscented_expectation

Exactly:

    discrete_expectation

Gradients by the parameters of the distribution:

    reparameterised_gradient, score_function_gradient
"""

from fnmath.expectation._estimates import Estimate
from fnmath.expectation.gradients import (
    GradientEstimate,
    reparameterised_gradient,
    score_function_gradient,
)
from fnmath.expectation.monte_carlo import (
    ImportanceEstimate,
    antithetic_expectation,
    control_variate_expectation,
    importance_expectation,
    monte_carlo_expectation,
    quasi_monte_carlo_expectation,
    stratified_expectation,
)
from fnmath.expectation.points import (
    halton_points,
    sobol_points,
)
from fnmath.expectation.quadrature import (
    Integral,
    adaptive_integral,
    discrete_expectation,
    gauss_hermite_expectation,
    gauss_laguerre_expectation,
    gauss_legendre_expectation,
    sparse_grid_expectation,
    unscented_expectation,
)

__all__ = [
    "Estimate",
    "GradientEstimate",
    "ImportanceEstimate",
    "Integral",
    "adaptive_integral",
    "antithetic_expectation",
    "control_variate_expectation",
    "discrete_expectation",
    "gauss_hermite_expectation",
    "gauss_laguerre_expectation",
    "gauss_legendre_expectation",
    "halton_points",
    "importance_expectation",
    "monte_carlo_expectation",
    "quasi_monte_carlo_expectation",
    "reparameterised_gradient",
    "score_function_gradient",
    "sobol_points",
    "sparse_grid_expectation",
    "stratified_expectation",
    "unscented_expectation",
]
