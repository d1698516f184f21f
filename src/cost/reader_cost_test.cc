// Whoever reads what others send takes steps and memory by its length: twice as much costs about twice as much.
#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "api/body_model.h"
#include "api/cllm_dialect.h"
#include "api/embedding_dialects.h"
#include "api/endpoints.h"
#include "api/openai_chat.h"
#include "api/openai_completions.h"
#include "api/token_endpoints.h"
#include "base/json.h"
#include "base/utf8.h"
#include "chat/sse_parser.h"
#include "config/option_table.h"
#include "config/yaml_config.h"
#include "cost/counter.h"
#include "formats/gguf_parser.h"
#include "formats/testing_gguf.h"
#include "http/request_framer.h"
#include "service/stop_matcher.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

struct Reader {
  std::string name;
  std::size_t size;                               // the smallest of three inputs; the others are twice and four times as large
  std::function<std::string(std::size_t)> input;  // of about this size
  std::function<void(const std::string&)> read;
};

void PrintTo(const Reader& reader, std::ostream* out) { *out << reader.name; }

std::string Repeated(std::string_view item, std::size_t count, std::string_view between = "") {
  std::string text;
  text.reserve(count * (item.size() + between.size()));
  for (std::size_t i = 0; i < count; ++i) text.append(i > 0 ? between : "").append(item);
  return text;
}

std::string Numbered(std::string_view before, std::size_t count, std::string_view after, std::string_view between) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text.append(i > 0 ? between : "").append(before).append(std::to_string(i)).append(after);
  return text;
}

void ReadEmbeddings(const std::string& body) { EXPECT_TRUE(OpenAiEmbeddingDialect(ModelCard{.id = "toy"}, {}, 8).Parse(body, {})); }

void ReadJson(const std::string& text) { EXPECT_TRUE(ParseJsonObject(text)); }

template <typename Dialect>
void ReadCall(const Dialect& dialect, const std::string& body) {
  const auto call = dialect.Parse(body);
  EXPECT_TRUE(call) << (call ? "" : call.error().message);
}

void ReadModel(const std::string& body) { ModelOfBody(body); }
void ReadChat(const std::string& body) { ReadCall(OpenAiChatDialect(ModelCard{.id = "m"}, RequestDefaults()), body); }
void ReadCompletion(const std::string& body) { ReadCall(OpenAiCompletionsDialect(ModelCard{.id = "m"}, RequestDefaults()), body); }
void ReadGenerate(const std::string& body) { ReadCall(CllmDialect(CllmDialect::Endpoint::kGenerate, RequestDefaults()), body); }

template <typename Endpoint>
void ReadEndpoint(Endpoint endpoint, const std::string& body) {
  const StopCheck stop = [] { return Status(); };
  MemoryShare memory;
  EXPECT_TRUE(endpoint(ToyTextModel(), body, WorkLimits{stop, memory}));
}

// In pieces, as a connection brings it.
void Frame(const std::string& bytes) {
  RequestFramer framer({});
  std::string buffer;
  for (std::size_t at = 0; at < bytes.size(); at += 1000) {
    buffer += bytes.substr(at, 1000);
    while (true) {
      std::string_view left = buffer;
      const auto progress = framer.Advance(left);
      buffer.erase(0, buffer.size() - left.size());
      ASSERT_TRUE(progress) << progress.error().error.message;
      if (*progress == RequestFramer::Progress::kNeedsMore) break;
      if (*progress == RequestFramer::Progress::kComplete) framer.Reset();
      if (*progress == RequestFramer::Progress::kComplete && buffer.empty()) break;
    }
  }
}

// Stop strings that nearly match everywhere, and text that comes byte by byte.
void Match(const std::string& text) {
  std::vector<std::string> strings;
  for (std::size_t i = 0; i < 16; ++i) strings.push_back(std::string(1000 + i, '=') + static_cast<char>('a' + i));
  StopMatcher matcher(std::make_shared<const StopStrings>(strings));
  for (const char byte : text) matcher.Push(std::string_view(&byte, 1));
}

void MakeStops(const std::string& text) { const StopStrings stops({text, text + "a", "b" + text}); }

void ReadYaml(const std::string& text) {
  OptionTable table;
  ReadYamlText(text, "test.yaml", table);
}

