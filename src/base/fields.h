// How many fields a struct has, for lists of fields that must not forget one: a static_assert compares.
#pragma once

#include <cstddef>

namespace cllm {

struct AnyField {
  template <typename Field>
  operator Field() const;  // never called
};

// Of an aggregate: with how many values it can be initialised.
template <typename Struct, typename... Values>
consteval std::size_t FieldCount() {
  if constexpr (requires { Struct{Values()..., AnyField()}; }) {
    return FieldCount<Struct, Values..., AnyField>();
  } else {
    return sizeof...(Values);
  }
}

}  // namespace cllm
