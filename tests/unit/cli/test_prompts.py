"""Files of prompts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulequeue import catalog
from mulequeue.cli.prompts import PromptFile, Reading, parse, read_prompts
from mulequeue.cli.text_files import decode
from mulequeue.errors import InputError

MODEL = catalog.find("alibaba/wan2.6-t2i")
MUSIC = catalog.find("minimax/music-2.0/text-to-music")

# Whatever a prompt may hold, except what ends a line or a cell of the format in question.
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1)
PROMPTS = st.lists(_TEXT.filter(lambda text: bool(text.strip())), min_size=1)
CELLS = PROMPTS.map(lambda texts: [text.replace("\t", "") + "x" for text in texts])


def read(
    folder: Path, name: str, data: bytes | str, column: str | None = None
) -> list[dict[str, object]]:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    found = read_prompts(str(path), Reading(model=MODEL, column=column))
    return [dict(row.input) for row in found.rows]


def prompts_of(text: str, suffix: str) -> list[str]:
    found = parse(text, "file", suffix, Reading(model=MODEL))
    return [row.input["prompt"] for row in found.rows]


@given(PROMPTS)
def test_a_line_is_a_prompt_byte_for_byte(prompts: list[str]) -> None:
    """Every character of a line is kept: quotes, commas, spaces at the ends, odd separators."""
    assert prompts == prompts_of("\n".join(prompts) + "\n", ".txt")


@given(CELLS)
def test_a_cell_of_a_tsv_is_a_prompt_byte_for_byte(prompts: list[str]) -> None:
    """Tab-separated files are not unquoted."""
    text = "\n".join(["Id\tPrompt", *(f"{i}\t{prompt}" for i, prompt in enumerate(prompts))])

    assert prompts == prompts_of(text, ".tsv")


@given(
    st.lists(st.text(st.characters(codec="utf-8")).filter(lambda t: bool(t.strip())), min_size=1)
)
def test_a_cell_of_a_csv_comes_back_as_it_was_written(prompts: list[str]) -> None:
    """CSV is unquoted: a cell may hold quotes, commas and line ends."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["prompt", "note"], *([prompt, 1] for prompt in prompts)])

    assert prompts == prompts_of(file.getvalue(), ".csv")


@given(PROMPTS)
def test_jsonl_holds_objects_and_texts(prompts: list[str]) -> None:
    """An object is an input as it is, a text is its prompt."""
    lines = [json.dumps(prompt) for prompt in prompts] + ['{"prompt": "x", "n": 2}']

    rows = parse("\n".join(lines), "file", ".jsonl", Reading(model=MUSIC)).rows

    inputs = [row.input for row in rows]
    assert [*({"lyrics_prompt": prompt} for prompt in prompts), {"prompt": "x", "n": 2}] == inputs


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
        ("p.tsv", "note\tprompt\na\tb\nc\t \n", None, "line 3, has nothing in the column 'prompt'"),
        ("p.tsv", "note\tprompt\na\tb\nc\n", None, "line 3, has 1 cells for 2 columns"),
        ("p.tsv", "prompt\tnote\na\tb\tc\n", None, "line 2, has 3 cells for 2 columns"),
        ("p.csv", "prompt\n\na mule, in oil\n", None, "line 3, has 2 cells for 1 columns"),
        ("p.csv", "prompt,note\na mule\nat dawn,x\n", None, "line 2, has 1 cells for 2"),
        ("p.csv", "prompt,\na mule, in oil\n", None, "for 2 columns (1 without a name)"),
        ("p.csv", "prompt, \n'a\n b',\n", None, "line 2, has 1 cells for 2"),
        ("p.csv", 'prompt,n\n"a\nb",1\n"c",d,e\n', None, "line 4, has 3 cells for 2"),
        ("p.csv", "prompt,Prompt ,prompt\na,b,c\n", None, "has 2 columns 'prompt'"),
        ("p", "Prompt,PROMPT\na,b\n", None, "has 2 columns 'prompt'"),
        ("p.csv", 'prompt\nx\n"a\nb\n', None, "line 3: the row that begins there is not CSV"),
        ("p.csv", 'prompt\n"a" mule\n', None, "line 2: the row that begins there is not CSV"),
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


@pytest.mark.parametrize(
    "data",
    [",prompt\n0,a\n1,b\n", "prompt,\na,\nb,\n", "Prompt,prompt,m,m\n,a,1,2\n\n,b,3,4\n"],
    ids=["index column", "empty last column", "other columns alike"],
)
def test_a_table_that_fits_its_header_is_read(tmp_path: Path, data: str) -> None:
    """Columns without a name and repeated ones are accepted while no prompt can be cut."""
    assert [{"prompt": "a"}, {"prompt": "b"}] == read(tmp_path, "p.csv", data)


