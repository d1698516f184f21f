"""`cmake --install` of this build into a folder of its own, and what lies there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Program


@pytest.fixture(scope="module")
def installed(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = program.path.parents[2]
    if not (build / "cmake_install.cmake").exists():
        pytest.skip(f"{program.path} does not lie in a build folder")
    folder = tmp_path_factory.mktemp("destination")
    result = subprocess.run(["cmake", "--install", build, "--prefix", "/opt/cllm"], env={**os.environ, "DESTDIR": str(folder)},
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "opt/cllm"


def test_all_is_there(installed: Path) -> None:
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    share = {name for name in files if not name.startswith("lib")}
    licenses = {name for name in share if "/licenses/" in name}
    assert {Path(name).name for name in licenses} >= {"llama.cpp", "ggml", "drogon", "trantor", "cli11", "spdlog"}
    assert any("curl" in name for name in licenses) and any("edit" in name for name in licenses), licenses
    assert {Path(name).name for name in share - licenses} == {"cllm", "cllm.1", "_cllm", "cllm.fish", "config.example.yaml"}
    assert all((installed / name).stat().st_size > 0 for name in files)


def test_nothing_names_the_build_folder(installed: Path) -> None:
    sections = subprocess.run(["readelf", "-SW", installed / "bin/cllm"], capture_output=True, text=True, check=True).stdout
    if ".debug_info" in sections:
        pytest.skip("this build has debug information, which names its sources")
    for path in installed.rglob("*"):
        if path.is_file():
            assert str(ROOT).encode() not in path.read_bytes(), path


def test_the_installed_program_runs(installed: Path) -> None:
    result = subprocess.run([installed / "bin/cllm", "version"], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stdout.startswith("cllm"), result.stderr
