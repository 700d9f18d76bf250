"""Normalisation of each channel over a batch, with statistics that are carried from step to step.

The state is visible: ``batch_norm`` uses the running statistics and leaves them as they are,
``batch_norm_train`` uses those of the batch and hands the running ones on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fnmath import _checks
from fnmath.layers.normalization._arguments import (
    NormParams,
    affine,
    apply_norm,
    checked,
    fits,
    norm_params,
)
from fnmath.layers.normalization._standard import Over, Standardized, count


class BatchStats(NamedTuple):
    """Running statistics of each channel: its ``mean`` and its variance ``var``."""

    mean: Float[Array, " channels"]
    var: Float[Array, " channels"]


def batch_norm_init(
    features: int,
    *,
    use_scale: bool = True,
    use_bias: bool = True,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> tuple[NormParams, BatchStats]:
    """Parameters and running statistics of a batch normalisation before its first batch.

        γ = 1,    β = 0;    mean 0,    variance 1

    Args:
        features: The number of channels.
        use_scale: Whether there is a scale γ; without one it is None.
        use_bias: Whether there is a bias β; without one it is None.
        dtype: The dtype of the parameters. The statistics have it too, unless it is half
            precision: there a step of a tenth would often round to no step, and they are float32.

    Returns:
        The parameters, which are trained, and the statistics, which are carried along.

    Raises:
        TypeError: If ``features`` is not an integer, ``use_scale`` or ``use_bias`` not a boolean,
            or the dtype not a floating one.
        ValueError: If ``features`` is below 1.

    Example:
        >>> params, stats = batch_norm_init(2)
        >>> print(params.scale, params.bias, stats.mean, stats.var)
        [1. 1.] [0. 0.] [0. 0.] [1. 1.]

    Source:
        Ioffe and Szegedy, Batch normalization (2015), §3.1.
    """
    _checks.size("batch_norm_init", features=features)
    params = norm_params("batch_norm_init", features, use_scale, use_bias, dtype)
    wide = jnp.promote_types(dtype, jnp.float32)
    return params, BatchStats(jnp.zeros(features, wide), jnp.ones(features, wide))


def batch_norm(
    params: NormParams,
    stats: BatchStats,
    x: Float[Array, "*batch channels"],
    *,
    epsilon: float | Float[Array, ""] = 1e-5,
) -> Float[Array, "*batch channels"]:
    """Channels less their running mean, over their running standard deviation.

        y = γ z + β,    z = (x − m)/σ,    σ = √(v + ε)

    with m and v as the training left them: an affine map of each channel, and no example depends on
    another.

    Gradient:
        x̄ = γ ȳ/σ,    γ̄ = Σ z ȳ,    β̄ = Σ ȳ,    m̄ = −Σ γ ȳ/σ,    v̄ = −Σ z γ ȳ/2σ²

    where the sums run over all axes but the channels.

    Args:
        params: The scale γ and the bias β, one for each channel, or None.
        stats: The running statistics m and v ≥ 0 of each channel.
        x: The inputs, channels last.
        epsilon: What is added to the variance, ε ≥ 0; the default of PyTorch and Flax.

    Returns:
        The normalised inputs, in the shape of x and the dtype that x and the parameters have
        together; nan in a channel whose variance is below 0.

    Raises:
        TypeError: If params or stats is not a pair, an array does not hold floating-point numbers,
            or ``epsilon`` is not a number.
        ValueError: If a parameter or a statistic does not have one entry for each channel, or
            ``epsilon`` is below 0.

    Example:
        >>> params, _ = batch_norm_init(1)
        >>> stats = BatchStats(mean=jnp.array([3.0]), var=jnp.array([4.0]))
        >>> print(batch_norm(params, stats, jnp.array([[3.0], [5.0]])).round(3))
        [[0.]
         [1.]]

    Source:
        Ioffe and Szegedy, Batch normalization (2015), §3.1, algorithm 2;
        ``torch.nn.functional.batch_norm`` with ``training=False``.
    """
    params, stats, wide, ε = _batch("batch_norm", params, stats, x, epsilon)
    m, v = (jnp.asarray(a, wide.dtype) for a in stats)
    z = (wide - m) * (1 / jnp.sqrt(jnp.where(v >= 0, v, jnp.nan) + ε))
    return affine(params, z, x)


def batch_norm_train(
    params: NormParams,
    stats: BatchStats,
    x: Float[Array, "*batch channels"],
    *,
    momentum: float | Float[Array, ""] = 0.9,
    epsilon: float | Float[Array, ""] = 1e-5,
    unbiased: bool = True,
    axis_name: str | tuple[str, ...] | None = None,
    where: Bool[Array, "..."] | None = None,
) -> tuple[Float[Array, "*batch channels"], BatchStats]:
    """Channels less their mean in the batch, over their deviation in it, and the statistics after.

        y = γ z + β,    z = (x − μ)/σ,    μ = ⟨x⟩,    v = ⟨(x − μ)²⟩,    σ = √(v + ε)
        m ← p m + (1 − p) μ,    s² ← p s² + (1 − p) v n/(n − 1)

    where ⟨·⟩ is the mean over the n entries of one channel: over all axes but the channels, and
    over the devices that ``axis_name`` names. It is computed as a layer normalisation is, from
    distances; on several devices these are from their common mean.

    A batch of one value has a mean but no deviation: y = β, and m learns from it (PyTorch refuses
    it). An unbiased variance needs two values: s² stays as it is. An empty batch, or one wholly
    masked, changes nothing.

    Gradient:
        x̄ = (z̄ − ⟨z̄⟩ − z ⟨z z̄⟩)/σ,    z̄ = γ ȳ,    γ̄ = Σ z ȳ,    β̄ = Σ ȳ

    where the sums run over all axes but the channels. The new statistics are functions of x like
    any other: where a loss depends on them, it has a gradient.

    Args:
        params: The scale γ and the bias β, one for each channel, or None.
        stats: The running statistics m and s² of each channel.
        x: The inputs, channels last.
        momentum: The weight p in [0, 1] of the OLD statistics, as in Flax. PyTorch's ``momentum``
            is 1 − p; its default 0.1 is this one. (Flax's default is 0.99.) The statistics are
            nan where it is an array outside of [0, 1].
        epsilon: What is added to the variance, ε ≥ 0; the default of PyTorch and Flax. With ε = 0,
            a channel that is all alike gives 0/0 = nan.
        unbiased: Whether s² follows v n/(n − 1), as in PyTorch, or v itself, as in Flax. The output
            is made with v in both.
        axis_name: The name of a mapped axis (of ``vmap``, or ``shard_map``), or several, over which
            the batch is spread: its statistics are then those of the whole. None for this device
            alone.
        where: False for the entries to leave out, in a shape that broadcasts to that of x, such as
            (batch, time, 1) for padded sequences. Neither value nor gradient depends on these, not
            even where they are nan.

    Returns:
        The normalised inputs, in the shape of x and the dtype that x and the parameters have
        together, 0 where masked; and the statistics, in their own dtype. A channel with an entry
        that is nan or infinite is nan in both.

    Raises:
        TypeError: If params or stats is not a pair, an array does not hold floating-point numbers,
            momentum or epsilon is not a number, ``unbiased`` not a boolean, ``axis_name`` not a
            name, or ``where`` does not hold booleans.
        ValueError: If a parameter or a statistic does not have one entry for each channel, momentum
            is not in [0, 1], epsilon is below 0, no mapped axis has the name, or ``where`` does not
            broadcast to x.

    Example:
        >>> params, stats = batch_norm_init(1)
        >>> y, stats = batch_norm_train(params, stats, jnp.array([[1.0], [3.0]]))
        >>> print(y.round(3).ravel(), stats.mean, stats.var.round(3))  # 0.1 · 2, 0.9 + 0.1 · 2
        [-1.  1.] [0.2] [1.1]

    Source:
        Ioffe and Szegedy, Batch normalization (2015), §3, algorithm 1;
        ``torch.nn.functional.batch_norm`` with ``training=True``; ``flax.linen.BatchNorm``.
    """
    params, stats, wide, ε = _batch("batch_norm_train", params, stats, x, epsilon)
    _checks.scalar("batch_norm_train", "momentum", momentum)
    _checks.number("batch_norm_train", "momentum", momentum, above=0, below=1, closed="[]")
    _checks.boolean("batch_norm_train", "unbiased", unbiased)
    _bound("batch_norm_train", axis_name)
    if where is not None:
        _checks.mask("batch_norm_train", "where", where, x=wide)
        wide = jnp.where(where, wide, 0)
    over = Over(tuple(range(wide.ndim - 1)), axis_name)
    found = apply_norm(params, over, wide, ε, x, where)
    n = jnp.ravel(count(over, wide, where))
    return found.entries, _moved(stats, found, n, momentum, unbiased)


def _moved(
    stats: BatchStats, found: Standardized, n: Array, momentum: Any, unbiased: bool
) -> BatchStats:
    """The statistics after a batch of n entries; each stays where the batch has nothing to say."""
    v = found.variance
    if unbiased:
        v = v * (n / jnp.maximum(n - 1, 1))
    news = zip(stats, (found.mean, v), (1, 1 + unbiased), strict=True)
    if isinstance(momentum, jax.Array):
        momentum = jnp.where((momentum >= 0) & (momentum <= 1), momentum, jnp.nan)
    rest = 1 - momentum  # of a Python number, before it is rounded: 1 − 0.9 is 0.1

    def moved(old: Array, new: Array, least: int) -> Array:
        known = n >= least
        step = momentum * old + rest * jnp.where(known, jnp.ravel(new), 0)
        return jnp.where(known, step, old).astype(old.dtype)

    return BatchStats(*(moved(*each) for each in news))


def _batch(
    function: str, params: Any, stats: Any, x: Any, epsilon: Any
) -> tuple[NormParams, BatchStats, Array, Array]:
    """The arguments, checked: x and ε in the dtype to compute in."""
    params, wide, ε = checked(function, params, x, epsilon)
    _checks.rank(function, "x", wide, "channels")
    fits(function, params, wide, 1)
    if not (isinstance(stats, tuple) and len(stats) == 2):
        problem = f"stats is a {type(stats).__name__}; wanted BatchStats(mean, var)"
        _checks.fail(function, problem, error=TypeError)
    stats = BatchStats(*stats)
    _checks.floating(function, **stats._asdict())
    for name, a in stats._asdict().items():
        if jnp.shape(a) != wide.shape[-1:]:
            problem = f"{name} has shape {jnp.shape(a)}; wanted {wide.shape[-1:]}"
            _checks.fail(function, f"{problem}, one for each channel of x {wide.shape}")
    return params, stats, wide, ε


def _bound(function: str, axis_name: Any) -> None:
    """Raise unless ``axis_name`` names mapped axes around the call, or is None."""
    for name in axis_name if isinstance(axis_name, tuple) else (axis_name,):
        if name is None and not isinstance(axis_name, tuple):
            continue
        if not isinstance(name, str):
            problem = f"axis_name holds a {type(name).__name__}; wanted names of mapped axes"
            _checks.fail(function, problem, error=TypeError)
        try:
            jax.lax.axis_size(name)
        except NameError:
            problem = f"axis_name is {name!r}; wanted the name of an axis mapped around the call"
            _checks.fail(function, problem, f"jax.vmap(…, axis_name={name!r})")
