"""Corrupt JSON values, texts and bytes."""

import json
import math
import random
import struct
from typing import Any

DEPTHS = (13, 100, 500)  #: depths of nested lists

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 97, 2**31, 2**63, 10**30, 10**400, 0.5, -0.0, 1e-320, 1e308),
    *(math.nan, math.inf, -math.inf, "", "auto", "nan", "\0", "\ud800", "é\u202e\n", "x" * 5000, [], {}, [1] * 1000),
    *([[[[1]]]], {"kind": "primes"}, {"name": "muon"}, "a*b", "../..", "1" * 5000),
)


def _deep(n: int) -> Any:
    value: Any = 1
    for _ in range(n):
        value = [value]
    return value


def corrupted(value: Any, draw: random.Random, words: list[Any]) -> Any:
    """Return a JSON value with a part replaced, scaled, removed, added or wrapped."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        name = draw.choice(list(value))
        match draw.randrange(8):
            case 0:
                return {key: item for key, item in value.items() if key != name}
            case 1:
                return value | {draw.choice(["x", "", "\0", "a" * 3000, "\ud800", "__class__", name * 2]): value[name]}
            case 2:
                return value | {name: draw.choice(words)}
            case _:
                return value | {name: corrupted(value[name], draw, words)}
    if type(value) in (int, float) and abs(value) < 1e300 and draw.random() < 0.5:
        scaled = value * 10 ** draw.uniform(-3, 6)
        return round(scaled) if isinstance(value, int) and draw.random() < 0.9 else scaled
    match draw.randrange(10):
        case 0:
            return [value]
        case 1:
            return _deep(draw.choice(DEPTHS))
        case 2 | 3:
            return draw.choice(words)
    return draw.choice(ODD)


def words_of(schema: Any) -> list[Any]:
    """Return the choices and defaults in a JSON schema."""
    if isinstance(schema, list):
        return [word for item in schema for word in words_of(item)]
    if not isinstance(schema, dict):
        return []
    named = [*schema.get("enum", []), *[schema[key] for key in ("const", "default") if key in schema]]
    return named + [word for item in schema.values() for word in words_of(item)]


def corrupted_bytes(data: bytes, draw: random.Random) -> bytes:
    """Return bytes with a few replaced, removed or repeated; headers are hit as often as the rest."""
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8])):
        at = draw.randrange(min(len(changed), draw.choice([16, 400, len(changed)])) or 1)
        at = at if draw.random() < 0.7 else max(0, len(changed) - 1 - at)
        match draw.randrange(5):
            case 0:
                del changed[at : at + draw.choice([1, 8, 1000])]
            case 1:
                changed[at:at] = changed[at : at + draw.choice([1, 8, 1000])]
            case 2:
                changed[at : at + 4] = struct.pack("<I", draw.choice([0, 1, 2**31, 2**32 - 1, draw.getrandbits(32)]))
            case _:
                changed[at : at + 1] = bytes([draw.randrange(256)])
    return bytes(changed)


def corrupted_json(data: bytes, draw: random.Random, words: list[Any]) -> bytes:
    """Return a JSON or JSON-lines file with a corrupted value or byte."""
    if draw.random() < 0.3:
        return corrupted_bytes(data, draw)
    try:
        lines = [json.loads(data)]
    except ValueError:
        lines = [json.loads(line) for line in data.splitlines()]
    at = draw.randrange(len(lines))
    lines[at] = corrupted(lines[at], draw, words)
    return "".join(json.dumps(line) + "\n" for line in lines).encode(errors="replace")
