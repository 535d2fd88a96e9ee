"""The updates of all optimizers; `updating.py` says what a rule gets, and does what they have in common.

In a rule `k` are scalars in the parameter's dtype, `f` the static settings, `p` the parameter, `g` its gradient. In
terms `s` are the settings in float64 and `t` the counters, the first of them the number of this step, from 1.
"""

from __future__ import annotations

from ...base import dtypes as dt
from ..elementwise import abs as abs_
from ..elementwise import cast, equal, greater, less, maximum, minimum, not_equal, power, rsqrt, sign, sqrt, where
from ..linalg import matmul
from ..reduce import any as any_
from ..reduce import mean
from ..reduce import sum as sum_
from ..shape import permute_dims
from .updating import Update

_LR, _DECAY, _SHARE, _MEMORY, _EPS = (0.001, 0.1), (0, 0.1), (0.5, 0.9), (0.9, 0.99), (1e-8, 1e-6)
_POSITIVE = (0.1, 5)


def _moved(old, new, share):
    """The average `old`, moved on towards `new`."""
    return old + share * (new - old)


def _squares(old, g, kept, share):
    return old * kept + share * g * g


# ---------------------------------------------------------------- SGD
def _sgd_terms(s, f, t):
    damped = where(equal(t[0], 1), 1.0, 1.0 - s.dampening) if f.dampening else None
    return {"damped": damped}, ()  # the first gradient enters the buffer whole


def _sgd(k, f, p, g, buffer=None):
    """Stochastic gradient descent, with momentum as in PyTorch (Sutskever et al. 2013)."""
    if buffer is None:
        return (p - k.lr * g,)
    buffer = buffer * k.momentum + (k.damped * g if f.dampening else g)
    return p - k.lr * (g + k.momentum * buffer if f.nesterov else buffer), buffer


sgd_update = Update(
    "sgd_update", {"lr": _LR, "momentum": _SHARE, "dampening": (0, 0.5), "weight_decay": _DECAY},
    ("momentum", "dampening", "weight_decay", "decoupled_weight_decay", "nesterov", "maximize"),
    lambda f, ndim: ("momentum_buffer",) if f.momentum else (), _sgd, terms=_sgd_terms, flushed=("momentum_buffer",),
    tried=((True, True, True, False, True, False), (True, False, False, False, False, True)),
)  # fmt: skip


# ---------------------------------------------------------------- Adam and its family
_BETAS = {"lr": _LR, "beta1": (0.8, 0.9), "beta2": _MEMORY, "eps": _EPS, "weight_decay": _DECAY}
_MOMENTS = ("exp_avg", "exp_avg_sq")


def _rests(s):
    """1 - beta in float64: in float32 it would lose its digits."""
    return {"rest1": 1.0 - s.beta1, "rest2": 1.0 - s.beta2}


def _adam_terms(s, f, t):
    # The step size with the first moment's bias undone, and 1 over the root of the second's.
    size = s.lr / (1.0 - power(s.beta1, t[0]))
    return {**_rests(s), "size": size, "root": 1.0 / sqrt(1.0 - power(s.beta2, t[0]))}, ()


def _adam(k, f, p, g, first, second, largest=None):
    """Adam (Kingma, Ba 2014), its decoupled weight decay (Loshchilov, Hutter 2017), AMSGrad (Reddi et al. 2018)."""
    first = _moved(first, g, k.rest1)
    second = _squares(second, g, k.beta2, k.rest2)
    if not f.amsgrad:
        return p - k.size * (first / (sqrt(second) * k.root + k.eps)), first, second
    largest = maximum(largest, second)
    return p - k.size * (first / (sqrt(largest) * k.root + k.eps)), first, second, largest


adam_update = Update(
    "adam_update", _BETAS, ("amsgrad", "weight_decay", "decoupled_weight_decay", "maximize"),
    lambda f, ndim: (*_MOMENTS, "max_exp_avg_sq") if f.amsgrad else _MOMENTS, _adam, terms=_adam_terms, flushed=_MOMENTS,
    tried=((False, True, False, False), (False, True, True, True)), ranges={"exp_avg_sq": _POSITIVE},
)  # fmt: skip


def _sparse_adam(k, f, p, g, first, second):
    """Adam for gradients that are zero in most rows: where a row of the gradient is zero, nothing moves."""
    axes = tuple(range(1, len(p.shape)))
    hit = any_(not_equal(g, 0), axes, True) if axes else not_equal(g, 0)
    value, *moments = _adam(k, f, p, g, first, second)
    return tuple(where(hit, new, old) for new, old in zip((value, *moments), (p, first, second)))


def _sparse_adam_terms(s, f, t):
    return _adam_terms(s, f, t)[0] | {"eps": s.eps / sqrt(1.0 - power(s.beta2, t[0]))}, ()


