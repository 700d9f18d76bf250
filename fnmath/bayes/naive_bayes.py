"""Naive Bayes: classes told apart by Bayes' theorem, as if features were independent given them.

Notation: x is a vector of d features, c one of the classes; p(c) is the prior of a class, p(xⱼ | c)
the likelihood of a feature. The parameters are learnt by counting, with α pseudo-counts.

    gaussian_naive_bayes       xⱼ ~ N(μ_cj, v_cj)
    bernoulli_naive_bayes      xⱼ ∈ {0, 1},  xⱼ ~ Bernoulli(θ_cj)
    multinomial_naive_bayes    xⱼ = 0, 1, 2 …, counts,  x ~ Multinomial(θ_c)

Each has two functions: ``…_init`` learns the parameters of labelled examples, all at once or with
weights; ``…`` gives the logarithms, in nats, of the posterior of the classes of each example, whose
last axis is the class.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from fnmath import _checks
from fnmath.numerics._shifted import shifted_log_softmax
from fnmath.statistics._samples import wide


class GaussianNaiveBayesParams(NamedTuple):
    """Logarithms of the priors, and mean and variance of each feature in each class."""

    log_prior: Float[Array, "classes"]
    mean: Float[Array, "classes features"]
    variance: Float[Array, "classes features"]


class BernoulliNaiveBayesParams(NamedTuple):
    """Logarithms of the priors, and the log-odds log θ/(1 − θ) of each feature in each class."""

    log_prior: Float[Array, "classes"]
    log_odds: Float[Array, "classes features"]


class MultinomialNaiveBayesParams(NamedTuple):
    """Logarithms of the priors, and of the probabilities θ of the features in each class."""

    log_prior: Float[Array, "classes"]
    log_probabilities: Float[Array, "classes features"]


Features = Real[Array, "n features"] | Bool[Array, "n features"]


def _features(function: str, x: Any, *, floating: bool = False, exact: bool = True) -> jax.Array:
    """The features as numbers, in single precision at least."""
    _checks.array(function, "x", x)
    x = jnp.asarray(x)
    x = x.astype(jnp.int32) if x.dtype == jnp.bool_ else x
    (_checks.floating if floating else _checks.real)(function, x=x)
    _checks.rank(function, "x", x, "n features" if exact else "features", exact=exact)
    whole = jnp.issubdtype(x.dtype, jnp.integer)
    return x.astype(jnp.result_type(float)) if whole else wide(x)


class _Counted(NamedTuple):
    """Features, the weight of each example in each class, and the logarithms of the priors."""

    x: jax.Array
    share: jax.Array
    log_prior: jax.Array


def _counted(
    function: str, x: jax.Array, labels: Any, classes: Any, alpha: Any, weights: Any
) -> _Counted:
    """What examples say of the priors; nan of weights below 0 and for a label outside."""
    _checks.size(function, classes=classes)
    _checks.scalar(function, "alpha", alpha, above=0, closed="[")
    _checks.integer(function, labels=labels)
    if weights is not None:
        _checks.floating(function, weights=weights)
    n = x.shape[0]
    for argument, a in {"labels": labels, "weights": weights}.items():
        if a is not None and jnp.shape(a) != (n,):
            _checks.fail(function, f"{argument} has shape {jnp.shape(a)}; wanted {(n,)}")
    w = jnp.ones(n, x.dtype) if weights is None else wide(weights).astype(x.dtype)
    known = _checks.labels_known(function, labels, classes)
    # For every class at once: a compiled product of 0 and nan may well be 0.
    all_count = (w >= 0).all() & known.all()
    share = jax.nn.one_hot(labels, classes, dtype=x.dtype) * w[:, None]
    share = jnp.where(all_count, share, jnp.nan)
    counts = share.sum(0) + _alpha(alpha, x.dtype)
    return _Counted(x, share, jnp.log(counts) - jnp.log(counts.sum()))


def _alpha(alpha: Any, dtype: Any) -> jax.Array:
    a = jnp.asarray(alpha, dtype)
    return jnp.where(a >= 0, a, jnp.nan)


def _sums(share: jax.Array, x: jax.Array) -> jax.Array:
    """The sums of the features over the examples of each class."""
    return jnp.matmul(share.T, x, precision="highest")


def _widest(w: jax.Array, x: jax.Array) -> jax.Array:
    """The largest variance of a feature over all examples, of whatever class."""
    share = (w / w.sum())[None]
    far = x - jax.lax.stop_gradient(_sums(share.T, x))
    near = far - _sums(share.T, far)
    return jnp.max(_sums(share.T, jnp.square(near)), initial=0)


def gaussian_naive_bayes_init(
    x: Float[Array, "n features"],
    labels: Int[Array, "n"],
    *,
    classes: int,
    weights: Float[Array, "n"] | None = None,
    alpha: float | Float[Array, ""] = 0.0,
    smoothing: float | Float[Array, ""] = 1e-9,
) -> GaussianNaiveBayesParams:
    """Naive Bayes with normal features, learnt from labelled examples.

        μ_c = mean of the examples of c,    v_c = their variance + ε maxⱼ var(xⱼ)
        p(c) = (n_c + α)/(n + α C)

    with n_c the sum of the weights of c, by which means and variances are weighted too.

    Gradient:
        ∂μ_cj/∂xᵢⱼ = wᵢ/n_c,    ∂v_cj/∂xᵢⱼ = 2 wᵢ (xᵢⱼ − μ_cj)/n_c    (for ε = 0, labels c)

    Args:
        x: The examples.
        labels: Their classes, from 0.
        classes: The number C of classes.
        weights: The weights w ≥ 0 of the examples; without, each counts 1.
        alpha: The pseudo-count α ≥ 0 of each class.
        smoothing: The share ε ≥ 0, of the largest variance of any feature over all examples, that
            is added to all variances.

    Returns:
        The parameters; nan for a class of which there is no example, and everywhere where a weight
        is negative or a label outside.

    Raises:
        TypeError: If x is not floating-point, the labels are no integers, or an option is of the
            wrong type.
        ValueError: If the shapes do not fit, or an option is out of its range.

    Example:
        >>> x, labels = jnp.array([[1.0], [3.0], [10.0], [14.0]]), jnp.array([0, 0, 1, 1])
        >>> params = gaussian_naive_bayes_init(x, labels, classes=2, smoothing=0.0)
        >>> print(params.mean[:, 0], params.variance[:, 0])
        [ 2. 12.] [1. 4.]

    Source:
        Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), §6.6.3;
        scikit-learn's ``GaussianNB`` (the smoothing).
    """
    name = "gaussian_naive_bayes_init"
    numbers = _features(name, x, floating=True)
    _checks.scalar(name, "smoothing", smoothing, above=0, closed="[")
    counted = _counted(name, numbers, labels, classes, alpha, weights)
    n = counted.share.sum(0)[:, None]
    pilot = jax.lax.stop_gradient(_sums(counted.share, numbers) / n)
    safe = jnp.where(jnp.isfinite(pilot), pilot, 0)
    far = numbers - safe[jnp.clip(labels, 0, classes - 1)]
    rest = _sums(counted.share, far) / n
    near = far - rest[jnp.clip(labels, 0, classes - 1)]
    variance = _sums(counted.share, jnp.square(near)) / n
    widest = _widest(counted.share.sum(1), numbers)
    variance = variance + _alpha(smoothing, numbers.dtype) * widest
    params = counted.log_prior, pilot + rest, variance
    return GaussianNaiveBayesParams(*(a.astype(jnp.result_type(x)) for a in params))


def bernoulli_naive_bayes_init(
    x: Features,
    labels: Int[Array, "n"],
    *,
    classes: int,
    weights: Float[Array, "n"] | None = None,
    alpha: float | Float[Array, ""] = 1.0,
) -> BernoulliNaiveBayesParams:
    """Naive Bayes with features of 0 and 1, learnt from labelled examples.

        θ_cj = (n_cj + α)/(n_c + 2α),    p(c) = (n_c + α)/(n + α C)

    with n_c examples of class c, of which n_cj have the feature j: the means of their posterior
    under Beta(α, α) and Dirichlet(α … α). For α = 0 what was never seen is impossible.

    Gradient:
        ∂ log θ/(1 − θ)/∂α = 1/(n_cj + α) − 1/(n_c − n_cj + α)

    Args:
        x: The examples, of features 0 and 1, or booleans.
        labels: Their classes, from 0.
        classes: The number C of classes.
        weights: The weights w ≥ 0 of the examples; without, each counts 1.
        alpha: The pseudo-count α ≥ 0; 1 is Laplace's, ½ Jeffreys'.

    Returns:
        The parameters; nan for a feature that is neither 0 nor 1 in some example, and everywhere
        where a weight is negative or a label outside. Of no examples all classes are alike.

    Raises:
        TypeError: If x holds no numbers, the labels are no integers, or an option is of the wrong
            type.
        ValueError: If the shapes do not fit, or an option is out of its range.

    Example:
        >>> x, labels = jnp.array([[1, 0], [1, 1], [0, 1]]), jnp.array([0, 0, 1])
        >>> params = bernoulli_naive_bayes_init(x, labels, classes=2)
        >>> print(jax.nn.sigmoid(params.log_odds).round(4))
        [[0.75   0.5   ]
         [0.3333 0.6667]]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §13.3.
    """
    name = "bernoulli_naive_bayes_init"
    bits = _features(name, x)
    counted = _counted(name, bits, labels, classes, alpha, weights)
    known = ((bits == 0) | (bits == 1)).all(0)
    a = _alpha(alpha, bits.dtype)
    ones, zeros = _sums(counted.share, bits) + a, _sums(counted.share, 1 - bits) + a
    log_odds = jnp.where(known, jnp.log(ones) - jnp.log(zeros), jnp.nan)
    return BernoulliNaiveBayesParams(counted.log_prior, log_odds)


def multinomial_naive_bayes_init(
    x: Features,
    labels: Int[Array, "n"],
    *,
    classes: int,
    weights: Float[Array, "n"] | None = None,
    alpha: float | Float[Array, ""] = 1.0,
) -> MultinomialNaiveBayesParams:
    """Naive Bayes with counts, as of words, learnt from labelled examples.

        θ_cj = (n_cj + α)/Σₖ (n_ck + α),    p(c) = (n_c + α)/(n + α C)

    with n_cj the sum of the feature j over the n_c examples of class c.

    Gradient:
        ∂ log θ_cj/∂α = 1/(n_cj + α) − d/Σₖ (n_ck + α)

    Args:
        x: The examples: counts, or other weights of features, at least 0.
        labels: Their classes, from 0.
        classes: The number C of classes.
        weights: The weights w ≥ 0 of the examples; without, each counts 1.
        alpha: The pseudo-count α ≥ 0.

    Returns:
        The parameters; nan where a count or a weight is negative or a label outside. Of no examples
        all classes are alike.

    Raises:
        TypeError: If x holds no numbers, the labels are no integers, or an option is of the wrong
            type.
        ValueError: If the shapes do not fit, or an option is out of its range.

    Example:
        >>> x, labels = jnp.array([[2, 0], [3, 1], [0, 2]]), jnp.array([0, 0, 1])
        >>> params = multinomial_naive_bayes_init(x, labels, classes=2)
        >>> print(jnp.exp(params.log_probabilities).round(4))
        [[0.75 0.25]
         [0.25 0.75]]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §13.2.
    """
    name = "multinomial_naive_bayes_init"
    counts = _features(name, x)
    counted = _counted(name, counts, labels, classes, alpha, weights)
    sums = _sums(counted.share, counts) + _alpha(alpha, counts.dtype)
    log_p = jnp.log(sums) - jnp.log(sums.sum(-1, keepdims=True))
    log_p = jnp.where((counts >= 0).all(), log_p, jnp.nan)
    return MultinomialNaiveBayesParams(counted.log_prior, log_p)


def _learnt(function: str, params: Any, kind: type, x: jax.Array) -> list[jax.Array]:
    """The parameters in single precision at least, if they fit each other and the features."""
    make = function + "_init(x, labels, classes=…)"
    _checks.instance(function, "params", params, kind, make)
    _checks.floating(function, **params._asdict())
    _checks.rank(function, "log_prior", params[0], "classes", exact=True)
    wanted = (jnp.shape(params[0])[0], x.shape[-1])
    for field, a in zip(params._fields[1:], params[1:], strict=True):
        if jnp.shape(a) != wanted:
            _checks.fail(function, f"{field} has shape {jnp.shape(a)}; wanted {wanted}")
    if not wanted[0]:
        _checks.fail(function, "log_prior (0,) has no classes")
    return [wide(a) for a in params]


def _posterior(joint: jax.Array) -> jax.Array:
    """The logarithms of the posterior; nan where no class allows the example."""
    allowed = (joint > -jnp.inf).any(-1, keepdims=True)
    return shifted_log_softmax(jnp.where(allowed, joint, jnp.nan), (-1,))


def gaussian_naive_bayes(
    params: GaussianNaiveBayesParams, x: Float[Array, "*batch features"]
) -> Float[Array, "*batch classes"]:
    """Log-posterior, in nats, of the classes of examples with normal features.

        log p(c | x) = log p(c) − ½ Σⱼ (log v_cj + (xⱼ − μ_cj)²/v_cj) + constant

    Gradient:
        ∂ log p(c | x)/∂xⱼ = −(xⱼ − μ_cj)/v_cj + Σₖ p(k | x) (xⱼ − μ_kj)/v_kj

    Args:
        params: The parameters, of ``gaussian_naive_bayes_init``.
        x: The examples.

    Returns:
        The logarithms of the posterior.

    Raises:
        TypeError: If ``params`` are none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> x, labels = jnp.array([[1.0], [3.0], [11.0], [13.0]]), jnp.array([0, 0, 1, 1])
        >>> params = gaussian_naive_bayes_init(x, labels, classes=2)
        >>> print(jnp.exp(gaussian_naive_bayes(params, jnp.array([7.0]))).round(3))
        [0.5 0.5]

    Source:
        Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), §6.6.3.
    """
    name = "gaussian_naive_bayes"
    numbers = _features(name, x, floating=True, exact=False)
    log_prior, mean, v = _learnt(name, params, GaussianNaiveBayesParams, numbers)
    v = jnp.where(v > 0, v, jnp.nan)
    z = jnp.square(numbers[..., None, :] - mean) / v
    return _posterior(log_prior - 0.5 * jnp.sum(jnp.log(v) + z, -1)).astype(jnp.result_type(x))


def bernoulli_naive_bayes(
    params: BernoulliNaiveBayesParams,
    x: Real[Array, "*batch features"] | Bool[Array, "*batch features"],
) -> Float[Array, "*batch classes"]:
    """Log-posterior, in nats, of the classes of examples with features of 0 and 1.

        log p(c | x) = log p(c) + Σⱼ (xⱼ log θ_cj + (1 − xⱼ) log(1 − θ_cj)) + constant

    Gradient:
        ∂ log p(c | x)/∂z_kj = ([c = k] − p(k | x)) (xⱼ − θ_kj),    z the log-odds

    Args:
        params: The parameters, of ``bernoulli_naive_bayes_init``.
        x: The examples, of features 0 and 1, or booleans.

    Returns:
        The logarithms of the posterior; nan where a feature is neither 0 nor 1.

    Raises:
        TypeError: If ``params`` are none, or x holds no numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> x, labels = jnp.array([[1, 0], [1, 1], [0, 1]]), jnp.array([0, 0, 1])
        >>> params = bernoulli_naive_bayes_init(x, labels, classes=2)
        >>> print(*(f"{p:.4f}" for p in jnp.exp(bernoulli_naive_bayes(params, jnp.array([1, 0])))))
        0.8351 0.1649

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §13.3.
    """
    name = "bernoulli_naive_bayes"
    bits = _features(name, x, exact=False)
    log_prior, z = _learnt(name, params, BernoulliNaiveBayesParams, bits)
    bits = jnp.where((bits == 0) | (bits == 1), bits, jnp.nan)
    never, always = z == -jnp.inf, z == jnp.inf
    odds = jnp.where(never | always, 0, z)
    logs = jnp.where(never | always, 0, -jnp.logaddexp(odds, 0.0))
    joint = log_prior + logs.sum(-1) + jnp.matmul(bits, odds.T, precision="highest")
    against = bits @ never.T.astype(bits.dtype) + (1 - bits) @ always.T.astype(bits.dtype)
    return _posterior(jnp.where(against > 0, -jnp.inf, joint))


def multinomial_naive_bayes(
    params: MultinomialNaiveBayesParams,
    x: Real[Array, "*batch features"],
) -> Float[Array, "*batch classes"]:
    """Log-posterior, in nats, of the classes of examples with counts as features.

        log p(c | x) = log p(c) + Σⱼ xⱼ log θ_cj + constant

    Gradient:
        ∂ log p(c | x)/∂xⱼ = log θ_cj − Σₖ p(k | x) log θ_kj

    Args:
        params: The parameters, of ``multinomial_naive_bayes_init``.
        x: The examples, of counts.

    Returns:
        The logarithms of the posterior; nan where a count is negative.

    Raises:
        TypeError: If ``params`` are none, or x holds no numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> x, labels = jnp.array([[2, 0], [3, 1], [0, 2]]), jnp.array([0, 0, 1])
        >>> params = multinomial_naive_bayes_init(x, labels, classes=2)
        >>> log_p = multinomial_naive_bayes(params, jnp.array([1, 1]))
        >>> print(*(f"{p:.4f}" for p in jnp.exp(log_p)))
        0.6000 0.4000

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §13.2.
    """
    name = "multinomial_naive_bayes"
    counts = _features(name, x, exact=False)
    log_prior, logs = _learnt(name, params, MultinomialNaiveBayesParams, counts)
    counts = jnp.where(counts >= 0, counts, jnp.nan)
    never = logs == -jnp.inf
    seen = jnp.where(never, 0, logs)
    joint = log_prior + jnp.matmul(counts, seen.T, precision="highest")
    return _posterior(jnp.where(counts @ never.T.astype(counts.dtype) > 0, -jnp.inf, joint))
