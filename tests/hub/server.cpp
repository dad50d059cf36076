#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <utility>

namespace pumice::test {

std::string Request::header(const std::string& name) const {
  std::istringstream lines(head);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon != name.size() || ::strncasecmp(line.c_str(), name.c_str(), colon) != 0) continue;
    const size_t first = line.find_first_not_of(" \t", colon + 1);
    const size_t end = line.find_last_not_of("\r ");
    return first == std::string::npos ? "" : line.substr(first, end - first + 1);
  }
  return "";
}

std::string http(const std::string& status, const std::string& headers, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers + "\r\n" + body;
}

Server::Server(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || ::bind(listener_, generic, size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, generic, &size) != 0)
    std::abort();
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { accept_all(); });
}

Server::~Server() {
  stop();
}

void Server::stop() {
  if (stopping_.exchange(true)) return;
  thread_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

std::string Server::url() const {
  return "http://127.0.0.1:" + std::to_string(port_);
}

std::vector<Request> Server::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(requests_, {});
}

void Server::accept_all() {
  while (!stopping_) {
    pollfd wait = {listener_, POLLIN, 0};
    if (::poll(&wait, 1, 20) <= 0) continue;
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) threads_.emplace_back([this, connection] { serve(connection); });
  }
}

void Server::serve(int connection) {
  Request request;
  char chunk[4096];
  while (request.head.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(connection, chunk, sizeof chunk, 0);
    if (got <= 0) break;
    request.head.append(chunk, size_t(got));
  }
  const size_t space = request.head.find(' ');
  if (space != std::string::npos)
    request.path = request.head.substr(space + 1, request.head.find(' ', space + 1) - space - 1);
  Response response;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    response = handler_(request);
  }
  bool open = true;
  for (int i = 0; i < response.times && open && !stopping_; ++i)
    for (size_t sent = 0; sent < response.bytes.size() && open;) {
      const ssize_t n = ::send(connection, response.bytes.data() + sent,
                               response.bytes.size() - sent, MSG_NOSIGNAL);
      open = n > 0;
      if (open) sent += size_t(n);
    }
  while (response.stalls && open && !stopping_) {
    pollfd wait = {connection, POLLIN, 0};
    open = ::poll(&wait, 1, 20) == 0;  // the client has gone
  }
  ::shutdown(connection, SHUT_WR);
  ::close(connection);
}

}  // namespace pumice::test
