"""Training steps: backward, gradients, optimizers, modules, tapes around and inside compiled functions."""

from __future__ import annotations

import copy
import itertools

import pytest
from eager_and_compiled import check, values

import twain
from twain import nn, optim


def parameter(*shape, start=0.1):
    return (values(*shape, start=start) * 0.3).requires_grad_()


class Net(nn.Module):
    def __init__(self, sizes=(4, 5, 3), p=0.0):
        self.layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        for k, layer in enumerate(self.layers):
            with twain.no_grad():
                layer.weight.assign(values(*layer.weight.shape, start=0.1 + k) * 0.1)
                layer.bias.assign(values(*layer.bias.shape, start=0.2) * 0.1)
        self.dropout = nn.Dropout(p)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = self.dropout(twain.relu(layer(x)))
        return self.layers[-1](x)


def batch(i):
    return values(6, 4, start=0.1 * i) * 0.2, twain.asarray([0, 1, 2, 0, 1, 2])


def state_of(model, optimizer=None):
    shown = list(model.parameters())
    if optimizer is not None:
        shown += [dict(row) for row in optimizer.state.values()]
    return shown


MAKERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
}


@pytest.mark.parametrize("zero", ["first", "last"])
@pytest.mark.parametrize("which", sorted(MAKERS))
def test_training_step(which, zero):
    def case(wrap):
        model = Net()
        optimizer = MAKERS[which](model.parameters())

        def step(x, y):
            if zero == "first":
                optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            if zero == "last":
                optimizer.zero_grad()
            return loss

        step = wrap(step)
        return lambda i: (step(*batch(i)).detach(), state_of(model, optimizer))

    check(case)


def test_method_of_a_trainer():
    class Trainer:
        def __init__(self):
            self.model = Net()
            self.optimizer = optim.Adam(self.model.parameters(), lr=0.01)

        def step(self, x, y):
            loss = nn.functional.cross_entropy(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return loss

    def case(wrap):
        trainer = Trainer()
        step = wrap(trainer.step)
        return lambda i: (step(*batch(i)).detach(), state_of(trainer.model, trainer.optimizer))

    check(case)


def test_decorated_method():
    def case(wrap):
        class Trainer:
            def __init__(self, k):
                self.w = parameter(4)
                self.k = k

            @wrap
            def step(self, x):
                self.w.grad = None
                ((self.w * x) ** 2).sum().backward()
                with twain.no_grad():
                    self.w.assign(self.w - self.k * self.w.grad)

        a, b = Trainer(0.1), Trainer(0.2)

        def call(i):
            (a if i % 2 else b).step(values(4, start=i) * 0.1)
            return a.w, b.w

        return call

    check(case)


def test_learning_rate_schedule():
    def case(wrap):
        model = Net()
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)

        def call(i):
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + i)
            return step(*batch(i)).detach(), state_of(model)

        return call

    (step,) = check(case, calls=20)
    assert step.recordings <= 8, step.explain()


def test_learning_rate_argument():
    def case(wrap):
        w = parameter(4)

        def step(x, lr):
            loss = ((w * x) ** 2).sum()
            w.grad = None
            loss.backward()
            with twain.no_grad():
                w.assign(w - lr * w.grad)
            return loss

        step = wrap(step)
        return lambda i: (step(values(4, start=i) * 0.1, 0.1 / (1 + i)).detach(), w)

    (step,) = check(case, calls=20)
    assert step.recordings <= 7, step.explain()


def test_gradient_accumulation_over_calls():
    def case(wrap):
        w = parameter(4)

        def micro(x):
            loss = ((w * x) ** 2).sum()
            loss.backward()
            return loss

        micro = wrap(micro)

        def call(i):
            loss = micro(values(4, start=i) * 0.1).detach()
            shown = loss, w.grad
            if i % 4 == 3:
                with twain.no_grad():
                    w.assign(w - 0.01 * w.grad)
                w.grad = None
            return shown, w

        return call

    check(case, calls=24)


