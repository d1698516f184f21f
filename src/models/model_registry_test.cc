#include "models/model_registry.h"

#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

// What a test may do to a model, and what it sees of it.
struct Toy {
  std::string name;
  std::int64_t bytes = 100;
  std::atomic<bool> fails = false;
  std::atomic<int> loads = 0;
  std::atomic<bool> is_held = false;      // a load waits while it is, whoever wants it
  std::atomic<bool> is_slow = false;      // a load goes on while it is and somebody wants it
  std::atomic<double> done = 0;           // how much of a slow load is done
  std::atomic<int>* in_memory = nullptr;  // bytes of all toys
};

ServerFacts FactsOf(const Toy& toy) {
  ServerFacts facts;
  facts.card.id = toy.name;
  return facts;
}

class ToyLoadedModel : public LoadedModel {
 public:
  explicit ToyLoadedModel(Toy& toy) : toy_(toy) {
    if (toy_.in_memory != nullptr) *toy_.in_memory += static_cast<int>(toy_.bytes);
  }
  ~ToyLoadedModel() override {
    if (toy_.in_memory != nullptr) *toy_.in_memory -= static_cast<int>(toy_.bytes);
  }
  ModelLease model() const override { return backend_; }

 private:
  Toy& toy_;
  ToyTextModel text_;
  FakeEngine engine_{{}};
  Service service_{text_, engine_, {}, [] {}};
  std::shared_ptr<const Backend> backend_ = std::make_shared<Backend>(service_, FactsOf(toy_), RequestDefaults{});
};

class ToySource : public ModelSource {
 public:
  explicit ToySource(Toy& toy) : toy_(toy) {}
  ListedModel Look() const override { return {.facts = FactsOf(toy_)}; }
  Result<std::int64_t> NeededBytes() override { return toy_.bytes; }
  Result<std::unique_ptr<LoadedModel>> Load(const WorkWatch& watch) override {
    ++toy_.loads;
    toy_.is_held.wait(true);
    while (toy_.is_slow) {
      if (Status wanted = watch.Report(toy_.done); !wanted) return std::unexpected(wanted.error());
      std::this_thread::yield();
    }
    if (toy_.fails) return Fail(ErrorCode::kInvalidArgument, "its file is broken");
    return std::make_unique<ToyLoadedModel>(toy_);
  }

 private:
  Toy& toy_;
};

// A model in a process of its own, as far as a registry sees it.
class ToyProcess : public RemoteModel {
 public:
  const std::string& id() const override { return id_; }
  int max_context() const override { return 77; }
  Result<int> Connect() const override { return Fail(ErrorCode::kUnavailable, "it is a toy"); }
  bool has_ended() const override { return ended; }
  std::string how_it_ended() const override { return ended ? "signal 9 (Killed)" : ""; }
  Figures figures() const override { return {}; }
  const std::string& description() const override { return id_; }

  std::atomic<bool> ended = false;

 private:
  std::string id_ = "remote";
};

class ToyProcessSource : public ModelSource {
 public:
  // `last`: the process that was started last.
  explicit ToyProcessSource(std::shared_ptr<ToyProcess>& last) : last_(last) {}
  ListedModel Look() const override { return {}; }
  Result<std::int64_t> NeededBytes() override { return 100; }
  Result<std::unique_ptr<LoadedModel>> Load(const WorkWatch& /*watch*/) override {
    last_ = std::make_shared<ToyProcess>();
    return std::make_unique<Running>(last_);
  }

 private:
  struct Running : LoadedModel {
    explicit Running(std::shared_ptr<const RemoteModel> process) : running(std::move(process)) {}
    ModelLease model() const override { return running; }
    std::shared_ptr<const RemoteModel> running;
  };
  std::shared_ptr<ToyProcess>& last_;
};

class ModelRegistryTest : public testing::Test {
 protected:
  using Outcome = std::future<Result<ModelLease>>;

  static ConfiguredModel Configured(Toy& toy) { return {.name = toy.name, .source = std::make_unique<ToySource>(toy)}; }

  void Make(const RegistryOptions& options = {}) {
    std::vector<ConfiguredModel> models;
    models.push_back(Configured(a_));
    models.push_back(Configured(b_));
    models.push_back(Configured(c_));
    Make(std::move(models), options);
  }
  void Make(std::vector<ConfiguredModel> models, const RegistryOptions& options) {
    auto registry = ModelRegistry::Create(std::move(models), options);
    ASSERT_TRUE(registry);
    registry_ = std::move(*registry);
  }

