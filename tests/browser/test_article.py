"""An exported article in a browser: its charts and its network work offline, and it fits a phone and the theme."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from browsing import TIMEOUT
from playwright.sync_api import Browser, Page, expect

import miii
from miii import analysis, plots
from miii.notebook import cells, network
from miii.notebook.html import html
from miii.plots.style import Chart

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}


def spectrum(name: str, step: int) -> Chart:
    return plots.spectrum(analysis.fourier.embedding_spectrum(miii.runs.open(name).model(step)))


def two(name: str, step: int) -> tuple[Chart, ...]:
    W = analysis.fourier.operand_embedding(miii.runs.open(name).model(step), 7)
    return plots.circle(analysis.fourier.circle(W, 2)), plots.heatmap(
        W, title="W_E", row="token", column="dimension", value="weight"
    )


@pytest.fixture
def article(small_run, home, tmp_path) -> Path:
    shutil.copytree(small_run.folder, home / "small")
    at = {"name": "small", "step": small_run.steps[-1]}
    long = " + ".join(f"w_{k}" for k in range(60))
    content = (
        cells.Text(f"## Circles\n\nOf $k$:\n\n$$\n{long}\n$$"),
        cells.Figure(spectrum, at, "Bars by frequency.", "What to see."),
        cells.Figure(two, at, "A circle and a heatmap."),
    )
    path = tmp_path / "article.html"
    path.write_text(html([cells.Page("Fourier", content, run="small", step=small_run.steps[-1])]), encoding="utf-8")
    return path


def read(browser: Browser, path: Path, scheme: str, charts: int = 3) -> tuple[Page, list[str]]:
    page = browser.new_context(color_scheme=scheme, viewport=PHONE).new_page()  # type: ignore[arg-type]
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(TIMEOUT)
    page.context.set_offline(True)
    page.goto(path.as_uri())
    page.wait_for_function(f"document.querySelectorAll('.chart :is(svg.marks, canvas)').length === {charts}")
    return page, errors


def test_an_article_on_a_phone_in_both_themes(chromium, article):
    page, errors = read(chromium, article, "light")
    ink = "getComputedStyle(document.querySelector('h1')).color"
    inks = "[...document.querySelectorAll('.chart svg text')].map((text) => text.getAttribute('fill'))"
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.evaluate(ink) == "rgb(0, 0, 0)"
    assert "#fff" not in page.evaluate(inks)
    assert page.locator("math").count() == 2
    assert page.locator('math[display="block"]').bounding_box()["width"] > 0
    assert "$" not in page.locator(".text").first.inner_text()
    assert page.get_by_role("figure", name="Bars by frequency.").locator(".chart").count() == 1
    code = page.get_by_text("plots.spectrum(analysis")
    assert not code.is_visible()
    page.get_by_text("Code", exact=True).first.click()
    assert code.is_visible()
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{inks}.includes('#fff')")
    assert page.evaluate(ink) == "rgb(255, 255, 255)"
    page.locator(".chart summary").first.click()
    with page.expect_download() as download:
        page.get_by_text("Save as SVG").first.click()
    assert download.value.suggested_filename == "spectrum.svg"
    assert errors == []


#: The logits of every pair, and for each s > 0 the share of pairs that are answered as expected.
FOLLOWED = """([data, whole, shifts]) => {
    const network = new Network(data), p = data.p, rows = [], hits = shifts.map(() => 0);
    for (let a = 0; a < p; a++) for (let b = 0; b < p; b++) {
        const found = network.follow(a, b);
        rows.push(whole ? [...found.logits] : [largest(found.logits), Math.max(...found.logits)]);
        shifts.forEach((s, i) => {
            if (largest(network.turn(found, s).logits) === network.expected(a, b, s)) hits[i]++;
        });
    }
    return [rows, hits.map((count) => count / p ** 2)];
}"""


def halved(model: miii.Transformer) -> miii.Transformer:
    """The network with the weights of the file, in float64."""
    return model.half().double().requires_grad_(False)


def last_logits(model: miii.Transformer, task: miii.Task) -> torch.Tensor:
    return torch.cat([model(tokens)[:, -1] for tokens in task.tokens.split(1024)])


@pytest.fixture
def shipped(tmp_path) -> Path:
    path = tmp_path / "shipped.html"
    text = html([cells.Page("Fourier", (cells.Text("Circles."),), run="add-113")])
    path.write_text(text, encoding="utf-8")
    assert len(text) < 750_000
    return path


def test_the_network_of_an_article_answers_as_torch_does(
    chromium: Browser, shipped: Path, adder: Callable[..., miii.Transformer]
) -> None:
    page, errors = read(chromium, shipped, "light", charts=0)
    many = {"n_layers": 2, "act": "gelu-tanh", "biases": "all", "causal": False}
    plain = {"act": "tanh", "biases": "none", "positions": "none"}
    for p, options, shape in ((11, {"separate": True}, many), (11, {"equals": False}, many), (7, {}, plain)):
        task = miii.ModularAddition(p=p, **options).build()
        config = miii.ModelConfig(d_model=8, n_heads=2, d_mlp=12, **shape)
        model = miii.Transformer.of(config, task, seed=1)
        for weight in model.parameters():
            weight.data += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2))
        rows, _ = page.evaluate(FOLLOWED, [network.values(model, task), True, []])
        torch.testing.assert_close(torch.tensor(rows).double(), last_logits(halved(model), task), atol=1e-6, rtol=1e-6)

    # partly turned, for the waves of this network are not equally strong
    task, shifts = miii.ModularAddition(p=17).build(), list(range(1, 17))
    model = halved(adder(17, (2, 3))).float()
    rows, shares = page.evaluate(FOLLOWED, [network.values(model, task), True, shifts])
    steered = analysis.steering.steer(model, task, (2, 3)).accuracy.tolist()
    assert shares == pytest.approx(steered, abs=1.1 / 17**2)
    assert min(steered) < 0.5 < 0.8 < max(steered)
    assert errors == []


@pytest.mark.slow
def test_the_shipped_network_of_an_article_answers_every_pair_as_torch_does(chromium: Browser, shipped: Path) -> None:
    page, errors = read(chromium, shipped, "light", charts=0)
    run = miii.runs.open("add-113")
    values, logits = network.of_run(run, None), last_logits(halved(run.model()), run.task())
    rows, shares = page.evaluate(FOLLOWED, [values, False, [50]])
    answers, heights = torch.tensor(rows).double().T
    assert torch.equal(answers.long(), logits.argmax(1))
    torch.testing.assert_close(heights, logits.amax(1), atol=1e-6, rtol=1e-6)
    assert shares[0] > 0.999
    assert errors == []


def test_a_reader_asks_the_network_of_an_article_and_turns_it(chromium: Browser, shipped: Path) -> None:
    page, errors = read(chromium, shipped, "dark", charts=0)
    answer, a, turn = page.locator(".answer"), page.get_by_label("a", exact=True), page.get_by_label("Turn the planes")
    a.fill("100")
    page.get_by_label("b", exact=True).fill("50")
    expect(answer).to_have_text(re.compile(r"^For a = 100 and b = 50 the network answers 37 \(.*\)\. Correct\.$"))
    turn.fill("100")
    expect(answer).to_have_text(re.compile(r"^Turned by 100, the network answers 24 \(.*\)\. As expected\.$"))
    turn.press("ArrowLeft")
    expect(answer).to_contain_text("the network answers 23 ")
    assert page.locator(".network tbody th").all_inner_texts() == ["0", "1", "2", "3"]
    heads = page.locator(".network tbody tr").all_inner_texts()[:4]
    shares = [sum(map(float, row.split("\t")[1:])) for row in heads]
    assert shares == pytest.approx([1] * 4, abs=0.02)
    a.fill("113")
    expect(answer).to_have_text("a must be a whole number from 0 to 112 (got 113).")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert errors == []
