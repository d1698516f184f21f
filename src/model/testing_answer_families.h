// Texts as models of many families write them, after their published formats, and what they mean.
#pragma once

#include <string>
#include <vector>

#include "model/testing_answers.h"

namespace cllm {

struct AnswerCase {
  std::string text;
  std::string expected;  // as ReadAnswer::Shown
};

struct AnswerFamily {
  std::string name;
  std::vector<std::string> templates;
  std::vector<AnswerCase> cases;
  ChatPrompt chat = TestChat();
};

inline std::vector<AnswerCase> ToolCallTagCases() {
  const std::string rome = R"({"name": "get_weather", "arguments": {"city": "Rome"}})";
  return {
      {"It rains.", "C[It rains.]"},
      {"<tool_call>\n" + rome + "\n</tool_call>", R"(T[get_weather {"city": "Rome"}])"},
      {"Let me see.\n<tool_call>\n" + rome + "\n</tool_call>", R"(C[Let me see.]T[get_weather {"city": "Rome"}])"},
      {"<tool_call>\n" + rome + "\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>",
       R"(T[get_weather {"city": "Rome"}]T[now {}])"},
      {"<tool_call>\n" + rome + "\n</tool_call>\nThat was it.", R"(T[get_weather {"city": "Rome"}]C[That was it.])"},
      {"a <tool_call>\n" + rome + "\n</tool_call> b <tool_call>\n" + rome + "\n</tool_call> c",
       R"(C[a]T[get_weather {"city": "Rome"}]C[b]T[get_weather {"city": "Rome"}]C[c])"},
      {"Use <tool_call> to call, as in <tool_call>{}.", "C[Use <tool_call> to call, as in <tool_call>{}.]"},
      {"<tool_call>\n{\"name\": \"unknown\", \"arguments\": {}}\n</tool_call>",
       "C[<tool_call>\n{\"name\": \"unknown\", \"arguments\": {}}\n</tool_call>]"},
      {"<tool_call>\n{\"name\": \"get_weather_map\", \"arguments\": {\"zoom\": 1.5}}\n</tool_call>", R"(T[get_weather_map {"zoom": 1.5}])"},
      {"<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"São Tomé 😀 \\\" } ]\"}}\n</tool_call>",
       R"(T[get_weather {"city": "São Tomé 😀 \" } ]"}])"},
      {"<tool_call>\n{\"name\": \"get_weather\", \"arguments\": \"Rome\"}\n</tool_call>",
       "C[<tool_call>\n{\"name\": \"get_weather\", \"arguments\": \"Rome\"}\n</tool_call>]"},
      {"<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"a\nb\"}}\n</tool_call>",
       R"(T[get_weather {"city": "a\u000ab"}])"},
      {"1 < 2 and <tool", "C[1 < 2 and <tool]"},
  };
}

inline ChatPrompt WithoutThinking(ChatPrompt chat) {
  chat.template_arguments["enable_thinking"] = "false";
  return chat;
}

