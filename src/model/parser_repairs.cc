#include "model/parser_repairs.h"

#include <json.h>

#include <cstddef>
#include <string_view>

namespace cllm {
namespace {

constexpr std::string_view kChannel = "<|channel|>final";
constexpr std::string_view kMessage = "<|message|>";

common_json LiteralParser(std::string_view text) { return common_json{{"type", "literal"}, {"literal", std::string(text)}}; }

common_json SequenceOfParsers(std::size_t begin, std::size_t count) {
  common_json children = common_json::array();
  for (std::size_t i = 0; i < count; ++i) children.push_back(begin + i);
  return common_json{{"type", "sequence"}, {"children", children}};
}

common_json OptionalParser(std::size_t child) {
  return common_json{{"type", "repetition"}, {"child", child}, {"min_count", 0}, {"max_count", 1}};
}

common_json FormatName() {
  common_json ranges = common_json::array();
  for (const std::string_view range : {"AZ", "az", "09", "__", "--"})
    ranges.push_back({{"start", static_cast<int>(range[0])}, {"end", static_cast<int>(range[1])}});
  return common_json{{"type", "chars"}, {"pattern", "[A-Za-z0-9_-]"}, {"ranges", ranges}, {"negated", false}, {"min_count", 1},
                     {"max_count", -1}};
}

}  // namespace

std::string WithFormatsOfFinals(const std::string& parser) {
  const std::string final_message = std::string(kChannel) + std::string(kMessage);
  if (!parser.contains(final_message)) return parser;
  common_json arena = common_json::parse(parser);
  common_json& parsers = arena["parsers"];
  const std::size_t known = parsers.size();
  for (std::size_t id = 0; id < known; ++id) {
    if (parsers[id].value("literal", std::string()) != final_message) continue;
    const std::size_t first = parsers.size();
    parsers.push_back(LiteralParser(kChannel));
    parsers.push_back(OptionalParser(first + 3));
    parsers.push_back(LiteralParser(kMessage));
    parsers.push_back(SequenceOfParsers(first + 4, 3));
    parsers.push_back(common_json{{"type", "space"}});
    parsers.push_back(OptionalParser(first + 7));
    parsers.push_back(FormatName());
    parsers.push_back(LiteralParser("<|constrain|>"));
    parsers[id] = SequenceOfParsers(first, 3);
  }
  return arena.dump();
}

}  // namespace cllm
