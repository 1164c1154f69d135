"""The pages' script in a browser shows what NumPy computes from the same numbers."""

import json
import re
from decimal import ROUND_HALF_UP, Decimal

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


def fixed(number):
    """Two decimals as JavaScript has them: halves go up."""
    return str(Decimal(float(number)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def ten_films(model, ratings, weight=5, share=0.75):
    """The ten films for some ratings, as [title, prediction, reasons].

    The ridge regression is done as least squares with a row sqrt(weight) for each
    unknown; what a rating adds is what its y alone would give.
    """
    rated = [model["titles"].index(title) for title in ratings]
    Q, b = np.array(model["Q"]), np.array(model["b"])
    X, k = np.column_stack([Q, np.ones(len(b))]), Q.shape[1] + 1
    y = np.array(list(ratings.values())) - model["mean"] - b[rated]
    rows = np.vstack([X[rated], weight**0.5 * np.eye(k)])
    alone = np.vstack([np.diag(y), np.zeros((k, len(rated)))])
    parts, *_ = np.linalg.lstsq(rows, alone)  # (k, n)
    p = parts.sum(axis=1)
    predicted = model["mean"] + b + X @ p
    score = (1 - share) * b + share * Q @ p[:-1]
    order = np.argsort(-score[: model["listed"]], kind="stable")
    order = [film for film in order if film not in rated][:10]

    def reasons(film):
        words = "nearly everybody likes it" if b[film] >= 0.3 else "many like it"
        terms = [(b[film], words)]
        for part, (title, stars) in zip(parts.T, ratings.items(), strict=True):
            terms.append((Q[film] @ part[:-1], f"you gave {title[:-7]} {stars}"))
        terms = sorted(terms, key=lambda term: -term[0])[:2]
        return [f"{words} (+{fixed(term)})" for term, words in terms if term >= 0.05]

    return [
        [
            model["titles"][film],
            "5.0" if predicted[film] > 5 else fixed(predicted[film]),
            ", ".join(reasons(film)) or "no single reason stands out",
        ]
        for film in order
    ]


def shown(page):
    """The same list, as the page shows it."""
    parts = (".title", ".prediction", ".reason")
    return [
        [film.locator(part).inner_text() for part in parts]
        for film in page.locator("ol.ten li").all()
    ]


def said(page):
    return page.get_by_role("status").filter(has_text="First on your list").inner_text()


def example_of(model, taste="Science fiction"):
    return {model["titles"][film]: stars for film, stars in model["tastes"][taste]}


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
    printed = printed_on("try-it")
    for title, prediction, reasons in ten_films(model, example_of(model)):
        lines = [f"{prediction}  {title}", *reasons.split(", you gave ")]
        you_gave = [f"you gave {line}" for line in lines[2:]]
        assert "\n      ".join([*lines[:2], *you_gave]) in printed
    for taste in model["tastes"]:
        films = example_of(model, taste)
        lists = ten_films(model, films, share=0.5), ten_films(model, films)
        for (left, *_), (right, *_) in zip(*lists, strict=True):
            row = (
                rf"[* ] {re.escape(left[:-7][:34])} *[* ] {re.escape(right[:-7][:34])}"
            )
            assert re.search(row, printed)


def test_names_are_turned_round_and_found_both_ways(visit, model):
    assert "The Empire Strikes Back (1980)" in model["titles"]
    assert not any(re.search(r", (The|An?) \(", title) for title in model["titles"])
    page = visit("book/try-it")
    for typed in ("the empire", "Empire Strikes Back, The", "strikes EMPIRE"):
        page.get_by_role("combobox").fill(typed)
        assert (
            "The Empire Strikes Back (1980)"
            in page.get_by_role("option").all_inner_texts()
        )


@pytest.mark.parametrize(
    ("typed", "options", "words"),
    [
        ("blade runner", 1, "1 film found"),
        ("star", 8, r"\d+ films found, the first 8 are shown"),
        ("alien", 4, "4 films found"),
        ("barbie", 0, "No such film: the data end in April 1998.*"),
    ],
)
def test_it_says_how_many_films_were_found(visit, typed, options, words):
    page = visit("book/try-it")
    page.get_by_role("combobox").fill(typed)
    assert page.get_by_role("option").count() == options
    found = page.locator(".found")
    assert found.is_visible()
    assert re.fullmatch(words, found.inner_text())


def test_the_widget_is_the_first_thing_on_its_page(visit):
    page = visit("book/try-it")
    before = page.locator("article h1 ~ *").first
    assert before.inner_text().startswith("Give a few films stars")
    assert page.locator("article h1 ~ p + .cell_output .widget.try-it").count() == 1


def test_five_films_rated_by_keyboard_give_the_ten_that_numpy_gives(visit, model):
    page = visit("book/try-it")
    everybody = ten_films(model, {})
    assert shown(page) == everybody
    rate_by_keyboard(page, FIVE)
    mine = ten_films(model, FIVE)
    assert mine[0] != everybody[0]
    assert shown(page) == mine
    assert said(page).startswith(f"5 films rated. First on your list: {mine[0][0]}")
    everybody = {title for title, *_ in ten_films(model, FIVE, share=0)}
    own = sum(title not in everybody for title, *_ in mine)
    assert f"{own} of these ten are not among everybody's ten." in said(page)
    assert page.complaints == page.outside == []


@pytest.mark.parametrize(
    ("key", "share"), [("ArrowLeft", 0.5), ("Home", 0), ("End", 1)]
)
def test_the_slider_leads_from_everybodys_list_to_ones_own(visit, model, key, share):
    page = visit("book/try-it")
    rate_by_keyboard(page, FIVE)
    tab_to(page, "#taste")
    page.keyboard.press(key)
    assert shown(page) == ten_films(model, FIVE, share=share)
    position = page.get_by_label("Sorted by").get_attribute("aria-valuetext")
    assert position == page.locator("output[for=taste]").inner_text()


@pytest.mark.parametrize(
    ("key", "weight"), [("ArrowLeft", 2), ("Home", 0.5), ("End", 50)]
)
def test_another_slider_changes_the_penalty(visit, model, key, weight):
    page = visit("book/try-it")
    rate_by_keyboard(page, FIVE)
    tab_to(page, "summary:has(+ .slider)")
    page.keyboard.press("Enter")
    tab_to(page, "#penalty")
    page.keyboard.press(key)
    penalty = page.get_by_label("Penalty λ")
    assert penalty.get_attribute("aria-valuetext") == f"lambda {weight}"
    assert shown(page) == ten_films(model, FIVE, weight)


def test_a_rating_can_be_changed_removed_and_all_forgotten(visit, model):
    page = visit("book/try-it")
    rate_by_keyboard(page, FIVE)
    alien = page.get_by_role("group", name="Alien (1979)", exact=True)
    alien.get_by_role("radio", name="2 stars").check()
    assert shown(page) == ten_films(model, {**FIVE, "Alien (1979)": 2})
    page.get_by_role("button", name="Remove Alien (1979)").press("Enter")
    assert alien.count() == 0
    without = {title: stars for title, stars in FIVE.items() if title != "Alien (1979)"}
    assert shown(page) == ten_films(model, without)
    page.get_by_role("button", name="Start over").press("Enter")
    assert shown(page) == ten_films(model, {})


def test_a_film_without_stars_does_not_count(visit, model):
    page = visit("book/try-it")
    page.get_by_role("button", name="Fargo").press("Enter")
    assert page.get_by_role("group", name="Fargo (1996)").count() == 1
    assert page.get_by_role("button", name="Fargo", exact=True).count() == 0
    assert shown(page) == ten_films(model, {})
    page.keyboard.press("3")
    assert shown(page) == ten_films(model, {"Fargo (1996)": 3})


@pytest.mark.parametrize("taste", ["Science fiction", "Children's films", "Horror"])
def test_a_taste_is_one_click(visit, model, taste):
    page = visit("book/try-it")
    page.get_by_role("button", name=taste).click()
    mine = ten_films(model, example_of(model, taste))
    assert shown(page) == mine
    everybody = ten_films(model, example_of(model, taste), share=0)
    assert len({title for title, *_ in mine} - {title for title, *_ in everybody}) >= 7


def test_a_prediction_above_five_is_shown_as_five_and_explained(visit, model):
    page = visit("book/try-it")
    films = dict.fromkeys(model["titles"][:14], 5)
    assert page.get_by_text("which nobody can give").is_hidden()
    ids = "-".join(f"{number}x5" for number in model["ids"][:14])
    page.evaluate(f"window.location.hash = 'rated-{ids}'")
    page.get_by_text("which nobody can give").wait_for()
    assert "5.0" in {prediction for _, prediction, _ in shown(page)}
    assert shown(page) == ten_films(model, films)


def test_ratings_live_in_the_address(visit, model):
    page = visit("book/try-it", "#rated-50x5-56x9-x-999999x3-172x4-50-b&5x1")
    films = {"Star Wars (1977)": 5, "The Empire Strikes Back (1980)": 4}
    assert shown(page) == ten_films(model, films)
    page.get_by_role("group", name="Star Wars (1977)").get_by_role(
        "radio", name="3 stars"
    ).check()
    assert page.url.endswith("#rated-50x3-172x4")
    page.reload()
    films["Star Wars (1977)"] = 3
    assert shown(page) == ten_films(model, films)
    page.evaluate("window.location.hash = 'summary'")
    assert shown(page) == ten_films(model, films)
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text(re.compile("Copied|your ratings are in it")).wait_for()
    page.get_by_role("button", name="Start over").click()
    assert "#" not in page.url
    assert page.complaints == page.outside == []


def test_the_map_marks_the_rated_films_and_the_ten_and_names_them(visit, model):
    page = visit("book/try-it")
    page.get_by_role("button", name="Science fiction").press("Enter")
    example = example_of(model)
    labels = [f"{title}, rated {stars}" for title, stars in example.items()]
    labels += [
        f"{title}, number {i} of your ten"
        for i, (title, *_) in enumerate(ten_films(model, example), start=1)
    ]
    marks = page.locator("svg .marked")
    assert sorted(mark.get_attribute("aria-label") for mark in marks.all()) == sorted(
        labels
    )
    assert page.locator("svg > circle").count() == len(model["titles"])
    assert page.locator("svg .landmark").count() == len(model["landmarks"])
    tab_to(page, "svg .marked")
    for label in [*labels, labels[0]]:
        assert (
            page.evaluate("document.activeElement.getAttribute('aria-label')") == label
        )
        assert label.startswith(page.locator("svg .name").text_content())
        page.keyboard.press("ArrowRight")


def test_you_are_on_the_map_and_move_with_a_rating(visit, model):
    page = visit("book/try-it", "#rated-56x1", reduced_motion="reduce")
    you = page.get_by_role("img", name="You")

    def side():
        svg = page.locator(".where svg").bounding_box()
        box = you.locator("path").bounding_box()
        low, high = (f(place[0] for place in model["map"]) for f in (min, max))
        middle = svg["x"] + 14 + (svg["width"] - 28) * -low / (high - low)
        return np.sign(round(box["x"] + box["width"] / 2 - middle))

    low = side()
    page.get_by_role("radio", name="5 stars").check()
    assert low == -1
    assert side() == 1


def test_the_map_stays_alive_when_the_column_changes(visit):
    page = visit("book/try-it", viewport={"width": 1400, "height": 900})
    for width in (1000, 1300, 400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            "() => { const map = document.querySelector('.where svg');"
            "return map.viewBox.baseVal.width === map.clientWidth; }"
        )


def test_list_slider_and_map_are_on_screen_together(visit):
    page = visit("book/try-it", viewport={"width": 1400, "height": 900})
    page.get_by_role("button", name="Horror").click()
    page.locator(".list").evaluate(
        "node => window.scrollBy({behavior: 'instant',"
        "top: node.getBoundingClientRect().top - 70})"
    )
    for part in ("#taste", "ol.ten li:last-child", ".where svg"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 900


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_themes(visit, scheme):
    page = visit("book/try-it", viewport=PHONE, color_scheme=scheme, has_touch=True)
    page.get_by_role("button", name="Science fiction").tap()
    page.get_by_role("combobox").fill("star")
    assert page.get_by_role("option").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    background = "node => getComputedStyle(node).backgroundColor"
    box = page.locator(".output:has(> .widget)").evaluate(background)
    assert box == "rgba(0, 0, 0, 0)", (
        "the theme puts a light box under outputs in the dark"
    )
    page.get_by_role("option", name="Star Trek: The Wrath of Khan (1982)").tap()
    page.locator("li", has_text="Wrath of Khan").locator("label").nth(3).tap()
    assert said(page).startswith("6 films rated")
    targets = page.locator(".widget :is(button, label:has(input), summary)")
    for target in targets.filter(visible=True).all():
        box = target.bounding_box()
        assert min(box["width"], box["height"]) >= 24


def test_a_finger_reads_of_no_keys(visit):
    page = visit("book/try-it", viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.locator("#film-help").inner_text() == "Tap a film, then its stars."
    assert "Arrow keys" in visit("book/try-it").locator("#film-help").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_against_it_in_use(visit, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit("book/try-it", "#rated-50x5-56x1", color_scheme=scheme)
    page.locator("summary:has(+ .slider)").click()
    page.get_by_role("combobox").fill("star")
    found = axe.run(page, context=".widget")
    assert found.violations_count == 0, found.generate_report()


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
