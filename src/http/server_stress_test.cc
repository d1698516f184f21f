// The whole server around the fake engine, under clients that ask, stream, leave and send rubbish, while it shuts down.
// Its worth is greatest under ThreadSanitizer. One test: a process has one Drogon application.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "engine/fake/fake_engine.h"
#include "http/server.h"
#include "service/testing_gate.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

constexpr int kClients = 8;
constexpr int kCallsEach = 60;
constexpr int kCallsBeforeTheEnd = kClients * kCallsEach * 3 / 4;

// A connection to the server, which may be cut at any moment.
class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Send(std::string_view text) const { EXPECT_EQ(send(socket_, text.data(), text.size(), MSG_NOSIGNAL), std::ssize(text)); }

  void Post(std::string_view path, std::string_view body) const {
    Send(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}", path, body.size(), body));
  }

  // Reads until the server closes, or until at least `enough` bytes are there.
  std::string Read(std::size_t enough = std::string::npos) const {
    std::string text;
    std::array<char, 4096> buffer{};
    while (text.size() < enough) {
      const ssize_t count = recv(socket_, buffer.data(), buffer.size(), 0);
      if (count <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int socket_;
};

bool IsRefusal(std::string_view answer) { return answer.starts_with("HTTP/1.1 429") || answer.starts_with("HTTP/1.1 503"); }

std::string RequestBody(int number, bool stream) {
  return fmt::format(R"({{"prompt": "client {}", "max_tokens": {}, "temperature": 0, "ignore_eos": true, "stream": {}}})", number,
                     1 + number % 40, stream);
}

std::string Get(int port, std::string_view path) {
  const Client client(port);
  client.Send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path));
  return client.Read();
}

// An answer that is kept, and the same again from where it is kept.
void AskForAKeptAnswer(const Client& client, int port, int number) {
  client.Post("/v1/responses", fmt::format(R"({{"input": "client {}", "max_output_tokens": 9, "ignore_eos": true, "stream": {}}})", number,
                                           number % 2 == 0));
  const std::string answer = client.Read();
  EXPECT_TRUE(IsRefusal(answer) || answer.find("\"reason\":\"max_output_tokens\"") != std::string::npos) << answer;
  const std::size_t id = answer.find("resp_");
  if (id == std::string::npos) return;
  const std::string kept = Get(port, "/v1/responses/" + answer.substr(id, 37));
  EXPECT_TRUE(IsRefusal(kept) || kept.starts_with("HTTP/1.1 200")) << kept;
}

