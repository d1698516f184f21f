#include "api/tool_fields.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/schema_words.h"
#include "base/log.h"
#include "schema/closed_objects.h"
#include "schema/schema_check.h"
#include "schema/schema_validator.h"

namespace cllm {
namespace {

constexpr std::size_t kMostTools = 512;
constexpr std::size_t kMostCalls = 256;  // of one message
constexpr std::size_t kMostToolNameBytes = 256;

bool IsToolName(std::string_view name) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("_-.:/").contains(c);
  };
  return !name.empty() && name.size() <= kMostToolNameBytes && std::ranges::all_of(name, is_good);
}

// Tools that OpenAI's servers run and that some clients offer beside their functions whether they are wanted or not: nothing of the
// conversation hangs on them, and a model may always do without.
bool IsOfferOfServers(std::string_view type) {
  return type.starts_with("web_search") || type == "image_generation" || type == "tool_search";
}

// What is known of a tool beside what its model is told.
struct ToolCheck {
  bool is_strict = false;
  std::optional<SchemaValidator> arguments = {};
};
using ToolChecks = std::map<std::string, ToolCheck, std::less<>>;

class ToolReader {
 public:
  ToolReader(JsonObject& object, ChatPrompt& prompt, ToolForm form) : object_(object), prompt_(prompt), form_(form) {}

  void ReadTool(const Json& json, const std::string& path);
  void ReadFunction(const Json& json, const std::string& path);
  // After all tools: offers of servers are left aside beside tools that there are, and refused where they are all that is wanted.
  void LeaveOffersOut();
  // What these two read.
  Json ToolSchema() const;
  Json FunctionSchema() const;
  bool Knows(const std::string& name) const { return checks_.contains(name); }
  ToolChecks TakeChecks() { return std::move(checks_); }
  std::vector<std::string> TakeRelaxed() { return std::move(relaxed_); }
  std::map<std::string, NamespacedName> TakeNamespaced() { return std::move(namespaced_); }

 private:
  const char* TypeName() const { return form_ == ToolForm::kInputSchema ? "custom" : "function"; }
  const char* SchemaField() const { return form_ == ToolForm::kInputSchema ? "input_schema" : "parameters"; }
  void ReadFunctionFields(JsonObject& fields, const std::string& path);
  void ReadNamespace(const Json& json, const std::string& path);
  std::string TypeMessage(const Json& type, const std::string& path) const;
  Json NamespaceSchema() const;
  std::string ReadParameters(const Json& schema, const std::string& path, ToolCheck& check);
  void Reject(const std::string& path, std::string message) { object_.Reject({ErrorCode::kInvalidArgument, std::move(message), path}); }

  JsonObject& object_;
  ChatPrompt& prompt_;
  ToolForm form_;
  ToolChecks checks_;
  std::vector<std::string> relaxed_;
  struct Offer {
    std::string path;
    std::string message;  // where it is refused
  };
  std::vector<Offer> offers_;
  std::string space_;  // that of the tools which are being read
  std::map<std::string, NamespacedName> namespaced_;
};

std::string ToolReader::TypeMessage(const Json& type, const std::string& path) const {
  return fmt::format("{}.type {} is not supported: tools are functions that the client runs", path,
                     Dump(Shortened(type.is_string() ? type.get<std::string>() : Dump(type))));
}

void ToolReader::ReadTool(const Json& json, const std::string& path) {
  if (!json.is_object()) return Reject(path, path + " must be an object");
  const auto type = json.find("type");
  if (type != json.end() && !type->is_null() && *type != TypeName()) {
    const bool may_be_other = form_ == ToolForm::kFlat && space_.empty() && type->is_string();
    if (may_be_other && *type == "namespace") return ReadNamespace(json, path);
    if (may_be_other && IsOfferOfServers(type->get<std::string>())) return offers_.push_back({path, TypeMessage(*type, path)});
    return Reject(path + ".type", TypeMessage(*type, path));
  }
  const auto function = json.find("function");
  if (form_ != ToolForm::kNested) {
    if (function == json.end()) return ReadFunction(json, path);
    return Reject(path + ".function", fmt::format("{}.function: here name, description and {} stand beside the type", path, SchemaField()));
  }
  if (function == json.end()) return Reject(path + ".function", path + ".function is missing");
  ReadFunction(*function, path + ".function");
}

void ToolReader::LeaveOffersOut() {
  for (const Offer& offer : offers_) {
    if (prompt_.tools.empty()) return Reject(offer.path + ".type", offer.message);
    object_.LeaveOut(offer.path, offer.message);
  }
}

