#include "http/connection_ledger.h"

#include <array>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using Verdict = ConnectionLedger::Verdict;
using std::chrono::seconds;

constexpr const char* kHere = "10.0.0.1";
constexpr const char* kThere = "10.0.0.2";

// Connections are the addresses of these.
class ConnectionLedgerTest : public testing::Test {
 protected:
  ConnectionLedger::Id Id(std::size_t i) const { return &connections_.at(i); }
  ConnectionLedger::TimePoint At(int second) const { return ConnectionLedger::TimePoint() + seconds(1000 + second); }

  ConnectionLedger ledger_{{.places = 3, .places_per_address = 2, .most_refused = 2, .patience = seconds(5)}};

 private:
  std::array<char, 16> connections_{};
};

TEST_F(ConnectionLedgerTest, TheOldestSilentOneGivesWay) {
  EXPECT_EQ(ledger_.Add(Id(0), kHere, At(0)).gives_way, nullptr);
  EXPECT_EQ(ledger_.Add(Id(1), kThere, At(1)).gives_way, nullptr);
  EXPECT_EQ(ledger_.Add(Id(2), kThere, At(2)).gives_way, nullptr);
  const auto admission = ledger_.Add(Id(3), "10.0.0.3", At(3));
  EXPECT_EQ(admission.verdict, Verdict::kAdmitted);
  EXPECT_EQ(admission.gives_way, Id(0));
  EXPECT_EQ(ledger_.places_taken(), 3U);
  ledger_.Remove(Id(0));  // it is closed now
  EXPECT_EQ(ledger_.places_taken(), 3U);
}

TEST_F(ConnectionLedgerTest, AnAddressThatHasItsShareGivesWayToItself) {
  ledger_.Add(Id(0), kThere, At(0));
  ledger_.Add(Id(1), kHere, At(1));
  ledger_.Add(Id(2), kHere, At(2));
  EXPECT_EQ(ledger_.Add(Id(3), kHere, At(3)).gives_way, Id(1)) << "not the older one of somebody else";
}

TEST_F(ConnectionLedgerTest, WhoAsksKeepsItsPlace) {
  for (std::size_t i = 0; i < 3; ++i) {
    ledger_.Add(Id(i), i == 0 ? kThere : kHere, At(0));
    ledger_.OnAsked(Id(i));
  }
  EXPECT_EQ(ledger_.Add(Id(3), kHere, At(100)).verdict, Verdict::kAddressIsFull);
  EXPECT_EQ(ledger_.Add(Id(4), "10.0.0.3", At(100)).verdict, Verdict::kFull);
  EXPECT_EQ(ledger_.refused(), 2U);
  EXPECT_EQ(ledger_.Add(Id(5), kHere, At(100)).verdict, Verdict::kTurnedAway) << "a flood is not worth an answer each";
  ledger_.Remove(Id(4));
  EXPECT_EQ(ledger_.Add(Id(5), kThere, At(100)).verdict, Verdict::kFull);
  ledger_.Remove(Id(0));
  EXPECT_EQ(ledger_.Add(Id(6), kThere, At(100)).verdict, Verdict::kAdmitted);
}

TEST_F(ConnectionLedgerTest, AClientMayThinkBetweenTwoRequests) {
  for (std::size_t i = 0; i < 3; ++i) {
    ledger_.Add(Id(i), i == 0 ? kThere : kHere, At(0));
    ledger_.OnAsked(Id(i));
    ledger_.OnSilent(Id(i), At(static_cast<int>(i)));
  }
  EXPECT_EQ(ledger_.Add(Id(3), "10.0.0.3", At(4)).verdict, Verdict::kFull);
  EXPECT_EQ(ledger_.Add(Id(4), "10.0.0.3", At(5)).gives_way, Id(0));
  ledger_.OnAsked(Id(1));
  EXPECT_EQ(ledger_.Add(Id(5), kHere, At(9)).gives_way, Id(2));
}

TEST_F(ConnectionLedgerTest, WhoNeverAskedGoesBeforeWhoThinks) {
  ledger_.Add(Id(0), kThere, At(0));
  ledger_.OnAsked(Id(0));
  ledger_.OnSilent(Id(0), At(0));
  ledger_.Add(Id(1), kHere, At(2));
  ledger_.Add(Id(2), kHere, At(3));
  EXPECT_EQ(ledger_.Add(Id(3), "10.0.0.3", At(4)).gives_way, Id(1));
}

TEST_F(ConnectionLedgerTest, WithoutALimitAnAddressMayHaveAllPlaces) {
  ConnectionLedger ledger({.places = 3});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(ledger.Add(Id(i), kHere, At(0)).gives_way, nullptr);
}

TEST_F(ConnectionLedgerTest, NothingIsLeftOfConnectionsThatWent) {
  for (std::size_t i = 0; i < 6; ++i) ledger_.Add(Id(i), kHere, At(static_cast<int>(i)));
  for (std::size_t i = 0; i < 6; ++i) ledger_.Remove(Id(i));
  EXPECT_EQ(ledger_.places_taken() + ledger_.refused() + ledger_.addresses(), 0U);
  ledger_.OnAsked(Id(0));
  ledger_.OnSilent(Id(0), At(9));
  EXPECT_EQ(ledger_.places_taken(), 0U);
}

TEST(AddressShareTest, OneCustomerIsOneShare) {
  EXPECT_EQ(AddressShare("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(AddressShare("::ffff:10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(AddressShare("2001:db8:1:2:3:4:5:6"), AddressShare("2001:db8:1:2:ffff::1"));
  EXPECT_NE(AddressShare("2001:db8:1:2::1"), AddressShare("2001:db8:1:3::1"));
}

}  // namespace
}  // namespace cllm
