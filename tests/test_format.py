"""Every C++ file is as .clang-format says. `make format` makes it so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORMATTER = "clang-format-19"  # other versions format otherwise


def test_files_are_formatted() -> None:
    if not shutil.which(FORMATTER):
        pytest.skip(f"{FORMATTER} is not installed")
    listing = subprocess.run(["git", "ls-files", "-z", "*.cc", "*.h"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("this is no checkout of git, which lists the files")
    files = [name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]
    assert files
    result = subprocess.run([FORMATTER, "--dry-run", "--Werror", *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
