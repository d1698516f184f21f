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
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "config/text.h"

namespace cllm {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;

// Everything that is wrong, as it is found. Of a hostile file that is wrong in each of its lines only the first are kept.
class ProblemList {
 public:
  explicit ProblemList(std::string name) : name_(config::OneLine(name)) {}

  bool full() const { return problems_.size() > kMostConfigProblems; }

  void Add(int line, Error error) {
    if (full()) return;
    if (problems_.size() == kMostConfigProblems) {
      error = InvalidArgument(fmt::format("{}: more than {} problems; the rest is not shown", name_, kMostConfigProblems)).error();
      line = std::numeric_limits<int>::max();
    }
    problems_.push_back({line, std::move(error)});
  }

  // `column` from 1, or 0 where it says nothing.
  void AddAt(int line, int column, const std::string& message) {
    std::string where = name_;
    if (line > 0) where += fmt::format(":{}", line);
    if (column > 0) where += fmt::format(":{}", column);
    Add(line, InvalidArgument(fmt::format("{}: {}", where, message)).error());
  }

  std::vector<ConfigProblem> TakeSorted() {
    std::ranges::stable_sort(problems_, {}, &ConfigProblem::line);
    return std::move(problems_);
  }

 private:
  const std::string name_;
  std::vector<ConfigProblem> problems_;
};

// Walks the parser's events. It builds no tree and resolves no alias, so a hostile file costs no more memory than its
// text. What lies below a wrong node is skipped; its neighbours are read as if it were right.
class ConfigReader final : public YAML::EventHandler {
 public:
  // `section`: whose keys stand in the outermost map; empty where that has all sections.
  ConfigReader(std::string name, OptionTable& table, ProblemList& problems, const std::string& section = {})
      : name_(std::move(name)), table_(table), problems_(problems), outermost_prefix_(section.empty() ? "" : section + ".") {}

  // Begins a text whose first line is number `first_line` of the file.
  void Begin(int first_line) {
    lines_before_ = first_line - 1;
    documents_ = 0;
    maps_.clear();
    list_ = nullptr;
    skipped_ = 0;
  }

