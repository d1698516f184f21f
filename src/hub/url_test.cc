#include "hub/url.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(Url, PartsOfAnAddress) {
  const auto url = ParseUrl("HTTPS://Example.org/a/b.gguf?x=1#top");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->port, "443");
  EXPECT_EQ(url->path, "/a/b.gguf");
  EXPECT_EQ(url->text.find('#'), std::string::npos);
  EXPECT_TRUE(WithoutQuery(*url).ends_with("/a/b.gguf"));
}

TEST(Url, RefusesOtherSchemesAndPasswords) {
  for (const char* text : {"ftp://host/x", "file:///etc/passwd", "http://", "no address", "http://user:secret@host/x",
                           "https://user@host/x", "http://ho st/", "http://host/a\nb", "http://host:99999/"}) {
    const auto url = ParseUrl(text);
    EXPECT_FALSE(url) << text;
    if (!url) {
      EXPECT_EQ(url.error().message.find("secret"), std::string::npos);
    }
  }
}

TEST(Url, MessagesShowNoQuery) { EXPECT_EQ(ParseUrl("ftp://host/x?signature=abc").error().message.find("abc"), std::string::npos); }

TEST(Url, RedirectsMayBeRelative) {
  const auto from = ParseUrl("https://host:8443/a/b?c=d");
  EXPECT_EQ(ResolveRedirect(*from, "/z?y=1")->text, "https://host:8443/z?y=1");
  EXPECT_EQ(ResolveRedirect(*from, "z")->text, "https://host:8443/a/z");
  EXPECT_EQ(ResolveRedirect(*from, "//other/z")->text, "https://other/z");
  EXPECT_EQ(ResolveRedirect(*from, "http://other/")->scheme, "http");
  EXPECT_FALSE(ResolveRedirect(*from, "file:///etc/passwd"));
  EXPECT_FALSE(ResolveRedirect(*from, "https://user:secret@host/"));
}

TEST(Url, OriginIsSchemeHostAndPort) {
  const auto same = [](const char* a, const char* b) { return SameOrigin(*ParseUrl(a), *ParseUrl(b)); };
  EXPECT_TRUE(same("https://host/a", "https://HOST:443/b?c"));
  EXPECT_FALSE(same("https://host/", "http://host/"));
  EXPECT_FALSE(same("http://host/", "http://host:81/"));
  EXPECT_FALSE(same("http://host/", "http://host.evil/"));
}

TEST(Url, PathsAreEncoded) { EXPECT_EQ(EncodePath("a b/c+d?%#.gguf"), "a%20b/c%2Bd%3F%25%23.gguf"); }

}  // namespace
}  // namespace cllm
