"""The Mamba block: a convolution and a selective state space between two projections, with a gate.

Notation: m is the number of features, e that of the channels inside, n that of the states of each
channel, r the rank of the map to the steps Δ, w the width of the convolution.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import silu, softplus
from fnmath.initializers import lecun_normal, variance_scaling
from fnmath.layers._arguments import unpacked
from fnmath.layers.dense import DenseParams, dense, dense_init
from fnmath.layers.recurrent._parts import same_state
from fnmath.layers.state_space.scan import selective_scan, selective_scan_step


class MambaParams(NamedTuple):
    """The parameters of a Mamba block.

    In its authors' implementation they are called ``in_proj``, ``conv1d.weight`` and ``.bias``,
    ``x_proj``, ``dt_proj``, ``A_log``, ``D`` and ``out_proj``.
    """

    in_projection: DenseParams
    conv_kernel: Float[Array, "width 1 inner"]
    conv_bias: Float[Array, " inner"]
    selection: DenseParams
    step: DenseParams
    A_log: Float[Array, "inner states"]
    D: Float[Array, " inner"]
    out_projection: DenseParams


class MambaState(NamedTuple):
    """What a Mamba block remembers: the ``inputs`` of its convolution, and the ``states``."""

    inputs: Float[Array, "*batch past inner"]
    states: Float[Array, "*batch inner states"]


def mamba_init(
    key: PRNGKeyArray,
    features: int,
    *,
    expand: int = 2,
    states: int = 16,
    width: int = 4,
    rank: int | None = None,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> MambaParams:
    """Random parameters of a Mamba block.

        A_cj = −j,    D = 1,    softplus(b_Δ) ~ log-uniform on [0.001, 0.1],    W_Δ ~ 𝒰(−1/√r, 1/√r)

    and LeCun's normal draws for the other kernels. So states decay over 10 to 1000 steps at first,
    divided by j. The projections have no bias.

    Args:
        key: The random key.
        features: The number m of features, of the inputs and of the outputs.
        expand: How many channels there are inside for each feature, e/m.
        states: The number n of states of each channel.
        width: The width w of the convolution.
        rank: The rank r of the map from the channels to their steps; ⌈m/16⌉ if None.
        dtype: The dtype of all parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, or the dtype not a
            floating one.
        ValueError: If a size is below 1.

    Example:
        >>> params = mamba_init(jax.random.key(0), 32)
        >>> print(params.in_projection.kernel.shape, params.A_log.shape)
        (32, 128) (64, 16)

    Source:
        Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces (2023), §3.6
        and its implementation; the rates are those of S4D-Real: Gu, Gupta, Goel and Ré, On the
        parameterization and initialization of diagonal state space models (2022), §4.
    """
    _checks.key("mamba_init", key)
    _checks.size("mamba_init", features=features, expand=expand, states=states, width=width)
    rank = -(-features // 16) if rank is None else rank
    _checks.size("mamba_init", rank=rank)
    _checks.dtype("mamba_init", "dtype", dtype, jnp.floating, "a floating dtype")
    inner = expand * features
    keys = jax.random.split(key, 6)

    def projection(key: PRNGKeyArray, rows: int, columns: int) -> DenseParams:
        return dense_init(key, rows, columns, use_bias=False, dtype=dtype)

    even = variance_scaling(1 / 3, "fan_in", "uniform")
    low, high = math.log(0.001), math.log(0.1)
    first_steps = jnp.exp(jax.random.uniform(keys[3], (inner,), minval=low, maxval=high))
    return MambaParams(
        in_projection=projection(keys[0], features, 2 * inner),
        conv_kernel=lecun_normal()(keys[1], (width, 1, inner), dtype),
        conv_bias=jnp.zeros(inner, dtype),
        selection=projection(keys[2], inner, rank + 2 * states),
        # The inverse of softplus, log(exp Δ − 1).
        step=DenseParams(even(keys[4], (rank, inner), dtype), _log_expm1(first_steps, dtype)),
        A_log=jnp.tile(jnp.log(jnp.arange(1, states + 1, dtype=dtype)), (inner, 1)),
        D=jnp.ones(inner, dtype),
        out_projection=projection(keys[5], inner, features),
    )


def _log_expm1(x: jax.Array, dtype: Any) -> jax.Array:
    return jnp.log(jnp.expm1(x)).astype(dtype)


def mamba_state_init(params: MambaParams, *, batch: tuple[int, ...] = ()) -> MambaState:
    """The state of a Mamba block before a sequence: zeros.

        inputs = 0,    h = 0

    Args:
        params: The parameters of the block, which have its sizes.
        batch: The batch axes of the sequences.

    Returns:
        The state, to begin ``mamba_step`` with.

    Raises:
        TypeError: If params are not those of a Mamba block, or ``batch`` no tuple of integers.
        ValueError: If the parameters do not fit each other, or a size is negative.

    Example:
        >>> state = mamba_state_init(mamba_init(jax.random.key(0), 32), batch=(5,))
        >>> print(state.inputs.shape, state.states.shape)
        (5, 3, 64) (5, 64, 16)

    Source:
        Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces (2023), §3.4.
    """
    params = _fitting("mamba_state_init", params)
    if not isinstance(batch, tuple):
        problem = f"batch is a {type(batch).__name__}; wanted a tuple of integers"
        _checks.fail("mamba_state_init", problem, error=TypeError)
    for i, n in enumerate(batch):
        _checks.size("mamba_state_init", minimum=0, **{f"batch[{i}]": n})
    return _empty(params, batch)


def mamba(
    params: MambaParams,
    x: Float[Array, "*batch time features"],
    *,
    initial_state: MambaState | None = None,
    chunk: int = 64,
) -> tuple[Float[Array, "*batch time features"], MambaState]:
    """Mamba block over a sequence: what a residual connection goes around, in place of attention.

        [u, g] = x W_in
        u_t ← silu(Σⱼ k_j ⊙ u_t₋w₊₁₊ⱼ + b)                   (j = 0, …, w − 1: the past w entries)
        [s, B, C] = u W_sel,    Δ = softplus(s W_Δ + b_Δ)
        y = selective_scan(u, Δ, A = −exp(A_log), B, C, D)
        out = (y ⊙ silu(g)) W_out

    Every output depends on the entries up to its own. Training computes all of them at once, and
    ``mamba_step`` goes on from the final state entry by entry.

    Gradient:
        that of ``selective_scan`` and of the maps around it

    Args:
        params: The parameters, as ``mamba_init`` makes them.
        x: The sequences, features last and time before them.
        initial_state: The state before the sequence; zeros if None.
        chunk: How many steps of the recurrence are taken together, as in ``selective_scan``.

    Returns:
        The outputs, and the state after the last entry.

    Raises:
        TypeError: If params or the initial state are not those of a Mamba block, an array is not
            one of floating point, or ``chunk`` not an integer.
        ValueError: If the parameters do not fit each other and x, the initial state does not fit
            the two, or ``chunk`` is below 1.

    Example:
        >>> params = mamba_init(jax.random.key(0), 32)
        >>> y, state = mamba(params, jnp.ones((5, 10, 32)))
        >>> print(y.shape)
        (5, 10, 32)

    Source:
        Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces (2023), §3.4
        and figure 3.
    """
    _checks.size("mamba", chunk=chunk)
    params = _fitting("mamba", params, x, "time features")
    empty, time = _empty(params, x.shape[:-2]), x.shape[-2]
    state = empty if initial_state is None else initial_state
    state = same_state("mamba", "initial_state", state, empty)
    u, gate = jnp.split(dense(params.in_projection, jnp.asarray(x)), 2, axis=-1)
    inputs = jnp.concatenate([state.inputs, u], axis=-2)
    taps = [inputs[..., j : j + time, :] for j in range(len(params.conv_kernel))]
    u = _convolved(params, taps).astype(u.dtype)
    delta, coefficients = _selected(params, u)
    y, states = selective_scan(u, delta, **coefficients, initial_state=state.states, chunk=chunk)
    return dense(params.out_projection, y * silu(gate)), MambaState(inputs[..., time:, :], states)


def mamba_step(
    params: MambaParams,
    state: MambaState,
    x: Float[Array, "*batch features"],
) -> tuple[Float[Array, "*batch features"], MambaState]:
    """Step of the Mamba block, for a sequence that comes entry by entry.

        out_t, state_t = mamba(params, x_t, initial_state = state_t₋₁)

    in time and memory that do not depend on t.

    Gradient:
        that of ``mamba`` for T = 1

    Args:
        params: The parameters, as ``mamba_init`` makes them.
        state: The state before this entry: the last that ``mamba`` or this function returned, or
            that of ``mamba_state_init``.
        x: The entry of the sequence, features last.

    Returns:
        The output, and the next state.

    Raises:
        TypeError: If params or the state are not those of a Mamba block, or an array is not one of
            floating point.
        ValueError: If the parameters do not fit each other and x, or the state the two.

    Example:
        >>> params = mamba_init(jax.random.key(0), 32)
        >>> y, state = mamba_step(params, mamba_state_init(params), jnp.ones(32))
        >>> print(y.shape)
        (32,)

    Source:
        Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces (2023), §3.4.
    """
    params = _fitting("mamba_step", params, x, "features")
    state = same_state("mamba_step", "state", state, _empty(params, x.shape[:-1]))
    u, gate = jnp.split(dense(params.in_projection, jnp.asarray(x)), 2, axis=-1)
    inputs = jnp.concatenate([state.inputs, u[..., None, :]], axis=-2)
    taps = [inputs[..., j, :] for j in range(len(params.conv_kernel))]
    u = _convolved(params, taps).astype(u.dtype)
    delta, coefficients = _selected(params, u)
    y, states = selective_scan_step(state.states, u, delta, **coefficients)
    return dense(params.out_projection, y * silu(gate)), MambaState(inputs[..., 1:, :], states)


def _convolved(params: MambaParams, taps: list[jax.Array]) -> jax.Array:
    """The depthwise convolution, one tap after the other, and its silu; in single precision."""
    wide = jnp.promote_types(taps[0].dtype, jnp.float32)
    products = (tap.astype(wide) * k for tap, k in zip(taps, params.conv_kernel[:, 0], strict=True))
    return silu(sum(products, params.conv_bias.astype(wide)))


def _selected(params: MambaParams, u: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The steps Δ, and the coefficients A, B, C and D, of which B and C depend on the input too."""
    rank, states = len(params.step.kernel), params.A_log.shape[1]
    s, B, C = jnp.split(dense(params.selection, u), (rank, rank + states), axis=-1)
    delta = softplus(dense(params.step, s))
    return delta, {"A": -jnp.exp(params.A_log), "B": B, "C": C, "D": params.D}


