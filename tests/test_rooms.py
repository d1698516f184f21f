"""The includes of src/ agree with the table of rooms in docs/architecture.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
LIBRARY_HEADERS = {
    "drogon/": {"http"},
    "trantor/": {"http"},
    "llama.h": {"model", "engine/llamacpp"},
    "ggml": {"model", "engine/llamacpp"},
    "hwy/": {"kernels"},
    "re2/": {"schema"},
    "xgrammar/": {"grammar"},
    "yaml-cpp/": {"config"},
    "CLI/": {"config", "cli"},
    "histedit.h": {"chat"},
    "nlohmann/": {"base", "cli", "hub"},
    "curl/": {"chat", "hub"},
    "openssl/": {"http", "hub"},
    "prometheus/": {"http"},
}


def rooms_of_table() -> dict[str, set[str]]:
    rooms: dict[str, set[str]] = {}
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        row = re.match(r"\| `([a-z/]+)/` \|.*\| ([^|]+) \|$", line)
        if row:
            names = set(re.split(r",\s*", row[2].strip()))
            rooms[row[1]] = names - {"–"} | {"base"}
    return rooms


def room_of(path: str, rooms: dict[str, set[str]]) -> str | None:
    """The innermost room that a path such as engine/fake/fake_engine.h lies in."""
    folders = path.split("/")[:-1]
    while folders:
        if "/".join(folders) in rooms:
            return "/".join(folders)
        folders.pop()
    return None


def includes(file: Path) -> list[str]:
    return re.findall(r'^#include [<"]([^>"]+)[>"]', file.read_text(), re.MULTILINE)


def sources() -> list[Path]:
    return [f for f in SOURCE.rglob("*") if f.suffix in (".h", ".cc")]


def test_every_folder_with_code_is_in_the_table() -> None:
    rooms = rooms_of_table()
    assert len(rooms) >= 10
    folders = {str(file.parent.relative_to(SOURCE)) for file in sources()}
    assert folders == set(rooms)


def test_rooms_include_only_what_their_row_names() -> None:
    rooms = rooms_of_table()
    wrong = []
    for file in sources():
        path = str(file.relative_to(SOURCE))
        room = room_of(path, rooms)
        for_tests = path.endswith(("_test.cc", "_benchmark.cc", "_fuzz.cc")) or file.name.startswith("testing_")
        if for_tests or "everything" in rooms[room]:
            continue
        for header in includes(file):
            target = room_of(header, rooms)
            if target and target != room and target not in rooms[room]:
                wrong.append(f"{path} includes {header}")
    assert not wrong


def test_third_party_headers_stay_in_their_rooms() -> None:
    rooms = rooms_of_table()
    wrong = []
    for file in sources():
        path = str(file.relative_to(SOURCE))
        for header in includes(file):
            for prefix, allowed in LIBRARY_HEADERS.items():
                if header.startswith(prefix) and room_of(path, rooms) not in allowed:
                    wrong.append(f"{path} includes {header}")
    assert not wrong


def test_only_the_model_room_includes_llama_common() -> None:
    users = sorted(f.name for f in sources() if {"chat.h", "chat-peg-parser.h", "common.h"} & set(includes(f)))
    assert users == ["answer_format.cc", "answer_grammar.h", "chat_template_test.cc", "common_chat.h", "peg_walk.h"]


def test_names_in_anonymous_namespaces_are_different_in_all_of_a_room() -> None:
    """Sources of a room are compiled together (cmake/Room.cmake): an overload of another file could be called in silence."""
    separate = {"kernels", "cli"}
    function = re.compile(r"^[A-Za-z_][\w:<>,&* ]*[ &*](\w+)\([^;]*$", re.MULTILINE)
    files_of: dict[tuple[Path, bool, str], set[str]] = {}
    for file in sources():
        if file.suffix != ".cc" or file.stem.endswith("_fuzz") or str(file.parent.relative_to(SOURCE)) in separate:
            continue
        for region in re.findall(r"^namespace \{\n(.*?)^\}  // namespace\n", file.read_text(), re.MULTILINE | re.DOTALL):
            for name in function.findall(region):
                files_of.setdefault((file.parent, file.stem.endswith("_test"), name), set()).add(file.name)
    twice = [f"{name}: {', '.join(sorted(files))}" for (_, _, name), files in files_of.items()
             if len(files) > 1 and name not in {"TEST", "TEST_F", "TEST_P", "INSTANTIATE_TEST_SUITE_P"}]
    assert not twice
