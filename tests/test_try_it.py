"""The pages' script in a browser shows what NumPy computes from the same numbers."""

import json
import re

import numpy as np
import pytest
from pages import BOOK, printed_by

# "alien" finds Alien first, so that Aliens needs the arrow keys.
FIVE = {
    "Toy Story (1995)": 4,
    "Alien (1979)": 5,
    "Aliens (1986)": 4,
    "Titanic (1997)": 1,
    "Monty Python and the Holy Grail (1974)": 3,
}
PHONE = {"width": 360, "height": 800}


def printed_on(page):
    return printed_by(BOOK / f"{page}.ipynb")


def numbers_for(widget, page):
    """The JSON that the stored notebook of a page hands to the script."""
    numbers = r'<script type="application/json">(.*)</script></div>'
    mount = rf'<div class="widget {widget}">.*{numbers}'
    [found] = re.findall(mount, printed_on(page))
    return found


@pytest.fixture(scope="module")
def model():
    return json.loads(numbers_for("try-it", "try-it"))


def ten_films(model, ratings, weight):
    """The ten best films as [title, prediction], and the film that is nearest to each.

    The ridge regression is done as least squares with a row sqrt(weight) for each
    unknown.
    """
    rated = [model["titles"].index(title) for title in ratings]
    X = np.column_stack([model["Q"], np.ones(len(model["b"]))])
    everybody = model["mean"] + np.array(model["b"])
    y = np.array(list(ratings.values())) - everybody[rated]
    k = X.shape[1]
    rows = np.vstack([X[rated], weight**0.5 * np.eye(k)])
    p, *_ = np.linalg.lstsq(rows, np.concatenate([y, np.zeros(k)]))
    predicted = everybody + X @ p
    order = [
        film for film in np.argsort(-predicted, kind="stable") if film not in rated
    ][:10]
    unit = X[:, :-1] / np.linalg.norm(X[:, :-1], axis=1, keepdims=True)
    near = (
        [rated[np.argmax(unit[rated] @ unit[film])] for film in order] if rated else []
    )
    return (
        [[model["titles"][film], f"{predicted[film]:.2f}"] for film in order],
        [model["titles"][film] for film in near],
    )


def shown(page):
    """The same two lists, as the page shows them."""
    films, nearest = page.locator("ol.ten li").all(), []
    for film in films:
        reason = film.locator(".reason").inner_text()
        nearest += re.findall(r"^near (.+?\(\d{4}\))", reason)
    parts = (".title", ".prediction")
    return [
        [film.locator(part).inner_text() for part in parts] for film in films
    ], nearest


