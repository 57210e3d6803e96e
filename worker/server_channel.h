#pragma once

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace mico {

// A connection to a server at HOST:PORT that comes back by itself, within seconds, when the server
// does.
std::shared_ptr<grpc::Channel> ConnectToServer(const std::string& address);

}  // namespace mico
