"""Guard trees: what passes, what fails, and what is said about it."""

import collections
import gc
import math
import random
import types
import weakref

import pytest

from twain import _core

GuardTree = _core.GuardTree


def holds(check, expected, value) -> bool:
    """Whether one check of the first argument holds; the explanation must agree."""
    tree = GuardTree([("argument", -1, 0, check, expected)], ("x",))
    result = tree.check((value,), {})
    assert result is None or result == []
    text = tree.explain((value,), {})
    assert (text == "all guards hold") is (result is not None)
    assert result is not None or text.startswith("`x`: ")
    return result is not None


# -- checks -----------------------------------------------------------------------------------------------------------

VALUES = [
    None, True, False, 0, 1, -1, 2**40, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**40, 0.0, -0.0, 1.0, 1.5, math.nan,
    math.inf, -math.inf, 5e-324, 0j, -0j, complex(0, -0.0), complex(1, math.nan), "", "a", "ab", "é", "日本", "a\0b",
    b"", b"a", b"ab", b"a\0b",
]  # fmt: skip


@pytest.mark.parametrize("expected", VALUES, ids=repr)
def test_equal_means_same_type_and_bits(expected):
    for value in VALUES:
        assert holds("equal", expected, value) is (value is expected), value


def test_equal_does_not_need_the_same_object():
    assert holds("equal", 10**6, int("1000000"))
    assert holds("equal", 10**40, int("1" + "0" * 40))
    assert holds("equal", 1.5, float("1.5"))
    assert holds("equal", math.nan, float("nan"))
    assert holds("equal", "abc" * 3, "".join(["abc"] * 3))
    assert holds("equal", b"abc" * 3, b"".join([b"abc"] * 3))
    assert holds("equal", complex("1+2j"), complex(1, 2))


def test_equal_refuses_subclasses():
    class Int(int):
        pass

    class Str(str):
        pass

    assert not holds("equal", 3, Int(3))
    assert not holds("equal", "a", Str("a"))
    assert not holds("equal", 1.0, type("Float", (float,), {})(1.0))


def test_random_integers():
    generator = random.Random(0)
    for _ in range(300):
        a, b = (generator.randrange(-(2**70), 2**70) >> generator.randrange(70) for _ in range(2))
        assert holds("equal", a, a + 0)
        assert holds("equal", a, b) is (a == b)


def test_identity_and_type():
    first, second = [], []
    assert holds("identity", first, first) and not holds("identity", first, second)
    assert holds("type", list, first) and not holds("type", tuple, first)
    assert holds("type", int, 3) and not holds("type", int, True) and not holds("type", object, 3)


def test_length():
    for value in (
        [1, 2],
        (1, 2),
        {1: 2, 3: 4},
        {1, 2},
        frozenset((1, 2)),
        "ab",
        b"ab",
        collections.OrderedDict(a=1, b=2),
    ):
        assert holds("length", 2, value) and not holds("length", 3, value)
    for value in (2, None, range(2), iter([1, 2])):
        assert not holds("length", 2, value)


def test_keys_in_order():
    assert holds("keys", ("a", "b"), {"a": 1, "b": 2})
    assert holds("keys", ("a", "b"), {"".join("a"): 1, "b": 2})
    assert holds("keys", ("ab" * 5, 10**9), {"".join(["ab"] * 5): 1, 10**9 + 0: 2})
    assert not holds("keys", ("b", "a"), {"a": 1, "b": 2})
    assert not holds("keys", ("a",), {"a": 1, "b": 2})
    assert not holds("keys", ("a", "b"), ["a", "b"])
    assert not holds("keys", (1,), {True: 0}) and not holds("keys", (1,), {1.0: 0})
    assert holds("keys", (), {}) and holds("keys", (int,), {int: 0})
    assert holds("keys", (None, 2**70), {None: 0, 2**70: 1})
    changed = {"a": 1, "b": 2, "c": 3}
    del changed["a"]
    assert holds("keys", ("b", "c"), changed)


