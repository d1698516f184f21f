#include "hub/reference.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

using ReferenceKind = ModelReference::Kind;

TEST(Reference, Name) {
  const auto reference = ParseReference("smollm2-135m");
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->kind, ReferenceKind::kName);
}

TEST(Reference, Repository) {
  const auto reference = ParseReference("hf:unsloth/Qwen3-0.6B-GGUF");
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->kind, ReferenceKind::kHuggingFace);
  EXPECT_EQ(reference->owner, "unsloth");
  EXPECT_EQ(reference->repo, "Qwen3-0.6B-GGUF");
  EXPECT_EQ(reference->wanted, "");
}

TEST(Reference, RepositoryWithFileOrQuantisation) {
  const auto file = ParseReference("hf:a/b:sub/Model.GGUF");
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->wants_file());
  EXPECT_EQ(file->wanted, "sub/Model.GGUF");
  const auto quantisation = ParseReference("hf:a/b:q4_k_m");
  ASSERT_TRUE(quantisation);
  EXPECT_FALSE(quantisation->wants_file());
}

TEST(Reference, Address) {
  const auto reference = ParseReference("https://host/dir/model.gguf?download=true");
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->kind, ReferenceKind::kUrl);
  EXPECT_EQ(reference->file, "model.gguf");
}

TEST(Reference, WrongOnesAreRefused) {
  for (const char* text : {"",
                           "a b",
                           "../x",
                           "a/b",
                           "-x",
                           ".hidden",
                           "hf:",
                           "hf:a",
                           "hf:a/",
                           "hf:/b",
                           "hf:a/b/c",
                           "hf:a/b:",
                           "hf:../b",
                           "hf:a/..",
                           "hf:a/b:../x.gguf",
                           "hf:a/b:/etc/x.gguf",
                           "hf:a/b:x/../y.gguf",
                           "hf:a/b:.x.gguf",
                           "hf:a/b:x\ny.gguf",
                           "hf:a/b:Q4;rm",
                           "http://host/",
                           "http://host/page.html",
                           "http://host/..%2fx.gguf",
                           "http://host/.gguf",
                           "http://u:p@host/x.gguf",
                           "ftp://host/x.gguf"}) {
    EXPECT_FALSE(ParseReference(text)) << text;
  }
}

TEST(Reference, SafePathsOnly) {
  EXPECT_TRUE(IsSafeModelPath("x.gguf"));
  EXPECT_TRUE(IsSafeModelPath("a/b/c/x-1.2_y+z=.gguf"));
  for (const std::string& path :
       {std::string("x"), std::string(".gguf"), std::string("x.gguf.part"), std::string("/x.gguf"), std::string("a//x.gguf"),
        std::string("../x.gguf"), std::string("a/../x.gguf"), std::string("a\\x.gguf"), std::string("x y.gguf"), std::string("x\0.gguf", 7),
        std::string("caf\xC3\xA9.gguf"), std::string("a/b/c/d/x.gguf"), std::string("-x.gguf"), std::string(300, 'a') + ".gguf",
        std::string("\x1b[31m.gguf"), std::string("")}) {
    EXPECT_FALSE(IsSafeModelPath(path)) << path;
  }
}

}  // namespace
}  // namespace cllm
