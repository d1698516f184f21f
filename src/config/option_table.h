// One declaration per option: its key, flags, type, bounds, default and meaning. YAML, command line, --help, the
// generated documentation and the example file all read this table, so they cannot disagree.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"

namespace cllm {

// Where the present value of an option comes from.
struct ValueSource {
  enum class Kind : std::uint8_t { kDefault, kFile, kEnvironment, kCommandLine };

  Kind kind = Kind::kDefault;
  std::string name;  // the file as the user named it, the variable, or the flag as the user typed it
  int line = 0;      // in that file, from 1

  static ValueSource File(std::string file, int line) { return {Kind::kFile, std::move(file), line}; }
  static ValueSource Environment(std::string variable) { return {Kind::kEnvironment, std::move(variable), 0}; }
  static ValueSource CommandLine(std::string flag) { return {Kind::kCommandLine, std::move(flag), 0}; }

  // "default", "config.yaml:7", "the environment (CLLM_API_KEY)" or "the command line".
  std::string Text() const;

  // What a message about `key` begins with: "config.yaml:7: server.port: ", "-p (server.port): " or "server.port: ".
  std::string MessagePrefix(std::string_view key) const;

  bool operator==(const ValueSource&) const = default;
};

// A word that stands for a number, such as {"auto", -1}. The number need not lie within the bounds.
using NamedValue = std::pair<std::string, std::int64_t>;

// The specs below say what a declaration can add to a key and a target. `help` is one or more plain sentences.
// `flags` are further spellings beside the derived one: "-m", "--model"; "-ngl" works as well. `unit` is for the
// reader ("ms", "MiB") and never part of a value.
struct IntSpec {
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::string help = {};
  std::vector<std::string> flags = {};
  std::string unit = {};
  std::vector<NamedValue> value_names = {};
};

struct DoubleSpec {
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
  std::string help = {};
  std::vector<std::string> flags = {};
  std::string unit = {};
};

struct BoolSpec {
  std::string help = {};
  std::vector<std::string> flags = {};
};

struct StringSpec {
  std::string help = {};
  std::vector<std::string> flags = {};
  std::string placeholder = "TEXT";  // stands for the value in --help: "PATH", "ADDRESS"
};

struct StringListSpec {
  std::string help = {};
  std::vector<std::string> flags = {};
  std::string placeholder = "TEXT,...";
  bool secret = false;  // the values are never shown
};

struct EnumSpec {
  std::vector<std::string> choices = {};
  std::string help = {};
  std::vector<std::string> flags = {};
};

enum class OptionType : std::uint8_t { kInt, kDouble, kBool, kString, kEnum, kDoubleList, kStringList };

using OptionTarget = std::variant<int*, std::int64_t*, double*, bool*, std::string*, std::vector<double>*, std::vector<std::string>*>;

struct ConfigOption {
  std::string key = {};     // "backend.llama_cpp.n_batch"
  std::size_t section = 0;  // index into OptionTable::sections()
  OptionType type = OptionType::kInt;
  std::vector<std::string> flags = {};  // short ones first, then the one derived from the key, then other long ones
  std::string help = {};
  std::string unit = {};
  std::string placeholder = {};  // stands for the value in --help
  std::vector<std::string> choices = {};
  std::vector<NamedValue> value_names = {};
  std::int64_t int_min = 0, int_max = 0;  // of kInt
  double double_min = 0, double_max = 0;  // of kDouble, and of each item of kDoubleList
  bool secret = false;                    // neither ValueText nor a message shows the value
  std::string default_text = {};          // as ValueText() at the declaration
  ValueSource source = {};
  OptionTarget target = {};

