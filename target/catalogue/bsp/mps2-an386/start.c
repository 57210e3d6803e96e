/* Start-up of a bare Cortex-M: vector table, constants to RAM, zeroed RAM, main. A fault ends the
 * run. */
#include <stdint.h>
#include <string.h>

#include "mico_bsp.h"

extern uint8_t mico_data_start[], mico_data_end[], mico_bss_start[], mico_bss_end[];
extern const uint8_t mico_data_load[];
extern uint32_t mico_stack_top[];
int main(void);
void mico_reset(void);

static void Fault(void) { mico_bsp_exit(99); }

void mico_reset(void) {
  (void)memcpy(mico_data_start, mico_data_load, (size_t)(mico_data_end - mico_data_start));
  (void)memset(mico_bss_start, 0, (size_t)(mico_bss_end - mico_bss_start));
  mico_bsp_exit(main());
}

typedef union {
  uint32_t *stack;
  void (*handler)(void);
} vector_t;

__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    {.stack = mico_stack_top}, {.handler = mico_reset}, {.handler = Fault}, {.handler = Fault},
    {.handler = Fault},        {.handler = Fault},      {.handler = Fault}, {.handler = Fault},
    {.handler = Fault},        {.handler = Fault},      {.handler = Fault}, {.handler = Fault},
    {.handler = Fault},        {.handler = Fault},      {.handler = Fault}, {.handler = Fault},
};
