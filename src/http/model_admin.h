// Loading and unloading by hand: who may do it, and how it is done.
#pragma once

#include <cstddef>
#include <optional>

#include <drogon/HttpRequest.h>

#include "http/handlers.h"

namespace cllm {

// Why the client may not manage models: it has no admin key (kUnauthorized), or a key for other things alone (kForbidden); or, where there
// are none of admins, it does not come from this machine itself, by its own name and through no proxy (kForbidden).
std::optional<Error> WhyNotAdmin(const drogon::HttpRequest& request, const FrontDoor& front_door);

// On the loop of the call. The first answers when the model is in memory, the second at once.
void LoadNamedModel(HttpCall call, ModelRegistry& models, std::size_t model, const RequestRoom& room);
void UnloadNamedModel(HttpCall call, ModelRegistry& models, std::size_t model, const RequestRoom& room);

}  // namespace cllm
