"""Distributions, one module for each family: ``from fnmath.probability import normal``.

Every family has the same functions, as far as they exist: density ``pdf`` or mass ``pmf``, ``cdf``
and survival function ``sf``, the logarithms of all of these, the quantile functions ``ppf`` and
``isf``, ``sample``, ``mean``, ``variance``, ``mode``, ``entropy``, ``kl`` of two of a kind,
``fit``, ``score`` and ``fisher_information``. Those of one number are elementwise, ``fit`` apart:
arguments broadcast. Those of vectors have these on the last axis, and the covariance matrix for
their ``variance``; those of matrices on the last two, with the variance of each entry.

    normal, laplace, logistic, cauchy, gumbel, student_t       on the line
    exponential, half_normal, weibull, log_normal              on a half line
    gamma, inverse_gamma, chi_squared, f
    pareto                                                     from its scale on
    uniform, truncated_normal, beta                            on an interval
    bernoulli, geometric, categorical                          on whole numbers, on classes
    poisson, binomial, negative_binomial, beta_binomial
    von_mises                                                  of angles
    multivariate_normal, dirichlet, multinomial                of vectors
    matrix_normal, wishart                                     of matrices

Of families others are made by functions of functions: ``mixtures`` of several distributions with
weights, and ``transformed`` ones, of an affine function, an exponential or a tanh of a number.

Notation: x or k is where a distribution is looked at, q a probability; f, F, S and Q are density,
cdf, survival function and quantile function; a location μ and a scale σ make z = (x − μ)/σ.

Each value is rounded once, and so is each first derivative, in both modes and by every parameter:
formulas are evaluated in pairs of numbers (``_numbers``); mixtures and transformed distributions
are made of such values. A parameter that has no meaning gives nan in every function, a point
outside the support the density 0.
"""

from fnmath.probability import (
    bernoulli,
    beta,
    beta_binomial,
    binomial,
    categorical,
    cauchy,
    chi_squared,
    dirichlet,
    exponential,
    f,
    gamma,
    geometric,
    gumbel,
    half_normal,
    inverse_gamma,
    laplace,
    log_normal,
    logistic,
    matrix_normal,
    mixtures,
    multinomial,
    multivariate_normal,
    negative_binomial,
    normal,
    pareto,
    poisson,
    student_t,
    transformed,
    truncated_normal,
    uniform,
    von_mises,
    weibull,
    wishart,
)

__all__ = [
    "bernoulli",
    "beta",
    "beta_binomial",
    "binomial",
    "categorical",
    "cauchy",
    "chi_squared",
    "dirichlet",
    "exponential",
    "f",
    "gamma",
    "geometric",
    "gumbel",
    "half_normal",
    "inverse_gamma",
    "laplace",
    "log_normal",
    "logistic",
    "matrix_normal",
    "mixtures",
    "multinomial",
    "multivariate_normal",
    "negative_binomial",
    "normal",
    "pareto",
    "poisson",
    "student_t",
    "transformed",
    "truncated_normal",
    "uniform",
    "von_mises",
    "weibull",
    "wishart",
]
