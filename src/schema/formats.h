// The values of `format` that are asserted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cllm {

enum class StringFormat : std::uint8_t { kDate, kTime, kDateTime, kUuid, kIpv4, kIpv6, kEmail, kUri, kHostname };

// Nothing for a name that isn't known: then it says nothing, as the standard has it.
std::optional<StringFormat> StringFormatOf(std::string_view name);

// In time linear in the text.
bool HasFormat(std::string_view text, StringFormat format);

}  // namespace cllm
