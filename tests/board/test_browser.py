"""The real TensorBoard in a real browser shows what a training on the digits wrote.

Needs `pip install "twain[browser]"` and Chromium with its driver (Debian: chromium, chromium-driver).
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import numpy as np
import pytest

import twain
from twain import nn
from twain.board import SummaryWriter
from twain.train import Model, TensorBoard

pytest.importorskip("tensorboardX", reason="TensorBoard's page needs event files: pip install tensorboardX")
pytest.importorskip("tensorboard", reason='pip install "twain[browser]"')
webdriver = pytest.importorskip("selenium.webdriver", reason='pip install "twain[browser]"')
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver on the PATH"),
]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-unsafe-swiftshader --window-size=1500,1100"
).split()


def network():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 16), nn.Tanh(),
        nn.Linear(16, 10),
    )  # fmt: skip


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A folder with two runs of a small training, the first with one of everything."""
    folder = tmp_path_factory.mktemp("logs")
    images, labels = twain.datasets.digits("train")
    held_out = twain.datasets.digits("test")
    for name, rate in (("first", 0.01), ("second", 0.003)):
        twain.random.seed(0)
        model = Model(network()).compile("adam", "cross_entropy", ["accuracy"], lr=rate)
        with SummaryWriter(folder / name) as writer:
            callback = TensorBoard(
                writer, every_batches=5, histograms=1, sample=(images[:16], labels[:16]), names="0123456789",
                hparams={"kind": "cnn"}, domains={"lr": (1e-4, 1.0), "kind": ["cnn", "mlp"]},
            )  # fmt: skip
            model.fit(
                images[:512], labels[:512], epochs=3, verbose=0, batch_size=32, validation_data=held_out,
                callbacks=[callback], seed=0,
            )  # fmt: skip
            if name == "first":
                everything(writer, model.module, held_out)
    return folder


def everything(writer, net, held_out):
    images, labels = held_out[0][:100], held_out[1][:100]
    net.zero_grad()
    nn.functional.cross_entropy(net(images), labels).backward()
    writer.add_parameters(net, 3)
    scores = nn.functional.softmax(net(images), axis=1).detach()
    writer.add_scalars("compared", {"zeros": 0.25, "ones": 0.5}, 1)
    writer.add_scalars("compared", {"zeros": 0.125, "ones": 0.75}, 2)
    writer.add_pr_curve("threes", labels == 3, scores[:, 3], 3)
    writer.add_audio("sweep", np.sin(np.linspace(0, 40, 8000) ** 2).astype("float32"), 3, sample_rate=8000)
    writer.add_mesh("points", np.random.default_rng(0).standard_normal((1, 100, 3)), step=3)
    writer.add_text("note", "# Heading of the note\n\na *word* and a [link](http://localhost)", 3)
    writer.add_embedding(scores, labels, images, 3, "scores")