inline void AddFamiliesOfJson(std::vector<AnswerFamily>& families) {
  families.push_back(
      {"Llama 3",
       {"meta-llama-Llama-3.1-8B-Instruct", "meta-llama-Llama-3.2-3B-Instruct", "meta-llama-Llama-3.3-70B-Instruct"},
       {
           {"It rains.", "C[It rains.]"},
           {R"({"name": "get_weather", "parameters": {"city": "Rome"}})", R"(T[get_weather {"city": "Rome"}])"},
           {R"({"name": "get_weather", "parameters": {"city": "Rome", "days": 3}})", R"(T[get_weather {"city": "Rome", "days": 3}])"},
           {R"({"name": "now", "parameters": {}})", "T[now {}]"},
           {"A set is {1, 2}, an object is {\"a\": 1}.", "C[A set is {1, 2}, an object is {\"a\": 1}.]"},
           {"int main() { if (a) { return 1; } }", "C[int main() { if (a) { return 1; } }]"},
           {R"(Sure: {"name": "now", "parameters": {}})", "C[Sure:]T[now {}]"},
           {R"({"name": "unknown", "parameters": {}})", R"(C[{"name": "unknown", "parameters": {}}])"},
           {R"({"name": "get_weather", "parameters": {"city": "a } b"}})", R"(T[get_weather {"city": "a } b"}])"},
           {R"({"name": "now", "parameters": {}} and more)", "T[now {}]C[and more]"},
           {"{", "C[{]"},
           {R"({"name)", R"(C[{"name])"},
       }});
  for (const char* name : {"Qwen-Qwen2.5-7B-Instruct", "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
                           "NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "ibm-granite-granite-4.0", "Qwen-Qwen3-0.6B"}) {
    families.push_back({name, {name}, ToolCallTagCases()});
  }
}

inline void AddFamiliesOfMarkedJson(std::vector<AnswerFamily>& families) {
  const std::string rome = R"({"name": "get_weather", "arguments": {"city": "Rome"}})";
  families.push_back(
      {"Qwen 3 that thinks",
       {"Qwen-Qwen3-0.6B"},
       {
           {"<think>\nHm.\n</think>\n\nIt rains.", "R[Hm.\n]C[It rains.]"},
           {"<think>\n\n</think>\n\nIt rains.", "C[It rains.]"},
           {"<think>Hm</think><tool_call>\n" + rome + "\n</tool_call>", R"(R[Hm]T[get_weather {"city": "Rome"}])"},
           {"<think>\nHm <tool_call> or not", "R[Hm <tool_call> or not]"},
           {"<think>Hm</think>\n\nSo:\n<tool_call>\n" + rome + "\n</tool_call>", R"(R[Hm]C[So:]T[get_weather {"city": "Rome"}])"},
           {"<thin", "C[<thin]"},
           {"<think>a</thi", "R[a</thi]"},
           {"<think>a < b</think>c < d", "R[a < b]C[c < d]"},
       }});
  families.push_back(
      {"Mistral Nemo",
       {"mistralai-Mistral-Nemo-Instruct-2407"},
       {
           {"It rains.", "C[It rains.]"},
           {R"([TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Rome"}, "id": "abc123def"}])",
            R"(T[get_weather#abc123def {"city": "Rome"}])"},
           {R"([TOOL_CALLS][{"name": "now", "arguments": {}, "id": "abc123def"}, {"name": "get_weather", "arguments": {"city": "Rome"}, "id": "abc123deg"}])",
            R"(T[now#abc123def {}]T[get_weather#abc123deg {"city": "Rome"}])"},
           {R"([TOOL_CALLS][{"name": "now", "arguments": {}, "id": "a"}, {"name": "now", "arguments": {}, "id": "a"}])",
            "T[now#a {}]T[now {}]"},
           {R"([TOOL_CALLS][{"name": "now", "arguments": {}}])", "T[now {}]"},
           {R"(So: [TOOL_CALLS][{"name": "now", "arguments": {}, "id": "abc123def"}])", "C[So:]T[now#abc123def {}]"},
           {R"([TOOL_CALLS][{"name": "no", "arguments": {}}])", R"(C[[TOOL_CALLS][{"name": "no", "arguments": {}}]])"},
           {"[TOOL_CALLS] is a token, [1] a list", "C[[TOOL_CALLS] is a token, [1] a list]"},
       }});
}

