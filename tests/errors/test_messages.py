"""Mistakes in calls: one sentence in the user's terms, the traceback ends where the user can act, and work goes on."""

import traceback

import numpy as np
import pytest

import twain
from twain import nn
from twain.data import DataLoader, Dataset
from twain.nn import functional as F

A = twain.ones((2, 3))
B = twain.ones((4, 5))
V = twain.ones(3)


@pytest.fixture(autouse=True)
def usable_afterwards():
    yield
    assert (V + 1).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "call,kind,text",
    [
        # shapes
        (lambda: A + B, ValueError, r"\[add\] expected shapes that broadcast together, got \(2, 3\) and \(4, 5\)"),
        (lambda: A @ B, ValueError, r"\[matmul\] .*got shapes \(2, 3\) and \(4, 5\) \(3 and 4\)"),
        (lambda: V @ twain.ones(4), ValueError, r"\[matmul\] .*got shapes \(3,\) and \(4,\) \(3 and 4\)"),
        (lambda: V @ B, ValueError, r"\[matmul\] .*got shapes \(3,\) and \(4, 5\) \(3 and 4\)"),
        (lambda: A @ twain.ones(4), ValueError, r"\[matmul\] .*got shapes \(2, 3\) and \(4,\) \(3 and 4\)"),
        (lambda: twain.zeros((10**9, 10**9)), ValueError, r"\[zeros\] expected fewer than 2\*\*52 elements, got shape"),
        (lambda: twain.set_memory_cap(-5), ValueError, r"\[set_memory_cap\] expected a number of bytes from 0.*got -5"),
        (lambda: twain.set_memory_cap("5"), TypeError, r"\[set_memory_cap\] expected a number of bytes or None, got '5'"),
        (lambda: V.reshape(7), ValueError, r"\[reshape\] expected a shape of 3 elements, got \(7,\) \(7 elements\)"),
        (lambda: twain.concat([A, B]), ValueError, r"\[concat\] expected shapes equal but for axis 0, got \(2, 3\), \(4"),
        (lambda: twain.stack([A, B]), ValueError, r"\[stack\] expected equal shapes, got \(2, 3\), \(4, 5\)"),
        (lambda: twain.zeros(-1), ValueError, r"\[zeros\] expected sizes >= 0, got shape \(-1,\)"),
        (lambda: twain.eye(-1), ValueError, r"\[eye\] expected sizes >= 0"),
        (lambda: twain.asarray([[1, 2], [3]]), ValueError, r"\[asarray\] expected sequences of equal length, got 2 and 1"),
        (lambda: twain.max(twain.zeros((0, 3)), axis=0), ValueError, r"\[max\] expected at least one element"),
        (lambda: nn.Linear(3, 4)(B), ValueError, r"\[linear\] expected x of shape \(\.\.\., 3\).*got \(4, 5\)"),
        # dtypes
        (lambda: V & V, TypeError, r"\[bitwise_and\] expected dtypes among bool, .*got float32"),
        (lambda: V.astype("float33"), TypeError, r"\[astype\] expected a dtype such as .*got 'float33'"),
        (lambda: twain.take(A, V, axis=0), TypeError, r"\[take\] expected integer indices, got float32"),
        (lambda: twain.asarray([300], dtype="uint8"), OverflowError, r"ints in \[0, 255\] for uint8, got 300"),
        (lambda: twain.asarray([2**70]), OverflowError, r"\[asarray\] expected Python ints that fit int64"),
        (lambda: twain.asarray(np.array(["a"])), TypeError, r"\[asarray\] expected an array of bool, int, float"),
        (lambda: range(V[0]), TypeError, r"\[index\] expected a 0-d tensor of an integer dtype, got 0-d float32"),
        # devices
        (lambda: twain.ones(3, device="cpu:1") + V, ValueError, r"\[add\] .*on one device, got cpu:0 and cpu:1"),
        (lambda: twain.ones(3, device="cuda"), ValueError, r"expected a device such as 'cpu:0'.*got 'cuda'"),
        (lambda: V.to("cuda"), TypeError, r"\[to\] expected a device such as 'cpu:0' or a dtype.*got 'cuda'"),
        # axes
        (lambda: A.sum(axis=2), IndexError, r"\[sum\] expected axis in \[-2, 1\] for 2 dimensions, got 2"),
        (lambda: A.sum(axis=(0, 0)), ValueError, r"\[sum\] expected distinct axes, got \(0, 0\)"),
        (lambda: A.sum(axis="rows"), TypeError, r"\[sum\] expected axis to be an int, got 'rows'"),
        (lambda: A.sum(dim=0), TypeError, r"\[sum\] .*'dim'; expected sum\(x, axis=None, keepdims=False, dtype=None\)"),
        # indices
        (lambda: A[2], IndexError, r"\[getitem\] index 2 is out of range for axis 0 of size 2"),
        (lambda: A[0, -4], IndexError, r"\[getitem\] index -4 is out of range for axis 1 of size 3"),
        (lambda: A[0, 0, 0], IndexError, r"\[getitem\] expected at most 2 indices for shape \(2, 3\), got 3"),
        (lambda: A["a"], IndexError, r"\[getitem\] expected ints, slices, .*got str"),
        (lambda: A[[0, 5]], IndexError, r"\[getitem\] index 5 is out of range for axis 0 of size 2"),
        (lambda: A[twain.asarray([True] * 3)], IndexError, r"\[getitem\] expected a mask of shape \(2,\) .*, got \(3,\)"),
        (lambda: twain.take(A, twain.asarray([0, 9]), axis=0), IndexError, r"\[take\] index 9 is out of range for axis 0"),
        (lambda: A.take(twain.asarray([-3]), axis=0), IndexError, r"\[take\] index -3 is out of range for axis 0 of size 2"),
        (
            lambda: twain.take_along_axis(A, twain.asarray([[0], [3]]), axis=1),
            IndexError,
            r"\[take_along_axis\] index 3 is out of range for axis 1 of size 3",
        ),
        (lambda: nn.Embedding(5, 2)(twain.asarray([5])), IndexError, r"\[embedding\] index 5 is out of range .*size 5"),
        (lambda: F.cross_entropy(A, twain.asarray([0, 3])), IndexError, r"\[cross_entropy\] expected labels in \[0, 3\), got 3"),
        (lambda: F.cross_entropy(A, twain.asarray([-100, -1])), IndexError, r"\[cross_entropy\] expected labels .*got -1"),
        (lambda: F.nll_loss(A, twain.asarray([7, 0])), IndexError, r"\[nll_loss\] expected labels in \[0, 3\), got 7"),
        (lambda: F.one_hot(twain.asarray([4]), 4), IndexError, r"\[one_hot\] expected class numbers in \[0, 4\), got 4"),
        # operands that are no tensors
        (lambda: twain.sin([1, 2]), TypeError, r"\[sin\] expected x to be a Tensor.*got list; twain\.asarray"),
        (lambda: twain.add(V, "a"), TypeError, r"\[add\] expected x2 to be a Tensor, an array or a number, got str"),
        (lambda: twain.add(V, None), TypeError, r"\[add\] expected 2 tensors, got none for x2"),
        (lambda: twain.concat([V, "a"]), TypeError, r"\[concat\] expected a sequence of tensors, got str for item 1"),
        (lambda: twain.stack(3), TypeError, r"\[stack\] expected a sequence of tensors, got int"),
        (lambda: nn.Linear(3, 4)([1.0, 2.0, 3.0]), TypeError, r"\[linear\] expected x to be a Tensor.*got list"),
        (lambda: V - [1, 2, 3], TypeError, r"unsupported operand type\(s\) for -: 'twain.Tensor' and 'list'"),
        # one element
        (lambda: bool(A), ValueError, r"\[bool\] expected a tensor of one element, got shape \(2, 3\): use any\(\) or all"),
        (lambda: A.item(), TypeError, r"\[item\] expected a tensor of one element, got shape \(2, 3\)"),
        # memory
        (lambda: twain.ones(2**40), MemoryError, r"cannot allocate 4096.00 GB on cpu:0.*smaller batches"),
        (lambda: twain.ones((2**40, 2**40)), ValueError, r"\[ones\] expected fewer than 2\*\*52 elements"),
    ],
)  # fmt: skip
def test_one_clear_sentence(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", [lambda: A + B, lambda: A @ B, lambda: twain.sum(A, axis=5), lambda: twain.sin([1])])
def test_the_traceback_ends_at_the_users_line(call, monkeypatch):
    monkeypatch.delenv("TWAIN_VERIFY", raising=False)
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename == __file__


ADD = (lambda a, b: a + b, lambda a, b: b + a)
PRODUCT = (lambda a, b: a @ b, lambda a, b: b @ a)


@pytest.mark.parametrize(
    "operation,other",
    [(f, np.arange(9, dtype=np.float32).reshape(3, 3)) for f in ADD + PRODUCT] + [(f, np.float32(2)) for f in ADD],
)
def test_numpy_operands_give_tensors_and_gradients(operation, other):
    x = twain.ones((3, 3))
    x.requires_grad = True
    result = operation(x, other)
    assert type(result) is twain.Tensor and result.requires_grad and result.dtype is twain.float32
    np.testing.assert_array_equal(result.detach().numpy(), operation(np.ones((3, 3), np.float32), other))


def test_a_numpy_array_is_not_frozen_into_a_plan():
    array = np.zeros(3, np.float32)
    compiled = twain.compile(lambda x: x + array)
    with pytest.warns(UserWarning, match="array is a ndarray"):
        for k in range(5):
            array[:] = k
            assert compiled(V).tolist() == [k + 1.0] * 3


def test_tape():
    x = twain.ones(3)
    x.requires_grad = True
    with pytest.raises(
        RuntimeError, match=r"\[backward\] expected a tensor of one element, got one of 3: sum it or average"
    ):
        (x * x).backward()
    with pytest.raises(RuntimeError, match=r"\[backward\] expected a tensor computed from one with requires_grad=True"):
        V.sum().backward()
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"\[backward\] .*pass retain_graph=True"):
        y.backward()
    with pytest.raises(RuntimeError, match=r"\[add\] a leaf that requires a gradient cannot be changed in place"):
        x += 1
    with pytest.raises(RuntimeError, match=r"\[setitem\] a leaf that requires a gradient .*twain\.no_grad\(\)"):
        x[0] = 1
    with pytest.raises(TypeError, match=r"x\[0, 1\] = 5"):
        A[0][1] = 5
    assert x.tolist() == [1.0] * 3 and x.grad.tolist() == [2.0] * 3 and A.tolist() == [[1.0] * 3] * 2
    with pytest.raises(TypeError, match=r"int32: integers and booleans have no gradient"):
        twain.ones(3, dtype="int32").requires_grad = True
    with pytest.raises(
        RuntimeError,
        match=r"\[grad\] expected the function to return a floating tensor of one element, got float32\[3\]",
    ):
        twain.grad(lambda x: x * 2)(V)


