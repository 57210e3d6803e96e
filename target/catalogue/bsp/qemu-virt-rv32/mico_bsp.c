/* QEMU's board `virt` with a 32-bit RISC-V core: a 16550 UART, the test device that ends QEMU, and
 * mcycle, which counts instructions exactly under `-icount shift=0`. */
#include "mico_bsp.h"

#define UART_DATA (*(volatile uint8_t *)0x10000000u)
#define UART_LINE_STATUS (*(volatile uint8_t *)0x10000005u)
#define UART_READY_TO_SEND 0x20u
#define TEST_DEVICE (*(volatile uint32_t *)0x100000u)
#define TEST_PASS 0x5555u
#define TEST_FAIL 0x3333u

void mico_bsp_init(void) {}

uint64_t mico_bsp_cycles(void) {
  uint32_t high, low, again;
  do {
    __asm__ volatile("csrr %0, mcycleh" : "=r"(high));
    __asm__ volatile("csrr %0, mcycle" : "=r"(low));
    __asm__ volatile("csrr %0, mcycleh" : "=r"(again));
  } while (high != again);
  return ((uint64_t)high << 32) | low;
}

void mico_bsp_putc(char character) {
  while ((UART_LINE_STATUS & UART_READY_TO_SEND) == 0) {
  }
  UART_DATA = (uint8_t)character;
}

void mico_bsp_exit(int code) {
  TEST_DEVICE = code == 0 ? TEST_PASS : ((uint32_t)code << 16) | TEST_FAIL;
  for (;;) {
  }
}
