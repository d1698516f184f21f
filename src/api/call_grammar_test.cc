// Calls that come by chance from the grammars of llama.cpp's templates: each is read as one, and keeps its tool's schema.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/testing_build.h"
#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"
#include "model/chat_template.h"
#include "schema/closed_objects.h"
#include "schema/schema_check.h"
#include "schema/schema_validator.h"
#include "service/answer_constraint.h"

namespace cllm {
namespace {

constexpr char kHarvest[] = R"({"type":"object","properties":{
  "city":{"type":"string","enum":["Rome","São Tomé","a \"b\" <c"]},
  "days":{"type":"integer","minimum":1,"maximum":9},
  "note":{"type":"string"},
  "code":{"type":"string","pattern":"^[a-z]{2,4}-[0-9]$"},
  "short":{"type":"string","minLength":1,"maxLength":5},
  "on":{"type":"string","format":"date"},
  "id":{"type":"string","format":"uuid"},
  "when":{"$ref":"#/$defs/time"},
  "tags":{"type":"array","items":{"type":"string","enum":["x","y</parameter>"]},"maxItems":3},
  "ok":{"type":"boolean"},
  "ratio":{"type":"number","minimum":0,"maximum":1},
  "or":{"type":["string","null"]},
  "mixed":{"anyOf":[{"type":"string"},{"type":"integer","minimum":5,"maximum":7}]}},
  "required":["days","city","when","code"],"additionalProperties":false,
  "$defs":{"time":{"type":"object","properties":{"hour":{"type":"integer","minimum":0,"maximum":23}},
    "required":["hour"],"additionalProperties":false}}})";

ChatTool ToolOf(const std::string& name, const Json& schema) {
  const auto checked = CheckSchema(schema, SchemaMode::kStrict);
  EXPECT_TRUE(checked) << (checked ? "" : checked.error().message);
  return {.name = name,
          .description = "Does it",
          .parameters = Dump(schema),
          .enforced = Dump(WithClosedObjects(checked->enforced)),
          .is_strict = true};
}

GenerateRequest Demanding(const std::string& schema, ToolChoice::Kind kind = ToolChoice::Kind::kRequired) {
  ChatPrompt chat{.messages = {{.role = "user", .content = "Hi"}}, .tool_choice = {.kind = kind}, .parallel_tool_calls = false};
  chat.tools = {ToolOf("harvest", Json::parse(schema)),
                ToolOf("wait", Json::parse(R"({"type":"object","properties":{},"additionalProperties":false})"))};
  GenerateRequest request;
  request.prompt = chat;
  return request;
}

