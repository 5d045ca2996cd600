"""Nested arguments: flat and back again."""

from __future__ import annotations

import dataclasses
import functools
import pickle
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.errors import ArgumentError, LimitError
from pullback.trees import (
    MAX_DEPTH,
    Leaf,
    Structure,
    count,
    distinct,
    flatten,
    leaf_name,
    matched,
    paths,
    same_form,
    show_path,
    statics,
    unflatten,
)


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclasses.dataclass
class Layer:
    W: Any
    b: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    W: Any
    size: int = 3


@dataclasses.dataclass
class Strict:
    W: Any

    def __post_init__(self) -> None:
        self.W = np.asarray(self.W, dtype=float)  # fails for what stands in for an array


LEAVES = st.one_of(
    st.floats(allow_nan=False), st.integers(0, 3).map(lambda n: np.arange(n, dtype=np.float32))
)
STATIC = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3))
TREES = st.recursive(
    st.one_of(LEAVES, STATIC),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(inner, inner).map(lambda pair: Pair(*pair)),
        st.tuples(inner, inner).map(lambda pair: Layer(*pair)),
        inner.map(Frozen),
    ),
    max_leaves=8,
)


def alike(left: Any, right: Any) -> bool:
    """Equality that arrays can't disturb: the same types all the way down, the same bytes."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return (
            left.dtype == right.dtype and left.shape == right.shape and bool(np.all(left == right))
        )
    if isinstance(left, dict):
        return list(left) == list(right) and all(alike(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(alike, left, right))
    if dataclasses.is_dataclass(left):
        return all(
            alike(getattr(left, field.name), getattr(right, field.name))
            for field in dataclasses.fields(left)
        )
    return bool(left == right)


@given(TREES)
@settings(max_examples=150, deadline=None)
def test_a_tree_comes_back_as_it_was(tree: Any) -> None:
    leaves, structure = flatten(tree)
    assert alike(unflatten(structure, leaves), tree)
    assert count(structure) == len(leaves) == len(paths(structure))


@given(TREES, TREES)
@settings(max_examples=150, deadline=None)
def test_structures_are_equal_exactly_for_the_same_form_and_static_values(
    left: Any, right: Any
) -> None:
    def form(tree: Any) -> Any:
        """The same question answered another way: nested tuples of types, keys and static
        values.
        """
        if isinstance(tree, np.ndarray | float):
            return type(tree)
        if isinstance(tree, dict):
            return (dict, tuple((key, form(value)) for key, value in tree.items()))
        if isinstance(tree, list | tuple):
            return (type(tree), tuple(map(form, tree)))
        if dataclasses.is_dataclass(tree):
            fields = dataclasses.fields(tree)
            return (type(tree), tuple(form(getattr(tree, field.name)) for field in fields))
        return (type(tree), tree)

    first, second = flatten(left)[1], flatten(right)[1]
    assert (first == second) == (form(left) == form(right))
    assert hash(first) == hash(flatten(left)[1])


def test_true_and_one_are_different_structures() -> None:
    assert flatten((True,))[1] != flatten((1,))[1]


def test_dicts_keep_their_own_order() -> None:
    tree = {"b": 1.0, "a": 2.0}
    leaves, structure = flatten(tree)
    assert leaves == [1.0, 2.0]
    assert list(unflatten(structure, leaves)) == ["b", "a"]


def test_subclasses_of_dict_come_back_as_such() -> None:
    ordered = OrderedDict([("b", 1.0), ("a", 2.0)])
    back = unflatten(flatten(ordered)[1], [3.0, 4.0])
    assert type(back) is OrderedDict
    assert list(back.items()) == [("b", 3.0), ("a", 4.0)]
    table: defaultdict[str, list[float]] = defaultdict(list, {"a": [1.0]})
    again = unflatten(flatten(table)[1], [5.0])
    assert type(again) is defaultdict
    assert again["a"] == [5.0]
    assert again["new"] == []


def test_a_dataclass_is_made_without_its_init() -> None:
    _, structure = flatten(Strict(np.ones(2)))
    assert unflatten(structure, ["anything"]).W == "anything"


def test_static_values_stay_or_give_way_to_none() -> None:
    tree = {"W": 1.0, "n": 3, "mode": "same", "none": None}
    leaves, structure = flatten(tree)
    assert leaves == [1.0]
    assert unflatten(structure, [2.0]) == {"W": 2.0, "n": 3, "mode": "same", "none": None}
    gone = unflatten(structure, [2.0], static=False)
    assert gone == {"W": 2.0, "n": None, "mode": None, "none": None}
    assert [value for _, value in statics(structure)] == [3, "same", None]


def test_functions_slices_and_dtypes_are_static() -> None:
    tree = (np.tanh, slice(1, None, 2), np.dtype("float32"), np.float32, Ellipsis)
    leaves, structure = flatten(tree)
    assert leaves == []
    assert unflatten(structure, []) == tree
    assert structure != flatten((np.tanh, slice(1, None, 3), *tree[2:]))[1]
    assert hash(structure) == hash(flatten(tree)[1])


def test_leaves_know_their_kind() -> None:
    for value, kind in (
        (np.ones(2), Leaf.ARRAY),
        (np.array(1.0), Leaf.ARRAY),
        (np.float32(1), Leaf.SCALAR),
        (np.int64(1), Leaf.SCALAR),
        (1.0, Leaf.FLOAT),
    ):
        assert flatten(value)[1] is kind


def test_names_and_paths() -> None:
    tree = {"layers": [Layer(1.0, 2.0)], "pair": Pair(3.0, 4.0)}
    structure = flatten(tree)[1]
    assert [show_path("params", path) for path in paths(structure)] == [
        "params['layers'][0].W",
        "params['layers'][0].b",
        "params['pair'].first",
        "params['pair'].second",
    ]
    assert [leaf_name("params", path) for path in paths(structure)] == [
        "params_layers_0_W",
        "params_layers_0_b",
        "params_pair_first",
        "params_pair_second",
    ]


@pytest.mark.parametrize("key", ["W-1", "W 1", "1", "", "__", "λ", "None", 7, (1, 2)])
def test_every_key_gives_an_identifier(key: Any) -> None:
    assert leaf_name("p", (("key", key),)).isidentifier()
    assert leaf_name("lambda", ()).isidentifier()


@given(st.lists(st.sampled_from(["x", "x_1", "x_1_1", "x_2", "y"]), max_size=8))
def test_distinct_names_are_distinct_and_unrepeated_ones_stay(names: list[str]) -> None:
    out = distinct(names)
    assert len(set(out)) == len(out) == len(names)
    for before, after in zip(names, out, strict=True):
        if names.count(before) == 1:
            assert before == after


def test_a_tree_that_contains_itself_is_refused() -> None:
    loop: list[Any] = [1.0]
    loop.append({"again": loop})
    with pytest.raises(ArgumentError, match="contains itself") as caught:
        flatten(loop, "params")
    assert "params[1]['again']" in str(caught.value)


def test_the_same_container_twice_is_no_cycle() -> None:
    layer = [1.0]
    assert unflatten(flatten((layer, layer))[1], [1.0, 2.0]) == ([1.0], [2.0])


def nested(depth: int) -> Any:
    tree: Any = 1.0
    for _ in range(depth):
        tree = [tree]
    return tree


def test_depth_is_limited() -> None:
    assert flatten(nested(MAX_DEPTH))[0] == [1.0]
    with pytest.raises(LimitError, match="nested too deeply"):
        flatten(nested(MAX_DEPTH + 1))


class Opaque:
    __hash__ = None  # type: ignore[assignment]


class MyDict(dict[str, float]):
    pass


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (np.array([None]), "dtype=float"),
        (np.array(["a"]), "integer codes"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "timedelta64"),
        (np.ma.masked_array([1.0], [True]), "np.asarray"),
        (np.ones((1, 1)).view(np.matrix), "np.asarray"),
        (Opaque(), "dataclass"),
        ({1.0, 2.0}, "dataclass"),
        (MyDict(a=1.0), "plain dict"),
    ],
)
def test_what_is_no_tree_is_refused_with_the_place_and_a_hint(value: Any, hint: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        flatten({"a": [0.0, value]}, "params")
    assert "params['a'][1]" in str(caught.value)
    assert hint in caught.value.hint
    assert isinstance(caught.value, TypeError)


def test_a_dataclass_with_other_attributes_is_refused() -> None:
    layer = Layer(1.0, 2.0)
    layer.extra = 3  # type: ignore[attr-defined]
    with pytest.raises(ArgumentError, match="no fields") as caught:
        flatten(layer)
    assert caught.value.found == "extra"


def test_a_cached_property_of_a_dataclass_is_no_field() -> None:
    @dataclasses.dataclass
    class Cached:
        W: float

        @functools.cached_property
        def double(self) -> float:
            return 2 * self.W

    tree = Cached(2.0)
    assert tree.double == 4.0
    assert unflatten(flatten(tree)[1], [3.0]).double == 6.0


def structure_of(tree: Any) -> Structure:
    return flatten(tree)[1]


def test_matching_follows_keys_not_order() -> None:
    structure = structure_of({"a": 1.0, "b": [2.0, 3.0]})
    assert matched({"b": (20.0, 30.0), "a": 10.0}, structure, "t", "p") == [10.0, 20.0, 30.0]


@pytest.mark.parametrize(
    ("tree", "place", "found"),
    [
        ({"a": 1.0}, "tangents", "the keys 'a'"),
        ({"a": 1.0, "b": [2.0]}, "tangents['b']", "a list of 1"),
        ({"a": 1.0, "b": 2.0}, "tangents['b']", "a float"),
        ([1.0, 2.0], "tangents", "a list"),
    ],
)
def test_a_mismatch_names_its_place(tree: Any, place: str, found: str) -> None:
    structure = structure_of({"a": 1.0, "b": [2.0, 3.0]})
    with pytest.raises(ArgumentError) as caught:
        matched(tree, structure, "tangents", "primals")
    assert caught.value.where == place
    assert caught.value.found == found


def test_matching_dataclasses_wants_the_same_class() -> None:
    structure = structure_of(Layer(1.0, 2.0))
    assert matched(Layer(3.0, 4.0), structure, "t", "p") == [3.0, 4.0]
    with pytest.raises(ArgumentError, match="another structure"):
        matched(Pair(3.0, 4.0), structure, "t", "p")


def test_same_form_ignores_kinds_and_static_values() -> None:
    assert same_form(structure_of([1.0, 3]), structure_of([np.ones(2), "a"]))
    assert not same_form(structure_of([1.0, 3]), structure_of([1.0, 2.0]))
    assert not same_form(structure_of([1.0]), structure_of(1.0))


def test_structures_can_be_copied() -> None:
    structure = structure_of({"a": [1.0, None]})
    assert structure == structure_of({"a": [2.0, None]})
    assert pickle.loads(pickle.dumps(paths(structure))) == paths(structure)


@pytest.mark.parametrize("value", [1 + 2j, np.complex64(1 + 2j), np.array([1 + 2j, -3j])])
def test_a_complex_value_is_a_pair_of_real_ones(value: Any) -> None:
    leaves, structure = flatten({"z": value, "n": 3}, "p")
    assert [leaf_name("p", path) for path in paths(structure)] == ["p_z_real", "p_z_imag"]
    assert np.array_equal(leaves[0], np.real(value)) and np.array_equal(leaves[1], np.imag(value))
    again = unflatten(structure, leaves)
    assert again["z"].dtype == np.asarray(value).dtype and np.array_equal(again["z"], value)
    turned = unflatten(structure, leaves, conjugate=True)
    assert np.array_equal(turned["z"], np.conj(value))
    given = matched({"z": value, "n": 3}, structure, "the cotangent", "the result", conjugate=True)
    assert np.array_equal(given[1], -np.imag(value))
    assert matched({"z": None, "n": 3}, structure, "a", "b") == [None, None]
