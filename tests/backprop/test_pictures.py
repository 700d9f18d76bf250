"""Pictures of a trace: nothing missing, nothing escapes, nothing too large, no box on another."""

import base64
import html
import json
import math
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnmath.backprop import trace
from fnmath.backprop.pictures import _data, _layout, _text, _tree
from fnmath.networks import mlp, mlp_init

SVG = "{http://www.w3.org/2000/svg}"
key = jax.random.key(0)
x = jnp.linspace(-1.0, 2.0, 4)


@jax.custom_vjp
def clipped(t):
    return jnp.minimum(t, 1)


clipped.defvjp(lambda t: (clipped(t), t < 1), lambda below, bar: (bar * below,))


def nasty(params, t):
    """Holds </script><script>alert("no")</script> & <b>, and "quotes" \\ and ]]>."""
    s = {"</script><b>": t * params["<i>&\"'\\"]}
    return jnp.tanh(s["</script><b>"]).sum()  # </script> <!-- & -->


def layer(w, h):
    return jnp.tanh(h * w)


def everything(w, h):
    """Calls, a compiled function, a loop, a branch, a derivative of its author."""
    a = layer(w, layer(w, h))
    b, each = lax.scan(lambda c, k: (jax.jit(layer)(c, a), c.sum() * k), a, jnp.arange(40.0))
    c = lax.cond(b[0] > 0, jnp.sin, lambda q: q, clipped(b))
    d = jax.checkpoint(lambda q: jnp.exp(q) * 2)(c)
    return (d * each[:4]).sum() + mlp(NETWORK, d)[0]


NETWORK = mlp_init(key, (4, 5, 1))
SOURCE = {"<i>&\"'\\": x}


@pytest.fixture(scope="module")
def record():
    return trace(everything, x, x / 3)


@pytest.fixture(scope="module")
def nasty_record():
    return trace(nasty, SOURCE, x)


def page_of(record, tmp_path):
    path = record.to_html(tmp_path / "page.html")
    text = path.read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return text, json.loads(data)


def decoded(t):
    """An array of the page, as the page reads it."""
    kind, text = t["w"]
    return np.frombuffer(base64.b64decode(text), np.dtype(kind).newbyteorder("<")).reshape(t["s"])


class TestTree:
    def test_every_operation_is_one_leaf_and_in_order(self, record):
        leaves = [n for n in _tree.tree(record).all() if not n.children]
        wanted = [s.index for s in record.steps if not s.children]
        assert [n.own[-1] for n in leaves] == wanted
        assert [n.label for n in leaves] == [record.steps[k].label for k in wanted]

    def test_every_step_belongs_to_one_node(self, record):
        own = [k for n in _tree.tree(record).all() for k in n.own]
        assert sorted(own) == list(range(len(record.steps)))

    def test_children_fill_their_parent(self, record):
        for node in _tree.tree(record).all():
            if node.children:
                inner = [k for child in node.children for k in range(child.first, child.stop)]
                assert [*node.own, *inner] == list(range(node.first, node.stop))

    def test_calls_and_lines_carry_their_source(self, record):
        nodes = list(_tree.tree(record).all())
        assert nodes[0].label == "everything"
        assert "a = layer(w, layer(w, h))" in [n.text for n in nodes]
        assert [n.label for n in nodes if n.kind == "call" and n.label == "layer"] == ["layer"] * 2

    def test_many_iterations_are_grouped(self, record):
        labels = [n.label for n in _tree.tree(record).all()]
        groups = [label for label in labels if label.startswith("iterations")]
        assert groups == [f"iterations {k} to {k + 9}" for k in range(0, 40, 10)]
        assert "iteration 39" in labels
        assert max(len(n.children) for n in _tree.tree(record).all()) <= _tree.CHILDREN

    def test_a_thousand_operations_on_a_line_are_grouped(self):
        def long(t):
            return sum(jnp.sin(t * k) for k in range(300))

        root = _tree.tree(trace(long, 1.0))
        assert max(len(n.children) for n in root.all()) <= _tree.CHILDREN

    def test_what_flows_in_and_out(self):
        record = trace(lambda a, b: jnp.tanh(a * b) + a, 1.0, 2.0)
        flow, root = _tree.Flow(record), _tree.tree(record)
        product, root_of, total = root.children
        assert [record.variables[v].name for v in flow.into(product)] == ["a", "b"]
        assert flow.out_of(product) == list(record.steps[0].outputs)
        assert flow.into(root_of) == list(record.steps[0].outputs)
        assert flow.out_of(total) == list(record.results)


