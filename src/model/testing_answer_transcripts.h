// Answers as models of ten families write them: the same conversations in each family's published format, and texts that are hard for one.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "model/testing_answer_families.h"

namespace cllm {

// A part of an answer as it is meant.
struct Said {
  AnswerPart::Kind kind;
  std::string text;  // a call's arguments
  std::string name = {};
};

inline Said Thought(std::string text) { return {AnswerPart::Kind::kReasoning, std::move(text)}; }
inline Said Told(std::string text) { return {AnswerPart::Kind::kContent, std::move(text)}; }
inline Said Called(std::string name, std::string arguments) { return {AnswerPart::Kind::kToolCall, std::move(arguments), std::move(name)}; }

// How a family writes an answer, and what of it is possible there.
struct AnswerStyle {
  std::function<std::string(const std::vector<Said>&)> write;
  bool thinks = false;
  bool repeats = true;       // several calls
  bool tells_before = true;  // text before a call
  bool tells_behind = true;  // text behind a call
  std::string ids = {};      // of its calls, in turn: one character each
};

inline std::vector<std::vector<Said>> Conversations(const AnswerStyle& style) {
  const Said rome = Called("get_weather", R"({"city": "Rome"})");
  const Said now = Called("now", "{}");
  std::vector<std::vector<Said>> all = {
      {Told("It rains.")},
      {Told("東京は雨です。☔️ 👩‍👩‍👧 ñ Ω")},
      {Told("a\r\nb\r\n\r\n\tc")},
      {Told("```json\n{\"a\": [1, 2]}\n```\nif (a < b && c[0] > 1) { return; }")},
      {Told("[1] {2} <b>3</b> </think> \"name\": $x$ %d \\n &lt; <!-- -->")},
      {rome},
      {now},
      {Called("get_weather", R"({"city": "Rome", "where": {"at": [41.9, -1.5e3, {"b": null}], "on": true}, "to": []})")},
      {Called("get_weather", R"({"city": "São Tomé 東京 😀"})")},
      {Called("get_weather", R"({"city": "a \"b\" \\ \/ \n \u00e9 \ud83d\ude00 } ] { [ , :"})")},
      {Called("get_weather", R"({"city": "</tool_call> <tool_call> [TOOL_CALLS][ {\"name\": \"now\"} <think></think>"})")},
      {Called("get_weather", "{\n  \"city\": \"Rome\",\n  \"days\": 3\n}")},
      {Called("get_weather", "{\r\n\t\"city\" : \"Rome\"\r\n}")},
      {Called("get_weather", R"({"city": ")" + std::string(250, 'x') + R"("})")},
  };
  if (style.tells_before) all.push_back({Told("Let me look."), rome});
  if (style.repeats) all.push_back({rome, now});
  if (style.repeats) all.push_back({now, rome, Called("get_weather_map", R"({"zoom": 1.5})")});
  if (style.tells_behind) all.push_back({rome, Told("That was it.")});
  if (style.repeats && style.tells_behind) all.push_back({Told("a"), rome, Told("b"), now, Told("c")});
  if (style.thinks) {
    all.push_back({Thought("Hm, <b> {1} [2] \"3\"."), Told("It rains.")});
    all.push_back({Thought("どうしよう\r\n🤔"), rome});
    if (style.tells_before) all.push_back({Thought("a"), Told("b"), rome});
  }
  return all;
}

// As ReadAnswer::Shown.
inline std::string ShownAs(const std::vector<Said>& answer, const AnswerStyle& style) {
  std::string shown;
  std::size_t calls = 0;
  for (const Said& said : answer) {
    if (said.kind != AnswerPart::Kind::kToolCall) {
      shown += (said.kind == AnswerPart::Kind::kContent ? "C[" : "R[") + said.text + "]";
      continue;
    }
    shown += "T[" + said.name + (style.ids.empty() ? "" : "#" + std::string(9, style.ids[calls])) + " " + said.text + "]";
    ++calls;
  }
  return shown;
}

// Each part between marks of its own.
inline std::string WithCalls(const std::vector<Said>& answer, const std::string& before, const std::string& name, const std::string& behind,
                             const std::string& think, const std::string& thought) {
  std::string text;
  for (const Said& said : answer) {
    switch (said.kind) {
      case AnswerPart::Kind::kContent:
        text += said.text;
        break;
      case AnswerPart::Kind::kReasoning:
        text += think + said.text + thought;
        break;
      case AnswerPart::Kind::kToolCall:
        text += before + said.name + name + said.text + behind;
    }
  }
  return text;
}

inline AnswerStyle TagStyle(bool thinks) {
  return {.write =
              [](const std::vector<Said>& answer) {
                return WithCalls(answer, "\n<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>\n", "<think>", "</think>");
              },
          .thinks = thinks};
}

inline AnswerStyle LlamaStyle() {
  return {
      .write = [](const std::vector<Said>& answer) { return WithCalls(answer, R"({"name": ")", R"(", "parameters": )", "}\n", "", ""); },
      .repeats = false};
}

// All calls in one list.
inline std::string InAList(const std::vector<Said>& answer, const std::string& begin, const std::string& end,
                           const std::function<std::string(const Said&, std::size_t)>& write) {
  std::string text;
  std::string calls;
  std::size_t number = 0;
  for (const Said& said : answer) {
    if (said.kind == AnswerPart::Kind::kToolCall) calls += (calls.empty() ? "" : ", ") + write(said, number++);
    if (said.kind == AnswerPart::Kind::kContent) text += said.text;
  }
  return text + (calls.empty() ? "" : begin + calls + end);
}

inline AnswerStyle MistralStyle() {
  const std::string ids = "abc";
  return {.write =
              [ids](const std::vector<Said>& answer) {
                return InAList(answer, "[TOOL_CALLS][", "]", [&ids](const Said& call, std::size_t number) {
                  return R"({"name": ")" + call.name + R"(", "arguments": )" + call.text + R"(, "id": ")" + std::string(9, ids[number]) +
                         "\"}";
                });
              },
          .tells_behind = false,
          .ids = ids};
}

inline AnswerStyle MistralSmallStyle() {
  const std::string ids = "abc";
  return {.write =
              [ids](const std::vector<Said>& answer) {
                std::string text;
                std::size_t number = 0;
                for (const Said& said : answer) {
                  const bool is_call = said.kind == AnswerPart::Kind::kToolCall;
                  text +=
                      is_call ? "[TOOL_CALLS]" + said.name + "[CALL_ID]" + std::string(9, ids[number++]) + "[ARGS]" + said.text : said.text;
                }
                return text;
              },
          .tells_behind = false,
          .ids = ids};
}

inline AnswerStyle MinistralStyle() {
  return {.write = [](const std::vector<Said>& answer) { return WithCalls(answer, "[TOOL_CALLS]", "[ARGS]", "", "[THINK]", "[/THINK]"); },
          .thinks = true,
          .tells_behind = false};
}

inline std::string DeepSeekCalls(const std::vector<Said>& answer, const std::string& before, const std::string& name,
                                 const std::string& behind) {
  std::string text = WithCalls(answer, "<｜tool▁call▁begin｜>" + before, name, behind + "<｜tool▁call▁end｜>", "", "</think>");
  const auto first = text.find("<｜tool▁call▁begin｜>");
  if (first == std::string::npos) return text;
  const std::string end = "<｜tool▁call▁end｜>";
  text.insert(text.rfind(end) + end.size(), "<｜tool▁calls▁end｜>");
  return text.insert(first, "<｜tool▁calls▁begin｜>");
}

inline AnswerStyle DeepSeekR1Style() {
  return {.write =
              [](const std::vector<Said>& answer) {
                const bool thinks = answer.front().kind == AnswerPart::Kind::kReasoning;
                return (thinks ? "" : "</think>") + DeepSeekCalls(answer, "function<｜tool▁sep｜>", "\n```json\n", "\n```");
              },
          .thinks = true,
          .tells_behind = false};
}

inline AnswerStyle DeepSeekV3Style() {
  return {.write = [](const std::vector<Said>& answer) { return DeepSeekCalls(answer, "", "<｜tool▁sep｜>", ""); }, .tells_behind = false};
}

inline AnswerStyle CommandStyle() {
  return {.write =
              [](const std::vector<Said>& answer) {
                std::string text;
                for (const Said& said : answer) {
                  if (said.kind == AnswerPart::Kind::kReasoning) text += "<|START_THINKING|>" + said.text + "<|END_THINKING|>";
                  if (said.kind == AnswerPart::Kind::kContent) text += "<|START_RESPONSE|>" + said.text + "<|END_RESPONSE|>";
                }
                std::vector<Said> calls = answer;
                std::erase_if(calls, [](const Said& said) { return said.kind != AnswerPart::Kind::kToolCall; });
                return text + InAList(calls, "<|START_ACTION|>[\n    ", "\n]<|END_ACTION|>", [](const Said& call, std::size_t number) {
                         return R"({"tool_call_id": ")" + std::string(9, static_cast<char>('0' + number)) + R"(", "tool_name": ")" +
                                call.name + R"(", "parameters": )" + call.text + "}";
                       });
              },
          .thinks = true,
          .tells_before = false,
          .tells_behind = false,
          .ids = "012"};
}

