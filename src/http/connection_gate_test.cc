#include "http/connection_gate.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <trantor/net/EventLoop.h>

namespace cllm {
namespace {

// A connection without a socket: what is sent to it is kept, and the test says what the client has taken.
class FakeConnection : public trantor::TcpConnection {
 public:
  explicit FakeConnection(trantor::EventLoop& loop) : loop_(loop) {}

  std::string sent;
  std::size_t waiting = 0;        // of what was sent
  std::function<void()> on_look;  // before the gate looks at what was taken
  std::size_t taken = 0;
  bool is_shut_down = false;
  bool is_closed = false;
  trantor::MsgBuffer received;

  void send(const char* text, std::size_t length) override { sent.append(text, length); }
  void send(const void* text, std::size_t length) override { sent.append(static_cast<const char*>(text), length); }
  void send(const std::string& text) override { sent += text; }
  void send(std::string&& text) override { sent += text; }
  void send(const trantor::MsgBuffer& bytes) override { sent.append(bytes.peek(), bytes.readableBytes()); }
  void send(trantor::MsgBuffer&& bytes) override { sent.append(bytes.peek(), bytes.readableBytes()); }
  void send(const std::shared_ptr<std::string>& text) override { sent += *text; }
  void send(const std::shared_ptr<trantor::MsgBuffer>& bytes) override { sent.append(bytes->peek(), bytes->readableBytes()); }
  void sendFile(const char*, long long, long long) override {}
  void sendFile(const wchar_t*, long long, long long) override {}
  void sendStream(std::function<std::size_t(char*, std::size_t)>) override {}
  trantor::AsyncStreamPtr sendAsyncStream(bool) override { return nullptr; }
  const trantor::InetAddress& localAddr() const override { return address_; }
  const trantor::InetAddress& peerAddr() const override { return address_; }
  bool connected() const override { return !is_shut_down && !is_closed; }
  bool disconnected() const override { return is_closed; }
  void setHighWaterMarkCallback(const trantor::HighWaterMarkCallback&, std::size_t) override {}
  void setTcpNoDelay(bool) override {}
  void shutdown() override { is_shut_down = true; }
  void forceClose() override {
    is_closed = true;
    loop_.quit();
  }
  trantor::EventLoop* getLoop() override { return &loop_; }
  std::string applicationProtocol() const override { return {}; }
  void keepAlive() override {}
  bool isKeepAlive() override { return false; }
  std::size_t bytesSent() const override { return sent.size() - waiting; }
  std::size_t bytesReceived() const override { return 0; }
  std::size_t bytesWaiting() const override { return waiting; }
  std::size_t bytesTaken() const override {
    if (on_look) on_look();
    return taken;
  }
  bool isSSLConnection() const override { return false; }
  trantor::MsgBuffer* getRecvBuffer() override { return &received; }
  trantor::CertificatePtr peerCertificate() const override { return nullptr; }
  std::string sniName() const override { return {}; }
  void startEncryption(trantor::TLSPolicyPtr, bool, std::function<void(const trantor::TcpConnectionPtr&)>) override {}
  void connectEstablished() override {}
  void connectDestroyed() override {}
  void enableKickingOff(std::size_t, const std::shared_ptr<trantor::TimingWheel>&) override {}
  void forwardToTLSBuffer(trantor::MsgBuffer*) override {}

 private:
  trantor::EventLoop& loop_;
  trantor::InetAddress address_;
};

constexpr int kManyLooks = 50;  // several timeouts

class ConnectionGateTest : public testing::Test {
 protected:
  ConnectionGateTest() {
    rules_.limits.body_bytes = 1000;
    rules_.timeout = std::chrono::milliseconds(40);
    rules_.most_unsent_bytes = 100;
    rules_.check = [](const RequestHead&) { return std::nullopt; };
    rules_.wants_body = [](const RequestHead& head) { return head.path() != "/nothing"; };
    rules_.render = [](const Refusal& refusal, const RequestHead&, const trantor::TcpConnection&) {
      return std::to_string(refusal.status);
    };
    rules_.on_asked = [this](const trantor::TcpConnection*) { ++asked_; };
    rules_.on_silent = [this](const trantor::TcpConnection*) { ++silent_; };
    MakeGate();
  }

