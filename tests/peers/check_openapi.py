"""Holds answers and events against the description of the interface (OpenAPI 3.1, JSON Schema 2020-12).

--answers has a JSON line for each: {"method", "path", "status", "type", "body"} or {"event": {...}}.
Says which operations and types of events there were.
"""

import argparse
import json
import re
import sys

import jsonschema_rs

parser = argparse.ArgumentParser()
parser.add_argument("--answers", required=True)
options = parser.parse_args()

answers = [json.loads(line) for line in open(options.answers)]
description = next(answer["body"] for answer in answers if answer.get("path") == "/api/v1/openapi.json")
components = description["components"]


def validator(schema):
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": components, **schema}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def resolved(it):
    while "$ref" in it:
        found = description
        for part in it["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        it = found
    return it


def pattern(path):
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", path)))


problems = []


def hold(what, schema, value):
    problems.extend(f"{what}: {error.instance_path}: {error.message}: {value}"[:2000] for error in validator(schema).iter_errors(value))


# The description is one itself: each schema that it has can be read.
for name, schema in components["schemas"].items():
    validator(schema)

operations, events = set(), set()
for answer in answers:
    if "event" in answer:
        event = answer["event"]
        events.add(event.get("type", "watching"))
        hold("event", {"$ref": "#/components/schemas/Event"}, event)
        continue
    method, path = answer["method"].lower(), answer["path"].split("?")[0]
    # What has no placeholder is meant before what has one.
    found = [known for known in sorted(description["paths"], key=lambda known: "{" in known) if pattern(known).fullmatch(path)]
    if not found or method not in description["paths"][found[0]]:
        problems.append(f"{method} {path} is not described")
        continue
    operation = description["paths"][found[0]][method]
    what = f"{method} {path} {answer['status']}"
    if str(answer["status"]) not in operation["responses"]:
        problems.append(f"{what} is not described")
        continue
    response = resolved(operation["responses"][str(answer["status"])])
    kind = answer["type"].split(";")[0]
    if kind not in response["content"]:
        problems.append(f"{what}: {kind} is not described")
        continue
    if answer["status"] == 200:
        operations.add(f"{method} {found[0]}")
    schema = response["content"][kind].get("schema")
    if schema and kind.endswith("json"):
        hold(what, schema, answer["body"])

print(json.dumps({
    "problems": problems,
    "operations": sorted(operations),
    "missing": sorted({f"{method} {path}" for path, item in description["paths"].items() for method in item if method in ("get", "post")} - operations),
    "events": sorted(events),
    "missing_events": sorted({schema["properties"]["type"]["const"] for schema in components["schemas"].values() if "const" in schema.get("properties", {}).get("type", {})} - events),
}))
sys.exit(bool(problems))
