/* Measures one call of each kernel on random data, and of nothing. */
#include "bench.h"
#include "mico_bsp.h"
#include "mico_protocol.h"

static uint32_t ram[MICO_BENCH_RAM_BYTES / 4 + 1];

/* Xorshift: the same data on every board. */
static void fill(int32_t bytes) {
  uint32_t state = 2463534242u;
  int32_t i;
  for (i = 0; i < (bytes + 3) / 4; ++i) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    ram[i] = state;
  }
}

static uint64_t measure(const volatile mico_bench_t *bench) {
  void (*const run)(uint8_t *) = bench->run;
  uint64_t start;
  fill(bench->ram_bytes);
  start = mico_bsp_cycles();
  run((uint8_t *)ram);
  return mico_bsp_cycles() - start;
}

int main(void) {
  mico_line_t line;
  int i;
  mico_bsp_init();
  mico_line_start(&line, "begin bench ");
  mico_line_number(&line, MICO_BENCH_COUNT);
  mico_line_send(&line);
  mico_line_start(&line, "overhead ");
  mico_line_number(&line, measure(&mico_benches[0]));
  mico_line_send(&line);
  for (i = 0; i < MICO_BENCH_COUNT; ++i) {
    mico_line_start(&line, "bench ");
    mico_line_number(&line, (uint64_t)i);
    mico_line_text(&line, " ");
    mico_line_number(&line, measure(&mico_benches[i + 1]));
    mico_line_send(&line);
  }
  mico_line_start(&line, "end bench ");
  mico_line_number(&line, MICO_BENCH_COUNT);
  mico_line_text(&line, " 0");
  mico_line_send(&line);
  mico_bsp_exit(0);
  return 0;
}
