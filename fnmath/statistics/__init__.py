"""Statistics: what a sample says, and how surely."""

from fnmath.statistics.moments import (
    correlation,
    covariance,
    kurtosis,
    mean,
    skewness,
    standard_deviation,
    variance,
)
from fnmath.statistics.quantiles import median, quantile

__all__ = [
    "correlation",
    "covariance",
    "kurtosis",
    "mean",
    "median",
    "quantile",
    "skewness",
    "standard_deviation",
    "variance",
]
