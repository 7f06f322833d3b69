"""The page of a report, as bytes: what is in it and what can never be."""

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from report_examples import HOSTILE, empty_report, hostile_report, large_report, terms_table, usual_report

from genoattn.report.document import Column, DataTable, Detail, Figure, Report, Section
from genoattn.report.page import render

VOID = {"meta", "link", "img", "br", "hr", "input"}


class PageParts(HTMLParser):
    """Elements of a page with their attributes, its text, its scripts, and whether each element is closed."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements, self.open, self.scripts, self.text = [], [], [], ""
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open[-1:] != ["style"]:
            self.text += data


def data_of(page):
    return json.loads(PageParts(page).scripts[0])


def report_of(*, figures=(), tables=(), **fields):
    return Report("t", [], [], [], sections=[Section("s", "S", (), figures, tables)], **fields)


@pytest.mark.parametrize("report", [usual_report(), hostile_report(), large_report(), empty_report()])
def test_page_is_well_formed_and_the_same_each_time(report):
    page = render(report)
    parts = PageParts(page)
    assert parts.open == []
    assert len(parts.scripts) == 3  # data, library, script of the page
    ids = [attributes["id"] for _, attributes in parts.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert render(report) == page


def test_sentences_headings_and_facts_are_there_without_the_script():
    text = PageParts(render(usual_report())).text
    report = usual_report()
    sentences = [report.title, *report.asked, *report.found, *report.sure, *report.warnings]
    for section in report.sections:
        sentences += [section.title, *section.paragraphs]
        sentences += [words for figure in section.figures for words in (figure.title, figure.description)]
        sentences += [words for table in section.tables for words in (table.title, table.note)]
    sentences += [word for fact in report.facts for word in fact]
    assert [sentence for sentence in sentences if sentence not in text] == []
    places = [text.index(part) for part in (report.asked[0], report.found[0], report.sure[0], "Version 0.1")]
    assert places == sorted(places)


def test_empty_report_has_neither_sections_nor_warnings():
    page = render(empty_report())
    assert "No term passed." in PageParts(page).text
    assert b'id="warnings"' not in page
    assert b"<ul>" not in page
    assert data_of(page) == {"figures": {}, "tables": {}}


def test_hostile_names_are_text():
    parts = PageParts(render(hostile_report()))
    assert {tag for tag, _ in parts.elements}.isdisjoint({"img", "b"})
    assert [tag for tag, _ in parts.elements].count("script") == 3
    assert not any(name.startswith("on") for _, attributes in parts.elements for name in attributes)
    shown = parts.text.translate({0x2068: None, 0x2069: None})
    assert [name for name in HOSTILE if f"Site {name} acts." not in shown] == []


def test_names_from_right_to_left_are_isolated():
    text = PageParts(render(Report("t", ["Site \u05d0\u05d1:3 acts."], [], []))).text
    assert "Site \u2068\u05d0\u05d1:3\u2069 acts." in text


def test_data_cannot_end_their_element_and_come_back_equal():
    page = render(hostile_report())
    raw = PageParts(page).scripts[0]
    assert set(raw).isdisjoint("<>&\u2028\u2029")
    table = json.loads(raw)["tables"]["terms"]
    assert [row[0] for row in table["rows"][: len(HOSTILE)]] == list(HOSTILE)
    assert table["details"]["0"]["figure"]["data"][0]["x"][0] == HOSTILE[0]


def test_numbers_come_back_exactly_and_what_is_no_number_as_null():
    rows = [
        [0.1 + 0.2, 5e-324, float("nan")],
        [np.float64(np.inf), -np.inf, None],
        [np.int64(7), np.float32(0.5), 2**60],
    ]
    table = DataTable("n", "N", [Column(name, name, "number") for name in "abc"], rows, "n.tsv")
    figure = Figure("f", "F", "d", [{"type": "heatmap", "z": np.array([[1.5, np.nan]])}])
    data = data_of(render(report_of(figures=[figure], tables=[table])))
    exact = [[0.30000000000000004, 5e-324, None], [None, None, None], [7, 0.5, str(2**60)]]
    assert data["tables"]["n"]["rows"] == exact
    assert data["figures"]["f"]["data"][0]["z"] == [[1.5, None]]


def test_policy_allows_the_two_scripts_and_no_address():
    parts = PageParts(render(hostile_report()))
    (policy,) = [a["content"] for _, a in parts.elements if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in parts.scripts[1:]
    ]
    assert rules.pop("script-src") == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    addresses = [a.get("href") or a.get("src") for _, a in parts.elements if {"href", "src"} & set(a)]
    assert [address for address in addresses if not address.startswith(("#", "data:"))] == []


def test_ten_thousand_rows_with_fifty_details_stay_below_five_megabytes():
    wide = terms_table(10_000, 50)
    copies = 4  # 24 columns; a table of pairs has 23, with 12 digits
    columns = [dataclasses.replace(c, name=f"{c.name}{k}") for k in range(copies) for c in wide.columns]
    rows = [[float(f"{v:.11e}") if isinstance(v, float) else v for v in row] * copies for row in wide.rows]
    table = dataclasses.replace(wide, columns=columns, rows=rows)
    assert len(render(large_report())) < 2.5e6
    assert len(render(report_of(tables=[table]))) < 5e6


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (
            Report("t", [], [], [], sections=[Section("a", "A"), Section("a", "B")]),
            "'a' names more than one section",
        ),
        (
            report_of(figures=[Figure("f", "F", "", []), Figure("f", "G", "", [])]),
            "'f' names more than one figure",
        ),
        (
            report_of(tables=[DataTable("n", "N", [Column("a", "A")], [[1, 2]], "n.tsv")]),
            "row 0: 2 entries but 1 col",
        ),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(report, message):
    with pytest.raises(ValueError, match=message):
        render(report)


def test_a_value_that_is_neither_text_nor_number_is_refused():
    figure = Figure("f", "F", "", [{"x": [object()]}])
    with pytest.raises(TypeError, match="neither text, a number nor a list"):
        render(report_of(tables=[DataTable("n", "N", [], [[]], "n", {0: Detail("s", figure=figure)})]))


def test_library_is_the_one_its_readme_names():
    assets = files("genoattn.report").joinpath("assets")
    library = assets.joinpath("plotly-cartesian.min.js").read_bytes()
    readme = assets.joinpath("README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(library).hexdigest() in readme
    version = re.search(rb"v(\d+\.\d+\.\d+)\n\* Copyright .*Plotly", library)[1].decode()
    assert f"| version | {version} |" in readme
    assert b"MIT license" in render(empty_report())


def test_marks_that_turn_text_round_are_shown_by_name():
    name = "height\u202etxt"
    figure = Figure("f", name, f"{name} rises.", [{"x": [name], "y": [1]}])
    table = DataTable("t", name, [Column("a", name)], [[name]], "t.tsv")
    page = render(
        Report(name, [name], [f"{name} is 0.86"], [], [], [Section("s", name, [name], [figure], [table])])
    )
    text = page.decode()
    assert "\u202e" not in text
    assert "height&lt;U+202E&gt;txt is" in text
    rows = json.loads(re.search(r'id="report-data"[^>]*>(.*?)</script>', text, re.S)[1])["tables"]["t"][
        "rows"
    ]
    assert rows == [[name]]  # as it is downloaded
