"""Small folders of IDX files, written byte by byte."""

import gzip
import struct
from pathlib import Path

import numpy as np

IMAGES, LABELS = "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"


def idx_bytes(array: np.ndarray) -> bytes:
    """The IDX form of an array of unsigned bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_folder(folder: Path, *, train: int = 40, test: int = 12, packed: bool = False) -> Path:
    """The four files, of random images of 6 × 5 pixels, under their official names."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for prefix, n in (("train", train), ("t10k", test)):
        images, labels = random.integers(0, 256, (n, 6, 5)), np.arange(n) % 10
        for name, array in ((IMAGES, images), (LABELS, labels)):
            content = idx_bytes(array)
            path = folder / (name.format(prefix) + (".gz" if packed else ""))
            path.write_bytes(gzip.compress(content) if packed else content)
    return folder
