"""Write LaTeX formulas as MathML, which browsers render without a library."""

import re
import xml.etree.ElementTree as ET

from latex2mathml.converter import convert
from markupsafe import Markup, escape

_ATTRIBUTES = {"xmlns", "display", "mathvariant", "stretchy", "minsize", "maxsize", "width", "accent", "fence", "form"}
_ATTRIBUTES |= {
    "displaystyle",
    "linethickness",
    "columnalign",
    "columnspacing",
    "rowspacing",
    "separator",
    "movablelimits",
}
_LONGEST = 4000  #: characters; the converter recurses over nested groups
_NAME = re.compile(
    r"\\(cos|sin|ln|log|max|min|exp)\s+(?=[\w\\])"
)  #: a function before its argument, without parentheses
_UPRIGHT = re.compile(r"\\(mathrm|operatorname)\{([A-Za-z ]+)\}")


def mathml(latex: str, block: bool = False) -> Markup:
    """Return a formula as MathML; LaTeX that cannot be converted is shown as code.

    Links, styles and other attributes that do not lay out a formula are dropped.

    Args:
        latex: without dollar signs.
        block: whether the formula has its own line.
    """
    latex = latex.strip()
    words = _UPRIGHT.sub(r"\\text{\2}", latex)  # one word, not a row of letters
    words = _NAME.sub(r"\\\1\\,", words).replace(
        "{aligned}", "{split}"
    )  # the converter knows neither the space nor "aligned"
    try:
        if len(latex) > _LONGEST:
            raise ValueError(latex)
        made = ET.fromstring(convert(words, display="block" if block else "inline").replace("<mi>&</mi>", ""))
    except Exception:  # the converter raises many kinds, IndexError and RecursionError among them
        return Markup("<code>{}</code>").format(escape(latex))
    for element in made.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name: value for name, value in element.attrib.items() if name in _ATTRIBUTES}
        if element.tag == "mo" and element.text in ("(", ")"):
            element.attrib.setdefault("stretchy", "false")  # "\\left" and "\\right" set it
    return Markup(ET.tostring(made, encoding="unicode"))
