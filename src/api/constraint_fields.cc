#include "api/constraint_fields.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/schema_words.h"
#include "schema/closed_objects.h"
#include "schema/pattern.h"
#include "schema/schema_check.h"
#include "schema/schema_validator.h"

namespace cllm {
namespace {

constexpr std::size_t kMostChoiceTexts = 1000;
constexpr std::size_t kMostChoiceBytes = 4096;
constexpr std::size_t kMostGrammarBytes = std::size_t{64} << 10;

Json ChoiceTextsSchema() { return words::ListOf(words::Text(1, kMostChoiceBytes), 1, kMostChoiceTexts); }
Json AnySchema() { return words::AnyOf({words::AnyObject(), words::Bool()}); }
Json SchemaOrTextSchema() { return words::AnyOf({words::AnyObject(), words::Bool(), words::String()}); }

// Collects what the fields ask for.
class ConstraintReader {
 public:
  ConstraintReader(JsonObject& object, GenerateRequest& request) : object_(object), request_(request) {}

  void Schema(const std::string& field, const Json& schema);
  void SchemaOrText(const std::string& field, const Json& value);
  void Regex(const std::string& field, const std::string& regex);
  void Choice(const std::string& field, const Json& texts);
  void Rules(GrammarPart::Kind kind, const std::string& field, const std::string& grammar);
  void Reject(const std::string& field, std::string message) { object_.Reject({ErrorCode::kInvalidArgument, std::move(message), field}); }

 private:
  void Set(AnswerConstraint constraint);

  JsonObject& object_;
  GenerateRequest& request_;
};

void ConstraintReader::Set(AnswerConstraint constraint) {
  if (request_.constraint) {
    return Reject(constraint.field,
                  fmt::format("{} and {} both constrain the answer: one of them may", request_.constraint->field, constraint.field));
  }
  request_.constraint = std::move(constraint);
}

void ConstraintReader::Schema(const std::string& field, const Json& schema) {
  const Result<CheckedSchema> checked = CheckSchema(schema, SchemaMode::kStrict);
  if (!checked) return Reject(field, fmt::format("{}: {}", field, checked.error().message));
  Result<SchemaValidator> validator = SchemaValidator::Compile(schema);
  if (!validator) return Reject(field, fmt::format("{}: {}", field, validator.error().message));
  const auto shared = std::make_shared<const SchemaValidator>(std::move(*validator));
  const auto check = [shared](std::string_view text) -> Status {
    // A name that is free may come twice; masks let nothing but fitting values come each time.
    const Result<Json> answer = ParseJson(text, DuplicateNames::kLastCounts);
    Status status = answer ? shared->Validate(*answer, {}) : std::unexpected(answer.error());
    if (status) return status;
    return Fail(ErrorCode::kInternal, "the answer does not keep its schema: " + status.error().message);
  };
  Set({.grammar = {.kind = GrammarPart::Kind::kJsonSchema, .text = Dump(WithClosedObjects(checked->enforced))},
       .field = field,
       .check = check});
}

// vLLM's and llama-server's clients send a schema as an object or as its text.
void ConstraintReader::SchemaOrText(const std::string& field, const Json& value) {
  if (!value.is_string()) return Schema(field, value);
  const Result<Json> schema = ParseJson(value.get_ref<const std::string&>(), DuplicateNames::kLastCounts);
  if (!schema) return Reject(field, fmt::format("{} is no JSON: {}", field, schema.error().message));
  Schema(field, *schema);
}

void ConstraintReader::Regex(const std::string& field, const std::string& regex) {
  Result<Pattern> pattern = Pattern::Compile(regex);
  if (!pattern) return Reject(field, fmt::format("{}: {}", field, pattern.error().message));
  const auto shared = std::make_shared<const Pattern>(std::move(*pattern));
  const auto check = [shared](std::string_view text) -> Status {
    if (shared->MatchesWhole(text)) return {};
    return Fail(ErrorCode::kInternal, "the answer does not match its regular expression");
  };
  Set({.grammar = {.kind = GrammarPart::Kind::kRegex, .text = regex}, .field = field, .check = check});
}

// A text as a literal of EBNF.
std::string Literal(std::string_view text) {
  std::string literal = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      literal += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7F) {
      literal += fmt::format("\\u{:04x}", byte);  // "\\x" would take further digits
    } else {
      literal += c;
    }
  }
  return literal + '"';
}

void ConstraintReader::Choice(const std::string& field, const Json& texts) {
  const auto is_good = [](const Json& text) {
    return text.is_string() && !text.get_ref<const std::string&>().empty() && text.get_ref<const std::string&>().size() <= kMostChoiceBytes;
  };
  if (!texts.is_array() || texts.empty() || texts.size() > kMostChoiceTexts || !std::ranges::all_of(texts, is_good)) {
    return Reject(field, fmt::format("{} must be an array of 1 to {} texts of 1 to {} bytes", field, kMostChoiceTexts, kMostChoiceBytes));
  }
  std::string grammar = "root ::= ";
  auto shared = std::make_shared<std::vector<std::string>>();
  for (const Json& text : texts) {
    if (!shared->empty()) grammar += " | ";
    grammar += Literal(text.get_ref<const std::string&>());
    shared->push_back(text.get_ref<const std::string&>());
  }
  const auto check = [shared](std::string_view text) -> Status {
    if (std::ranges::find(*shared, text) != shared->end()) return {};
    return Fail(ErrorCode::kInternal, "the answer is none of the choices");
  };
  Set({.grammar = {.kind = GrammarPart::Kind::kEbnf, .text = std::move(grammar)}, .field = field, .check = check});
}