// A message for each part, and a call is the last.
inline AnswerStyle HarmonyStyle() {
  return {.write =
              [](const std::vector<Said>& answer) {
                std::string text;
                for (const Said& said : answer) {
                  if (!text.empty()) text += "<|end|><|start|>assistant";
                  const bool is_last = &said == &answer.back();
                  if (said.kind == AnswerPart::Kind::kReasoning) text += "<|channel|>analysis<|message|>" + said.text;
                  if (said.kind == AnswerPart::Kind::kContent)
                    text += std::string("<|channel|>") + (is_last ? "final" : "commentary") + "<|message|>" + said.text;
                  if (said.kind == AnswerPart::Kind::kToolCall)
                    text += "<|channel|>commentary to=functions." + said.name + " <|constrain|>json<|message|>" + said.text;
                }
                return text;
              },
          .thinks = true,
          .repeats = false,
          .tells_behind = false};
}

// A text that holds no call, whatever it looks like.
inline AnswerCase Kept(const std::string& text) { return {text, "C[" + text + "]"}; }

// Texts that are hard to read: what breaks off, what is no JSON, what looks like a mark, functions that don't exist.
inline std::vector<AnswerCase> HardTagCases() {
  const std::string open = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": ";
  return {
      {open + "{\"city\": \"Ro", R"(T[get_weather {"city": "Ro])"},
      {open + "{\"city\": Rome}}\n</tool_call>", "T[get_weather {\"city\":]C[ Rome}}\n</tool_call>]!"},
      {open + "{\"city\": \"Rome\"}\n</tool_call>", "T[get_weather {\"city\": \"Rome\"]C[}\n</tool_call>]!"},
      {open + "{\"city\": \"Rome\",}}\n</tool_call>", "T[get_weather {\"city\": \"Rome\"]C[,}}\n</tool_call>]!"},
      Kept(open + "{'city': 'Rome'}}\n</tool_call>"),
      Kept("<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>"),
      Kept("<tool_call>\n{\"arguments\": {}, \"name\": \"now\"}\n</tool_call>"),
      Kept("<tool_call>\nget_weather(city=\"Rome\")\n</tool_call>"),
      Kept("<tool_call></tool_call>"),
      Kept("<tool_call>\n{}\n</tool_call>"),
      Kept("</tool_call>"),
      Kept("<<tool_call> < tool_call> <tool_call"),
  };
}

