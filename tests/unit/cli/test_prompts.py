"""Files of prompts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulequeue.cli.prompts import parse, read_inputs
from mulequeue.errors import InputError

# Whatever a prompt may hold, except what ends a line or a cell of the format in question.
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1)
PROMPTS = st.lists(_TEXT.filter(lambda text: bool(text.strip())), min_size=1)
CELLS = PROMPTS.map(lambda texts: [text.replace("\t", "") + "x" for text in texts])


def read(
    folder: Path, name: str, data: bytes | str, column: str | None = None
) -> list[dict[str, object]]:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_inputs(str(path), column=column)


def prompts_of(text: str, form: str, column: str | None = None) -> list[str]:
    inputs = parse(text, "file", form, column, "prompt")  # type: ignore[arg-type]
    return [item["prompt"] for item in inputs]


@given(PROMPTS)
def test_a_line_is_a_prompt_byte_for_byte(prompts: list[str]) -> None:
    """Every character of a line is kept: quotes, commas, spaces at the ends, odd separators."""
    assert prompts == prompts_of("\n".join(prompts) + "\n", "lines")


@given(CELLS)
def test_a_cell_of_a_tsv_is_a_prompt_byte_for_byte(prompts: list[str]) -> None:
    """Tab-separated files are not unquoted."""
    text = "\n".join(["Id\tPrompt", *(f"{i}\t{prompt}" for i, prompt in enumerate(prompts))])

    assert prompts == prompts_of(text, "tsv")


@given(
    st.lists(st.text(st.characters(codec="utf-8")).filter(lambda t: bool(t.strip())), min_size=1)
)
def test_a_cell_of_a_csv_comes_back_as_it_was_written(prompts: list[str]) -> None:
    """CSV is unquoted: a cell may hold quotes, commas and line ends."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["prompt", "n"], *([prompt, 1] for prompt in prompts)])

    assert prompts == prompts_of(file.getvalue(), "csv")


@given(PROMPTS)
def test_jsonl_holds_objects_and_texts(prompts: list[str]) -> None:
    """An object is an input as it is, a text is its prompt."""
    lines = [json.dumps(prompt) for prompt in prompts] + ['{"prompt": "x", "n": 2}']

    inputs = list(parse("\n".join(lines), "file", "jsonl", None, "text"))

    assert [*({"text": prompt} for prompt in prompts), {"prompt": "x", "n": 2}] == inputs


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.tsv", 'Prompt\tNote\n"a" mule\t1\n b \t2\n'),
        ("p.csv", 'Prompt,Note\n"""a"" mule",1\n b ,2\n'),
        ("p.jsonl", '{"prompt": "\\"a\\" mule"}\n" b "\n'),
        ("p.json", '["\\"a\\" mule", {"prompt": " b "}]'),
        ("p.txt", '"a" mule\n\n b \n'),
        ("p", 'Prompt\tNote\r\n"a" mule\t1\r\n b \t2\r\n'),
        ("q", 'Prompt,Note\n"""a"" mule",1\n b ,2\n'),
        ("r", '{"prompt": "\\"a\\" mule"}\n" b "\n'),
        ("s", '"a" mule\n b '),
        ("t.txt", b'\xef\xbb\xbf"a" mule\n b \n'),
    ],
)
def test_every_format_gives_the_same_prompts(tmp_path: Path, name: str, data: str | bytes) -> None:
    """The format is told by the file's name, else by its first line."""
    assert [{"prompt": '"a" mule'}, {"prompt": " b "}] == read(tmp_path, name, data)


def test_a_column_is_chosen_by_name(tmp_path: Path) -> None:
    """--column takes a column by its name, in any case if no exact one exists."""
    assert [{"prompt": "b"}] == read(tmp_path, "p.tsv", "Prompt\tText\na\tb\n", "text")


@pytest.mark.parametrize(
    ("name", "data", "column", "says"),
    [
        ("p.txt", "", None, "holds no prompts"),
        ("p.tsv", "prompt\tnote\n", None, "holds no prompts"),
        ("p.txt", b"fine\nbad \xff\n", None, "line 2, is not UTF-8 (byte 0xff)"),
        ("p.tsv", "Text\tNote\na\tb\n", None, "It has 'Text', 'Note'; choose one with --column"),
        ("p.csv", "Text,Note\na,b\n", "Idea", "no column 'Idea'. It has 'Text', 'Note'"),
        ("p.txt", "a\n", "Idea", "is not a table, so it has no column 'Idea'"),
        ("p.tsv", "note\tprompt\na\tb\nc\n", None, "line 3, has nothing in the column 'prompt'"),
        ("p.csv", 'prompt\n"a\n', None, "p.csv, line"),
        ("p.jsonl", '{"prompt": "a"}\n{"prompt"\n', None, "line 2, is not JSON"),
        ("p.jsonl", '{"prompt": "a"}\n[1]\n', None, "line 2, must be an input object or a prompt"),
        ("p.json", '{"prompt": "a"}', None, "must hold a JSON array"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(
    tmp_path: Path, name: str, data: str | bytes, column: str | None, says: str
) -> None:
    """The error says which line, and what the file has instead."""
    with pytest.raises(InputError) as caught:
        read(tmp_path, name, data, column)

    assert says in str(caught.value)


def test_a_missing_file_is_named() -> None:
    """A file that is not there is named with the reason."""
    with pytest.raises(InputError, match=r"nowhere\.txt cannot be read: No such file"):
        read_inputs("nowhere.txt")
