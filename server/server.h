#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/coordinator.h"

namespace mico {

struct ServerOptions {
  // Where everything is kept.
  std::filesystem::path data_dir = "mico-data";
  // HOST:PORT on loopback; port 0 takes a free one.
  std::string listen = "127.0.0.1:50051";
  CoordinatorOptions coordinator;
};

// Checks that an address is on this machine. Other addresses are refused until the service knows
// identities (TLS, tokens).
absl::Status CheckLoopback(const std::string& listen);

// The whole server as one object: data folder, database, coordinator and the gRPC services, with
// health and reflection.
class Server {
 public:
  // Listens when this returns. `clock` must outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const Clock& clock);
  // As Stop.
  ~Server();

  // "127.0.0.1:40123"
  const std::string& address() const;
  // Takes no new calls, lets those in progress finish (a few seconds at most).
  void Stop();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace mico