  Outcome Ask(std::size_t model, std::uint64_t* number = nullptr) {
    auto promise = std::make_shared<std::promise<Result<ModelLease>>>();
    const auto asked = registry_->Ask(model, [promise](Result<ModelLease> lease) { promise->set_value(std::move(lease)); });
    if (number != nullptr) *number = asked;
    return promise->get_future();
  }
  ModelLease Get(std::size_t model) {
    Result<ModelLease> lease = Ask(model).get();
    EXPECT_TRUE(lease) << lease.error().message;
    return lease ? *lease : nullptr;
  }
  static bool IsOpen(const Outcome& outcome) { return outcome.wait_for(std::chrono::seconds(0)) != std::future_status::ready; }
  ModelState StateOf(std::size_t model) const { return registry_->List()[model].state; }
  void WaitFor(std::size_t model, ModelState state) const {
    while (StateOf(model) != state) std::this_thread::yield();
  }
  static void LetLoad(Toy& toy) {
    toy.is_held = false;
    toy.is_held.notify_all();
  }

  Toy a_{.name = "a"}, b_{.name = "b"}, c_{.name = "c"};
  std::unique_ptr<ModelRegistry> registry_;
};

TEST_F(ModelRegistryTest, AModelIsLoadedOnceForAllWhoWait) {
  Make();
  EXPECT_EQ(StateOf(0), ModelState::kUnloaded);
  EXPECT_EQ(registry_->Take(0), nullptr);
  a_.is_held = true;
  Outcome first = Ask(0), second = Ask(0);
  WaitFor(0, ModelState::kLoading);
  EXPECT_EQ(registry_->List()[0].waiting, 2);
  EXPECT_TRUE(IsOpen(first));
  LetLoad(a_);
  EXPECT_EQ(first.get().value()->facts.card.id, "a");
  EXPECT_EQ(second.get().value()->facts.card.id, "a");
  EXPECT_EQ(Get(0)->facts.card.id, "a");
  EXPECT_NE(registry_->Take(0), nullptr);
  EXPECT_EQ(a_.loads, 1);
  EXPECT_EQ(b_.loads, 0);
  EXPECT_EQ(StateOf(0), ModelState::kLoaded);
}

TEST_F(ModelRegistryTest, AFailureIsToldAndRememberedForAWhile) {
  Make({.remembers_failure_s = 0.2});
  a_.fails = true;
  const Error error = Ask(0).get().error();
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_EQ(error.message, "the model a can't be loaded: its file is broken");
  const Error again = Ask(0).get().error();
  EXPECT_EQ(again.message, error.message);
  EXPECT_EQ(again.retry_after_s, 1);
  EXPECT_EQ(a_.loads, 1);
  EXPECT_EQ(registry_->List()[0].problem, error.message);
  EXPECT_EQ(Get(1)->facts.card.id, "b");  // others are undisturbed
  a_.fails = false;
  Result<ModelLease> lease;
  do lease = Ask(0).get();
  while (!lease);
  EXPECT_EQ(a_.loads, 2);
}

TEST_F(ModelRegistryTest, TheLeastRecentlyUsedGivesWay) {
  Make({.memory_bytes = 250});
  Get(0);
  Get(1);
  Get(0);
  Get(2);
  EXPECT_EQ(StateOf(0), ModelState::kLoaded);
  EXPECT_EQ(StateOf(1), ModelState::kUnloaded);
  EXPECT_EQ(StateOf(2), ModelState::kLoaded);
  for (const ModelLease& look : registry_->Loaded()) EXPECT_NE(look, nullptr);  // no use
  Get(1);
  EXPECT_EQ(StateOf(0), ModelState::kUnloaded);
}

TEST_F(ModelRegistryTest, WhoIsUsedStaysUntilItsRequestsEnd) {
  Make({.memory_bytes = 200});
  ModelLease a = Get(0), b = Get(1);
  Outcome c = Ask(2);
  Outcome next;
  WaitFor(0, ModelState::kUnloading);  // it was used least recently
  next = Ask(0);
  EXPECT_TRUE(IsOpen(c));
  EXPECT_EQ(a->facts.card.id, "a");
  EXPECT_EQ(a->service.model().Tokenize("x", false, false, {})->size(), 1);
  a.reset();
  EXPECT_EQ(c.get().value()->facts.card.id, "c");
  b.reset();
  EXPECT_EQ(next.get().value()->facts.card.id, "a");
  EXPECT_EQ(a_.loads, 2);
}

