"""Holds a dashboard to what Grafana's own schema says, as its foundation SDK has it: each value has the type that its place
wants, each word is one of those that there are, and no key is unknown.

    check_dashboard.py FILE

The SDK reads leniently. So what it read is looked through with the types that it declares, and written again: what it did not
know is then missing.
"""

import enum
import json
import sys
import types
import typing

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard

# Keys that Grafana knows and this version of its SDK does not: where they stand, and since when they are there.
NEWER = {
    "options/sizing": "bar gauge, Grafana 10.3",
    "options/namePlacement": "bar gauge, Grafana 10.3",
    "options/maxVizHeight": "bar gauge, Grafana 10.3",
    "options/legend": "bar gauge, Grafana 10.3",
    "options/tooltip/mode": "heatmap, Grafana 10.3",
    "options/tooltip/showColorScale": "heatmap, Grafana 10.2",
    "definition": "what the editor of a variable shows",
    "titleFormat": "annotations of Prometheus",
    "step": "annotations of Prometheus",
}


def fits(value, hint):
    """Whether a value is of a declared type."""
    origin = typing.get_origin(hint)
    if hint is typing.Any or hint is object or isinstance(hint, typing.TypeVar):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin is list:
        (inner,) = typing.get_args(hint)
        return isinstance(value, list) and all(fits(one, inner) for one in value)
    if origin is dict:
        _, inner = typing.get_args(hint)
        return isinstance(value, dict) and all(fits(one, inner) for one in value.values())
    if hint is None or hint is type(None):
        return value is None
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return value in {one.value for one in hint}
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def wrong(value, path=""):
    """Every place where what was read is of another type than it is declared."""
    if isinstance(value, list):
        for at, one in enumerate(value):
            yield from wrong(one, f"{path}/{at}")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from wrong(one, f"{path}/{key}")
    elif hasattr(value, "__dict__") and not isinstance(value, enum.Enum):
        hints = typing.get_type_hints(type(value))
        for name, one in vars(value).items():
            hint = hints.get(name)
            if hint is not None and not fits(one, hint):
                yield f"{path}/{name}: {one!r:.60} is no {hint}"
            yield from wrong(one, f"{path}/{name}")


def lost(read, written, path=""):
    """Every key that is not there any more once it was read and written, or has another value."""
    if isinstance(read, dict) and isinstance(written, dict):
        for key, value in read.items():
            if key in written:
                yield from lost(value, written[key], f"{path}/{key}")
            elif not any(f"{path}/{key}".endswith(f"/{known}") for known in NEWER):
                yield f"{path}/{key}: no key that Grafana knows there"
    elif isinstance(read, list) and isinstance(written, list) and len(read) == len(written):
        for at, (one, other) in enumerate(zip(read, written)):
            yield from lost(one, other, f"{path}/{at}")
    elif read != written:
        yield f"{path}: {read!r:.60} was understood as {written!r:.60}"


def main():
    register_default_plugins()
    with open(sys.argv[1], encoding="utf-8") as file:
        raw = json.load(file)
    found = []
    try:
        read = dashboard.Dashboard.from_json(raw)
        found.extend(wrong(read))
        found.extend(lost(raw, json.loads(JSONEncoder().encode(read))))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        found.append(f"it cannot be read: {error}")
    for one in found:
        print(one)
    print(json.dumps({"panels": len(raw["panels"]), "wrong": len(found)}))
    sys.exit(1 if found else 0)


main()
