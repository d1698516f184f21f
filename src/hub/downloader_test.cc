#include "hub/downloader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "hub/sha256.h"
#include "hub/testing_hub.h"

namespace cllm {
namespace {

using Kind = TransferError::Kind;

std::string SumOf(std::string_view text) {
  Sha256 sum;
  sum.Add(text);
  return sum.Hex();
}

const std::string kBody = "GGUF" + std::string(96, 'x') + std::string(100, 'y');

// A server with one file, which knows ranges, and faults that a test turns on.
struct TestingServer {
  std::string body = kBody;
  std::string etag = "\"v1\"";
  bool knows_ranges = true;
  std::vector<std::size_t> break_after;  // bytes of each answer, one after another
  std::vector<TestingAnswer> first;      // answers that come before

  TestingAnswer operator()(const HttpRequest& request) {
    if (!first.empty()) {
      TestingAnswer answer = first.front();
      first.erase(first.begin());
      return answer;
    }
    TestingAnswer answer{.headers = {{"etag", etag}}};
    const std::string range = RequestHeader(request, "Range");
    const std::string condition = RequestHeader(request, "If-Range");
    std::size_t from = 0;
    if (knows_ranges && !range.empty() && (condition.empty() || condition == etag)) from = std::stoul(range.substr(6));
    if (from > 0) {
      answer.status = 206;
      answer.headers["content-range"] =
          "bytes " + std::to_string(from) + "-" + std::to_string(body.size() - 1) + "/" + std::to_string(body.size());
    }
    answer.body = body.substr(from);
    answer.headers["content-length"] = std::to_string(answer.body.size());
    if (!break_after.empty()) {
      answer.breaks_off = true;
      answer.body.resize(std::min(answer.body.size(), break_after.front()));
      break_after.erase(break_after.begin());
    }
    return answer;
  }
};

class DownloaderTest : public ::testing::Test {
 protected:
  Transfer<Downloaded> Fetch() {
    auto part = PartialFile::Open(target_, patience_, [] {});
    Downloader downloader(transport_, patience_, observer_, policy_);
    auto result = downloader.FetchFile(request_, *part);
    if (result) {
      EXPECT_TRUE(part->Finish());
    }
    return result;
  }
  // What a run that was cut off leaves.
  void LeavePart(std::string_view bytes, const PartIdentity& identity) {
    auto part = PartialFile::Open(target_, patience_, [] {});
    ASSERT_TRUE(part->StartOver(identity));
    ASSERT_TRUE(part->Append(bytes));
  }
  std::string Range(std::size_t request) const { return RequestHeader(transport_.requests.at(request), "Range"); }
  std::string Got() const { return ReadTestFile(target_); }
  bool PartIsThere() const { return std::filesystem::exists(folder_ / "m.gguf.part"); }

  TestingFolder folder_;
  std::filesystem::path target_ = folder_ / "m.gguf";
  TestingServer server_;
  TestingTransport transport_{[this](const HttpRequest& request) { return server_(request); }};
  TestingPatience patience_;
  TestingObserver observer_;
  DownloadPolicy policy_;
  DownloadRequest request_{.url = *ParseUrl("https://host/m.gguf?key=1"), .token = {}, .label = "m.gguf", .sha256 = {}};
  const PartIdentity identity_{.url = "https://host/m.gguf", .etag = "\"v1\"", .size = 200, .sha256 = {}};
};

TEST_F(DownloaderTest, AWholeFile) {
  request_.sha256 = SumOf(kBody);
  const auto done = Fetch();
  ASSERT_TRUE(done);
  EXPECT_EQ(Got(), kBody);
  EXPECT_TRUE(done->checked);
  EXPECT_EQ(done->size, 200);
  EXPECT_EQ(done->url, "https://host/m.gguf");
  EXPECT_EQ(observer_.begins, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 200}}));
  EXPECT_EQ(observer_.ends, 1);
}

TEST_F(DownloaderTest, WithoutASumItSaysSo) {
  const auto done = Fetch();
  ASSERT_TRUE(done);
  EXPECT_FALSE(done->checked);
  EXPECT_EQ(done->sha256, SumOf(kBody));
}

