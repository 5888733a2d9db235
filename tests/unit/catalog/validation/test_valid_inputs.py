"""No input that follows the catalog is refused, whatever else it holds."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulequeue.catalog import Model, Parameter, all_models, find
from mulequeue.catalog.parameters import TYPES
from mulequeue.catalog.validation import check

PROMPTS_FILE = Path(__file__).parents[5] / "shared" / "data" / "PartiPrompts.tsv"
FILES = {
    "url": "https://example.com/a.png",
    "https": "https://example.com/a.mp4",
    "data": "data:image/png;base64,iVBORw0KGgo=",
    "base64": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
}
every_model = pytest.mark.parametrize("model", all_models(), ids=lambda model: model.name)


def text(low: float, high: float) -> st.SearchStrategy[str]:
    least = 1 if math.isinf(low) else max(1, int(low))
    most = least + 40 if math.isinf(high) else min(int(high), least + 40)
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=most)


def numbers(parameter: Parameter) -> st.SearchStrategy[Any]:
    low = -1000.0 if math.isinf(parameter.low) else parameter.low
    high = 1e6 if math.isinf(parameter.high) else parameter.high
    whole = st.integers(math.ceil(low), math.floor(high))
    if parameter.type == "integer":
        return whole | whole.map(float)
    return whole | st.floats(low, high)


def sizes(parameter: Parameter) -> st.SearchStrategy[str]:
    low, high = parameter.sides or (900, 1200)
    side = st.integers(low, high)
    return st.tuples(side, side).map(lambda pair: f"{pair[0]}*{pair[1]}")


def one_value(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.values:
        return st.sampled_from(parameter.values)
    by_type: dict[str, Any] = {
        "text": lambda: text(parameter.low, parameter.high),
        "integer": lambda: numbers(parameter),
        "number": lambda: numbers(parameter),
        "boolean": st.booleans,
        "file": lambda: st.sampled_from([FILES[form] for form in parameter.forms]),
        "size": lambda: sizes(parameter),
        "object": lambda: st.fixed_dictionaries(
            {n: value(p) for n, p in parameter.fields.items() if p.is_required},
            optional={n: value(p) for n, p in parameter.fields.items() if not p.is_required},
        ),
        "any": lambda: st.none() | st.integers() | text(1, 9),
    }
    found: st.SearchStrategy[Any] = by_type[parameter.type]()
    return found | st.sampled_from(parameter.besides) if parameter.besides else found


def value(parameter: Parameter) -> st.SearchStrategy[Any]:
    if not parameter.is_list:
        return one_value(parameter)
    fewest = max(1, int(parameter.fewest))
    most = fewest + 2 if math.isinf(parameter.most) else int(parameter.most)
    return st.lists(one_value(parameter), min_size=fewest, max_size=most)


def inputs(model: Model) -> st.SearchStrategy[dict[str, Any]]:
    """Inputs with the required parameters, one of each choice, and some of those without rules."""
    rules = model.rules
    chosen = {name for choice in rules.any_of for name in choice[0]}
    ruled = {
        *(name for choice in rules.any_of for group in choice for name in group),
        *(name for group in rules.apart for name in group),
        *rules.needs,
        *(name for given_, then in rules.when for name in (*given_, *then)),
        *(name for names, _ in rules.together for name in names),
        *(name for rule in rules.sums for name in rule),
    }
    must = {n: p for n, p in model.parameters.items() if p.is_required or n in chosen}
    may = {n: p for n, p in model.parameters.items() if n not in must and n not in ruled}
    fixed = {n: st.just(True) if p.type == "boolean" else value(p) for n, p in must.items()}
    return st.fixed_dictionaries(fixed, optional={n: st.none() | value(p) for n, p in may.items()})


@every_model
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_an_input_made_from_the_catalog_is_never_refused(model: Model, data: Any) -> None:
    """Whatever the catalog allows is let through, and is the same afterwards."""
    input = data.draw(inputs(model))
    before = copy.deepcopy(input)

    certain = [finding.text for finding in check(model, input) if finding.is_certain]

    assert [] == certain
    assert json.dumps(before) == json.dumps(input)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@settings(max_examples=120, deadline=None)
@given(
    model=st.sampled_from(all_models()),
    data=st.data(),
)
def test_no_input_breaks_a_check(model: Model, data: Any) -> None:
    """Any JSON under any name gives findings, never an error of another kind."""
    names = st.sampled_from(sorted(model.parameters)) | st.text(max_size=9)
    input = data.draw(st.dictionaries(names, JSON, max_size=5))

    assert all(finding.text for finding in check(model, input))


@every_model
def test_every_model_has_its_parameters(model: Model) -> None:
    """Each model declares what it requires and what its rules are about; a rule names no other."""
    rules, names = model.rules, set(model.parameters)
    ruled = {
        *(name for choice in rules.any_of for group in choice for name in group),
        *(name for group in rules.apart for name in group),
        *rules.needs,
        *rules.needs.values(),
        *(name for condition, then in rules.when for name in (*condition, *then)),
        *(name for together, _ in rules.together for name in together),
        *(name for parts, _, total in rules.sums for name in (parts, total)),
    }

    assert set(model.required) | ruled <= names
    assert model.prompt_field in names
    assert not names & set(rules.ignored)
    assert len(names) > 1 or model.name in ("dummy/videos", "midjourney/diffusion")


@every_model
def test_defaults_and_types_make_sense(model: Model) -> None:
    """A default is a value that the parameter itself takes, and every type is a known one."""
    for parameter in model.parameters.values():
        assert parameter.type in TYPES
        if parameter.default is not None:
            alone = {parameter.name: parameter.default}
            about = [f for f in check(model, alone) if f.where == parameter.name and f.is_certain]
            assert [] == about


@pytest.mark.skipif(
    not PROMPTS_FILE.exists(), reason=f"{PROMPTS_FILE.name} is not beside this checkout"
)
@pytest.mark.parametrize("name", ["alibaba/wan2.6-t2i", "alibaba/wan2.2-t2v-plus"])
def test_real_prompts_pass(name: str) -> None:
    """A list of 1,632 real prompts passes, also where a prompt may have 800 characters only."""
    lines = PROMPTS_FILE.read_bytes().decode().split("\n")[1:]
    prompts = [line.removesuffix("\r").split("\t")[0] for line in lines if line]

    found = [finding for prompt in prompts for finding in check(find(name), {"prompt": prompt})]

    assert 1632 == len(prompts)
    assert not any(finding.is_certain for finding in found)
