"""Objects in a notebook: useful, within one screen, names as text, colours inherited."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from small_cohorts import planted, sequence_sites

import genoattn
from genoattn.cohort import Cohort, Covariates, Phenotype, Sites
from genoattn.html_text import Html, columns_table, facts, listed, say, text

SCRIPT, HEBREW, QUOTES, LONG = "<script>alert(1)</script>", "שלום", "a\"b'c", "x" * 300
TAGS = {"div", "strong", "table", "thead", "tbody", "tr", "th", "td", "bdi", "br", "span", "code"}
ATTRIBUTES = {"style", "title", "scope", "aria-hidden"}
SCREEN = 25  # lines


class Page(HTMLParser):
    """Text, lines and structure of HTML; other tags and attributes than ours are refused."""

    def __init__(self, html):
        super().__init__()
        self.said, self.open, self.lines, self.isolated, self.styles = "", [], 0, [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.styles += [value for name, value in attrs if name == "style"]
        note = tag == "div" and "div" in self.open and "overflow" not in dict(attrs).get("style", "")
        self.lines += note or tag in ("tr", "br", "strong")
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.said += "\n" if tag in ("tr", "div", "strong") else ""

    def handle_data(self, data):
        self.said += data
        if "bdi" in self.open:
            self.isolated.append(data)


@pytest.fixture(scope="module")
def cohort():
    """Genotypes in which every name from a file is markup, right-to-left, or long."""
    rng = np.random.default_rng(0)
    calls = rng.binomial(2, 0.4, (300, 6)).astype(np.int8)
    y = calls[:, 0] * calls[:, 1] + 0.3 * rng.normal(size=300)
    calls[0, 0] = -1
    return Cohort(
        samples=[f"{SCRIPT}{k}" for k in range(300)],
        sites=Sites(
            ids=[SCRIPT, HEBREW, QUOTES, "&amp;", LONG, "مرحبا[1]"],
            chrom=[f"<i>{k % 3}" for k in range(6)],
            pos=np.arange(1, 7) * 2_000_000,
            ref=["A"] * 6,
            alt=["<DEL>"] * 6,
            states=(("A/A", "A/<DEL>", "<DEL>/<DEL>"),) * 6,
        ),
        calls=calls,
        phenotype=Phenotype(f"{HEBREW}{SCRIPT}", y),
        covariates=Covariates(tuple(f"<u>{k}" for k in range(40)), rng.normal(size=(300, 40))),
        source={"genotypes": f"/somewhere/{QUOTES}.vcf"},
        log=tuple(f"<b>line {k}</b>" for k in range(30)),
    )


@pytest.fixture(scope="module")
def shown(cohort):
    """The page of each class."""
    result = genoattn.fit(cohort, order=2, device="cpu")
    module = genoattn.EpistasisModule.for_data(genoattn.CohortData(cohort), order=3)
    scan = genoattn.scan_pairs(cohort, threshold=1.0)
    every = (cohort, result, result.table, result.discovery, result.model, module, scan)
    return {type(one).__name__: Page(one._repr_html_()) for one in every}


CLASSES = (
    "Cohort", "FitResult", "InteractionTable", "Discovery", "FittedModel", "EpistasisModule", "ScanResult"
)  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_fits_one_screen_and_takes_its_colours_from_the_notebook(shown, name):
    page = shown[name]
    assert 2 <= page.lines <= SCREEN
    for style in page.styles:
        assert "#" not in style
        assert "url" not in style
        colours = [part for part in style.split(";") if "color" in part or "background" in part]
        assert set(colours) <= {"color:inherit", "background:none"}


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "Discovery"])
def test_the_trait_is_text_of_its_own_direction(shown, name):
    assert f"{HEBREW}{SCRIPT}" in shown[name].said
    assert any(f"{HEBREW}{SCRIPT}" in part for part in shown[name].isolated)


@pytest.mark.parametrize("name", ["FitResult", "InteractionTable", "ScanResult", "Discovery"])
def test_sites_are_isolated_text(shown, name):
    assert {SCRIPT, HEBREW} <= set(shown[name].isolated)  # each alone, the pair of the first row
    assert f"{SCRIPT}" in shown[name].said
    assert LONG not in shown[name].said


def test_what_a_cohort_says(shown):
    said = shown["Cohort"].said
    for part in (
        "300 samples, 6 sites, genotypes",
        "3 chromosomes: <i>0 (2)",
        "hard calls, 1 missing (0.00056 of all)",
        "mean 0.6927, standard deviation 0.9984",
        "<u>7 and 32 more",
        f"{QUOTES}.vcf",
        "<b>line 7</b>and 22 lines more in log",
    ):
        assert part in said
    assert "/somewhere" not in said


def test_what_a_fit_says(shown):
    said = shown["FitResult"].said
    for part in ("R² of", "order 2", "in 5 folds", "frequency gauge, orders up to 2", "resampled traits: 1"):
        assert part in said
    assert "+1.0" in said.split("The first of order 2")[1].split("\n")[2]


def test_cohorts_of_other_kinds():
    binary = Page(planted(60, 4, binary=True)._repr_html_()).said
    assert "trait: 30 cases, 30 controls" in binary
    bare = replace(planted(60, 4), phenotype=None)
    assert "traitnone" in Page(bare._repr_html_()).said
    sequences = Page(planted(60, 5, kind="sequence")._repr_html_()).said
    assert "A1, A2, A3, A4, A5; 3 states each" in sequences
    empty = Cohort([], sequence_sites(0), np.zeros((0, 0), np.int8), "sequence")
    assert "0 samples, 0 sites" in Page(empty._repr_html_()).said
    constant = replace(planted(60, 4), phenotype=Phenotype("trait", np.ones(60)))
    assert "1 to 1" in Page(constant._repr_html_()).said


def test_high_orders_stay_on_one_screen():
    cohort = planted(400, 8, kind="sequence")
    result = genoattn.fit(cohort, order=6, estimator="attention", max_epochs=1, device="cpu")
    for one in (result, result.table, result.model):
        assert Page(one._repr_html_()).lines <= SCREEN
    assert "The first of order 4" in Page(result.table._repr_html_()).said
    assert "The first of order 5" not in Page(result.table._repr_html_()).said


def test_text_is_escaped_isolated_and_cut():
    assert text("a<b>\x00&\n'") == "<bdi>a&lt;b&gt; &amp; &#x27;</bdi>"
    assert text(Html("<b>x</b>")) == "<b>x</b>"
    assert text('"' * 70, 5) == f'<bdi title="{"&quot;" * 70}">{"&quot;" * 4}…</bdi>'
    assert say("of {}", "{0}") == "of <bdi>{0}</bdi>"
    assert listed([1, 2, 3], 2) == "<bdi>1</bdi>, <bdi>2</bdi> and 1 more"


def test_tables_escape_names_and_cells():
    page = Page(facts([("<b>", "<i>"), ("left out", "")]))
    assert page.said == "<b><i>\n"
    page = Page(columns_table({"<b>": ["<i>", 2.5], "c": ["d", ""]}, left=("c",)))
    assert page.said == "<b>c\n<i>d\n2.5\n\n"
