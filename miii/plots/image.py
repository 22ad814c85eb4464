"""Images inside a chart's data."""

import base64
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def png(pixels: UInt8[np.ndarray, "row column 4"]) -> bytes:
    """Return a PNG with one pixel per cell (red, green, blue, opacity)."""
    image = Image.fromarray(pixels)
    # with few enough colors, a palette takes a third of the bytes
    used, codes = np.unique(np.ascontiguousarray(pixels).view(np.uint32), return_inverse=True)
    if len(used) <= 256:
        image = Image.fromarray(codes.reshape(pixels.shape[:2]).astype(np.uint8))
        image.putpalette(used.view(np.uint8).tobytes(), "RGBA")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)  # the default of 6 takes four times as long on noise and saves nothing
    return file.getvalue()


def url(pixels: UInt8[np.ndarray, "row column 4"]) -> str:
    """Return the ``data:`` URL of a PNG with one pixel per cell. Source: RFC 2397."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"