TEST_F(DownloaderTest, ABreakIsGoneOnFrom) {
  server_.break_after = {50, 30};
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
  EXPECT_EQ(Range(0), "");
  EXPECT_EQ(Range(1), "bytes=50-");
  EXPECT_EQ(Range(2), "bytes=80-");
  EXPECT_EQ(RequestHeader(transport_.requests[1], "If-Range"), "\"v1\"");
}

TEST_F(DownloaderTest, AnEarlierRunIsGoneOnFrom) {
  LeavePart(kBody.substr(0, 60), identity_);
  request_.sha256 = SumOf(kBody);
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
  ASSERT_EQ(transport_.requests.size(), 1U);
  EXPECT_EQ(Range(0), "bytes=60-");
  EXPECT_EQ(observer_.begins[0].first, 60);
}

TEST_F(DownloaderTest, AServerWithoutRangesStartsOver) {
  server_.knows_ranges = false;
  LeavePart(kBody.substr(0, 60), identity_);
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
}

TEST_F(DownloaderTest, AChangedFileStartsOver) {
  LeavePart("GGUFold bytes", identity_);
  server_.etag = "\"v2\"";
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
}

// Ignores If-Range, so only the answer's ETag tells.
TEST_F(DownloaderTest, AChangedFileBehindALyingServerStartsOver) {
  LeavePart("GGUFold bytes", identity_);
  server_.first = {{.status = 206, .headers = {{"etag", "\"v2\""}, {"content-range", "bytes 13-199/200"}}, .body = kBody.substr(13)}};
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
  EXPECT_EQ(Range(1), "");
}

TEST_F(DownloaderTest, AnotherRangeOrSizeThanAskedForStartsOver) {
  for (const char* range : {"bytes 0-199/200", "bytes 61-199/200", "bytes 60-299/300", "items 60-199/200", "nonsense", ""}) {
    LeavePart(kBody.substr(0, 60), identity_);
    server_.first = {{.status = 206, .headers = {{"content-range", range}}, .body = kBody}};
    ASSERT_TRUE(Fetch()) << range;
    EXPECT_EQ(Got(), kBody) << range;
    std::filesystem::remove(target_);
  }
}

TEST_F(DownloaderTest, PartsThatCannotBeRecognisedAreNotUsed) {
  PartIdentity other_place = identity_;
  other_place.url = "https://host/other.gguf";
  PartIdentity no_etag = identity_;
  no_etag.etag = "";
  for (const PartIdentity& identity : {other_place, no_etag, PartIdentity()}) {
    LeavePart("GGUFsomething else", identity);
    ASSERT_TRUE(Fetch());
    EXPECT_EQ(Got(), kBody);
    EXPECT_EQ(Range(transport_.requests.size() - 1), "");
    std::filesystem::remove(target_);
  }
}

TEST_F(DownloaderTest, APartOfAnotherSumIsNotUsed) {
  PartIdentity other = identity_;
  other.sha256 = std::string(64, 'b');
  LeavePart("GGUFsomething else", other);
  request_.sha256 = SumOf(kBody);
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Range(0), "");
}

TEST_F(DownloaderTest, AWholePartWithItsSumNeedsNoRequest) {
  PartIdentity identity = identity_;
  identity.sha256 = SumOf(kBody);
  LeavePart(kBody, identity);
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
  EXPECT_TRUE(transport_.requests.empty());
}

TEST_F(DownloaderTest, ADamagedPartIsFetchedAnew) {
  LeavePart("GGUF" + std::string(56, 'z'), identity_);
  request_.sha256 = SumOf(kBody);
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
  EXPECT_EQ(transport_.requests.size(), 2U);
}

TEST_F(DownloaderTest, AWrongSumIsFinalAndNotKept) {
  request_.sha256 = std::string(64, 'a');
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(done.error().error.message.find(SumOf(kBody)), std::string::npos);
  EXPECT_FALSE(PartIsThere());
  EXPECT_EQ(transport_.requests.size(), 1U);
}