std::vector<std::string> TemplateNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(CLLM_LLAMA_CPP_SOURCE "/models/templates")) {
    if (entry.path().extension() == ".jinja") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

// A template with a vocabulary of bytes and of what it speaks of as control tokens.
struct Speaker {
  std::string name;
  GenerateRequest request;
  EncodedPrompt encoded;
  std::unique_ptr<GrammarCompiler> compiler;
  std::optional<AnswerGrammarSource> grammar;
  Error error = {};

  std::string Piece(std::int32_t token) const {
    return token < kEndOfBytes ? std::string(1, static_cast<char>(token))
                               : encoded.marks[static_cast<std::size_t>(token - kEndOfBytes - 1)].text;
  }
};

Speaker SpeakerOf(const std::string& name, GenerateRequest request) {
  Speaker speaker{.name = name, .request = std::move(request)};
  std::ifstream file(CLLM_LLAMA_CPP_SOURCE "/models/templates/" + name + ".jinja");
  const auto made = ChatTemplate::FromText({std::istreambuf_iterator<char>(file), {}}, "<s>", "</s>");
  const auto prepared = made->Prepare(std::get<ChatPrompt>(speaker.request.prompt));
  if (!prepared) return speaker;  // it refuses the messages
  speaker.encoded.format = prepared->format;
  speaker.encoded.frame = prepared->frame;
  Vocabulary vocabulary = ByteVocabulary();
  for (const std::string& text : prepared->format->preserved_tokens()) {
    speaker.encoded.marks.push_back({.text = text, .token = static_cast<std::int32_t>(vocabulary.pieces.size())});
    vocabulary.pieces.emplace_back();
  }
  speaker.compiler =
      std::make_unique<GrammarCompiler>([vocabulary] { return vocabulary; }, GrammarOptions{.compile_command = {CLLM_GRAMMAR_CHILD}});
  auto grammar = GrammarOf(speaker.request, speaker.encoded);
  if (grammar) {
    speaker.grammar = std::move(*grammar);
  } else {
    speaker.error = grammar.error();
  }
  return speaker;
}

// Whether arguments have places of their own, or a schema for all of them.
bool IsFramed(const Speaker& speaker) {
  return speaker.encoded.frame && (!speaker.encoded.frame->arguments.empty() || speaker.encoded.frame->grammar.contains(PlaceInFrame(0)));
}

// Draws an answer, of which it likes to come to an end.
class Drawer {
 public:
  Drawer(const Speaker& speaker, std::uint64_t seed) : speaker_(speaker), seed_(seed) {
    for (const FramedArgument& argument : speaker.encoded.frame->arguments) {
      if (!argument.excluded.empty()) mark_ = argument.excluded.back();
    }
  }

  // Nothing where it takes too long.
  std::optional<std::string> Draw(TokenConstraint& constraint) {
    std::string text;
    while (text.size() < 4000) {
      const auto next = constraint.Next(std::chrono::seconds(60));
      if (!next || !*next) return "error: " + (next ? "late" : next.error().message);
      const TokenMask mask = **next;
      const std::int32_t token = mask.is_end ? kEndOfBytes : mask.forced.empty() ? Choose(mask) : mask.forced.front();
      if (token == kEndOfBytes) return text;
      text += speaker_.Piece(token);
      constraint.Accept(token);
    }
    return std::nullopt;
  }

 private:
  double Random() { return UniformAt(seed_, 0, place_++); }

  std::int32_t Choose(const TokenMask& mask) {
    std::vector<std::int32_t> may_come;
    const auto tokens = static_cast<std::int32_t>(kEndOfBytes + 1 + speaker_.encoded.marks.size());
    for (std::int32_t token = 0; token < tokens; ++token) {
      if (mask.Allows(token)) may_come.push_back(token);
    }
    if (mask.Allows(kEndOfBytes)) return kEndOfBytes;
    constexpr std::size_t kFree = 60;
    if (may_come.size() < kFree) return may_come[static_cast<std::size_t>(Random() * static_cast<double>(may_come.size()))];
    if (at_ == 0 && Random() < 0.4) at_ = 1;
    if (at_ > 0 && at_ <= mark_.size()) {
      const std::int32_t wanted = static_cast<unsigned char>(mark_[at_ - 1]);
      if (mask.Allows(wanted)) return ++at_, wanted;
    }
    at_ = 0;
    if (may_come.back() > kEndOfBytes && Random() < 0.3) return may_come.back();
    if (mask.Allows('"') && Random() < 0.3) return '"';
    return may_come[static_cast<std::size_t>(Random() * static_cast<double>(may_come.size()))];
  }

  const Speaker& speaker_;
  const std::uint64_t seed_;
  std::uint64_t place_ = 0;
  std::string mark_ = "<";
  std::size_t at_ = 0;  // in it
};

// The calls of an answer, or why it has none: "harvest{…}".
std::string ReadCalls(const Speaker& speaker, const std::string& text) {
  AnswerParser parser(speaker.encoded.format);
  std::vector<AnswerPart> parts = parser.Add(text);
  auto last = parser.End(true);
  if (!last) return "error: " + last.error().message;
  parts.insert(parts.end(), last->begin(), last->end());
  std::string calls;
  for (const AnswerPart& part : parts) {
    if (part.kind == AnswerPart::Kind::kToolCall) calls += part.call_name + part.text;
  }
  return calls;
}

// Formats of which the grammar lets more come than the parser reads: a demanded call that nobody can read is an error then.
constexpr std::array kLooserThanRead = {"Kimi-K3", "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "Qwen3.5-4B", "StepFun3.5-Flash",
                                        "openai-gpt-oss-120b"};

void ExpectKept(const Speaker& speaker, const SchemaValidator& validator, const std::string& text) {
  const std::string call = ReadCalls(speaker, text);
  if (call.starts_with("wait{") && call.find_first_not_of(" \t\r\n}", 5) == std::string::npos) return;
  if (call.starts_with("error: ") && std::ranges::find(kLooserThanRead, speaker.name) != kLooserThanRead.end()) return;
  ASSERT_TRUE(call.starts_with("harvest{")) << speaker.name << ": " << call << "\n" << text;
  const auto arguments = ParseJson(call.substr(7), DuplicateNames::kAreErrors);
  ASSERT_TRUE(arguments) << speaker.name << ": " << arguments.error().message << "\n" << text;
  const Status status = validator.Validate(*arguments);
  EXPECT_TRUE(status) << speaker.name << ": " << (status ? "" : status.error().message) << "\n" << text << "\n" << call;
}

TEST(CallGrammarTest, EveryCallThatComesByChanceIsReadAndKeepsItsSchema) {
  const auto validator = SchemaValidator::Compile(Json::parse(kHarvest));
  ASSERT_TRUE(validator);
  std::set<std::string> unframed;
  int one_by_one = 0;
  int drawn = 0;
  int endless = 0;
  const std::vector<std::string> names = TemplateNames();
  for (std::size_t i = 0; i < names.size(); i += kIsSanitized ? 24 : 1) {
    const Speaker speaker = SpeakerOf(names[i], Demanding(kHarvest));
    if (!speaker.grammar) continue;
    if (!IsFramed(speaker)) {
      unframed.insert(names[i]);
      continue;
    }
    one_by_one += speaker.encoded.frame->arguments.empty() ? 0 : 1;
    const auto compiled = speaker.compiler->Compile(speaker.grammar->source, 0, {});
    if (kIsSanitized && !compiled) continue;  // it takes more time there than a grammar may
    ASSERT_TRUE(compiled) << names[i] << ": " << compiled.error().message << "\n" << speaker.grammar->source.frame;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const auto constraint = speaker.compiler->Constrain(*compiled);
      const auto text = Drawer(speaker, seed).Draw(*constraint);
      ++(text ? drawn : endless);
      if (text) ExpectKept(speaker, *validator, *text);
    }
  }
  std::string without;
  for (const std::string& name : unframed) without += " " + name;
  std::printf("%d calls, %d without an end; %d templates write arguments one by one; without a frame:%s\n", drawn, endless, one_by_one,
              without.c_str());
  EXPECT_TRUE(kIsSanitized || one_by_one >= 15);
}

}  // namespace
}  // namespace cllm