def test_accumulation_inside():
    def case(wrap):
        w = parameter(4)

        def step(parts):
            w.grad = None
            for x in parts:
                ((w * x) ** 2).sum().backward()
            with twain.no_grad():
                w.assign(w - 0.01 * w.grad)
            return w.grad

        step = wrap(step)
        return lambda i: (step([values(4, start=i + k) * 0.1 for k in range(3)]), w)

    check(case)


def test_freezing_between_calls():
    def case(wrap):
        model = Net()
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)

        def call(i):
            model.layers[0].weight.requires_grad_(i % 6 < 4)
            return step(*batch(i)).detach(), state_of(model)

        return call

    check(case, calls=24)


def test_parameter_object_replaced():
    def case(wrap):
        model = Net()

        def f(x):
            return model(x)

        f = wrap(f)

        def call(i):
            if i % 5 == 4:
                model.layers[0].weight = parameter(5, 4, start=float(i))
            return f(batch(i)[0])

        return call

    check(case, calls=20)


def test_training_flag():
    def case(wrap):
        model = Net(p=0.5)
        f = wrap(lambda x: model(x))

        def call(i):
            model.train(i % 4 < 2)
            return f(batch(i)[0])

        return call

    check(case, calls=24)


def test_compiled_module():
    def case(wrap):
        model = Net()
        f = wrap(model)

        def call(i):
            y = f(batch(i)[0])
            y.sum().backward()
            shown = [p.grad for p in model.parameters()]
            for p in model.parameters():
                p.grad = None
            return y, shown

        return call

    check(case)


def test_layer_added():
    def case(wrap):
        model = Net()
        f = wrap(lambda x: model(x))

        def call(i):
            if i == 6:
                extra = nn.Linear(3, 3)
                with twain.no_grad():
                    extra.weight.assign(values(3, 3))
                    extra.bias.assign(values(3))
                model.layers.append(extra)
            return f(batch(i)[0])

        return call

    check(case)


def test_batch_norm():
    def case(wrap):
        norm = nn.BatchNorm1d(4)
        f = wrap(lambda x: norm(x))

        def call(i):
            norm.train(i % 5 != 4)
            return f(batch(i)[0]), list(norm.buffers())

        return call

    check(case, calls=24)


def test_average_of_weights():
    def case(wrap):
        model = Net()
        average = [p.detach() * 1 for p in model.parameters()]
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            with twain.no_grad():
                for a, p in zip(average, model.parameters()):
                    a.assign(a * 0.9 + p * 0.1)
            return loss

        step = wrap(step)
        return lambda i: (step(*batch(i)).detach(), state_of(model), average)

    check(case)


def test_snapshot_survives_updates():
    def case(wrap):
        w = parameter(4)
        kept = []

        def step(x):
            w.grad = None
            ((w * x) ** 2).sum().backward()
            with twain.no_grad():
                w.assign(w - 0.1 * w.grad)

        step = wrap(step)

        def call(i):
            kept.append((w.detach(), w[1:].detach()))
            step(values(4, start=i) * 0.1)
            return w, kept[-3:]

        return call

    check(case)


def test_under_an_outer_tape():
    def case(wrap):
        w = parameter(4)
        f = wrap(lambda x: twain.tanh(w * x).sum())

        def call(i):
            x = values(4, start=i * 0.1).requires_grad_()
            loss = f(x) * 2 + f(x * 0.5)
            loss.backward()
            shown = loss.detach(), x.grad, w.grad
            w.grad = None
            return shown

        return call

    check(case, calls=20)


def test_outer_tape_and_detached_parts():
    def case(wrap):
        w = parameter(4)

        def f(x):
            a = w * x
            with twain.no_grad():
                b = twain.exp(a)
            c = (a * b).sum() + (a.detach() * w).sum()
            return c, b, a.detach()

        f = wrap(f)

        def call(i):
            x = values(4, start=i * 0.1).requires_grad_()
            c, b, d = f(x)
            c.backward()
            shown = c.detach(), b, d, x.grad, w.grad
            w.grad = None
            return shown

        return call

    check(case, calls=20)


