"""Statistics: what a sample says, and how surely.

Notation: x₁ … xₙ are the observations of a sample, wᵢ ≥ 0 their weights, of which only ratios
matter, pᵢ = wᵢ/Σⱼ wⱼ their shares, x̄ their mean; ``ddof`` are the degrees of freedom that it has
cost.

Moments, in two passes, accurate however far from 0 a sample lies:

    mean, variance, standard_deviation    Σᵢ pᵢ xᵢ, Σᵢ pᵢ (xᵢ − x̄)² and its root
    skewness, kurtosis                    the third and fourth power of (xᵢ − x̄)/σ, on average
    covariance, correlation               of vectors

Quantiles:

    quantile, median                      what a given share of the sample lies below

Moments of numbers that come in batches, or lie on several devices:

    moments_init, moments_update          Welford's and Chan's algorithm, no sum without its rest
    moments_merge, moments_psum           of two samples, and of the shards along a named axis
    moments_variance, moments_skewness, moments_kurtosis
    exponential_average_init, exponential_average_update    the corrected average of Adam

Linear maps to uncorrelated features:

    whitening_init, whitening             by principal components, symmetric, or triangular

How surely:

    one_sample_t_test, paired_t_test      Student's tests of a mean
    two_sample_t_test, welch_t_test       of the means of two samples
    one_sample_ks_test, two_sample_ks_test    Kolmogorov and Smirnov's tests of distributions
    bootstrap_interval                    a confidence interval of any statistic
    permutation_test                      whether two samples differ by any statistic

A density through a sample:

    kernel_density_init, kernel_log_density
"""

from fnmath.statistics.density import (
    KernelDensityParams,
    kernel_density_init,
    kernel_log_density,
)
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
from fnmath.statistics.resampling import (
    Interval,
    bootstrap_interval,
    difference_of_means,
    permutation_test,
)
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
from fnmath.statistics.significance import (
    Significance,
    StudentSignificance,
    one_sample_ks_test,
    one_sample_t_test,
    paired_t_test,
    two_sample_ks_test,
    two_sample_t_test,
    welch_t_test,
)
from fnmath.statistics.whitening import WhiteningParams, whitening, whitening_init

__all__ = [
    "Average",
    "Interval",
    "KernelDensityParams",
    "Moments",
    "Significance",
    "StudentSignificance",
    "WhiteningParams",
    "bootstrap_interval",
    "correlation",
    "covariance",
    "difference_of_means",
    "exponential_average_init",
    "exponential_average_update",
    "kernel_density_init",
    "kernel_log_density",
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
    "one_sample_ks_test",
    "one_sample_t_test",
    "paired_t_test",
    "permutation_test",
    "quantile",
    "skewness",
    "standard_deviation",
    "two_sample_ks_test",
    "two_sample_t_test",
    "variance",
    "welch_t_test",
    "whitening",
    "whitening_init",
]
