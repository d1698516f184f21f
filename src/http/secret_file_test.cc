#include "http/secret_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(SecretFileTest, WhoMayWriteItDecides) {
  const std::string path = testing::TempDir() + "secret_file_test_" + std::to_string(getpid());
  std::ofstream(path) << "key\n";
  for (const mode_t mode : {0600U, 0400U, 0640U, 0644U}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_TRUE(CheckSecretFile(path, "server.tls_key")) << std::oct << mode;
  }
  for (const mode_t mode : {0660U, 0620U, 0602U, 0606U, 0666U, 0777U}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    const Status status = CheckSecretFile(path, "server.tls_key");
    ASSERT_FALSE(status) << std::oct << mode;
    EXPECT_EQ(status.error().message, "server.tls_key " + path + ": others may write it, and so make themselves a key: chmod go-w it");
  }
  std::filesystem::remove(path);
  EXPECT_TRUE(CheckSecretFile(path, "server.tls_key")) << "who opens it says that it isn't there";
  EXPECT_TRUE(CheckSecretFile("/dev/null", "server.tls_key")) << "what is no file has no rights worth looking at";
}

}  // namespace
}  // namespace cllm