def test_second_order_through_a_compiled_function():
    def case(wrap):
        f = wrap(lambda x: (twain.sin(x) * x).sum())

        def call(i):
            x = values(4, start=i * 0.1)
            return twain.grad(lambda t: (twain.grad(f)(t) ** 2).sum())(x)

        return call

    check(case, calls=20)


def test_functional_gradient_inside():
    def case(wrap):
        def loss(w, x):
            return ((w * x - 1) ** 2).sum()

        def step(w, x):
            value, g = twain.value_and_grad(loss)(w, x)
            return value, w - 0.1 * g

        step = wrap(step)

        def call(i):
            value, w = step(values(4, start=i * 0.1), values(4))
            return value.detach(), w.detach()

        return call

    check(case)


def test_grad_mode_around():
    def case(wrap):
        w = parameter(4)
        f = wrap(lambda x: w * x)

        def call(i):
            if i % 3 == 0:
                with twain.no_grad():
                    return f(values(4, start=i))
            return f(values(4, start=i))

        return call

    check(case, calls=20)


def test_no_grad_inside():
    def case(wrap):
        w = parameter(4)

        @twain.no_grad()
        def clip(t):
            return t * 0.5

        def f(x):
            return clip(w * x) + clip(x)

        f = wrap(f)
        return lambda i: f(values(4, start=i))

    check(case)


def test_backward_twice_is_an_error():
    def case(wrap):
        w = parameter(4)

        def step(x):
            loss = (w * x).sum()
            loss.backward()
            return loss

        step = wrap(step)

        def call(i):
            w.grad = None
            loss = step(values(4, start=i))
            with pytest.raises(RuntimeError):
                loss.backward()
            return loss.detach(), w.grad

        return call

    check(case)


def test_hooks():
    def case(wrap):
        w = parameter(4)
        seen = []

        def f(x):
            y = w * x
            y.register_hook(lambda g: g * 2)
            y.sum().backward()
            return w.grad

        f = wrap(f)

        def call(i):
            w.grad = None
            return f(values(4, start=i)), len(seen)

        return call

    check(case, kept=None)


def test_hook_with_effect():
    def case(wrap):
        w = parameter(4)
        seen = []
        w.register_hook(lambda g: seen.append(1))

        def f(x):
            (w * x).sum().backward()
            return w.grad

        f = wrap(f)

        def call(i):
            w.grad = None
            return f(values(4, start=i)), len(seen)

        return call

    check(case, kept=False)


def test_leaf_changed_in_place():
    def case(wrap):
        w = parameter(4)

        def f(x):
            nonlocal w
            w += x
            return w

        f = wrap(f)
        return lambda i: f(values(4, start=i))

    check(case, kept=None)


def test_requires_grad_changed_inside():
    def case(wrap):
        w = parameter(4)

        def f(x):
            w.requires_grad_(not w.requires_grad)
            return w * x

        f = wrap(f)
        return lambda i: f(values(4, start=i))

    check(case, kept=False)


def test_hidden_state_carried_with_its_tape():
    def case(wrap):
        w = parameter(4)
        state = {"h": values(4) * 0}

        def f(x):
            state["h"] = twain.tanh(state["h"] * w + x)
            return state["h"]

        f = wrap(f)

        def call(i):
            if i % 4 == 0:
                state["h"] = state["h"].detach()
            h = f(values(4, start=i * 0.1))
            shown = h.detach()
            if i % 4 == 3:
                h.sum().backward()
                shown = shown, w.grad
                w.grad = None
            return shown

        return call

    check(case, calls=24)


