#!/usr/bin/python3
"""Modules as TorchScript, with what PyTorch computes, for torchscript_test.

  script_modules.py --out DIR

For each, DIR gets NAME.ts.pt, NAME.input.pb (samples x ...) and NAME.output0.pb, ... (TensorProto).
DIR/supported lists their names, DIR/refused those that have to be refused, with what the error has
to say: NAME<tab>text<tab>text...
"""

import argparse
import os
import warnings
from typing import Dict, List, Optional, Tuple

import numpy
import onnx.numpy_helper
import torch
from torch import nn, Tensor
from torch.nn import functional

SAMPLES = 3


class Residual(nn.Module):
    """ResNet as people write it: shortcuts without weights, sums and ReLU in place."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.relu, self.fc = nn.ReLU(inplace=True), nn.Linear(8, 5)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(x))
        out += functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))
        out = functional.relu(out, inplace=True)
        out = functional.adaptive_avg_pool2d(out, (1, 1))
        return self.fc(torch.flatten(out, 1))


def double_relu(x: Tensor, low: float) -> Tensor:
    return torch.clamp(functional.relu(x), min=low)


class Python(nn.Module):
    """What scripting keeps of Python: loops, branches, lists, functions, optionals."""

    wide: bool
    extra: Optional[int]

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3 if i == 0 else 4, 4, 3, padding=1) for i in range(3)])
        self.wide, self.extra = True, None
        self.drop = nn.Dropout(0.5)
        self.classify = nn.Sequential(nn.Linear(4 * 4 * 4, 6), nn.ReLU6(), nn.Linear(6, 3))

    def forward(self, x):
        if x.dim() != 4:
            raise ValueError("needs a batch of images")
        kept: List[Tensor] = []
        for i, layer in enumerate(self.layers):
            x = double_relu(layer(x), 0.0)
            if i > 0:
                kept.append(x)
        x = kept[0] + kept[-1]
        turns = 0
        while turns < 1:
            x = functional.max_pool2d(x, 2)
            turns += 1
        if self.wide and self.extra is None and x.size(2) == x.size(3):
            x = self.drop(x)
        else:
            x = torch.sigmoid(x)
        return self.classify(x.view(x.size(0), -1))


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(inplace=True),
            nn.Conv2d(6, 6, 3, padding="same", groups=6), nn.BatchNorm2d(6, affine=False),
            nn.Hardtanh(0.0, 4.0), nn.Conv2d(6, 8, (1, 3), padding="valid"), nn.ReLU(),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.MaxPool2d(2, ceil_mode=True))
        self.fc = nn.Linear(8, 4, bias=False)

    def forward(self, x):
        return self.fc(self.body(x).mean([2, 3]))


class Signal(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(2, 6, 5, stride=2, dilation=1), nn.BatchNorm1d(6)
        self.narrow, self.fc = nn.Conv1d(6, 3, 3, padding=1), nn.Linear(3, 4)

    def forward(self, x):
        x = functional.relu(self.norm(self.conv(x)))
        x = functional.avg_pool1d(functional.max_pool1d(self.narrow(x), 2), 2)
        x = functional.adaptive_avg_pool1d(x, 1).squeeze(2)
        return self.fc(x)


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(7, 9), nn.BatchNorm1d(9)
        self.weight, self.bias = nn.Parameter(torch.randn(9, 4)), nn.Parameter(torch.randn(4))

    def forward(self, x):
        x = torch.clamp_min(self.norm(self.first(x)), 0)
        return torch.addmm(self.bias, x, self.weight) + torch.matmul(x, self.weight)


class Pieces(nn.Module):
    """Slices, splits and joins."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(4, 8, 1), nn.Conv2d(10, 3, 1)

    def forward(self, x):
        a, b = self.conv(x).chunk(2, 1)
        c, d, e = torch.split(b, [1, 2, 1], dim=1)
        f = x.narrow(1, 1, 2)
        g = torch.cat([a, e, c, d, f], dim=1)
        h = self.out(g)
        return h.transpose(2, 3).permute(0, 1, 3, 2).contiguous(), functional.relu(h[:, -2:])