// {"type": "namespace", "name": …, "description": …, "tools": […]}: what is said of all of them is said before what is said of the first.
void ToolReader::ReadNamespace(const Json& json, const std::string& path) {
  static constexpr KnownField kFields[] = {{"type", nullptr}};
  JsonObject fields = object_.Inner(json, path + ".");
  space_ = fields.String("name").value_or("");
  const std::string description = fields.String("description").value_or("");
  const Json* tools = fields.Any("tools");
  if (!IsToolName(space_)) {
    fields.Reject("name", fmt::format("{}.name must be 1 to {} letters, digits, and _ - . : /", path, kMostToolNameBytes));
  }
  if (tools == nullptr || !tools->is_array()) fields.Reject("tools", path + ".tools must be an array of functions");
  if (Status status = fields.Finish(KnownFields(kFields)); !status) return object_.Reject(std::move(status.error()));
  const std::size_t first = prompt_.tools.size();
  for (std::size_t i = 0; i < tools->size(); ++i) ReadTool((*tools)[i], fmt::format("{}.tools[{}]", path, i));
  if (!description.empty() && prompt_.tools.size() > first) {
    std::string& said = prompt_.tools[first].description;
    said = said.empty() ? description : description + "\n\n" + said;
  }
  space_.clear();
}

Json ToolReader::NamespaceSchema() const {
  Json offer = words::AnyObject();
  offer["properties"]["type"] = words::Matching("^(web_search.*|image_generation|tool_search)$");
  offer["required"] = Json::array({"type"});
  Json space = words::AnyObject();
  space["properties"] = {{"type", words::Const("namespace")},
                         {"name", words::Text(1, kMostToolNameBytes)},
                         {"description", words::OrNull(words::String())},
                         {"tools", words::ListOf(FunctionSchema(), 0, kMostTools)}};
  space["required"] = Json::array({"type", "name", "tools"});
  return words::AnyOf({std::move(space), std::move(offer)});
}

Json ToolReader::ToolSchema() const {
  Json schema = form_ == ToolForm::kNested ? words::AnyObject() : FunctionSchema();
  schema["properties"]["type"] = words::OrNull(words::Const(TypeName()));
  if (form_ == ToolForm::kFlat) return words::AnyOf({std::move(schema), NamespaceSchema()});
  if (form_ != ToolForm::kNested) return schema;
  schema["properties"]["function"] = FunctionSchema();
  schema["required"] = Json::array({"function"});
  return schema;
}

Json ToolReader::FunctionSchema() const {
  return object_.SchemaOf([this](JsonObject& fields) {
    ChatPrompt unused;
    ToolReader(fields, unused, form_).ReadFunctionFields(fields, {});
  });
}

void ToolReader::ReadFunction(const Json& json, const std::string& path) {
  if (!json.is_object()) return Reject(path, path + " must be an object");
  JsonObject fields = object_.Inner(json, path + ".");
  ReadFunctionFields(fields, path);
}

void ToolReader::ReadFunctionFields(JsonObject& fields, const std::string& path) {
  static constexpr KnownField kFields[] = {
      {"cache_control", nullptr},  {"type", nullptr},          {"examples", nullptr},       {"returns", nullptr},
      {"response", nullptr},       {"defer_loading", nullptr}, {"input_examples", nullptr}, {"eager_input_streaming", nullptr},
      {"allowed_callers", nullptr}};
  ChatTool tool;
  const std::string wrong_name = fmt::format("{}.name must be 1 to {} letters, digits, and _ - . : /", path, kMostToolNameBytes);
  fields.Any("name", [] { return words::Matching(fmt::format("^[A-Za-z0-9_.:/-]{{1,{}}}$", kMostToolNameBytes)); });
  fields.Require("name", wrong_name);
  tool.name = fields.String("name").value_or("");
  tool.description = fields.String("description").value_or("");
  tool.is_strict = fields.Bool("strict").value_or(false);
  const char* const schema_field = SchemaField();
  const Json* parameters = fields.Any(schema_field, words::AnyObject);
  const bool is_good_name = IsToolName(tool.name);
  if (!space_.empty()) {
    NamespacedName name{.space = space_, .name = std::move(tool.name)};
    tool.name = name.Joined();
    namespaced_.emplace(tool.name, std::move(name));
  }
  if (!is_good_name || !IsToolName(tool.name)) {
    fields.Reject("name", wrong_name);
  } else if (prompt_.tools.size() >= kMostTools) {
    fields.Reject("name", fmt::format("{}: there are more than {} tools", path, kMostTools));
  } else if (checks_.contains(tool.name)) {
    fields.Reject("name", fmt::format("{}.name {} is another tool's", path, tool.name));
  }
  if (parameters != nullptr && !parameters->is_object()) {
    fields.Reject(schema_field, fmt::format("{}.{} must be an object", path, schema_field));
  }
  if (Status status = fields.Finish(KnownFields(kFields)); !status) return object_.Reject(std::move(status.error()));
  static const Json kNoParameters = {{"type", "object"}, {"properties", Json::object()}};
  ToolCheck check;
  check.is_strict = tool.is_strict;
  const bool has_parameters = parameters != nullptr && !parameters->empty();
  tool.place = fmt::format("{}.{}", path, schema_field);
  tool.parameters = Dump(has_parameters ? *parameters : kNoParameters);
  if (has_parameters) tool.enforced = ReadParameters(*parameters, tool.place, check);
  prompt_.tools.push_back(tool);
  checks_.emplace(tool.name, std::move(check));
}

