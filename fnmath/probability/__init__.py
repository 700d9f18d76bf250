"""Probability distributions, one module for each family, all with the same functions.

    from fnmath.probability import gamma
    gamma.logsf(x, a, scale)

    pdf, logpdf (pmf, logpmf)      the density (the probability of a count) and its logarithm
    cdf, logcdf, sf, logsf         both tails, right to the last place where they are small
    ppf, isf                       the quantiles, counted from below and from above
    sample                         draws, of a random key that comes first
    mean, variance, mode, entropy, kl
    fit, score, fisher_information    maximum likelihood, and what it is made of

Numbers:
    gamma, inverse_gamma, chi_squared, beta, student_t

Counts:
    poisson, binomial, negative_binomial

Everything is differentiable in every real parameter, shapes included. The parameters are those of
``scipy.stats``, in its order; outside of their domains they give nan.
"""

from fnmath.probability import (
    beta,
    binomial,
    chi_squared,
    gamma,
    inverse_gamma,
    negative_binomial,
    poisson,
    student_t,
)

__all__ = [
    "beta",
    "binomial",
    "chi_squared",
    "gamma",
    "inverse_gamma",
    "negative_binomial",
    "poisson",
    "student_t",
]