def test_absent_and_same():
    tree = GuardTree(
        [
            ("argument", -1, 0, "none", None),
            ("attribute", 0, "a", "none", None, True),
            ("attribute", 0, "b", "same", 1),
            ("attribute", 0, "c", "absent", None),
        ],
        ("x",),
    )
    shared = object()
    assert tree.check((types.SimpleNamespace(a=shared, b=shared),), {}) == [shared]
    bad = types.SimpleNamespace(a=shared, b=object())
    assert tree.check((bad,), {}) is None
    assert tree.explain((bad,), {}) == "`x.b`: expected the same object as `x.a`"
    bad = types.SimpleNamespace(a=shared, b=shared, c=5)
    assert tree.explain((bad,), {}) == "`x.c`: did not exist, got 5"
    assert tree.explain((types.SimpleNamespace(b=1),), {}) == "`x.a`: does not exist any more"


# -- arguments --------------------------------------------------------------------------------------------------------


def test_arguments_and_keywords():
    tree = GuardTree(
        [
            ("argument", -1, 0, "type", int, True),
            ("argument", -1, 1, "none", None, True),
            ("keyword", -1, "scale", "none", None, True),
            ("keyword", -1, "bias", "none", None, True),
        ],
        ("x", "y"),
        ("scale", "bias"),
    )
    assert tree.check((1, 2), {"scale": 3, "bias": 4}) == [1, 2, 3, 4]
    assert tree.check((1, 2), {"bias": 4, "scale": 3}) == [1, 2, 3, 4]
    assert tree.check((1, 2), {"bi" + "as": 4, "".join("scale"): 3}) == [1, 2, 3, 4]
    assert tree.check((1,), {"scale": 3, "bias": 4}) is None
    assert tree.check((1, 2), {"scale": 3}) is None
    assert tree.check((1, 2), {"scale": 3, "other": 4}) is None
    assert tree.check((1, 2), {"scale": 3, "bias": 4, "more": 5}) is None
    assert tree.explain((1,), {}) == "expected 2 positional arguments, got 1"
    assert tree.explain((1, 2), {"scale": 3}) == "expected keyword arguments: scale, bias; got: scale"
    assert tree.explain(("1", 2), {"scale": 3, "bias": 4}) == "`x`: expected type int, got str"


def test_many_keywords():
    names = tuple(f"k{i}" for i in range(40))
    tree = GuardTree([("keyword", -1, name, "none", None, True) for name in names], (), names)
    shuffled = random.Random(1).sample(range(40), 40)
    assert tree.check((), {f"k{i}": i for i in shuffled}) == list(range(40))


def test_empty_tree():
    tree = GuardTree([])
    assert tree.check((), {}) == []
    assert tree.check((1,), {}) is None and tree.check((), {"a": 1}) is None


# -- fetches ----------------------------------------------------------------------------------------------------------


def fetches(fetch, key, parent):
    """The value fetched from `parent`, or LookupError."""
    result = GuardTree([("argument", -1, 0, "none", None), (fetch, 0, key, "none", None, True)], ("x",)).check(
        (parent,), {}
    )
    if result is None:
        raise LookupError
    return result[0]


def test_items_and_indices():
    assert fetches("item", "a", {"a": 1}) == 1
    assert fetches("item", (1, "a"), {(1, "a"): 2}) == 2
    assert fetches("item", 3, collections.OrderedDict({3: 4})) == 4
    assert fetches("item", 3, collections.defaultdict(int, {3: 4})) == 4
    assert fetches("index", 1, [5, 6]) == 6
    assert fetches("index", 1, (5, 6)) == 6
    assert fetches("index", 1, collections.namedtuple("P", "a b")(5, 6)) == 6
    for fetch, key, parent in [
        ("item", "b", {"a": 1}), ("item", 0, [1]), ("index", 2, [5, 6]), ("index", 0, {0: 1}), ("index", 0, "abc"),
        ("item", 5, collections.defaultdict(int)), ("item", [].__len__().bit_length(), 3),
    ]:  # fmt: skip
        with pytest.raises(LookupError):
            fetches(fetch, key, parent)