def test_anomaly_names_op_and_line():
    x = twain.zeros(3)
    x.requires_grad = True
    line = test_anomaly_names_op_and_line.__code__.co_firstlineno
    with twain.detect_anomaly():
        with pytest.raises(FloatingPointError, match=rf"\[divide\] NaN in the result.*test_messages\.py:{line + 6}$"):
            x / x
        root = x.sqrt()  # its derivative at 0 is infinite, and 0 * infinity is NaN
        with pytest.raises(FloatingPointError, match=rf"sqrt\] NaN .*backward.*test_messages\.py:{line + 7}$"):
            (root * 0).sum().backward()


class Broken(Dataset):
    def __init__(self, sample, length=4):
        self.sample, self.length = sample, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return self.sample(index)


@pytest.mark.parametrize(
    "call,kind,text",
    [
        (lambda: DataLoader(3, 2), TypeError, r"\[DataLoader\] expected a data set with len\(\) .*ArrayDataset"),
        (lambda: DataLoader([1, 2], 0), ValueError, r"\[DataLoader\] expected batch_size .*got 0"),
        (lambda: list(DataLoader(Broken(lambda i: np.ones(i + 1)), 2)), ValueError, r"samples of one shape.*PaddedCollate"),
        (lambda: list(DataLoader(Broken(lambda i: (i, None)), 2)), TypeError, r"\[collate\] sample\[1\]: expected .*NoneType"),
        (lambda: nn.Sequential([nn.Linear(2, 2)]), TypeError, r"\[Sequential\] expected modules, got list"),
        (lambda: nn.Linear(2, 2).load_state_dict(nn.Linear(3, 2).state_dict()), ValueError, r"weight: .*\(2, 2\), got \(2, 3\)"),
        (lambda: twain.optim.SGD(nn.Linear(2, 2), lr=0.1), TypeError, r"\[SGD\] expected model\.parameters\(\), got the Linear"),
        (lambda: nn.Module()(V), NotImplementedError, r"define forward\(self, \.\.\.\)"),
    ],
)  # fmt: skip
def test_layers_and_data(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_a_printed_model_shows_shapes_and_counts():
    text = repr(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)))
    assert "2,970 parameters" in text and "weight 8x1x3x3, bias 8: 80 parameters" in text