TEST_F(DownloaderTest, TheServersSumIsChecked) {
  server_.first = {{.headers = {{"x-linked-etag", '"' + std::string(64, 'c') + '"'}, {"content-length", "200"}}, .body = kBody}};
  EXPECT_FALSE(Fetch());
  EXPECT_FALSE(PartIsThere());
}

TEST_F(DownloaderTest, TheServersSumAgainstOursEndsBeforeTheBody) {
  request_.sha256 = SumOf(kBody);
  server_.first = {{.headers = {{"x-linked-etag", '"' + std::string(64, 'c') + '"'}}, .body = kBody}};
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_TRUE(observer_.begins.empty());
}

TEST_F(DownloaderTest, AnotherSizeThanKnownEndsBeforeTheBody) {
  request_.size = 300;
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().error.message.find("200 bytes of m.gguf, which has 300"), std::string::npos);
}

TEST_F(DownloaderTest, RetriesAreBoundedAndWaitLonger) {
  server_.break_after = std::vector<std::size_t>(100, 0);
  policy_.retries = 3;
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(transport_.requests.size(), 4U);
  using std::chrono::seconds;
  EXPECT_EQ(patience_.waits, (std::vector<std::chrono::milliseconds>{seconds(1), seconds(2), seconds(4)}));
  EXPECT_FALSE(PartIsThere()) << "an empty part is of no use";
}

TEST_F(DownloaderTest, WaitsHaveALimit) {
  server_.break_after = std::vector<std::size_t>(100, 0);
  policy_.retries = 40;
  Fetch();
  EXPECT_EQ(*std::ranges::max_element(patience_.waits), Downloader::kLongestDelay);
}

TEST_F(DownloaderTest, ABrokenTransferKeepsItsPart) {
  server_.break_after = std::vector<std::size_t>(100, 10);
  policy_.retries = 2;
  EXPECT_FALSE(Fetch());
  EXPECT_TRUE(PartIsThere());
  server_.break_after.clear();
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(transport_.requests.size(), 4U);
  EXPECT_EQ(Range(3), "bytes=30-");
}

TEST_F(DownloaderTest, RealProgressRenewsTheTries) {
  server_.body = "GGUF" + std::string(8 << 20, 'x');
  server_.break_after = std::vector<std::size_t>(6, (1 << 20) + 100);
  policy_.retries = 1;
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), server_.body);
}

// A server that breaks and knows no ranges would otherwise go on for ever: each try begins at nothing.
TEST_F(DownloaderTest, TheSameBytesAgainAreNoProgress) {
  server_.body = "GGUF" + std::string(4 << 20, 'x');
  server_.knows_ranges = false;
  server_.break_after = std::vector<std::size_t>(100, 2 << 20);
  policy_.retries = 2;
  EXPECT_FALSE(Fetch());
  EXPECT_EQ(transport_.requests.size(), 3U);
}

TEST_F(DownloaderTest, BusyServersAreTriedAgain) {
  for (const int status : {408, 429, 500, 502, 503, 504}) server_.first.push_back({.status = status});
  policy_.retries = 6;
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(transport_.requests.size(), 7U);
}

TEST_F(DownloaderTest, RetryAfterIsObeyedWithinReason) {
  server_.first = {{.status = 429, .headers = {{"retry-after", "7"}}}};
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(patience_.waits, std::vector<std::chrono::milliseconds>{std::chrono::seconds(7)});
  std::filesystem::remove(target_);
  server_.first = {{.status = 503, .headers = {{"retry-after", "3600"}}}};
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().error.message.find("come back after 3600 s"), std::string::npos);
}

TEST_F(DownloaderTest, OtherAnswersAreFinal) {
  for (const int status : {204, 400, 401, 403, 404, 410, 451}) {
    server_.first = {{.status = status, .headers = {{"x-error-message", "because\x1b"}}}};
    const auto done = Fetch();
    ASSERT_FALSE(done) << status;
    EXPECT_EQ(done.error().http_status, status);
    EXPECT_NE(done.error().error.message.find(std::to_string(status)), std::string::npos);
    EXPECT_NE(done.error().error.message.find("because\\x1b"), std::string::npos);
  }
  EXPECT_TRUE(patience_.waits.empty());
}

