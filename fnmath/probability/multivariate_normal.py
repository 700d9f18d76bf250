"""The multivariate normal distribution: vectors whose every projection is normal.

    f(x) = exp(−½ (x − μ)ᵀ Σ⁻¹ (x − μ)) / √(det 2πΣ)

Notation: x are vectors of n components, on the last axis; μ is the mean, Σ the covariance, a
symmetric positive definite matrix; d = x − μ, P = Σ⁻¹, α = P d. The covariance comes in one of four
forms:

    an array        Σ itself, of which the symmetric part counts
    Cholesky        Σ = L Lᵀ, L lower triangular with a positive diagonal
    Diagonal        Σ = diag(v), v > 0
    LowRank         Σ = W Wᵀ + diag(v), W of n × r: no matrix of n × n is formed

Values and first derivatives are computed in pairs of numbers and rounded once, so that a covariance
of condition 10⁶ costs no digits in float32. It is factored once for all x that share it. Where Σ is
not positive definite, not even with its entries taken for exact, all functions give nan.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath import _checks
from fnmath.linear_algebra._spectral import times
from fnmath.linear_algebra.products import transpose
from fnmath.probability import _fitting, _gaussians, _matrices, normal
from fnmath.probability._sampling import target_shape


class Cholesky(NamedTuple):
    """The covariance L Lᵀ; what stands above the diagonal of L does not matter."""

    factor: Float[Array, "*batch n n"]


class Diagonal(NamedTuple):
    """The covariance diag(v)."""

    variances: Float[Array, "*batch n"]


class LowRank(NamedTuple):
    """The covariance W Wᵀ + diag(v)."""

    factor: Float[Array, "*batch n rank"]
    diagonal: Float[Array, "*batch n"]


class _Dense(NamedTuple):
    """The covariance itself."""

    matrix: jax.Array


Covariance = Float[Array, "... n n"] | Cholesky | Diagonal | LowRank


class _Form(NamedTuple):
    """What is done with one form of covariance."""

    axes: tuple[str, ...]  # of its parts
    density: _matrices.Formula
    entropy: _matrices.Formula
    dense: _matrices.Formula

    def signature(self, vectors: int) -> str:
        """Of a scalar function of so many vectors and the parts."""
        parts = ["n"] * vectors + [",".join(axes.split()) for axes in self.axes]
        return ",".join(f"({axes})" for axes in parts) + "->()"


_FORMS = {
    _Dense: _Form(
        ("n n",), _gaussians.dense_density, _gaussians.dense_entropy, _matrices.symmetric
    ),
    Cholesky: _Form(
        ("n n",),
        _gaussians.cholesky_density,
        _gaussians.cholesky_entropy,
        _gaussians.dense_of_factor,
    ),
    Diagonal: _Form(
        ("n",),
        _gaussians.diagonal_density,
        _gaussians.diagonal_entropy,
        _gaussians.dense_of_diagonal,
    ),
    LowRank: _Form(
        ("n rank", "n"),
        _gaussians.low_rank_density,
        _gaussians.low_rank_entropy,
        _gaussians.dense_of_low_rank,
    ),
}


def _opened(function: str, argument: str, cov: Any, n: int) -> Any:
    """The covariance of n components as one of the forms, its shapes checked."""
    cov = cov if isinstance(cov, Cholesky | Diagonal | LowRank) else _Dense(cov)
    for part, a, axes in zip(cov._fields, cov, _FORMS[type(cov)].axes, strict=True):
        name = argument if isinstance(cov, _Dense) else f"{argument}.{part}"
        _checks.floating(function, **{name: a})
        _checks.rank(function, name, a, axes)
        shape = jnp.shape(a)
        last = shape[-len(axes.split()) :]
        if any(size != n for size, axis in zip(last, axes.split(), strict=True) if axis == "n"):
            wanted = axes.replace("n ", f"{n} ") if "rank" in axes else axes.replace("n", str(n))
            _checks.fail(function, f"{name} has shape {shape}; wanted (*batch {wanted})")
        _checks.size(function, **{f"the last axis of {name}": last[-1]})
    return cov


def _vectors(function: str, **vectors: Any) -> int:
    """The number of components, the same in all vectors and at least 1."""
    _checks.floating(function, **vectors)
    for name, x in vectors.items():
        _checks.rank(function, name, x, "n")
    sizes = {name: jnp.shape(x)[-1] for name, x in vectors.items()}
    _checks.same_size(function, "components", **sizes)
    for name, size in sizes.items():
        _checks.size(function, **{f"the last axis of {name}": size})
    return next(iter(sizes.values()))


def _batches(vectors: dict[str, Any], covariances: dict[str, Any]) -> dict[str, Any]:
    """Numbers in the shapes of the leading axes, by the arguments' names."""
    shapes = {name: jnp.shape(x)[:-1] for name, x in vectors.items()}
    for name, cov in covariances.items():
        for part, a, axes in zip(cov._fields, cov, _FORMS[type(cov)].axes, strict=True):
            own = jnp.shape(a)[: -len(axes.split())]
            shapes[name if isinstance(cov, _Dense) else f"{name}.{part}"] = own
    return {name: np.broadcast_to(0.0, shape) for name, shape in shapes.items()}


