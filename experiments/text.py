"""Text, a character at a time: read, numbered, split into what to learn from and what to judge by.

Notation: a text of n characters over a vocabulary of V is an array of n ids, 0 … V − 1, which
number the characters that occur by their code points. A window is a run of ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt

from experiments.data import DataError

SONNETS = Path(__file__).parent / "texts" / "sonnets.txt"
TRAINING_SHARE = 0.9  # the first nine tenths, as in nanoGPT


class Text(NamedTuple):
    """The characters that occur, and the ids of the two parts of the text."""

    name: str
    characters: str
    train: UInt[np.ndarray, " n"]
    validation: UInt[np.ndarray, " m"]

    def decoded(self, ids: np.ndarray) -> str:
        """The characters that ids number; � for an id that numbers none."""
        known = range(len(self.characters))
        return "".join(self.characters[i] if i in known else "�" for i in np.ravel(ids).tolist())


def load(path: Path | None) -> Text:
    """The text in a file of UTF-8, or some of Shakespeare's sonnets."""
    found = SONNETS if path is None else path
    try:
        text = found.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{found}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{found}: not a text in UTF-8 ({error.reason})") from None
    characters = "".join(sorted(set(text)))
    if len(characters) < 2:
        raise DataError(f"{found}: {len(text)} characters, {len(characters)} of them different")
    numbers = {character: i for i, character in enumerate(characters)}
    kind = np.uint8 if len(characters) <= 256 else np.uint32
    ids = np.array([numbers[character] for character in text], kind)
    first = int(TRAINING_SHARE * len(ids))
    return Text("sonnets" if path is None else found.stem, characters, ids[:first], ids[first:])


def windows(ids: np.ndarray, size: int, *, step: int = 1) -> UInt[np.ndarray, "windows {size}"]:
    """All windows of so many ids, one beginning ``step`` after the other, a row each."""
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(ids, size)[::step])
