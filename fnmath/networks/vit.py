"""The vision transformer: an encoder that reads an image as a sequence of patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import gelu
from fnmath.initializers import glorot_uniform, zeros
from fnmath.layers import ConvParams, DenseParams, conv_init, dense, dense_init
from fnmath.layers._arguments import unpacked
from fnmath.networks._patches import patch_counts, patches
from fnmath.networks.transformer import (
    TransformerEncoderParams,
    transformer_encoder,
    transformer_encoder_init,
)


class VitParams(NamedTuple):
    """The parameters of a vision transformer; ``class_token`` is None for one that averages."""

    class_token: Float[Array, " features"] | None
    conv_proj: ConvParams
    encoder: TransformerEncoderParams
    head: DenseParams


def vit_init(
    key: PRNGKeyArray,
    image_shape: tuple[int, int, int],
    outputs: int,
    *,
    patch: int | tuple[int, int] = 16,
    features: int = 768,
    depth: int = 12,
    heads: int = 12,
    hidden: int | None = None,
    use_class_token: bool = True,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> VitParams:
    """Random parameters of a vision transformer; by default ViT-Base with patches of 16 × 16.

        W ~ 𝒰(−√(6/(m + n)), √(6/(m + n))),    P ~ 𝒩(0, 0.02²),    class token, head and biases 0

    Glorot's uniform kernels of the encoder, LeCun's normal one for the patches: as in the authors'
    code, but for its biases of the perceptrons, of 𝒩(0, 10⁻¹²). The head of zeros gives all classes
    one score at first.

    Args:
        key: The random key.
        image_shape: The height, width and channels of an image.
        outputs: The number of outputs, such as classes.
        patch: The sides of a patch, (height, width) or one number for both, divisors of those of
            the image.
        features: The features of each patch within the network.
        depth: The number of blocks.
        heads: The number of heads of each, a divisor of the features.
        hidden: The hidden units of each perceptron; four times the features if None.
        use_class_token: Whether an entry of its own, which is learned, gathers what the head reads;
            without one it reads the average of the patches.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, the image's shape no
            three, ``use_class_token`` not a boolean, or the dtype not a floating one.
        ValueError: If a size is below 1, the patches do not fill the image, or the heads do not
            divide the features.

    Example:
        >>> params = vit_init(
        ...     jax.random.key(0), (32, 32, 3), 10, patch=4, features=64, depth=6, heads=4
        ... )
        >>> print(params.encoder.pos_embedding.embedding.shape)  # 8 × 8 patches and the class token
        (65, 64)

    Source:
        Dosovitskiy et al., An image is worth 16×16 words (2021), §3.1 and table 1.
    """
    name = "vit_init"
    _checks.key(name, key)
    sides, count = patch_counts(name, image_shape, patch)
    _checks.size(name, outputs=outputs, features=features)
    _checks.boolean(name, "use_class_token", use_class_token)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    conv_key, encoder_key, head_key = jax.random.split(key, 3)
    return VitParams(
        jnp.zeros(features, dtype) if use_class_token else None,
        conv_init(conv_key, sides, image_shape[2], features, dtype=dtype),
        transformer_encoder_init(
            encoder_key,
            features,
            length=count + use_class_token,
            depth=depth,
            heads=heads,
            hidden=hidden,
            kernel_init=glorot_uniform(),
            dtype=dtype,
        ),
        dense_init(head_key, features, outputs, kernel_init=zeros, dtype=dtype),
    )


def vit(
    params: VitParams,
    x: Float[Array, "*batch height width channels"],
    *,
    heads: int = 12,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    epsilon: float = 1e-6,
    checkpoint: bool = False,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float = 0.0,
) -> Float[Array, "*batch outputs"]:
    """Vision transformer: an encoder over the patches of an image, and a dense layer of its answer.

        h = encoder([class token, W x₁ + b, …, W x_N + b]),    z = head(h₀)

    or z = head(mean h) where there is no class token. The patches x₁ … x_N stand row by row; one
    strided convolution embeds them.

    Gradient:
        That of its layers, from the last to the first

    Args:
        params: The class token, the embedding of the patches, the encoder and the head, as
            ``vit_init`` makes them.
        x: Images of the size that the positions were made for.
        heads: The number of heads of each block; that of ViT-Base by default.
        activation: The function between the two layers of each perceptron; torchvision's is
            ``partial(gelu, approximate=False)``, the authors' code has the default.
        epsilon: What the normalisations add to the variance; Flax's and torchvision's default.
        checkpoint: Whether the backward pass computes the inside of each block again.
        dropout_key: The random key of the dropout; without one, nothing is dropped.
        dropout_rate: The probability that an entry of the patches' features, a weight of an
            attention, or an entry of what a branch adds is set to 0.

    Returns:
        The outputs: scores of classes, for example.

    Raises:
        TypeError: If params are not those of a vision transformer, an array does not hold numbers
            of its kind, or an option is none of its kind.
        ValueError: If the patches do not fill the images, there are more of them than positions,
            the shapes do not fit otherwise, or an option is out of its range.

    Example:
        >>> params = vit_init(
        ...     jax.random.key(0), (32, 32, 3), 10, patch=4, features=64, depth=6, heads=4
        ... )
        >>> print(vit(params, jnp.ones((5, 32, 32, 3)), heads=4).shape)
        (5, 10)

    Source:
        Dosovitskiy et al., An image is worth 16×16 words (2021), §3.1; Beyer, Zhai and Kolesnikov,
        Better plain ViT baselines for ImageNet-1k (2022), §2 (the average).
    """
    name = "vit"
    class_token, conv_proj, encoder, head = unpacked(name, params, VitParams)
    h = patches(name, conv_proj, x)
    if class_token is not None:
        _checks.floating(name, class_token=class_token)
        _checks.rank(name, "class_token", class_token, "features", exact=True)
        _checks.same_size(name, "features", class_token=len(class_token), kernel=h.shape[-1])
        first = jnp.broadcast_to(class_token, (*h.shape[:-2], 1, h.shape[-1]))
        h = jnp.concatenate([first, h], axis=-2)
    h = transformer_encoder(
        encoder,
        h,
        heads=heads,
        activation=activation,
        epsilon=epsilon,
        checkpoint=checkpoint,
        dropout_key=dropout_key,
        dropout_rate=dropout_rate,
    )
    return dense(head, h.mean(axis=-2) if class_token is None else h[..., 0, :])
