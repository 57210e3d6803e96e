#pragma once

#include <string>

namespace mico {

// A seccomp program, as bubblewrap reads it from a descriptor, under which a process starts threads
// but no process and opens no socket: process counts of the kernel (RLIMIT_NPROC) do not bind root,
// and a new process would have memory limits of its own. What reaches far into the kernel and no
// converter of ours needs is denied too. Empty: not written for this processor.
std::string SystemCallFilter();

}  // namespace mico
