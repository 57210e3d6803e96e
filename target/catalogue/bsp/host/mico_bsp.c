/* The machine that compiles: standard output, nanoseconds, exit status. */
#define _POSIX_C_SOURCE 199309L

#include "mico_bsp.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void mico_bsp_init(void) {}

uint64_t mico_bsp_cycles(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void mico_bsp_putc(char character) { (void)putchar((unsigned char)character); }

void mico_bsp_exit(int code) { exit(code); }