def _empty(params: MambaParams, batch: tuple[int, ...]) -> MambaState:
    """Zeros in the dtype of the block."""
    dtype = jnp.result_type(*jax.tree.leaves(params))
    width, inner = len(params.conv_kernel), len(params.D)
    inputs = jnp.zeros((*batch, width - 1, inner), dtype)
    return MambaState(inputs, jnp.zeros((*batch, *params.A_log.shape), dtype))


def _fitting(function: str, params: Any, x: Any = None, axes: str = "") -> MambaParams:
    """The parameters; raise unless they are those of one block, and x has its features."""
    params = MambaParams(*unpacked(function, params, MambaParams))
    arrays = {name: getattr(params, name) for name in ("conv_kernel", "conv_bias", "A_log", "D")}
    _checks.floating(function, **arrays)
    _checks.rank(function, "A_log", params.A_log, "inner states", exact=True)
    _checks.rank(function, "conv_kernel", params.conv_kernel, "width 1 inner", exact=True)
    (inner, states), width = params.A_log.shape, params.conv_kernel.shape[0]
    rank = _dense("step", function, params.step, (None, inner))[0]
    features = _dense("in_projection", function, params.in_projection, (None, 2 * inner))[0]
    _dense("selection", function, params.selection, (inner, rank + 2 * states))
    _dense("out_projection", function, params.out_projection, (inner, None))
    wanted = {"conv_kernel": (width, 1, inner), "conv_bias": (inner,), "D": (inner,)}
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            problem = f"{name} has shape {arrays[name].shape}; wanted {shape}"
            _checks.fail(function, f"{problem}, for the {inner} channels of A_log")
    if axes:
        _checks.floating(function, x=x)
        _checks.rank(function, "x", x, axes)
        _checks.same_size(function, "features", x=x.shape[-1], in_projection=features)
    return params


def _dense(
    name: str, function: str, params: Any, shape: tuple[int | None, int | None]
) -> tuple[int, int]:
    """The sizes of a dense layer; raise unless it is one, of the shape where that is known."""
    if not (isinstance(params, tuple) and len(params) == 2):
        problem = f"{name} is a {type(params).__name__}; wanted DenseParams(kernel, bias)"
        _checks.fail(function, problem, error=TypeError)
    kernel, bias = params
    _checks.floating(function, **{f"{name}.kernel": kernel})
    _checks.rank(function, f"{name}.kernel", kernel, "in out", exact=True)
    sizes = zip(kernel.shape, shape, strict=True)
    rows, columns = (n if wanted is None else wanted for n, wanted in sizes)
    if kernel.shape != (rows, columns):
        problem = f"{name}.kernel has shape {kernel.shape}; wanted {(rows, columns)}"
        _checks.fail(function, problem)
    if bias is not None:
        _checks.floating(function, **{f"{name}.bias": bias})
        if jnp.shape(bias) != (columns,):
            problem = f"{name}.bias has shape {jnp.shape(bias)}; wanted {(columns,)}"
            _checks.fail(function, problem)
    return rows, columns