def test_a_missing_file_is_named() -> None:
    """A file that is not there is named with the reason."""
    with pytest.raises(InputError, match=r"nowhere\.txt cannot be read: No such file"):
        read_prompts("nowhere.txt", Reading(model=MODEL))


# Tables of spreadsheets

EXCEL = 'Prompt;N;sku\r\nein Esel, rot;2;A1\r\n"ein ""Esel"";\nam Morgen";;A2\r\n'


def table(folder: Path, data: str | bytes, name: str = "p.csv", **reading: Any) -> PromptFile:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_prompts(str(path), Reading(**{"model": MODEL, **reading}))


@pytest.mark.parametrize(
    "data",
    [
        EXCEL,
        "sep=;\r\n" + EXCEL,
        EXCEL.encode("utf-8-sig"),
        EXCEL.encode("utf-16"),
        EXCEL.encode("utf-16-le"),
        EXCEL.encode("utf-16-be"),
        EXCEL.encode("utf-32"),
    ],
)
def test_the_tables_that_spreadsheets_write_are_read(tmp_path: Path, data: str | bytes) -> None:
    """Semicolons, quoted line breaks, byte order marks, and UTF-16 with or without one."""
    found = table(tmp_path, data)

    assert [
        {"prompt": "ein Esel, rot", "n": 2},
        {"prompt": 'ein "Esel";\nam Morgen'},
    ] == [row.input for row in found.rows]
    assert ["A1", "A2"] == [row.cells[2] for row in found.rows]