def _taken(function: str, vectors: dict[str, Any], **covariances: Any) -> list[Any]:
    """The covariances in their forms; everything checked."""
    n = _vectors(function, **vectors)
    forms = {name: _opened(function, name, cov, n) for name, cov in covariances.items()}
    _checks.broadcastable(function, **_batches(vectors, forms))
    return list(forms.values())


def _known(cov: Any) -> jax.Array:
    """1 where the covariance is positive definite, nan elsewhere."""
    form = _FORMS[type(cov)]
    parts = [jax.lax.stop_gradient(jnp.asarray(a)) for a in cov]
    H = _matrices.evaluated(_matrices.with_slopes(form.entropy), form.signature(0), *parts)
    return jnp.where(jnp.isnan(H), jnp.nan, 1)


def _written_out(cov: Any) -> jax.Array:
    """The covariance as a matrix, nan where it is not positive definite."""
    form = _FORMS[type(cov)]
    signature = form.signature(0).replace("()", "(n,n)")
    S = _matrices.evaluated(_matrices.without_slopes(form.dense), signature, *cov)
    return S * _known(cov)[..., None, None].astype(S.dtype)


def logpdf(
    x: Float[Array, "... n"], mean: Float[Array, "... n"], cov: Covariance
) -> Float[Array, "..."]:
    """Logarithm of the density of the multivariate normal distribution.

        log f(x) = −½ (dᵀ P d + log det Σ + n log 2π),    d = x − μ, P = Σ⁻¹

    With Σ = L Lᵀ it is dᵀ P d = |L⁻¹ d|² and log det Σ = 2 Σᵢ log Lᵢᵢ. For a low rank the formulas
    of Woodbury and of the determinant ask for a matrix of r × r only.

    Gradient:
        with α = P d: ∂/∂x = −α,    ∂/∂μ = α,    ∂/∂Σ = ½ (α αᵀ − P), each entry moving alone,
        ∂/∂L = low(α (L⁻¹ d)ᵀ) − diag(1/Lᵢᵢ),
        ∂/∂v = ½ (α² − diag P),    ∂/∂W = α (Wᵀ α)ᵀ − P W

    Args:
        x: Where to look.
        mean: The mean μ.
        cov: The covariance Σ, as an array or in one of the other forms.

    Returns:
        Logarithms of densities, in nats, in the shape to which the leading axes broadcast; −∞ where
        an entry of x is infinite; nan where Σ is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> x, mean = jnp.array([1.0, 2.0]), jnp.zeros(2)
        >>> print(f"{logpdf(x, mean, jnp.array([[2.0, 1.0], [1.0, 2.0]])):.4f}")
        -3.3872

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §3.2.1;
        ``scipy.stats.multivariate_normal``.
    """
    (form,) = _taken("logpdf", {"x": x, "mean": mean}, cov=cov)
    of = _FORMS[type(form)]
    return _matrices.evaluated(_matrices.with_slopes(of.density), of.signature(2), x, mean, *form)


def pdf(
    x: Float[Array, "... n"], mean: Float[Array, "... n"], cov: Covariance
) -> Float[Array, "..."]:
    """Density of the multivariate normal distribution.

        f(x) = exp(−½ dᵀ P d) / √(det 2πΣ),    d = x − μ, P = Σ⁻¹

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        mean: The mean μ.
        cov: The covariance Σ, as an array or in one of the other forms.

    Returns:
        Densities, in the shape to which the leading axes broadcast; 0 where an entry of x is
        infinite; nan where Σ is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> print(f"{pdf(jnp.zeros(2), jnp.zeros(2), jnp.eye(2)):.4f}")  # 1/2π
        0.1592

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §3.2.1;
        ``scipy.stats.multivariate_normal``.
    """
    (form,) = _taken("pdf", {"x": x, "mean": mean}, cov=cov)
    of = _FORMS[type(form)]
    density = _matrices.with_slopes(_gaussians.exponential(of.density))
    return _matrices.evaluated(density, of.signature(2), x, mean, *form)


