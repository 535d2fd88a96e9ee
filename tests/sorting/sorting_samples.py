"""Random rows of every real dtype, with the values that orders get wrong."""

import numpy as np

DTYPES = "float32 float64 float16 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool".split()


def rows(rng, dtype: str, shape: tuple, special: bool = True) -> np.ndarray:
    """Few or many equal elements by chance; floats with NaNs of both signs, infinities and zeros of both signs."""
    many = rng.random() < 0.5
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype.startswith("float"):
        x = (rng.standard_normal(shape) * 10).astype(dtype)
        x = np.round(x) if many else x
        if special and x.size > 6:
            x.flat[:6] = [-0.0, 0.0, np.nan, np.inf, -np.inf, -np.nan]
        return x
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    return (x % 7).astype(dtype) if many else x
