#include "hub/catalogue.h"

#include <gtest/gtest.h>

#include <set>

#include "hub/reference.h"
#include "hub/sha256.h"

namespace cllm {
namespace {

TEST(Catalogue, EveryRowIsWhole) {
  std::set<std::string> names;
  std::set<std::string> files;
  for (const KnownModel& model : KnownModels()) {
    SCOPED_TRACE(model.name);
    const auto reference = ParseReference(model.name);
    ASSERT_TRUE(reference);
    EXPECT_EQ(reference->kind, ModelReference::Kind::kName);
    EXPECT_TRUE(names.insert(model.name).second) << "twice";
    EXPECT_TRUE(files.insert(model.file).second) << "two models in one file";
    EXPECT_TRUE(IsSafeModelPath(model.file));
    EXPECT_EQ(model.file.find('/'), std::string::npos);
    EXPECT_GT(model.megabytes, 10);
    EXPECT_TRUE(model.sha256.empty() || NormalisedSha256(model.sha256) == model.sha256);
    const auto hub = ParseReference("hf:" + model.hub.repo + ":" + model.hub.file);
    ASSERT_TRUE(hub);
    EXPECT_TRUE(hub->wants_file());
    // pip's word about a file is nobody's: there must be a sum of our own.
    if (!model.pip.parts.empty()) {
      EXPECT_FALSE(model.sha256.empty());
    }
    for (const PipPlace::Part& part : model.pip.parts) EXPECT_NE(part.package.find("=="), std::string::npos);
  }
}

TEST(Catalogue, FindsByNameInAnyCase) {
  ASSERT_NE(FindKnownModel("SmolLM2-135M"), nullptr);
  EXPECT_EQ(FindKnownModel("SmolLM2-135M")->file, "SmolLM2-135M-Instruct.Q4_1.gguf");
  for (const char* name : {"smollm2-135m", "gemma3-270m", "qwen3-0.6b"}) EXPECT_NE(FindKnownModel(name), nullptr) << name;
  EXPECT_EQ(FindKnownModel("smollm2"), nullptr);
  EXPECT_EQ(FindKnownModel(""), nullptr);
}

}  // namespace
}  // namespace cllm
