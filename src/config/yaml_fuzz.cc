// libFuzzer target: a hostile configuration file. Whatever it holds, reading it ends, keeps every value within its bounds,
// and says what is wrong in lines that begin with the file's name.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "config/render.h"
#include "config/testing_options.h"
#include "config/yaml_config.h"

namespace cllm {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

void Check(std::string_view text) {
  TestingOptions options;
  OptionTable table = DeclareTestingOptions(options);
  const std::vector<ConfigProblem> problems = ReadYamlText(text, "f.yaml", table);
  Require(problems.size() <= kMostConfigProblems + 1);
  for (const ConfigProblem& problem : problems) {
    Require(problem.error.message.starts_with("f.yaml:") && problem.error.message.find('\n') == std::string::npos);
    Require(problem.error.message.size() < 1000);
  }
  Require(options.port >= 0 && options.port <= 65535);
  Require(options.n_batch >= 1 && options.n_batch <= 65536);
  // What was read is written and read back to the same.
  TestingOptions again;
  OptionTable second = DeclareTestingOptions(again);
  Require(ReadYamlText(RenderPrintConfig(table), "f.yaml", second).empty());
  Require(again == options);
}

}  // namespace
}  // namespace cllm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cllm::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
