// IoThread::Core: the event loop and its sessions, as the sessions see it.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "server/http/io_thread.h"
#include "server/http/transport.h"

namespace pagoda {

class Session;

// Held by its IoThread and its sessions.
struct IoThread::Core : std::enable_shared_from_this<IoThread::Core> {
  Core(HttpService& the_service, const HttpLimits& the_limits, const IoResources& resources);

  // Thread-safe. After stop() work is dropped: nobody would run it, and it may hold the sessions
  // that hold this object.
  bool post(std::function<void()> task);

  // I/O thread only.
  void run();
  void adopt(NewConnection connection);
  void close_all();
  void shutdown_all(std::chrono::milliseconds grace);
  void forget(const std::shared_ptr<Session>& session);

  HttpService& service;
  const HttpLimits limits;
  const std::shared_ptr<TlsContext> tls;            // null: plain HTTP
  const std::shared_ptr<MemoryBudget> body_memory;  // never null
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  boost::asio::steady_timer grace_timer{io};
  std::unordered_set<std::shared_ptr<Session>> sessions;  // I/O thread only
  std::array<char, size_t{16} << 10> body_piece{};        // I/O thread only; within one call
  bool shutting_down = false;                             // I/O thread only
  std::atomic<bool> draining = false;
  std::atomic<int32_t> num_connections = 0;
  std::mutex mutex;
  bool stopped = false;  // guarded by mutex
  std::thread thread;
};

}  // namespace pagoda
