// Answers of tests, read whole or in pieces, as one line.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat_template.h"

namespace cllm {

inline std::string WholeFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Of llama.cpp's collection; a template itself is its own.
inline std::string TemplateFile(const std::string& name) {
  if (name.starts_with("{%")) return name;
  return WholeFile(std::filesystem::path(CLLM_LLAMA_CPP_SOURCE) / "models" / "templates" / (name + ".jinja"));
}

inline std::vector<ChatTool> TestTools() {
  return {
      {.name = "get_weather",
       .description = "The weather of a city",
       .parameters = R"({"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]})"},
      {.name = "get_weather_map", .description = "A map", .parameters = R"({"type":"object","properties":{"zoom":{"type":"number"}}})"},
      {.name = "now", .description = "The time", .parameters = R"({"type":"object","properties":{}})"},
  };
}

inline ChatPrompt TestChat(bool with_tools = true) {
  ChatPrompt chat{.messages = {{.role = "user", .content = "Weather in Rome?"}}};
  if (with_tools) chat.tools = TestTools();
  return chat;
}

inline std::shared_ptr<const AnswerFormat> FormatOf(const std::string& name, const ChatPrompt& chat) {
  const auto prepared = ChatTemplate::FromText(TemplateFile(name), "<s>", "</s>")->Prepare(chat);
  return prepared ? prepared->format : AnswerFormat::Plain(prepared.error().message);
}

struct ReadAnswer {
  std::vector<AnswerPart> parts;  // neighbours of one kind joined
  Error error;                    // of End
  bool fell_back = false;
  std::size_t parsed_bytes = 0;

  std::string Text(AnswerPart::Kind kind) const {
    std::string text;
    for (const AnswerPart& part : parts) {
      if (part.kind == kind) text += part.text;
    }
    return text;
  }
  // "R[thoughts]C[content]T[name arguments]", the id with "#" where it isn't generated, "!" behind all where the parser fell back.
  std::string Shown() const {
    std::string shown;
    for (const AnswerPart& part : parts) {
      if (part.kind == AnswerPart::Kind::kToolCall) {
        shown += "T[" + part.call_name + (part.call_id.starts_with("id") ? "" : "#" + part.call_id) + " " + part.text + "]";
      } else {
        shown += (part.kind == AnswerPart::Kind::kContent ? "C[" : "R[") + part.text + "]";
      }
    }
    if (!error.message.empty()) return shown + "E";
    return shown + (fell_back ? "!" : "");
  }
};

class AnswerReader {
 public:
  explicit AnswerReader(const std::shared_ptr<const AnswerFormat>& format)
      : parser_(format, [this] { return "id" + std::to_string(ids_++); }) {}

  void Add(std::string_view text) { Join(parser_.Add(text)); }
  ReadAnswer End(bool complete = true) {
    auto last = parser_.End(complete);
    if (last) {
      Join(*last);
    } else {
      answer_.error = last.error();
    }
    answer_.fell_back = parser_.fell_back();
    answer_.parsed_bytes = parser_.parsed_bytes();
    return answer_;
  }
  AnswerParser& parser() { return parser_; }

 private:
  void Join(const std::vector<AnswerPart>& parts) {
    for (const AnswerPart& part : parts) {
      const bool goes_on = !answer_.parts.empty() && answer_.parts.back().kind == part.kind && part.call_name.empty() &&
                           answer_.parts.back().call == part.call;
      if (goes_on) {
        answer_.parts.back().text += part.text;
      } else {
        answer_.parts.push_back(part);
      }
    }
  }

  int ids_ = 0;
  AnswerParser parser_;
  ReadAnswer answer_;
};

inline ReadAnswer ReadWhole(const std::shared_ptr<const AnswerFormat>& format, std::string_view text, bool complete = true) {
  AnswerReader reader(format);
  reader.Add(text);
  return reader.End(complete);
}

inline ReadAnswer ReadInPieces(const std::shared_ptr<const AnswerFormat>& format, std::string_view text, std::size_t most,
                               bool complete = true) {
  AnswerReader reader(format);
  while (!text.empty()) {
    std::size_t size = std::min(most, text.size());
    while (size < text.size() && (text[size] & 0xC0) == 0x80) ++size;
    reader.Add(text.substr(0, size));
    text.remove_prefix(size);
  }
  return reader.End(complete);
}

}  // namespace cllm
