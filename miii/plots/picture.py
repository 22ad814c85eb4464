"""Charts as files, drawn without a browser."""

import json
from typing import Literal

from miii import platform
from miii.errors import InputError
from miii.plots.style import Chart

SCALE = 2  #: pixels of a PNG for each pixel of the chart
_DRAW = (
    "import sys, vl_convert\n"
    "spec, kind, scale = sys.stdin.read(), sys.argv[1], float(sys.argv[2])\n"
    "options = {} if kind == 'svg' else {'scale': scale}\n"
    "drawn = getattr(vl_convert, f'vegalite_to_{kind}')(spec, **options)\n"
    "sys.stdout.buffer.write(drawn.encode() if kind == 'svg' else drawn)\n"
)


def picture(chart: Chart, kind: Literal["png", "svg"]) -> bytes:
    """Render a chart with Vega and return the file's bytes.

    Runs in a separate process, so its hundred megabytes are freed afterwards.

    Raises:
        InputError: the chart cannot be drawn.
    """
    done = platform.run_in_subprocess(_DRAW, [kind, str(SCALE)], json.dumps(chart.to_dict()))
    if done.returncode != 0:
        raise InputError(f"the chart could not be drawn ({done.stderr.decode(errors='replace').strip()[-200:]!r}).")
    return done.stdout
