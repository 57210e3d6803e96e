#pragma once

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace mico {

// A connection to a server at HOST:PORT that comes back by itself, within seconds, when the server
// does. To be called before any other use of gRPC in this process, and before it has threads.
std::shared_ptr<grpc::Channel> ConnectToServer(const std::string& address);

}  // namespace mico
