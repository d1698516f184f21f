#include "cli/model_report.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/escape.h"

namespace cllm {
namespace {

std::string Scaled(double value, double step, const std::array<const char*, 5>& units) {
  std::size_t unit = 0;
  for (; value >= step && unit + 1 < units.size(); ++unit) value /= step;
  return unit == 0 ? fmt::format("{:.0f}{}", value, units[0]) : fmt::format("{:.1f}{}", value, units[unit]);
}

std::string Bytes(std::int64_t bytes) { return Scaled(static_cast<double>(bytes), 1024, {" bytes", " KiB", " MiB", " GiB", " TiB"}); }

std::string Count(std::int64_t count) {
  return Scaled(static_cast<double>(count), 1000, {"", " thousand", " million", " billion", " trillion"});
}

class TextRows {
 public:
  void Title(std::string_view title) { text_ += fmt::format("{}{}\n", text_.empty() ? "" : "\n", title); }
  void Row(std::string_view label, std::string_view value) {
    if (!value.empty()) text_ += fmt::format("  {:<15}{}\n", label, Escaped(value));
  }
  void Number(std::string_view label, std::int64_t value, std::string_view unit = "") {
    if (value > 0) Row(label, fmt::format("{}{}", value, unit));
  }
  void Line(std::string_view line) { text_ += fmt::format("  {}\n", Escaped(line)); }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void AddAnswers(const ModelReport& report, TextRows& rows) {
  const ModelFacts& facts = report.facts;
  rows.Row("chat template", facts.chat_template.empty()
                                ? std::string("none; ChatML is used")
                                : fmt::format("{} (--template prints it)", Bytes(static_cast<std::int64_t>(facts.chat_template.size()))));
  if (!report.chat_template) rows.Row("", report.chat_template.error().message);
  if (report.chat_template) rows.Row("answers", report.answers);
}

void AddModel(const ModelReport& report, TextRows& rows) {
  const ModelFacts& facts = report.facts;
  rows.Title("Model");
  rows.Row("name", facts.name);
  rows.Row("architecture", facts.architecture);
  rows.Row("parameters", Count(facts.parameters));
  rows.Row("quantisation", facts.quantization);
  rows.Number("context", facts.trained_context, " tokens");
  rows.Number("window", facts.sliding_window, " tokens, in the layers with a sliding window");
  rows.Number("layers", facts.layers);
  if (facts.heads > 0) rows.Row("heads", fmt::format("{}, {} for keys and values", facts.heads, facts.kv_heads));
  rows.Number("embedding", facts.embedding_size);
  if (facts.experts > 0) rows.Row("experts", fmt::format("{}, {} used for a token", facts.experts, facts.experts_used));
  rows.Row("vocabulary", fmt::format("{} tokens, {}", facts.vocab_size, facts.tokenizer.empty() ? "no tokenizer" : facts.tokenizer));
  rows.Row("can do", fmt::format("{}", fmt::join(report.capabilities, ", ")));
  rows.Row("pooling", report.pooling);
  if (facts.generates) AddAnswers(report, rows);
  rows.Row("licence", facts.license.empty() ? std::string("the file does not say") : facts.license);
  rows.Row("file", fmt::format("{}, {}", report.path, Bytes(facts.file_bytes)));
}

void AddTypes(const ModelFacts& facts, TextRows& rows) {
  rows.Title("Tensors");
  rows.Line(fmt::format("{:<10}{:>8}{:>14}{:>8}", "type", "tensors", "size", "share"));
  for (const ModelFacts::TypeUse& use : facts.types) {
    const double share = 100.0 * static_cast<double>(use.bytes) / static_cast<double>(std::max<std::int64_t>(1, facts.weight_bytes));
    rows.Line(fmt::format("{:<10}{:>8}{:>14}{:>6.1f} %", use.type, use.tensors, Bytes(use.bytes), share));
  }
}

void AddMemory(const ModelReport& report, TextRows& rows) {
  const MemoryNeed& memory = report.memory;
  const std::int64_t cache = memory.kv_bytes_per_sequence * memory.sequences;
  if (!report.facts.generates) {
    rows.Title(fmt::format("Memory for texts of up to {} tokens", memory.context));
    rows.Row("weights", Bytes(report.facts.weight_bytes));
    return;
  }
  rows.Title(fmt::format("Memory for {} requests of {} tokens", memory.sequences, memory.context));
  rows.Row("weights", Bytes(report.facts.weight_bytes));
  rows.Row("KV cache",
           fmt::format("{} = {} × {} a request ({})", Bytes(cache), memory.sequences, Bytes(memory.kv_bytes_per_sequence), memory.kv_type));
  rows.Row("together", fmt::format("{}; {} has {} left", Bytes(report.facts.weight_bytes + cache), memory.available_where,
                                   Bytes(memory.available_bytes)));
}

}  // namespace

std::string RenderReportText(const ModelReport& report) {
  TextRows rows;
  AddModel(report, rows);
  AddTypes(report.facts, rows);
  if (report.servable) {
    AddMemory(report, rows);
    rows.Title("Engine");
    rows.Row(report.engine, report.engine_why);
  } else {
    rows.Title("Cannot be served");
    rows.Line(report.servable.error().message);
  }
  return rows.Take();
}

std::string RenderReportJson(const ModelReport& report) {
  const ModelFacts& facts = report.facts;
  nlohmann::ordered_json types = nlohmann::ordered_json::array();
  for (const ModelFacts::TypeUse& use : facts.types) {
    types.push_back({{"type", use.type}, {"tensors", use.tensors}, {"parameters", use.elements}, {"bytes", use.bytes}});
  }
  nlohmann::ordered_json out = {{"path", report.path},
                                {"name", facts.name},
                                {"architecture", facts.architecture},
                                {"parameters", facts.parameters},
                                {"quantization", facts.quantization},
                                {"trained_context", facts.trained_context},
                                {"sliding_window", facts.sliding_window},
                                {"layers", facts.layers},
                                {"heads", facts.heads},
                                {"kv_heads", facts.kv_heads},
                                {"embedding_size", facts.embedding_size},
                                {"experts", facts.experts},
                                {"experts_used", facts.experts_used},
                                {"vocab_size", facts.vocab_size},
                                {"tokenizer", facts.tokenizer},
                                {"chat_template", facts.chat_template},
                                {"license", facts.license},
                                {"file_bytes", facts.file_bytes},
                                {"weight_bytes", facts.weight_bytes},
                                {"capabilities", report.capabilities},
                                {"pooling", report.pooling},
                                {"tensors", types}};
  const MemoryNeed& memory = report.memory;
  const std::int64_t cache = memory.kv_bytes_per_sequence * memory.sequences;
  out["memory"] = {{"context", memory.context},
                   {"sequences", memory.sequences},
                   {"kv_type", memory.kv_type},
                   {"kv_bytes_per_sequence", memory.kv_bytes_per_sequence},
                   {"total_bytes", facts.weight_bytes + cache},
                   {"available_bytes", memory.available_bytes}};
  out["engine"] = {{"name", report.engine}, {"why", report.engine_why}};
  out["servable"] = report.servable.has_value();
  if (!report.servable) out["problem"] = report.servable.error().message;
  if (report.chat_template) out["answers"] = report.answers;
  if (!report.chat_template) out["chat_template_problem"] = report.chat_template.error().message;
  return EscapedJson(out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) + "\n";
}

}  // namespace cllm
