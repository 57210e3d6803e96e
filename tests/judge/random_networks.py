#!/usr/bin/python3
"""Random networks as PyTorch exports them, with what PyTorch computes.

  random_networks.py --out DIR --seed S --networks N

Network number S + i depends on that number alone: a failing one is made again with --seed NUMBER
--networks 1. For each, DIR gets NUMBER.onnx, the same as TorchScript, NUMBER.ts.pt, NUMBER.input.pb
(samples x ...), NUMBER.output0.pb, ... (TensorProto, in the order of the file's outputs) and
NUMBER.txt, which says what it is.
"""

import argparse
import os
import random
import warnings

import numpy
import onnx.numpy_helper
import torch
from torch import nn
from torch.nn import functional

SAMPLES = 3
KINDS = ["image", "image", "signal", "vector"]
BATCHES = ["1", "symbolic", "symbolic", "5"]


class Step(nn.Module):
    """One operation on earlier values; `say` is its text."""

    def __init__(self, inputs, module, say):
        super().__init__()
        self.inputs, self.module, self.say = inputs, module, say

    def forward(self, values):
        return self.module(*[values[i] for i in self.inputs])


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


class Affine(nn.Module):
    """x * factor + offset, or (x - mean) / spread, by channel or by one number."""

    def __init__(self, channels, rank, by_channel, divides):
        super().__init__()
        shape = (1, channels) + (1,) * (rank - 2) if by_channel else ()
        self.register_buffer("offset", torch.randn(shape))
        self.register_buffer("factor", torch.rand(shape) + 0.5)
        self.divides = divides

    def forward(self, x):
        return (x - self.offset) / self.factor if self.divides else x * self.factor + self.offset


class Network(nn.Module):
    def __init__(self, steps, outputs):
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.outputs = outputs

    def forward(self, x):
        values = [x]
        for step in self.steps:
            values.append(step(values))
        results = tuple(values[i] for i in self.outputs)
        return results if len(results) > 1 else results[0]


