"""Distributions, one module for each family: ``from fnmath.probability import normal``.

Every family has the same functions, as far as they exist: density ``pdf`` or mass ``pmf``, ``cdf``
and survival function ``sf``, the logarithms of all of these, the quantile functions ``ppf`` and
``isf``, ``sample``, ``mean``, ``variance``, ``mode``, ``entropy``, ``kl`` of two of a kind,
``fit``, ``score`` and ``fisher_information``. Those of one number are elementwise, ``fit`` apart:
arguments broadcast.

    normal, laplace, logistic, cauchy, gumbel, student_t       on the line
    exponential, half_normal, weibull, log_normal              on a half line
    gamma, inverse_gamma, chi_squared
    pareto                                                     from its scale on
    uniform, beta                                              on an interval
    bernoulli, geometric, categorical                          on whole numbers, on classes
    poisson, binomial, negative_binomial
    von_mises                                                  of angles

Notation: x or k is where a distribution is looked at, q a probability; f, F, S and Q are density,
cdf, survival function and quantile function; a location μ and a scale σ make z = (x − μ)/σ.

Each value is rounded once, and so is each first derivative, in both modes and by every parameter:
formulas are evaluated in pairs of numbers (``_numbers``). A parameter that has no meaning gives nan
in every function, a point outside the support the density 0.
"""

from fnmath.probability import (
    bernoulli,
    beta,
    binomial,
    categorical,
    cauchy,
    chi_squared,
    exponential,
    gamma,
    geometric,
    gumbel,
    half_normal,
    inverse_gamma,
    laplace,
    log_normal,
    logistic,
    negative_binomial,
    normal,
    pareto,
    poisson,
    student_t,
    uniform,
    von_mises,
    weibull,
)

__all__ = [
    "bernoulli",
    "beta",
    "binomial",
    "categorical",
    "cauchy",
    "chi_squared",
    "exponential",
    "gamma",
    "geometric",
    "gumbel",
    "half_normal",
    "inverse_gamma",
    "laplace",
    "log_normal",
    "logistic",
    "negative_binomial",
    "normal",
    "pareto",
    "poisson",
    "student_t",
    "uniform",
    "von_mises",
    "weibull",
]
