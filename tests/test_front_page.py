"""The small widget of the front page shows what NumPy computes from its numbers."""

import itertools
import json
import random
import re

import numpy as np
import pytest
from pages import BOOK, load

front_page = load(BOOK / "front_page.py")
ALL = list(itertools.product(range(6), repeat=3))
SOME = [(0, 0, 0), (5, 0, 0), *random.Random(0).sample(ALL, 10)]


@pytest.fixture(scope="module")
def model():
    return front_page.stored_model()


@pytest.fixture(scope="module")
def content():
    start, end = front_page.MARKERS
    block = (BOOK / "index.md").read_text().partition(start)[2].partition(end)[0]
    assert len(block.encode()) < 8_000
    [numbers] = re.findall(r'<script type="application/json">(.*)</script>', block)
    return json.loads(numbers)


def first_five(model, stars):
    """By least squares, with a row sqrt(weight) for each unknown."""
    b, Q = np.array(model["b"]), np.array(model["Q"])
    three = [model["titles"].index(title) for title in front_page.THREE]
    rated = [film for film, n in zip(three, stars, strict=True) if n]
    X, k = np.column_stack([Q, np.ones(len(Q))]), Q.shape[1] + 1
    y = np.array([n for n in stars if n]) - model["mean"] - b[rated]
    rows = np.vstack([X[rated], model["weight"] ** 0.5 * np.eye(k)])
    p, *_ = np.linalg.lstsq(rows, np.concatenate([y, np.zeros(k)]))
    score = (1 - model["share"]) * b + model["share"] * Q @ p[:-1]
    order = np.argsort(-score[: model["listed"]], kind="stable")
    return [model["titles"][film] for film in order if film not in three][:5]


def test_the_front_page_has_the_numbers_of_the_page_try_it():
    text = (BOOK / "index.md").read_text()
    assert front_page.written(text) == text, "call `make front-page`"


@pytest.mark.parametrize("stars", ALL)
def test_each_answer_is_that_of_numpy(model, content, stars):
    a, b, c = stars
    films = content["lists"][36 * a + 6 * b + c]
    assert [content["titles"][film] for film in films] == first_five(model, stars)


def shown(page):
    return [item.inner_text() for item in page.locator(".widget.front ol li").all()]


def test_it_begins_with_an_example(visit, model):
    page = visit("book/index")
    assert shown(page) == first_five(model, front_page.EXAMPLE)
    checked = page.locator(".widget.front :checked").all()
    assert [int(button.input_value()) for button in checked] == [*front_page.EXAMPLE]


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_each_click_changes_the_five_as_numpy_would(visit, model, motion):
    page = visit("book/index", reduced_motion=motion)
    for stars in SOME:
        for title, n in zip(front_page.THREE, stars, strict=True):
            group = page.get_by_role("group", name=title)
            group.locator(f"input[value='{n}']").check()
        assert shown(page) == first_five(model, stars)
        running = page.evaluate(
            "document.querySelector('.widget.front ol').getAnimations({subtree: true})"
            ".length"
        )
        assert not running or motion != "reduce"
    assert page.complaints == page.outside == []


def test_it_works_by_keyboard_and_hands_the_ratings_on(visit, model):
    page = visit("book/index")
    page.locator(".widget.front :checked").first.focus()
    page.keyboard.press("2")
    page.keyboard.press("Tab")
    page.keyboard.press("5")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert shown(page) == first_five(model, (2, 5, 0))
    first = shown(page)[0]
    assert first in page.locator(".widget.front [role=status]").inner_text()
    link = page.get_by_role("link", name="Rate more films").get_attribute("href")
    assert link == "try-it.html#rated-50x2-56x5"


def test_it_fits_a_phone_and_a_finger(visit):
    page = visit("book/index", viewport={"width": 360, "height": 800}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for label in page.locator(".widget.front label").all():
        box = label.bounding_box()
        assert min(box["width"], box["height"]) >= 24
    page.locator(".widget.front label").nth(7).tap()
    assert (
        page.get_by_role("group", name="Pulp Fiction")
        .locator("input[value='2']")
        .is_checked()
    )


def test_without_scripts_it_says_so(visit):
    page = visit("book/index", java_script_enabled=False)
    assert "needs scripts" in page.locator(".widget.front").inner_text()