TEST_F(ModelRegistryTest, AModelThatNobodyWantsAnyMoreTakesNobodysPlace) {
  Make({.memory_bytes = 100});
  ModelLease a = Get(0);
  std::uint64_t number = 0;
  Outcome b = Ask(1, &number);
  WaitFor(0, ModelState::kUnloading);
  Outcome late = Ask(0);
  EXPECT_TRUE(IsOpen(late));
  registry_->GiveUp(1, number);
  EXPECT_EQ(b.get().error().code, ErrorCode::kCancelled);
  EXPECT_EQ(late.get().value(), a);
  WaitFor(1, ModelState::kUnloaded);
  EXPECT_EQ(b_.loads, 0);
  registry_->GiveUp(1, number);  // too late
}

TEST_F(ModelRegistryTest, WhatDoesNotFitIsSaidBeforeItIsLoaded) {
  b_.bytes = 300 << 20;
  std::vector<ConfiguredModel> models;
  models.push_back(Configured(a_));
  models.push_back(Configured(b_));
  models.push_back(Configured(c_));
  models[0].pinned = true;
  a_.bytes = 50 << 20;
  c_.bytes = 180 << 20;
  Make(std::move(models), {.memory_bytes = 200 << 20});
  EXPECT_EQ(Ask(1).get().error().message,
            "the model b can't be loaded: it needs 300 MiB of memory, and resources.memory_limit_mb leaves 200 MiB for it");
  Get(0);
  EXPECT_EQ(Ask(2).get().error().message,
            "the model c can't be loaded: it needs 180 MiB of memory, and pinned models leave 150 MiB for it");
  EXPECT_EQ(b_.loads + c_.loads, 0);
  EXPECT_EQ(registry_->Unload(0).error().message, "the model a is pinned");
}

TEST_F(ModelRegistryTest, WhoIsIdleForTooLongIsUnloaded) {
  std::vector<ConfiguredModel> models;
  models.push_back(Configured(a_));
  models.push_back(Configured(b_));
  models[0].keep_alive_s = models[1].keep_alive_s = 0.05;
  models[1].pinned = true;
  Make(std::move(models), {});
  ModelLease a = Get(0);
  Get(1);
  EXPECT_GT(registry_->List()[0].seconds_left, 0);
  a.reset();
  WaitFor(0, ModelState::kUnloaded);
  EXPECT_EQ(StateOf(1), ModelState::kLoaded);
  EXPECT_EQ(Get(0)->facts.card.id, "a");
}

TEST_F(ModelRegistryTest, AModelIsUnloadedWhenNobodyHasItAndComesBackWhenAsked) {
  Make();
  ModelLease a = Get(0);
  ASSERT_TRUE(registry_->Unload(0));
  ASSERT_TRUE(registry_->Unload(1));  // it is not there
  EXPECT_EQ(registry_->Take(0), nullptr);
  EXPECT_EQ(StateOf(0), ModelState::kUnloading);
  a.reset();
  WaitFor(0, ModelState::kUnloaded);
  EXPECT_EQ(Get(0)->facts.card.id, "a");
}

TEST_F(ModelRegistryTest, PreloadedModelsTakeOnlyWhatIsFree) {
  std::vector<ConfiguredModel> models;
  models.push_back(Configured(a_));
  models.push_back(Configured(b_));
  models.push_back(Configured(c_));
  models[1].preload = models[2].preload = true;
  Make(std::move(models), {.memory_bytes = 200});
  Get(0);
  registry_->Preload();
  WaitFor(1, ModelState::kLoaded);
  WaitFor(2, ModelState::kUnloaded);
  EXPECT_EQ(StateOf(0), ModelState::kLoaded);
}

