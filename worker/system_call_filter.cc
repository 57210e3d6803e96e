#include "worker/system_call_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mico {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// Refused with EPERM.
constexpr uint32_t kDenied[] = {
#ifdef SYS_fork
    SYS_fork,
#endif
#ifdef SYS_vfork
    SYS_vfork,
#endif
    SYS_socket,
    SYS_socketpair,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_open,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_bpf,
    SYS_userfaultfd,
    SYS_perf_event_open,
    SYS_io_uring_setup,
    SYS_open_by_handle_at,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_personality,
    SYS_name_to_handle_at,
};

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;

constexpr uint32_t Error(int number) {
  return SECCOMP_RET_ERRNO | (static_cast<uint32_t>(number) & SECCOMP_RET_DATA);
}

class Program {
 public:
  void Load(size_t offset) { Add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset), 0, 0); }
  // Each of these leaves with `answer` if what was loaded compares so.
  void IfEqual(uint32_t number, uint32_t answer) { If(BPF_JEQ, number, answer, true); }
  void UnlessEqual(uint32_t number, uint32_t answer) { If(BPF_JEQ, number, answer, false); }
  void IfAtLeast(uint32_t number, uint32_t answer) { If(BPF_JGE, number, answer, true); }
  void IfAnyBit(uint32_t bits, uint32_t answer) { If(BPF_JSET, bits, answer, true); }
  // Goes on behind the next `count` instructions unless equal.
  void SkipUnlessEqual(uint32_t number, uint8_t count) {
    Add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, count);
  }
  void Leave(uint32_t answer) { Add(BPF_RET | BPF_K, answer, 0, 0); }

  std::string Bytes() const {
    return {reinterpret_cast<const char*>(code_.data()), code_.size() * sizeof(sock_filter)};
  }

 private:
  void If(uint16_t comparison, uint32_t number, uint32_t answer, bool holds) {
    Add(BPF_JMP | comparison | BPF_K, number, holds ? 0 : 1, holds ? 1 : 0);
    Leave(answer);
  }
  void Add(uint32_t code, uint32_t k, uint8_t if_true, uint8_t if_false) {
    code_.push_back({static_cast<uint16_t>(code), if_true, if_false, k});
  }

  std::vector<sock_filter> code_;
};

}  // namespace

std::string SystemCallFilter() {
  if (kArchitecture == 0) return "";
  Program program;
  program.Load(offsetof(seccomp_data, arch));
  program.UnlessEqual(kArchitecture, SECCOMP_RET_KILL_PROCESS);
  program.Load(offsetof(seccomp_data, nr));
  // x32: the same calls under other numbers.
  if (kArchitecture == AUDIT_ARCH_X86_64) program.IfAtLeast(0x40000000U, Error(EPERM));
  for (const uint32_t number : kDenied) program.IfEqual(number, Error(EPERM));
  // Its flags lie in memory, where a filter cannot look; libraries then take clone.
  program.IfEqual(SYS_clone3, Error(ENOSYS));
  program.SkipUnlessEqual(SYS_clone, 4);
  program.Load(offsetof(seccomp_data, args));  // the lower half of the flags
  program.IfAnyBit(CLONE_THREAD, kAllow);
  program.Leave(Error(EPERM));
  program.Leave(kAllow);
  return program.Bytes();
}

}  // namespace mico