@pytest.fixture(scope="module")
def server(logs):
    """The address of a `tensorboard` on a free port of this machine."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--host", "127.0.0.1", "--port", "0"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "no_proxy": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    log = logs.parent / "tensorboard.log"
    with open(log, "w") as out:
        process = subprocess.Popen([*command, "--load_fast", "false"], stdout=out, stderr=out, env=environment)
    try:
        deadline = time.monotonic() + 180
        while True:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", log.read_text())
            if found:
                break
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        address = found[0]
        while "first" not in str(ask(address, "data/runs")) or "points" not in str(
            ask(address, "data/plugin/mesh/tags")
        ):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def ask(address, path, **parameters):
    """What an address of the server answers, from JSON if it is JSON."""
    query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}{path}{query}", timeout=60) as answer:
        content = answer.read()
    try:
        return json.loads(content)
    except ValueError:
        return content


def test_the_server_knows_all_that_was_written(server):
    assert {"first", "second", "first/compared_ones", "first/compared_zeros"} <= set(ask(server, "data/runs"))
    scalars = ask(server, "data/plugin/scalars/tags")
    assert {"batch/loss", "training/loss", "validation/accuracy", "training/lr"} <= set(scalars["second"])
    series = ask(server, "data/plugin/scalars/scalars", run="first", tag="validation/accuracy")
    assert [row[1] for row in series] == [1, 2, 3] and series[-1][2] > 0.5
    assert ask(server, "data/plugin/scalars/scalars", run="first/compared_ones", tag="compared")[1][1:] == [2, 0.75]
    histograms = ask(server, "data/plugin/histograms/tags")["first"]
    assert {"parameters/0.weight", "gradients/6.bias"} <= set(histograms)
    rows = ask(server, "data/plugin/histograms/histograms", run="first", tag="parameters/0.weight")
    assert round(sum(bucket[2] for bucket in rows[-1][2])) == 8 * 9
    (image,) = ask(server, "data/plugin/images/images", run="first", tag="sample/images", sample=0)
    picture = ask(server, "data/plugin/images/individualImage?" + image["query"])
    assert picture.startswith(b"\x89PNG") and struct.unpack(">II", picture[16:24]) == (4 * 8 + 3 * 2, 4 * 8 + 3 * 2)
    (sound,) = ask(server, "data/plugin/audio/audio", run="first", tag="sweep", sample=0)
    assert ask(server, "data/plugin/audio/individualAudio?" + sound["query"]).startswith(b"RIFF")
    texts = ask(server, "data/plugin/text/text", run="first", tag="note/text_summary")
    assert "<h1>Heading of the note</h1>" in texts[0]["text"]
    assert "first" in ask(server, "data/plugin/pr_curves/tags")
    curve = ask(server, "data/plugin/pr_curves/pr_curves", tag="threes", run="first")["first"][0]
    assert len(curve["precision"]) > 50 and max(curve["recall"]) == 1.0
    graph = ask(server, "data/plugin/graphs/graph", run="first", limit_attr_size=1024, large_attrs_key="_too_large")
    assert b'name: "Sequential/Conv2d[0]/conv2d"' in graph and b'input: "Sequential/Conv2d[0]/weight"' in graph
    embeddings = ask(server, "data/plugin/projector/info", run="first")["embeddings"]
    assert embeddings[0]["tensorName"] == "scores:00003" and embeddings[0]["tensorShape"] == [100, 10]
    tensor = ask(server, "data/plugin/projector/tensor", run="first", name="scores:00003")
    assert np.frombuffer(tensor, "<f4").reshape(100, 10).sum() == pytest.approx(100, rel=1e-4)


@pytest.fixture(scope="module")
def browser(server, tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    environment = {**os.environ, "no_proxy": "127.0.0.1,localhost"}
    service = webdriver.ChromeService(executable_path=DRIVER, env=environment)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(120)
    yield driver
    driver.quit()


# All text that the page shows: most of it is inside of shadow roots, and some pages are frames of their own.
TEXT = """
function walk(node) {
  let text = '';
  for (const n of node.childNodes) {
    if (n.nodeType === 3) text += n.textContent + ' ';
    if (n.nodeType !== 1 || ['STYLE', 'SCRIPT', 'DOM-MODULE', 'TEMPLATE'].includes(n.tagName)) continue;
    if (getComputedStyle(n).display === 'none') continue;
    if (n.shadowRoot) text += walk(n.shadowRoot);
    if (n.tagName === 'IFRAME') { try { text += walk(n.contentDocument.body); } catch (e) {} }
    if (n.tagName === 'INPUT') text += n.value + ' ';
    text += walk(n);
  }
  return text;
}
return walk(document.body).replace(/\\s+/g, ' ');
"""
# How many elements match, in shadow roots and frames as well.
COUNT = """
function walk(node, selector) {
  let n = node.querySelectorAll(selector).length;
  for (const e of node.querySelectorAll('*')) {
    if (e.shadowRoot) n += walk(e.shadowRoot, selector);
    if (e.tagName === 'IFRAME') { try { n += walk(e.contentDocument, selector); } catch (x) {} }
  }
  return n;
}
return walk(document, arguments[0]);
"""
PAGES = {
    # page: (texts that it shows, elements that it draws)
    "timeseries": (["batch", "compared", "parameters", "sample", "validation"], {"line-chart": 1}),
    "scalars": (["batch", "training", "validation", "compared"], {"scalar-card, tf-scalar-card": 1}),
    "images": (["sample"], {"img": 1}),
    "audio": (["sweep"], {"audio": 1}),
    "graphs": (["Sequential", "output"], {"g.node": 3}),
    "distributions": (["parameters", "gradients"], {}),
    "histograms": (["parameters", "gradients"], {}),
    "text": (["Heading of the note", "predictions"], {}),
    "pr_curves": (["threes"], {}),
    "hparams": (["cnn", "lr", "validation/accuracy", "first", "second", "session groups: 2"], {}),
    "mesh": (["points"], {"canvas": 1}),
    "projector": (["scores", "Points: 100", "Dimension: 10"], {"canvas": 1}),
}
BANNERS = (
    "No dashboards are active",
    "Parse error",
    "failed to",
    "Failed to",
    "could not be",
    "Error parsing",
    "data was not found",
)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_it(server, browser, page, tmp_path):
    texts, elements = PAGES[page]
    browser.get("about:blank")
    browser.get(f"{server}#{page}")
    deadline = time.monotonic() + 60
    while True:
        shown = browser.execute_script(TEXT)
        counts = {selector: browser.execute_script(COUNT, selector) for selector in elements}
        missing = [t for t in texts if t not in shown]
        if not missing and all(counts[selector] >= n for selector, n in elements.items()):
            break
        if time.monotonic() > deadline:
            browser.save_screenshot(str(tmp_path / f"{page}.png"))
            pytest.fail(f"{page}: lacks {missing}, has {counts}; shows {shown[:3000]!r}; see {tmp_path}")
        time.sleep(0.5)
    keep = os.environ.get("TWAIN_SCREENSHOTS")
    if keep:
        time.sleep(2)
        browser.save_screenshot(os.path.join(keep, f"{page}.png"))
    assert not [banner for banner in BANNERS if banner in shown], shown
    assert not [entry for entry in browser.get_log("browser") if "Uncaught" in entry["message"]]


# Open a box of the graph as a double click does; tells whether it was there.
OPEN = """
function find(node, name) {
  for (const e of node.querySelectorAll('g.node')) if (e.getAttribute('data-name') === name) return e;
  for (const e of node.querySelectorAll('*')) {
    const found = e.shadowRoot && find(e.shadowRoot, name);
    if (found) return found;
  }
  return null;
}
const box = find(document, arguments[0]);
if (box) (box.querySelector('.nodeshape') || box).dispatchEvent(new MouseEvent('dblclick', {bubbles: true}));
return box !== null;
"""


def test_boxes_of_the_graph_open(server, browser):
    browser.get("about:blank")
    browser.get(f"{server}#graphs")
    for box, inside in (("Sequential", "Conv2d[0]"), ("Sequential/Conv2d[0]", "conv2d")):
        for script, argument in (
            (OPEN, box),
            (f"{TEXT[: TEXT.rindex('return walk')]} return walk(document.body)", inside),
        ):
            deadline = time.monotonic() + 60
            while True:
                answer = browser.execute_script(script, argument)
                if answer is True or (isinstance(answer, str) and argument in answer):
                    break
                assert time.monotonic() < deadline, f"{argument}: {str(answer)[:3000]}"
                time.sleep(0.5)
    if os.environ.get("TWAIN_SCREENSHOTS"):
        time.sleep(2)
        browser.save_screenshot(os.path.join(os.environ["TWAIN_SCREENSHOTS"], "graph-open.png"))