  // A thread has one loop, which Drogon may have made before the tests.
  static trantor::EventLoop& LoopOfThread() {
    if (auto* loop = trantor::EventLoop::getEventLoopOfCurrentThread()) return *loop;
    static thread_local trantor::EventLoop own;
    return own;
  }

  // Nothing is left in the loop for the next test.
  ~ConnectionGateTest() override {
    loop_.queueInLoop([this] { loop_.quit(); });
    loop_.loop();
  }

  void MakeGate() {
    gate_ = std::make_shared<ConnectionGate>(connection_, rules_, [this](const trantor::TcpConnectionPtr&, trantor::MsgBuffer* bytes) {
      forwarded_.emplace_back(bytes->peek(), bytes->readableBytes());
    });
    gate_->Start();
  }
  void Receive(const std::string& text) {
    connection_->received.append(text);
    gate_->OnBytes(&connection_->received);
  }
  // The answer to the request that was forwarded last, of which `waiting` bytes are not in the socket.
  void Answer(std::size_t size, std::size_t waiting) {
    connection_->sent += std::string(size, 'a');
    connection_->waiting = waiting;
    gate_->OnAnswered();
  }
  void TakeAll() {
    connection_->waiting = 0;
    connection_->taken = connection_->sent.size();
  }
  // Until the gate closes the connection, or has looked so often at what the client takes.
  void Run(int looks, const std::function<void()>& on_look = {}) {
    if (connection_->is_closed) return;
    connection_->on_look = [this, looks, on_look, count = 0]() mutable {
      if (on_look) on_look();
      if (++count == looks) loop_.quit();
    };
    loop_.loop();
    connection_->on_look = nullptr;
  }

