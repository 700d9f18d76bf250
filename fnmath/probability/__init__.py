"""Distributions, one module for each family: ``from fnmath.probability import normal``."""

from fnmath.probability import cauchy, gumbel, laplace, logistic, normal

__all__ = ["cauchy", "gumbel", "laplace", "logistic", "normal"]