@pytest.fixture(scope="module", params=[0, 1, 2, 3, 9, None])
def drawing(request, record):
    flow, root = _tree.Flow(record), _tree.tree(record)
    opening = _tree.opened(flow, root, level=request.param, most=24)
    return _layout.draw(flow, root, opening)


class TestLayout:
    def test_no_box_lies_on_another(self, drawing):
        boxes = [(x, y, x + i.width, y + i.height) for i, x, y in drawing.items]
        for k, a in enumerate(boxes):
            for b in boxes[:k]:
                assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]

    def test_everything_lies_within(self, drawing):
        for i, x, y in drawing.items:
            assert 0 <= x <= x + i.width <= drawing.width
            assert 0 <= y <= y + i.height <= drawing.height

    def test_lines_go_down_and_cross_no_box(self, drawing):
        boxes = [(x, y, x + i.width, y + i.height) for i, x, y in drawing.items]
        for _, (x0, y0, y1, y2, y3, x1) in drawing.lines:
            assert y0 <= y1 + 1e-6
            assert y1 <= y2 + 1e-6
            assert y2 <= y3 + 1e-6
            for left, top, right, bottom in boxes:
                assert not (left < x0 < right and y0 < bottom - 1 and y1 > top + 1)
                assert not (left < x1 < right and y2 < bottom - 1 and y3 > top + 1)

    def test_a_level_opens_so_many_floors(self, record):
        flow, root = _tree.Flow(record), _tree.tree(record)
        assert len(_tree.opened(flow, root, level=0, most=9).nodes) == 0
        assert len(_tree.opened(flow, root, level=1, most=9).nodes) == 1
        everything = _tree.opened(flow, root, level=99, most=9)
        assert len(everything.nodes) == sum(bool(n.children) for n in root.all())


class TestText:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (0.0, "0"),
            (2.5, "2.5"),
            (-0.012345, "−0.0123"),
            (999.4, "999"),
            (9020.4, "9020"),
            (-123456.0, "−1.23e5"),
            (1e-7, "1e-7".replace("-", "−")),
            (math.nan, "nan"),
            (math.inf, "∞"),
            (-math.inf, "−∞"),
        ],
    )
    def test_number(self, number, text):
        assert _text.number(number) == text

    def test_joint_norm_is_that_of_all_entries(self):
        record = trace(lambda a, b: (a * b).sum(), x, 3 * x)
        norms = [v.value.norm for v in record.variables[:2]]
        np.testing.assert_allclose(_text.joint(norms), np.linalg.norm(np.r_[x, 3 * x]), rtol=1e-6)


