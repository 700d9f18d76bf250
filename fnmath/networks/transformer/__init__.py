"""Transformers: sequences through blocks of attention and a multilayer perceptron.

Notation: x is a sequence, features last and time before them; LN is a layer normalisation,
A an attention of several heads, M a multilayer perceptron of one hidden layer. All are pre-norm:
each branch reads a normalised copy, and what it gives is added to x, which nothing else touches.

    transformer_block       x + A(LN x), then x + M(LN x); between the two it may ask a context
    transformer_encoder     positions, n equal blocks, LN: features of a whole sequence
    transformer_decoder     the scores of the next token after each prefix of a sequence
    transformer_decoder_decode, …_generate      the same, a token at a time, by a cache
    transformer             an encoder, and a decoder that asks what it gives

The n blocks stand in one tree of parameters, stacked on a first axis, and are run by one loop: to
compile a deep network takes no longer than a shallow one.
"""

from fnmath.networks.transformer.blocks import (
    TransformerBlockParams,
    transformer_block,
    transformer_block_init,
)
from fnmath.networks.transformer.decoder import (
    TransformerDecoderParams,
    transformer_decoder,
    transformer_decoder_init,
)
from fnmath.networks.transformer.decoding import (
    transformer_decoder_cache_init,
    transformer_decoder_decode,
    transformer_decoder_generate,
)
from fnmath.networks.transformer.encoder import (
    TransformerEncoderParams,
    transformer_encoder,
    transformer_encoder_init,
)
from fnmath.networks.transformer.encoder_decoder import (
    TransformerParams,
    transformer,
    transformer_init,
)

__all__ = [
    "TransformerBlockParams",
    "TransformerDecoderParams",
    "TransformerEncoderParams",
    "TransformerParams",
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
]
