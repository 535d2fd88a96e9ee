"""A function in C as an op: one call with its source. It takes part in plans, has a gradient, and batches."""

import twain
from twain import extend

SOURCE = """
// y[t] = a * y[t - 1] + x[t]
void recurrence(const float *x, float a, float *y, int64_t n) {
    float last = 0;
    for (int64_t t = 0; t < n; ++t) y[t] = last = a * last + x[t];
}

// its transpose runs from the end
void recurrence_back(const float *g, float a, float *y, int64_t n) {
    float last = 0;
    for (int64_t t = n - 1; t >= 0; --t) y[t] = last = a * last + g[t];
}
"""
SIGNATURE = "x: float32[n], a: float32 -> y: float32[n]"

recurrence_back = extend.c_function(SOURCE, "recurrence_back", SIGNATURE)
recurrence = extend.c_function(
    SOURCE, "recurrence", SIGNATURE, gradient=lambda g, x, y, *, a: recurrence_back(g, a=a), threads=True
)

CPP = """
#include <algorithm>
#include <vector>
extern "C" int median(const double *x, double *middle, int64_t n) {
    if (n == 0) return 1;
    std::vector<double> values(x, x + n);
    std::nth_element(values.begin(), values.begin() + n / 2, values.end());
    *middle = values[n / 2];
    return 0;
}
"""
median = extend.c_function(
    CPP, "median", "x: float64[n] -> middle: float64", language="c++", status={1: "expected at least one element"}
)


@twain.compile
def energy(x):
    return (recurrence(x * 2, a=0.5) ** 2).mean()


def main() -> float:
    print(extend.c_prototype("recurrence", SIGNATURE))
    x = twain.ones((3, 1000)).requires_grad_()  # a batch of three
    energy(x).backward()
    print("energy", energy(x).item(), "gradient", x.grad[0, :3].tolist())
    print("medians", median(twain.asarray([[3.0, 1.0, 2.0], [9.0, 8.0, 7.0]], dtype=twain.float64)).tolist())
    try:
        median(twain.zeros((0,), dtype=twain.float64))
    except extend.ForeignError as error:
        print(error)
    step = 1e-2
    direction = twain.linspace(-1, 1, 1000)
    slope = (energy(x.detach() + step * direction) - energy(x.detach() - step * direction)).item() / (2 * step)
    return 1.0 - abs(slope - (x.grad * direction).sum().item())


if __name__ == "__main__":
    print(f"agreement {main():.4f}")
