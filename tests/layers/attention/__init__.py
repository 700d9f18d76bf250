"""Tests of fnmath.layers.attention."""