class TestHtml:
    def test_the_data_is_the_record(self, record, tmp_path):
        _, data = page_of(record, tmp_path)
        assert len(data["variables"]) == len(record.variables)
        for v, (name, kind, producer, value, bar) in zip(
            record.variables, data["variables"], strict=True
        ):
            assert (name, kind) == (v.name, v.kind)
            assert producer == (-1 if v.producer is None else v.producer)
            np.testing.assert_array_equal(decoded(value), v.value.whole)
            assert value["n"][0] == v.value.norm or v.value.nonfinite
            assert (bar is None) == (v.cotangent is None)
            if bar:
                np.testing.assert_array_equal(decoded(bar), v.cotangent.whole)
        for s, told in zip(record.steps, data["steps"], strict=True):
            assert told[1:3] == [s.operation, s.label]
            assert (told[7], told[8]) == (list(s.inputs), list(s.outputs))
            rule = None if told[5] < 0 else data["rules"][told[5]]
            assert rule == (None if s.rule is None else [s.rule.forward, list(s.rule.backward)])
        assert data["results"] == list(record.results)

    @pytest.mark.usefixtures("x64")
    def test_double_precision_is_kept_to_the_last_bit(self, tmp_path):
        record = trace(lambda t: jnp.sin(t).sum(), jnp.linspace(0.0, 1.0, 7))
        _, data = page_of(record, tmp_path)
        assert data["variables"][1][3]["w"][0] == "f8"
        shown = decoded(data["variables"][1][3])
        np.testing.assert_array_equal(shown, jnp.sin(jnp.linspace(0.0, 1.0, 7)))

    def test_nothing_in_the_source_escapes(self, nasty_record, tmp_path):
        text, data = page_of(nasty_record, tmp_path)
        assert text.count("<script") == text.count("</script>") == 2
        assert "<b>" not in text.split('id="data">')[1].split("</script>")[0]
        (source,) = data["sources"]
        assert '    """Holds </script><script>alert("no")</script> & <b>' in source["lines"][1]

    def test_the_page_asks_for_nothing_from_elsewhere(self, record, tmp_path):
        text, _ = page_of(record, tmp_path)
        outside = re.findall(r"(?:src|href)=\"(?!data:)[^\"]+|@import|url\(|fetch\(|XMLHttp", text)
        assert outside == []
        assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/2000/svg"}

    def test_infinities_and_nan_are_json(self, tmp_path):
        record = trace(lambda t: jnp.log(t).sum() + jnp.sqrt(t - t).sum(), jnp.zeros(3))
        path = record.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
        _, data = page_of(record, tmp_path)
        assert "NaN" not in re.findall(r'id="data">(.*?)</script>', path, re.S)[0]
        assert data["nonfinite"]["reaches"]
        assert -math.inf in decoded(data["variables"][record.steps[0].outputs[0]][3])
        assert [_data.real(z) for z in (math.nan, math.inf, -math.inf, 2.0, 0.5)] == [
            *("nan", "inf", "-inf"),
            *(2, 0.5),
        ]

    def test_other_dtypes(self, tmp_path):
        def f(t, k, i, z):
            noise = jax.random.uniform(k, (3,)) + t.astype(jnp.bfloat16).astype(jnp.float32)
            return (noise * i).sum() + jnp.real(z * z)

        record = trace(f, x[:3], jax.random.key(1), jnp.arange(3), 1.0 + 2.0j)
        _, data = page_of(record, tmp_path)
        names = {v[0]: v[3] for v in data["variables"]}
        assert names["k"]["d"].startswith("key")
        assert "w" not in names["z"]
        np.testing.assert_array_equal(decoded(names["i"]), [0, 1, 2])

    def test_large_arrays_are_images(self, tmp_path):
        w = jax.random.normal(key, (300, 200)).at[0].set(jnp.nan)
        record = trace(lambda w: jnp.nansum(w * 2), w)
        _, data = page_of(record, tmp_path)
        rows, columns, low, high, text = data["variables"][0][3]["i"]
        image = np.frombuffer(base64.b64decode(text), np.uint8).reshape(rows, columns)
        assert (rows, columns) == (32, 32)
        assert (image[0] == 255).all()
        known = low + (high - low) * image[1:] / 254
        wanted = record.variables[0].value.image[1:]
        np.testing.assert_allclose(known, wanted, atol=(high - low) / 200)

    @pytest.mark.slow
    def test_calls_within_calls_within_calls(self, tmp_path):
        """Deeper than Python goes into a tree: the rest stands at the end, step by step."""

        def deep(t, n):
            return t if n == 0 else jnp.sin(deep(t, n - 1))

        record = trace(lambda t: deep(t, 100).sum(), jnp.ones(3))
        root = _tree.tree(record)

        def levels(node):
            return 1 + max(map(levels, node.children), default=0)

        assert levels(root) == _tree.CALLS + 1
        found = [k for node in root.all() for k in node.own]
        assert found == [step.index for step in record.steps]
        assert record.to_html(tmp_path / "page.html").stat().st_size < 2e6
        assert ET.parse(record.to_svg(tmp_path / "graph.svg", level=None)).getroot() is not None

    def test_many_arrays_share_the_room(self, tmp_path):
        def deep(w):
            h = w
            for _ in range(150):
                h = jnp.sin(h) * w
            return h.sum()

        record = trace(deep, jax.random.normal(key, (64, 65)))
        pages = (_data.page_data(record, budget=b) for b in (10**7, 10**5))
        full, small = (len(_data.as_json(page)) for page in pages)
        assert small < full / 3
        assert record.to_html(tmp_path / "page.html").stat().st_size < 2e6

    def test_notebook(self, nasty_record):
        text = nasty_record._repr_html_()
        (inner,) = re.findall(r"^<iframe [^<>]* srcdoc='([^']*)'></iframe>$", text, re.S)
        page = html.unescape(inner)
        assert page.startswith("<!DOCTYPE html>")
        assert page.count("</script>") == 2