sparse_adam_update = Update(
    "sparse_adam_update", {key: _BETAS[key] for key in ("lr", "beta1", "beta2", "eps")}, ("amsgrad", "maximize"),
    lambda f, ndim: _MOMENTS, _sparse_adam, terms=_sparse_adam_terms, flushed=_MOMENTS, decayed=False,
    tried=((False, False), (False, True)), ranges={"exp_avg_sq": _POSITIVE},
)  # fmt: skip


def _adamax_terms(s, f, t):
    return {**_rests(s), "size": s.lr / (1.0 - power(s.beta1, t[0]))}, ()


def _adamax(k, f, p, g, first, top):
    """Adamax, Adam with the infinity norm (Kingma, Ba 2014)."""
    first = _moved(first, g, k.rest1)
    top = maximum(top * k.beta2, abs_(g) + k.eps)
    return p - k.size * (first / top), first, top


adamax_update = Update(
    "adamax_update", _BETAS, ("weight_decay", "decoupled_weight_decay", "maximize"),
    lambda f, ndim: ("exp_avg", "exp_inf"), _adamax, terms=_adamax_terms, flushed=("exp_avg",),
    tried=((True, False, False), (True, False, True)), ranges={"exp_inf": _POSITIVE},
)  # fmt: skip


def _nadam_terms(s, f, t):
    step, product = t
    now = s.beta1 * (1.0 - 0.5 * power(0.96, step * s.momentum_decay))
    after = s.beta1 * (1.0 - 0.5 * power(0.96, (step + 1) * s.momentum_decay))
    # Kept in float32, as PyTorch keeps it.
    product = product * cast(now, product.dtype)
    wide = cast(product, dt.float64)
    terms = {
        "current": s.lr * (1.0 - now) / (1.0 - wide),
        "ahead": s.lr * after / (1.0 - wide * after),
        "spread": 1.0 / (1.0 - power(s.beta2, step)),
    }
    return {**_rests(s), **terms}, (product,)


def _nadam(k, f, p, g, first, second):
    """NAdam, Adam with Nesterov's momentum (Dozat 2016)."""
    first = _moved(first, g, k.rest1)
    second = _squares(second, g, k.beta2, k.rest2)
    below = sqrt(second * k.spread) + k.eps
    return p - k.current * (g / below) - k.ahead * (first / below), first, second


nadam_update = Update(
    "nadam_update", {**_BETAS, "momentum_decay": (0.001, 0.01)}, ("weight_decay", "decoupled_weight_decay", "maximize"),
    lambda f, ndim: _MOMENTS, _nadam, terms=_nadam_terms, counters=("step", "mu_product"), flushed=_MOMENTS,
    tried=((True, False, False), (True, True, True)), ranges={"exp_avg_sq": _POSITIVE, "mu_product": (0.3, 0.6)},
)  # fmt: skip


def _radam_terms(s, f, t):
    step = t[0]
    decayed = power(s.beta2, step)
    longest = 2.0 / (1.0 - s.beta2) - 1.0
    length = longest - 2.0 * step * decayed / (1.0 - decayed)  # of the average of squares, in steps
    long = greater(length, 5.0)
    safe = where(long, length, 6.0)
    rectified = sqrt((safe - 4.0) * (safe - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * safe))
    terms = {
        "size": s.lr / (1.0 - power(s.beta1, step)),
        "scale": rectified * sqrt(1.0 - decayed),
        "long": where(long, 1.0, 0.0),
    }
    return {**_rests(s), **terms}, ()


def _radam(k, f, p, g, first, second):
    """RAdam: no adaption before the average of squares is long enough (Liu et al. 2019)."""
    first = _moved(first, g, k.rest1)
    second = _squares(second, g, k.beta2, k.rest2)
    adapted = where(greater(k.long, 0.5), k.scale / (sqrt(second) + k.eps), 1.0)
    return p - k.size * first * adapted, first, second


radam_update = Update(
    "radam_update", _BETAS, ("weight_decay", "decoupled_weight_decay", "maximize"), lambda f, ndim: _MOMENTS, _radam,
    terms=_radam_terms, flushed=_MOMENTS, tried=((True, False, False), (True, True, True)),
    ranges={"exp_avg_sq": _POSITIVE, "step": (0, 12)},
)  # fmt: skip


# ---------------------------------------------------------------- sums and averages of squares
def _adagrad_terms(s, f, t):
    return {"size": s.lr / (1.0 + (t[0] - 1.0) * s.lr_decay)}, ()


def _adagrad(k, f, p, g, total):
    """Adagrad (Duchi, Hazan, Singer 2011)."""
    total = total + g * g
    return p - k.size * (g / (sqrt(total) + k.eps)), total


