"""Bayes: how beliefs move as data come.

Notation: θ or h is what is believed about, x what is observed; p(θ) is the prior, p(x | θ) the
likelihood, p(θ | x) the posterior, p(x) = ∫ p(x | θ) p(θ) dθ the evidence. Logarithms are in nats.

Hypotheses that can be counted:

    bayes_rule, log_bayes_rule        one observation
    sequential_log_bayes_rule         one after the other: every posterior in turn

Conjugate families, whose posterior is of the kind of the prior, each with three functions:
``…_posterior``, ``…_predictive`` and ``…_log_evidence``, for batches of any size:

    beta_bernoulli, beta_binomial     a probability, from successes
    dirichlet_categorical             probabilities of classes, from labels
    gamma_poisson, gamma_exponential  a rate, from counts or waiting times
    normal                            a mean, the variance known
    normal_inverse_gamma              a mean and a variance
    normal_inverse_wishart            a mean vector and a covariance matrix
    linear_regression                 weights and noise of a linear map

Classes of examples, features taken to be independent: ``…_naive_bayes_init`` and ``…_naive_bayes``:

    gaussian_naive_bayes, bernoulli_naive_bayes, multinomial_naive_bayes

Any posterior, approximately:

    laplace_approximation, laplace_sample    a normal distribution at its mode
"""

from fnmath.bayes.counts import (
    BetaParams,
    DirichletParams,
    beta_bernoulli_log_evidence,
    beta_bernoulli_posterior,
    beta_bernoulli_predictive,
    beta_binomial_log_evidence,
    beta_binomial_posterior,
    beta_binomial_predictive,
    dirichlet_categorical_log_evidence,
    dirichlet_categorical_posterior,
    dirichlet_categorical_predictive,
)
from fnmath.bayes.laplace import (
    LaplaceApproximation,
    laplace_approximation,
    laplace_sample,
)
from fnmath.bayes.naive_bayes import (
    BernoulliNaiveBayesParams,
    GaussianNaiveBayesParams,
    MultinomialNaiveBayesParams,
    bernoulli_naive_bayes,
    bernoulli_naive_bayes_init,
    gaussian_naive_bayes,
    gaussian_naive_bayes_init,
    multinomial_naive_bayes,
    multinomial_naive_bayes_init,
)
from fnmath.bayes.normals import (
    NormalInverseGammaParams,
    NormalInverseWishartParams,
    NormalParams,
    normal_inverse_gamma_log_evidence,
    normal_inverse_gamma_posterior,
    normal_inverse_gamma_predictive,
    normal_inverse_wishart_log_evidence,
    normal_inverse_wishart_posterior,
    normal_inverse_wishart_predictive,
    normal_log_evidence,
    normal_posterior,
    normal_predictive,
)
from fnmath.bayes.rates import (
    GammaParams,
    gamma_exponential_log_evidence,
    gamma_exponential_posterior,
    gamma_exponential_predictive,
    gamma_poisson_log_evidence,
    gamma_poisson_posterior,
    gamma_poisson_predictive,
)
from fnmath.bayes.regression import (
    LinearRegressionParams,
    linear_regression_log_evidence,
    linear_regression_posterior,
    linear_regression_predictive,
)
from fnmath.bayes.rule import (
    LogPosterior,
    LogPosteriors,
    Posterior,
    bayes_rule,
    log_bayes_rule,
    sequential_log_bayes_rule,
)

__all__ = [
    "BernoulliNaiveBayesParams",
    "BetaParams",
    "DirichletParams",
    "GammaParams",
    "GaussianNaiveBayesParams",
    "LaplaceApproximation",
    "LinearRegressionParams",
    "LogPosterior",
    "LogPosteriors",
    "MultinomialNaiveBayesParams",
    "NormalInverseGammaParams",
    "NormalInverseWishartParams",
    "NormalParams",
    "Posterior",
    "bayes_rule",
    "bernoulli_naive_bayes",
    "bernoulli_naive_bayes_init",
    "beta_bernoulli_log_evidence",
    "beta_bernoulli_posterior",
    "beta_bernoulli_predictive",
    "beta_binomial_log_evidence",
    "beta_binomial_posterior",
    "beta_binomial_predictive",
    "dirichlet_categorical_log_evidence",
    "dirichlet_categorical_posterior",
    "dirichlet_categorical_predictive",
    "gamma_exponential_log_evidence",
    "gamma_exponential_posterior",
    "gamma_exponential_predictive",
    "gamma_poisson_log_evidence",
    "gamma_poisson_posterior",
    "gamma_poisson_predictive",
    "gaussian_naive_bayes",
    "gaussian_naive_bayes_init",
    "laplace_approximation",
    "laplace_sample",
    "linear_regression_log_evidence",
    "linear_regression_posterior",
    "linear_regression_predictive",
    "log_bayes_rule",
    "multinomial_naive_bayes",
    "multinomial_naive_bayes_init",
    "normal_inverse_gamma_log_evidence",
    "normal_inverse_gamma_posterior",
    "normal_inverse_gamma_predictive",
    "normal_inverse_wishart_log_evidence",
    "normal_inverse_wishart_posterior",
    "normal_inverse_wishart_predictive",
    "normal_log_evidence",
    "normal_posterior",
    "normal_predictive",
    "sequential_log_bayes_rule",
]