  // Whether nothing that follows would be looked at.
  bool done() const { return documents_ > 1 || problems_.full(); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) FailAt(mark, "the configuration ended above; a second document is not allowed");
  }
  void OnDocumentEnd() override {}

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    if (done() || skipped_ > 0) return;
    FailAt(mark, "aliases (*name) are not supported");
    if (list_ != nullptr) list_is_right_ = false;
    if (!maps_.empty() && list_ == nullptr) PassOver();
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (!Accept(mark, "?", anchor) || maps_.empty()) return;  // an empty document sets nothing
    if (list_ != nullptr) return RefuseItem("an empty item");
    if (AwaitsKey()) return FailKey(mark, "a key is missing");
    const std::string key = TakeKey();
    if (key.empty() || table_.IsSection(key)) return;
    const ConfigOption* option = table_.Find(key);
    if (option == nullptr) return Keep(table_.UnknownKey(key, OptionTable::Candidates::kBoth, source_));
    Keep(table_.WrongValue(*option, "no value", source_));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    if (!Accept(mark, tag, anchor)) return;
    if (maps_.empty()) return FailAt(mark, "expected \"key: value\", got " + config::QuotedForMessage(value));
    if (AwaitsKey()) return StartKey(mark, value);
    // The parser tags quoted scalars "!" and plain ones "?".
    const bool quoted = tag == "!";
    if (list_ == nullptr) return SetScalar(TakeKey(), value, quoted);
    AddItem(value, quoted);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    if (!Enter(mark, tag, anchor)) return;
    skipped_ = 1;  // unless it turns out to be a list that an option takes
    if (maps_.empty()) return FailAt(mark, "expected \"key: value\", got a list");
    if (list_ != nullptr) return RefuseItem("a list inside the list");
    if (AwaitsKey()) return FailKey(mark, "a list cannot be a key");
    const std::string key = TakeKey();
    if (key.empty()) return;
    if (table_.IsSection(key)) return FailAtKey(NeedsKeysBelow(key, "a list"));
    const ConfigOption* option = table_.Find(key);
    if (option == nullptr) return Keep(table_.UnknownKey(key, OptionTable::Candidates::kOptions, source_));
    if (!option->is_list()) return Keep(table_.WrongValue(*option, "a list", source_));
    skipped_ = 0;
    list_ = option;
    list_is_right_ = true;
    items_.clear();
  }

  void OnSequenceEnd() override {
    if (Leave()) return;
    if (list_is_right_) Keep(table_.SetList(list_->key, items_, source_));
    list_ = nullptr;
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    if (!Enter(mark, tag, anchor)) return;
    if (maps_.empty()) return maps_.push_back({.prefix = outermost_prefix_});
    skipped_ = 1;  // unless it turns out to be a section
    if (list_ != nullptr) return RefuseItem("a map inside the list");
    if (AwaitsKey()) return FailKey(mark, "a map cannot be a key");
    const std::string key = TakeKey();
    if (key.empty()) return;
    if (table_.IsSection(key)) {
      skipped_ = 0;
      return maps_.push_back({.prefix = key + "."});
    }
    const ConfigOption* option = table_.Find(key);
    if (option == nullptr) return Keep(table_.UnknownKey(key, OptionTable::Candidates::kSections, source_));
    Keep(table_.WrongValue(*option, "a map", source_));
  }

  void OnMapEnd() override {
    if (!Leave()) maps_.pop_back();
  }

 private:
  struct Map {
    std::string prefix = {};       // "backend.llama_cpp." for the keys inside; for those of the outermost map empty, or a section's
    std::string pending_key = {};  // the whole path of the key whose value comes next; empty where the key was no key
    bool has_pending = false;
  };

  bool AwaitsKey() const { return list_ == nullptr && !maps_.back().has_pending; }

  void StartKey(const YAML::Mark& mark, const std::string& name) {
    Map& map = maps_.back();
    map.pending_key = map.prefix + name;
    map.has_pending = true;
    source_ = ValueSource::File(name_, LineOf(mark));
    if (map.pending_key.empty()) return Keep(table_.UnknownKey("", OptionTable::Candidates::kBoth, source_));
    const auto [seen, is_new] = line_of_key_.emplace(map.pending_key, source_.line);
    if (!is_new) {
      FailAtKey(fmt::format("key {} is set twice, first in line {}", config::QuotedForMessage(map.pending_key), seen->second));
    }
  }

  std::string TakeKey() {
    maps_.back().has_pending = false;
    return std::move(maps_.back().pending_key);
  }

  // A node whose place in the map is taken although it says nothing: as a key its value is not looked at.
  void PassOver() {
    const bool as_key = AwaitsKey();
    maps_.back().pending_key.clear();
    maps_.back().has_pending = as_key;
  }

  void AddItem(const std::string& value, bool quoted) {
    const bool wants_text = list_->type == OptionType::kStringList;
    if (quoted && !wants_text) return RefuseItem("the quoted text " + config::QuotedForMessage(value));
    if (!quoted && wants_text && config::ReadsAsNonText(value)) return RefuseItem(NeedsQuotes(value));
    items_.push_back(value);
  }

  void SetScalar(const std::string& key, const std::string& value, bool quoted) {
    if (key.empty()) return;
    const std::string given = config::QuotedForMessage(value);
    if (table_.IsSection(key)) return FailAtKey(NeedsKeysBelow(key, given));
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

  // Whether the node is to be looked at. What is unsupported about it is said, and the node read without it.
  bool Accept(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (done() || skipped_ > 0) return false;
    if (anchor != YAML::NullAnchor) FailAt(mark, "anchors (&name) are not supported");
    if (tag != "?" && tag != "!" && !tag.empty()) FailAt(mark, "tags (!name) are not supported");
    return true;
  }

  // As Accept, for a list or map; and counts those that are skipped, so that Leave knows where they end.
  bool Enter(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (skipped_ > 0) ++skipped_;
    return Accept(mark, tag, anchor);
  }

  // Whether the list or map that ends was skipped.
  bool Leave() {
    if (done()) return true;
    return skipped_ > 0 && skipped_-- > 0;
  }

  static std::string NeedsQuotes(const std::string& value) { return value + " (write it in quotes if it is meant as text)"; }

  static std::string NeedsKeysBelow(const std::string& section, const std::string& given) {
    return fmt::format("{}: expected keys below it, got {}", section, given);
  }

  int LineOf(const YAML::Mark& mark) const { return lines_before_ + mark.line + 1; }

  void FailAt(const YAML::Mark& mark, const std::string& message) { problems_.AddAt(LineOf(mark), 0, message); }

  void FailAtKey(const std::string& message) { problems_.AddAt(source_.line, 0, message); }

  void FailKey(const YAML::Mark& mark, const std::string& message) {
    FailAt(mark, message);
    PassOver();
  }

  void RefuseItem(const std::string& given) {
    Keep(table_.WrongValue(*list_, given, source_));
    list_is_right_ = false;
  }

  void Keep(const Status& status) {
    if (!status) problems_.Add(source_.line, status.error());
  }

  const std::string name_;
  OptionTable& table_;
  ProblemList& problems_;
  const std::string outermost_prefix_;
  int lines_before_ = 0;
  int documents_ = 0;
  std::vector<Map> maps_;               // the maps that are open, outermost first
  const ConfigOption* list_ = nullptr;  // the option whose list is open
  bool list_is_right_ = true;
  std::vector<std::string> items_;  // of that list
  int skipped_ = 0;                 // lists and maps that are open and not looked at
  ValueSource source_;              // of the key seen last
  std::map<std::string, int> line_of_key_;
};