def test_branch_inside_a_training_step():
    def case(wrap):
        w = parameter(4)

        def step(x):
            w.grad = None
            loss = ((w * x) ** 2).sum()
            loss.backward()
            with twain.no_grad():
                norm = (w.grad * w.grad).sum()
                if norm > 0.5:
                    w.grad.assign(w.grad * 0.1)
                w.assign(w - 0.1 * w.grad)
            return loss

        step = wrap(step)
        return lambda i: (step(values(4, start=(i % 5) * 0.5)).detach(), w, w.grad)

    check(case, calls=30)


def test_nan_check_inside():
    def case(wrap):
        w = parameter(4)

        def step(x):
            loss = twain.log(w * x).sum()
            if twain.isnan(loss):
                return None
            w.grad = None
            loss.backward()
            with twain.no_grad():
                w.assign(w + 0.001 * w.grad)
            return loss.detach()

        step = wrap(step)
        return lambda i: (step(values(4) * (-1 if i % 4 == 3 else 1)), w)

    check(case, calls=24)


def test_clipping():
    def case(wrap):
        model = Net()
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optim.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            return loss

        step = wrap(step)
        return lambda i: (step(*batch(i)).detach(), state_of(model))

    check(case, kept=None)


def test_dropout_draws_new_numbers():
    def case(wrap):
        f = wrap(lambda x: nn.functional.dropout(x, 0.5))
        return lambda i: f(values(20))

    check(case)


def test_detached_leaf_inside():
    def case(wrap):
        def f(x):
            leaf = (x * 2).detach().requires_grad_()
            (leaf**2).sum().backward()
            return x - leaf.grad

        f = wrap(f)

        def call(i):
            x = values(4, start=i).requires_grad_()
            y = f(x)
            y.sum().backward()
            return y.detach(), x.grad

        return call

    check(case, calls=20)


def test_model_copied_and_used():
    def case(wrap):
        model = Net()
        other = copy.deepcopy(model)
        f = wrap(lambda m, x: m(x))

        def call(i):
            return f(model if i % 2 else other, batch(i)[0])

        return call

    check(case, kept=None)


def test_shared_parameter():
    def case(wrap):
        a, b = nn.Linear(4, 4), nn.Linear(4, 4)
        with twain.no_grad():
            for layer in (a, b):
                layer.weight.assign(values(4, 4) * 0.1)
                layer.bias.assign(values(4) * 0.1)
        b.weight = a.weight

        def f(x):
            loss = b(a(x)).sum()
            a.weight.grad = None
            loss.backward()
            with twain.no_grad():
                a.weight.assign(a.weight - 0.1 * a.weight.grad)
            return loss

        f = wrap(f)

        def call(i):
            if i == 8:
                b.weight = parameter(4, 4)
            return f(batch(i)[0]).detach(), a.weight, b.weight, b.bias.grad

        return call

    check(case, calls=20)


def test_hook_registered_later():
    def case(wrap):
        w = parameter(4)

        def f(x):
            w.grad = None
            (w * x).sum().backward()
            return w.grad

        f = wrap(f)
        handles = []

        def call(i):
            if i == 7:
                handles.append(w.register_hook(lambda g: g * 2))
            if i == 10:
                handles.pop().remove()
            return f(values(4, start=i))

        return call

    check(case, calls=20)


def test_retained_gradient_of_a_result():
    def case(wrap):
        w = parameter(4)

        def f(x):
            y = w * x
            y.retain_grad()
            return y

        f = wrap(f)

        def call(i):
            w.grad = None
            y = f(values(4, start=i))
            y.sum().backward()
            return y.grad, w.grad

        return call

    check(case, kept=None)


def test_gradients_of_sums_of_merged_axes():
    """The gradient of a sum is one number everywhere: it lies nowhere, and merged axes of it have no index map."""

    def shuffled(x):
        return x.reshape((1, 2, 2, 2, 4, 4)).permute_dims((0, 1, 4, 2, 5, 3)).reshape((1, 2, 8, 8)).sum()

    compiled = twain.compile(lambda x: twain.grad(shuffled)(x))
    for _ in range(3):
        assert compiled(twain.ones((1, 8, 4, 4))).tolist() == twain.ones((1, 8, 4, 4)).tolist()