inline std::vector<AnswerCase> HardLlamaCases() {
  const std::string now = R"({"name": "now", "parameters": {}})";
  return {
      {R"({"name": "get_weather", "parameters": {"city": "Ro)", R"(T[get_weather {"city": "Ro])"},
      {R"({"name": "get_weather", "parameters": {"city": Rome}})", R"(T[get_weather {"city":]C[ Rome}}]!)"},
      {R"({"name": "get_weather", "parameters": {"city": "Rome",}})", R"(T[get_weather {"city": "Rom]C[e",}}]!)"},
      {now + now, "T[now {}]T[now {}]"},
      {now + "; " + now, "T[now {}]C[;]T[now {}]"},
      {R"({"type": "function", "name": "now", "parameters": {}})", "T[now {}]"},
      {"```json\n" + now + "\n```", "C[```json]T[now {}]C[```]"},
      Kept(R"({"name": "get_weather"})"),
      Kept(R"({"name": "get_weather_", "parameters": {}})"),
      Kept(R"(<|python_tag|>get_weather.call(city="Rome"))"),
      Kept(R"({"name": "get_wea)"),
      Kept(R"({ "a": {"name": 1} } { {)"),
  };
}

inline std::vector<AnswerCase> HardMistralCases() {
  return {
      Kept(R"([TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Ro)"),  // an id may follow
      Kept(R"([TOOL_CALLS][{"name": "get_weather", "arguments": {"city": Rome}}])"),
      {R"([TOOL_CALLS] [{"name": "now", "arguments": {}}])", "T[now {}]"},
      {R"([TOOL_CALLS][{"name": "now", "arguments": {}}, )", "T[now {}]"},
      {R"([TOOL_CALLS][{"name": "now", "arguments": {}}] Done.)", "T[now {}]C[Done.]"},
      Kept(R"([TOOL_CALLS]{"name": "now", "arguments": {}})"),
      Kept("[TOOL_CALLS][]"),
      {"[[TOOL_CALLS] [TOOL CALLS] [TOOL_CALL", "C[[[TOOL_CALLS] [TOOL CALLS] [TOOL_CALL]!"},
  };
}

// Of those that write "[TOOL_CALLS]name", then `mark` and the arguments. `broken`: where a call that breaks does.
inline std::vector<AnswerCase> HardNamedCases(const std::string& mark, const std::string& id, const std::string& broken) {
  return {
      {"[TOOL_CALLS]get_weather" + mark + "{\"city\": \"Ro", "T[get_weather" + id + " {\"city\": \"Ro]"},
      {"[TOOL_CALLS]get_weather" + mark + "{\"city\": Rome}", "T[get_weather" + id + broken + " Rome}]!"},
      {"[TOOL_CALLS]now" + mark + "{} Done.", "T[now" + id + " {}]C[Done.]"},
      Kept("[TOOL_CALLS]unknown" + mark + "{}"),
      Kept("[TOOL_CALLS]get_weather{\"city\": \"Rome\"}"),
      {"[[TOOL_CALLS] [ARGS] [TOOL_CALL", "C[[[TOOL_CALLS] [ARGS] [TOOL_CALL]!"},
  };
}

inline std::vector<AnswerCase> HardDeepSeekCases(const std::string& thought, const std::string& name, const std::string& arguments,
                                                 const std::string& broken) {
  const std::string begin = thought + "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>" + name;
  return {
      {begin + "get_weather" + arguments + "{\"city\": \"Ro", R"(T[get_weather {"city": "Ro])"},
      {begin + "get_weather" + arguments + "{\"city\": Rome}", broken},
      {begin + "unknown" + arguments + "{}", "C[" + (begin + "unknown" + arguments + "{}").substr(thought.size()) + "]"},
      {thought + "<｜tool▁calls▁begin｜><｜tool▁calls▁end｜>", "C[<｜tool▁calls▁begin｜><｜tool▁calls▁end｜>]"},
      {thought + "<｜tool <|tool▁calls▁begin|> <｜", "C[<｜tool <|tool▁calls▁begin|> <｜]"},
  };
}

inline std::vector<AnswerCase> HardCommandCases() {
  const std::string open = "<|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": ";
  return {
      {open + "\"get_weather\", \"parameters\": {\"city\": \"Ro", R"(T[get_weather#0 {"city": "Ro])"},
      Kept(open + "\"get_weather\", \"parameters\": {\"city\": Rome}}]<|END_ACTION|>"),
      Kept(open + "\"unknown\", \"parameters\": {}}]<|END_ACTION|>"),
      Kept("<|START_ACTION|>[]<|END_ACTION|>"),
      {"<|START_THINKING|>a<|END_THINKING|>", "R[a]"},
      {"<|START_THINKING|><|END_THINKING|><|START_RESPONSE|>a<|END_RESPONSE|>", "C[a]"},
      {"<|START_RESPONSE|>a <|END <|END_RESPONSE b", "C[a <|END <|END_RESPONSE b]"},
      {"<|START_RESPONSE|>a<|END_RESPONSE|>b", "C[a<|END_RESPONSE|>b]!"},
  };
}

