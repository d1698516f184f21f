#include "http/connection_ledger.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace cllm {
namespace {

constexpr std::size_t kBytesOfOneCustomer = 8;  // of the 16 of an IPv6 address

}  // namespace

std::string AddressShare(std::string_view address) {
  const std::string text(address);
  in6_addr parsed{};
  if (inet_pton(AF_INET6, text.c_str(), &parsed) != 1) return text;
  std::array<char, INET6_ADDRSTRLEN> written{};
  if (IN6_IS_ADDR_V4MAPPED(&parsed)) {
    const std::uint8_t* last = std::end(parsed.s6_addr) - sizeof(in_addr);
    return inet_ntop(AF_INET, last, written.data(), written.size());
  }
  std::fill(std::begin(parsed.s6_addr) + kBytesOfOneCustomer, std::end(parsed.s6_addr), 0);
  return std::string(inet_ntop(AF_INET6, &parsed, written.data(), written.size())) + "/64";
}

ConnectionLedger::Id ConnectionLedger::FirstToGo(const Silent& silent, TimePoint now) {
  return silent.empty() || silent.begin()->first.first > now ? nullptr : silent.begin()->second;
}

ConnectionLedger::Admission ConnectionLedger::Refuse(Id id, Verdict verdict) {
  if (refused_.size() >= limits_.most_refused) return {Verdict::kTurnedAway};
  refused_.insert(id);
  return {verdict};
}

ConnectionLedger::Admission ConnectionLedger::Add(Id id, std::string_view address, TimePoint now) {
  std::string share_name = AddressShare(address);
  const auto share = shares_.find(share_name);
  const bool share_is_full = share != shares_.end() && limits_.places_per_address > 0 && share->second.places >= limits_.places_per_address;
  const bool is_full = places_.size() >= limits_.places;
  Admission admission;
  // Who has its share already gets a place from itself alone.
  if (share_is_full || is_full) admission.gives_way = FirstToGo(share_is_full ? share->second.silent : silent_, now);
  if ((share_is_full || is_full) && admission.gives_way == nullptr) {
    return Refuse(id, share_is_full ? Verdict::kAddressIsFull : Verdict::kFull);
  }
  if (admission.gives_way != nullptr) Remove(admission.gives_way);
  Place& place = places_[id];
  place.share = std::move(share_name);
  ++shares_[place.share].places;
  FallSilent(id, place, now);
  return admission;
}

void ConnectionLedger::FallSilent(Id id, Place& place, TimePoint gives_way_from) {
  Speak(place);
  place.turn = {gives_way_from, ++turns_};
  silent_[*place.turn] = id;
  shares_[place.share].silent[*place.turn] = id;
}

void ConnectionLedger::Speak(Place& place) {
  if (!place.turn) return;
  silent_.erase(*place.turn);
  shares_[place.share].silent.erase(*place.turn);
  place.turn.reset();
}

void ConnectionLedger::OnAsked(Id id) {
  if (const auto place = places_.find(id); place != places_.end()) Speak(place->second);
}

void ConnectionLedger::OnSilent(Id id, TimePoint now) {
  if (const auto place = places_.find(id); place != places_.end()) FallSilent(id, place->second, now + limits_.patience);
}

void ConnectionLedger::Remove(Id id) {
  refused_.erase(id);
  const auto found = places_.find(id);
  if (found == places_.end()) return;
  Speak(found->second);
  const auto share = shares_.find(found->second.share);
  if (--share->second.places == 0) shares_.erase(share);
  places_.erase(found);
}

}  // namespace cllm
