// Who gets a place when many connections come. Each is counted from its accept on, in all and for its address; where no place is left,
// whoever says nothing gives way to who comes. No sockets, no clock; not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace cllm {

// Whom the connections of a numeric address are counted for: an IPv4 address, however it is written, or the 64 bits of an IPv6 address that
// are given to one customer.
std::string AddressShare(std::string_view address);

class ConnectionLedger {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Id = const void*;
  struct Limits {
    std::size_t places = 1000;
    std::size_t places_per_address = 0;  // 0: no limit
    std::size_t most_refused = 64;       // that are still there to be told; it takes a handshake with TLS
    // How long a client may think between two requests before its place can go to another one.
    std::chrono::seconds patience{5};
  };
  enum class Verdict : std::uint8_t {
    kAdmitted,
    kAddressIsFull,  // to be told
    kFull,           // to be told
    kTurnedAway,     // not worth an answer; it isn't in the ledger
  };
  struct Admission {
    Verdict verdict = Verdict::kAdmitted;
    Id gives_way = nullptr;  // has lost its place and has to be closed
  };

  explicit ConnectionLedger(Limits limits) : limits_(limits) {}

  Admission Add(Id id, std::string_view address, TimePoint now);
  // What is said of connections that have no place, or no longer one, is ignored.
  void OnAsked(Id id);                  // the head of a request has come, and is good
  void OnSilent(Id id, TimePoint now);  // everything is answered, and the client has taken it
  void Remove(Id id);

  std::size_t places_taken() const { return places_.size(); }
  std::size_t refused() const { return refused_.size(); }
  std::size_t addresses() const { return shares_.size(); }

 private:
  // When a silent connection begins to be one that gives way, and a number that tells equals apart.
  using Turn = std::pair<TimePoint, std::uint64_t>;
  using Silent = std::map<Turn, Id>;
  struct Share {
    std::size_t places = 0;
    Silent silent;
  };
  struct Place {
    std::string share;
    std::optional<Turn> turn;  // while it is silent
  };

  void FallSilent(Id id, Place& place, TimePoint gives_way_from);
  void Speak(Place& place);
  Admission Refuse(Id id, Verdict verdict);
  // The connection that gives way; nullptr where none does.
  static Id FirstToGo(const Silent& silent, TimePoint now);

  Limits limits_;
  std::uint64_t turns_ = 0;
  std::unordered_map<Id, Place> places_;
  std::unordered_map<std::string, Share> shares_;
  Silent silent_;
  std::unordered_set<Id> refused_;
};

}  // namespace cllm
