"""The mode in which rules about values become messages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fnmath import _checks


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """A mode, off by default, in which rules about values become messages.

    Under ``jit`` a wrong value cannot raise: a label outside its range gives nan for its row, and
    says no more. Inside this context the same functions state their rules to
    ``jax.experimental.checkify``, which carries the first broken one out of the compiled program.
    The switch is part of jit's cache key: code compiled outside of it holds no check at all.

    Yields:
        Nothing; the rules are stated by whatever is traced inside the ``with`` block.

    Example:
        >>> from jax.experimental import checkify
        >>> from fnmath.losses import softmax_cross_entropy_with_integer_labels as cross_entropy
        >>> with checked():
        ...     loss = checkify.checkify(jax.jit(cross_entropy))
        ...     error, _ = loss(jnp.zeros((1, 3)), jnp.array([7]))
        >>> print(error.get().splitlines()[0].split(" (")[0])
        softmax_cross_entropy_with_integer_labels: label 7 outside [0, 3)

    Source:
        The documentation of ``jax.experimental.checkify`` and ``jax.make_user_context``.
    """
    with _checks.value_checks(True):
        yield
