"""What goes wrong in training gives one clear sentence, and leaves the model usable."""

import os
import signal
import threading

import numpy as np
import pytest

import twain
from twain import nn
from twain.data import DataLoader
from twain.train import Callback, Checkpoint, EarlyStopping, Model, NonFiniteLossError, NotCompiledError

X = np.random.default_rng(0).standard_normal((40, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


def model(**settings):
    twain.random.seed(0)
    return Model(nn.Linear(4, 2)).compile("sgd", "cross_entropy", ["accuracy"], lr=0.1, **settings)


def test_before_compile():
    with pytest.raises(NotCompiledError, match=r"\[fit\] expected a compiled model; call model\.compile"):
        Model(nn.Linear(4, 2)).fit(X, Y)
    with pytest.raises(RuntimeError, match=r"\[evaluate\] expected a compiled model"):
        Model(nn.Linear(4, 2)).evaluate(X, Y)
    assert Model(nn.Linear(4, 2)).predict(X).shape == (40, 2)


@pytest.mark.parametrize(
    "call,text",
    [
        (lambda m: m.fit(X, Y[:30]), "same number of samples, but x has 40, y has 30"),
        (lambda m: m.fit(X[:0], Y[:0]), "at least one sample, got none"),
        (lambda m: m.fit([], []), "at least one sample, got none"),
        (lambda m: m.fit(X), "expected y beside the array x"),
        (lambda m: m.fit(DataLoader([(x, y) for x, y in zip(X, Y, strict=True)], 8), Y), "y only beside an array x"),
        (lambda m: m.fit(iter([(X, Y)])), "iterated over each epoch, got the iterator .*steps_per_epoch"),
        (lambda m: m.fit(3), "got int"),
        (lambda m: m.fit(X, Y, epochs=0), "epochs to be an int of at least 1, got 0"),
        (lambda m: m.fit(X, Y, batch_size=0), "batch_size"),
        (lambda m: m.fit(X, Y, validation_split=1.0), "between 0 and 1"),
        (lambda m: m.fit(X, Y, validation_split=0.001), "samples on both sides"),
        (lambda m: m.fit(X[:, :3], Y), r"\[linear\] expected x of shape \(\.\.\., 4\)"),
        (lambda m: m.fit(X, Y[:, None]), r"class indices of shape \(32,\)"),
        (lambda m: m.fit(X, Y.astype("float32")), "class indices are integers"),
        (lambda m: m.fit(X, Y + 1, verbose=0), r"labels in \[0, 2\).*got 2 in epoch 1, batch 1"),
        (lambda m: m.fit(np.float32(3), Y), "axis of samples"),
        (lambda m: m.fit(X, Y, callbacks=[EarlyStopping()], verbose=0), "validation_data or validation_split"),
        (lambda m: m.compile("adamm", "mse"), "optimizer among sgd, adam, adamw, .*got 'adamm'"),
        (lambda m: m.compile("adam", "entropy"), "a loss among cross_entropy, .*got 'entropy'"),
        (lambda m: m.compile("adam"), "expected a loss: a function, a module or one of"),
        (lambda m: m.compile("adam", "mse", ["acuracy"]), "metric among accuracy"),
        (lambda m: m.compile("adam", "mse", ["mae", "mae"]), "'mae' twice"),
        (lambda m: m.compile("adam", 3), "loss function, got int"),
        (lambda m: Model(3), "expected a module"),
    ],
)
def test_one_clear_sentence(call, text):
    with pytest.raises((ValueError, TypeError), match=text) as error:
        call(model())
    assert "\n" not in str(error.value)


def test_a_loss_that_is_not_a_number_stops_with_a_message():
    bad = X.copy()
    bad[35, 1] = np.nan
    m = model()
    with pytest.raises(NonFiniteLossError, match=r"became nan in epoch 1, batch 5: input 0 holds NaN or infinity"):
        m.fit(bad, Y, batch_size=8, shuffle=False, verbose=0)
    m = Model(nn.Linear(4, 1)).compile("sgd", "mse", lr=1e30)
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        m.fit(X, X[:, :1] * 1e3, epochs=50, verbose=0)


def test_labels_out_of_range_leave_the_parameters_alone():
    m = model()
    with pytest.raises(ValueError, match="labels in"):
        m.fit(X, np.full(40, 7), verbose=0)
    assert np.isfinite(m.module.weight.detach().numpy()).all()


class PressCtrlC(Callback):
    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_batch_end(self, batch, logs):
        if (self.model.epoch, batch) == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_writes_a_checkpoint_and_the_run_goes_on_bit_for_bit(tmp_path, capsys):
    straight = model()
    expected = straight.fit(X, Y, epochs=4, batch_size=8, verbose=0, seed=3)

    path = tmp_path / "run.safetensors"
    broken = model()
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y, epochs=4, batch_size=8, verbose=0, seed=3, callbacks=[Checkpoint(path), PressCtrlC(1, 2)])
    told = capsys.readouterr().err
    assert "interrupted after epoch 2, batch 3" in told and str(path) in told
    assert broken.evaluate(X, Y)["loss"] > 0  # still usable
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    twain.random.seed(99)
    resumed = Model(nn.Linear(4, 2)).compile("sgd", "cross_entropy", ["accuracy"], lr=0.5)
    history = resumed.fit(X, Y, epochs=4, batch_size=8, verbose=0, seed=3, resume=path)
    assert [p.tolist() for p in resumed.parameters()] == [p.tolist() for p in straight.parameters()]
    assert history.history == expected.history


def test_sigterm_writes_a_checkpoint_and_ends_the_process(tmp_path, capsys):
    class Terminate(Callback):
        def on_batch_end(self, batch, logs):
            if batch == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    path = tmp_path / "run.safetensors"
    straight, broken, resumed = model(), model(), model()
    straight.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    with pytest.raises(SystemExit) as ended:
        broken.fit(X, Y, epochs=2, batch_size=8, verbose=0, callbacks=[Checkpoint(path), Terminate()])
    assert ended.value.code == 128 + signal.SIGTERM
    assert "told to end (SIGTERM) after epoch 1, batch 3" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    resumed.fit(X, Y, epochs=2, batch_size=8, verbose=0, resume=path)
    assert [p.tolist() for p in resumed.parameters()] == [p.tolist() for p in straight.parameters()]


def test_a_second_ctrl_c_does_not_wait():
    class Twice(Callback):
        def on_batch_end(self, batch, logs):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("the second one must not wait")

    with pytest.raises(KeyboardInterrupt):
        model().fit(X, Y, verbose=0, callbacks=[Twice()])


def test_training_in_another_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(model().fit(X, Y, epochs=2, verbose=0)["loss"]))
    thread.start()
    thread.join()
    assert results == [model().fit(X, Y, epochs=2, verbose=0)["loss"]]


def test_a_failing_callback_gets_on_train_end():
    ended = []

    class Failing(Callback):
        def on_epoch_end(self, epoch, logs):
            raise RuntimeError("mine")

        def on_train_end(self, logs):
            ended.append(True)

    with pytest.raises(RuntimeError, match="mine"):
        model().fit(X, Y, verbose=0, callbacks=[Failing()])
    assert ended == [True]


def test_a_checkpoint_of_something_else(tmp_path):
    path = tmp_path / "weights.safetensors"
    twain.io.save_file(model().state_dict(), path)
    with pytest.raises(TypeError, match="expected resume to be a checkpoint of a training run"):
        model().fit(X, Y, resume=path)
    path.write_bytes(b"\0" * 100)
    with pytest.raises(ValueError, match="weights"):
        model().fit(X, Y, resume=path)