def test_containers_that_redefine_subscripts_never_fit():
    class Dict(dict):
        def __getitem__(self, key):
            raise AssertionError("guards must not run this")

    class List(list):
        def __getitem__(self, key):
            raise AssertionError("guards must not run this")

    for fetch, key, parent in [("item", 0, Dict({0: 1})), ("index", 0, List([1]))]:
        with pytest.raises(LookupError):
            fetches(fetch, key, parent)


def test_cells_types_lengths():
    def outer():
        captured = 5

        def inner():
            return captured

        return inner, lambda: late

        late = 1  # an empty cell

    full, empty = (f.__closure__[0] for f in outer())
    assert fetches("cell", None, full) == 5
    with pytest.raises(LookupError):
        fetches("cell", None, empty)
    with pytest.raises(LookupError):
        fetches("cell", None, 3)
    assert fetches("type", None, 3) is int
    assert fetches("length", None, [1] * 1000) == 1000
    with pytest.raises(LookupError):
        fetches("length", None, 3)
    assert fetches("value", None, full) is full


class Plain:
    shared = "class"

    def __init__(self):
        self.own = "instance"

    def method(self):
        return 1

    @property
    def computed(self):
        return ("computed", self.own)

    @property
    def broken(self):
        raise RuntimeError("no")


class Slotted:
    __slots__ = ("own",)

    def __init__(self):
        self.own = "slot"


class Hooked(Plain):
    def __getattr__(self, name):
        if name == "missing":
            raise AttributeError(name)
        return "hook " + name


class Overridden:
    def __getattribute__(self, name):
        return "always"


def attribute_outcome(get):
    try:
        return get()
    except (LookupError, AttributeError, RuntimeError):
        return "missing"


@pytest.mark.parametrize(
    "make", [Plain, Slotted, Hooked, Overridden, lambda: math, lambda: Plain, lambda: Plain().method]
)
@pytest.mark.parametrize(
    "name", ["own", "shared", "computed", "broken", "missing", "anything", "pi", "__dict__", "__class__"]
)
def test_attributes_mean_what_getattr_means(make, name):
    thing = make()
    assert attribute_outcome(lambda: fetches("attribute", name, thing)) == attribute_outcome(
        lambda: getattr(thing, name)
    )


def test_attribute_follows_changes_of_instance_and_class():
    class Base:
        pass

    class Thing(Base):
        pass

    tree = GuardTree([("argument", -1, 0, "none", None), ("attribute", 0, "a", "none", None, True)], ("x",))
    thing = Thing()

    def check():
        result = tree.check((thing,), {})
        expected = getattr(thing, "a", tree)
        assert (result is None) if expected is tree else (result == [expected])

    steps = [
        lambda: None,
        lambda: setattr(thing, "a", 1),
        lambda: setattr(Base, "a", 2),
        lambda: delattr(thing, "a"),
        lambda: setattr(Thing, "a", 3),
        lambda: setattr(Thing, "a", property(lambda self: 4)),
        lambda: thing.__dict__.update(a=5),
        lambda: delattr(Thing, "a"),
        lambda: delattr(Base, "a"),
        lambda: setattr(thing, "__dict__", {"b": 0, "c": 1, "a": 6}),
        lambda: setattr(thing, "__class__", Plain),
        lambda: setattr(Plain, "a", property(lambda self: 7)),
        lambda: delattr(Plain, "a"),
        lambda: thing.__dict__.clear(),
        lambda: setattr(Plain, "__getattr__", lambda self, name: 8),
        lambda: delattr(Plain, "__getattr__"),
        lambda: setattr(Plain, "__getattribute__", lambda self, name: 9),
        lambda: delattr(Plain, "__getattribute__"),
    ]
    for step in steps:
        step()
        check()
        check()


def test_attributes_of_many_objects_through_one_node():
    tree = GuardTree([("argument", -1, 0, "none", None), ("attribute", 0, "own", "none", None, True)], ("x",))
    generator = random.Random(3)
    makers = [Plain, Slotted, Hooked, Overridden]
    for _ in range(500):
        thing = generator.choice(makers)()
        assert tree.check((thing,), {}) == [thing.own]