TEST_F(ModelRegistryTest, TheEndRefusesWhoWaits) {
  Make({.most_waiting = 1});
  a_.is_held = true;
  Outcome waiting = Ask(0);
  EXPECT_EQ(Ask(0).get().error().code, ErrorCode::kQueueFull);
  WaitFor(0, ModelState::kLoading);
  registry_->StopAccepting();
  EXPECT_EQ(waiting.get().error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(Ask(1).get().error().message, "the server is shutting down");
  EXPECT_FALSE(registry_->accepting());
  LetLoad(a_);
  registry_.reset();
  EXPECT_EQ(b_.loads, 0);
}

TEST_F(ModelRegistryTest, ALoadSaysHowFarItIs) {
  Make();
  a_.is_slow = true;
  Outcome outcome = Ask(0);
  WaitFor(0, ModelState::kLoading);
  for (const double done : {0.25, 0.75}) {
    a_.done = done;
    while (registry_->List()[0].load_progress != done) std::this_thread::yield();
  }
  a_.done = 0.5;  // a source that is not sure
  EXPECT_EQ(registry_->List()[0].load_progress, 0.75);
  EXPECT_TRUE(IsOpen(outcome));
  a_.is_slow = false;
  EXPECT_TRUE(outcome.get());
}

TEST_F(ModelRegistryTest, ALoadThatNobodyWaitsForEnds) {
  Make();
  a_.is_slow = true;
  std::uint64_t number = 0, other_number = 0;
  Outcome outcome = Ask(0, &number);
  Outcome other = Ask(0, &other_number);
  WaitFor(0, ModelState::kLoading);
  registry_->GiveUp(0, number);
  EXPECT_EQ(outcome.get().error().code, ErrorCode::kCancelled);
  EXPECT_EQ(StateOf(0), ModelState::kLoading);  // one is left
  EXPECT_TRUE(IsOpen(other));
  registry_->GiveUp(0, other_number);
  WaitFor(0, ModelState::kUnloaded);
  EXPECT_EQ(registry_->List()[0].needed_bytes, 0);
  a_.is_slow = false;
  Get(0);  // no failure is remembered
  EXPECT_EQ(a_.loads, 2);
}

TEST_F(ModelRegistryTest, TheEndEndsALoad) {
  Make();
  a_.is_slow = true;
  Outcome outcome = Ask(0);
  WaitFor(0, ModelState::kLoading);
  registry_->StopAccepting();
  EXPECT_EQ(outcome.get().error().code, ErrorCode::kUnavailable);
  registry_.reset();
}

TEST_F(ModelRegistryTest, AProcessThatEndsIsStartedAgainForTheNextRequest) {
  std::shared_ptr<ToyProcess> process;
  std::vector<ConfiguredModel> models;
  models.push_back({.name = "remote", .source = std::make_unique<ToyProcessSource>(process)});
  models.push_back(Configured(a_));
  Make(std::move(models), {});
  ModelLease used = Get(0);
  Get(1);
  ASSERT_EQ(used.remote(), process);
  EXPECT_EQ(used.backend(), nullptr);
  EXPECT_EQ(registry_->remote_uses(), 1);
  EXPECT_EQ(registry_->List()[0].max_context, 77);
  const std::shared_ptr<ToyProcess> first = process;
  first->ended = true;
  EXPECT_EQ(registry_->Take(0), nullptr);
  Outcome next = Ask(0);
  WaitFor(0, ModelState::kUnloading);  // somebody has it yet
  EXPECT_TRUE(IsOpen(next));
  used.reset();
  const ModelLease again = next.get().value();
  EXPECT_NE(process, first);
  EXPECT_EQ(again.remote(), process);
  EXPECT_EQ(StateOf(1), ModelState::kLoaded);
  EXPECT_EQ(registry_->remote_uses(), 1);
}

TEST_F(ModelRegistryTest, TheEndOfAProcessIsNoticedThoughNobodyAsks) {
  std::shared_ptr<ToyProcess> process;
  std::vector<ConfiguredModel> models;
  models.push_back({.name = "remote", .source = std::make_unique<ToyProcessSource>(process)});
  Make(std::move(models), {});
  Get(0);
  process->ended = true;
  WaitFor(0, ModelState::kUnloaded);
  EXPECT_EQ(registry_->remote_uses(), 0);
}

TEST_F(ModelRegistryTest, ALeaseMayOutliveTheRegistry) {
  Make();
  ModelLease lease = Get(0);
  registry_.reset();
  EXPECT_EQ(lease->facts.card.id, "a");
}

// Many ask at random for more models than fit: each gets the one that it asked for, and memory is never exceeded.
TEST_F(ModelRegistryTest, ManyAskAtRandom) {
  std::atomic<int> in_memory = 0;
  for (Toy* toy : {&a_, &b_, &c_}) toy->in_memory = &in_memory;
  Make({.memory_bytes = 240});
  std::vector<std::jthread> clients;
  for (unsigned client = 0; client < 8; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937 random(client);
      for (int n = 0; n < 200; ++n) {
        const std::size_t model = random() % 3;
        ModelLease lease = registry_->Take(model);
        std::uint64_t number = 0;
        if (!lease) {
          Outcome outcome = Ask(model, &number);
          if (random() % 8 == 0) registry_->GiveUp(model, number);
          Result<ModelLease> asked = outcome.get();
          EXPECT_TRUE(asked || asked.error().code == ErrorCode::kCancelled);
          if (asked) lease = *std::move(asked);
        }
        EXPECT_TRUE(!lease || lease->facts.card.id == std::string(1, static_cast<char>('a' + model)));
        EXPECT_LE(in_memory, 240);
      }
    });
  }
  clients.clear();
  registry_.reset();
  EXPECT_EQ(in_memory, 0);
}

}  // namespace
}  // namespace cllm
