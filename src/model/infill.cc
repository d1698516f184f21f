#include "model/infill.h"

#include <array>
#include <string_view>
#include <utility>

namespace cllm {
namespace {

// llama-server's names for what its requests don't name.
constexpr std::string_view kProject = "myproject\n";
constexpr std::string_view kGapFile = "filename\n";
// What stands between texts where the model has no token for that.
constexpr std::string_view kBetweenFiles = "\n\n--- snippet ---\n\n";

class GapWriter {
 public:
  GapWriter(const Tokenizer& tokenizer, const StopCheck& stop) : tokenizer_(tokenizer), stop_(stop) {}

  void Add(std::int32_t token) { tokens_.push_back(token); }
  void Add(std::string_view text) {
    if (!status_) return;
    const auto tokens = tokenizer_.Tokenize(text, false, false, stop_);
    if (!tokens) {
      status_ = std::unexpected(tokens.error());
      return;
    }
    tokens_.insert(tokens_.end(), tokens->begin(), tokens->end());
  }
  void AddFiles(const InfillTokens& marks, const GapPrompt& gap) {
    if (marks.project && gap.names_files) {
      Add(*marks.project);
      Add(kProject);
    }
    for (const GapFile& file : gap.files) {
      if (marks.file) Add(*marks.file);
      Add(marks.file ? file.name + "\n" : std::string(kBetweenFiles));
      Add(file.text);
    }
    if (marks.file && gap.names_files) {
      Add(*marks.file);
      Add(kGapFile);
    }
  }
  Result<std::vector<std::int32_t>> Take() {
    if (!status_) return std::unexpected(status_.error());
    return std::move(tokens_);
  }

 private:
  const Tokenizer& tokenizer_;
  const StopCheck& stop_;
  std::vector<std::int32_t> tokens_;
  Status status_;
};

}  // namespace

Result<std::vector<std::int32_t>> TokenizeGap(const Tokenizer& tokenizer, const GapPrompt& gap, const StopCheck& stop) {
  const auto marks = tokenizer.infill_tokens();
  if (!marks) return InvalidArgument("the model has no fill-in-the-middle tokens, so it cannot write before a suffix", "suffix");
  GapWriter writer(tokenizer, stop);
  if (const auto begin = tokenizer.beginning(); begin && gap.add_special_tokens) writer.Add(*begin);
  writer.AddFiles(*marks, gap);
  const std::array parts = {std::pair(marks->prefix, std::string_view(gap.prefix)), std::pair(marks->suffix, std::string_view(gap.suffix)),
                            std::pair(marks->middle, std::string_view(gap.middle))};
  for (const auto& [mark, text] : parts) {
    writer.Add(mark);
    writer.Add(text);
  }
  return writer.Take();
}

}  // namespace cllm