class Builder:
    """Adds steps that are valid for what has been computed so far."""

    def __init__(self, rng, kind):
        self.rng, self.kind = rng, kind
        self.steps, self.values = [], []
        self.least_opset = 9
        channels = rng.choice([1, 2, 3, 4, 8])
        size = [rng.randint(6, 14) for _ in range({"image": 2, "signal": 1, "vector": 0}[kind])]
        if kind == "signal":
            size = [rng.randint(12, 40)]
        if kind == "vector":
            channels = rng.randint(3, 40)
        self.values.append(torch.randn(2, channels, *size))
        self.has_layer = False

    # Adds a step and gives the number of its value.
    def add(self, inputs, module, say):
        step = Step(inputs, module, say).eval()
        randomize(step, self.rng)
        with torch.no_grad():
            result = step(self.values)
        self.steps.append(step)
        self.values.append(result)
        return len(self.values) - 1

    def shape(self, value):
        return list(self.values[value].shape[1:])

    def rank(self, value):
        return self.values[value].dim()

    def spatial(self, value):
        return self.shape(value)[1:]

    def conv(self, value, keep_shape=False, groups=None, out=None):
        rng, channels, size = self.rng, self.shape(value)[0], self.spatial(value)
        dims = len(size)
        make = nn.Conv1d if dims == 1 else nn.Conv2d
        if groups is None:
            groups = rng.choice([g for g in (1, 1, 1, 2, 4, channels) if channels % g == 0])
        out = out or groups * rng.randint(1, max(1, 12 // groups))
        kernel = [rng.choice([1, 2, 3, 3, 5]) for _ in size]
        dilation = [rng.choice([1, 1, 2]) for _ in size]
        stride = [1 if keep_shape else rng.choice([1, 1, 2, 3]) for _ in size]
        if keep_shape:
            kernel = [rng.choice([1, 3, 5]) for _ in size]
            padding = [d * (k - 1) // 2 for k, d in zip(kernel, dilation)]
        else:
            padding = [rng.randint(0, k) for k in kernel]
        for i in range(dims):
            while size[i] + 2 * padding[i] < dilation[i] * (kernel[i] - 1) + 1:
                kernel[i], dilation[i] = 1, 1
        self.has_layer = True
        bias = rng.random() < 0.7
        module = make(channels, out, tuple(kernel), tuple(stride), tuple(padding), tuple(dilation),
                      groups, bias)
        return self.add([value], module, f"conv k={kernel} s={stride} p={padding} d={dilation} "
                        f"g={groups} {channels}->{out}")

    def norm(self, value):
        rank, channels = self.rank(value), self.shape(value)[0]
        make = nn.BatchNorm2d if rank == 4 else nn.BatchNorm1d
        return self.add([value], make(channels), "batch norm")

    def affine(self, value):
        by_channel, divides = self.rng.random() < 0.7, self.rng.random() < 0.4
        module = Affine(self.shape(value)[0], self.rank(value), by_channel, divides)
        return self.add([value], module, f"affine channel={by_channel} divide={divides}")

    def activation(self, value):
        name, module = self.rng.choice([
            ("relu", nn.ReLU()), ("relu", nn.ReLU()), ("relu6", nn.ReLU6()),
            ("clamp", Function(lambda x: torch.clamp(x, 0.0, 2.5))),
            ("clamp_min", Function(lambda x: torch.clamp(x, min=0.0))),
            ("hardtanh", nn.Hardtanh(0.0, 4.0)),
            ("max", Function(lambda x: torch.max(x, torch.zeros(())))),
        ])
        return self.add([value], module, name)

    def pool(self, value):
        rng, size = self.rng, self.spatial(value)
        kernel = [min(rng.choice([1, 2, 2, 3]), s) for s in size]
        stride = [rng.choice([1, 2, 3]) for _ in size]
        padding = [rng.randint(0, k // 2) for k in kernel]
        ceil = rng.random() < 0.4
        one_d = len(size) == 1
        if rng.random() < 0.5:
            module = (nn.MaxPool1d if one_d else nn.MaxPool2d)(
                tuple(kernel), tuple(stride), tuple(padding), ceil_mode=ceil)
            return self.add([value], module, f"max pool k={kernel} s={stride} p={padding} ceil={ceil}")
        include = rng.random() < 0.5
        # With counted padding the exporter writes a tensor of zeros and lets ceil_mode add a window
        # that begins in it, which PyTorch does not compute: not the network that it was given.
        ceil = ceil and not (include and max(padding) > 0)
        module = (nn.AvgPool1d if one_d else nn.AvgPool2d)(
            tuple(kernel), tuple(stride), tuple(padding), ceil, include)
        return self.add([value], module, f"average pool k={kernel} s={stride} p={padding} ceil={ceil} "
                        f"include={include}")

    def residual(self, value):
        inner = self.conv(value, keep_shape=True, groups=1, out=self.shape(value)[0])
        if self.rng.random() < 0.6:
            inner = self.norm(inner)
        if self.rng.random() < 0.3:
            inner = self.activation(inner)
        kind = self.rng.random()
        if kind < 0.6:
            return self.add([inner, value], Function(lambda a, b: a + b), "add")
        if kind < 0.8:
            return self.add([inner, value], Function(lambda a, b: a - b), "sub")
        return self.add([value, inner], Function(lambda a, b: a - b), "sub")

    def branches(self, value):
        parts = [value] if self.rng.random() < 0.5 else []
        for _ in range(self.rng.randint(1, 3)):
            part = self.conv(value, keep_shape=True, groups=1, out=self.rng.randint(1, 6))
            if self.rng.random() < 0.4:
                part = self.activation(part)
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        joined = self.add(parts, Function(lambda *xs: torch.cat(xs, 1)), f"concat {len(parts)}")
        return self.norm(joined) if self.rng.random() < 0.4 else joined

    def slice(self, value):
        rng, channels = self.rng, self.shape(value)[0]
        kind = rng.random()
        if kind < 0.5 and channels > 1:
            start = rng.randint(0, channels - 1)
            end = rng.randint(start + 1, channels)
            return self.add([value], Function(lambda x: x[:, start:end]), f"slice channels {start}:{end}")
        if min(self.spatial(value)) < 2:
            return value
        self.least_opset = 10  # the exporter has no steps before
        if len(self.spatial(value)) == 1:
            return self.add([value], Function(lambda x: x[:, :, 1::2]), "slice 1::2")
        return self.add([value], Function(lambda x: x[:, :, ::2, 1:]), "slice rows ::2, columns 1:")

    def pad(self, value):
        pads = [self.rng.randint(0, 2) for _ in range(2 * len(self.spatial(value)))]
        if self.rng.random() < 0.3:
            pads += [self.rng.randint(0, 2), self.rng.randint(0, 2)]
        return self.add([value], Function(lambda x: functional.pad(x, pads)), f"pad {pads}")

    def body_step(self, value):
        choices = [self.conv, self.conv, self.norm, self.activation, self.activation, self.pool,
                   self.residual, self.branches, self.affine, self.slice, self.pad, self.depthwise]
        return self.rng.choice(choices)(value)

    def depthwise(self, value):
        value = self.conv(value, groups=self.shape(value)[0], out=self.shape(value)[0])
        if self.rng.random() < 0.5:
            value = self.norm(value)
        return self.activation(value) if self.rng.random() < 0.5 else value

    # From channels x space to a vector, in one of the many ways.
    def flatten(self, value):
        rng, rank = self.rng, self.rank(value)
        axes = tuple(range(2, rank))
        ways = {
            "mean": lambda x: x.mean(axes),
            "mean keepdim": lambda x: x.mean(axes, keepdim=True).flatten(1),
            "mean, one axis after the other": lambda x: x.mean(-1).mean(-1) if rank == 4 else x.mean(-1),
            "global average": lambda x: (functional.adaptive_avg_pool2d if rank == 4 else
                                         functional.adaptive_avg_pool1d)(x, 1).flatten(1),
            "global average, squeezed": lambda x: squeezed(x, rank),
            "flatten": lambda x: torch.flatten(x, 1),
            "view": lambda x: x.view(x.size(0), -1),
            "reshape": lambda x: x.reshape(
                x.shape[0], x.shape[1] * x.shape[-1] * (x.shape[2] if rank == 4 else 1)),
            "permute": lambda x: x.permute((0,) + axes + (1,)).flatten(1),
            "merge space, mean": lambda x: x.flatten(2).mean(2),
        }
        names = sorted(ways)
        if rank == 3:
            names = [n for n in names if n not in self.skip_for_signals()]
        name = rng.choice(names)
        return self.add([value], Function(ways[name]), name)

    @staticmethod
    def skip_for_signals():
        return ("merge space, mean", "mean, one axis after the other")

    def linear(self, value, out):
        self.has_layer = True
        bias = self.rng.random() < 0.8
        return self.add([value], nn.Linear(self.shape(value)[0], out, bias), f"linear -> {out}")

    def dense(self, value):
        was_flattened = len(self.steps) > 0
        if was_flattened and self.rng.random() < 0.2:
            value = self.norm(value)
        for _ in range(self.rng.randint(0, 2)):
            value = self.linear(value, self.rng.randint(2, 16))
            if self.rng.random() < 0.4:
                value = self.norm(value)
            if self.rng.random() < 0.7:
                value = self.activation(value)
            if self.rng.random() < 0.3:
                value = self.add([value], nn.Dropout(), "dropout")
            if self.rng.random() < 0.2:
                value = self.affine(value)
        return self.linear(value, self.rng.randint(2, 10))

    def body(self):
        value, taps = 0, []
        for _ in range(self.rng.randint(2, 8)):
            before = len(self.steps)
            value = self.body_step(value)
            if self.values[value][0].numel() > 4000 and len(self.steps) > before:
                value = self.pool(value)
            if self.has_layer:
                taps.append(value)
        if not self.has_layer:
            value = self.conv(value)
        return value, taps

    def build(self):
        value, taps = (0, []) if self.kind == "vector" else self.body()
        outputs = []
        if taps and self.rng.random() < 0.4:
            outputs.append(self.rng.choice(taps))
        if self.kind == "vector" or self.rng.random() < 0.75:
            flat = value if self.kind == "vector" else self.flatten(value)
            if self.rng.random() < 0.3:
                outputs.append(self.dense(flat))
            value = self.dense(flat)
        outputs = [o for o in outputs if o != value and o != 0] + [value]
        return Network(self.steps, outputs)


def squeezed(x, rank):
    if rank == 4:
        return functional.adaptive_avg_pool2d(x, 1).squeeze(3).squeeze(2)
    return functional.adaptive_avg_pool1d(x, 1).squeeze(2)


def randomize(step, rng):
    """Statistics as training leaves them, some factors below 0, weights that keep the signal."""
    for module in step.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5)
                if rng.random() < 0.5:
                    module.weight.mul_(torch.randn_like(module.weight).sign())
                module.bias.uniform_(-1, 1)
                if rng.random() < 0.3:
                    module.bias.zero_()
                module.running_mean.uniform_(-1, 1)
                if rng.random() < 0.3:
                    module.running_mean.zero_()
                    module.bias.zero_()
                module.running_var.uniform_(0.5, 2)


def write_tensor(path, tensor):
    with open(path, "wb") as file:
        file.write(onnx.numpy_helper.from_array(numpy.ascontiguousarray(tensor)).SerializeToString())


def write_network(number, folder):
    rng = random.Random(number)
    torch.manual_seed(number)
    kind = rng.choice(KINDS)
    builder = Builder(rng, kind)
    network = builder.build().eval()
    opset = rng.randint(builder.least_opset, 17)
    batch = rng.choice(BATCHES)
    shape = builder.values[0].shape[1:]
    names = [f"out{i}" for i in range(len(network.outputs))]
    options = {"opset_version": opset, "do_constant_folding": rng.random() < 0.5,
               "keep_initializers_as_inputs": rng.random() < 0.3,
               "input_names": ["in"], "output_names": names}
    if batch == "symbolic":
        options["dynamic_axes"] = {name: {0: "batch"} for name in ["in"] + names}
    path = os.path.join(folder, str(number))
    with open(path + ".txt", "w") as file:
        file.write(f"network {number}: {kind}, input {list(shape)}, opset {opset}, batch {batch}, "
                   f"folding {options['do_constant_folding']}\n")
        for i, step in enumerate(network.steps):
            result = list(builder.values[i + 1].shape[1:])
            file.write(f"  {i + 1} = {step.say} of {step.inputs} -> {result}\n")
        file.write(f"  outputs {network.outputs}\n")
    example = torch.randn(1 if batch == "symbolic" else int(batch), *shape)
    torch.onnx.export(network, example, path + ".onnx", **options)
    torch.jit.trace(network, example).save(path + ".ts.pt")
    inputs = torch.randn(SAMPLES, *shape)
    with torch.no_grad():
        results = network(inputs)
    write_tensor(path + ".input.pb", inputs.numpy())
    for i, result in enumerate(results if isinstance(results, tuple) else (results,)):
        write_tensor(path + f".output{i}.pb", result.numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--networks", type=int, required=True)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    os.makedirs(arguments.out, exist_ok=True)
    for i in range(arguments.networks):
        write_network(arguments.seed + i, arguments.out)


if __name__ == "__main__":
    main()
