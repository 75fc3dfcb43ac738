"""The page in a real browser: headless Chromium, driven by Selenium."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_selenium_python import Axe
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from serve_toys import serving
from toy_model import make_document

from classifier.serve import Limits

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)"
)

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)
HOSTILE = '<img src=x onerror="window.broken=1"><script>window.broken=1</script> & "quotes"'


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(Limits()) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    driver.downloads = downloads  # type: ignore[attr-defined]
    yield driver
    driver.quit()


class Page:
    """What the tests do with the page."""

    def __init__(self, browser: webdriver.Chrome, address: str, fragment: str = "", width: int = 1200) -> None:
        self.browser, self.address = browser, address
        browser.set_window_size(width, 1400)
        browser.get("about:blank")
        browser.get(f"{address}/{fragment}")
        self.wait(lambda: len(Select(self["model"]).options) == 2)

    def __getitem__(self, id_: str) -> WebElement:
        return self.browser.find_element(By.ID, id_)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, condition: Callable[[], object]) -> None:
        ignored = [StaleElementReferenceException]  # the page draws its lists anew
        WebDriverWait(self.browser, 15, 0.05, ignored).until(lambda _: condition())

    def open_files(self, *paths: Path) -> None:
        self["files"].send_keys("\n".join(map(str, paths)))
        self.wait(lambda: self["results"].is_displayed() and self["extract"].is_enabled())

    def threshold(self, value: int) -> None:
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.browser.execute_script(script, self["threshold"], value)

    @property
    def relations(self) -> list[WebElement]:
        return self.all("#relations button")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "documents.jsonl"
    lines = []
    for n in range(3):
        document = make_document(n, pairs=2)
        entities = [{"id": e.id, "type": e.type, "start": e.start, "end": e.end} for e in document.entities]
        lines.append(json.dumps({"id": document.id, "text": document.text, "entities": entities}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: webdriver.Chrome, address: str, documents: Path) -> Page:
    """The page with three documents of two pairs each, and the threshold at zero."""
    made = Page(browser, address)
    made.open_files(documents)
    made.threshold(0)
    made.wait(lambda: len(made.relations) == 2)
    return made


def test_a_text_is_pasted_and_the_page_says_what_was_found(browser: webdriver.Chrome, address: str) -> None:
    page = Page(browser, address)
    page["text"].send_keys("Nothing is here.", Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: page["results"].is_displayed())
    assert page["marked"].text == "Nothing is here."
    assert "no mentions" in page["why"].text
    assert "#text=Nothing+is+here." in browser.current_url
    Page(browser, address, browser.current_url.partition("/#")[2].join(["#", ""]))
    page.wait(lambda: page["marked"].text == "Nothing is here.")  # the address reproduces the view


def test_mentions_are_coloured_and_relations_listed(page: Page) -> None:
    mentions = page.all("#marked .mention")
    assert [m.text for m in mentions] == ["drug0", "GEN0", "drug0", "GEN1"]
    assert ["chemical" in str(m.get_attribute("class")) for m in mentions] == [True, False] * 2
    assert "drug0 → GEN" in page.relations[0].text.replace("\n", " ")


def test_a_click_on_a_relation_shows_probabilities_and_attention(page: Page) -> None:
    page.relations[0].click()
    page.wait(lambda: page.all("#detail tr"))
    assert len(page.all("#detail tr")) == 3
    assert "no relation" in page["detail"].text
    assert len(page.all("#marked .attended")) > 5
    assert len(page.all("#marked .partner")) == 2
    assert page.relations[0].get_attribute("aria-pressed") == "true"


def test_the_slider_and_the_filters_act_at_once(page: Page) -> None:
    page.threshold(100)
    assert page.relations == []
    assert "lower the least probability" in page["why"].text
    page.threshold(0)
    assert len(page.relations) == 2
    for box in page.all("#labels input"):
        box.click()
    assert page.relations == []
    for box in page.all("#labels input"):
        box.click()
    page.all("#types input")[0].click()
    assert page.relations == []


def test_documents_are_paged(page: Page) -> None:
    assert not page["previous"].is_enabled()
    page["next"].click()
    assert "drug1" in page["marked"].text
    Select(page["document"]).select_by_index(2)
    assert "drug2" in page["marked"].text
    assert not page["next"].is_enabled()


def test_a_mention_is_removed_changed_and_added(page: Page) -> None:
    page.all("#marked .mention")[0].click()
    editor = page["editor"]
    editor.find_element(By.XPATH, ".//button[.='Remove']").click()
    page.wait(lambda: len(page.relations) == 1)
    page.all("#marked .mention")[0].click()  # GEN0, which has no partner any more
    Select(page["editor"].find_element(By.TAG_NAME, "select")).select_by_visible_text("CHEMICAL")
    page["editor"].find_element(By.XPATH, ".//button[.='Change type']").click()
    page.wait(lambda: "chemical" in str(page.all("#marked .mention")[0].get_attribute("class")))
    select = "const n = document.getElementById('marked').firstChild, r = document.createRange(); r.setStart(n, 0);"
    select += "r.setEnd(n, 2); getSelection().removeAllRanges(); getSelection().addRange(r);"
    page.browser.execute_script(
        select + "document.getElementById('marked').dispatchEvent(new MouseEvent('mouseup', {bubbles: true}))"
    )
    Select(page["editor"].find_element(By.TAG_NAME, "select")).select_by_visible_text("GENE")
    page["editor"].find_element(By.XPATH, ".//button[.='Add']").click()
    page.wait(lambda: len(page.relations) == 2)
    assert page.all("#marked .mention")[0].text == "We"


def test_everything_is_done_with_the_keyboard_alone(browser: webdriver.Chrome, address: str) -> None:
    page = Page(browser, address)
    text = page["text"]
    text.send_keys("Alpha inhibits beta.", Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: page["results"].is_displayed())
    page.threshold(0)
    page.browser.find_element(By.CSS_SELECTOR, "#keyboard summary").send_keys(Keys.ENTER)
    for type_, start, count in (("CHEMICAL", 0, 5), ("GENE", 15, 4)):
        plain = page["plain"]
        plain.send_keys(Keys.CONTROL, Keys.HOME)
        plain.send_keys(*[Keys.ARROW_RIGHT] * start)
        plain.send_keys(Keys.SHIFT, *[Keys.ARROW_RIGHT] * count)
        page.wait(lambda: page.all("#editor select"))
        Select(page["editor"].find_element(By.TAG_NAME, "select")).select_by_visible_text(type_)
        before = len(page.all("#marked .mention"))
        page["editor"].find_element(By.XPATH, ".//button[.='Add']").send_keys(Keys.ENTER)
        page.wait(lambda before=before: len(page.all("#marked .mention")) == before + 1)  # type: ignore[misc]
    page.wait(lambda: len(page.relations) == 1)
    page.relations[0].send_keys(Keys.ENTER)
    page.wait(lambda: page.all("#detail tr"))
    page.all("#marked .mention")[0].send_keys(Keys.ENTER)
    assert page.browser.switch_to.active_element.tag_name == "select"


def test_offsets_count_characters_and_not_utf16_units(browser: webdriver.Chrome, address: str, tmp_path: Path) -> None:
    text = "𝛼-drug 😀 inhibits GENX."
    entities = [{"id": "T1", "type": "CHEMICAL", "start": 0, "end": 6}]
    entities.append({"id": "T2", "type": "GENE", "start": text.index("GENX"), "end": text.index("GENX") + 4})
    path = tmp_path / "emoji.jsonl"
    path.write_text(json.dumps({"id": "1", "text": text, "entities": entities}) + "\n", encoding="utf-8")
    page = Page(browser, address)
    page.open_files(path)
    assert [m.text for m in page.all("#marked .mention")] == ["𝛼-drug", "GENX"]


def test_nothing_of_a_hostile_document_is_executed(browser: webdriver.Chrome, address: str, tmp_path: Path) -> None:
    entities = [{"id": HOSTILE, "type": HOSTILE, "start": 0, "end": 4}]
    path = tmp_path / "hostile.jsonl"
    path.write_text(json.dumps({"id": HOSTILE, "text": HOSTILE, "entities": entities}) + "\n", encoding="utf-8")
    page = Page(browser, address)
    page.open_files(path)
    page.all("#marked .mention")[0].click()
    assert page["marked"].text == HOSTILE
    assert browser.execute_script("return window.broken") is None
    assert page.all("#results img, #results script") == []


def test_results_are_downloaded(page: Page) -> None:
    folder: Path = page.browser.downloads  # type: ignore[attr-defined]
    for name, file in (("jsonl", "relations.jsonl"), ("bioc-xml", "relations.xml")):
        Select(page["format"]).select_by_visible_text(name)
        page["download"].click()
        page.wait(lambda file=file: (folder / file).exists())  # type: ignore[misc]
    lines = (folder / "relations.jsonl").read_text(encoding="utf-8").splitlines()
    assert [len(json.loads(line)["relations"]) for line in lines] == [2, 2, 2]


def test_what_is_left_out_is_told(browser: webdriver.Chrome, address: str, tmp_path: Path) -> None:
    drug = {"id": "T1", "type": "CHEMICAL", "start": 0, "end": 4}
    hyphen = {"id": "T2", "type": "GENE", "start": 14, "end": 15}
    path = tmp_path / "hyphen.jsonl"
    path.write_text(json.dumps({"id": "7", "text": "Drug inhibits \u00ad.", "entities": [drug, hyphen]}) + "\n")
    page = Page(browser, address)
    page.open_files(path)
    page.wait(lambda: "Document '7': the entity T2" in page["problems"].text)


def test_another_model_classifies_the_same_documents(page: Page) -> None:
    before = page.relations[0].text
    Select(page["model"]).select_by_visible_text("other")
    page.wait(lambda: page.relations and page.relations[0].text != before)


@pytest.mark.parametrize("width", [360, 1300])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_fault_of_accessibility_and_nothing_is_cut_off(page: Page, width: int, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    metrics = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.relations[0].click()
    axe = Axe(page.browser)
    axe.inject()
    faults = [v for v in axe.run()["violations"] if v["impact"] in ("serious", "critical")]
    assert not faults, json.dumps([(v["id"], [n["html"] for n in v["nodes"]]) for v in faults], indent=1)
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= width
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_says_so_when_the_server_is_gone(browser: webdriver.Chrome) -> None:
    with serving(Limits()) as address:
        page = Page(browser, address)
    page["text"].send_keys("Aspirin.", Keys.CONTROL, Keys.ENTER)
    page.wait(lambda: "does not answer" in page["problems"].text)


def test_the_browser_logged_no_error(page: Page) -> None:
    time.sleep(0.1)
    severe = [entry for entry in page.browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [entry for entry in severe if "ERR_CONNECTION" not in entry["message"]] == []
