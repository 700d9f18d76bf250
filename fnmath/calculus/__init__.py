"""Calculus: derivatives of ordinary functions, exact ones, and numeric ones to hold them against.

Notation: f is a function, x the point it is differentiated at, v a direction of the shape of x;
f′ is a derivative, ∂f/∂xᵢ a partial one, ∇f the gradient, J = ∂f/∂x the Jacobian and
H = ∂²f/∂x² the Hessian; Dᵥf(x) = J v is the derivative along v; n is the number of numbers in x,
m that in f(x); h is a step and ε the spacing of floating-point numbers just above 1.

A point may be a number, an array, or a pytree of arrays (nested tuples, lists, dicts and
NamedTuples, such as the parameters of a network); ⟨u, v⟩ then sums over all of its numbers.

    derivatives           exact, by the chain rule: forward mode carries a tangent ẋ ↦ J ẋ along
                          with the value, reverse mode a cotangent ȳ ↦ Jᵀ ȳ back from it
    taylor                the function again, from its derivatives
    finite_differences    approximate, from values of f alone
    check                 the one held against the other
"""

from fnmath.calculus.check import GradientReport, GradientRow, check_gradient
from fnmath.calculus.derivatives import (
    derivative,
    directional_derivative,
    gradient,
    hessian,
    hessian_vector_product,
    jacobian,
    partial_derivative,
)
from fnmath.calculus.finite_differences import (
    Extrapolation,
    central_difference,
    complex_step,
    finite_difference_gradient,
    richardson_extrapolation,
)
from fnmath.calculus.taylor import taylor_expansion, taylor_polynomial

__all__ = [
    "Extrapolation",
    "GradientReport",
    "GradientRow",
    "central_difference",
    "check_gradient",
    "complex_step",
    "derivative",
    "directional_derivative",
    "finite_difference_gradient",
    "gradient",
    "hessian",
    "hessian_vector_product",
    "jacobian",
    "partial_derivative",
    "richardson_extrapolation",
    "taylor_expansion",
    "taylor_polynomial",
]
