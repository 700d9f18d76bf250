"""Networks: layers and activations composed into one function of the parameters and the input.

Every network is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are tuples or NamedTuples with the parameters of each layer: plain Python,
which ``jax.grad`` and optax take as they are.

    autoencoder      an input from its code
    convnext         stages of blocks: wide depthwise convolutions and dense layers
    lenet            two convolutions with pooling, three dense layers
    mlp              dense layers with an activation between each two
    resnet           stages of blocks: two convolutions beside the identity
    unet             an image from an image, coarse and fine
    vae              an input from a draw of its code; vae_encode, vae_decode are its halves
"""

from fnmath.networks.autoencoder import AutoencoderParams, autoencoder, autoencoder_init
from fnmath.networks.convnext import (
    ConvnextBlockParams,
    ConvnextParams,
    DownsampleParams,
    convnext,
    convnext_block,
    convnext_block_init,
    convnext_init,
)
from fnmath.networks.lenet import LenetParams, lenet, lenet_init
from fnmath.networks.mlp import mlp, mlp_init
from fnmath.networks.resnet import (
    ResnetBlockParams,
    ResnetBlockStats,
    ResnetParams,
    ResnetStageParams,
    ResnetStageStats,
    ResnetStats,
    ShortcutParams,
    ShortcutStats,
    resnet,
    resnet_init,
    resnet_train,
)
from fnmath.networks.unet import UnetDownParams, UnetParams, UnetUpParams, unet, unet_init
from fnmath.networks.vae import VaeOutput, VaeParams, vae, vae_decode, vae_encode, vae_init

__all__ = [
    "AutoencoderParams",
    "ConvnextBlockParams",
    "ConvnextParams",
    "DownsampleParams",
    "LenetParams",
    "ResnetBlockParams",
    "ResnetBlockStats",
    "ResnetParams",
    "ResnetStageParams",
    "ResnetStageStats",
    "ResnetStats",
    "ShortcutParams",
    "ShortcutStats",
    "UnetDownParams",
    "UnetParams",
    "UnetUpParams",
    "VaeOutput",
    "VaeParams",
    "autoencoder",
    "autoencoder_init",
    "convnext",
    "convnext_block",
    "convnext_block_init",
    "convnext_init",
    "lenet",
    "lenet_init",
    "mlp",
    "mlp_init",
    "resnet",
    "resnet_init",
    "resnet_train",
    "unet",
    "unet_init",
    "vae",
    "vae_decode",
    "vae_encode",
    "vae_init",
]