inline std::vector<AnswerCase> HardHarmonyCases() {
  const std::string call = "<|channel|>commentary to=functions.";
  return {
      {call + "get_weather <|constrain|>json<|message|>{\"city\": \"Ro", R"(T[get_weather {"city": "Ro])"},
      {call + "get_weather<|message|>{\"city\": Rome}", R"(T[get_weather {"city"]C[: Rome}]!)"},
      Kept(call + "unknown<|message|>{}"),
      {"<|channel|>final <|constrain|>json<|message|>{\"a\": 1}", R"(C[{"a": 1}])"},
      {"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final json<|message|>{}", "R[a]C[{}]"},
      {"<|channel|>final<|message|>a<|end", "C[a<|end]!"},
      {"<|channel|>analysis<|message|>a <|b| <|en c", "R[a <|b| <|en c]"},
      {"<|channel|>analysis<|message|>a<|end|><|start|>assistant", "R[a]"},
      Kept("It rains."),
      Kept("<|channel|>"),
  };
}

inline void AddTranscripts(std::vector<AnswerFamily>& families, const std::string& name, const std::string& template_name,
                           const AnswerStyle& style, const std::vector<AnswerCase>& hard = {}, const ChatPrompt& chat = TestChat()) {
  AnswerFamily family{.name = name + ", transcripts", .templates = {template_name}, .cases = hard, .chat = chat};
  for (const std::vector<Said>& answer : Conversations(style)) family.cases.push_back({style.write(answer), ShownAs(answer, style)});
  families.push_back(std::move(family));
}

