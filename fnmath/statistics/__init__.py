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
from fnmath.statistics.running import (
    Average,
    Moments,
    exponential_average_init,
    exponential_average_update,
    moments_init,
    moments_kurtosis,
    moments_merge,
    moments_psum,
    moments_skewness,
    moments_update,
    moments_variance,
)

__all__ = [
    "Average",
    "Moments",
    "correlation",
    "covariance",
    "exponential_average_init",
    "exponential_average_update",
    "kurtosis",
    "mean",
    "median",
    "moments_init",
    "moments_kurtosis",
    "moments_merge",
    "moments_psum",
    "moments_skewness",
    "moments_update",
    "moments_variance",
    "quantile",
    "skewness",
    "standard_deviation",
    "variance",
]
