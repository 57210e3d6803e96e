#pragma once

#include <string>

namespace mico {

// Makes this process fit for numeric work, whatever the user's environment says: one thread for
// each BLAS and OpenMP call (the evaluator splits samples over threads of its own), the fast BLAS
// kernels on processors that OpenBLAS does not know, and a malloc that keeps freed buffers instead
// of giving them back to the kernel. The first call may replace the process by itself with another
// environment (exec, once), so call it first in main, before any thread exists.
void PrepareProcess(int argc, char** argv);

// The processors that this process may run on; at least 1.
int AvailableCores();

}  // namespace mico
