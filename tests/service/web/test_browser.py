"""The pages in a real browser: what a person sees, does, and sees after that."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tastemaker.service.store import Store

ARTIFACTS = Path(__file__).parents[3] / "artifacts" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120.0  # seconds, of which a busy machine may need many
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of ``tastemaker serve`` without arguments, and its folder."""
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-c", "from tastemaker.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                yield found[0].rstrip("/"), folder / "tastemaker-demo"
                break
        else:
            pytest.fail("tastemaker serve ended before it listened")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(300)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"needs a browser: one of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


class Visit:
    """A page that remembers what it asked for and what went wrong."""

    def __init__(self, browser: Any, base: str, **options: Any) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        self.context.set_default_timeout(1000 * PATIENCE)
        self.page, self.base = self.context.new_page(), base
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.wrong.append(message.text))

    def open(self, path: str) -> Any:
        self.page.goto(self.base + path, wait_until="networkidle")
        return whole(self.page)

    def done(self) -> None:
        assert self.wrong == []
        assert all(url.startswith(self.base) for url in self.asked)
        self.context.close()


@pytest.fixture
def visit(browser: Any, served: tuple[str, Path]) -> Iterator[Any]:
    made: list[Visit] = []

    def make(**options: Any) -> Visit:
        made.append(Visit(browser, served[0], **options))
        return made[-1]

    yield make
    for one in made:
        one.done()


def whole(page: Any) -> Any:
    """The page, loaded again while it says what a busy machine made it do without."""
    until = time.monotonic() + PATIENCE
    while page.locator(".degraded").count() and time.monotonic() < until:
        page.reload(wait_until="networkidle")
    return page


def posted(page: Any, kind: str) -> Any:
    """Wait until an event of this kind is answered; others, such as what has been seen, may come before."""
    return page.expect_response(
        lambda answer: answer.url.endswith("/v1/events") and f'"{kind}"' in (answer.request.post_data or "")
    )


def titles(page: Any, row: int = 0) -> list[str]:
    found: list[str] = page.locator(".row").nth(row).locator(".poster-title").all_inner_texts()
    return found


def headings(page: Any) -> list[str]:
    found: list[str] = page.locator(".row h2").all_inner_texts()
    return found


def test_alice_and_bob_have_different_screens(visit: Any) -> None:
    page = visit().open("/?user=alice")
    assert page.locator("h1").inner_text() == "Alice"
    alice = titles(page)
    for start in ("Top picks for you", "Because you liked", "Customers who bought", "Trending", "New"):
        assert any(heading.startswith(start) for heading in headings(page)), start
    page.get_by_role("link", name="Bob", exact=True).click()
    page.wait_for_url("**/?user=bob", wait_until="networkidle")
    whole(page)
    bob = titles(page)
    assert len(alice) > 10
    assert len(bob) > 10
    assert len(set(alice) & set(bob)) < len(alice) / 2
    assert all(page.locator(".card .reason").all_inner_texts()), "a reason under each card"


def test_dismiss_and_like_change_the_next_load(visit: Any, served: tuple[str, Path]) -> None:
    page = visit().open("/?user=alice")
    cards = page.locator(".row").first.locator(".card")
    gone, liked = (cards.nth(place).locator(".poster-title").inner_text() for place in (1, 3))
    ids = [cards.nth(place).get_attribute("data-item") for place in (1, 3)]
    with posted(page, "like"):
        cards.nth(3).hover()
        cards.nth(3).get_by_role("button", name=f"Like {liked}").click()
    with posted(page, "dismiss"):
        cards.nth(1).hover()
        cards.nth(1).get_by_role("button", name=f"Not for me: {gone}").click()
    page.locator(".row").first.locator(f'.card[data-item="{ids[0]}"]').wait_for(state="detached")
    assert gone not in titles(page)
    page.reload(wait_until="networkidle")
    whole(page)
    assert gone not in page.locator(".poster-title").all_inner_texts()
    assert f"Because you liked {liked}" in headings(page)
    with Store.open(f"sqlite:///{served[1]}/tastemaker.db") as store:
        kept = {(i.kind, i.item_id) for i in store.history(["alice"])["alice"]}
        assert {("dismiss", ids[0]), ("like", ids[1])} <= kept
        lists = {
            e.recommendation_id for _, e in store.since(0, 10**6) if (e.kind, e.item_id) == ("like", ids[1])
        }
        assert any(cited and store.decision(cited) for cited in lists)