class TestSvg:
    @pytest.mark.parametrize("level", [0, 1, 2, 99, None])
    def test_is_xml(self, record, nasty_record, tmp_path, level):
        for r in (record, nasty_record):
            path = r.to_svg(tmp_path / "graph.svg", level=level)
            root = ET.parse(path).getroot()
            assert root.tag == SVG + "svg"
            texts = ["".join(t.itertext()) for t in root.iter(SVG + "text")]
            assert any(t.startswith("↓") for t in texts)

    def test_every_operation_is_there(self, record, tmp_path):
        path = record.to_svg(tmp_path / "graph.svg", level=99)
        boxes = [r for r in ET.parse(path).iter(SVG + "rect") if r.get("class") == "box"]
        assert len(boxes) == sum(not s.children for s in record.steps)

    def test_shows_names_values_and_gradients(self, tmp_path):
        def f(w):
            h = jnp.tanh(w)
            return (h * h).sum()

        text = trace(f, x).to_svg(tmp_path / "graph.svg").read_text(encoding="utf-8")
        value, bar = jnp.tanh(x), 2 * jnp.tanh(x)
        assert "h = jnp.tanh(w)" in text
        assert f"↓ 4  ‖{np.linalg.norm(value):.3g}‖" in text
        assert f"↑ ‖{np.linalg.norm(bar):.3g}‖" in text

    def test_a_large_graph_is_folded(self, record, tmp_path):
        path = record.to_svg(tmp_path / "graph.svg")
        boxes = [r for r in ET.parse(path).iter(SVG + "rect") if r.get("class") == "box"]
        assert len(boxes) <= 24

    def test_a_function_without_source(self, tmp_path):
        record = trace(jnp.sin, 1.0)
        assert "sin" in record.to_svg(tmp_path / "a.svg").read_text(encoding="utf-8")
        record.to_html(tmp_path / "a.html")
        record = trace(lambda t: t, 1.0)  # no operation at all
        ET.parse(record.to_svg(tmp_path / "b.svg"))
        record.to_html(tmp_path / "b.html")
        assert record.to_dot().startswith("digraph")


class TestDot:
    def test_every_step_and_every_edge(self, record):
        text = record.to_dot()
        boxes = {int(k) for k in re.findall(r"^ *s(\d+) \[", text, re.M)}
        assert boxes == {s.index for s in record.steps}
        for s in record.steps:
            for v in s.inputs if not s.children else ():
                variable = record.variables[v]
                if variable.kind != "literal":
                    made = f"v{v}" if variable.producer is None else f"s{variable.producer}"
                    assert f"  {made} -> s{s.index}" in text

    def test_is_balanced_and_quoted(self, nasty_record, record):
        for r in (nasty_record, record):
            text = r.to_dot()
            bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
            assert '"' not in bare
            assert bare.count("{") == bare.count("}")
            for line in bare.strip().splitlines()[1:]:
                assert re.fullmatch(
                    r"\s*(\}|subgraph \w+ \{|label=;|\w+=\w+; \w+=\w+;"
                    r"|\w+ \[[\w=, .]*\];|\w+ -> \w+( \[style=\])?;)",
                    line,
                ), line

    def test_graphviz_draws_it(self, record, nasty_record):
        dot = shutil.which("dot") or pytest.skip("Graphviz's dot is not installed")
        for r in (record, nasty_record):
            text = r.to_dot()
            made = subprocess.run(
                [dot, "-Tsvg"], input=text, capture_output=True, text=True, check=True
            )
            assert made.stderr == ""
            edges = ET.fromstring(made.stdout).findall(f".//{SVG}g[@class='edge']")
            assert len(edges) == text.count(" -> ") > 0

    def test_a_cluster_for_each_function(self, record):
        text = record.to_dot()
        assert text.count("subgraph") == len(set(re.findall(r"subgraph (\w+)", text)))
        assert 'label="layer";' in text


@pytest.mark.usefixtures("annotations_unproved")
class TestPaths:
    @pytest.mark.parametrize("name", ["to_html", "to_svg"])
    def test_bad(self, nasty_record, tmp_path, name):
        write = getattr(nasty_record, name)
        with pytest.raises(TypeError, match=rf"Trace.{name}: path is a int; wanted the path"):
            write(3)
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            write(tmp_path / "none" / "a")
        with pytest.raises(IsADirectoryError, match="is a folder; wanted a file"):
            write(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_text_is_a_path(self, nasty_record, tmp_path):
        assert nasty_record.to_html(str(tmp_path / "a.html")) == tmp_path / "a.html"
        assert nasty_record.to_svg(str(tmp_path / "a.svg")).is_file()

    def test_levels(self, nasty_record, tmp_path):
        with pytest.raises(ValueError, match=r"Trace.to_svg: level is -1; wanted .*0"):
            nasty_record.to_svg(tmp_path / "a.svg", level=-1)
        with pytest.raises(TypeError, match=r"Trace.to_svg: level"):
            nasty_record.to_svg(tmp_path / "a.svg", level=1.5)