@pytest.mark.parametrize("name", ["p.txt", "p.tsv", "p.csv"])
def test_the_unicode_text_of_excel_is_a_table(tmp_path: Path, name: str) -> None:
    """UTF-16 with tabs has the quoting of CSV, whatever the file is called."""
    text = 'Prompt\tN\r\n"a ""red"" mule, at dawn"\t3\r\n'

    found = table(tmp_path, text.encode("utf-16"), name)

    assert [{"prompt": 'a "red" mule, at dawn', "n": 3}] == [row.input for row in found.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(
                lambda text: bool(text.strip())
            ),
            st.integers(1, 4),
        ),
        min_size=1,
    ),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_written_csv_comes_back_with_any_delimiter(
    delimiter: str, rows: list[tuple[str, int]], codec: str
) -> None:
    """The header decides between commas, semicolons and tabs; no prompt is changed."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([["n", "prompt"], *((n, p) for p, n in rows)])

    text, _ = decode(file.getvalue().encode(codec), "file")

    found = parse(text, "file", ".csv", Reading(model=MODEL)).rows
    assert [{"prompt": prompt, "n": n} for prompt, n in rows] == [row.input for row in found]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "first", ["一只骡子在黎明", "\u3000夜明け", "мост и осёл", "Ābols", "“quoted”", "🎨 red"]
)
def test_utf_16_without_a_mark_may_start_with_any_character(first: str, codec: str) -> None:
    """The byte order is the one in which all of the file is text, whatever its first character."""
    text, found = decode(f"{first}\ntwo oxen\n".encode(codec), "file")

    assert (f"{first}\ntwo oxen\n", codec) == (text, found)


def test_an_encoding_is_chosen_by_name(tmp_path: Path) -> None:
    """cp1252 cannot be told from its relatives, so it is read only when it is named."""
    data = "prompt;n\ncafé;1\n".encode("cp1252")

    with pytest.raises(InputError, match=r"line 2, is not UTF-8 \(byte 0xe9\)") as caught:
        table(tmp_path, data)

    assert "'café;1', add --encoding cp1252" in str(caught.value)
    assert [{"prompt": "café", "n": 1}] == [
        row.input for row in table(tmp_path, data, encoding="cp1252").rows
    ]


@pytest.mark.parametrize(
    ("data", "encoding", "says"),
    [
        ("prompt\ncafé\n", "cp1252", "is UTF-8; as cp1252 it would be garbled"),
        ("prompt\ncafé\n".encode("utf-16"), "latin-1", "begins with the mark of utf-16"),
        ("prompt\na\n", "cp9999", "There is no text encoding 'cp9999'"),
        ("prompt\na\n", "rot13", "There is no text encoding 'rot13'"),
        ("prompt\ncafé\n".encode("cp1252"), "ascii", "line 2, is not ASCII (byte 0xe9)"),
        ("prompt\na\0b\n", None, "line 2, holds a NUL character"),
        ("prompt".encode("utf-16-le"), None, "add --encoding utf-16-le"),
        ("prompt\ncaf\x81\n".encode("latin-1"), None, "Name its encoding with --encoding"),
    ],
)
def test_a_doubtful_encoding_is_refused(
    tmp_path: Path, data: str | bytes, encoding: str | None, says: str
) -> None:
    """The error has the line and what to type."""
    with pytest.raises(InputError) as caught:
        table(tmp_path, data, encoding=encoding)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("header", "cell", "value"),
    [
        ("n", "2", 2),
        (" N ", " 2.0 ", 2),
        ("seed", "0", 0),
        ("size", " 1280*720 ", "1280*720"),
        ("prompt_extend", "TRUE", True),
        ("Safety_Filter", "no", False),
        ("negative_prompt", " no rain ", " no rain "),
    ],
)
def test_a_column_with_the_name_of_a_parameter_is_used(
    tmp_path: Path, header: str, cell: str, value: object
) -> None:
    """Its cells have the type of the parameter; an empty cell leaves the parameter out."""
    found = table(tmp_path, f"prompt,{header},sku\na,{cell},x\nb,,y\n")

    name = header.strip().lower()
    assert [{"prompt": "a", name: value}, {"prompt": "b"}] == [row.input for row in found.rows]
    note = f"Columns used as parameters: {header.strip()}. Others: sku."
    assert [note] == found.notes(quiet=False)


@pytest.mark.parametrize(
    ("model", "column", "cell", "value"),
    [
        ("alibaba/wan2.6-image", "images", "https://x/a.png", ["https://x/a.png"]),
        ("alibaba/wan2.6-image", "images", '["https://x/a", "b"]', ["https://x/a", "b"]),
        ("google/veo-3.1-fast", "image", "@/photos/a.png", {"$file": "/photos/a.png"}),
        ("minimax/music-2.0/text-to-music", "audio_setting", '{"bitrate": 1}', {"bitrate": 1}),
        ("minimax/music-2.0/text-to-music", "prompt", "slow", "slow"),
    ],
)
def test_lists_files_and_objects_fit_into_a_cell(
    tmp_path: Path, model: str, column: str, cell: str, value: object
) -> None:
    """A list is JSON or one item, an object is JSON, and @ names a file to send."""
    found = catalog.find(model)
    file = io.StringIO(newline="")
    csv.writer(file).writerows([[found.prompt_field, column], ["a", cell]])

    [row] = table(tmp_path, file.getvalue(), model=found).rows

    assert {found.prompt_field: "a", column: value} == row.input


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("prompt,n\na,1\nb,two\n", "line 3, column 'n': 'n' takes a whole number, such as 2"),
        ("prompt;n\na;1,0\n", "line 2, column 'n'"),
        ("prompt;n\na;1.000\n", "line 2, column 'n'"),
        ("prompt,prompt_extend\na,wahr\n", "takes true or false, not 'wahr'"),
        ("prompt,n,N\na,1,2\n", "has 2 columns 'N'"),
        ("prompt;a,prompt\nx;y,z\n", "line 1: the header can be split at commas and at"),
    ],
)
def test_a_doubtful_table_is_refused(tmp_path: Path, data: str, says: str) -> None:
    """A wrong value has its line and column; what could mean two things is not guessed."""
    with pytest.raises(InputError) as caught:
        table(tmp_path, data)

    assert says in str(caught.value)


def test_a_quoted_cell_between_tabs_is_refused(tmp_path: Path) -> None:
    """Quotation marks are text there, but doubled ones inside are the quoting of a spreadsheet."""
    with pytest.raises(InputError, match=r"line 2, .* name the file \.csv"):
        table(tmp_path, 'prompt\tn\n"a ""red"" mule"\t1\n', "p.tsv")


def test_a_column_can_be_kept_from_being_a_parameter(tmp_path: Path) -> None:
    """--ignore-column is for a table whose column only looks like one."""
    found = table(tmp_path, "prompt,size\na,M\n", ignored=("Size",))

    assert [{"prompt": "a"}] == [row.input for row in found.rows]
    with pytest.raises(InputError, match="has no column 'sice'"):
        table(tmp_path, "prompt,size\na,M\n", ignored=("sice",))


def test_carriage_returns_alone_separate_lines(tmp_path: Path) -> None:
    """As old programs for the Macintosh write them."""
    assert [{"prompt": "a"}, {"prompt": "b"}] == [
        row.input for row in table(tmp_path, "a\rb\r", "p.txt").rows
    ]
