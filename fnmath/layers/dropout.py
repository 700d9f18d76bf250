"""Dropout: noise that switches parts of a network off while it learns.

Notation: p is the rate, the probability of dropping; q = 1 − p; m is a mask of independent entries,
1 with probability q and 0 with probability p. What kind of part an entry of the mask stands for is
the only difference between the functions:

    dropout                 one entry of x
    channel_dropout         one channel of one example, at all of its positions
    drop_path               one whole example
    alpha_dropout           one entry, set to a value that keeps the mean and the variance
    channel_alpha_dropout   one channel of one example, likewise

Without a key there is no noise, and each of them is the identity: a network that is given no key
evaluates, one that is given a key learns.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.numerics._wide import computed_wide

# What SELU tends to at −∞, −λα with λ = 1.0507009873554805 and α = 1.6732632423543772.
_SELU_FLOOR = -1.7580993408473766


def dropout(
    key: PRNGKeyArray | None, x: Float[Array, "*shape"], *, rate: float | Float[Array, ""]
) -> Float[Array, "*shape"]:
    """Entries of x, each dropped with probability p, the others scaled up so that the mean stays.

        y = m ⊙ x / q,    mᵢ ~ Bernoulli(q),    E y = x

    Scaling by 1/q while learning leaves nothing to do when the network is evaluated. What is
    dropped is 0, whatever it was.

    Gradient:
        x̄ = m ⊙ ȳ / q,    with the mask of the forward pass

    Args:
        key: The random key, which draws the mask; None for no noise: y = x.
        x: The entries.
        rate: The probability p in [0, 1) of dropping; an array outside of it gives nan.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: If the key is neither a random key nor None, x not of floating point, or the rate
            not a number.
        ValueError: If the rate is outside [0, 1): at 1 nothing is left to scale up.

    Example:
        >>> print(dropout(jax.random.key(0), jnp.ones(8), rate=0.5))
        [0. 0. 2. 2. 0. 2. 2. 0.]

    Source:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout: a simple way to
        prevent neural networks from overfitting (2014), §4 and §10.
    """
    _check("dropout", key, x, rate)
    return _scaled(key, x, rate, jnp.shape(x))


def channel_dropout(
    key: PRNGKeyArray | None,
    x: Float[Array, "*shape"],
    *,
    rate: float | Float[Array, ""],
    spatial: int = 2,
) -> Float[Array, "*shape"]:
    """Channels of each example, dropped whole with probability p, the others scaled up.

        y[…, c] = m[c] x[…, c] / q    for all positions … of an example,    E y = x

    Neighbouring pixels of a feature map are so alike that to drop single ones takes little away.

    Gradient:
        x̄ = m ⊙ ȳ / q,    with the mask of the forward pass

    Args:
        key: The random key, which draws the mask; None for no noise: y = x.
        x: Feature maps ``*batch *positions channels``.
        rate: The probability p in [0, 1) of dropping; an array outside of it gives nan.
        spatial: How many axes before that of the channels are positions: 1 for sequences, 2 for
            images, 3 for volumes (PyTorch's ``dropout1d``, ``dropout2d`` and ``dropout3d``).

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: If the key is neither a random key nor None, x not of floating point, the rate
            not a number, or ``spatial`` not an integer.
        ValueError: If the rate is outside [0, 1), ``spatial`` negative, or x has fewer axes.

    Example:
        >>> y = channel_dropout(jax.random.key(0), jnp.ones((2, 2, 4)), rate=0.5)
        >>> print(y.reshape(4, 4))
        [[0. 0. 2. 2.]
         [0. 0. 2. 2.]
         [0. 0. 2. 2.]
         [0. 0. 2. 2.]]

    Source:
        Tompson, Goroshin, Jain, LeCun and Bregler, Efficient object localization using
        convolutional networks (2015), §3.2.
    """
    _check("channel_dropout", key, x, rate)
    return _scaled(key, x, rate, _channels("channel_dropout", x, spatial))


def drop_path(
    key: PRNGKeyArray | None,
    x: Float[Array, "*shape"],
    *,
    rate: float | Float[Array, ""],
    example_axes: int = 1,
) -> Float[Array, "*shape"]:
    """Whole examples, dropped with probability p, the others scaled up: stochastic depth.

        y = m x / q    with one m per example,    E y = x

    Applied to the branch of a residual block, h + y, it takes the block out of the network for the
    examples that are dropped. The paper raises p from layer to layer, pₗ = p l / L.

    Gradient:
        x̄ = m ȳ / q,    with the mask of the forward pass

    Args:
        key: The random key, which draws the mask; None for no noise: y = x.
        x: What the branch gives, ``*examples *features``.
        rate: The probability p in [0, 1) of dropping; an array outside of it gives nan.
        example_axes: How many leading axes count the examples; 0 where x is one example.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: If the key is neither a random key nor None, x not of floating point, the rate
            not a number, or ``example_axes`` not an integer.
        ValueError: If the rate is outside [0, 1), ``example_axes`` negative, or x has fewer axes.

    Example:
        >>> print(drop_path(jax.random.key(0), jnp.ones((4, 3)), rate=0.5))
        [[0. 0. 0.]
         [0. 0. 0.]
         [2. 2. 2.]
         [2. 2. 2.]]

    Source:
        Huang, Sun, Liu, Sedra and Weinberger, Deep networks with stochastic depth (2016), §3;
        scaled while learning, as in Larsson, Maire and Shakhnarovich, FractalNet (2017).
    """
    _check("drop_path", key, x, rate)
    _checks.size("drop_path", minimum=0, example_axes=example_axes)
    shape = jnp.shape(x)
    if len(shape) < example_axes:
        _checks.fail("drop_path", f"x has shape {shape}; wanted at least {example_axes} axes")
    return _scaled(key, x, rate, (*shape[:example_axes], *[1] * (len(shape) - example_axes)))


def alpha_dropout(
    key: PRNGKeyArray | None, x: Float[Array, "*shape"], *, rate: float | Float[Array, ""]
) -> Float[Array, "*shape"]:
    """Dropout for networks of SELUs, which keeps a mean of 0 and a variance of 1.

        y = a (m x + (1 − m) α′) + b,    α′ = lim selu(−∞) = −1.7580993408473766,
        a = (q (1 + p α′²))^(−½),    b = −a p α′

    A unit of a self-normalising network is switched off by the value of its far negative end, not
    by 0. When x has mean 0 and variance 1, m x + (1 − m) α′ has mean p α′ and variance
    q (1 + p α′²), which a and b undo.

    Gradient:
        x̄ = a m ⊙ ȳ,    with the mask of the forward pass

    Args:
        key: The random key, which draws the mask; None for no noise: y = x.
        x: The entries, of mean 0 and variance 1.
        rate: The probability p in [0, 1) of dropping; an array outside of it gives nan.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: If the key is neither a random key nor None, x not of floating point, or the rate
            not a number.
        ValueError: If the rate is outside [0, 1).

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (100_000,))
        >>> y = alpha_dropout(jax.random.key(1), x, rate=0.1)
        >>> print(f"{abs(y.mean()):.2f} {y.var():.2f}")
        0.00 1.00

    Source:
        Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks (2017), §2,
        "New dropout technique".
    """
    _check("alpha_dropout", key, x, rate)
    return _to_the_floor(key, x, rate, jnp.shape(x))


def channel_alpha_dropout(
    key: PRNGKeyArray | None,
    x: Float[Array, "*shape"],
    *,
    rate: float | Float[Array, ""],
    spatial: int = 2,
) -> Float[Array, "*shape"]:
    """Alpha dropout of whole channels of each example.

        y[…, c] = a (m[c] x[…, c] + (1 − m[c]) α′) + b    for all positions … of an example

    with the a, b and α′ of ``alpha_dropout``.

    Gradient:
        x̄ = a m ⊙ ȳ,    with the mask of the forward pass

    Args:
        key: The random key, which draws the mask; None for no noise: y = x.
        x: Feature maps ``*batch *positions channels``, of mean 0 and variance 1.
        rate: The probability p in [0, 1) of dropping; an array outside of it gives nan.
        spatial: How many axes before that of the channels are positions: 1 for sequences, 2 for
            images, 3 for volumes.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: If the key is neither a random key nor None, x not of floating point, the rate
            not a number, or ``spatial`` not an integer.
        ValueError: If the rate is outside [0, 1), ``spatial`` negative, or x has fewer axes.

    Example:
        >>> y = channel_alpha_dropout(jax.random.key(0), jnp.zeros((2, 2, 4)), rate=0.5)
        >>> print((y > 0).reshape(4, 4)[0], bool((y == y[0, 0]).all()))
        [False False  True  True] True

    Source:
        Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks (2017), §2;
        ``torch.nn.functional.feature_alpha_dropout``.
    """
    _check("channel_alpha_dropout", key, x, rate)
    return _to_the_floor(key, x, rate, _channels("channel_alpha_dropout", x, spatial))


def _check(name: str, key: Any, x: Any, rate: Any) -> None:
    if key is not None:
        _checks.key(name, key)
    _checks.floating(name, x=x)
    _checks.number(name, "rate", rate, above=0, below=1, closed="[")
    if jnp.shape(rate):
        _checks.fail(name, f"rate has shape {jnp.shape(rate)}; wanted one number")


def _channels(name: str, x: Any, spatial: Any) -> tuple[int, ...]:
    """The shape of a mask that is one number for each channel of each example."""
    _checks.size(name, minimum=0, spatial=spatial)
    shape = jnp.shape(x)
    if len(shape) <= spatial:
        axes = f"{spatial} of positions and one of channels"
        _checks.fail(name, f"x has shape {shape}; wanted at least {spatial + 1} axes, {axes}")
    return (*shape[: len(shape) - 1 - spatial], *[1] * spatial, shape[-1])


def _none_dropped(key: Any, rate: Any) -> bool:
    return key is None or (not isinstance(rate, jax.Array) and rate == 0)


def _kept(key: PRNGKeyArray, q: Any, shape: tuple[int, ...]) -> Bool[Array, "..."]:
    return jax.random.bernoulli(key, q, shape)


def _keeping(rate: Any) -> Any:
    """The probability q = 1 − p of keeping; nan where the rate is an array outside [0, 1)."""
    if not isinstance(rate, jax.Array):
        return 1 - rate
    q = 1 - rate.astype(jnp.promote_types(rate.dtype, jnp.float32))  # 0.999 is 1 in bfloat16
    return jnp.where((q > 0) & (q <= 1), q, jnp.nan)


def _scaled(key: Any, x: Any, rate: Any, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """M ⊙ x / q, with a mask of that shape."""
    if _none_dropped(key, rate):
        return jnp.asarray(x)
    q = _keeping(rate)
    kept = _kept(key, q, shape)
    return computed_wide(lambda x: jnp.where(kept, x / q, 0 * q), x)


def _to_the_floor(key: Any, x: Any, rate: Any, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """A (m ⊙ x + (1 − m) α′) + b, with a mask of that shape; b = −a p α′ is put into both cases."""
    if _none_dropped(key, rate):
        return jnp.asarray(x)
    q, level = _keeping(rate), _SELU_FLOOR
    a = (q * (1 + (1 - q) * level**2)) ** -0.5
    kept = _kept(key, q, shape)
    return computed_wide(lambda x: jnp.where(kept, a * (x - (1 - q) * level), a * q * level), x)
