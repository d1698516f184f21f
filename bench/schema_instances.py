"""Values for a JSON schema as the server enforces it: some that fit, in the order of its properties, and some that nearly do."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator

import rstr

DEEPEST = 8  # where nothing but what is required comes
OF_FORMAT = {
    "date": "2024-02-29", "time": "12:34:56Z", "date-time": "2024-02-29T12:34:56Z", "uuid": "123e4567-e89b-12d3-a456-426614174000", "ipv4": "192.0.2.7",
    "ipv6": "2001:db8:0:0:0:0:0:1", "email": "ann@example.org", "uri": "https://example.org/a?b=c#d", "hostname": "a.example.org",
}


class Impossible(Exception):
    """No value that this generator knows fits."""


class Generator:
    def __init__(self, schema: object, seed: int) -> None:
        self.root = schema
        self.random = random.Random(seed)
        self.texts = rstr.Rstr(self.random)

    def value(self, schema: object | None = None, depth: int = 0) -> object:
        schema = self.root if schema is None else schema
        if schema is False or depth > 4 * DEEPEST:
            raise Impossible
        if schema is True or schema == {}:
            return self.random.choice(["x", 7, True, None, [], {}])
        if "$ref" in schema:
            return self.value(self.target(schema["$ref"]), depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self.one_of(schema[key], depth)
        kinds = schema.get("type", "object")
        kind = self.random.choice(kinds) if isinstance(kinds, list) else kinds
        return getattr(self, f"a_{kind}")(schema, depth)

    def target(self, reference: str) -> object:
        node = self.root
        for part in reference.removeprefix("#").split("/")[1:]:
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def one_of(self, branches: list, depth: int) -> object:
        for branch in self.random.sample(branches, len(branches)):
            try:
                return self.value(branch, depth + 1)
            except Impossible:
                continue
        raise Impossible

    def a_null(self, schema: dict, depth: int) -> None:
        return None

    def a_boolean(self, schema: dict, depth: int) -> bool:
        return self.random.random() < 0.5

    def a_string(self, schema: dict, depth: int) -> str:
        if "format" in schema:
            return OF_FORMAT[schema["format"]]
        if "pattern" in schema:
            return self.text_like(schema["pattern"])
        least = schema.get("minLength", 0)
        most = min(schema.get("maxLength", least + 12), least + 12)
        letters = self.random.choice(["abc XYZ", "0123", "é日😀\"\\/\n"])
        return "".join(self.random.choice(letters) for _ in range(self.random.randint(least, most)))

    def text_like(self, pattern: str) -> str:
        try:
            return self.texts.xeger(pattern)
        except (re.error, OverflowError) as error:  # ECMA's expressions are not all Python's
            raise Impossible from error

    def a_integer(self, schema: dict, depth: int) -> int:
        low = max(schema.get("minimum", -10**4), schema.get("exclusiveMinimum", -10**4 - 1) + 1)
        high = min(schema.get("maximum", max(low, 0) + 10**4), schema.get("exclusiveMaximum", max(low, 0) + 10**4 + 1) - 1)
        if "maximum" in schema or "exclusiveMaximum" in schema:
            low = max(low, high - 10**4) if "minimum" not in schema and "exclusiveMinimum" not in schema else low
        step = schema.get("multipleOf", 1)
        first, last = -(-int(-(-low // 1)) // step), int(high // 1) // step
        if first > last:
            raise Impossible
        return self.random.randint(first, last) * step

    def a_number(self, schema: dict, depth: int) -> float | int:
        if self.random.random() < 0.5:
            return self.a_integer({key: value for key, value in schema.items() if key in ("minimum", "maximum")}, depth)
        low, high = schema.get("minimum", schema.get("exclusiveMinimum", -100)), schema.get("maximum", schema.get("exclusiveMaximum", None))
        high = low + 100 if high is None else high
        return round(low + (high - low) * self.random.random(), 3)

    def a_array(self, schema: dict, depth: int) -> list:
        first = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", least + 3)
        count = least if depth > DEEPEST else self.random.randint(least, max(least, min(most, least + 3)))
        values: list = []
        for place in range(count):
            try:
                values.append(self.value(first[place] if place < len(first) else rest, depth + 1))
            except Impossible:
                if place < least:
                    raise
                break
        return values

    def a_object(self, schema: dict, depth: int) -> dict:
        properties, required = schema.get("properties", {}), set(schema.get("required", []))
        most = schema.get("maxProperties", len(properties) + 2)
        made: dict = {}
        for name, below in properties.items():
            wanted = name in required or (depth <= DEEPEST and self.random.random() < (0.6 if depth < 2 else 0.25))
            left = sum(1 for other in required if other not in made and other != name)
            if not wanted or len(made) + left + 1 > most:
                continue
            try:
                made[name] = self.value(below, depth + 1)
            except Impossible:
                if name in required:
                    raise
        self.add_free_names(schema, made, most, depth)
        if len(made) < schema.get("minProperties", 0):
            raise Impossible
        return made

    def add_free_names(self, schema: dict, made: dict, most: int, depth: int) -> None:
        wanted = max(schema.get("minProperties", 0) - len(made), 0 if depth > DEEPEST else self.random.randint(0, 1))
        for number in range(min(wanted, most - len(made))):
            if "patternProperties" in schema:
                ((pattern, below),) = schema["patternProperties"].items()
                name = self.text_like(pattern)
            else:
                below, name = schema.get("additionalProperties", "properties" not in schema), f"zz{number}"
            if below is False or name in made or name in schema.get("properties", {}):
                return
            try:
                made[name] = self.value(below, depth + 1)
            except Impossible:
                return


def places(value: object) -> Iterator[tuple[object, object]]:
    """Container and key of each value below."""
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places(below)


def changed(value: object, chance: random.Random) -> object:
    other = [None, True, 12345678, -0.5, "zz", "", [], {}, [None], {"zz": 1}]
    if isinstance(value, dict) and chance.random() < 0.7:
        if value and chance.random() < 0.5:
            del value[chance.choice(list(value))]
        else:
            value["unexpected"] = 1
        return value
    if isinstance(value, list) and value and chance.random() < 0.7:
        return chance.choice([value[:-1], value + [copy.deepcopy(value[-1])] * 5, value + [None], value + [{"zz": 1}]])
    if isinstance(value, str) and chance.random() < 0.7:
        return chance.choice([value + "x", value[:-1], "\x7f" + value, value * 50, value.upper(), value.lower(), value + " ", value + "é"])
    if isinstance(value, int | float) and not isinstance(value, bool) and chance.random() < 0.7:
        return chance.choice([-value - 1, value + 1, value - 1, value * 1000 + 7, value + 0.5, str(value)])
    return chance.choice(other)


def mutated(value: object, chance: random.Random) -> object:
    """The value with something else somewhere in it."""
    root = [copy.deepcopy(value)]
    for _ in range(chance.choice([1, 1, 2])):
        container, key = chance.choice(list(places(root)))
        container[key] = changed(container[key], chance)
    return root[0]