// Hands each map of a list to a reader of its own.
class ListReader final : public YAML::EventHandler {
 public:
  ListReader(const std::string& name, const std::function<YamlItem()>& begin_item, ProblemList& problems)
      : name_(name), begin_item_(begin_item), problems_(problems) {}

  bool done() const { return documents_ > 1 || problems_.full(); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) FailAt(mark, "the list ended above; a second document is not allowed");
  }
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (item_) return item_->OnAlias(mark, anchor);
    FailAt(mark, "aliases (*name) are not supported");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (item_) return item_->OnNull(mark, anchor);
    if (depth_ > 0) FailAt(mark, "expected a map, got an empty item");  // an empty document is an empty list
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    if (item_) return item_->OnScalar(mark, tag, anchor, value);
    FailAt(mark, fmt::format("expected a {}, got {}", depth_ > 0 ? "map" : "list of maps", config::QuotedForMessage(value)));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value style) override {
    ++depth_;
    if (item_) return item_->OnSequenceStart(mark, tag, anchor, style);
    if (depth_ > 1) FailAt(mark, "expected a map, got a list");
  }
  void OnSequenceEnd() override {
    --depth_;
    if (item_) item_->OnSequenceEnd();
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value style) override {
    if (++depth_ == 2 && !done()) {
      const YamlItem item = begin_item_();
      item_.emplace(name_, *item.table, problems_, item.section);
      item_->Begin(1);
    }
    if (item_) return item_->OnMapStart(mark, tag, anchor, style);
    FailAt(mark, "expected a list of maps, got a map");
  }
  void OnMapEnd() override {
    if (item_) item_->OnMapEnd();
    if (--depth_ == 1) item_.reset();
  }

 private:
  // Once: what is no list is wrong in all its parts.
  void FailAt(const YAML::Mark& mark, const std::string& message) {
    if (!has_failed_) problems_.AddAt(mark.line + 1, 0, message);
    has_failed_ = true;
  }

  const std::string& name_;
  const std::function<YamlItem()>& begin_item_;
  ProblemList& problems_;
  int documents_ = 0;
  int depth_ = 0;  // lists and maps that are open
  bool has_failed_ = false;
  std::optional<ConfigReader> item_;
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

// Finds what the parser would take for something else than it is: broken UTF-8, which it replaces, UTF-16, which it
// detects and converts, and control characters, one of which it takes for the end of the file. False where the text is
// not to be parsed at all; a line that is wrong by itself is emptied, so that the others can be.
bool CheckText(std::string& text, ProblemList& problems) {
  if (text.size() > kMaxFileBytes) {
    problems.AddAt(0, 0, fmt::format("larger than {} bytes, which is no configuration", kMaxFileBytes));
    return false;
  }
  const auto line_at = [&](std::size_t offset) {
    return 1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
  };
  if (std::size_t invalid = 0; !IsValidUtf8(text, &invalid)) {
    problems.AddAt(line_at(invalid), 0, "not valid UTF-8");
    return false;
  }
  const auto is_control = [](char c) { return c == 0x7F || (c >= 0 && c < 0x20 && c != '\t' && c != '\n' && c != '\r'); };
  if (const auto control = std::ranges::find_if(text, is_control); control != text.end()) {
    problems.AddAt(line_at(static_cast<std::size_t>(std::distance(text.begin(), control))), 0, "contains a control character");
    return false;
  }
  int line = 1;
  for (std::size_t start = 0; start < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view content = std::string_view(text).substr(start, end - start);
    if (const std::string_view problem = LineProblem(content); !problem.empty()) {
      problems.AddAt(line, 0, std::string(problem));
      text.replace(start, end - start, end - start, ' ');
    }
    start = end + 1;
  }
  return true;
}