def test_dicts_whose_entries_move():
    generator = random.Random(4)
    for turn in range(500):
        if turn % 10 == 0:  # a place is looked for a few times only
            tree = GuardTree([("argument", -1, 0, "none", None), ("item", 0, "key", "none", None, True)], ("x",))
        size = generator.choice([1, 2, 5, 30, 100, 1500])
        data = {f"k{i}": i for i in range(size)}
        position = generator.randrange(size)
        data = {("key" if i == position else name): i for i, name in enumerate(data)}
        for name in generator.sample(list(data), size // 2):
            if name != "key":
                del data[name]
        assert tree.check((data,), {}) == [position]
        del data["key"]
        assert tree.check((data,), {}) is None


def test_constants_are_held():
    class Root:
        pass

    root = Root()
    root.a = {"b": [10, 11]}
    tree = GuardTree(
        [
            ("constant", -1, root, "none", None),
            ("attribute", 0, "a", "keys", ("b",)),
            ("item", 1, "b", "length", 2),
            ("index", 2, 1, "equal", 11, True),
        ]
    )
    alive = weakref.ref(root)
    del root
    gc.collect()
    assert tree.check((), {}) == [11]
    alive().a["b"][1] = 12
    assert tree.explain((), {}).endswith(".a['b'][1]`: expected 11, got 12")
    del tree
    gc.collect()
    assert alive() is None


def test_cycles_are_collected():
    class Root:
        pass

    root = Root()
    root.tree = GuardTree([("constant", -1, root, "identity", root)])
    assert root.tree.check((), {}) == []
    alive = weakref.ref(root)
    del root
    gc.collect()
    assert alive() is None


def test_a_property_may_do_anything():
    """Values fetched before a property ran stay alive, and the tree may be used inside."""

    class Tricky:
        def __init__(self):
            self.data = [object() for _ in range(10)]
            self.depth = 0

        @property
        def computed(self):
            if self.depth < 3:
                self.depth += 1
                inner = tree.check((self,), {})
                assert inner is not None
                self.depth -= 1
            self.data = [object() for _ in range(10)]
            gc.collect()
            return 1

    tree = GuardTree(
        [
            ("argument", -1, 0, "none", None),
            ("attribute", 0, "data", "type", list, True),
            ("index", 1, 3, "none", None, True),
            ("attribute", 0, "computed", "equal", 1, True),
            ("index", 1, 4, "none", None, True),
        ],
        ("x",),
    )
    thing = Tricky()
    before = thing.data
    data, third, one, fourth = tree.check((thing,), {})
    assert data is before and data is not thing.data
    assert third is data[3] and fourth is data[4] and one == 1


def test_references_are_balanced():
    import sys

    thing = Plain()
    thing.own = marker = object()
    tree = GuardTree(
        [
            ("argument", -1, 0, "none", None),
            ("attribute", 0, "own", "none", None, True),
            ("attribute", 0, "computed", "none", None, True),
            ("attribute", 0, "broken", "absent", None),
            ("length", 2, None, "equal", 2),
        ],
        ("x",),
    )
    before = sys.getrefcount(marker), sys.getrefcount(thing), sys.getrefcount(thing.__dict__)
    for _ in range(100):
        assert tree.check((thing,), {})[0] is marker
        tree.explain((thing,), {})
        tree.check((3,), {})
    assert (sys.getrefcount(marker), sys.getrefcount(thing), sys.getrefcount(thing.__dict__)) == before


def test_interrupt_is_not_lost():
    class Stopping:
        @property
        def a(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with pytest.raises(LookupError):
            fetches("attribute", "a", Stopping())
        for _ in range(1000):
            pass


# -- explanations -----------------------------------------------------------------------------------------------------


def test_paths_read_like_the_users_code():
    globals_dict = {"scale": 2.0}
    tree = GuardTree(
        [
            ("argument", -1, 0, "none", None),
            ("attribute", 0, "layers", "length", 2),
            ("index", 1, 1, "none", None),
            ("attribute", 2, "options", "keys", ("rate",)),
            ("item", 3, "rate", "equal", 0.5),
            ("constant", -1, globals_dict, "none", None),
            ("item", 5, "scale", "equal", 2.0, False, "global scale"),
            ("type", 0, None, "identity", types.SimpleNamespace),
            ("constant", -1, math, "none", None),
            ("attribute", 8, "pi", "equal", 3.0),
        ],
        ("self",),
    )

    def explain(rate=0.5, layers=2, scale=2.0, **more):
        globals_dict["scale"] = scale
        layer = types.SimpleNamespace(options={"rate": rate, **more})
        return tree.explain((types.SimpleNamespace(layers=[layer] * layers),), {})

    assert explain(layers=3) == "`self.layers`: expected length 2, got 3"
    assert explain(rate=0.25) == "`self.layers[1].options['rate']`: expected 0.5, got 0.25"
    expected = "`self.layers[1].options`: expected a dict with the keys 'rate', got 'rate', 'more'"
    assert explain(more=1) == expected
    assert explain(scale=3) == "`global scale`: expected 2.0, got 3"
    assert explain() == "`math.pi`: expected 3.0, got 3.141592653589793"


def test_explaining_survives_broken_reprs():
    class Broken:
        def __repr__(self):
            raise ValueError

    tree = GuardTree([("argument", -1, 0, "identity", Broken())], ("x",))
    assert tree.explain((Broken(),), {}) == "`x`: expected the object ?, got ?"
    tree = GuardTree([("argument", -1, 0, "equal", "a")], ("x",))
    text = tree.explain(("é" * 1000,), {})
    assert text.endswith("é...") and len(text) < 150


# -- descriptions that make no sense ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        ((), "expected a tuple"),
        (("argument", -1, 0, "none"), "expected a tuple"),
        (["argument", -1, 0, "none", None], "expected a tuple"),
        (("nothing", -1, 0, "none", None), "unknown kind of fetch"),
        ((3, -1, 0, "none", None), "unknown kind of fetch"),
        (("argument", -1, 0, "nothing", None), "unknown kind of check"),
        (("argument", -1, 1, "none", None), "position of an argument"),
        (("argument", -1, -1, "none", None), "position of an argument"),
        (("argument", -1, 2**70, "none", None), "position of an argument"),
        (("keyword", -1, "b", "none", None), "one of keyword_names"),
        (("keyword", -1, 0, "none", None), "one of keyword_names"),
        (("attribute", 0, "a", "none", None), "earlier node"),
        (("attribute", -1, "a", "none", None), "earlier node"),
        (("argument", -1, 0, "type", 3), "expected a type"),
        (("argument", -1, 0, "equal", []), "to compare with"),
        (("argument", -1, 0, "length", -1), "expected a length"),
        (("argument", -1, 0, "keys", ["a"]), "tuple of keys"),
        (("argument", -1, 0, "same", 0), "earlier node"),
        (("argument", -1, 0, "tensor", None), r"expected \(Meta"),
        (("argument", -1, 0, "tensor", (1, True, True)), r"expected \(Meta"),
        (("argument", -1, 0, "absent", None, True), "cannot be wanted"),
        (("argument", -1, 0, "none", None, False, 3), "expected text"),
    ],
)
def test_wrong_nodes_are_refused(node, problem):
    with pytest.raises(ValueError, match=rf"\[GuardTree\] node 0: .*{problem}"):
        GuardTree([node], ("x",), ("a",))


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (("attribute", 1, "a", "none", None), "earlier node"),
        (("attribute", 0, 3, "none", None), "expected key: a str"),
        (("index", 0, "a", "none", None), "expected key: an int"),
        (("item", 0, [], "none", None), "expected key: a str, number"),
        (("item", 0, ("a", object()), "none", None), "expected key: a str, number"),
    ],
)
def test_wrong_children_are_refused(node, problem):
    with pytest.raises(ValueError, match=rf"\[GuardTree\] node 1: .*{problem}"):
        GuardTree([("argument", -1, 0, "none", None), node], ("x",))


