"""The page of a report in a browser: what a reader sees, presses and saves."""

import json
import re
import shutil
from time import perf_counter

import pytest
from report_examples import (
    HOSTILE,
    empty_report,
    hostile_report,
    large_report,
    small_report,
    terms_table,
    usual_report,
)

from genoattn.report.page import render

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if BROWSER is None:
    pytest.skip("no chromium, chromium-browser or google-chrome on the path", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")
REPORTS = {
    "usual": usual_report,
    "hostile": hostile_report,
    "large": large_report,
    "empty": empty_report,
    "small": small_report,
}
# Widths and colour schemes to check a report in; together all of them.
LOOKS = {
    "usual": ((1600, "light"), (360, "dark")),
    "hostile": ((1600, "dark"), (360, "light")),
    "empty": ((360, "light"),),
}


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    for name, report in REPORTS.items():
        (folder / f"{name}.html").write_bytes(render(report()))
    return {name: (folder / f"{name}.html").as_uri() for name in REPORTS}


@pytest.fixture
def visit(browser, addresses):
    """Opens a report; at the end of the test, any error or any request but for the file fails it."""
    pages, complaints = [], []

    def visit(name, width=1600, height=950, **options):
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("request", lambda request: _check_request(request.url, addresses[name], complaints))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto(addresses[name])
        return page

    yield visit
    for page in pages:
        page.close()
    assert complaints == []


def _check_request(url, own, complaints):
    if url != own and not url.startswith(("data:", "blob:")):
        complaints.append(f"request: {url}")


def column(page, number):
    return page.locator(f"tbody tr:not(.detail) > td:nth-child({number})").all_text_contents()


def scroll_through(page):
    """Until every figure of the page is drawn."""
    for figure in page.locator(".plot").all():
        figure.scroll_into_view_if_needed()
        figure.locator("svg.main-svg").first.wait_for()


def saved(page, button):
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        return download.value.suggested_filename, file.read()


def test_headings_sort_a_table_and_say_so(visit):
    page = visit("usual")
    effect = page.get_by_role("columnheader", name="Effect")
    assert effect.get_attribute("aria-sort") is None
    for order, reverse in (("ascending", False), ("descending", True)):
        effect.get_by_role("button").click()
        assert effect.get_attribute("aria-sort") == order
        values = [float(text) for text in column(page, 4) if text]
        assert len(values) >= 29
        assert values == sorted(values, reverse=reverse)
    for _ in range(2):
        page.get_by_role("button", name="Show more rows").click()
    assert column(page, 4)[-1] == ""  # unknown values come last, either way
    page.get_by_role("columnheader", name="Site 2").get_by_role("button").click()
    assert column(page, 2)[:3] == ["Chr5_0", "Chr5_1", "Chr5_2"]
    assert column(page, 2)[10] == "Chr5_10"  # by number, not by letter
    assert effect.get_attribute("aria-sort") is None


def test_numbers_are_short_and_the_exact_value_is_at_hand(visit):
    page = visit("usual")
    (row,) = [row for row in page.locator("tbody tr").all()[:3] if "Chr5_1" in row.text_content()]
    assert column(page, 5)[0] == "1.9e-17"
    assert column(page, 3)[1] == "10000017"
    assert column(page, 4)[1] == "0.280"
    exact = row.locator("td").nth(3).get_attribute("title")
    assert float(exact) == terms_table(250, 0).rows[1][3]


def test_search_and_flag_leave_the_rows_that_match(visit):
    page = visit("usual")
    page.get_by_role("searchbox", name="Search").fill("CHR2_202 linked")
    assert set(column(page, 1)) == {"Chr2_202"}
    assert page.get_by_role("status").text_content() == "Rows 1 to 30 of 83 found among 250."
    page.get_by_role("searchbox", name="Search").fill("nothing has this name")
    assert page.get_by_role("status").text_content() == "No row found among 250."
    page.get_by_role("searchbox", name="Search").fill("")
    page.get_by_role("combobox", name="Flag").select_option(label="none")
    assert set(column(page, 6)) == {""}


def test_a_table_of_a_few_rows_has_no_search(visit):
    page = visit("small")
    assert column(page, 2) == ["20480", "4096"]
    assert page.get_by_role("searchbox").count() == 0
    buttons = page.locator("#table-files button:visible").all_text_contents()
    assert buttons == ["Save all rows (TSV)", "File", "Bytes"]


def test_saved_rows_are_exact(visit):
    page = visit("usual")
    name, text = saved(page, "Save all rows (TSV)")
    table = terms_table(250, 0)
    lines = [line.split("\t") for line in text.splitlines()]
    assert name == "interactions.tsv"
    assert lines[0] == [column.name for column in table.columns]
    assert [float(line[4]) for line in lines[1:-1]] == [row[4] for row in table.rows[:-1]]
    assert lines[-1][3:5] == ["", ""]
    page.get_by_role("searchbox", name="Search").fill("Chr3_303")
    page.get_by_role("columnheader", name="p-value").get_by_role("button").click()
    name, text = saved(page, "Save rows found (TSV)")
    assert name == "interactions_shown.tsv"
    assert {line.split("\t")[0] for line in text.splitlines()[1:]} == {"Chr3_303"}
    assert len(text.splitlines()) == 1 + 83


def test_a_saved_figure_is_light_and_has_its_words(visit):
    page = visit("usual", color_scheme="dark")
    name, text = saved(page, "Save SVG: Share of the variance")
    assert name == "orders.svg"
    assert "Variance explained" in text
    assert "rgb(255, 255, 255)" in text


@pytest.mark.parametrize("way", ["click on a cell", "Enter"])
def test_a_row_opens_its_detail_with_a_drawn_figure(visit, way):
    page = visit("usual")
    button = page.get_by_role("button", name="Chr2_202").first
    assert button.get_attribute("aria-expanded") == "false"
    assert page.locator(".detail").count() == 0
    press = {
        "Enter": lambda: button.press("Enter"),
        "click on a cell": page.locator("tbody td").nth(8).click,
    }[way]
    press()
    assert button.get_attribute("aria-expanded") == "true"
    detail = page.locator(".detail")
    detail.locator("svg .bars path").first.wait_for()
    assert "Chr2_202 with Chr5_1 adds 0.28 to the trait (p = 1.9e-17), 95 % sure." in detail.text_content()
    assert detail.locator("dt").all_text_contents() == ["Samples", "Site"]
    for width in (1100, 1280, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        assert detail.locator("dd").first.evaluate("e => e.getBoundingClientRect().width") > 200
    assert detail.locator("p bdi").all_text_contents() == ["1.9e-17", "95 %"]  # on one line each
    label = detail.locator(".plot").get_attribute("aria-label")
    assert label.startswith("Means of the cells. Bars of 4 names")
    page.get_by_role("columnheader", name="p-value").get_by_role("button").click()
    assert detail.count() == 1  # stays open where the row goes
    press()
    assert button.get_attribute("aria-expanded") == "false"
    assert detail.count() == 0


@pytest.mark.parametrize("name", ["usual", "hostile", "empty"])
def test_page_fits_and_reads_well_for_all(visit, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(name, color_scheme="light")
    for button in page.locator("td > button").all()[:2]:
        button.click()
    for summary in page.locator("summary").all():
        summary.click()
    scroll_through(page)
    for search in page.get_by_role("searchbox").all():
        search.fill("Chr5_1")  # fewer rows to look at, the open one among them
        assert page.locator(".detail").count() == 1
    for width, scheme in LOOKS[name]:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        violations = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
        found = {entry["id"]: [node["html"] for node in entry["nodes"]] for entry in violations}
        assert found == {}, json.dumps(found, indent=1)


def test_a_phone_shows_what_was_found_first_and_scrolls_a_wide_figure_in_its_box(visit):
    page = visit("usual", 360, 740)
    for words in ("What was asked", "What was found", "How sure that is", "2 warnings"):
        box = page.get_by_text(words, exact=False).first.bounding_box()
        assert box["y"] + box["height"] < 740

    frame = page.locator("#figure-landscape .scroll")
    assert frame.evaluate("box => [box.clientWidth < 360, box.scrollWidth]") == [True, 1400]
    assert frame.get_attribute("tabindex") == "0"


def test_theme_button_changes_page_and_figures(visit):
    page = visit("usual", color_scheme="dark")
    scroll_through(page)
    colours = (
        "[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle("
        "document.querySelector('.plot .xtick text')).fill]"
    )
    dark = page.evaluate(colours)
    page.get_by_role("button", name="Light page").click()
    light = page.evaluate(colours)
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    assert page.get_by_role("button", name="Dark page").is_visible()


def test_paper_is_light_and_has_every_figure(visit):
    page = visit("usual", color_scheme="dark")
    page.locator("td > button").first.click()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".plot").count() == 5
    assert page.locator(".plot:has(svg.main-svg)").count() == 5
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.get_by_text("Two hundred samples lie along the diagonal.").is_visible()
    assert not page.get_by_role("navigation").is_visible()
    assert page.locator("tbody tr:visible").count() == 30
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert not page.get_by_text("Two hundred samples lie along the diagonal.").is_visible()


def test_hostile_names_appear_as_text_and_never_run(visit):
    page = visit("hostile")
    title = hostile_report().title
    assert column(page, 1)[: len(HOSTILE)] == list(HOSTILE)
    for button in page.locator("td > button").all():
        button.click()
    scroll_through(page)
    assert page.locator("img, main b, main script").count() == 0
    assert page.locator("svg a, svg tspan[style*=bold]").count() == 0
    ticks = page.locator("#figure-bars .xtick > text").all_text_contents()
    assert [tick.strip("\u2068\u2069") for tick in ticks] == [
        name if len(name) <= 32 else f"{name[:31]}…" for name in HOSTILE
    ]
    _, text = saved(page, "Save all rows (TSV)")
    assert "\n=cmd()\t" in text
    assert '\n"""><script>document.title=""run""</script>"\t' in text
    assert page.title() == title


def test_ten_thousand_rows_are_quick(visit):
    start = perf_counter()
    page = visit("large")
    page.locator("tbody tr").first.wait_for()
    opened = perf_counter()
    assert page.locator("tbody tr").count() == 30
    page.get_by_role("columnheader", name="Site 1").get_by_role("button").click()
    page.get_by_role("searchbox", name="Search").fill("chr5_9999")
    assert column(page, 2) == ["Chr5_9999"]
    print(f"opened in {opened - start:.2f} s, sorted and searched in {perf_counter() - opened:.2f} s")
    assert perf_counter() - start < 10


def test_without_script_the_words_are_there(browser, addresses):
    page = browser.new_page(java_script_enabled=False)
    page.goto(addresses["usual"])
    text = page.inner_text("body")
    page.close()
    assert re.search("need JavaScript.*How well the model predicts.*Two hundred samples", text, re.DOTALL)
    assert "Chr2_202 with Chr5_1 raises it" in text
