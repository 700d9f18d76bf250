"""Mixtures: one of several distributions, each chosen with its weight.

    f(x) = Σₖ wₖ fₖ(x),    wₖ = exp(aₖ)/Σⱼ exp(aⱼ)

Notation: k counts the components, aₖ are logarithms of weights up to a constant, wₖ the weights and
θₖ the parameters of a component; rₖ = wₖ fₖ(x)/f(x) is its share of x.

The components are of one family, which is anything with the functions of one, and have their
parameters side by side on a new first axis: two normal distributions of one width are

    mixtures.logpdf(x, log_weights, normal, (jnp.array([-1.0, 2.0]), 1.0))

They may also be of several families, ``(normal, cauchy)``, with a tuple of parameters each. What
``of`` makes of a family is a family itself, of the parameters (log_weights, *θ). Distributions of
vectors have ``mixed``, which takes the logarithms of their densities.

Logarithms stay logarithms, so that the tails have all their digits. A component of weight 0, or
without a density at x, is not differentiated, whatever its slope; where all are of that kind,
as at ±∞, the heaviest speaks for all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.probability._composition import Family
from fnmath.probability._families import Numbers
from fnmath.probability._mixing import (
    Arguments,
    arguments,
    between,
    drawn,
    log_mean_of,
    log_shares,
    log_tail_of,
    mean_of,
    quantile,
    tail_of,
)
from fnmath.probability._sampling import target_shape


class _Given(NamedTuple):
    """A family whose only parameter is what its function says."""

    logpdf: Any


def pdf(
    x: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Density of a mixture.

        f(x) = Σₖ wₖ fₖ(x)

    Gradient:
        ∂/∂x = Σₖ wₖ ∂fₖ/∂x,    ∂/∂θₖ = wₖ ∂fₖ/∂θₖ,    ∂/∂aₖ = wₖ (fₖ − f)

    Args:
        x: Where to look.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Densities, in the shape of x, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, parameters = jnp.log(jnp.array([1.0, 3.0])), (jnp.array([-1.0, 2.0]), 1.0)
        >>> print(f"{pdf(0.5, weights, normal, parameters):.4f}")
        0.1295

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("pdf", log_weights, family, parameters, x=x)
    return mean_of("pdf", "pdf", a).astype(dtype)


def logpdf(
    x: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Logarithm of the density of a mixture.

        log f(x) = log Σₖ exp(log wₖ + log fₖ(x))

    Gradient:
        ∂/∂x = Σₖ rₖ ∂log fₖ/∂x,    ∂/∂θₖ = rₖ ∂log fₖ/∂θₖ,    ∂/∂aₖ = rₖ − wₖ

    Args:
        x: Where to look.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Logarithms of densities in the shape of x, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, parameters = jnp.log(jnp.array([1.0, 3.0])), (jnp.array([-1.0, 2.0]), 1.0)
        >>> print(f"{logpdf(0.5, weights, normal, parameters):.4f}")
        -2.0439

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("logpdf", log_weights, family, parameters, x=x)
    return log_mean_of("logpdf", "logpdf", a).astype(dtype)


def pmf(
    k: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Probability mass of a mixture of laws of counts.

        P(k) = Σₖ wₖ Pₖ(k)

    Gradient:
        ∂/∂θₖ = wₖ ∂Pₖ/∂θₖ,    ∂/∂aₖ = wₖ (Pₖ − P)

    Args:
        k: The counts to look at.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Probabilities, in the shape of k, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import poisson
        >>> weights, means = jnp.log(jnp.array([1.0, 3.0])), jnp.array([1.0, 4.0])
        >>> print(f"{pmf(2.0, weights, poisson, (means,)):.4f}")
        0.1559

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("pmf", log_weights, family, parameters, k=k)
    return mean_of("pmf", "pmf", a).astype(dtype)


def logpmf(
    k: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Logarithm of the probability mass of a mixture of laws of counts.

        log P(k) = log Σₖ exp(log wₖ + log Pₖ(k))

    Gradient:
        ∂/∂θₖ = rₖ ∂log Pₖ/∂θₖ,    ∂/∂aₖ = rₖ − wₖ

    Args:
        k: The counts to look at.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Logarithms of probabilities in the shape of k, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import poisson
        >>> weights, means = jnp.log(jnp.array([1.0, 3.0])), jnp.array([1.0, 4.0])
        >>> print(f"{logpmf(2.0, weights, poisson, (means,)):.4f}")
        -1.8587

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("logpmf", log_weights, family, parameters, k=k)
    return log_mean_of("logpmf", "logpmf", a).astype(dtype)


def cdf(
    x: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Cumulative distribution function of a mixture.

        F(x) = Σₖ wₖ Fₖ(x)

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂θₖ = wₖ ∂Fₖ/∂θₖ,    ∂F/∂aₖ = wₖ (Fₖ − F)

    Args:
        x: Where to look.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Probabilities, in the shape of x, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, parameters = jnp.log(jnp.array([1.0, 3.0])), (jnp.array([-1.0, 2.0]), 1.0)
        >>> print(f"{cdf(0.5, weights, normal, parameters):.4f}")
        0.2834

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("cdf", log_weights, family, parameters, x=x)
    return tail_of("cdf", "cdf", a).astype(dtype)


def logcdf(
    x: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of a mixture.

        log F(x) = log Σₖ exp(log wₖ + log Fₖ(x)),    log(1 − S(x)) where F > ½

    Gradient:
        ∂log F/∂θ = (∂F/∂θ)/F,    x and weights included

    Args:
        x: Where to look.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Logarithms of probabilities in the shape of x, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, parameters = jnp.log(jnp.array([1.0, 3.0])), (jnp.array([-1.0, 2.0]), 1.0)
        >>> print(f"{logcdf(0.5, weights, normal, parameters):.4f}")
        -1.2609

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("logcdf", log_weights, family, parameters, x=x)
    return log_tail_of("logcdf", "cdf", a).astype(dtype)


def sf(
    x: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Survival function of a mixture: the probability beyond x.

        S(x) = Σₖ wₖ Sₖ(x)

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂θₖ = wₖ ∂Sₖ/∂θₖ,    ∂S/∂aₖ = wₖ (Sₖ − S)

    Args:
        x: Where to look.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Probabilities, in the shape of x, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, parameters = jnp.log(jnp.array([1.0, 3.0])), (jnp.array([-1.0, 2.0]), 1.0)
        >>> print(f"{sf(0.5, weights, normal, parameters):.4f}")
        0.7166

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("sf", log_weights, family, parameters, x=x)
    return tail_of("sf", "sf", a).astype(dtype)


def logsf(
    x: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Logarithm of the survival function of a mixture.

        log S(x) = log Σₖ exp(log wₖ + log Sₖ(x)),    log(1 − F(x)) where S > ½

    Gradient:
        ∂log S/∂θ = (∂S/∂θ)/S,    x and weights included

    Args:
        x: Where to look.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Logarithms of probabilities in the shape of x, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, parameters = jnp.log(jnp.array([1.0, 3.0])), (jnp.array([-1.0, 2.0]), 1.0)
        >>> print(f"{logsf(0.5, weights, normal, parameters):.4f}")
        -0.3332

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("logsf", log_weights, family, parameters, x=x)
    return log_tail_of("logsf", "sf", a).astype(dtype)


def ppf(
    q: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Quantile function of a mixture, the inverse of ``cdf``.

        Q(q) = the x with F(x) = q, the least one with F(x) ≥ q of counts

    It lies between the quantiles of the components, and is found there by Newton's steps on the
    logarithm of the smaller tail.

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂θ = −(∂F/∂θ)/f(Q),    weights included

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Quantiles, in the shape of q, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, parameters = jnp.log(jnp.array([1.0, 3.0])), (jnp.array([-1.0, 2.0]), 1.0)
        >>> print(f"{ppf(0.5, weights, normal, parameters):.4f}")
        1.5739

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("ppf", log_weights, family, parameters, q=q)
    return quantile("ppf", False, a).astype(dtype)


def isf(
    q: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Inverse survival function of a mixture: the quantile of 1 − q.

        Q(1 − q) = the x with S(x) = q

    No 1 − q is formed, so that a tail may be as small as numbers are.

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂θ = −(∂F/∂θ)/f(Q),    weights included

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Quantiles, in the shape of q, weights and parameters without their axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, parameters = jnp.log(jnp.array([1.0, 3.0])), (jnp.array([-1.0, 2.0]), 1.0)
        >>> print(f"{isf(0.5, weights, normal, parameters):.4f}")
        1.5739

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("isf", log_weights, family, parameters, q=q)
    return quantile("isf", True, a).astype(dtype)


def log_responsibilities(
    x: Numbers, log_weights: Numbers, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "components ..."]:
    """Logarithms of the shares that the components have of x, where x is known.

        log rₖ = log wₖ + log fₖ(x) − log f(x)

    By Bayes' rule they are the probabilities of the components given x. Where no component has a
    density the heaviest has the share 1.

    Gradient:
        ∂log rₖ/∂aⱼ = δₖⱼ − rⱼ

    Args:
        x: Where to look.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Logarithms of probabilities, in nats, components on the first axis.
        They are nan where a component, even of weight 0, has parameters without meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> print(log_responsibilities(0.5, jnp.zeros(2), normal, (jnp.array([-1.0, 2.0]), 1.0)))
        [-0.6931472 -0.6931472]

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("log_responsibilities", log_weights, family, parameters, x=x)
    name = "logpmf" if hasattr(family, "pmf") else "logpdf"
    return log_shares("log_responsibilities", name, a).astype(dtype)