// phi-4's template names no tools, and llama.cpp's collection lacks it; this is what it comes to.
constexpr char kPhi4Template[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}";

inline std::vector<AnswerFamily> AllAnswerFamilies() {
  std::vector<AnswerFamily> families = AnswerFamilies();
  AddTranscripts(families, "Llama 3.1", "meta-llama-Llama-3.1-8B-Instruct", LlamaStyle(), HardLlamaCases());
  AddTranscripts(families, "Qwen 2.5", "Qwen-Qwen2.5-7B-Instruct", TagStyle(false), HardTagCases());
  AddTranscripts(families, "Qwen 3", "Qwen-Qwen3-0.6B", TagStyle(true), HardTagCases());
  AddTranscripts(families, "Mistral Nemo", "mistralai-Mistral-Nemo-Instruct-2407", MistralStyle(), HardMistralCases());
  AddTranscripts(families, "Mistral Small 3.2", "Mistral-Small-3.2-24B-Instruct-2506", MistralSmallStyle(),
                 HardNamedCases("[CALL_ID]abcdefghi[ARGS]", "#abcdefghi", " {\"ci]C[ty\":"));
  AddTranscripts(families, "Ministral 3", "mistralai-Ministral-3-14B-Reasoning-2512", MinistralStyle(),
                 HardNamedCases("[ARGS]", "", " {\"city\":]C["));
  AddTranscripts(families, "Hermes 2", "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", TagStyle(false), HardTagCases());
  AddTranscripts(families, "Hermes 3", "NousResearch-Hermes-3-Llama-3.1-8B-tool_use", TagStyle(false), HardTagCases());
  AddTranscripts(families, "DeepSeek R1", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", DeepSeekR1Style(),
                 HardDeepSeekCases("</think>", "function<｜tool▁sep｜>", "\n```json\n", R"(T[get_weather {"c]C[ity": Rome}]!)"));
  AddTranscripts(families, "DeepSeek V3.1", "deepseek-ai-DeepSeek-V3.1", DeepSeekV3Style(),
                 HardDeepSeekCases("", "", "<｜tool▁sep｜>", R"(T[get_weather {"city":]C[Rome}]!)"), WithoutThinking(TestChat()));
  AddTranscripts(families, "Command R7B", "CohereForAI-c4ai-command-r7b-12-2024-tool_use", CommandStyle(), HardCommandCases());
  AddTranscripts(families, "Granite 4.0", "ibm-granite-granite-4.0", TagStyle(false), HardTagCases());
  AddTranscripts(families, "phi-4", kPhi4Template, TagStyle(false), HardTagCases());
  AddTranscripts(families, "gpt-oss", "openai-gpt-oss-120b", HarmonyStyle(), HardHarmonyCases());
  AddTranscripts(families, "generic", "microsoft-Phi-3.5-mini-instruct", TagStyle(false), HardTagCases());
  return families;
}

}  // namespace cllm