adagrad_update = Update(
    "adagrad_update", {"lr": _LR, "lr_decay": (0, 0.1), "weight_decay": _DECAY, "eps": _EPS},
    ("weight_decay", "decoupled_weight_decay", "maximize"), lambda f, ndim: ("sum",), _adagrad, terms=_adagrad_terms,
    tried=((True, False, False), (True, False, True)), ranges={"sum": _POSITIVE},
)  # fmt: skip


def _adadelta(k, f, p, g, squares, steps):
    """Adadelta (Zeiler 2012)."""
    squares = _squares(squares, g, k.rho, k.rest)
    move = sqrt(steps + k.eps) / sqrt(squares + k.eps) * g
    return p - k.lr * move, squares, _squares(steps, move, k.rho, k.rest)


adadelta_update = Update(
    "adadelta_update", {"lr": _LR, "rho": _SHARE, "eps": _EPS, "weight_decay": _DECAY},
    ("weight_decay", "decoupled_weight_decay", "maximize"), lambda f, ndim: ("square_avg", "acc_delta"), _adadelta,
    terms=lambda s, f, t: ({"rest": 1.0 - s.rho}, ()), flushed=("square_avg", "acc_delta"),
    tried=((True, False, False), (True, False, True)), ranges={"square_avg": _POSITIVE, "acc_delta": _POSITIVE},
)  # fmt: skip


def _rmsprop_state(f, ndim):
    return ("square_avg", *(("momentum_buffer",) if f.momentum else ()), *(("grad_avg",) if f.centered else ()))


def _rmsprop(k, f, p, g, squares, *rest):
    """RMSprop (Tieleman, Hinton 2012); centered: the squares of the mean are subtracted (Graves 2013)."""
    squares = _squares(squares, g, k.alpha, k.rest)
    average = _moved(rest[-1], g, k.rest) if f.centered else None
    spread = sqrt(squares - average * average if f.centered else squares) + k.eps
    last = (average,) if f.centered else ()
    if not f.momentum:
        return (p - k.lr * (g / spread), squares, *last)
    buffer = rest[0] * k.momentum + g / spread
    return (p - k.lr * buffer, squares, buffer, *last)


rmsprop_update = Update(
    "rmsprop_update", {"lr": _LR, "alpha": _MEMORY, "eps": _EPS, "weight_decay": _DECAY, "momentum": _SHARE},
    ("momentum", "centered", "weight_decay", "decoupled_weight_decay", "maximize"), _rmsprop_state, _rmsprop,
    terms=lambda s, f, t: ({"rest": 1.0 - s.alpha}, ()), flushed=("square_avg", "momentum_buffer", "grad_avg"),
    tried=((True, True, True, False, False), (True, True, False, False, True)),
    ranges={"square_avg": (5, 9), "grad_avg": (-1, 1)},
)  # fmt: skip


# ---------------------------------------------------------------- Rprop, ASGD
def _rprop(k, f, p, g, before, size):
    """Resilient propagation: step sizes follow the signs of gradients (Riedmiller, Braun 1993)."""
    turn = g * before
    size = size * where(greater(turn, 0), k.etaplus, where(less(turn, 0), k.etaminus, 1.0))
    size = minimum(maximum(size, k.step_size_min), k.step_size_max)
    g = where(less(turn, 0), 0.0, g)
    return p - sign(g) * size, g, size


rprop_update = Update(
    "rprop_update",
    {"lr": _LR, "etaminus": (0.4, 0.6), "etaplus": (1.1, 1.3), "step_size_min": (1e-6, 1e-5), "step_size_max": (10, 50)},
    ("maximize",), lambda f, ndim: ("prev", "step_size"), _rprop, decayed=False, tried=((False,), (True,)),
    ranges={"step_size": (0.01, 0.1)},
)  # fmt: skip


def _asgd_terms(s, f, t):
    step, eta, mu = t
    # Both are kept in float32, as PyTorch keeps them, and are of the step before when this one uses them.
    wide = cast(eta, dt.float64)
    new = s.lr / power(1.0 + s.lambd * s.lr * step, s.alpha), 1.0 / maximum(1.0, step - s.t0)
    terms = {"rate": wide, "shrunk": 1.0 - s.lambd * wide, "share": cast(mu, dt.float64)}
    return terms, (cast(new[0], eta.dtype), cast(new[1], mu.dtype))


def _asgd(k, f, p, g, average):
    """Averaged stochastic gradient descent (Polyak, Juditsky 1992)."""
    p = p * k.shrunk - k.rate * g
    return p, where(equal(k.share, 1.0), p, _moved(average, p, k.share))