TEST_F(DownloaderTest, NoConnectionIsTriedAgainOnlyWhereAsked) {
  server_.first = {{.no_connection = true}};
  ASSERT_TRUE(Fetch());
  std::filesystem::remove(target_);
  server_.first = {{.no_connection = true}};
  request_.retry_unreachable = false;
  EXPECT_FALSE(Fetch());
}

TEST_F(DownloaderTest, A416StartsOver) {
  LeavePart(kBody + "more", identity_);
  server_.first = {{.status = 416, .headers = {{"content-range", "bytes */200"}}}};
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
}

TEST_F(DownloaderTest, MoreBytesThanSaidAreNotTaken) {
  server_.first = std::vector<TestingAnswer>(10, {.headers = {{"content-length", "100"}}, .body = kBody});
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_LE(transport_.requests.size(), 5U);
  EXPECT_NE(done.error().error.message.find("more bytes than it said"), std::string::npos);
}

TEST_F(DownloaderTest, FewerBytesThanSaidAreABreak) {
  server_.first = {{.headers = {{"content-length", "200"}, {"etag", "\"v1\""}}, .body = kBody.substr(0, 150)}};
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Range(1), "bytes=150-");
}

TEST_F(DownloaderTest, UnknownSizesWork) {
  server_.first = {{.body = kBody}};
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
  EXPECT_EQ(observer_.begins[0].second, -1);
}

TEST_F(DownloaderTest, PagesAreNoModels) {
  server_.body = "<!DOCTYPE html> log in first";
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().error.message.find("no GGUF file: it begins with \"<!DO\""), std::string::npos);
  EXPECT_FALSE(PartIsThere());
}

TEST_F(DownloaderTest, EmptyFilesAreNoModels) {
  server_.body = "";
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().error.message.find("sends nothing"), std::string::npos);
  EXPECT_FALSE(PartIsThere());
}

TEST_F(DownloaderTest, WhatIsNoModelDoesNotCostThePart) {
  request_.sha256 = SumOf(kBody);
  request_.size = 200;
  LeavePart(kBody.substr(0, 60), identity_);
  server_.first = {{.headers = {{"content-length", "9"}}, .body = "<!DOCTYPE"}, {.body = "<!DOCTYPE"}, {.body = ""}};
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Fetch());
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Range(3), "bytes=60-");
  EXPECT_EQ(Got(), kBody);
}

TEST_F(DownloaderTest, TooLittleDiskIsSaidBeforehand) {
  policy_.max_model_gb = 1e9 + 1e8;
  server_.first = {{.headers = {{"content-length", std::to_string(std::int64_t{1} << 60)}}, .body = kBody}};
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error.code, ErrorCode::kTooLarge);
  EXPECT_NE(done.error().error.message.find("needs 1024.0 PiB more"), std::string::npos);
  EXPECT_TRUE(observer_.begins.empty());
  EXPECT_FALSE(PartIsThere());
}

TEST_F(DownloaderTest, SomeDiskIsSpared) {
  policy_.spare_disk_bytes = std::numeric_limits<std::int64_t>::max() / 2;
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error.code, ErrorCode::kTooLarge);
}

TEST_F(DownloaderTest, TheDiskIsLookedAtAgainWhileBytesCome) {
  server_.body = "GGUF" + std::string(4 << 20, 'x');
  std::int64_t free_bytes = 64 << 20;
  int asked = 0;
  policy_.free_bytes = [&](const std::filesystem::path&) { return ++asked == 3 ? std::int64_t{0} : free_bytes; };
  for (const bool size_known : {true, false}) {
    asked = 0;
    if (!size_known) server_.first = {{.headers = {{"etag", server_.etag}}, .body = server_.body}};
    const auto done = Fetch();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().error.code, ErrorCode::kTooLarge);
    EXPECT_EQ(asked, 3);
    EXPECT_NEAR(static_cast<double>(std::filesystem::file_size(folder_ / "m.gguf.part")), 2 << 20, 16) << "what came stays";
    std::filesystem::remove(folder_ / "m.gguf.part");
  }
}

