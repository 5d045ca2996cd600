"""What the derivations of all layers show: plain words, no name before it is introduced, no form
twice."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from pullback.derivation import Check, registry
from pullback.ir.program import Define
from pullback.layers import LAYERS
from pullback.report.outline import Formula, Prose, Walk, outline, read_in
from pullback.report.text import spell

PRIVATE = re.compile(r"\b(sift\w*|known sums?|regions?|Kronecker|adjoints?)\b")


def assert_survivors(reason: str, before: str) -> None:
    """What is said to survive stood in a bracket."""
    for pair in re.findall(r"(?:only|and) ([\w']+ = [\w']+)", reason):
        left, right = pair.split(" = ")
        assert f"[{left} = {right}]" in before or f"[{right} = {left}]" in before, (pair, before)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are shown without being checked: that takes time, and is tested elsewhere."""
    made = [Check("passed", "by hand")]
    monkeypatch.setitem(
        registry.SERVICES, "check_steps", lambda backward, seed: made * len(backward.steps)
    )


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.usefixtures("unchecked")
def test_a_derivation_reads_from_top_to_bottom(name: str) -> None:
    kind = LAYERS[name]
    example = kind.examples[0]
    layer = kind(**example.options)
    derived = layer.derive(kind.form(example.shapes[layer.inputs[0]]))
    found = outline(derived, source=False)
    (blocks,) = (part.blocks for part in found if part.anchor == "steps")
    known = {t.name for t in (*derived.forward.inputs, *derived.backward.cotangents)}
    known |= {s.target.name for s in derived.forward.statements}
    for block in blocks:
        match block:
            case Formula(Define() as shown):
                known.add(shown.target.name.removeprefix("δ"))
            case Walk():
                known |= {block.of.name} if block.inner else set()
                for line in block.lines:
                    read = {t.name.removeprefix("δ") for t in read_in(line)}
                    new = read - known - {block.gradient.name}  # a recurrence reads itself
                    assert not new, f"{line.name}: {new} come from nowhere"
                    assert not PRIVATE.search(f"{line.name}: {line.reason}")
                for before, line in pairwise(block.lines):
                    assert_survivors(line.reason, spell(line.before or before.content))
                forms = [
                    line.content.body for line in block.lines if isinstance(line.content, Define)
                ]
                assert len(forms) == len(set(forms)), f"{block.gradient.name} repeats a form"
                known.add(block.gradient.name)
            case Prose(words):
                assert not PRIVATE.search(words)
                known.update(words.split(" is the gradient of ")[:1])
