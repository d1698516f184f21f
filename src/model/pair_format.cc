#include "model/pair_format.h"

#include <llama.h>

#include <algorithm>

namespace cllm {
namespace {

constexpr std::string_view kQuery = "{query}";
constexpr std::string_view kDocument = "{document}";

}  // namespace

// As llama-server has it, but for the separator behind a document, which BERT's cross-encoders were trained with.
PairFormat::PairFormat(const Model& model) : tokenizer_(model.tokenizer()) {
  if (const char* text = llama_model_chat_template(model.handle(), "rerank")) template_ = text;
  const llama_vocab* vocab = llama_model_get_vocab(model.handle());
  const llama_token separator = llama_vocab_sep(vocab);
  const llama_token end = llama_vocab_eos(vocab) != LLAMA_TOKEN_NULL ? llama_vocab_eos(vocab) : separator;
  const auto add = [](bool wanted, llama_token token, std::vector<std::int32_t>& tokens) {
    if (wanted && token != LLAMA_TOKEN_NULL) tokens.push_back(token);
  };
  const bool adds_end = llama_vocab_get_add_eos(vocab), adds_separator = llama_vocab_get_add_sep(vocab);
  add(llama_vocab_get_add_bos(vocab), llama_vocab_bos(vocab), before_);
  add(adds_end, end, between_);
  add(adds_separator, separator, between_);
  add(adds_end || adds_separator, adds_end ? end : separator, after_);
}

Result<std::vector<std::int32_t>> PairFormat::Encode(std::string_view query, std::string_view document, std::size_t most_tokens,
                                                     const StopCheck& stop) const {
  if (!template_.empty()) return EncodeInTemplate(query, document, stop);
  const auto query_tokens = tokenizer_.Tokenize(query, false, false, stop);
  if (!query_tokens) return query_tokens;
  auto document_tokens = tokenizer_.Tokenize(document, false, false, stop);
  if (!document_tokens) return document_tokens;
  const std::size_t others = before_.size() + query_tokens->size() + between_.size() + after_.size();
  if (most_tokens > 0 && others + document_tokens->size() > most_tokens) {
    if (others >= most_tokens) return InvalidArgument("the query leaves no room for a document", "query");
    document_tokens->resize(most_tokens - others);
  }
  std::vector<std::int32_t> tokens = before_;
  const auto append = [&tokens](const std::vector<std::int32_t>& more) { tokens.insert(tokens.end(), more.begin(), more.end()); };
  append(*query_tokens);
  append(between_);
  append(*document_tokens);
  append(after_);
  return tokens;
}

// What the template says of itself is trusted; the two texts are not, and are not looked at for further places.
Result<std::vector<std::int32_t>> PairFormat::EncodeInTemplate(std::string_view query, std::string_view document,
                                                               const StopCheck& stop) const {
  MarkedText text;
  for (std::size_t at = 0; at < template_.size();) {
    const std::size_t next = std::min({template_.find(kQuery, at), template_.find(kDocument, at), template_.size()});
    if (next > at) text.trusted.push_back({text.text.size(), text.text.size() + next - at});
    text.text.append(template_, at, next - at);
    if (next == template_.size()) break;
    const bool is_query = template_.compare(next, kQuery.size(), kQuery) == 0;
    text.text += is_query ? query : document;
    at = next + (is_query ? kQuery : kDocument).size();
  }
  return tokenizer_.Tokenize(text, false, stop);
}

}  // namespace cllm