// A part of the text that begins with a line.
struct TextFrom {
  std::size_t offset = 0;
  int line = 1;
};

// The first line after `from` and after line number `wrong_line` that begins with a known key, such as "server:".
std::optional<TextFrom> NextKnownKey(std::string_view text, TextFrom from, int wrong_line, const OptionTable& table) {
  while (true) {
    const std::size_t end = text.find('\n', from.offset);
    if (end == std::string_view::npos) return std::nullopt;
    from = {end + 1, from.line + 1};
    if (from.line <= wrong_line) continue;
    const std::string_view rest = text.substr(from.offset, text.find('\n', from.offset) - from.offset);
    const std::size_t colon = rest.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = rest.substr(0, colon);
    if (table.IsSection(key) || table.Find(key) != nullptr) return from;
  }
}

// Parses to the end or to the first error in the syntax; returns the line of the latter.
template <typename Reader>
std::optional<int> ParseFrom(std::string_view text, TextFrom from, Reader& reader, ProblemList& problems) {
  try {
    std::istringstream stream{std::string(text.substr(from.offset))};
    YAML::Parser parser(stream);
    // A stray "," makes the parser report empty documents without end, so the second one ends the loop.
    while (!reader.done() && parser.HandleNextDocument(reader)) {
    }
    return std::nullopt;
  } catch (const YAML::Exception& error) {
    const bool has_place = !error.mark.is_null();
    const int line = has_place ? from.line + error.mark.line : 0;
    problems.AddAt(line, has_place ? error.mark.column + 1 : 0, "not valid YAML: " + error.msg);
    return std::max(line, from.line);
  } catch (const std::exception& error) {
    problems.AddAt(0, 0, fmt::format("not valid YAML: {}", error.what()));
    return from.line;
  }
}

Status Joined(const std::vector<ConfigProblem>& problems) {
  if (problems.empty()) return {};
  std::string message;
  for (const ConfigProblem& problem : problems) {
    if (!message.empty()) message += '\n';
    message += problem.error.message;
  }
  return InvalidArgument(std::move(message), problems.front().error.field);
}

Result<std::string> ReadWholeFile(const std::string& path) {
  const std::string name = config::OneLine(path);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return InvalidArgument(name + ": is a directory, not a file");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const std::string why = std::generic_category().message(errno != 0 ? errno : EIO);
    return InvalidArgument(fmt::format("{}: cannot open the configuration file: {}", name, why));
  }
  // One byte more than allowed tells a file that is too large from one that just fits, also where it is a pipe.
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return InvalidArgument(name + ": cannot read the configuration file");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

std::vector<ConfigProblem> ReadYamlText(std::string_view given, const std::string& name, OptionTable& table) {
  ProblemList problems(name);
  std::string text(given);
  if (!CheckText(text, problems)) return problems.TakeSorted();
  ConfigReader reader(name, table, problems);
  std::optional<TextFrom> from = TextFrom{};
  while (from && !problems.full()) {
    reader.Begin(from->line);
    const std::optional<int> wrong_line = ParseFrom(text, *from, reader, problems);
    if (!wrong_line) break;
    from = NextKnownKey(text, *from, *wrong_line, table);
  }
  return problems.TakeSorted();
}

std::vector<ConfigProblem> ReadYamlFile(const std::string& path, OptionTable& table) {
  const Result<std::string> text = ReadWholeFile(path);
  if (!text) return {{0, text.error()}};
  return ReadYamlText(*text, path, table);
}

std::vector<ConfigProblem> ReadYamlListText(std::string_view given, const std::string& name, const std::function<YamlItem()>& begin_item) {
  ProblemList problems(name);
  std::string text(given);
  if (!CheckText(text, problems)) return problems.TakeSorted();
  ListReader reader(name, begin_item, problems);
  ParseFrom(text, {}, reader, problems);
  return problems.TakeSorted();
}

std::vector<ConfigProblem> ReadYamlList(const std::string& path, const std::function<YamlItem()>& begin_item) {
  const Result<std::string> text = ReadWholeFile(path);
  if (!text) return {{0, text.error()}};
  return ReadYamlListText(*text, path, begin_item);
}

Status ApplyYamlText(std::string_view text, const std::string& name, OptionTable& table) { return Joined(ReadYamlText(text, name, table)); }

}  // namespace cllm
