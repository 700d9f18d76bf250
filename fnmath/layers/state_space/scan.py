"""The selective state space itself: the recurrence over a sequence, and one step of it."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fnmath import _checks


def selective_scan(
    x: Float[Array, "*batch time channels"],
    delta: Float[Array, "*batch time channels"],
    *,
    A: Float[Array, "channels states"],
    B: Float[Array, "*batch time states"],
    C: Float[Array, "*batch time states"],
    D: Float[Array, " channels"] | None = None,
    initial_state: Float[Array, "*batch channels states"] | None = None,
    chunk: int = 64,
) -> tuple[Float[Array, "*batch time channels"], Float[Array, "*batch channels states"]]:
    """Selective state space, a linear recurrence with coefficients that depend on the input.

        h_t = exp(Δ_t A) ⊙ h_t₋₁ + Δ_t x_t B_tᵀ,    y_t = h_t C_t + D ⊙ x_t,    t = 1, …, T

    Steps h ↦ a h + b compose to one of the same form, (a, b) then (a', b') being (a' a, a' b + b'),
    so that those of a chunk are taken together in log₂(chunk) rounds; chunks follow each other.
    Only the states of one chunk, and the one at each chunk's beginning, are kept: the rest is
    computed again for the gradient. The memory is ∝ chunk + T/chunk, instead of T, states.

    Gradient:
        h̄_t = ȳ_t C_tᵀ + exp(Δ_t₊₁ A) ⊙ h̄_t₊₁,    Ā = Σ_t Δ_t exp(Δ_t A) ⊙ h_t₋₁ ⊙ h̄_t,
        x̄_t = Δ_t (h̄_t B_t) + D ⊙ ȳ_t,    Δ̄_t = x_t (h̄_t B_t) + Σ_states A exp(Δ_t A) h_t₋₁ h̄_t,
        B̄_t = h̄_tᵀ (Δ_t x_t),    C̄_t = h_tᵀ ȳ_t,    D̄ = Σ_t x_t ȳ_t

    Half precision is carried in float32.

    Args:
        x: The sequences, channels last and time before them.
        delta: The steps Δ, in the shape of x.
        A: The rates of decay, below 0, of each channel's states.
        B: How each entry of a sequence is added to the states; shared by the channels.
        C: How the states are read; shared by the channels.
        D: How much of x passes by the states; nothing if None.
        initial_state: The state h₀; zeros if None.
        chunk: How many steps are taken together.

    Returns:
        The outputs y, in the dtype of x, and the state after the last step.

    Raises:
        TypeError: If an array is not one of floating point, or ``chunk`` not an integer.
        ValueError: If the shapes do not fit each other, or ``chunk`` is below 1.

    Example:
        >>> x, delta = jnp.array([[1.0], [0.0], [0.0]]), jnp.ones((3, 1))
        >>> B = C = jnp.ones((3, 1))
        >>> y, h = selective_scan(x, delta, A=-jnp.log(jnp.full((1, 1), 2.0)), B=B, C=C)
        >>> print(y[:, 0])  # halved at every step
        [1.   0.5  0.25]

    Source:
        Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces (2023), §2,
        algorithm 2 and §3.3.2 (recomputation), with B̄ = Δ B as in its implementation; Blelloch,
        Prefix sums and their applications (1990), §1.4 (recurrences as scans).
    """
    _checks.size("selective_scan", chunk=chunk)
    _checks.rank("selective_scan", "x", x, "time channels")
    _fitting("selective_scan", x, delta, A, B, C, D)
    state = (
        jnp.zeros((*x.shape[:-2], *A.shape), x.dtype) if initial_state is None else initial_state
    )
    _checks.floating("selective_scan", initial_state=state)
    _shape("selective_scan", "initial_state", state, (*x.shape[:-2], *A.shape))
    dtype = _wide(x, delta, A, B, C, *(() if D is None else (D,)), state)
    time = x.shape[-2]
    chunks = -(-time // chunk)

    def cut(a: jax.Array) -> jax.Array:
        """Time in chunks, first; what fills up the last has Δ = 0, and leaves the state alone."""
        a = jnp.moveaxis(jnp.asarray(a, dtype), -2, 0)
        filled = jnp.pad(a, [(0, chunks * chunk - time)] + [(0, 0)] * (a.ndim - 1))
        return filled.reshape(chunks, chunk, *a.shape[1:])

    through = jax.checkpoint(functools.partial(_through_chunk, jnp.asarray(A, dtype)))
    arrays = tuple(cut(a) for a in (x, delta, B, C))
    final, y = lax.scan(through, jnp.asarray(state, dtype), arrays)
    y = jnp.moveaxis(y.reshape(chunks * chunk, *y.shape[2:])[:time], 0, -2)
    y = y if D is None else y + jnp.asarray(D, dtype) * x
    return y.astype(x.dtype), final.astype(state.dtype)


def _through_chunk(
    A: jax.Array, state: jax.Array, arrays: tuple[jax.Array, ...]
) -> tuple[jax.Array, jax.Array]:
    """The state after a chunk, and its outputs; the state comes in through the first step."""
    x, delta, B, C = arrays
    kept = jnp.exp(delta[..., None] * A)
    added = (delta * x)[..., None] * B[..., None, :]
    added = added.at[0].add(kept[0] * state)

    def then(first: tuple, second: tuple) -> tuple:
        (a, b), (c, d) = first, second
        return c * a, c * b + d

    _, h = lax.associative_scan(then, (kept, added))
    return h[-1], jnp.einsum("...cn,...n->...c", h, C)


def selective_scan_step(
    state: Float[Array, "*batch channels states"],
    x: Float[Array, "*batch channels"],
    delta: Float[Array, "*batch channels"],
    *,
    A: Float[Array, "channels states"],
    B: Float[Array, "*batch states"],
    C: Float[Array, "*batch states"],
    D: Float[Array, " channels"] | None = None,
) -> tuple[Float[Array, "*batch channels"], Float[Array, "*batch channels states"]]:
    """Step of the selective state space, for a sequence that comes entry by entry.

        h' = exp(Δ A) ⊙ h + Δ x Bᵀ,    y = h' C + D ⊙ x

    Gradient:
        that of ``selective_scan`` for T = 1

    Args:
        state: The state h of each channel.
        x: The entry of the sequence, channels last.
        delta: The step Δ, in the shape of x.
        A: The rates of decay, below 0, of each channel's states.
        B: How the entry is added to the states; shared by the channels.
        C: How the states are read; shared by the channels.
        D: How much of x passes by the states; nothing if None.

    Returns:
        The output y, in the dtype of x, and the next state, in that of the state.

    Raises:
        TypeError: If an array is not one of floating point.
        ValueError: If the shapes do not fit each other.

    Example:
        >>> one = jnp.ones(1)
        >>> y, h = selective_scan_step(jnp.full((1, 1), 4.0), one, one, A=-one[None], B=one, C=one)
        >>> print(f"{y[0]:.4f}")  # 4/e + 1
        2.4715

    Source:
        Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces (2023), §2.
    """
    _checks.rank("selective_scan_step", "x", x, "channels")
    _fitting("selective_scan_step", x, delta, A, B, C, D)
    _checks.floating("selective_scan_step", state=state)
    _shape("selective_scan_step", "state", state, (*x.shape[:-1], *A.shape))
    dtype = _wide(x, delta, A, B, C, *(() if D is None else (D,)), state)
    wide_x, delta, A, B, C, h = (jnp.asarray(a, dtype) for a in (x, delta, A, B, C, state))
    h = jnp.exp(delta[..., None] * A) * h + (delta * wide_x)[..., None] * B[..., None, :]
    y = jnp.einsum("...cn,...n->...c", h, C)
    y = y if D is None else y + jnp.asarray(D, dtype) * wide_x
    return y.astype(x.dtype), h.astype(state.dtype)


def _wide(*arrays: Any) -> Any:
    """The dtype of what they give together, single precision at least."""
    return jnp.promote_types(jnp.result_type(*arrays), jnp.float32)


def _shape(function: str, argument: str, x: Any, wanted: tuple[int, ...]) -> None:
    if jnp.shape(x) != wanted:
        _checks.fail(function, f"{argument} has shape {jnp.shape(x)}; wanted {wanted}")


def _fitting(function: str, x: Any, delta: Any, A: Any, B: Any, C: Any, D: Any) -> None:
    """Raise unless the coefficients of a state space fit its input."""
    optional = {} if D is None else {"D": D}
    _checks.floating(function, x=x, delta=delta, A=A, B=B, C=C, **optional)
    _checks.same_shape(function, x=x, delta=delta)
    _checks.rank(function, "A", A, "channels states", exact=True)
    _checks.same_size(function, "channels", x=x.shape[-1], A=A.shape[0])
    for argument, coefficients in (("B", B), ("C", C)):
        _shape(function, argument, coefficients, (*x.shape[:-1], A.shape[1]))
    if D is not None:
        _shape(function, "D", D, x.shape[-1:])