// What a tool takes that isn't strict comes from others (MCP servers, libraries): what can't be kept of it is left aside.
std::string ToolReader::ReadParameters(const Json& schema, const std::string& path, ToolCheck& check) {
  const auto checked = CheckSchema(schema, check.is_strict ? SchemaMode::kStrict : SchemaMode::kRelaxed);
  Result<SchemaValidator> validator = SchemaValidator::Compile(schema);
  if (check.is_strict && (!checked || !validator)) {
    Reject(path, fmt::format("{}: {}", path, (checked ? validator.error() : checked.error()).message));
    return {};
  }
  if (validator) check.arguments = std::move(*validator);
  if (!checked) {
    relaxed_.push_back(path);
    return {};
  }
  for (const std::string& pointer : checked->relaxed_pointers) relaxed_.push_back(path + pointer);
  return Dump(WithClosedObjects(checked->enforced));
}

std::optional<ToolChoice> ChoiceOf(const std::string& word) {
  if (word == "none") return ToolChoice{.kind = ToolChoice::Kind::kNone};
  if (word == "auto" || word.empty()) return ToolChoice{};
  if (word == "required" || word == "any") return ToolChoice{.kind = ToolChoice::Kind::kRequired};
  return std::nullopt;
}

// As ReadToolChoice reads it.
Json ToolChoiceSchema() {
  const Json type = words::OrNull(words::Const("function"));
  const Json named{{"type", "object"}, {"properties", {{"name", words::String()}}}, {"required", Json::array({"name"})}};
  Json nested{{"type", "object"}, {"properties", {{"type", type}, {"function", named}}}, {"required", Json::array({"function"})}};
  Json flat = named;
  flat["properties"]["type"] = type;
  flat["properties"]["function"] = false;
  return words::AnyOf({words::Enum({"none", "auto", "", "required", "any"}), std::move(nested), std::move(flat)});
}

// "auto" and so on, or {"type": "function", "function": {"name": …}}; of functions {"name": …}.
void ReadToolChoice(JsonObject& object, const char* field, const ToolReader& tools, ChatPrompt& prompt) {
  const Json* json = object.Any(field, ToolChoiceSchema);
  if (json == nullptr) return;
  const auto reject = [&](const std::string& message) { object.Reject(field, fmt::format("{} {}", field, message)); };
  if (json->is_string()) {
    const auto choice = ChoiceOf(json->get<std::string>());
    if (!choice) return reject("must be none, auto, required or an object that names a function");
    prompt.tool_choice = *choice;
  } else {
    if (!json->is_object()) return reject("must be none, auto, required or an object that names a function");
    const Json* named = json->contains("function") ? &json->at("function") : json;
    if (json->contains("type") && json->at("type") != "function") return reject("can only name a function");
    if (!named->is_object() || !named->contains("name") || !named->at("name").is_string()) return reject("names no function");
    prompt.tool_choice = {.kind = ToolChoice::Kind::kFunction, .function = named->at("name").get<std::string>()};
    if (!tools.Knows(prompt.tool_choice.function)) {
      return reject(fmt::format("names the function {}, which is not among the tools", Dump(Shortened(prompt.tool_choice.function))));
    }
  }
  if (prompt.tool_choice.kind == ToolChoice::Kind::kRequired && prompt.tools.empty()) reject("is required, but there are no tools");
}

