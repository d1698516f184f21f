#include "config/yaml_config.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "config/text.h"

namespace cllm {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;

// Walks the parser's events. It builds no tree and resolves no alias, so a hostile file costs no more memory than its
// text; and as every map must be a declared section, it never descends further than the declarations do. The first
// error is kept and everything after it ignored.
class ConfigReader final : public YAML::EventHandler {
 public:
  ConfigReader(std::string name, OptionTable& table) : name_(std::move(name)), table_(table) {}

  bool failed() const { return !status_; }
  Status TakeStatus() { return std::move(status_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) FailAt(mark.line + 1, "the configuration ended above; a second document is not allowed");
  }
  void OnDocumentEnd() override {}

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    FailAt(mark.line + 1, "aliases (*name) are not supported");
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (!Accept(mark, "?", anchor) || maps_.empty()) return;  // an empty document sets nothing
    if (AwaitsKey()) return FailAt(mark.line + 1, "a key is missing");
    if (list_ != nullptr) return Keep(table_.WrongValue(*list_, "an empty item", source_));
    const std::string key = TakeKey();
    if (table_.IsSection(key)) return;
    const ConfigOption* option = table_.Find(key);
    if (option == nullptr) return Keep(table_.UnknownKey(key, OptionTable::Candidates::kBoth, source_));
    Keep(table_.WrongValue(*option, "no value", source_));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (!Accept(mark, tag, anchor)) return;
    if (maps_.empty()) return FailAt(mark.line + 1, "expected \"key: value\", got " + config::QuotedForMessage(value));
    if (AwaitsKey()) return StartKey(mark, value);
    // The parser tags quoted scalars "!" and plain ones "?".
    const bool quoted = tag == "!";
    if (list_ == nullptr) return SetScalar(TakeKey(), value, quoted);
    AddItem(value, quoted);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (!Accept(mark, tag, anchor)) return;
    if (maps_.empty()) return FailAt(mark.line + 1, "expected \"key: value\", got a list");
    if (AwaitsKey()) return FailAt(mark.line + 1, "a list cannot be a key");
    if (list_ != nullptr) return Keep(table_.WrongValue(*list_, "a list inside the list", source_));
    const std::string key = TakeKey();
    if (table_.IsSection(key)) return FailAt(source_.line, NeedsKeysBelow(key, "a list"));
    list_ = table_.Find(key);
    if (list_ == nullptr) return Keep(table_.UnknownKey(key, OptionTable::Candidates::kOptions, source_));
    if (!list_->is_list()) return Keep(table_.WrongValue(*list_, "a list", source_));
  }

  void OnSequenceEnd() override {
    if (!status_) return;
    Keep(table_.SetList(list_->key, items_, source_));
    list_ = nullptr;
    items_.clear();
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (!Accept(mark, tag, anchor)) return;
    if (maps_.empty()) return maps_.push_back({});
    if (AwaitsKey()) return FailAt(mark.line + 1, "a map cannot be a key");
    if (list_ != nullptr) return Keep(table_.WrongValue(*list_, "a map inside the list", source_));
    const std::string key = TakeKey();
    if (table_.IsSection(key)) return maps_.push_back({.prefix = key + "."});
    const ConfigOption* option = table_.Find(key);
    if (option == nullptr) return Keep(table_.UnknownKey(key, OptionTable::Candidates::kSections, source_));
    Keep(table_.WrongValue(*option, "a map", source_));
  }

  void OnMapEnd() override {
    if (status_) maps_.pop_back();
  }

 private:
  struct Map {
    std::string prefix = {};       // "backend.llama_cpp." for the keys inside, empty for the outermost map
    std::string pending_key = {};  // the whole path of the key whose value comes next
    bool has_pending = false;
  };

  bool AwaitsKey() const { return !maps_.back().has_pending && list_ == nullptr; }

  void StartKey(const YAML::Mark& mark, const std::string& name) {
    Map& map = maps_.back();
    map.pending_key = map.prefix + name;
    map.has_pending = true;
    source_ = ValueSource::File(name_, mark.line + 1);
    const auto [seen, is_new] = line_of_key_.emplace(map.pending_key, source_.line);
    if (!is_new) {
      FailAt(source_.line, fmt::format("key {} is set twice, first in line {}",
                                       config::QuotedForMessage(map.pending_key), seen->second));
    }
  }

  std::string TakeKey() {
    maps_.back().has_pending = false;
    return std::move(maps_.back().pending_key);
  }

  void AddItem(const std::string& value, bool quoted) {
    const bool wants_text = list_->type == OptionType::kStringList;
    if (quoted && !wants_text) {
      return Keep(table_.WrongValue(*list_, "the quoted text " + config::QuotedForMessage(value), source_));
    }
    if (!quoted && wants_text && config::ReadsAsNonText(value)) return Keep(table_.WrongValue(*list_, NeedsQuotes(value), source_));
    items_.push_back(value);
  }

