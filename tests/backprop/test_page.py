"""The page of a trace in a real browser: it plays, folds, shows the numbers, and logs no error."""

import os
import shutil
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnmath.backprop import trace
from fnmath.backprop.pictures import _layout, _tree

pytest.importorskip("selenium", reason="the page is tested in a browser, through selenium")
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

DRIVER = shutil.which("chromedriver") or "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --window-size=1400,900"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.path.exists(DRIVER), reason="no chromedriver: the page is tested in Chromium"
    ),
]


def layer(w, h):
    """A layer, which the page must not take for markup: </script><b>."""
    return jnp.tanh(h @ w)


def loss(params, x, label):
    h = layer(params["w"], x)
    h, _ = lax.scan(lambda h, k: (layer(params["u"], h) + k, None), h, jnp.arange(3.0))
    s = jnp.sin(h) * x[0]
    return -jax.nn.log_softmax(s)[label]


KEYS = jax.random.split(jax.random.key(0), 3)
PARAMS = {"w": jax.random.normal(KEYS[0], (6, 5)), "u": jax.random.normal(KEYS[1], (5, 5))}
X = jax.random.normal(KEYS[2], (6,))
STATE = "return {position: fnmath.position, last: fnmath.last, forward: fnmath.forward}"


@pytest.fixture(scope="module")
def record():
    return trace(loss, PARAMS, X, 2)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    folder = tempfile.mkdtemp()
    for flag in (*FLAGS.split(), f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    except WebDriverException as error:
        pytest.skip(f"no browser starts: {str(error).splitlines()[0]}")
    yield driver
    driver.quit()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def address(record, tmp_path_factory):
    return record.to_html(tmp_path_factory.mktemp("page") / "page.html").as_uri()


@pytest.fixture
def page(browser, address):
    """The page, just opened; at the end of the test nothing may stand in the browser's log."""
    browser.get_log("browser")
    browser.get(address)
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def press(page, *keys):
    webdriver.ActionChains(page).send_keys(*keys).perform()


def text(page, where):
    return page.find_element(By.CSS_SELECTOR, where).text


def state(page):
    return page.execute_script(STATE)


def box(page, title):
    """The box of the graph, or the title of the frame, that begins so."""
    found = page.find_elements(By.CSS_SELECTOR, "#canvas g.item")
    return next(g for g in found if g.get_attribute("aria-label").startswith(title))


def boxes(page):
    return len(page.find_elements(By.CSS_SELECTOR, "#canvas g.item"))


def test_opens_with_the_whole_pass(page, record):
    assert page.title == "loss: forward and backward"
    assert text(page, "#name") == "loss"
    assert text(page, "#where").startswith("The whole pass")
    assert "params['u']" in text(page, "#detail").replace("\u200b", "")
    lines = text(page, "#listing")
    assert "h = layer(params" in lines
    assert f"‖{np.linalg.norm(record.gradients[1]):.3g}‖"[:4] in text(page, "#canvas")


def test_plays_to_both_ends_by_keys(page):
    press(page, Keys.HOME)
    assert state(page)["position"] == 0
    assert text(page, "#where").startswith("Start")
    seen = []
    for k in range(1, state(page)["last"] + 1):
        press(page, Keys.ARROW_RIGHT)
        assert state(page)["position"] == k
        seen.append(text(page, "#where").split("  ")[0].split("\n")[0])
    forward = state(page)["forward"]
    assert all(s.startswith(f"Forward ↓ {k + 1} of") for k, s in enumerate(seen[:forward]))
    assert all(s.startswith(f"Backward ↑ {k + 1} of") for k, s in enumerate(seen[forward:-1]))
    assert seen[-1].startswith("The whole pass")
    for k in reversed(range(state(page)["last"])):
        press(page, Keys.ARROW_LEFT)
        assert state(page)["position"] == k
    press(page, Keys.END)
    assert state(page)["position"] == state(page)["last"]


def test_plays_by_the_slider(page):
    slider = page.find_element(By.ID, "slider")
    last = state(page)["last"]
    assert int(slider.get_attribute("max")) == last
    slider.send_keys(*[Keys.ARROW_LEFT] * last)
    assert state(page)["position"] == 0
    assert "hide" in box(page, "h = layer").get_attribute("class")
    slider.send_keys(*[Keys.ARROW_RIGHT] * last)
    assert state(page)["position"] == last
    assert "hide" not in box(page, "h = layer").get_attribute("class")
    assert slider.get_attribute("aria-valuetext").startswith("The whole pass")


def test_plays_by_itself(page):
    press(page, *[Keys.ARROW_LEFT] * 4)
    page.execute_script("document.getElementById('play').focus()")
    press(page, Keys.ENTER)
    assert text(page, "#play") == "Pause"
    page.set_script_timeout(60)
    page.execute_async_script(
        "const done = arguments[0], at = setInterval(() => {"
        " if (fnmath.position === fnmath.last) { clearInterval(at); setTimeout(done, 1500) } }, 50)"
    )
    assert text(page, "#play") == "Play"


def test_values_appear_forward_and_gradients_backward(page):
    """A gradient is shown when all uses of its value have been gone back through."""
    press(page, Keys.HOME)
    item = box(page, "h = layer")
    before = "hide" in item.get_attribute("class"), "nobar" in item.get_attribute("class")
    press(page, *[Keys.ARROW_RIGHT] * state(page)["forward"])
    item = box(page, "h = layer")
    between = "hide" in item.get_attribute("class"), "nobar" in item.get_attribute("class")
    press(page, Keys.END)
    item = box(page, "h = layer")
    after = "hide" in item.get_attribute("class"), "nobar" in item.get_attribute("class")
    assert (before, between, after) == ((True, True), (False, True), (False, False))


def unfold_all(page):
    for _ in range(12):
        page.find_element(By.ID, "more").click()


def test_unfolds_to_every_operation_and_folds_again(page, record):
    few = boxes(page)
    unfold_all(page)
    drawn = page.execute_script(
        "return [...document.querySelectorAll('#canvas g.item')].map(g => +g.dataset.node)"
        ".filter(i => !fnmath.nodes[i].children.length).map(i => fnmath.nodes[i].own.at(-1))"
    )
    assert sorted(drawn) == [s.index for s in record.steps if not s.children]
    assert boxes(page) > few
    for _ in range(12):
        page.find_element(By.ID, "less").click()
    page.execute_script("document.querySelector('#canvas g.item').focus()")
    assert boxes(page) == len(_tree.tree(record).children)


def test_folds_one_box_by_the_keyboard(page):
    for _ in range(12):
        page.find_element(By.ID, "less").click()
    few = boxes(page)
    page.execute_script("arguments[0].focus()", box(page, "h = layer"))
    press(page, "f")
    assert box(page, "h = layer").get_attribute("aria-expanded") == "true"
    assert boxes(page) > few
    assert page.execute_script("return document.activeElement.dataset.node") is not None
    press(page, "f")
    assert box(page, "h = layer").get_attribute("aria-expanded") == "false"
    assert boxes(page) == few
    press(page, Keys.ARROW_DOWN, Keys.ENTER)
    focused = page.execute_script("return document.activeElement.getAttribute('aria-label')")
    assert text(page, "#detail h2")[:10] == focused[:10]


def test_the_layout_is_that_of_the_svg(page, record):
    """The page's layout, in JavaScript, puts every box where the library's does."""
    for clicks in range(4):
        opened = set(page.execute_script("return [...fnmath.open]"))
        nodes = list(_tree.tree(record).all())
        opening = _tree.Opening(frozenset(id(n) for i, n in enumerate(nodes) if i in opened))
        flow = _tree.Flow(record)
        drawing = _layout.draw(flow, nodes[0], opening)
        theirs = page.execute_script(
            "const d = fnmath.layout(); return [d.width, d.height, d.items.map(([i, x, y]) =>"
            " [i.kind, x, y, i.width, i.height]), d.lines.map(l => l[1])]"
        )
        ours = [(i.kind, x, y, i.width, i.height) for i, x, y in drawing.items]
        assert theirs[0] == pytest.approx(drawing.width)
        assert theirs[1] == pytest.approx(drawing.height)
        assert [t[0] for t in theirs[2]] == [o[0] for o in ours], clicks
        for a, b in zip(theirs[2], ours, strict=True):
            assert a[1:] == pytest.approx(b[1:], abs=1e-6)
        for a, (_, b) in zip(theirs[3], drawing.lines, strict=True):
            assert a == pytest.approx(b, abs=1e-6)
        page.find_element(By.ID, "more").click()


def shown_entries(page, part):
    """The numbers of one array as the page holds them."""
    script = "const t = fnmath.variables[arguments[0]][arguments[1]]; return [...fnmath.entries(t)]"
    return lambda v: np.float32(page.execute_script(script, v, part))


def test_a_click_shows_the_numbers_of_jax_vjp(page, record):
    step = next(s for s in record.steps if s.operation == "sin")
    unfold_all(page)
    item = next(
        g
        for g in page.find_elements(By.CSS_SELECTOR, "#canvas g.item")
        if page.execute_script("return fnmath.nodes[arguments[0].dataset.node].own.at(-1)", g)
        == step.index
        and g.get_attribute("aria-expanded") is None
    )
    page.execute_script(
        "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", item
    )
    (given,), (made,) = step.inputs, step.outputs
    h = record.variables[given].value.whole
    value, back = jax.vjp(jnp.sin, h)
    np.testing.assert_array_equal(shown_entries(page, "value")(made), value)
    bar = shown_entries(page, "bar")(made)
    (wanted,) = back(jnp.asarray(bar))
    np.testing.assert_allclose(shown_entries(page, "bar")(given), wanted, rtol=1e-6)
    detail = text(page, "#detail")
    assert "y = sin x" in detail
    assert "x̄ = cos(x) ȳ" in detail
    i = int(np.abs(wanted).argmax())
    sums = [e.text for e in page.find_elements(By.CSS_SELECTOR, "#detail .sum")]
    for number in (h[i], bar[i], wanted[i]):
        assert f"{abs(number):.4g}".rstrip("0") in sums[-1], sums
    cells = page.find_elements(By.CSS_SELECTOR, "#detail .half:first-child .cells")[0].text.split()
    read = [float(c.replace("−", "-")) for c in cells]
    np.testing.assert_allclose(read, value, rtol=6e-3)


def test_the_gradients_of_the_arguments_are_those_of_jax(page, record):
    gradients, _ = jax.grad(loss, (0, 1))(PARAMS, X, 2)
    for name, wanted in (("params['w']", gradients["w"]), ("params['u']", gradients["u"])):
        v = next(v.index for v in record.variables if v.name == name)
        got = shown_entries(page, "bar")(v).reshape(wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_a_line_of_the_source_leads_to_its_step(page):
    row = next(
        r
        for r in page.find_elements(By.CSS_SELECTOR, "#listing .row.marked")
        if "s = jnp.sin(h)" in r.text
    )
    row.click()
    assert "now" in row.get_attribute("class")
    assert page.find_elements(By.CSS_SELECTOR, "#canvas g.now")


def contrast(page, selector, ground):
    """The ratio of WCAG 2: of the luminance of text and of what is behind it."""
    script = (
        "const rgb = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);"
        "const lum = c => { const [r, g, b] = rgb(c).map(v => v / 255)"
        ".map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);"
        " return .2126 * r + .7152 * g + .0722 * b };"
        "const e = document.querySelector(arguments[0]), s = getComputedStyle(e);"
        "const g = getComputedStyle(document.querySelector(arguments[1]));"
        "const [a, b] = [lum(e.namespaceURI.endsWith('svg') ? s.fill : s.color),"
        " lum(arguments[1].startsWith('svg') ? g.fill : g.backgroundColor)];"
        "return (Math.max(a, b) + .05) / (Math.min(a, b) + .05)"
    )
    return page.execute_script(script, selector, ground)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_is_legible_on_light_and_on_dark(page, scheme):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) > 3 * 128
    assert light == (scheme == "light")
    for selector in ("p", "#where", "#detail h2", "#detail p.quiet", ".row .n", ".file"):
        assert contrast(page, selector, "body") > 4.5, selector
    for selector in ("g.item text.label", "g.item text.value", "g.item text.bar"):
        assert contrast(page, f"svg {selector}", "svg .box") > 4.5, selector
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_everything_is_reached_by_the_tab_key(page):
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = []
    for _ in range(24):
        press(page, Keys.TAB)
        reached.append(
            page.execute_script(
                "const e = document.activeElement; return e.id || (e.closest('#canvas') ? 'box' :"
                " e.closest('#listing') ? 'line' : e.tagName)"
            )
        )
    for wanted in ("play", "start", "previous", "slider", "line", "more", "less", "box", "detail"):
        assert wanted in reached, reached
    assert reached.count("box") == 1


def test_narrow_windows_have_no_sideways_scroll(page):
    for width in (360, 800, 1400):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def masked(x):
    root = jnp.sqrt(x)
    return jnp.where(x > 0, root, 0.0).sum()


def test_a_nan_is_named_and_shown(browser, tmp_path):
    record = trace(masked, jnp.array([0.0, 4.0]))
    browser.get(record.to_html(tmp_path / "page.html").as_uri())
    assert "nan in the gradient of x" in text(browser, "#warning")
    browser.find_element(By.CSS_SELECTOR, "#warning button").click()
    assert text(browser, "#detail h2") == "root = jnp.sqrt(x)"
    assert "= 0 / (2 × 0) = nan" in text(browser, "#detail")
    assert browser.get_log("browser") == []


def test_a_notebook_shows_it_in_a_frame(browser, record, tmp_path):
    path = Path(tmp_path / "notebook.html")
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8>{record._repr_html_()}", encoding="utf-8")
    browser.get(path.as_uri())
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    assert text(browser, "#name") == "loss"
    assert boxes(browser)
    browser.switch_to.default_content()
    assert [e["message"] for e in browser.get_log("browser")] == []
