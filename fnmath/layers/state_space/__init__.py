"""State spaces: a linear recurrence whose coefficients depend on the input, and the Mamba block.

Notation: x is a sequence ``*batch time channels``; each channel has a state h of n numbers. Δ > 0
is the step, how much time passes at an entry of the sequence; A < 0 holds the rates at which states
decay, B what an input adds to them, C how they are read, D what passes by them. Δ, B and C depend
on the entry of the sequence: a large Δ forgets the past and takes in the entry, a small one leaves
the state as it is.

    selective_scan, selective_scan_step    the recurrence over a sequence, and one step of it
    mamba, mamba_step                      the block around it, likewise

The forms over a sequence return the final state too, from which the steps go on.
"""

from fnmath.layers.state_space.block import (
    MambaParams,
    MambaState,
    mamba,
    mamba_init,
    mamba_state_init,
    mamba_step,
)
from fnmath.layers.state_space.scan import selective_scan, selective_scan_step

__all__ = [
    "MambaParams",
    "MambaState",
    "mamba",
    "mamba_init",
    "mamba_state_init",
    "mamba_step",
    "selective_scan",
    "selective_scan_step",
]
