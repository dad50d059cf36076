// A server of raw HTTP for tests: a handler returns the bytes of a response, whatever they are.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pumice::test {

struct Request {
  std::string path;  ///< with its query
  std::string head;  ///< all lines, as they came

  /// The value of a header in any case; empty = absent.
  [[nodiscard]] std::string header(const std::string& name) const;
};

struct Response {
  std::string bytes;
  bool stalls = false;  ///< stays open without a word, once the bytes are sent
  int times = 1;        ///< sends the bytes that often, as long as somebody reads
};

/// A response with a status line and the headers given, each ending in "\r\n".
[[nodiscard]] std::string http(const std::string& status, const std::string& headers,
                               const std::string& body);

/// Listens on 127.0.0.1. Each request has a thread and a connection of its own.
class Server {
 public:
  using Handler = std::function<Response(const Request&)>;  ///< called by one thread at a time

  explicit Server(Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::string url() const;      ///< "http://127.0.0.1:PORT"
  [[nodiscard]] std::vector<Request> take();  ///< the requests since the last call
  void stop();                                ///< refuses from now on

 private:
  void accept_all();
  void serve(int connection);

  Handler handler_;
  std::mutex mutex_;
  std::vector<Request> requests_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace pumice::test
