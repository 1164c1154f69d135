"""The held-out film of the page implicit counts in the browser as in the package."""

import json
import re

import pytest
import torch
from pages import BOOK, printed_by

from d2lrec import hit_rate, ndcg
from d2lrec.rankings import Ranks

PHONE = {"width": 360, "height": 800}
TILE = ".rank [role=slider]"
# Alone; tied within the list of ten, across its end, and beyond it.
ALONE = [(1, 0), (5, 0), (10, 0), (11, 0), (20, 0)]
CASES = [*ALONE, (4, 3), (1, 10), (8, 5), (10, 10), (11, 2), (16, 9)]


@pytest.fixture(scope="module")
def numbers():
    mount = r'<div class="widget rank">.*<script type="application/json">(.*)</script>'
    [found] = re.findall(mount, printed_by(BOOK / "implicit.ipynb"))
    return json.loads(found)


def expected(place, tied, k=10):
    """The three numbers as the package counts them, for one user."""
    ranks = Ranks(torch.tensor([place - 1]), torch.tensor([tied]))
    places = f"{place}–{place + tied}" if tied else f"{place}"  # noqa: RUF001
    return [places, f"{hit_rate(ranks, k):.3f}", f"{ndcg(ranks, k):.3f}"]


def shown(page):
    return page.locator(".rank dd").all_inner_texts()


def titles(page):
    return page.locator(".rank .ranking .title").all_inner_texts()


def move(page, place, tied=0):
    """By the keyboard, from wherever the film is."""
    page.locator(TILE).focus()
    page.keyboard.press("Home")
    for _ in range(place - 1):
        page.keyboard.press("ArrowDown")
    page.locator("#rank-ties").focus()
    page.keyboard.press("Home")
    for _ in range(tied):
        page.keyboard.press("ArrowRight")


def test_it_begins_at_the_place_that_the_page_printed(visit, numbers):
    page = visit("book/implicit")
    place = numbers["place"]
    assert numbers["k"] == 10
    printed = printed_by(BOOK / "implicit.ipynb")
    assert f"place {place}: HR@10 = 1.0" in printed
    assert shown(page) == expected(place, 0)
    above = numbers["others"][: place - 1]
    listed = [*above, numbers["film"], *numbers["others"][place - 1 :]]
    assert titles(page) == listed
    assert len(listed) == 20
    assert page.complaints == page.outside == []


def test_places_and_ties_count_as_in_the_package(visit, numbers):
    page = visit("book/implicit")
    for place, tied in CASES:
        move(page, place, tied)
        assert shown(page) == expected(place, tied), (place, tied)
        assert titles(page)[place - 1] == numbers["film"]
        said = page.locator(TILE).get_attribute("aria-valuetext")
        assert said == f"place {place} of 20" + (
            f", tied with the next {tied}" if tied else ""
        )
        assert page.locator(".rank .tied").count() == (
            min(tied + 1, 21 - place) if tied else 0
        )
        here = page.locator(".rank svg .here").count()
        assert here == min(tied + 1, 21 - place)


def test_the_arrow_keys_stop_at_the_ends_and_keep_the_focus(visit):
    page = visit("book/implicit")
    tile = page.locator(TILE)
    tile.focus()
    for key, place in {"End": 20, "ArrowDown": 20, "PageUp": 15, "Home": 1}.items():
        page.keyboard.press(key)
        assert tile.get_attribute("aria-valuenow") == str(place)
        assert page.evaluate("css => document.activeElement.matches(css)", TILE)
    page.keyboard.press("ArrowUp")
    assert tile.get_attribute("aria-valuenow") == "1"


def test_the_film_can_be_dragged(visit):
    page = visit("book/implicit")
    page.locator(".rank").scroll_into_view_if_needed()
    rows = page.locator(".rank .ranking li")
    page.locator(TILE).hover()
    page.mouse.down()
    for place in (2, 14, 9):
        box = rows.nth(place - 1).bounding_box()
        page.mouse.move(box["x"] + 50, box["y"] + box["height"] / 2)
        assert shown(page) == expected(place, 0)
    page.mouse.up()
    box = rows.nth(0).bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + box["height"] / 2)
    assert shown(page) == expected(9, 0), "it has been let go"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit, scheme):
    page = visit("book/implicit", viewport=PHONE, color_scheme=scheme, has_touch=True)
    widget = page.locator(".rank").bounding_box()
    assert widget["x"] >= 0
    assert widget["x"] + widget["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator(TILE).bounding_box()["height"] >= 24  # to be touched


def test_without_scripts_the_page_says_what_is_missing(visit):
    page = visit("book/implicit", java_script_enabled=False)
    assert "works in the rendered book" in page.locator(".rank").inner_text()