  trantor::EventLoop& loop_ = LoopOfThread();
  std::shared_ptr<FakeConnection> connection_ = std::make_shared<FakeConnection>(loop_);
  ConnectionGate::Rules rules_;
  std::vector<std::string> forwarded_;
  int asked_ = 0;
  int silent_ = 0;
  std::shared_ptr<ConnectionGate> gate_;
};

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr int kUntilClosed = 10 * kManyLooks;  // or far longer than it may take

TEST_F(ConnectionGateTest, TheNextRequestWaitsUntilTheAnswerHasLeft) {
  gate_->Open();
  Receive(kGet + kGet + kGet);
  EXPECT_EQ(forwarded_.size(), 1U);
  Answer(500, 101);
  gate_->OnWritten();
  EXPECT_EQ(forwarded_.size(), 1U) << "what is left is too much";
  connection_->waiting = 100;
  gate_->OnWritten();
  EXPECT_EQ(forwarded_.size(), 2U);
  gate_->OnWritten();
  EXPECT_EQ(forwarded_.size(), 2U) << "one at a time";
  Answer(50, 50);
  EXPECT_EQ(forwarded_.size(), 3U);
}

TEST_F(ConnectionGateTest, ASlowReaderIsNotIdle) {
  gate_->Open();
  Receive(kGet);
  Answer(100'000, 50'000);
  Run(kManyLooks, [this] { ++connection_->taken; });
  EXPECT_FALSE(connection_->is_closed);
  EXPECT_EQ(silent_, 0);
  Run(kUntilClosed);
  EXPECT_TRUE(connection_->is_closed) << "it takes nothing any more";
}

TEST_F(ConnectionGateTest, WhatLiesInTheSocketIsNotTaken) {
  gate_->Open();
  Receive(kGet);
  Answer(1000, 0);
  Run(kUntilClosed);
  EXPECT_TRUE(connection_->is_closed);
  EXPECT_EQ(silent_, 0);
}

TEST_F(ConnectionGateTest, ASlowReaderGetsTheLastAnswerOfItsConnection) {
  gate_->Open();
  Receive("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  Answer(100'000, 50'000);
  EXPECT_TRUE(connection_->is_shut_down);
  Run(kManyLooks, [this] { ++connection_->taken; });
  EXPECT_FALSE(connection_->is_closed);
  Run(kUntilClosed);
  EXPECT_TRUE(connection_->is_closed);
}

TEST_F(ConnectionGateTest, ARequestMayBeComputedForLong) {
  gate_->Open();
  Receive(kGet);
  Run(kManyLooks);
  EXPECT_FALSE(connection_->is_closed);
  connection_->sent += "the beginning of a stream";
  Run(kUntilClosed);
  EXPECT_TRUE(connection_->is_closed) << "which nobody reads";
}

TEST_F(ConnectionGateTest, WhoIsAnsweredAndHasTakenAllIsSilentOnce) {
  gate_->Open();
  Run(3);
  EXPECT_EQ(silent_, 0) << "it is since it was accepted";
  Receive(kGet);
  EXPECT_EQ(asked_, 1);
  Answer(10, 0);
  TakeAll();
  Run(kUntilClosed);
  EXPECT_EQ(silent_, 1);
  EXPECT_TRUE(connection_->is_closed) << "nothing came after it";
}

TEST_F(ConnectionGateTest, AHandshakeAndARequestHaveADeadline) {
  Run(kUntilClosed, [this] { ++connection_->taken; });
  EXPECT_TRUE(connection_->is_closed) << "whatever is said in the handshake";
  connection_->is_closed = false;
  gate_->Start();
  gate_->Open();
  Receive("GET /a HT");
  Run(kManyLooks, [this] { ++connection_->taken; });
  EXPECT_EQ(connection_->sent, "408");
}

TEST_F(ConnectionGateTest, AHalfIsClosedWhenAllIsAnswered) {
  gate_->Open();
  Receive(kGet + kGet + "GET /a");
  gate_->OnPeerEnd();
  EXPECT_FALSE(connection_->is_shut_down);
  Answer(10, 0);
  EXPECT_FALSE(connection_->is_shut_down) << "another request was whole";
  Answer(10, 0);
  EXPECT_TRUE(connection_->is_shut_down);
  EXPECT_EQ(forwarded_.size(), 2U);
}

TEST_F(ConnectionGateTest, AHalfWithoutARequestEndsTheConnection) {
  gate_->Open();
  gate_->OnPeerEnd();
  EXPECT_TRUE(connection_->is_shut_down);
}

TEST_F(ConnectionGateTest, BodiesThatNobodyWantsAreDropped) {
  gate_->Open();
  Receive("POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  ASSERT_EQ(forwarded_.size(), 1U);
  EXPECT_TRUE(forwarded_[0].ends_with("content-length: 0\r\n\r\n")) << forwarded_[0];
}

TEST_F(ConnectionGateTest, WhatArrivesIsCountedUntilItIsAnswered) {
  constexpr std::size_t kFree = 64 << 10;
  rules_.limits.body_bytes = 200'000;
  rules_.memory = std::make_shared<MemoryBudget>(200'000);
  MakeGate();
  gate_->Open();
  const std::string head = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
  Receive(head + std::string(kFree, 'x'));
  EXPECT_EQ(rules_.memory->used(), 0U) << "so much is free";
  Receive(std::string(20'000, 'x'));
  const std::size_t held = rules_.memory->used();
  EXPECT_GE(held, 20'000U);
  Receive(std::string(100'000 - kFree - 20'000, 'x') + kGet);
  EXPECT_GE(rules_.memory->used(), held) << "until somebody has read it";
  Answer(10, 0);
  EXPECT_EQ(rules_.memory->used(), 0U);
  EXPECT_EQ(forwarded_.size(), 2U);
}

TEST_F(ConnectionGateTest, ABodyIsHeldUntilItIsTaken) {
  gate_->Open();
  Receive("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  ASSERT_EQ(forwarded_.size(), 1U);
  EXPECT_TRUE(forwarded_[0].ends_with("content-length: 0\r\n\r\n")) << "whoever is behind the gate gets none";
  EXPECT_EQ(gate_->TakeBody().text, "abc");
  EXPECT_EQ(gate_->TakeBody().text, "");
}

TEST_F(ConnectionGateTest, WhatFindsNoRoomIsRefused) {
  rules_.limits.body_bytes = 200'000;
  rules_.memory = std::make_shared<MemoryBudget>(10'000);
  MakeGate();
  gate_->Open();
  Receive("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(90'000, 'x'));
  EXPECT_EQ(connection_->sent, "429");
  Receive(std::string(5'000, 'x'));
  EXPECT_FALSE(connection_->is_closed) << "its answer must not be lost to a reset";
  EXPECT_EQ(rules_.memory->used(), 0U);
  EXPECT_TRUE(forwarded_.empty());
}

}  // namespace
}  // namespace cllm
