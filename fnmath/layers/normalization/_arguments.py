"""What the normalisations check about their arguments, and what they then do with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers._arguments import unpacked
from fnmath.layers.normalization._standard import Over, Standardized, Where, normalized


class NormParams(NamedTuple):
    """The affine map after a normalisation: ``scale`` γ and ``bias`` β, either of them or None."""

    scale: Float[Array, "..."] | None = None
    bias: Float[Array, "..."] | None = None


def norm_params(
    function: str,
    features: int | tuple[int, ...],
    use_scale: bool,
    use_bias: bool,
    dtype: jax.typing.DTypeLike,
) -> NormParams:
    """Ones and zeros, checked in the name of the function."""
    several = isinstance(features, tuple)
    shape = features if several else (features,)
    if not shape:
        _checks.fail(function, "features is (); wanted at least one size")
    names = [f"features[{i}]" for i in range(len(shape))] if several else ["features"]
    _checks.size(function, **dict(zip(names, shape, strict=True)))
    _checks.boolean(function, "use_scale", use_scale)
    _checks.boolean(function, "use_bias", use_bias)
    _checks.dtype(function, "dtype", dtype, jnp.floating, "a floating dtype")
    scale = jnp.ones(shape, dtype) if use_scale else None
    return NormParams(scale, jnp.zeros(shape, dtype) if use_bias else None)


def given(params: NormParams) -> dict[str, Array]:
    """Those of the two parameters that are there, by name."""
    return {name: p for name, p in params._asdict().items() if p is not None}


def checked(
    function: str, params: Any, x: Any, epsilon: Any
) -> tuple[NormParams, Array, Float[Array, ""]]:
    """The parameters, and x and ε in the dtype to compute in, which is no half precision.

    An ε below 0 is refused where it is a Python number, and nan where it is an array.
    """
    params = NormParams(*unpacked(function, params, NormParams))
    _checks.floating(function, x=x, **given(params))
    _checks.scalar(function, "epsilon", epsilon, above=0, closed="[")
    wide = jnp.promote_types(jnp.result_type(x, *given(params).values()), jnp.float32)
    ε = jnp.asarray(epsilon, wide)
    return params, jnp.asarray(x, wide), jnp.where(ε >= 0, ε, jnp.nan)


def fits(function: str, params: NormParams, x: Array, axes: int) -> None:
    """Raise unless scale and bias have the shape of the last axes of x."""
    wanted = x.shape[x.ndim - axes :]
    for name, p in given(params).items():
        if jnp.shape(p) != wanted:
            problem = f"{name} has shape {jnp.shape(p)}; wanted {wanted}"
            _checks.fail(function, f"{problem}, the last of the shape {x.shape} of x")


def apply_norm(
    params: NormParams, over: Over, wide: Array, epsilon: Array, x: Any, where: Where = None
) -> Standardized:
    """The normalisation of what was checked, rounded once to the precision of x and parameters."""
    scale, bias = (None if p is None else jnp.asarray(p, wide.dtype) for p in params)
    found = normalized(over, wide, epsilon, scale, bias, where)
    return found._replace(entries=_rounded(params, found.entries, x))


def affine(params: NormParams, z: Array, x: Any) -> Array:
    """Y = γ z + β, rounded once to the precision that x and the parameters have."""
    y = z if params.scale is None else z * params.scale
    y = y if params.bias is None else y + params.bias
    return _rounded(params, y, x)


def _rounded(params: NormParams, y: Array, x: Any) -> Array:
    return y.astype(jnp.result_type(x, *given(params).values()))
