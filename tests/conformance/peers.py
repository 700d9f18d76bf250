"""JAX with optax, and PyTorch, as the reference cases call them: for comparison only."""

import importlib.util

import jax
import jax.numpy as jnp
import optax


def jax_functions():
    """``jax.nn`` and ``optax.losses`` by the names of the cases."""
    names = (
        "sigmoid softplus silu mish elu celu selu log_sigmoid hard_sigmoid hard_silu squareplus "
        "soft_sign log1mexp softmax log_softmax logsumexp logmeanexp"
    )
    functions = {name: getattr(jax.nn, name) for name in names.split()} | {
        "tanh": jnp.tanh,
        "gelu_tanh": jax.nn.gelu,
        "gelu_erf": lambda x: jax.nn.gelu(x, approximate=False),
    }
    names = (
        "squared_error l2_loss huber_loss log_cosh sigmoid_binary_cross_entropy hinge_loss "
        "softmax_cross_entropy softmax_cross_entropy_with_integer_labels poly_loss_cross_entropy "
        "cosine_similarity cosine_distance sigmoid_focal_loss"
    )
    return functions | {name: getattr(optax.losses, name) for name in names.split()}


def torch_functions():
    """``torch.nn.functional`` by the names of the cases; none where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch
    from torch.nn import functional

    def rows(f, **fixed):
        """A function of a batch, called on one example; a label is an integer of 64 bits."""
        return lambda z, t, **options: f(z[None], t[None], **fixed, **options)[0]

    each = {"reduction": "none"}
    return {
        **{
            name: getattr(functional, name)
            for name in ["softplus", "silu", "mish", "elu", "celu", "selu"]
        },
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "log_sigmoid": functional.logsigmoid,
        "hard_sigmoid": functional.hardsigmoid,
        "hard_silu": functional.hardswish,
        "soft_sign": functional.softsign,
        "tanhshrink": functional.tanhshrink,
        "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "gelu_erf": functional.gelu,
        "softmax": lambda x: functional.softmax(x, -1),
        "log_softmax": lambda x: functional.log_softmax(x, -1),
        "softmin": lambda x: functional.softmin(x, -1),
        "logsumexp": lambda x: torch.logsumexp(x, -1),
        "squared_error": lambda y, t: functional.mse_loss(y, t, **each),
        "huber_loss": lambda y, t, delta: functional.huber_loss(y, t, delta=delta, **each),
        "sigmoid_binary_cross_entropy": lambda z, t: functional.binary_cross_entropy_with_logits(
            z, t, **each
        ),
        "soft_margin_loss": lambda z, t: functional.soft_margin_loss(z, t, **each),
        "gaussian_nll_loss": lambda y, t, v: functional.gaussian_nll_loss(
            y[None], t[None], v[None], **each
        )[0],
        "poisson_nll_loss": lambda y, t: functional.poisson_nll_loss(y, t, **each),
        "softmax_cross_entropy": rows(functional.cross_entropy, **each),
        "softmax_cross_entropy_with_integer_labels": rows(functional.cross_entropy, **each),
        "cosine_similarity": lambda u, v: functional.cosine_similarity(u, v, dim=-1, eps=0.0),
    }