def _root_times(cov: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Samples about 0: a root of the covariance times independent normal numbers."""

    def numbers(key: jax.Array, size: int) -> jax.Array:
        return normal.sample(key, jnp.zeros((), dtype), shape=(*shape, size))

    first, second = jax.random.split(key)
    cov = type(cov)(*(jnp.asarray(a, dtype) for a in cov))
    if isinstance(cov, Diagonal | LowRank):
        v = cov[-1]
        d = jnp.sqrt(jnp.where(v > 0, v, jnp.nan)) * numbers(first, v.shape[-1])
        if isinstance(cov, Diagonal):
            return d
        e = numbers(second, cov.factor.shape[-1])
        return d + times(cov.factor, e[..., None])[..., 0]
    L = jnp.vectorize(
        _matrices.cholesky if isinstance(cov, _Dense) else _gaussians.factor,
        signature="(n,n)->(n,n)",
    )(cov[0])
    return times(L, numbers(first, L.shape[-1])[..., None])[..., 0]


def sample(
    key: PRNGKeyArray,
    mean: Float[Array, "... n"],
    cov: Covariance,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "... n"]:
    """Samples of the multivariate normal distribution.

        x = μ + L ε,    or    x = μ + √v ε + W η

    for independent standard normal numbers ε and η.

    Gradient:
        ∂x/∂μ = I,    ẋ = L̇ ε or (v̇/(2 √v)) ε + Ẇ η, for the numbers drawn (reparameterisation)

    Args:
        key: The random key.
        mean: The mean μ.
        cov: The covariance Σ, as an array or in one of the other forms.
        shape: The shape of the samples, less their last axis, to which the leading axes of the
            parameters must broadcast; theirs by default.

    Returns:
        Independent samples, n components on the last axis; nan where Σ is not positive definite.

    Raises:
        TypeError: If the key is no random key, or a parameter does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast to the
            shape.

    Example:
        >>> S = jnp.array([[2.0, 1.0], [1.0, 2.0]])
        >>> x = sample(jax.random.key(0), jnp.zeros(2), S, shape=(20_000,))
        >>> print(x.shape, jnp.round(jnp.cov(x.T)[0, 1], 1))
        (20000, 2) 1.0

    Source:
        Gentle, Random Number Generation and Monte Carlo Methods (2003), §5.3;
        ``scipy.stats.multivariate_normal``.
    """
    _checks.key("sample", key)
    (form,) = _taken("sample", {"mean": mean}, cov=cov)
    shape = target_shape("sample", shape, **_batches({"mean": mean}, {"cov": form}))
    dtype = jnp.result_type(mean, *form)
    wide = jnp.promote_types(dtype, jnp.float32)
    return (jnp.asarray(mean, wide) + _root_times(form, key, shape, wide)).astype(dtype)


def mean(mean: Float[Array, "... n"], cov: Covariance) -> Float[Array, "... n"]:
    """Mean of the multivariate normal distribution.

        μ

    Args:
        mean: The mean μ.
        cov: The covariance Σ, as an array or in one of the other forms.

    Returns:
        Means, in the units of x; nan where Σ is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> from fnmath.probability import multivariate_normal
        >>> print(multivariate_normal.mean(jnp.array([1.0, 2.0]), jnp.eye(2)))
        [1. 2.]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §3.2.1.
    """
    (form,) = _taken("mean", {"mean": mean}, cov=cov)
    dtype = jnp.result_type(mean, *form)
    return jnp.asarray(mean, dtype) * _known(form)[..., None].astype(dtype)


def variance(mean: Float[Array, "... n"], cov: Covariance) -> Float[Array, "... n n"]:
    """Covariance matrix of the multivariate normal distribution, whatever form it was given in.

        Σ

    Gradient:
        Σ̇ = L̇ Lᵀ + L L̇ᵀ,    Σ̇ = Ẇ Wᵀ + W Ẇᵀ + diag(v̇)

    Args:
        mean: The mean μ, which does not matter.
        cov: The covariance Σ, as an array or in one of the other forms.

    Returns:
        Matrices, in the square of the units of x; nan where Σ is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> print(variance(jnp.zeros(2), LowRank(jnp.array([[1.0], [2.0]]), jnp.ones(2))))
        [[2. 2.]
         [2. 5.]]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §3.2.1.
    """
    (form,) = _taken("variance", {"mean": mean}, cov=cov)
    S, dtype = _written_out(form), jnp.result_type(mean, *form)
    batch = jnp.broadcast_shapes(jnp.shape(mean)[:-1], S.shape[:-2])
    return jnp.broadcast_to(S, (*batch, *S.shape[-2:])).astype(dtype)


def mode(mean: Float[Array, "... n"], cov: Covariance) -> Float[Array, "... n"]:
    """Mode of the multivariate normal distribution, where its density is largest.

        μ

    Args:
        mean: The mean μ.
        cov: The covariance Σ, as an array or in one of the other forms.

    Returns:
        Modes, in the units of x; nan where Σ is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> print(mode(jnp.array([1.0, 2.0]), jnp.eye(2)))
        [1. 2.]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §3.2.1.
    """
    (form,) = _taken("mode", {"mean": mean}, cov=cov)
    dtype = jnp.result_type(mean, *form)
    return jnp.asarray(mean, dtype) * _known(form)[..., None].astype(dtype)


def entropy(mean: Float[Array, "... n"], cov: Covariance) -> Float[Array, "..."]:
    """Differential entropy of the multivariate normal distribution.

        H = ½ log det 2πeΣ

    Gradient:
        ∂H/∂Σ = ½ P,    ∂H/∂L = diag(1/Lᵢᵢ),    ∂H/∂v = ½ diag P,    ∂H/∂W = P W

    Args:
        mean: The mean μ, which does not matter.
        cov: The covariance Σ, as an array or in one of the other forms.

    Returns:
        Entropies, in nats; nan where Σ is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> print(f"{entropy(jnp.zeros(2), jnp.eye(2)):.4f}")  # 1 + log 2π
        2.8379

    Source:
        Cover and Thomas, Elements of Information Theory (2006), theorem 8.4.1.
    """
    (form,) = _taken("entropy", {"mean": mean}, cov=cov)
    of, dtype = _FORMS[type(form)], jnp.result_type(mean, *form)
    parts = [jnp.asarray(a, dtype) for a in form]
    H = _matrices.evaluated(_matrices.with_slopes(of.entropy), of.signature(0), *parts)
    return jnp.broadcast_to(H, jnp.broadcast_shapes(H.shape, jnp.shape(mean)[:-1]))


_DIVERGENCES = {
    _Dense: _gaussians.dense_divergence,
    Cholesky: _gaussians.cholesky_divergence,
    Diagonal: _gaussians.diagonal_divergence,
}


def _alike(p: Any, q: Any) -> tuple[Any, Any]:
    """Two covariances in one form: of low rank where that can be, written out otherwise."""
    if type(p) is type(q):
        return p, q
    if isinstance(p, Diagonal | LowRank) and isinstance(q, Diagonal | LowRank):
        both = [LowRank(jnp.zeros_like(c[0])[..., None], *c) if len(c) == 1 else c for c in (p, q)]
        return both[0], both[1]
    return _Dense(_written_out(p)), _Dense(_written_out(q))


def kl(
    mean_p: Float[Array, "... n"],
    cov_p: Covariance,
    mean_q: Float[Array, "... n"],
    cov_q: Covariance,
) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two multivariate normal distributions.

        KL = ½ (tr(Σ₂⁻¹ Σ₁) − n + log det Σ₂ − log det Σ₁ + dᵀ Σ₂⁻¹ d),    d = μ₁ − μ₂

    With the factors L of Σ₁, M of Σ₂ and U = M⁻¹ (L − M) it is ½ ‖U‖² + Σᵢ (uᵢᵢ − log(1 + uᵢᵢ)) +
    ½ |M⁻¹ d|², none of whose terms is negative, so that nothing cancels where p and q are nearly
    the same. For a low rank the formula above is evaluated in pairs, as far as those reach.

    Gradient:
        with α = Σ₂⁻¹ d: ∂/∂μ₁ = α = −∂/∂μ₂,    ∂/∂Σ₁ = ½ (Σ₂⁻¹ − Σ₁⁻¹),
        ∂/∂Σ₂ = ½ (Σ₂⁻¹ − Σ₂⁻¹ Σ₁ Σ₂⁻¹ − α αᵀ)

    Args:
        mean_p: The mean of p.
        cov_p: The covariance of p, as an array or in one of the other forms.
        mean_q: The mean of q.
        cov_q: The covariance of q. Where the forms differ both are written out as matrices, but
            for a diagonal and a low rank, which are taken for two low ranks.

    Returns:
        Divergences, in nats; nan where a covariance is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> print(f"{kl(jnp.ones(2), jnp.eye(2), jnp.zeros(2), jnp.eye(2)):.4f}")
        1.0000

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §6.2.3.
    """
    p, q = _taken("kl", {"mean_p": mean_p, "mean_q": mean_q}, cov_p=cov_p, cov_q=cov_q)
    p, q = _alike(p, q)
    first = _FORMS[type(p)].signature(1).removesuffix("->()")
    if isinstance(p, LowRank):
        second = first.replace("rank", "other")
        f = _matrices.without_slopes(_gaussians.low_rank_divergence)
    else:
        second, f = first, _matrices.with_slopes(_DIVERGENCES[type(p)])
    return _matrices.evaluated(f, f"{first},{second}->()", mean_p, *p, mean_q, *q)


def fit(
    x: Float[Array, "*batch samples n"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n n"]]:
    """Parameters of the multivariate normal distribution that make the samples most likely.

        μ = Σ wᵢ xᵢ / Σ wᵢ,    Σ = Σ wᵢ (xᵢ − μ)(xᵢ − μ)ᵀ / Σ wᵢ

    The covariance is not corrected for the mean having been estimated. It is singular where there
    are not more samples than components.

    Args:
        x: The samples, on the last axis but one.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to that of the samples
            less their last axis; all alike by default.

    Returns:
        The estimates μ and Σ.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> mean, S = fit(jnp.array([[0.0, 0.0], [2.0, 2.0], [0.0, 2.0], [2.0, 0.0]]))
        >>> print(mean, S[0])
        [1. 1.] [1. 0.]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §4.2.6.
    """
    _checks.floating("fit", x=x)
    _checks.rank("fit", "x", x, "samples n")
    rows, w = _fitting.vectors("fit", x, weights)
    mean = _fitting.mean(rows, w)
    centred = jnp.where(w == 0, 0, rows - mean)
    S = times(w * centred, transpose(centred))
    return _fitting.of_dtype(x, mean[..., 0], 0.5 * (S + transpose(S)))


def score(
    x: Float[Array, "... n"], mean: Float[Array, "... n"], cov: Covariance
) -> tuple[Float[Array, "... n"], Covariance]:
    """Score of the multivariate normal distribution: the gradient of the log-density.

        ∂ log f/∂μ = α,    ∂ log f/∂Σ = ½ (α αᵀ − P),    and as ``logpdf`` has them by L, v and W

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        mean: The mean μ.
        cov: The covariance Σ, as an array or in one of the other forms.

    Returns:
        The derivatives by μ and by the covariance, the latter in the form in which that was given,
        with all leading axes; nan where Σ is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> by_mean, by_cov = score(jnp.array([1.0, 2.0]), jnp.zeros(2), jnp.eye(2))
        >>> print(by_mean, by_cov[0])
        [1. 2.] [0. 1.]

    Source:
        Petersen and Pedersen, The Matrix Cookbook (2012), §8.1 and §9.
    """
    (form,) = _taken("score", {"x": x, "mean": mean}, cov=cov)
    of = _FORMS[type(form)]
    arguments, _, _ = of.signature(2).partition("->")
    slopes = _matrices.slopes_of(of.density)
    _, by_mean, *by_cov = _matrices.evaluated(slopes, f"{arguments}->{arguments}", x, mean, *form)
    return by_mean, by_cov[0] if isinstance(form, _Dense) else type(form)(*by_cov)


def fisher_information(
    mean: Float[Array, "... n"], cov: Covariance
) -> tuple[Float[Array, "... n n"], Float[Array, "... n n n n"]]:
    """Fisher information of the multivariate normal distribution: the covariance of the score.

        of μ:    Pᵢⱼ
        of Σ:    ¼ (Pᵢₖ Pⱼₗ + Pᵢₗ Pⱼₖ) for its entries (i, j) and (k, l), each moving alone

    Between μ and Σ it is 0.

    Args:
        mean: The mean μ, which does not matter.
        cov: The covariance Σ, as an array or in one of the other forms.

    Returns:
        The information of the mean, and that of the matrix Σ whatever its form, on four last axes;
        nan where Σ is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of components differ, or the leading axes do not broadcast.

    Example:
        >>> of_mean, of_cov = fisher_information(jnp.zeros(2), Diagonal(jnp.array([1.0, 2.0])))
        >>> print(of_mean[1], of_cov[0, 0, 0, 0])
        [0.  0.5] 0.5

    Source:
        Kay, Fundamentals of Statistical Signal Processing: Estimation Theory (1993), §3.9.
    """
    S = variance(mean, cov)
    P = _matrices.evaluated(_matrices.without_slopes(_gaussians.precision), "(n,n)->(n,n)", S)
    direct = P[..., :, None, :, None] * P[..., None, :, None, :]
    crossed = P[..., :, None, None, :] * P[..., None, :, :, None]
    return P, 0.25 * (direct + crossed)