class Numbers(nn.Module):
    """Arithmetic with constants; in double, as some save it."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.register_buffer("mean", torch.rand(1, 3, 1, 1, dtype=torch.float64))
        self.scale = nn.Parameter(torch.rand(4, 1, 1) + 0.5)

    def forward(self, x):
        y = self.conv(((x - self.mean) / 0.5).float())
        y = 1 - functional.relu(y) * self.scale
        return torch.sub(self.last(y), -y, alpha=2)


class Twice(nn.Module):
    """One layer in two places, and a tensor that is changed in place under two names."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)

    def forward(self, x):
        y = self.conv(x)
        z = y
        z.relu_()
        y = self.conv(y).relu_().mean(3).mean(2)
        return self.fc(y), self.fc.bias + self.fc(y)


class Scores(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        y = self.fc(x)
        return y, functional.log_softmax(y, dim=-1)


def supported():
    yield "residual_traced", Residual(), (3, 8, 8), "trace"
    yield "residual_scripted", Residual(), (3, 8, 8), "script"
    yield "residual_frozen", Residual(), (3, 8, 8), "freeze"
    yield "python", Python(), (3, 8, 8), "script"
    yield "mobile_traced", Mobile(), (3, 15, 17), "trace"
    yield "mobile_scripted", Mobile(), (3, 15, 17), "script"
    yield "signal_traced", Signal(), (2, 29), "trace"
    yield "signal_scripted", Signal(), (2, 29), "script"
    yield "dense_traced", Dense(), (7,), "trace"
    yield "dense_scripted", Dense(), (7,), "script"
    yield "pieces_traced", Pieces(), (4, 5, 6), "trace"
    yield "pieces_scripted", Pieces(), (4, 5, 6), "script"
    yield "numbers_traced", Numbers(), (3, 6, 6), "trace"
    yield "numbers_scripted", Numbers(), (3, 6, 6), "script"
    yield "twice_traced", Twice(), (3, 6, 6), "trace"
    yield "twice_scripted", Twice(), (3, 6, 6), "script"
    yield "scores", Scores(), (5,), "script"


class Simple(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)


class Curves(Simple):
    def forward(self, x):
        x = torch.sigmoid(self.conv(x))
        return self.fc(torch.tanh(functional.silu(x)).mean([2, 3]))


class DataBranch(Simple):
    def forward(self, x):
        y = self.conv(x)
        if y.sum() > 0:
            y = functional.relu(y)
        return self.fc(y.mean([2, 3]))


class DataLoop(Simple):
    def forward(self, x):
        y = self.conv(x)
        for _ in range(int(y.mean())):
            y = functional.relu(y)
        return self.fc(y.mean([2, 3]))


class StaleView(Simple):
    def forward(self, x):
        y = self.conv(x)
        y[:, :2].relu_()
        return self.fc(y.mean([2, 3]))


class ChangedConstant(Simple):
    def forward(self, x):
        self.conv.weight.data.mul_(0.5)
        return self.fc(self.conv(x).mean([2, 3]))


class BatchStatistics(Simple):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).mean([2, 3]))


class Dropping(Simple):
    def forward(self, x):
        return self.fc(functional.dropout(self.conv(x), 0.5, training=True).mean([2, 3]))


class Upwards(Simple):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 4, 2)

    def forward(self, x):
        return self.fc(self.up(self.conv(x)).mean([2, 3]))


class TwoInputs(Simple):
    def forward(self, x, y):
        return self.fc(self.conv(x + y).mean([2, 3]))


class Named(Simple):
    def forward(self, x) -> Dict[str, Tensor]:
        return {"scores": self.fc(self.conv(x).mean([2, 3]))}


class Raising(Simple):
    def forward(self, x):
        if x.size(1) == 3:
            raise ValueError("three channels are too many")
        return self.fc(self.conv(x).mean([2, 3]))


class OneOfTheBatch(Simple):
    def forward(self, x):
        return self.fc(self.conv(x)[0].mean([1, 2]))


class SoftmaxInside(Simple):
    def forward(self, x):
        return self.fc(functional.softmax(self.conv(x).mean([2, 3]), 1))


class UnevenPool(Simple):
    def forward(self, x):
        return functional.adaptive_avg_pool2d(self.conv(x), 4)


class Endless(Simple):
    def forward(self, x):
        n = 1
        while n > 0:
            n += 1
            n -= 1
        return self.fc(self.conv(x).mean([2, 3]))


