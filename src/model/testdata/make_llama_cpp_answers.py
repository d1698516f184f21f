#!/usr/bin/env python3
"""Writes llama_cpp_answers.json: the cases of llama.cpp's tests/test-chat.cpp as data. Again after each change of its release:

    make_llama_cpp_answers.py "$(bash scripts/sources.bash llama.cpp)" FOLDER

FOLDER is one of scripts/deps' that has llama.cpp's and ggml's static libraries. Its tests are compiled with a runner that
writes each case instead of parsing it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HEAD = """
#include "chat.h"
#include "common.h"
#include "json.h"
#include "log.h"
#include <fstream>
#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <vector>
using json = common_json;
static std::string g_template_filter;
"""

WRITER = """
static json written(const common_chat_msg & message) {
    json calls = json::array();
    for (const auto & call : message.tool_calls) calls.push_back(json::array({call.name, call.arguments, call.id}));
    return json{{"role", message.role}, {"content", message.content}, {"reasoning", message.reasoning_content},
                {"tool_call_id", message.tool_call_id}, {"calls", calls}};
}
static void write_case(const std::string & path, const peg_test_case & test) {
    json messages = json::array();
    for (const auto & message : test.params.messages) messages.push_back(written(message));
    json tools = json::array();
    for (const auto & tool : test.params.tools) tools.push_back(json::array({tool.name, tool.parameters}));
    std::cout << json{{"template", path}, {"text", test.input}, {"expected", written(test.expect)}, {"partial", test.is_partial},
                      {"schema", test.params.json_schema}, {"messages", messages}, {"tools", tools},
                      {"continues", (int) test.params.continue_final_message}, {"choice", (int) test.params.tool_choice},
                      {"parallel", test.params.parallel_tool_calls}, {"apart", test.params.reasoning_format != COMMON_REASONING_FORMAT_NONE},
                      {"thinking", test.params.enable_thinking}}.dump() << std::endl;
}
int main() { test_template_output_peg_parsers(false); }
"""


def program(tests: str) -> str:
    def between(begin: str, end: str) -> str:
        start = tests.index(begin)
        return tests[start:tests.index(end, start)]

    tester = between("// Fluent builder for PEG parser tests", "static void test_msgs_oaicompat_json_conversion()")
    run, rest = tester.index("    void run() {"), tester.index("peg_test_builder peg_tester::test(")
    return "".join([
        HEAD,
        between("static std::string read_file(", "static std::unique_ptr<llama_grammar> build_grammar"),
        between("static common_chat_tool special_function_tool{", "struct make_peg_parser {"),
        "static void write_case(const std::string & path, const peg_test_case & test);\n",
        tester[:run], "    void run() { write_case(tester_.template_path(), tc_); }\n};\n", tester[rest:],
        between("static void test_lfm2_parser(", "static void test_template_generation_prompt() {"),
        WRITER,
    ])


def lines_of(source: Path, libraries: Path) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        code, binary = Path(folder) / "cases.cc", Path(folder) / "cases"
        code.write_text(program((source / "tests/test-chat.cpp").read_text()))
        names = ("llama-common", "llama-common-base", "llama", "ggml", "ggml-cpu", "ggml-base", "cpp-httplib")
        subprocess.run(["g++", "-std=c++17", "-w", *(f"-I{source / part}" for part in ("common", "include", "ggml/include")), code,
                        *(libraries / "lib" / f"lib{name}.a" for name in names), "-lssl", "-lcrypto", "-lgomp", "-o", binary], check=True)
        return subprocess.run([binary], cwd=source, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def without_defaults(message: dict) -> dict:
    return {key: value for key, value in message.items() if value}


def number_of(tool: list[str], tools: list[list]) -> int:
    read = [tool[0], json.loads(tool[1]) if tool[1] else None]
    if read not in tools:
        tools.append(read)
    return tools.index(read)


def compact(case: dict, tools: list[list]) -> dict:
    expected = without_defaults(case["expected"])
    expected.pop("role", None)
    small = {"template": Path(case["template"]).stem, "text": case["text"], "expected": expected}
    if case["tools"]:
        small["tools"] = [number_of(tool, tools) for tool in case["tools"]]
    if case["messages"]:
        small["messages"] = [without_defaults(message) for message in case["messages"]]
    for key, usual in (("partial", False), ("schema", ""), ("continues", 0), ("choice", 0), ("parallel", False), ("apart", True), ("thinking", True)):
        if case[key] != usual:
            small[key] = case[key]
    return small


def main() -> None:
    tools: list[list] = []
    cases = [compact(json.loads(line), tools) for line in lines_of(Path(sys.argv[1]), Path(sys.argv[2]))]
    rows = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases]
    shapes = [json.dumps(tool, separators=(",", ":")) for tool in tools]
    text = '{"tools":[\n' + ",\n".join(shapes) + '\n],"cases":[\n' + ",\n".join(rows) + "\n]}\n"
    json.loads(text)
    Path(__file__).with_name("llama_cpp_answers.json").write_text(text)
    print(f"{len(cases)} cases")


main()
