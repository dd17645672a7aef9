"""tinygrad on its Metal device, compared with numpy: operations, a training loop, and compiled functions.

Run by `.ci/tinygrad`. The last line says how many comparisons were made.
"""

import os

os.environ.setdefault("DEV", "METAL")

import numpy as np
from tinygrad import Context, Device, Tensor, TinyJit, dtypes
from tinygrad.nn.optim import SGD

assert Device.DEFAULT.split(":")[0] == "METAL", Device.DEFAULT

compared = 0


def compare(name, got, expected, tolerance=1e-5):
    """Ends the program unless the values are equal within a tolerance."""
    global compared
    got = got.numpy() if isinstance(got, Tensor) else np.asarray(got)
    expected = np.asarray(expected)
    assert got.shape == expected.shape, f"{name}: shape {got.shape}, expected {expected.shape}"
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance, err_msg=name)
    compared += 1


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def convolution(x, w):
    """A convolution without padding, with a step of one."""
    n, _, height, width = x.shape
    o, _, kh, kw = w.shape
    out = np.zeros((n, o, height - kh + 1, width - kw + 1), np.float32)
    for y in range(out.shape[2]):
        for z in range(out.shape[3]):
            out[:, :, y, z] = np.einsum("nchw,ochw->no", x[:, :, y : y + kh, z : z + kw], w)
    return out


def operations():
    random = np.random.default_rng(1)
    a = random.standard_normal((37, 65)).astype(np.float32)
    b = random.standard_normal((37, 65)).astype(np.float32)
    p = np.abs(a) + 0.1
    i = random.integers(-100, 100, (64, 33)).astype(np.int32)
    j = random.integers(1, 9, (64, 33)).astype(np.int32)
    m, n = random.standard_normal((96, 80)).astype(np.float32), random.standard_normal((80, 112)).astype(np.float32)
    x = random.standard_normal((2, 3, 16, 16)).astype(np.float32)
    w = random.standard_normal((4, 3, 3, 3)).astype(np.float32)
    A, B, P, I, J, M, N, X, W = map(Tensor, (a, b, p, i, j, m, n, x, w))

    compare("add", A + B, a + b)
    compare("subtract", A - B, a - b)
    compare("multiply", A * B, a * b)
    compare("divide", A / P, a / p, 1e-4)
    compare("power", P**1.5, p**1.5, 1e-4)
    compare("exp", A.exp(), np.exp(a), 1e-4)
    compare("log", P.log(), np.log(p), 1e-4)
    compare("sqrt", P.sqrt(), np.sqrt(p), 1e-4)
    compare("sin", A.sin(), np.sin(a), 1e-4)
    compare("tanh", A.tanh(), np.tanh(a), 1e-4)
    compare("sigmoid", A.sigmoid(), 1 / (1 + np.exp(-a)), 1e-4)
    compare("relu", A.relu(), np.maximum(a, 0))
    compare("maximum", A.maximum(B), np.maximum(a, b))
    compare("where", (A > B).where(A, B * 2), np.where(a > b, a, b * 2))
    compare("compare", A < B, a < b)
    compare("int add", I + J, i + j)
    compare("int divide", I // J, i // j)
    compare("int remainder", I % J, i % j)
    compare("and or xor", (I & 12) | (J ^ 5), (i & 12) | (j ^ 5))
    compare("shift", J << 3, j << 3)
    compare("sum", A.sum(), a.sum(), 1e-3)
    compare("sum of rows", A.sum(1), a.sum(1), 1e-4)
    compare("mean", A.mean(0), a.mean(0), 1e-4)
    compare("max", A.max(1), a.max(1))
    compare("argmax", A.argmax(1), a.argmax(1))
    compare("cumsum", A.cumsum(1), a.cumsum(1), 1e-4)
    compare("softmax", A.softmax(), softmax(a), 1e-4)
    compare("matmul", M @ N, m @ n, 1e-3)
    compare("half matmul", (M.half() @ N.half()).float(), m @ n, 5e-2)
    compare("conv2d", X.conv2d(W), convolution(x, w), 1e-3)
    compare("max pool", X.max_pool2d(2), x.reshape(2, 3, 8, 2, 8, 2).max((3, 5)))
    compare("transpose", A.T.contiguous(), a.T)
    compare("reshape and slice", A.reshape(65, 37)[3:40:2, ::-1], a.reshape(65, 37)[3:40:2, ::-1])
    compare("pad", A.pad(((1, 2), (3, 4))), np.pad(a, ((1, 2), (3, 4))))
    compare("concatenate", A.cat(B, dim=1), np.concatenate((a, b), 1))
    compare("gather", A[Tensor([3, 1, 36])], a[[3, 1, 36]])
    compare("cast", A.cast(dtypes.int32), a.astype(np.int32))
    compare("half", (A.half() + B.half()).float(), a + b, 1e-2)
    compare("layer norm", A.layernorm(), (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-5), 1e-4)
    compare("sort", A.sort(1)[0], np.sort(a, 1))


def training():
    """A network with one hidden layer learns; each loss is that of the same steps with numpy."""
    random = np.random.default_rng(2)
    x = random.standard_normal((64, 10)).astype(np.float32)
    y = np.sin(x.sum(1, keepdims=True)).astype(np.float32)
    w1, w2 = (0.3 * random.standard_normal(shape).astype(np.float32) for shape in ((10, 32), (32, 1)))
    X, Y, W1, W2 = Tensor(x), Tensor(y), Tensor(w1), Tensor(w2)
    optimizer, rate, losses = SGD([W1, W2], lr=0.05), 0.05, []

    @TinyJit
    def step():
        optimizer.zero_grad()
        loss = ((X @ W1).relu() @ W2 - Y).square().mean()
        loss.backward()
        # Together, so that the loss is that of the weights before the step.
        return loss.realize(*optimizer.schedule_step())

    for _ in range(20):
        hidden = np.maximum(x @ w1, 0)
        error = hidden @ w2 - y
        loss = (error**2).mean()
        losses.append(loss)
        compare("loss", step(), loss, 1e-3)
        slope = 2 * error / error.size
        g2, g1 = hidden.T @ slope, x.T @ ((slope @ w2.T) * (hidden > 0))
        w1, w2 = w1 - rate * g1, w2 - rate * g2
    compare("weights", W1, w1, 1e-3)
    assert losses[-1] < 0.5 * losses[0], losses


def compiled():
    """A function that is recorded at its second call, and played back with other inputs."""

    @TinyJit
    def f(x, y):
        return ((x @ y).relu().sum(1) * 2 + x.mean(1)).realize()

    random = np.random.default_rng(3)
    for _ in range(6):
        x, y = (random.standard_normal((40, 40)).astype(np.float32) for _ in range(2))
        expected = np.maximum(x @ y, 0).sum(1) * 2 + x.mean(1)
        compare("compiled", f(Tensor(x).realize(), Tensor(y).realize()), expected, 1e-3)


operations()
with Context(TRAINING=1):
    training()
compiled()
print(f"{compared} results are those of numpy")
