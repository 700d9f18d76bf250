"""Networks: layers and activations composed into one function of the parameters and the input.

Every network is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are tuples or NamedTuples with the parameters of each layer: plain Python,
which ``jax.grad`` and optax take as they are.

    autoencoder            an input from its code
    convnext               stages of blocks: wide depthwise convolutions and dense layers
    lenet                  two convolutions with pooling, three dense layers
    lstm_language_model    tokens through LSTMs over each other
    mixer                  perceptrons across patches of an image, and across their features
    mlp                    dense layers with an activation between each two
    resnet                 stages of blocks: two convolutions beside the identity
    transformer            attention of one sequence, or of one to another; ``transformer_encoder``,
                           ``transformer_decoder`` (a language model) and both in one
    unet                   an image from an image, coarse and fine
    vae                    an input from a draw of its code; vae_encode, vae_decode are its halves
    vit                    a transformer over patches of an image
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
from fnmath.networks.language_model import (
    LSTMLanguageModelParams,
    lstm_language_model,
    lstm_language_model_init,
)
from fnmath.networks.lenet import LenetParams, lenet, lenet_init
from fnmath.networks.mixer import MixerBlockParams, MixerParams, mixer, mixer_init
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
from fnmath.networks.transformer import (
    TransformerBlockParams,
    TransformerDecoderParams,
    TransformerEncoderParams,
    TransformerParams,
    transformer,
    transformer_block,
    transformer_block_init,
    transformer_decoder,
    transformer_decoder_cache_init,
    transformer_decoder_decode,
    transformer_decoder_generate,
    transformer_decoder_init,
    transformer_encoder,
    transformer_encoder_init,
    transformer_init,
)
from fnmath.networks.unet import UnetDownParams, UnetParams, UnetUpParams, unet, unet_init
from fnmath.networks.vae import VaeOutput, VaeParams, vae, vae_decode, vae_encode, vae_init
from fnmath.networks.vit import VitParams, vit, vit_init

__all__ = [
    "AutoencoderParams",
    "ConvnextBlockParams",
    "ConvnextParams",
    "DownsampleParams",
    "LSTMLanguageModelParams",
    "LenetParams",
    "MixerBlockParams",
    "MixerParams",
    "ResnetBlockParams",
    "ResnetBlockStats",
    "ResnetParams",
    "ResnetStageParams",
    "ResnetStageStats",
    "ResnetStats",
    "ShortcutParams",
    "ShortcutStats",
    "TransformerBlockParams",
    "TransformerDecoderParams",
    "TransformerEncoderParams",
    "TransformerParams",
    "UnetDownParams",
    "UnetParams",
    "UnetUpParams",
    "VaeOutput",
    "VaeParams",
    "VitParams",
    "autoencoder",
    "autoencoder_init",
    "convnext",
    "convnext_block",
    "convnext_block_init",
    "convnext_init",
    "lenet",
    "lenet_init",
    "lstm_language_model",
    "lstm_language_model_init",
    "mixer",
    "mixer_init",
    "mlp",
    "mlp_init",
    "resnet",
    "resnet_init",
    "resnet_train",
    "transformer",
    "transformer_block",
    "transformer_block_init",
    "transformer_decoder",
    "transformer_decoder_cache_init",
    "transformer_decoder_decode",
    "transformer_decoder_generate",
    "transformer_decoder_init",
    "transformer_encoder",
    "transformer_encoder_init",
    "transformer_init",
    "unet",
    "unet_init",
    "vae",
    "vae_decode",
    "vae_encode",
    "vae_init",
    "vit",
    "vit_init",
]