def sample(
    key: PRNGKeyArray,
    log_weights: Numbers,
    family: Any,
    parameters: tuple[Any, ...],
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of a mixture: a component by its weight, and a sample of that.

        k ~ w,    x ~ fₖ

    Gradient:
        ∂x/∂θ = −(∂F/∂θ)/f(x), weights included: x moves as the quantile of a fixed probability
        (implicit reparameterisation); counts do not move

    Args:
        key: The random key.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.
        shape: The shape of the samples, to which weights and parameters, without the axis of
            their components, must broadcast; theirs by default.

    Returns:
        Independent samples; nan where a parameter of the component has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights = jnp.log(jnp.array([1.0, 3.0]))
        >>> parameters = (jnp.array([-1.0, 2.0]), 1.0)
        >>> x = sample(jax.random.key(0), weights, normal, parameters, shape=4000)
        >>> print(f"{x.mean():.1f}")
        1.2

    Source:
        Figurnov, Mohamed and Mnih, Implicit reparameterization gradients (2018), §2 and §4.
    """
    _checks.key("sample", key)
    a, dtype = arguments("sample", log_weights, family, parameters)
    shape = target_shape("sample", shape, parameters=a.x)

    def spread(p: jax.Array) -> jax.Array:
        ones = (1,) * (len(shape) - a.x.ndim)
        return jnp.broadcast_to(p.reshape(len(p), *ones, *p.shape[1:]), (len(p), *shape))

    weights, theta = jax.tree.map(spread, a[2:])
    return drawn(
        "sample", key, Arguments(a.of, jnp.zeros(shape, a.x.dtype), weights, theta)
    ).astype(dtype)


def mean(log_weights: Numbers, family: Any, parameters: tuple[Any, ...]) -> Float[Array, "..."]:
    """Mean of a mixture.

        μ = Σₖ wₖ μₖ

    Args:
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Means, in the common shape of weights and parameters without their axis.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, means = jnp.log(jnp.array([1.0, 3.0])), jnp.array([-1.0, 2.0])
        >>> print(f"{mean(weights, normal, (means, 1.0)):.4f}")
        1.2500

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("mean", log_weights, family, parameters)
    return mean_of("mean", "mean", a, of_x=False).astype(dtype)


def variance(log_weights: Numbers, family: Any, parameters: tuple[Any, ...]) -> Float[Array, "..."]:
    """Variance of a mixture: within its components, and of their means.

        σ² = Σₖ wₖ (σₖ² + (μₖ − μ)²)

    Args:
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.
        family: The family of the components, or a tuple of them.
        parameters: Those of the family, components on their first axis; or a tuple of such tuples.

    Returns:
        Variances, in the common shape of weights and parameters without their axis.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> from fnmath.probability import normal
        >>> weights, means = jnp.log(jnp.array([1.0, 3.0])), jnp.array([-1.0, 2.0])
        >>> print(f"{variance(weights, normal, (means, 1.0)):.4f}")
        2.6875

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    a, dtype = arguments("variance", log_weights, family, parameters)
    within = mean_of("variance", "variance", a, of_x=False)
    return (within + between("variance", a)).astype(dtype)


def mixed(
    log_densities: Float[Array, "components ..."], log_weights: Numbers
) -> Float[Array, "..."]:
    """Logarithm of the density of a mixture, of the log-densities of its components.

        log f = log Σₖ exp(log wₖ + log fₖ)

    For components of any kind, such as distributions of vectors. That of weight 0 adds nothing to
    value or gradient; what is evaluated before, in reverse mode, gets a 0 from here.

    Gradient:
        ∂/∂log fₖ = rₖ,    ∂/∂aₖ = rₖ − wₖ

    Args:
        log_densities: log fₖ, in nats, components on the first axis.
        log_weights: Logarithms of the weights aₖ, components on the first axis; only differences
            count, and −∞ leaves a component out.

    Returns:
        Logarithms of densities, in nats, in the common shape without the axis of components.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If numbers of components differ, or shapes do not broadcast.

    Example:
        >>> print(f"{mixed(jnp.log(jnp.array([0.1, 0.5])), jnp.zeros(2)):.4f}")  # log 0.3
        -1.2040

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """
    _checks.real("mixed", log_densities=log_densities, log_weights=log_weights)
    shape, count = jnp.shape(log_densities), jnp.shape(log_weights)[:1]
    if count and shape[:1] != count:
        wanted = f"{count[0]} components, as log_weights has, on axis 0"
        _checks.fail("mixed", f"log_densities has shape {shape}; wanted {wanted}")
    given = _Given(lambda x, log_density: log_density)
    a, dtype = arguments("mixed", log_weights, given, (log_densities,), x=0.0)
    return log_mean_of("mixed", "logpdf", a).astype(dtype)


def of(family: Any) -> Family:
    """The family of the mixtures of a family: its functions, of x, log_weights and parameters.

        of(family).logpdf(x, log_weights, *θ) = logpdf(x, log_weights, family, θ)

    It is a family for ``transformed``. A mixture of mixtures is one mixture, of products of
    weights; ``of`` does not take what it made.

    Args:
        family: The family of the components, or a tuple of them.

    Returns:
        The functions ``pdf``, ``logpdf``, ``cdf``, ``logcdf``, ``sf``, ``logsf``, ``ppf``,
        ``isf`` and ``sample``.

    Example:
        >>> from fnmath.probability import normal
        >>> two = of(normal)
        >>> print(f"{two.logpdf(0.5, jnp.zeros(2), jnp.array([-1.0, 2.0]), 1.0):.4f}")
        -2.0439

    Source:
        McLachlan and Peel, Finite Mixture Models (2000), §1.4 (definition) and §2.8 (shares).
    """

    def bound(f: Any) -> Any:
        return lambda x, log_weights, *parameters, **options: f(
            x, log_weights, family, parameters, **options
        )

    return Family(*map(bound, (pdf, logpdf, cdf, logcdf, sf, logsf, ppf, isf, sample)))