  // What values the option takes, in words: "integer from 0 to 65535", "one of auto, llama_cpp".
  std::string Expectation() const;
  bool is_list() const { return type == OptionType::kDoubleList || type == OptionType::kStringList; }
  // The present value as YAML: 8080, 60.0, true, "0.0.0.0", auto, [3.0, 1.0], ["a", "b"]. A secret one that is set is
  // <hidden>, which no list option reads back: a copy must not lose its secret in silence.
  std::string ValueText() const;
  // The flags that turn a kBool off: "--no-use-mmap" for each "--use-mmap". Empty for other types.
  std::vector<std::string> NegativeFlags() const;
  bool HasValueName(std::string_view word) const;
};

struct OptionSection {
  std::string path;   // "backend.llama_cpp"
  std::string title;  // "The llama.cpp engine"
};

// The options of a program. Targets are plain fields that hold the default when they are declared and must outlive
// the table. Not thread-safe: fill and read it before the threads start.
//
// A wrong declaration (a key or flag twice, a default outside its bounds) is a bug of the program: it aborts with a
// message on stderr. A wrong value is a user's mistake: Set returns it as an error.
class OptionTable {
 public:
  // Begins a section; the options declared next belong to it. A section inside another ("backend.llama_cpp") follows
  // it directly or after its other inner sections, so that the order of declarations is the order of a YAML file.
  void Section(std::string path, std::string title);

  // Each declares one option of the current section. `key` is the section's path, a dot and a name in snake_case;
  // the flag derived from it is the name with dashes ("--n-batch"), or the whole key ("--scheduler-default-max-tokens")
  // where an earlier option has that flag.
  void Int(std::string key, int* target, IntSpec spec);
  void Int(std::string key, std::int64_t* target, IntSpec spec);
  void Double(std::string key, double* target, DoubleSpec spec);
  void Bool(std::string key, bool* target, BoolSpec spec);
  void String(std::string key, std::string* target, StringSpec spec);
  void Enum(std::string key, std::string* target, EnumSpec spec);
  void DoubleList(std::string key, std::vector<double>* target, DoubleSpec spec);
  void StringList(std::string key, std::vector<std::string>* target, StringListSpec spec);

  // Parses `text` by the option's type and stores it. kInvalidArgument with the option's key as field, naming the
  // source, what was expected and what was given, for an unknown key (then with the nearest known one), text that is
  // not wholly a value of the type, overflow and bounds; the option is then unchanged.
  // Integers are decimal without leading zeros; booleans are true/yes/on and false/no/off in any case; text is UTF-8
  // without zero bytes; a list is its items with commas between them, and empty text is the empty list.
  Status Set(std::string_view key, std::string_view text, const ValueSource& source);

  // As Set, for a list whose items are already apart. No item of a kStringList is empty.
  Status SetList(std::string_view key, std::span<const std::string> items, const ValueSource& source);

  // The error for a value that is wrong before its text is looked at: "expected <what key takes>, got <given>".
  std::unexpected<Error> WrongValue(const ConfigOption& option, std::string_view given, const ValueSource& source) const;
  // The error for a key that does not exist; `candidates` says which known keys may be meant.
  enum class Candidates : std::uint8_t { kOptions, kSections, kBoth };
  std::unexpected<Error> UnknownKey(std::string_view key, Candidates candidates, const ValueSource& source) const;

  const ConfigOption* Find(std::string_view key) const;
  bool IsSection(std::string_view path) const;

  struct FlagMatch {
    const ConfigOption* option = nullptr;
    bool negative = false;  // a flag that turns a kBool off
  };
  // `flag` with its dashes, without a value. An unknown one matches no option.
  FlagMatch FindFlag(std::string_view flag) const;

  const std::vector<ConfigOption>& options() const { return options_; }
  const std::vector<OptionSection>& sections() const { return sections_; }

 private:
  void DeclareInt(std::string key, OptionTarget target, std::int64_t value, IntSpec spec);
  void Declare(ConfigOption option, std::vector<std::string> extra_flags);
  Status SetInt(ConfigOption& option, std::string_view text, const ValueSource& source);
  Status SetDouble(ConfigOption& option, std::string_view text, const ValueSource& source);
  Status SetBool(ConfigOption& option, std::string_view text, const ValueSource& source);
  Status SetText(ConfigOption& option, std::string_view text, const ValueSource& source);
  Status SetTexts(ConfigOption& option, std::span<const std::string> items, const ValueSource& source);
  ConfigOption* FindMutable(std::string_view key);

  std::vector<OptionSection> sections_;
  std::vector<ConfigOption> options_;
};

}  // namespace cllm