class Nothing(nn.Module):
    def forward(self, x):
        return functional.relu(x)


class Huge(Simple):
    def __init__(self):
        super().__init__()
        self.register_buffer("huge", torch.zeros(1).expand(1 << 40))

    def forward(self, x):
        return self.fc(self.conv(x).mean([2, 3]))


class State(Simple):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls = self.calls + 1
        return self.fc(self.conv(x).mean([2, 3]))


class Collecting(Simple):
    kept: List[int]

    def __init__(self):
        super().__init__()
        self.kept = [1]

    def forward(self, x):
        self.kept.append(2)
        for _ in range(len(self.kept)):
            x = functional.silu(x)
        return self.fc(self.conv(x).mean([2, 3]))


def refused():
    image = (3, 8, 8)
    yield "curves", Curves(), image, "script", ["3 reasons", "aten::sigmoid", "aten::silu", "aten::tanh"]
    yield "data_branch", DataBranch(), image, "script", ["aten::sum", "(prim::If): control flow that depends on"]
    yield "data_loop", DataLoop(), image, "script", ["aten::mean", "(prim::Loop): control flow that depends on"]
    yield "stale_view", StaleView(), image, "script", ["view of it was changed in place"]
    yield "changed_constant", ChangedConstant(), image, "script", ["prim::data"]
    yield "batch_statistics", BatchStatistics(), image, "script", ["'norm' (aten::batch_norm)", "eval()"]
    yield "dropping", Dropping(), image, "script", ["aten::dropout", "eval()"]
    yield "upwards", Upwards(), image, "script", ["aten::conv_transpose2d"]
    yield "upwards_traced", Upwards(), image, "trace", ["'up' (aten::_convolution)", "transposed"]
    yield "two_inputs", TwoInputs(), image, "script", ["2 inputs"]
    yield "named", Named(), image, "script", ["prim::DictConstruct"]
    yield "raising", Raising(), image, "script", ["raises an exception"]
    yield "one_of_the_batch", OneOfTheBatch(), image, "script", ["takes a part of the batch"]
    yield "softmax_inside", SoftmaxInside(), image, "script", ["'fc' (aten::linear)", "Softmax"]
    yield "uneven_pool", UnevenPool(), image, "script", ["from 6x6 to 4x4"]
    yield "endless", Endless(), image, "script", ["more than 1000000 instructions"]
    yield "nothing", Nothing(), image, "script", ["no layer with weights"]
    yield "half", Upwards().half(), image, "script", ["'conv.weight', a tensor of type Half"]
    yield "huge", Huge(), image, "script", ["parameters of more numbers in all than are supported"]
    yield "collecting", Collecting(), image, "script", ["2 reasons", "changes an attribute", "silu"]
    yield "state", State(), image, "script", ["prim::SetAttr"]


def settle(module):
    """Statistics as training leaves them."""
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)) and part.running_mean is not None:
            part.running_mean.uniform_(-1, 1)
            part.running_var.uniform_(0.5, 2)
    return module.eval()


def write_script(path, module, shape, how):
    if how == "trace":
        script = torch.jit.trace(module, torch.randn(2, *shape))
    else:
        script = torch.jit.script(module)
        if how == "freeze":
            script = torch.jit.freeze(script)
    script.save(path)


def write_tensor(path, tensor):
    with open(path, "wb") as file:
        array = numpy.ascontiguousarray(tensor.detach().float().numpy())
        file.write(onnx.numpy_helper.from_array(array).SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    folder = parser.parse_args().out
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(1)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "supported"), "w") as index:
        for name, module, shape, how in supported():
            path = os.path.join(folder, name)
            write_script(path + ".ts.pt", settle(module), shape, how)
            inputs = torch.randn(SAMPLES, *shape)
            results = module(inputs.clone())
            write_tensor(path + ".input.pb", inputs)
            for i, result in enumerate(results if isinstance(results, tuple) else (results,)):
                write_tensor(path + f".output{i}.pb", result)
            index.write(name + "\n")
    with open(os.path.join(folder, "refused"), "w") as index:
        for name, module, shape, how, texts in refused():
            write_script(os.path.join(folder, name + ".ts.pt"), settle(module), shape, how)
            index.write("\t".join([name] + texts) + "\n")


if __name__ == "__main__":
    main()