// Anthropic's {"type": "auto" | "any" | "tool" | "none", "name": …, "disable_parallel_tool_use": …}. Gives what it says of parallel calls.
std::optional<bool> ReadTypedChoice(JsonObject& object, const ToolReader& tools, ChatPrompt& prompt) {
  std::optional<bool> is_single;
  object.Object("tool_choice", {}, [&](JsonObject& fields) {
    const std::string type = fields.Tag("type", {"auto", "any", "tool", "none"});
    if (type.empty()) fields.Reject("type", "tool_choice.type must be auto, any, tool or none");
    is_single = fields.Bool("disable_parallel_tool_use");
    if (type != "tool") {
      prompt.tool_choice = ChoiceOf(type).value_or(ToolChoice{});
      if (prompt.tool_choice.demands() && prompt.tools.empty()) fields.Reject("type", "tool_choice.type is any, but there are no tools");
      return;
    }
    fields.Require("name");
    prompt.tool_choice = {.kind = ToolChoice::Kind::kFunction, .function = fields.String("name").value_or("")};
    if (!tools.Knows(prompt.tool_choice.function)) {
      fields.Reject("name", fmt::format("tool_choice.name {} is not among the tools", Dump(Shortened(prompt.tool_choice.function))));
    }
  });
  return is_single ? std::optional(!*is_single) : std::nullopt;
}

void ReadList(JsonObject& object, const char* field, const std::function<Json()>& item,
              const std::function<void(const Json&, const std::string&)>& read) {
  const Json* list = object.Any(field, [&] {
    return words::AnyOf({words::ListOf(item(), 0, kMostTools), Json{{"type", "object"}, {"maxProperties", 0}}, words::Const("")});
  });
  if (list == nullptr || (list->is_object() && list->empty()) || *list == "") return;
  if (!list->is_array() || list->size() > kMostTools) {
    return object.Reject(field, fmt::format("{} must be an array of at most {} tools", field, kMostTools));
  }
  for (std::size_t i = 0; i < list->size(); ++i) read((*list)[i], fmt::format("{}[{}]", field, i));
}

// For what the request demands a wrong call is an error. Else its reader hears of it, as of any other that a model makes.
std::function<Status(const ChatToolCall&)> MakeCallCheck(ToolChecks checks, const ToolChoice& choice) {
  return [shared = std::make_shared<const ToolChecks>(std::move(checks)), choice](const ChatToolCall& call) -> Status {
    const auto found = shared->find(call.name);
    const bool is_wanted = found != shared->end() && (choice.kind != ToolChoice::Kind::kFunction || choice.function == call.name);
    Status status;
    if (!is_wanted) {
      status = Fail(ErrorCode::kInternal, fmt::format("the answer calls {}, which it may not", Dump(Shortened(call.name))));
    } else if (found->second.arguments) {
      const Result<Json> arguments = ParseJson(call.arguments, DuplicateNames::kAreErrors);
      status = arguments ? found->second.arguments->Validate(*arguments) : std::unexpected(arguments.error());
      if (!status) {
        status =
            Fail(ErrorCode::kInternal, fmt::format("the arguments of {} do not keep its schema: {}", call.name, status.error().message));
      }
    }
    if (status || choice.demands() || (found != shared->end() && found->second.is_strict)) return status;
    spdlog::warn("{}", EscapedForLog(status.error().message));
    return {};
  };
}

// Arguments as text or, as some clients send them back, as an object.
std::string ArgumentsOf(JsonObject& function, const std::string& path) {
  const Json* arguments = function.Any("arguments", [] { return words::AnyOf({words::String(), words::AnyObject()}); });
  if (arguments == nullptr) return "{}";
  if (arguments->is_object()) return Dump(*arguments);
  if (arguments->is_string()) return arguments->get<std::string>().empty() ? "{}" : arguments->get<std::string>();
  function.Reject("arguments", path + ".arguments must be a string of JSON or an object");
  return {};
}

Result<ChatToolCall> ReadCallFields(JsonObject& function, const std::string& path) {
  static constexpr KnownField kFields[] = {
      {"description", nullptr}, {"index", nullptr}, {"parsed_arguments", nullptr}, {"strict", nullptr}};
  ChatToolCall call = ReadNamedCall(function, path);
  if (Status status = function.Finish(KnownFields(kFields)); !status) return std::unexpected(status.error());
  return call;
}

// The field `name` of `object`, which stands at `path`; nothing where it isn't there, or is rejected.
std::optional<ChatToolCall> ReadCallIn(JsonObject& object, const char* name, const std::string& path) {
  const auto read = [](JsonObject& function) { static_cast<void>(ReadCallFields(function, {})); };
  const Json* json = object.Any(name, [&] { return object.SchemaOf(read); });
  if (json == nullptr) return std::nullopt;
  const std::string place = fmt::format("{}.{}", path, name);
  if (!json->is_object()) {
    object.Reject(name, place + " must be an object");
    return std::nullopt;
  }
  JsonObject function = object.Inner(*json, std::string(name) + ".");
  Result<ChatToolCall> call = ReadCallFields(function, place);
  if (call) return std::move(*call);
  object.Reject(std::move(call.error()));
  return std::nullopt;
}