void ReadGguf(const std::string& bytes) { EXPECT_TRUE(ParseGguf(std::as_bytes(std::span(bytes)), "test.gguf")); }

void ReadEvents(const std::string& bytes) {
  SseParser parser;
  for (std::size_t at = 0; at < bytes.size(); at += 7) {
    EXPECT_TRUE(parser.Push(std::string_view(bytes).substr(at, 7), [](std::string_view) { return Status(); }));
  }
}

void Assemble(const std::string& bytes) {
  Utf8Assembler assembler;
  for (const char byte : bytes) assembler.Push(std::string_view(&byte, 1));
}

std::string Chat(const std::string& messages) { return R"({"messages": [)" + messages + "]}"; }

std::vector<Reader> Readers() {
  constexpr std::string_view kMessage = R"({"role": "user", "content": "a", "name": "b"})";
  return {
      {"JsonElements", 20'000, [](std::size_t n) { return "{\"a\": [" + Repeated("{}", n, ",") + "]}"; }, ReadJson},
      {"JsonLists", 20'000, [](std::size_t n) { return "{\"a\": [" + Repeated("[[]]", n, ",") + "]}"; }, ReadJson},
      {"JsonNumbers", 20'000, [](std::size_t n) { return "{\"a\": [" + Repeated("-1.5e3", n, ",") + "]}"; }, ReadJson},
      {"JsonKeys", 500, [](std::size_t n) { return "{" + Numbered("\"", n, "\": 1", ",") + "}"; }, ReadJson},
      {"JsonKeysAlike", 500, [](std::size_t n) { return "{" + Repeated("\"a\": 1", n, ",") + "}"; }, ReadJson},
      {"JsonKeysBehindALongOne", 500,
       [](std::size_t n) { return "{\"x\": [" + Repeated("[1]", 100, ",") + "]," + Numbered("\"", n, "\": {}", ",") + "}"; }, ReadJson},
      {"JsonObjectsOfKeys", 50,
       [](std::size_t n) { return "{\"a\": [" + Repeated("{" + Numbered("\"", 100, "\": 1", ",") + "}", n, ",") + "]}"; }, ReadJson},
      {"JsonString", 100'000, [](std::size_t n) { return "{\"a\": \"" + std::string(n, 'x') + "\"}"; }, ReadJson},
      {"JsonEscapes", 20'000, [](std::size_t n) { return "{\"a\": \"" + Repeated("\\u00e4\\n", n) + "\"}"; }, ReadJson},
      {"JsonBlanks", 100'000, [](std::size_t n) { return "{" + std::string(n, ' ') + "}"; }, ReadJson},
      {"ChatMessages", 1000, [=](std::size_t n) { return Chat(Repeated(kMessage, n, ",")); }, ReadChat},
      {"ChatParts", 1000,
       [](std::size_t n) { return Chat(R"({"role": "user", "content": [)" + Repeated(R"({"type": "text", "text": "a"})", n, ",") + "]}"); },
       ReadChat},
      {"ChatUnknownFields", 1000,
       [=](std::size_t n) { return Chat(Repeated(R"({"role": "user", "content": "a", "never_heard_of": 1})", n, ",")); }, ReadChat},
      {"ChatHints", 400,
       [=](std::size_t n) {
         return "{" + Numbered("\"zzzzzzzz", 200, "\": 1,", "") + R"("messages": [)" + Repeated(kMessage, n, ",") + "]}";
       },
       ReadChat},
      {"CompletionTokens", 20'000, [](std::size_t n) { return "{\"prompt\": [" + Repeated("7", n, ",") + "]}"; }, ReadCompletion},
      {"CompletionParts", 5000, [](std::size_t n) { return "{\"prompt\": [1," + Repeated("\"a\", 7", n, ",") + "]}"; }, ReadCompletion},
      {"ModelOfKeys", 20'000, [](std::size_t n) { return "{" + Repeated(R"("m\u006fdel": "a\n",)", n) + "}"; }, ReadModel},
      {"ModelOfText", 100'000, [](std::size_t n) { return R"({"model": ")" + Repeated(R"(\")", n); }, ReadModel},
      {"GenerateText", 100'000, [](std::size_t n) { return "{\"prompt\": \"" + std::string(n, 'x') + "\"}"; }, ReadGenerate},
      {"Tokenize", 10'000, [](std::size_t n) { return R"({"with_pieces": true, "content": ")" + std::string(n, 'x') + "\"}"; },
       [](const std::string& body) { ReadEndpoint(TokenizeBody, body); }},
      {"Detokenize", 10'000, [](std::size_t n) { return "{\"tokens\": [" + Repeated("97", n, ",") + "]}"; },
       [](const std::string& body) { ReadEndpoint(DetokenizeBody, body); }},
      {"EmbeddingTokens", 20'000, [](std::size_t n) { return "{\"input\": [" + Repeated("7", n, ",") + "]}"; }, ReadEmbeddings},
      {"EmbeddingTexts", 500, [](std::size_t n) { return "{\"input\": [" + Repeated("\"a text\"", n, ",") + "]}"; }, ReadEmbeddings},
      {"HttpBody", 100'000,
       [](std::size_t n) {
         return "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(n) + "\r\n\r\n" + std::string(n, 'x');
       },
       Frame},
      {"HttpChunks", 20'000,
       [](std::size_t n) {
         return "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + Repeated("1\r\nx\r\n", n) + "0\r\n\r\n";
       },
       Frame},
      {"HttpRequests", 500, [](std::size_t n) { return Repeated("GET /health HTTP/1.1\r\nHost: h\r\n\r\n", n); }, Frame},
      {"HttpTarget", 1500, [](std::size_t n) { return "GET /" + Repeated("%41", n / 3) + " HTTP/1.1\r\nHost: h\r\n\r\n"; }, Frame},
      {"StopMatches", 20'000, [](std::size_t n) { return std::string(n, '='); }, Match},
      {"StopNearMatches", 20'000, [](std::size_t n) { return Repeated(std::string(999, '=') + "z", n / 1000); }, Match},
      {"StopStrings", 250, [](std::size_t n) { return Repeated("ab", n / 2); }, MakeStops},
      {"YamlKeys", 500, [](std::size_t n) { return Numbered("key", n, ": 1\n", ""); }, ReadYaml},
      {"GgufEntries", 2000,
       [](std::size_t n) {
         TestingGguf file;
         for (std::size_t i = 0; i < n; ++i) file.Uint32("key" + std::to_string(i), 1);
         return file.Bytes();
       },
       ReadGguf},
      {"GgufStrings", 2000, [](std::size_t n) { return TestingGguf().Strings("tokens", std::vector<std::string>(n, "token")).Bytes(); },
       ReadGguf},
      {"GgufTensors", 1000,
       [](std::size_t n) {
         TestingGguf file;
         for (std::size_t i = 0; i < n; ++i) file.Tensor("tensor" + std::to_string(i), {8}, 0, 32);
         return file.Bytes();
       },
       ReadGguf},
      {"Events", 5000, [](std::size_t n) { return Repeated("data: {}\n\n", n); }, ReadEvents},
      {"EventOfManyLines", 5000, [](std::size_t n) { return Repeated("data: x\r\n", n) + "\r\n"; }, ReadEvents},
      {"Utf8", 20'000, [](std::size_t n) { return Repeated("\xF0\x9F\x98\x80\xFF\xE4", n / 6); }, Assemble},
  };
}

class ReaderCostTest : public testing::TestWithParam<Reader> {};

TEST_P(ReaderCostTest, IsByTheLength) {
  const Reader& reader = GetParam();
  const auto cost_of = [&](std::size_t size) {
    const std::string input = reader.input(size);
    return CostOf([&] { reader.read(input); });
  };
  // A logarithm, as of sorting, and what a vector asks for when it grows.
  constexpr double kSteps = 2.5;
  constexpr double kAllocated = 2.6;
  Cost before = cost_of(reader.size);
  EXPECT_GT(before.steps, 100) << "its steps are not counted";
  for (const std::size_t times : {2U, 4U}) {
    const Cost cost = cost_of(times * reader.size);
    EXPECT_LE(static_cast<double>(cost.steps), kSteps * static_cast<double>(before.steps)) << times;
    EXPECT_LE(static_cast<double>(cost.allocated), kAllocated * static_cast<double>(before.allocated) + 1000) << times;
    before = cost;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReaderCostTest, testing::ValuesIn(Readers()), [](const auto& reader) { return reader.param.name; });

}  // namespace
}  // namespace cllm