inline void AddFamiliesOfDeepSeek(std::vector<AnswerFamily>& families) {
  const std::vector<AnswerCase> thoughts = {
      {"Hm.</think>It rains.", "R[Hm.]C[It rains.]"}, {"Hm.\n</think>\n\nIt rains.", "R[Hm.\n]C[\n\nIt rains.]"},
      {"</think>It rains.", "C[It rains.]"},          {"It may", "R[It may]"},
      {"a </thin b</think>c", "R[a </thin b]C[c]"},   {"a</think>b</think>c", "R[a]C[b</think>c]"},
  };
  for (const char* name :
       {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "llama-cpp-deepseek-r1", "Qwen-QwQ-32B"}) {
    families.push_back({std::string(name) + " without tools", {name}, thoughts, TestChat(false)});
  }
  const std::string begin = "<｜tool▁calls▁begin｜>";
  const std::string call = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"city\": \"Rome\"}\n```<｜tool▁call▁end｜>";
  families.push_back({"DeepSeek R1",
                      {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "llama-cpp-deepseek-r1"},
                      {
                          {"Hm.</think>It rains.", "R[Hm.]C[It rains.]"},
                          {"Hm.</think>" + begin + call + "<｜tool▁calls▁end｜>", R"(R[Hm.]T[get_weather {"city": "Rome"}])"},
                          {"Hm.</think>So." + begin + call + "<｜tool▁calls▁end｜>", R"(R[Hm.]C[So.]T[get_weather {"city": "Rome"}])"},
                          {"Hm.</think>" + begin + call + "\n" + call + "<｜tool▁calls▁end｜>",
                           R"(R[Hm.]T[get_weather {"city": "Rome"}]T[get_weather {"city": "Rome"}])"},
                          {"Hm.</think>" + begin + "nothing", "R[Hm.]C[" + begin + "nothing]"},
                          {"Hm.</think>" + begin + call + "<｜tool▁calls▁end｜>More.", R"(R[Hm.]T[get_weather {"city": "Rome"}]C[More.])"},
                          {"Hm <｜tool", "R[Hm <｜tool]"},
                          {"Hm</think>a <｜tool", "R[Hm]C[a <｜tool]"},
                      }});
  const std::string v3 = "<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Rome\"}<｜tool▁call▁end｜>";
  families.push_back({"DeepSeek V3.1",
                      {"deepseek-ai-DeepSeek-V3.1"},
                      {
                          {"It rains.", "C[It rains.]"},
                          {begin + v3 + "<｜tool▁calls▁end｜>", R"(T[get_weather {"city": "Rome"}])"},
                          {"So." + begin + v3 + "<｜tool▁calls▁end｜>", R"(C[So.]T[get_weather {"city": "Rome"}])"},
                          {begin + v3 + v3 + "<｜tool▁calls▁end｜>", R"(T[get_weather {"city": "Rome"}]T[get_weather {"city": "Rome"}])"},
                          {begin + v3 + "<｜tool▁calls▁end｜> More", R"(T[get_weather {"city": "Rome"}]C[ More])"},
                          {begin, "C[" + begin + "]"},
                      },
                      WithoutThinking(TestChat())});
}

inline void AddFamiliesOfChannels(std::vector<AnswerFamily>& families) {
  families.push_back({"Command R7B",
                      {"CohereForAI-c4ai-command-r7b-12-2024-tool_use"},
                      {
                          {"<|START_RESPONSE|>It rains.<|END_RESPONSE|>", "C[It rains.]"},
                          {"<|START_THINKING|>Hm<|END_THINKING|><|START_RESPONSE|>It rains.<|END_RESPONSE|>", "R[Hm]C[It rains.]"},
                          {"<|START_THINKING|>Hm<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": "
                           "\"get_weather\", \"parameters\": {\"city\": \"Rome\"}}\n]<|END_ACTION|>",
                           R"(R[Hm]T[get_weather#0 {"city": "Rome"}])"},
                          {"<|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": \"now\", \"parameters\": {}}, {\"tool_call_id\": "
                           "\"1\", \"tool_name\": \"now\", \"parameters\": {}}]<|END_ACTION|>",
                           "T[now#0 {}]T[now#1 {}]"},
                          {"<|START_ACTION|>[{\"tool_name\": \"now\", \"parameters\": {}}]<|END_ACTION|>", "T[now {}]"},
                          {"<|START_RESPONSE|>It rai", "C[It rai]"},
                          {"<|START_THINKING|>Hm", "R[Hm]"},
                          {"It rains.", "C[It rains.]"},
                      }});
  families.push_back({"Granite 3.3 without tools",
                      {"ibm-granite-granite-3.3-2B-Instruct"},
                      {
                          {"It rains.", "C[It rains.]"},
                          {"<think>Hm</think>It rains.", "R[Hm]C[It rains.]"},
                          {"<think>Hm", "R[Hm]"},
                      },
                      TestChat(false)});
  families.push_back(
      {"gpt-oss",
       {"openai-gpt-oss-120b"},
       {
           {"<|channel|>final<|message|>It rains.", "C[It rains.]"},
           {"<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>It rains.", "R[Hm]C[It rains.]"},
           {"<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather "
            "<|constrain|>json<|message|>{\"city\": \"Rome\"}",
            R"(R[Hm]T[get_weather {"city": "Rome"}])"},
           {"<|channel|>commentary to=functions.get_weather<|message|>{\"city\": \"Rome\"}", R"(T[get_weather {"city": "Rome"}])"},
           {" to=functions.get_weather<|channel|>commentary json<|message|>{\"city\": \"Rome\"}", R"(T[get_weather {"city": "Rome"}])"},
           {"<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>commentary<|message|>First.<|end|>"
            "<|start|>assistant<|channel|>commentary to=functions.now<|message|>{}",
            "R[Hm]C[First.]T[now {}]"},
           {"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>b<|end|><|start|>assistant"
            "<|channel|>final<|message|>c",
            "R[ab]C[c]"},
           {"<|channel|>analysis<|message|>Hm", "R[Hm]"},
           {"<|channel|>final<|message|>a <| b", "C[a <| b]"},
           {"<|channel|>commentary to=functions.get_weather_map<|message|>{}", "T[get_weather_map {}]"},
       }});
}

