#!/usr/bin/python3
"""Makes an .npz from CIFAR-10 in its official binary layout, gzipped.

    /usr/bin/python3 examples/cifar10/make_dataset.py --data ../shared/data/cifar10 \\
        --output build/cifar10.npz

train is the first training batch, for calibration and training only: published networks have seen
it. val is taken from the first half of the test batch, test from the second. Stored are uint8 RGB
in NCHW; scale, mean and std are those that ResNet-20 of ../shared/data/models was trained with. It
scores 4,574 of the 5,000 val images and 4,599 of the 5,000 test images.
"""

import argparse
import gzip
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import dataset_files  # noqa: E402

IMAGE_SHAPE = (3, 32, 32)
RECORD_BYTES = 1 + 3 * 32 * 32  # the label, then red, green and blue planes
MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]


def read_batch(path):
    """Images as uint8 [N, 3, 32, 32] and labels of one batch file."""
    content = gzip.decompress(path.read_bytes())
    if not content or len(content) % RECORD_BYTES != 0:
        raise SystemExit(f"{path}: {len(content)} bytes; needed a multiple of {RECORD_BYTES}")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
    labels = records[:, 0]
    if labels.max() > 9:
        raise SystemExit(f"{path}: label {labels.max()}; CIFAR-10 has 0 to 9")
    return records[:, 1:].reshape(-1, *IMAGE_SHAPE), labels


def choose_splits(options):
    train = read_batch(options.data / "data_batch_1.bin.gz")
    images, labels = read_batch(options.data / "test_batch.bin.gz")
    half = len(images) // 2
    return {
        "train": dataset_files.take(options.train, *train, "--train"),
        "val": dataset_files.take(options.val, images[:half], labels[:half], "--val"),
        "test": dataset_files.take(options.test, images[half:], labels[half:], "--test"),
    }


def main():
    parser = argparse.ArgumentParser(description="Makes an .npz from CIFAR-10.")
    add = parser.add_argument
    add("--data", type=pathlib.Path, default="../shared/data/cifar10", help="folder of the batches")
    add("--output", type=pathlib.Path, default="build/cifar10.npz")
    add("--train", type=int, default=10000, help="images of data_batch_1 (default: all)")
    add("--val", type=int, default=5000, help="images of the test batch, first half (default: all)")
    add("--test", type=int, default=5000, help="images of its second half (default: all)")
    options = parser.parse_args()
    splits = choose_splits(options)
    dataset_files.write_dataset(options.output, splits, scale=1 / 255, mean=MEAN, std=STD)


if __name__ == "__main__":
    main()
