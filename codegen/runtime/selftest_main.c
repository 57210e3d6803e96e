/* Runs known inputs through the network and compares every output, then says what one run costs.
 * For data of bytes the inputs are such bytes, and mico_model_prepare is tested with the network.
 * Compiled with -DMICO_LAYER_HOOK=mico_selftest_layer it also says what each layer costs; `run`
 * then contains the readings of the counter. */
#include <string.h>

#include "mico_bsp.h"
#include "mico_model.h"
#include "mico_protocol.h"
#include "vectors.h"

static uint32_t arena[MICO_MODEL_ARENA_BYTES / 4 + 1];
static int16_t outputs[MICO_MODEL_OUTPUT_BYTES / 2];

#ifdef MICO_LAYER_HOOK
static uint64_t layer_ends[MICO_MODEL_STEPS];

void MICO_LAYER_HOOK(int index);
void MICO_LAYER_HOOK(int index) { layer_ends[index] = mico_bsp_cycles(); }

static void say_layers(uint64_t start) {
  mico_line_t line;
  int i;
  for (i = 0; i < MICO_MODEL_STEPS; ++i) {
    mico_line_start(&line, "layer ");
    mico_line_number(&line, (uint64_t)i);
    mico_line_text(&line, " ");
    mico_line_number(&line, layer_ends[i] - start);
    mico_line_send(&line);
    start = layer_ends[i];
  }
}
#else
static void say_layers(uint64_t start) { (void)start; }
#endif

#ifdef MICO_SELFTEST_RAW
static uint8_t prepared[MICO_MODEL_INPUT_BYTES];

static const uint8_t *input_of(int index) {
  memset(prepared, 0xa5, sizeof(prepared));
  mico_model_prepare(mico_selftest_raw[index], prepared);
  return prepared;
}
#else
static const uint8_t *input_of(int index) { return mico_selftest_inputs[index]; }
#endif

static int case_is_right(int index) {
  /* Nothing of the last run may help this one. */
  memset(arena, 0xa5, sizeof(arena));
  memset(outputs, 0xa5, sizeof(outputs));
  if (mico_model_run(input_of(index), outputs, arena) != MICO_MODEL_OK) return 0;
  return memcmp(outputs, mico_selftest_outputs[index], sizeof(outputs)) == 0;
}

static void say_case(int index, int is_right) {
  mico_line_t line;
  mico_line_start(&line, "case ");
  mico_line_number(&line, (uint64_t)index);
  mico_line_text(&line, is_right ? " ok" : " fail");
  mico_line_send(&line);
}

static void say_run(void) {
  mico_line_t line;
  const uint8_t *const input = input_of(0); /* not a part of the run */
  const uint64_t start = mico_bsp_cycles();
  (void)mico_model_run(input, outputs, arena);
  const uint64_t end = mico_bsp_cycles();
  mico_line_start(&line, "run ");
  mico_line_number(&line, end - start);
  mico_line_send(&line);
  say_layers(start);
}

int main(void) {
  mico_line_t line;
  int passed = 0;
  int i;
  mico_bsp_init();
  mico_line_start(&line, "begin selftest ");
  mico_line_number(&line, MICO_SELFTEST_CASES);
  mico_line_send(&line);
  for (i = 0; i < MICO_SELFTEST_CASES; ++i) {
    const int is_right = case_is_right(i);
    say_case(i, is_right);
    passed += is_right;
  }
  say_run();
  mico_line_start(&line, "end selftest ");
  mico_line_number(&line, (uint64_t)passed);
  mico_line_text(&line, " ");
  mico_line_number(&line, (uint64_t)(MICO_SELFTEST_CASES - passed));
  mico_line_send(&line);
  mico_bsp_exit(passed == MICO_SELFTEST_CASES ? 0 : 1);
  return 0;
}
