#!/usr/bin/python3
"""Makes anomaly.npz: sneakers, and in val and test everything else that Fashion-MNIST has.

    /usr/bin/python3 examples/anomaly/make_dataset.py --data ../shared/data/fashion-mnist

Label 0 is normal (a sneaker), 1 an anomaly. Train has sneakers only; val and test have as many
anomalies as sneakers, the other nine classes in turn. Val comes from the first half of the test
file, test from the second; an image that exists twice, or is in the training file, is passed over.
"""

import argparse
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import dataset_files  # noqa: E402

SNEAKER = 7


def read_sneakers(folder):
    """The 6,000 sneakers of the training file."""
    images, labels = dataset_files.read_idx_pair(f"{folder}/fmnist-train")
    return images[labels == SNEAKER]


def only_new(images, labels, already_seen):
    """Drops every image whose content was seen before."""
    kept = []
    for index, image in enumerate(images):
        content = image.tobytes()
        if content not in already_seen:
            already_seen.add(content)
            kept.append(index)
    return images[kept], labels[kept]


def half_and_half(images, labels, count):
    """`count` sneakers and `count` others in turn, so that any first 2n are balanced."""
    normal, _ = dataset_files.take(count, images[labels == SNEAKER], labels[labels == SNEAKER], "normal")
    others, _ = dataset_files.take(count, images[labels != SNEAKER], labels[labels != SNEAKER], "others")
    mixed = np.stack([normal, others], axis=1).reshape(-1, *images.shape[1:])
    return mixed, np.tile(np.array([0, 1], np.uint8), count)


def choose_splits(folder):
    """train, val and test as (images, labels)."""
    train_images, train_labels = dataset_files.read_idx_pair(f"{folder}/fmnist-train")
    images, labels = dataset_files.read_idx_pair(f"{folder}/fmnist-test")
    seen = {image.tobytes() for image in train_images}
    half = len(images) // 2
    sneakers = train_images[train_labels == SNEAKER][:256]
    return {
        "train": (sneakers, np.zeros(len(sneakers), np.uint8)),
        "val": half_and_half(*only_new(images[:half], labels[:half], seen), 400),
        "test": half_and_half(*only_new(images[half:], labels[half:], seen), 400),
    }


def main():
    parser = argparse.ArgumentParser(description="Makes the data set of the anomaly example.")
    add = parser.add_argument
    add("--data", type=pathlib.Path, default="../shared/data/fashion-mnist", help="IDX files")
    add("--output", type=pathlib.Path, default=HERE / "anomaly.npz")
    options = parser.parse_args()
    splits = choose_splits(options.data)
    dataset_files.write_dataset(options.output, splits, scale=1 / 255, mean=0.0, std=1.0)


if __name__ == "__main__":
    main()
