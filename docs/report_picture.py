"""Draw figures/report.png, the first screen of the report of the example, in a browser.

python docs/report_picture.py   # needs chromium and the test extra
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import genoattn

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    lines = genoattn.read(
        DATA / "arabidopsis_ril.vcf.gz", DATA / "arabidopsis_ril.pheno.tsv", "3.Butenyl", transform="log"
    )
    with tempfile.TemporaryDirectory() as folder:
        genoattn.fit(lines, order=2, device="cpu").save(Path(folder) / "butenyl")
        page = genoattn.write_report(Path(folder) / "butenyl", lines)
        browser = next(filter(None, map(shutil.which, BROWSERS)))
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            view = chromium.new_page(viewport={"width": 1150, "height": 1150})
            view.goto(page.as_uri())
            view.wait_for_timeout(2000)
            view.screenshot(path=HERE / "figures" / "report.png")
            chromium.close()


if __name__ == "__main__":
    main()