TEST_F(DownloaderTest, AnAnnouncedSizeOverTheLimitEndsBeforeTheBody) {
  policy_.max_model_gb = 100.0 / (1 << 30);
  for (const char* header : {"content-length", "x-linked-size"}) {
    server_.first = {{.headers = {{header, "200"}}, .body = kBody}};
    const auto done = Fetch();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().error.code, ErrorCode::kTooLarge);
    EXPECT_NE(done.error().error.message.find("m.gguf has 200 B, but hub.max_model_gb allows 100 B"), std::string::npos);
    EXPECT_TRUE(observer_.begins.empty());
    EXPECT_FALSE(PartIsThere());
  }
  request_.size = 200;
  server_.first = {{.body = kBody}};
  EXPECT_FALSE(Fetch());
  EXPECT_EQ(transport_.requests.size(), 3U) << "it is not tried again";
}

TEST_F(DownloaderTest, ABodyWithoutASizeEndsAtTheLimitAndIsNotKept) {
  policy_.max_model_gb = 100.0 / (1 << 30);
  server_.first = {{.headers = {{"etag", server_.etag}}, .body = kBody}};
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error.code, ErrorCode::kTooLarge);
  EXPECT_NE(done.error().error.message.find("m.gguf has at least 105 B, but hub.max_model_gb allows 100 B"), std::string::npos)
      << done.error().error.message;
  EXPECT_FALSE(PartIsThere());
  policy_.max_model_gb = 200.0 / (1 << 30);
  EXPECT_TRUE(Fetch()) << "the limit itself is allowed";
}

TEST_F(DownloaderTest, APartCountsToTheLimit) {
  policy_.max_model_gb = 100.0 / (1 << 30);
  PartIdentity unsized = identity_;
  unsized.size = -1;
  LeavePart(kBody.substr(0, 60), unsized);
  server_.first = {{.status = 206, .headers = {{"content-range", "bytes 60-199/*"}, {"etag", server_.etag}}, .body = kBody.substr(60)}};
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error.code, ErrorCode::kTooLarge);
  EXPECT_FALSE(PartIsThere());
}

TEST_F(DownloaderTest, ASizeThatIsKnownElsewhereBoundsABodyWithoutOne) {
  request_.size = 200;
  server_.first = {{.body = kBody + "more"}};
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
  EXPECT_EQ(observer_.notes.size(), 1U);
  std::filesystem::remove(target_);
  server_.first = {{.body = kBody.substr(0, 150)}};
  ASSERT_TRUE(Fetch());
  EXPECT_EQ(Got(), kBody);
}

TEST_F(DownloaderTest, WhatNoTryCanGoOnFromIsNotKept) {
  server_.etag = "W/\"weak\"";
  server_.break_after = std::vector<std::size_t>(100, 50);
  EXPECT_FALSE(Fetch());
  EXPECT_FALSE(PartIsThere());
}

TEST_F(DownloaderTest, AnInterruptWhileWaitingKeepsThePart) {
  server_.break_after = std::vector<std::size_t>(100, 50);
  patience_.on_wait = [this] { patience_.interrupted = true; };
  const auto done = Fetch();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().error.code, ErrorCode::kCancelled);
  EXPECT_EQ(transport_.requests.size(), 1U);
  EXPECT_TRUE(PartIsThere());
}

TEST_F(DownloaderTest, PackedBodiesAreRefused) {
  server_.first = {{.headers = {{"content-encoding", "gzip"}}, .body = "\x1f\x8b"}};
  EXPECT_FALSE(Fetch());
}

TEST_F(DownloaderTest, TextHasALimit) {
  server_.body = std::string(1000, 'x');
  Downloader downloader(transport_, patience_, observer_, policy_);
  EXPECT_EQ(downloader.FetchText(request_.url, "", 1000, true)->text.size(), 1000U);
  EXPECT_FALSE(downloader.FetchText(request_.url, "", 999, true));
}

TEST_F(DownloaderTest, TextIsTriedAgain) {
  server_.first = {{.status = 503}, {.no_connection = true}};
  Downloader downloader(transport_, patience_, observer_, policy_);
  EXPECT_EQ(downloader.FetchText(request_.url, "", 1000, true)->text, kBody);
}

}  // namespace
}  // namespace cllm