void ConstraintReader::Rules(GrammarPart::Kind kind, const std::string& field, const std::string& grammar) {
  if (grammar.size() > kMostGrammarBytes) return Reject(field, fmt::format("{} has more than {} bytes", field, kMostGrammarBytes));
  Set({.grammar = {.kind = kind, .text = grammar}, .field = field});
}

// {"type": "text" | "json_object" | "json_schema", …}, with a schema in json_schema or, as OpenAI's Responses and llama-server have it,
// beside the type; `where` is where one is missing. `path` names the field `name` of `object` as a whole.
void ReadFormat(JsonObject& object, const char* name, const std::string& path, const char* where, ConstraintReader& reader) {
  static constexpr KnownField kFields[] = {{"name", nullptr}, {"strict", nullptr}, {"description", nullptr}};
  std::optional<std::string> type;
  std::string said;
  std::string field = path + ".schema";
  const Json* schema = nullptr;
  object.Object(name, KnownFields(kFields), [&](JsonObject& fields) {
    said = fields.String("type").value_or("");
    type = fields.Tag("type", {"text", "json_object", "json_schema"});
    schema = fields.Any("schema", AnySchema);
    fields.Object("json_schema", KnownFields(kFields), [&](JsonObject& wrapper) {
      const Json* named = wrapper.Any("schema", AnySchema);
      if (named == nullptr) return;
      schema = named;
      field = path + ".json_schema.schema";
    });
  });
  if (!type || type == "text") return;
  if (type == "json_object") return reader.Schema(field, schema == nullptr ? Json{{"type", "object"}} : *schema);
  if (type == "json_schema" && schema != nullptr) return reader.Schema(field, *schema);
  if (type == "json_schema") return object.Reject(name, fmt::format("{}.{} is missing", path, where));
  object.Reject(name, path + ".type must be text, json_object or json_schema, not " + Dump(said));
}

// vLLM's {"json": …}, {"regex": …} and so on.
void ReadStructuredOutputs(JsonObject& object, ConstraintReader& reader) {
  static constexpr KnownField kFields[] = {{"whitespace_pattern", nullptr},
                                           {"disable_fallback", nullptr},
                                           {"disable_any_whitespace", nullptr},
                                           {"disable_additional_properties", nullptr},
                                           {"backend", nullptr},
                                           {"structural_tag", "[]"}};
  object.Object("structured_outputs", KnownFields(kFields), [&](JsonObject& fields) {
    if (const Json* schema = fields.Any("json", SchemaOrTextSchema)) reader.SchemaOrText("structured_outputs.json", *schema);
    if (const auto regex = fields.String("regex")) reader.Regex("structured_outputs.regex", *regex);
    if (const Json* choice = fields.Any("choice", ChoiceTextsSchema)) reader.Choice("structured_outputs.choice", *choice);
    if (const auto grammar = fields.String("grammar")) reader.Rules(GrammarPart::Kind::kEbnf, "structured_outputs.grammar", *grammar);
    if (fields.Bool("json_object").value_or(false)) reader.Schema("structured_outputs.json_object", Json{{"type", "object"}});
  });
}

}  // namespace

void ReadConstraint(JsonObject& object, GenerateRequest& request) {
  ConstraintReader reader(object, request);
  ReadFormat(object, "response_format", "response_format", "json_schema.schema", reader);
  ReadStructuredOutputs(object, reader);
  for (const char* name : {"json_schema", "guided_json"}) {
    if (const Json* schema = object.Any(name, SchemaOrTextSchema)) reader.SchemaOrText(name, *schema);
  }
  for (const char* name : {"guided_regex", "regex"}) {
    if (const auto regex = object.String(name); regex && !regex->empty()) reader.Regex(name, *regex);
  }
  if (const Json* choice = object.Any("guided_choice", ChoiceTextsSchema)) reader.Choice("guided_choice", *choice);
  // vLLM's and SGLang's clients write for the library that makes our masks, too; llama-server's for llama.cpp.
  for (const auto& [name, kind] : {std::pair("guided_grammar", GrammarPart::Kind::kEbnf), std::pair("ebnf", GrammarPart::Kind::kEbnf),
                                   std::pair("grammar", GrammarPart::Kind::kGbnf)}) {
    if (const auto grammar = object.String(name); grammar && !grammar->empty()) reader.Rules(kind, name, *grammar);
  }
}

void ReadSchemaFormat(JsonObject& object, const char* name, const std::string& path, GenerateRequest& request) {
  ConstraintReader reader(object, request);
  ReadFormat(object, name, path, "schema", reader);
}

void ReadBareFormat(JsonObject& object, const char* name, GenerateRequest& request) {
  const Json* format = object.Any(name, [] { return words::AnyOf({words::Enum({"", "json"}), words::AnyObject()}); });
  if (format == nullptr || *format == "") return;
  ConstraintReader reader(object, request);
  if (*format == "json") return reader.Schema(name, Json{{"type", "object"}});
  if (!format->is_object()) return object.Reject(name, fmt::format("{} must be \"json\" or a JSON schema", name));
  reader.Schema(name, *format);
}

}  // namespace cllm