asgd_update = Update(
    "asgd_update", {"lr": _LR, "lambd": (1e-4, 1e-2), "alpha": (0.6, 0.8), "t0": (0, 2), "weight_decay": _DECAY},
    ("weight_decay", "decoupled_weight_decay", "maximize"), lambda f, ndim: ("ax",), _asgd, terms=_asgd_terms,
    counters=("step", "eta", "mu"), tried=((True, False, False), (True, False, True)),
    ranges={"eta": (0.01, 0.1), "mu": (0.2, 0.9)},
)  # fmt: skip


# ---------------------------------------------------------------- Adafactor, Muon
# From 1 to the next number.
_SPACING = {dt.float64: 2.0**-52, dt.float32: 2.0**-23, dt.float16: 2.0**-10, dt.bfloat16: 2.0**-7}


def _root_mean_square(x):
    return sqrt(mean(x * x)) if x.shape else abs_(x)


def _adafactor_terms(s, f, t):
    return {
        "share": power(t[0], s.beta2_decay),
        "limit": minimum(s.lr, 1.0 / sqrt(t[0])),
        "shrunk": 1.0 - s.lr * s.weight_decay,
    }, ()


def _adafactor(k, f, p, g, *state):
    """Adafactor: of a matrix of squares only means of rows and columns are kept (Shazeer, Stern 2018)."""
    eps1, eps2 = f.eps
    if eps1 is None:
        eps1 = _SPACING[k.stored]
    size = maximum(_root_mean_square(p), eps2) * k.limit
    if f.weight_decay:
        p = p * k.shrunk
    if len(p.shape) > 1:
        rows = _moved(state[0], mean(g * g, -1, True), k.share)
        columns = _moved(state[1], mean(g * g, -2, True), k.share)
        squares = rows * columns / maximum(mean(rows, -2, True), eps1)
        state = (rows, columns)
    else:
        squares = _moved(state[0], g * g, k.share)
        state = (squares,)
    move = g * rsqrt(maximum(squares, eps1 * eps1))
    return (p - size / maximum(_root_mean_square(move) / k.d, 1.0) * move, *state)


def adafactor_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of a state tensor of a parameter of that shape."""
    return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, *shape[-1:]), "variance": shape}[name]


adafactor_update = Update(
    "adafactor_update", {"lr": _LR, "beta2_decay": (-0.8, -0.6), "d": (1, 2), "weight_decay": _DECAY},
    ("eps", "weight_decay", "maximize"), lambda f, ndim: ("row_var", "col_var") if ndim > 1 else ("variance",),
    _adafactor, terms=_adafactor_terms, decayed=False, flushed=("row_var", "col_var", "variance"),
    tried=(((1e-10, 1e-3), True, False), ((1e-10, 1e-3), False, True)),
    ranges={"row_var": _POSITIVE, "col_var": _POSITIVE}, shapes=adafactor_shape,
)  # fmt: skip


def _orthogonal(g, coefficients, steps, eps):
    """About the orthogonal matrix nearest to g, by a polynomial iteration with results in bfloat16 (Jordan 2024)."""
    a, b, c = coefficients

    def rounded(x):
        return cast(cast(x, dt.bfloat16), dt.float32)

    x = rounded(g)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = permute_dims(x, (1, 0))
    x = rounded(x / maximum(rounded(sqrt(sum_(x * x))), rounded(cast(eps, dt.float32))))
    for _ in range(steps):
        gram = rounded(matmul(x, permute_dims(x, (1, 0))))
        x = rounded(a * x + matmul(rounded(b * gram + c * matmul(gram, gram)), x))
    return permute_dims(x, (1, 0)) if tall else x


def _muon(k, f, p, g, buffer):
    """Muon: momentum made orthogonal, for matrices (Jordan et al. 2024; Liu et al. 2025)."""
    buffer = _moved(buffer, g, k.rest)
    move = _orthogonal(_moved(g, buffer, k.momentum) if f.nesterov else buffer, f.ns_coefficients, f.ns_steps, k.eps)
    rows, columns = p.shape
    ratio = 0.2 * max(rows, columns) ** 0.5 if f.adjust_lr_fn == "match_rms_adamw" else max(1.0, rows / columns) ** 0.5
    return p - k.lr * ratio * cast(move, p.dtype), buffer


muon_update = Update(
    "muon_update", {"lr": _LR, "weight_decay": _DECAY, "momentum": _SHARE, "eps": _EPS},
    ("nesterov", "ns_coefficients", "ns_steps", "adjust_lr_fn", "weight_decay", "decoupled_weight_decay", "maximize"),
    lambda f, ndim: ("momentum_buffer",), _muon, terms=lambda s, f, t: ({"rest": 1.0 - s.momentum}, ()),
    flushed=("momentum_buffer",), tried=((True, (3.4445, -4.775, 2.0315), 2, None, True, True, False),),
)  # fmt: skip
muon_update.op.record.differentiable = False  # rounded to bfloat16 on the way, it is a staircase