// {"id": …, "type": "function", "function": {…}}
Result<ChatToolCall> ReadToolCall(JsonObject& fields, const std::string& path) {
  static constexpr KnownField kFields[] = {
      {"index", nullptr}, {"extra_content", nullptr}, {"provider_specific_fields", nullptr}, {"cache_control", nullptr}};
  const std::string id = fields.String("id").value_or("");
  fields.Word("type", {"function"});
  fields.Require("function");
  auto call = ReadCallIn(fields, "function", path);
  if (Status status = fields.Finish(KnownFields(kFields)); !status) return std::unexpected(status.error());
  ChatToolCall read = call ? std::move(*call) : ChatToolCall{};
  read.id = id;
  return read;
}

}  // namespace

ChatToolCall ReadNamedCall(JsonObject& function, const std::string& path) {
  function.Any("name", [] { return words::Text(1, kMostToolNameBytes); });
  function.Require("name", path + ".name must be the name of a function");
  ChatToolCall call{.id = {}, .name = function.String("name").value_or(""), .arguments = ArgumentsOf(function, path)};
  if (call.name.empty() || call.name.size() > kMostToolNameBytes) function.Reject("name", path + ".name must be the name of a function");
  return call;
}

ToolSettings ReadTools(JsonObject& object, GenerateRequest& request, ChatPrompt& prompt, ToolForm form) {
  ToolReader reader(object, prompt, form);
  ReadList(
      object, "tools", [&] { return reader.ToolSchema(); },
      [&](const Json& json, const std::string& path) { reader.ReadTool(json, path); });
  reader.LeaveOffersOut();
  ToolSettings settings;
  if (form == ToolForm::kNested) {
    const std::size_t tools = prompt.tools.size();
    ReadList(
        object, "functions", [&] { return reader.FunctionSchema(); },
        [&](const Json& json, const std::string& path) { reader.ReadFunction(json, path); });
    settings.speaks_of_functions = prompt.tools.size() > tools;
  }
  std::optional<bool> parallel;
  if (form == ToolForm::kInputSchema) {
    parallel = ReadTypedChoice(object, reader, prompt);
  } else {
    ReadToolChoice(object, "tool_choice", reader, prompt);
    parallel = object.Bool("parallel_tool_calls");
  }
  if (form == ToolForm::kNested) ReadToolChoice(object, "function_call", reader, prompt);
  // Who demands a call and says nothing else wants one: a small model would make them without end.
  prompt.parallel_tool_calls = parallel.value_or(!prompt.tool_choice.demands()) && !settings.speaks_of_functions;
  settings.relaxed = reader.TakeRelaxed();
  settings.namespaced = reader.TakeNamespaced();
  if (prompt.demands_call() && prompt.continue_final_message) {
    object.Reject("tool_choice",
                  "tool_choice demands a call, which cannot go on with a last message of the assistant: with add_generation_prompt: true "
                  "the answer begins anew");
  }
  if (!prompt.tools.empty()) request.check_call = MakeCallCheck(reader.TakeChecks(), prompt.tool_choice);
  return settings;
}

void ReadToolCalls(JsonObject& message, const std::string& path, std::vector<ChatToolCall>& calls) {
  if (auto call = ReadCallIn(message, "function_call", path)) calls.push_back(std::move(*call));
  const auto read = [](JsonObject& call) { static_cast<void>(ReadToolCall(call, {})); };
  const Json* list = message.Any("tool_calls", [&] { return words::ListOf(message.SchemaOf(read), 0, kMostCalls); });
  if (list == nullptr) return;
  if (!list->is_array() || list->size() > kMostCalls) {
    return message.Reject("tool_calls", fmt::format("{}.tool_calls must be an array of at most {} calls", path, kMostCalls));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string where = fmt::format("tool_calls[{}]", i);
    if (!(*list)[i].is_object()) return message.Reject("tool_calls", fmt::format("{}.{} must be an object", path, where));
    JsonObject fields = message.Inner((*list)[i], where + ".");
    Result<ChatToolCall> call = ReadToolCall(fields, fmt::format("{}.{}", path, where));
    if (!call) return message.Reject(std::move(call.error()));
    calls.push_back(std::move(*call));
  }
}

}  // namespace cllm
