// The figures of several processes on one page of Prometheus' text format.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

class JoinedPages {
 public:
  // The page of a process; each of its figures gets the label `model`.
  void Add(std::string_view page, std::string_view model);
  std::string Text() const;

 private:
  struct Family {
    std::string head;  // HELP and TYPE
    std::string lines;
  };
  std::vector<std::string> order_;
  std::map<std::string, Family, std::less<>> families_;
};

}  // namespace cllm
