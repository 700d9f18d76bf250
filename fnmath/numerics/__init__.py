"""What the rest of the house needs to stay finite, and right in its derivatives.

Notation: x, y are arrays taken elementwise; ẋ is a tangent (what forward mode carries), x̄ a
cotangent (what reverse mode carries); ε is the spacing of floating-point numbers just above 1.

A derivative by hand
--------------------
JAX differentiates the operations a formula is written in. Where those cancel or overflow, the
derivative is wrong though the value is right: autodiff of x·log y at x = y = 0 is 0·∞ = nan. The
cure is to hand over the derivative as a closed form of its own, with ``with_derivatives``:

    @with_derivatives(lambda x, y: jnp.log(y), lambda x, y: safe_divide(x, y))
    def xlogy(x, y): ...

It is one rule, in forward mode, linear in the tangent. JAX transposes it for reverse mode, and
differentiates the closed forms themselves for higher orders; where a closed form in turn
differentiates badly, it gets a rule of its own. So both modes and every order stay available.
"""

from fnmath.numerics.checking import checked
from fnmath.numerics.derivatives import with_derivatives
from fnmath.numerics.elementwise import log1mexp, safe_divide, safe_log, xlog1py, xlogy
from fnmath.numerics.reductions import logmeanexp, logsumexp, safe_norm

__all__ = [
    "checked",
    "log1mexp",
    "logmeanexp",
    "logsumexp",
    "safe_divide",
    "safe_log",
    "safe_norm",
    "with_derivatives",
    "xlog1py",
    "xlogy",
]
