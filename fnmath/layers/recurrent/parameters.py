"""The parameters of the recurrent layers, and how they start."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import lecun_normal, orthogonal, zeros
from fnmath.layers._arguments import Initializer, bias_or_none, drawn


class RNNParams(NamedTuple):
    """The parameters of a simple recurrent layer: W (in, hidden), U (hidden, hidden), b and d."""

    kernel: Float[Array, "in hidden"]
    recurrent_kernel: Float[Array, "hidden hidden"]
    bias: Float[Array, " hidden"] | None = None
    recurrent_bias: Float[Array, " hidden"] | None = None


class GRUParams(NamedTuple):
    """The parameters of a GRU; the columns are those of the gates r, z and the candidate n."""

    kernel: Float[Array, "in 3*hidden"]
    recurrent_kernel: Float[Array, "hidden 3*hidden"]
    bias: Float[Array, " 3*hidden"] | None = None
    recurrent_bias: Float[Array, " 3*hidden"] | None = None


class LSTMParams(NamedTuple):
    """The parameters of an LSTM; the columns are those of the gates i, f, g and o."""

    kernel: Float[Array, "in 4*hidden"]
    recurrent_kernel: Float[Array, "hidden 4*hidden"]
    bias: Float[Array, " 4*hidden"] | None = None
    recurrent_bias: Float[Array, " 4*hidden"] | None = None


Params = TypeVar("Params", RNNParams, GRUParams, LSTMParams)


def rnn_init(
    key: PRNGKeyArray,
    in_features: int,
    hidden: int,
    *,
    use_bias: bool = True,
    use_recurrent_bias: bool = False,
    kernel_init: Initializer | None = None,
    recurrent_kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> RNNParams:
    """Random parameters of a simple recurrent layer.

        W ~ 𝒩(0, 1/m), truncated,    U orthogonal,    b = 0        (unless others are given)

    An orthogonal U neither stretches nor shrinks the state, however often it is applied. These are
    Flax's defaults; PyTorch draws everything from 𝒰(−1/√hidden, 1/√hidden).

    Args:
        key: The random key.
        in_features: The number m of input features.
        hidden: The number of hidden units, which is that of the outputs.
        use_bias: Whether there is a bias b.
        use_recurrent_bias: Whether there is a second one, d, as in PyTorch.
        kernel_init: Draws W, as ``kernel_init(key, (m, hidden), dtype)``; LeCun's truncated normal
            when None.
        recurrent_kernel_init: Draws U, of shape (hidden, hidden); orthogonal when None.
        bias_init: Draws the biases, of shape (hidden,).
        dtype: The dtype of all.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, a switch not a boolean, an
            initialiser not a function or what it draws not an array, or the dtype not a floating
            one.
        ValueError: If a size is below 1, or an initialiser draws another shape than asked for.

    Example:
        >>> params = rnn_init(jax.random.key(0), 3, 4)
        >>> print(params.kernel.shape, params.recurrent_kernel.shape, params.bias.shape)
        (3, 4) (4, 4) (4,)

    Source:
        Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks (2014), §3.
    """
    inits = (kernel_init, recurrent_kernel_init, bias_init)
    biases = (use_bias, use_recurrent_bias)
    return _drawn(RNNParams, key, (in_features, hidden), inits, biases, dtype)


def gru_init(
    key: PRNGKeyArray,
    in_features: int,
    hidden: int,
    *,
    use_bias: bool = True,
    use_recurrent_bias: bool = True,
    kernel_init: Initializer | None = None,
    recurrent_kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> GRUParams:
    """Random parameters of a GRU.

        W ~ 𝒩(0, 1/m), truncated,    each gate's U orthogonal,    b = d = 0

    unless others are given. Both biases are drawn by default, since the candidate needs both. These
    are Flax's defaults; PyTorch draws everything from 𝒰(−1/√hidden, 1/√hidden).

    Args:
        key: The random key.
        in_features: The number m of input features.
        hidden: The number of hidden units, which is that of the outputs.
        use_bias: Whether there is a bias b.
        use_recurrent_bias: Whether there is a bias d of what comes from the state.
        kernel_init: Draws each gate's W, as ``kernel_init(key, (m, hidden), dtype)``; LeCun's
            truncated normal when None.
        recurrent_kernel_init: Draws each gate's U, of shape (hidden, hidden); orthogonal when None.
        bias_init: Draws the biases, of shape (3 hidden,).
        dtype: The dtype of all.

    Returns:
        The parameters, the gates side by side in the order r, z, n.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, a switch not a boolean, an
            initialiser not a function or what it draws not an array, or the dtype not a floating
            one.
        ValueError: If a size is below 1, or an initialiser draws another shape than asked for.

    Example:
        >>> params = gru_init(jax.random.key(0), 3, 4)
        >>> print(params.kernel.shape, params.recurrent_kernel.shape, params.bias.shape)
        (3, 12) (4, 12) (12,)

    Source:
        Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks (2014), §3; ``flax.linen.GRUCell``.
    """
    inits = (kernel_init, recurrent_kernel_init, bias_init)
    biases = (use_bias, use_recurrent_bias)
    return _drawn(GRUParams, key, (in_features, hidden), inits, biases, dtype)


def lstm_init(
    key: PRNGKeyArray,
    in_features: int,
    hidden: int,
    *,
    use_bias: bool = True,
    use_recurrent_bias: bool = False,
    kernel_init: Initializer | None = None,
    recurrent_kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> LSTMParams:
    """Random parameters of an LSTM.

        W ~ 𝒩(0, 1/m), truncated,    each gate's U orthogonal,    b = 0

    unless others are given. These are Flax's defaults; PyTorch draws everything from
    𝒰(−1/√hidden, 1/√hidden). A forget gate that starts open is a bias of 1 in the second quarter:
    ``params._replace(bias=params.bias.at[hidden : 2 * hidden].set(1))``.

    Args:
        key: The random key.
        in_features: The number m of input features.
        hidden: The number of hidden units, which is that of the outputs.
        use_bias: Whether there is a bias b.
        use_recurrent_bias: Whether there is a second one, d, as in PyTorch.
        kernel_init: Draws each gate's W, as ``kernel_init(key, (m, hidden), dtype)``; LeCun's
            truncated normal when None.
        recurrent_kernel_init: Draws each gate's U, of shape (hidden, hidden); orthogonal when None.
        bias_init: Draws the biases, of shape (4 hidden,).
        dtype: The dtype of all.

    Returns:
        The parameters, the gates side by side in the order i, f, g, o.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, a switch not a boolean, an
            initialiser not a function or what it draws not an array, or the dtype not a floating
            one.
        ValueError: If a size is below 1, or an initialiser draws another shape than asked for.

    Example:
        >>> params = lstm_init(jax.random.key(0), 3, 4)
        >>> print(params.kernel.shape, params.recurrent_kernel.shape, params.bias.shape)
        (3, 16) (4, 16) (16,)

    Source:
        Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks (2014), §3; Jozefowicz, Zaremba and Sutskever, An empirical
        exploration of recurrent network architectures (2015), §2.2 (the forget gate's bias).
    """
    inits = (kernel_init, recurrent_kernel_init, bias_init)
    biases = (use_bias, use_recurrent_bias)
    return _drawn(LSTMParams, key, (in_features, hidden), inits, biases, dtype)


_GATES = {RNNParams: 1, GRUParams: 3, LSTMParams: 4}


def _drawn(
    kind: type[Params],
    key: PRNGKeyArray,
    sizes: tuple[int, int],
    inits: tuple[Initializer | None, Initializer | None, Initializer],
    biases: tuple[bool, bool],
    dtype: jax.typing.DTypeLike,
) -> Params:
    """Both kernels, each gate's columns drawn on their own, and the biases that there are."""
    function, gates = f"{kind.__name__.removesuffix('Params').lower()}_init", _GATES[kind]
    inputs, hidden = sizes
    kernel_init, recurrent_kernel_init, bias_init = inits
    use_bias, use_recurrent_bias = biases
    _checks.key(function, key)
    _checks.size(function, in_features=inputs, hidden=hidden)
    _checks.boolean(function, "use_recurrent_bias", use_recurrent_bias)
    _checks.dtype(function, "dtype", dtype, jnp.floating, "a floating dtype")
    keys = jax.random.split(key, 4)

    def kernel(argument: str, init: Initializer, key: PRNGKeyArray, rows: int) -> jax.Array:
        each = (
            drawn(function, argument, init, k, (rows, hidden), dtype)
            for k in jax.random.split(key, gates)
        )
        return jnp.concatenate(list(each), axis=-1)

    def bias(use: bool, key: PRNGKeyArray) -> jax.Array | None:
        return bias_or_none(function, use, bias_init, key, (gates * hidden,), dtype)

    W_init = lecun_normal() if kernel_init is None else kernel_init
    U_init = orthogonal() if recurrent_kernel_init is None else recurrent_kernel_init
    return kind(
        kernel=kernel("kernel_init", W_init, keys[0], inputs),
        recurrent_kernel=kernel("recurrent_kernel_init", U_init, keys[1], hidden),
        bias=bias(use_bias, keys[2]),
        recurrent_bias=bias(use_recurrent_bias, keys[3]),
    )