def test_other_wrong_arguments():
    for arguments in [(3,), ([], 3), ([], (3,)), ([], (), ("a", None))]:
        with pytest.raises(TypeError, match=r"\[GuardTree\]"):
            GuardTree(*arguments)
    with pytest.raises(ValueError, match="expected to be absent"):
        GuardTree([("constant", -1, 3, "absent", None), ("attribute", 0, "a", "none", None)])
    tree = GuardTree([])
    with pytest.raises(TypeError):
        tree.check([], {})
    with pytest.raises(TypeError, match="str keys"):
        tree.check((), {1: 2})


# -- tensors ----------------------------------------------------------------------------------------------------------


def tensor(shape, code=11, strides=None):
    return _core.empty(_core.meta(code, shape, strides))


def tensor_tree(x, requires_grad=False, has_grad=False):
    return GuardTree([("argument", -1, 0, "tensor", (x.meta, requires_grad, has_grad), True)], ("x",))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (4, 0, 5), (1,) * 20])
def test_tensors_with_the_same_meta_fit(shape):
    x, other = tensor(shape), tensor(shape)
    tree = tensor_tree(x)
    for fitting in (x, other):
        (result,) = tree.check((fitting,), {})
        assert result is fitting


def test_tensors_that_differ():
    x = tensor((2, 3))
    tree = tensor_tree(x)
    for wrong in [
        tensor((3, 2)),
        tensor((2, 3), code=12),
        tensor((2, 3), strides=(1, 2)),
        tensor((6,)),
        1.0,
        None,
        [[1.0]],
    ]:
        assert tree.check((wrong,), {}) is None
        assert tree.explain((wrong,), {}).startswith("`x`: expected ")
    assert "(2, 3)" in tree.explain((tensor((3, 2)),), {}) and "(3, 2)" in tree.explain((tensor((3, 2)),), {})
    assert "strides" in tree.explain((tensor((2, 3), strides=(1, 2)),), {})
    assert tree.explain((1.0,), {}).endswith(", got float")


