/* QEMU's board `mps2-an386` with a Cortex-M4: a CMSDK UART, and CMSDK timer 0, which under
 * `-icount shift=6` counts instructions. */
#include "mico_bsp.h"

#define TIMER_CONTROL (*(volatile uint32_t *)0x40000000u)
#define TIMER_VALUE (*(volatile uint32_t *)0x40000004u)
#define TIMER_RELOAD (*(volatile uint32_t *)0x40000008u)
#define UART_DATA (*(volatile uint32_t *)0x40004000u)
#define UART_STATE (*(volatile uint32_t *)0x40004004u)
#define UART_CONTROL (*(volatile uint32_t *)0x40004008u)
#define UART_BAUD_DIVISOR (*(volatile uint32_t *)0x40004010u)
#define UART_SEND_FULL 1u

static uint64_t ticks;
static uint32_t last_value;

void mico_bsp_init(void) {
  UART_BAUD_DIVISOR = 16;
  UART_CONTROL = 1; /* transmit */
  TIMER_RELOAD = 0xffffffffu;
  TIMER_VALUE = 0xffffffffu;
  TIMER_CONTROL = 1;
  ticks = 0;
  last_value = TIMER_VALUE;
}

/* The timer counts down at 25 MHz (40 ns) and an instruction takes 64 ns, so instructions are
 * ticks * 10 / 16. It wraps after 171 s: to be asked at least once in that time. */
uint64_t mico_bsp_cycles(void) {
  const uint32_t value = TIMER_VALUE;
  ticks += last_value - value;
  last_value = value;
  return ticks * 10u / 16u;
}

void mico_bsp_putc(char character) {
  while ((UART_STATE & UART_SEND_FULL) != 0) {
  }
  UART_DATA = (uint8_t)character;
}

/* Semihosting, SYS_EXIT_EXTENDED: the only way by which an exit code leaves QEMU. */
void mico_bsp_exit(int code) {
  const uint32_t block[2] = {0x20026u /* application exit */, (uint32_t)code};
  register uint32_t operation __asm__("r0") = 0x20u;
  register const uint32_t *argument __asm__("r1") = block;
  __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(argument) : "memory");
  for (;;) {
  }
}
