"""Pictures of a trace: a page to play the pass on, a graph for a paper, and one for Graphviz.

``Trace.to_html``, ``Trace.to_svg`` and ``Trace.to_dot`` make them; nothing here needs a library.

_tree      calls, lines and operations as one tree, which is folded and unfolded
_text      what is said of values and cotangents, in few letters
_layout    where the boxes of the graph stand
_svg, _dot the graph as a picture, and for Graphviz
_data      the trace as JSON, for the page
page.html  the page itself, styles and script, into which the data is put
"""

from fnmath.backprop.pictures._dot import to_dot
from fnmath.backprop.pictures._files import notebook, to_html, to_svg

__all__ = ["notebook", "to_dot", "to_html", "to_svg"]