def test_opening_a_card_and_looking_are_events_too(visit: Any, served: tuple[str, Path]) -> None:
    page = visit().open("/?user=emma")
    page.wait_for_timeout(1500)
    item = page.locator(".card").nth(2).get_attribute("data-item")
    page.locator(".card").nth(2).locator("a.poster").click()
    page.wait_for_url("**/item/**", wait_until="networkidle")
    assert page.locator(".row h2").all_inner_texts() == [
        "More like this",
        "Customers who bought this also bought",
    ]
    with Store.open(f"sqlite:///{served[1]}/tastemaker.db") as store:

        def told() -> bool:
            kept = [e for _, e in store.since(0, 10**6) if e.user_id == "emma"]
            seen = any(e.kind == "impression" for e in kept)
            return seen and ("click", item) in {(e.kind, e.item_id) for e in kept}

        until = time.monotonic() + PATIENCE
        while not told() and time.monotonic() < until:
            page.wait_for_timeout(200)  # the page sends on meanwhile
        assert told()


def test_it_works_by_keyboard(visit: Any, served: tuple[str, Path]) -> None:
    page = visit().open("/?user=chris")
    keyboard = page.keyboard
    keyboard.press("ArrowDown")
    focused = "document.activeElement.closest('.card')?.dataset.item"
    first = page.evaluate(focused)
    keyboard.press("ArrowRight")
    second = page.evaluate(focused)
    assert first
    assert second not in (None, first)
    with posted(page, "like"):
        keyboard.press("l")
    keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('.row') === document.querySelectorAll('.row')[1]")
    keyboard.press("/")
    keyboard.type("squid")
    keyboard.press("Enter")
    page.wait_for_url("**/search**")
    assert "Squid Game" in page.locator(".poster-title").all_inner_texts()
    with Store.open(f"sqlite:///{served[1]}/tastemaker.db") as store:
        assert ("like", second) in {(i.kind, i.item_id) for i in store.history(["chris"])["chris"]}


def test_text_in_an_address_stays_text(visit: Any) -> None:
    one = visit()
    page = one.open("/?user=%3Cscript%3Ealert(1)%3C/script%3E")
    assert page.locator("h1").inner_text() == "<script>alert(1)</script>"
    assert page.locator(".row").count() >= 2  # a stranger sees what is trending and new
    one.open("/search?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E")
    assert page.locator("main img").count() == 0


def test_two_models_and_two_users_side_by_side(visit: Any) -> None:
    one = visit()
    page = one.open("/compare?left=alice&right=bob")
    sides = page.locator(".side")
    assert [sides.nth(n).locator("li").count() for n in (0, 1)] == [10, 10]
    one.open("/compare?left=alice&right=alice&left_model=popularity&right_model=item_knn")
    lists = [page.locator(".side").nth(n).locator("li a").all_inner_texts() for n in (0, 1)]
    assert lists[0] != lists[1]


def test_the_system_page_promotes_and_rolls_back(visit: Any) -> None:
    page = visit().open("/system")
    with page.expect_navigation():
        page.get_by_role("button", name="Promote").click()
    assert page.locator("tr.serving th").inner_text() == "v0001"
    with page.expect_navigation():
        page.get_by_role("button", name="Roll back").click()
    assert page.locator("tr.serving th").inner_text() == "v0002"


LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "dark": {"color_scheme": "dark"},
}


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits_its_screen(visit: Any, look: str) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    one = visit(**LOOKS[look])
    pages = {
        "alice": "/?user=alice",
        "bob": "/?user=bob",
        "item": "/item/squid-game?user=alice",
        "compare": "/compare?left=alice&right=bob",
        "search": "/search?q=winter&user=alice",
        "system": "/system?user=alice",
        "missing": "/item/nothing?user=alice",
    }
    for name, path in pages.items():
        page = one.open(path)
        for row in page.locator(".row, .side").all():
            row.scroll_into_view_if_needed()
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(400)
        page.screenshot(path=ARTIFACTS / f"{look}-{name}.png", full_page=True)
        size = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert size[0] <= size[1], f"{name} is wider than a {look}"
    one.wrong = [text for text in one.wrong if "404" not in text]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 150) == (look == "dark")
