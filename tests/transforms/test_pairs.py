"""Every op of the table through every pair of grad, jvp and vmap; see twain.testing.pairs."""

import pytest

from twain.testing import drivers, pairs

OPS = drivers.load_all()


@pytest.mark.parametrize("name", [name for name, record in OPS.items() if record.samples is not None])
def test_pairs(name):
    pairs.check_pairs(OPS[name])


def test_nearly_all_are_tried():
    """What has no floating operand of double precision has nothing to try."""
    tried = [name for name, r in OPS.items() if r.samples is not None and pairs.smallest(r) is not None]
    assert len(tried) > 300