def test_requires_grad_and_gradient():
    x = tensor((2,))
    plain, recorded = tensor_tree(x), tensor_tree(x, requires_grad=True)
    assert plain.check((x,), {}) and not recorded.check((x,), {})
    assert recorded.explain((x,), {}) == "`x`: expected requires_grad=True, got False"
    x.requires_grad = True
    assert not plain.check((x,), {}) and recorded.check((x,), {})
    x.grad = tensor((2,))
    assert not recorded.check((x,), {})
    assert recorded.explain((x,), {}) == "`x`: expected no gradient in .grad, got a gradient"
    assert tensor_tree(x, True, True).check((x,), {}) and tensor_tree(x, True, None).check((x,), {})
    del x.grad
    assert not tensor_tree(x, True, True).check((x,), {}) and tensor_tree(x, True, None).check((x,), {})


@pytest.mark.parametrize("count", [2, 3, 50])
def test_inputs_that_have_become_one(count):
    many = [tensor((2,)) for _ in range(count)]
    nodes = [("argument", -1, 0, "length", count)]
    nodes += [("index", 0, i, "tensor", (many[0].meta, False, False), True) for i in range(count)]
    tree, careless = GuardTree(nodes, ("p",)), GuardTree(nodes, ("p",), distinct=False)
    assert tree.check((many,), {}) == many
    generator = random.Random(count)
    for _ in range(50):
        first, second = sorted(generator.sample(range(count), 2))
        tied = list(many)
        tied[second] = tied[first]
        assert tree.check((tied,), {}) is None
        assert tree.explain((tied,), {}) == f"`p[{first}]` and `p[{second}]` are one tensor now, and were two"
        assert careless.check((tied,), {}) == tied


def test_modes():
    tree = GuardTree([("modes", -1, None, "equal", _core.modes())])
    assert tree.check((), {}) == []
    previous = _core.set_grad_enabled(False)
    try:
        assert tree.check((), {}) is None
        assert tree.explain((), {}) == "expected gradients on, got gradients off"
    finally:
        _core.set_grad_enabled(previous)
    assert tree.check((), {}) == []
