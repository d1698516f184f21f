"""The pages that are generated from the option table are up to date (`make docs` writes them)."""

from pathlib import Path

import pytest

from conftest import Program

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("option", "file"), [("--print-config-markdown", "docs/configuration.md"),
                                              ("--print-config-example", "config/config.example.yaml")])
def test_generated_pages_are_up_to_date(program: Program, option: str, file: str) -> None:
    assert program.run("serve", option).stdout == (ROOT / file).read_text(encoding="utf-8")


def test_the_table_of_endpoints_is_up_to_date(program: Program) -> None:
    table = program.run("serve", "--print-endpoints-markdown").stdout
    assert table.count("\n") >= 10 and table in (ROOT / "docs/api.md").read_text(encoding="utf-8"), table


def test_the_table_of_a_models_keys_is_up_to_date(program: Program) -> None:
    table = program.run("serve", "--print-model-keys-markdown").stdout
    assert table.count("\n") >= 10 and table in (ROOT / "docs/models.md").read_text(encoding="utf-8"), table


def test_every_option_of_the_readme_exists(program: Program) -> None:
    help_text = program.run("serve", "--help").stdout
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    flags = [word.strip("`,") for row in rows for word in row.split("|")[2].split() if word.startswith("`-")]
    assert len(flags) >= 10
    for flag in flags:
        assert flag in help_text, flag