inline void AddFamiliesOfFunctions(std::vector<AnswerFamily>& families) {
  families.push_back({"Functionary 3.1",
                      {"meetkai-functionary-medium-v3.1"},
                      {
                          {"It rains.", "C[It rains.]"},
                          {"<function=get_weather>{\"city\": \"Rome\"}</function>", R"(T[get_weather {"city": "Rome"}])"},
                          {"So.<function=now>{}</function>", "C[So.]T[now {}]"},
                          {"<function=now>{}</function>\n<function=now>{}</function>", "T[now {}]T[now {}]"},
                          {"<function=nothing>{}</function>", "C[<function=nothing>{}</function>]"},
                          {"std::function<int()>", "C[std::function<int()>]"},
                      }});
  families.push_back({"Functionary 3.2",
                      {"meetkai-functionary-medium-v3.2"},
                      {
                          {"all\nIt rains.", "C[It rains.]"},
                          {"get_weather\n{\"city\": \"Rome\"}", R"(T[get_weather {"city": "Rome"}])"},
                          {"get_weather_map\n{}", "T[get_weather_map {}]"},
                          // llama.cpp does not know of a call behind content.
                          {"all\nSo.>>>now\n{}", "C[So.>>>now\n{}]"},
                      }});
  const std::string parameter = "<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n";
  families.push_back({"Qwen 3 Coder",
                      {"Qwen3-Coder"},
                      {
                          {"It rains.", "C[It rains.]"},
                          {parameter + "</function>\n</tool_call>", R"(T[get_weather {"city":"Rome"}])"},
                          {"So.\n" + parameter + "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
                           R"(C[So.]T[get_weather {"city":"Rome","days":3}])"},
                          {"<tool_call>\n<function=now>\n</function>\n</tool_call>", "T[now {}]"},
                          {"<tool_call>\n<function=get_weather>\n<parameter=city>\nRome \"{[\n</parameter>\n</function>\n</tool_call>",
                           R"(T[get_weather {"city":"Rome \"{["}])"},
                          {"<tool_call> and <function=", "C[<tool_call> and <function=]"},
                      }});
}

inline std::vector<AnswerFamily> AnswerFamilies() {
  std::vector<AnswerFamily> families;
  AddFamiliesOfJson(families);
  AddFamiliesOfMarkedJson(families);
  AddFamiliesOfDeepSeek(families);
  AddFamiliesOfChannels(families);
  AddFamiliesOfFunctions(families);
  return families;
}

}  // namespace cllm