// One of the things that clients do; each answer is whole or a refusal.
void Call(int port, int number, unsigned kind) {
  const Client client(port);
  switch (kind) {
    case 0: {
      client.Post("/generate", RequestBody(number, false));
      const std::string answer = client.Read();
      EXPECT_TRUE(IsRefusal(answer) || answer.ends_with("\"success\":true}")) << answer;
      break;
    }
    case 1: {
      client.Post("/generate", RequestBody(number, true));
      const std::string answer = client.Read();
      EXPECT_TRUE(IsRefusal(answer) || answer.find("\"done\":true") != std::string::npos) << answer;
      break;
    }
    case 2:  // leaves in the middle of its stream
      client.Post("/generate_stream", RequestBody(39, true));
      client.Read(1);
      break;
    case 3:  // leaves before anything came
      client.Post("/v1/completions", RequestBody(number, false));
      break;
    case 4: {
      client.Send("GET /health?level=detailed HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      const std::string answer = client.Read();
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 503")) << answer;
      break;
    }
    case 5: {  // answered by another thread than the connection's
      client.Post("/tokenize", R"({"content": "ab"})");
      const std::string answer = client.Read();
      EXPECT_TRUE(answer.ends_with(R"({"tokens":[97,98]})") || IsRefusal(answer)) << answer;
      break;
    }
    case 6:
      AskForAKeptAnswer(client, port, number);
      break;
    default:
      client.Send("rubbish\r\n\r\n");
      client.Read();
  }
}

// While a step of the engine does not end, and afterwards.
void CheckStall(int port, StepGate& gate) {
  const Client waiting(port);
  waiting.Post("/generate", RequestBody(1, false));
  gate.WaitForStep();
  for (const std::string_view path : {"/health", "/readyz", "/health?level=detailed"}) {
    std::string answer;
    do answer = Get(port, path);
    while (answer.starts_with("HTTP/1.1 200"));  // the step is not that old yet
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
    EXPECT_NE(answer.find("\"status\":\"stalled\""), std::string::npos) << answer;
    EXPECT_NE(answer.find("retry-after: "), std::string::npos) << answer;
  }
  EXPECT_TRUE(Get(port, "/livez").starts_with("HTTP/1.1 200")) << "the process itself is well";
  gate.Open();
  EXPECT_TRUE(waiting.Read().ends_with("\"success\":true}"));
  std::string answer;
  do answer = Get(port, "/readyz");
  while (answer.starts_with("HTTP/1.1 503"));  // the step that drops what the ended request held
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
}

void CheckTheEnd(HttpServer& http) {
  EXPECT_TRUE(Get(http.port(), "/readyz").starts_with("HTTP/1.1 200"));
  http.AnnounceEnd();
  EXPECT_TRUE(Get(http.port(), "/readyz").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(Get(http.port(), "/health").starts_with("HTTP/1.1 200")) << "requests are accepted yet";
}

// A model that is there already.
class ToySource : public ModelSource {
 public:
  explicit ToySource(Service& service) : service_(service) {}
  ListedModel Look() const override { return {}; }
  Result<std::int64_t> NeededBytes() override { return 0; }
  Result<std::unique_ptr<LoadedModel>> Load(const WorkWatch& /*watch*/) override { return std::make_unique<Loaded>(service_); }

 private:
  struct Loaded : LoadedModel {
    explicit Loaded(Service& service) : made(std::make_shared<Backend>(service, ServerFacts{}, RequestDefaults{})) {}
    ModelLease model() const override { return made; }
    std::shared_ptr<const Backend> made;
  };
  Service& service_;
};

TEST(ServerStressTest, ClientsThatComeAndGoWhileItShutsDown) {
  std::signal(SIGPIPE, SIG_IGN);
  // Before there are threads, as the program does: spdlog makes its registry at the first use, where ThreadSanitizer
  // does not look.
  ASSERT_TRUE(ConfigureLog({.level = "error", .format = "text", .file = "", .prompts = false}));
  const ToyTextModel model;
  FakeEngineOptions engine_options;
  engine_options.max_step_tokens = 16;
  engine_options.max_context = 128;
  StepGate gate;
  engine_options.on_step = gate.Hook();
  FakeEngine engine(engine_options);
  HttpOptions options;
  options.stall_timeout_s = 0.2;
  options.host = "127.0.0.1";
  options.port = 0;
  options.num_threads = options.min_threads = 2;
  HttpServer http(options, "test");
  ASSERT_TRUE(http.Bind());

  // Drogon's loop has to run on the thread that made it: the clients get threads of their own.
  std::thread driver([&] {
    Service service(model, engine, {.max_queue_size = 3}, [&http] { http.WakeSenders(); });
    ASSERT_TRUE(service.WaitUntilReady());
    std::vector<ConfiguredModel> configured;
    configured.push_back({.name = "toy", .source = std::make_unique<ToySource>(service)});
    const auto models = *ModelRegistry::Create(std::move(configured), {.takes_any_name = true});
    std::promise<ModelLease> loaded;
    models->Ask(0, [&loaded](Result<ModelLease> lease) { loaded.set_value(lease.value()); });
    http.SetModels(*models, loaded.get_future().get());
    http.WaitUntilListening();
    CheckStall(http.port(), gate);
    CheckTheEnd(http);
    std::atomic<int> calls = 0;
    std::vector<std::jthread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] {
        std::mt19937 random(static_cast<unsigned>(i));
        for (int n = 0; n < kCallsEach; ++n) {
          Call(http.port(), i * kCallsEach + n, random() % 8);
          if (++calls == kCallsBeforeTheEnd) models->StopAccepting();
        }
      });
    }
    clients.clear();  // joins
    EXPECT_TRUE(service.WaitUntilIdle(TimePoint::max()));
    const ServiceStats stats = service.stats();
    EXPECT_EQ(stats.open_requests, 0);
    EXPECT_GT(stats.accepted, kClients);
    EXPECT_GT(stats.refused, 0);
    EXPECT_NE(Get(http.port(), "/health").find("draining"), std::string::npos);
    http.DropModels();
    EXPECT_NE(Get(http.port(), "/health").find("draining"), std::string::npos);
    EXPECT_NE(Get(http.port(), "/metrics").find("the server is shutting down"), std::string::npos);
    http.Quit();
  });
  http.Run();
  driver.join();
  EXPECT_EQ(engine.tokens_held(), 0);  // its thread has ended
}

}  // namespace
}  // namespace cllm