def tab_to(page, selector):
    """Press Tab until an element that fits has the focus."""
    for _ in range(300):
        if page.evaluate("css => document.activeElement.matches(css)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"no {selector} in the tab order")


def rate_by_keyboard(page, ratings):
    """Start with the focus anywhere; type each title, choose it, give the stars."""
    tab_to(page, "[role=combobox]")
    for title, stars in ratings.items():
        page.keyboard.type(title.lower()[:5])
        active = page.locator(".widget [role=option][aria-selected=true]")
        for _ in range(8):
            if active.inner_text() == title:
                break
            page.keyboard.press("ArrowDown")
        assert active.inner_text() == title
        page.keyboard.press("Enter")
        page.keyboard.press(str(stars))
        page.keyboard.press("Enter")
        assert (
            page.evaluate("document.activeElement.getAttribute('role')") == "combobox"
        )


def test_the_numbers_are_small_enough_and_give_what_the_page_printed(model):
    assert len(numbers_for("try-it", "try-it").encode()) <= 300_000
    example = {model["titles"][film]: stars for film, stars in model["example"]}
    films, nearest = ten_films(model, example, model["weight"])
    printed = printed_on("try-it")
    lines = [
        f"{prediction}  {title}\n      near {near} "
        for (title, prediction), near in zip(films, nearest, strict=True)
    ]
    assert len(lines) == 10
    assert all(line in printed for line in lines)


def test_five_films_rated_by_keyboard_give_the_ten_that_numpy_gives(visit, model):
    page = visit("book/try-it")
    everybody = ten_films(model, {}, model["weight"])
    assert shown(page) == everybody
    rate_by_keyboard(page, FIVE)
    mine = ten_films(model, FIVE, model["weight"])
    assert mine[0] != everybody[0]
    assert shown(page) == mine
    status = page.get_by_role("status").filter(has_text="rated").inner_text()
    assert status.startswith(
        f"5 films rated, λ = 5. First on your list: {mine[0][0][0]}"
    )
    assert page.complaints == page.outside == []


@pytest.mark.parametrize(
    ("key", "weight"), [("ArrowLeft", 2), ("Home", 0.5), ("End", 50)]
)
def test_the_slider_changes_the_penalty(visit, model, key, weight):
    page = visit("book/try-it")
    rate_by_keyboard(page, FIVE)
    tab_to(page, "input[type=range]")
    page.keyboard.press(key)
    assert (
        page.get_by_label("Penalty λ").get_attribute("aria-valuetext")
        == f"lambda {weight}"
    )
    assert shown(page) == ten_films(model, FIVE, weight)


def test_a_rating_can_be_changed_removed_and_all_forgotten(visit, model):
    page = visit("book/try-it")
    rate_by_keyboard(page, FIVE)
    alien = page.get_by_role("group", name="Alien (1979)", exact=True)
    alien.get_by_role("radio", name="2 stars").check()
    assert shown(page) == ten_films(model, {**FIVE, "Alien (1979)": 2}, 5)
    page.get_by_role("button", name="Remove Alien (1979)").press("Enter")
    assert alien.count() == 0
    without = {title: stars for title, stars in FIVE.items() if title != "Alien (1979)"}
    assert shown(page) == ten_films(model, without, 5)
    page.get_by_role("button", name="Start over").press("Enter")
    assert shown(page) == ten_films(model, {}, 5)


def test_a_film_without_stars_does_not_count(visit, model):
    page = visit("book/try-it")
    tab_to(page, "[role=combobox]")
    page.keyboard.type("fargo")
    page.keyboard.press("Enter")
    assert page.get_by_role("group", name="Fargo (1996)").count() == 1
    assert shown(page) == ten_films(model, {}, 5)


def test_the_map_marks_the_rated_films_and_the_ten_and_names_them(visit, model):
    page = visit("book/try-it")
    page.get_by_role("button", name="Rate this page's five films").press("Enter")
    example = {model["titles"][film]: stars for film, stars in model["example"]}
    ten = [title for title, _ in ten_films(model, example, 5)[0]]
    labels = [f"{title}, rated {stars}" for title, stars in example.items()]
    labels += [
        f"{title}, number {i} of your ten" for i, title in enumerate(ten, start=1)
    ]
    marks = page.locator("svg .marked")
    assert sorted(mark.get_attribute("aria-label") for mark in marks.all()) == sorted(
        labels
    )
    assert page.locator("svg > circle").count() == len(model["titles"])
    tab_to(page, "svg .marked")
    for label in [*labels, labels[0]]:
        assert (
            page.evaluate("document.activeElement.getAttribute('aria-label')") == label
        )
        assert label.startswith(page.locator("svg .name").text_content())
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_themes(visit, scheme):
    page = visit("book/try-it", viewport=PHONE, color_scheme=scheme, has_touch=True)
    page.get_by_role("button", name="Rate this page's five films").tap()
    page.get_by_role("combobox").fill("star")
    assert page.get_by_role("option").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    background = "node => getComputedStyle(node).backgroundColor"
    box = page.locator(".output:has(> .widget)").evaluate(background)
    assert box == "rgba(0, 0, 0, 0)", (
        "the theme puts a light box under outputs in the dark"
    )
    page.get_by_role("option", name="Star Trek: First Contact (1996)").tap()
    page.locator("li", has_text="First Contact").locator("label").nth(3).tap()
    assert (
        "6 films rated"
        in page.get_by_role("status").filter(has_text="rated").inner_text()
    )


def test_without_scripts_the_page_says_what_is_missing(visit):
    page = visit("book/try-it", java_script_enabled=False)
    assert "works in the rendered book" in page.locator(".widget").inner_text()


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


@pytest.mark.parametrize(
    ("user", "film", "count"), [(0, 0, 5), (0, 1, 30), (3, 5, 5), (11, 51, 30)]
)
def test_the_terms_of_a_prediction_add_up_on_the_page_mf(visit, user, film, count):
    model = json.loads(numbers_for("terms", "mf"))
    page = visit("book/mf")
    page.get_by_label("User").select_option(str(user))
    page.get_by_label("Film", exact=True).select_option(str(film))
    page.get_by_label("list all products").set_checked(count == 30)
    rows = page.locator(".widget.terms tbody tr").all()
    cells = [
        [cell.inner_text() for cell in row.locator("th, td").all()] for row in rows
    ]
    values = [number(value) for _, value, _ in cells]

    products = np.array(model["P"][user]) * model["Q"][film]
    largest = sorted(range(30), key=lambda f: -abs(products[f]))[:count]
    biases = [model["b_u"][user][0], model["b_i"][film][0]]
    others = [products.sum() - products[largest].sum()][: 30 - count]
    terms = [model["mean"], *biases, *products[largest], *others]
    assert values == pytest.approx(terms, abs=6e-4)
    listed = [re.match(r"factor (\d+)", name) for name, *_ in cells[3 : 3 + count]]
    assert [int(name[1]) for name in listed] == largest
    assert [float(after) for *_, after in cells] == pytest.approx(
        np.cumsum(terms), abs=6e-4
    )

    prediction = model["mean"] + sum(biases) + products.sum()
    total = page.locator(".widget.terms tfoot td").last.inner_text()
    assert float(total) == pytest.approx(prediction, abs=6e-4)
    name = f"User {model['users'][user]}, {model['titles'][film]}"
    status = page.locator(".widget.terms").get_by_role("status").inner_text()
    assert status == f"{name}: predicted {prediction:.2f} stars."
    assert page.locator(".widget.terms .bars rect").count() == 30
    assert page.complaints == page.outside == []


def test_the_terms_are_those_of_the_predictions_printed_on_the_page_mf():
    model = json.loads(numbers_for("terms", "mf"))
    assert model["users"][0] == 20
    for film, title in enumerate(model["titles"][:2]):
        products = np.dot(model["P"][0], model["Q"][film])
        prediction = (
            model["mean"] + model["b_u"][0][0] + model["b_i"][film][0] + products
        )
        [printed] = re.findall(
            rf"user 20, item \d+ \({title}\): (\d\.\d\d) stars", printed_on("mf")
        )
        assert prediction == pytest.approx(float(printed), abs=0.015)


def nearest_by_all_factors(model, title):
    film = model["titles"].index(title)
    near = "; ".join(model["titles"][other] for other in model["near"][film])
    return film, f"Nearest to {title} by all factors: {near}."


def test_the_map_of_films_names_those_near_the_one_that_is_chosen(visit):
    model = json.loads(numbers_for("map", "mf"))
    page = visit("book/mf")
    still = page.locator(".cell_output:has(.widget.map) img")
    assert still.count() == 1
    assert not still.is_visible()
    where = page.locator(".widget.map")
    assert where.locator("svg > circle").count() == len(model["titles"])
    film, expected = nearest_by_all_factors(model, "Star Wars")
    where.get_by_label("Find a film").select_option(str(film))
    assert where.get_by_role("status").inner_text() == expected
    assert where.locator("svg > g > circle").count() == 1 + len(model["near"][film])
    assert page.complaints == page.outside == []


@pytest.mark.parametrize("touch", [False, True])
def test_the_map_of_films_names_a_dot_under_the_pointer(visit, touch):
    model = json.loads(numbers_for("map", "mf"))
    page = visit("book/mf", has_touch=touch)
    where = page.locator(".widget.map")
    title = model["titles"][0]
    dot = where.locator("svg > circle").first
    if touch:
        dot.tap(force=True)
        said = where.get_by_role("status").inner_text()
        assert said == nearest_by_all_factors(model, title)[1]
    else:
        dot.hover(force=True)
    assert where.locator("svg > text").last.text_content() == title
