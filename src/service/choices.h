// Several answers to one request: choices for one prompt, several prompts, or both. Each is a sequence of its own, beside all
// others; their client sees one request. They share the prompt's keys and values, as all sequences do that begin alike.
#pragma once

#include <memory>
#include <vector>

#include "service/service.h"

namespace cllm {

struct ChoiceOfRequest {
  std::shared_ptr<const SharedRequest> request;
  std::uint32_t choice = 0;  // among the answers to its prompt
};

// All answers: `choices` to the request's own prompt, then as many to each further one. They draw from one
// seed; the first answer to a prompt is the one that a request for one answer would get.
std::vector<ChoiceOfRequest> MakeChoices(GenerateRequest request, std::vector<Prompt> further_prompts, int choices);

// As Service::Submit. Text names its answer by the index in `answers`; the end comes when all have ended, or with the first
// error, which ends the others. Where one of them is refused, none is accepted.
Result<std::shared_ptr<RequestControl>> SubmitChoices(Service& service, std::vector<ChoiceOfRequest> answers,
                                                      std::shared_ptr<GenerationSink> sink);

}  // namespace cllm