  void SetScalar(const std::string& key, const std::string& value, bool quoted) {
    const std::string given = config::QuotedForMessage(value);
    if (table_.IsSection(key)) return FailAt(source_.line, NeedsKeysBelow(key, given));
    const ConfigOption* option = table_.Find(key);
    if (option == nullptr) return Keep(table_.UnknownKey(key, OptionTable::Candidates::kOptions, source_));
    switch (option->type) {
      case OptionType::kInt:
      case OptionType::kDouble:
      case OptionType::kBool:
        if (quoted && !option->HasValueName(value)) {
          return Keep(table_.WrongValue(*option, "the quoted text " + given, source_));
        }
        break;
      case OptionType::kString:
        if (!quoted && config::ReadsAsNonText(value)) {
          return Keep(table_.WrongValue(*option, NeedsQuotes(value), source_));
        }
        break;
      case OptionType::kEnum:
        break;
      case OptionType::kDoubleList:
      case OptionType::kStringList:
        return Keep(table_.WrongValue(*option, "the single value " + given + " (a list is written [1, 2])", source_));
    }
    Keep(table_.Set(key, value, source_));
  }

  // Whether the event is to be looked at: no error so far, and nothing unsupported about the node.
  bool Accept(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (!status_) return false;
    if (anchor != YAML::NullAnchor) FailAt(mark.line + 1, "anchors (&name) are not supported");
    if (tag != "?" && tag != "!" && !tag.empty()) FailAt(mark.line + 1, "tags (!name) are not supported");
    return status_.has_value();
  }

  static std::string NeedsQuotes(const std::string& value) { return value + " (write it in quotes if it is meant as text)"; }

  static std::string NeedsKeysBelow(const std::string& section, const std::string& given) {
    return fmt::format("{}: expected keys below it, got {}", section, given);
  }

  void FailAt(int line, const std::string& message) {
    Keep(InvalidArgument(fmt::format("{}: {}", ValueSource::File(name_, line).Text(), message)));
  }

  void Keep(Status status) {
    if (status_) status_ = std::move(status);
  }

  const std::string name_;
  OptionTable& table_;
  Status status_;
  int documents_ = 0;
  std::vector<Map> maps_;               // the maps that are open, outermost first
  const ConfigOption* list_ = nullptr;  // the option whose list is open
  std::vector<std::string> items_;      // of that list
  ValueSource source_;                  // of the key seen last
  std::map<std::string, int> line_of_key_;
};

// What keeps one line from being understood as it was meant, or nothing: the parser drops directives in silence, and
// tabs in the indentation, which YAML forbids, lead it to puzzling messages.
std::string_view LineProblem(std::string_view line) {
  if (line.starts_with('%')) return "directives (%NAME) are not supported";
  const std::size_t first = line.find_first_not_of(" \t\r");
  const bool has_content = first != std::string_view::npos && line[first] != '#';
  if (has_content && line.substr(0, first).contains('\t')) return "a tab in the indentation; use blanks";
  return "";
}

// Refuses what the parser would take for something else than it is: broken UTF-8, which it replaces, UTF-16, which it
// detects and converts, and control characters, one of which it takes for the end of the file.
Status CheckText(std::string_view text, const std::string& name) {
  if (text.size() > kMaxFileBytes) {
    return InvalidArgument(fmt::format("{}: larger than {} bytes, which is no configuration", name, kMaxFileBytes));
  }
  const auto line_at = [&](std::size_t offset) { return 1 + std::count(text.begin(), text.begin() + offset, '\n'); };
  if (const auto invalid = config::FindInvalidUtf8(text)) {
    return InvalidArgument(fmt::format("{}:{}: not valid UTF-8", name, line_at(*invalid)));
  }
  const auto is_control = [](char c) {
    return c == 0x7F || (c >= 0 && c < 0x20 && c != '\t' && c != '\n' && c != '\r');
  };
  if (const auto control = std::ranges::find_if(text, is_control); control != text.end()) {
    return InvalidArgument(
        fmt::format("{}:{}: contains a control character", name, line_at(std::distance(text.begin(), control))));
  }
  for (std::size_t start = 0, line = 1; start < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    if (const std::string_view problem = LineProblem(text.substr(start, end - start)); !problem.empty()) {
      return InvalidArgument(fmt::format("{}:{}: {}", name, line, problem));
    }
    start = end + 1;
  }
  return {};
}

}  // namespace

Status ApplyYamlText(std::string_view text, const std::string& name, OptionTable& table) {
  if (Status status = CheckText(text, name); !status) return status;
  ConfigReader reader(name, table);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    // A stray "," makes the parser report empty documents without end, so the first error must end the loop.
    while (!reader.failed() && parser.HandleNextDocument(reader)) {
    }
  } catch (const YAML::Exception& error) {
    // What the reader found stands before the place where the parser gave up.
    if (Status status = reader.TakeStatus(); !status) return status;
    const std::string where = error.mark.is_null() ? name : fmt::format("{}:{}", name, error.mark.line + 1);
    return InvalidArgument(fmt::format("{}: not valid YAML: {}", where, error.msg));
  } catch (const std::exception& error) {
    return InvalidArgument(fmt::format("{}: not valid YAML: {}", name, error.what()));
  }
  return reader.TakeStatus();
}

Status ApplyYamlFile(const std::string& path, OptionTable& table) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return InvalidArgument(path + ": is a directory, not a file");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const std::string why = std::generic_category().message(errno != 0 ? errno : EIO);
    return InvalidArgument(fmt::format("{}: cannot open the configuration file: {}", path, why));
  }
  // One byte more than allowed tells a file that is too large from one that just fits, also where it is a pipe.
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return InvalidArgument(path + ": cannot read the configuration file");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return ApplyYamlText(text, path, table);
}

}  // namespace cllm
