/* What every kernel shares: types, packed loads and stores, requantization.
 *
 * Freestanding C99. Little-endian, two's complement, arithmetic right shift of negative numbers
 * (checked below). No heap, no globals. The arithmetic is that of docs/formats/requantization.md;
 * the packing that of docs/formats/packing.md. */
#ifndef MICO_KERNEL_H_
#define MICO_KERNEL_H_

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Compilation fails here on a machine whose right shift of negative numbers is not arithmetic. */
typedef char mico_assert_arithmetic_shift_64[((int64_t)-3 >> 1) == -2 ? 1 : -1];
typedef char mico_assert_arithmetic_shift_32[((int32_t)-3 >> 1) == -2 ? 1 : -1];

/* Activations are NHWC: element (y, x, ch) has index (y * w + x) * c + ch. A vector is {1, 1, n}.
 */
typedef struct {
  int32_t h, w, c;
} mico_shape_t;

/* Bottom and right padding follow from the shape of the output. Padding contributes integer 0. */
typedef struct {
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_top, pad_left;
  int32_t dilation_h, dilation_w;
  int32_t groups;
} mico_conv2d_params_t;

/* Accumulator to output. Arrays have one entry per output channel (conv-like kernels), one entry
 * (requantize) or one per divisor (average pool). `bias` contains the rounding term where the shift
 * is >= 0. shift in [-30, 29], multiplier in [2^30, 2^31). */
typedef struct {
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
  int32_t lowest, highest;
} mico_requant_t;

typedef struct {
  int32_t kernel_h, kernel_w;
  int32_t stride_h, stride_w;
  int32_t pad_top, pad_left;
} mico_pool_params_t;

/* Which entry of mico_requant_t belongs to a sum of n elements: the one where divisor[i] == n.
 * count == 1: every window uses entry 0 (no padding, or padding counts in the divisor). */
typedef struct {
  const int32_t *divisor;
  int32_t count;
} mico_divisors_t;

/* y = clamp((a * multiplier_a + b * multiplier_b + 2^(shift - 1)) >> shift), in int32. */
typedef struct {
  int32_t multiplier_a, multiplier_b;
  int32_t shift;
  int32_t lowest, highest;
} mico_add_params_t;

typedef struct {
  int32_t lowest, highest;
} mico_clamp_t;

/* Every step-th element from start. */
typedef struct {
  int32_t start_c, start_h, start_w;
  int32_t step_c, step_h, step_w;
} mico_slice_params_t;

/* Zeros before; those after follow from the shape of the output. */
typedef struct {
  int32_t before_c, pad_top, pad_left;
} mico_pad_params_t;

/* Prototypes. A kernel is a template (an .inc file); its name is chosen by who instantiates it. */
#define MICO_PASTE_(a, b) a##b
#define MICO_PASTE(a, b) MICO_PASTE_(a, b)

#define MICO_DECLARE_CONV2D(name)                                                                  \
  void name(const mico_conv2d_params_t *params, const mico_requant_t *requant,                     \
            mico_shape_t in_shape, const uint8_t *in, const void *weights, mico_shape_t out_shape, \
            uint8_t *out, void *scratch);                                                          \
  int32_t MICO_PASTE(name, _scratch_bytes)(const mico_conv2d_params_t *params,                     \
                                           mico_shape_t in_shape, mico_shape_t out_shape)
#define MICO_DECLARE_DEPTHWISE_CONV2D(name) MICO_DECLARE_CONV2D(name)
#define MICO_DECLARE_FULLY_CONNECTED(name) MICO_DECLARE_CONV2D(name)
#define MICO_DECLARE_ADD(name)                                                     \
  void name(const mico_add_params_t *params, mico_shape_t shape, const uint8_t *a, \
            const uint8_t *b, uint8_t *out)
#define MICO_DECLARE_MAX_POOL(name)                                                     \
  void name(const mico_pool_params_t *params, mico_shape_t in_shape, const uint8_t *in, \
            mico_shape_t out_shape, uint8_t *out)
#define MICO_DECLARE_AVERAGE_POOL(name)                                                \
  void name(const mico_pool_params_t *params, const mico_requant_t *requant,           \
            const mico_divisors_t *divisors, mico_shape_t in_shape, const uint8_t *in, \
            mico_shape_t out_shape, uint8_t *out)
#define MICO_DECLARE_RELU(name) \
  void name(const mico_clamp_t *params, mico_shape_t shape, const uint8_t *in, uint8_t *out)
#define MICO_DECLARE_CONCAT(name)                                             \
  void name(int32_t channel_offset, mico_shape_t in_shape, const uint8_t *in, \
            mico_shape_t out_shape, uint8_t *out)
#define MICO_DECLARE_SLICE(name)                                                         \
  void name(const mico_slice_params_t *params, mico_shape_t in_shape, const uint8_t *in, \
            mico_shape_t out_shape, uint8_t *out)
#define MICO_DECLARE_PAD(name)                                                         \
  void name(const mico_pad_params_t *params, mico_shape_t in_shape, const uint8_t *in, \
            mico_shape_t out_shape, uint8_t *out)
#define MICO_DECLARE_REQUANTIZE(name) \
  void name(const mico_requant_t *requant, mico_shape_t shape, const uint8_t *in, uint8_t *out)

/* For compilers, never for meaning. MICO_NOINLINE: an inner loop gets all registers. MICO_FENCE:
 * loads stay on their side; MICO_KEEP: a running sum is a register here. Without them an unrolled
 * loop is reassociated and spills what it loaded too early. */
#if defined(__GNUC__)
#define MICO_NOINLINE __attribute__((noinline))
#define MICO_FENCE __asm__ volatile("" ::: "memory")
#define MICO_KEEP(variable) __asm__("" : "+r"(variable))
#define MICO_RARELY(condition) __builtin_expect(!!(condition), 0)
#else
#define MICO_NOINLINE
#define MICO_FENCE ((void)0)
#define MICO_KEEP(variable) ((void)0)
#define MICO_RARELY(condition) (condition)
#endif

/* A word read from or written to bytes. */
#if defined(__GNUC__)
typedef uint32_t __attribute__((may_alias)) mico_word_t;
#endif

/* memcpy for a few dozen bytes that usually start at word boundaries: small C libraries copy bytes.
 */
static inline void mico_copy(uint8_t *to, const uint8_t *from, int32_t count) {
#if defined(__GNUC__)
  if ((((uintptr_t)to | (uintptr_t)from) & 3u) == 0) {
    mico_word_t *to_word = (mico_word_t *)(void *)to;
    const mico_word_t *from_word = (const mico_word_t *)(const void *)from;
    for (; count >= 16; count -= 16) {
      const uint32_t a = from_word[0], b = from_word[1], c = from_word[2], d = from_word[3];
      to_word[0] = a;
      to_word[1] = b;
      to_word[2] = c;
      to_word[3] = d;
      to_word += 4;
      from_word += 4;
    }
    to = (uint8_t *)to_word;
    from = (const uint8_t *)from_word;
  }
#endif
  for (; count > 0; --count) *to++ = *from++;
}

/* Sum of bytes. */
static inline uint32_t mico_sum(const uint8_t *from, int32_t count) {
  uint32_t sum = 0;
#if defined(__GNUC__)
  if (((uintptr_t)from & 3u) == 0) {
    while (count >= 8) { /* 128 words of 2 * 255 stay below 65536 */
      const mico_word_t *word = (const mico_word_t *)(const void *)from;
      int32_t pairs = count / 8 < 64 ? count / 8 : 64;
      uint32_t fields = 0;
      from += 8 * pairs;
      count -= 8 * pairs;
      for (; pairs > 0; --pairs) {
        const uint32_t a = word[0], b = word[1];
        fields += (a & 0x00ff00ffu) + ((a >> 8) & 0x00ff00ffu);
        fields += (b & 0x00ff00ffu) + ((b >> 8) & 0x00ff00ffu);
        word += 2;
      }
      sum += (fields & 0xffffu) + (fields >> 16);
    }
  }
#endif
  for (; count > 0; --count) sum += *from++;
  return sum;
}

/* Element `index` of a packed tensor. `bits` (1, 2, 4, 8 or 16) and `is_signed` are constants at
 * every call, so nothing of the choice is left after inlining. */
static inline int32_t mico_load(const uint8_t *data, int32_t index, int bits, int is_signed) {
  int32_t value;
  int32_t sign;
  if (bits == 16) {
    value = (int32_t)data[2 * index] | ((int32_t)data[2 * index + 1] << 8);
  } else if (bits == 8) {
    value = data[index];
  } else {
    const int32_t per_byte = 8 / bits;
    value = (data[index / per_byte] >> ((index & (per_byte - 1)) * bits)) & ((1 << bits) - 1);
  }
  if (!is_signed) return value;
  sign = (int32_t)1 << (bits - 1);
  return (value ^ sign) - sign;
}

/* Writes element `index` and leaves its neighbours as they are. */
static inline void mico_store(uint8_t *data, int32_t index, int32_t value, int bits) {
  if (bits == 16) {
    data[2 * index] = (uint8_t)((uint32_t)value & 0xffu);
    data[2 * index + 1] = (uint8_t)(((uint32_t)value >> 8) & 0xffu);
  } else if (bits == 8) {
    data[index] = (uint8_t)((uint32_t)value & 0xffu);
  } else {
    const int32_t per_byte = 8 / bits;
    const uint32_t shift = (uint32_t)((index & (per_byte - 1)) * bits);
    const uint32_t mask = ((1u << bits) - 1u) << shift;
    uint8_t *byte = data + index / per_byte;
    *byte = (uint8_t)((*byte & ~mask & 0xffu) | (((uint32_t)value << shift) & mask));
  }
}

/* The bits after the last element are zero in the canonical form; stores leave them as found. */
static inline void mico_clear_tail(uint8_t *data, int32_t count, int bits) {
  if (bits < 8) {
    const int32_t per_byte = 8 / bits;
    const int32_t used = (count & (per_byte - 1)) * bits;
    if (used != 0) {
      uint8_t *byte = data + count / per_byte;
      *byte = (uint8_t)(*byte & ((1u << used) - 1u));
    }
  }
}

/* Weight `index` of a row in canonical packing: 1 bit is -1 (0) or +1 (1). */
static inline int32_t mico_load_weight(const uint8_t *row, int32_t index, int bits) {
  if (bits == 1) return 2 * mico_load(row, index, 1, 0) - 1;
  return mico_load(row, index, bits, 1);
}

static inline int32_t mico_clamp(int32_t value, int32_t lowest, int32_t highest) {
  if (value < lowest) return lowest;
  if (value > highest) return highest;
  return value;
}

/* The same where most values are inside: one comparison catches both ends, as the distance from
 * `lowest` is above the span modulo 2^32 exactly outside (0 <= highest - lowest < 2^17). */
static inline int32_t mico_clamp_rarely(int32_t value, int32_t lowest, int32_t highest) {
  if (MICO_RARELY((uint32_t)value - (uint32_t)lowest > (uint32_t)highest - (uint32_t)lowest)) {
    return value < lowest ? lowest : highest;
  }
  return value;
}

/* The requantization: `accumulator` contains bias and rounding term.
 *   shift >= 0: floor(accumulator * multiplier / 2^(32 + shift))
 *   shift <  0: floor((accumulator * multiplier + 2^(31 + shift)) / 2^(32 + shift))
 * clamped. Kernels that know the sign of the shift for several outputs call one of the two forms.
 */
static inline int32_t mico_requantize_down(int32_t accumulator, int32_t multiplier, int32_t shift,
                                           int32_t lowest, int32_t highest) {
  const int32_t high = (int32_t)(((int64_t)accumulator * multiplier) >> 32);
  return mico_clamp_rarely(high >> shift, lowest, highest);
}

/* With q = accumulator * multiplier / 2^(32 + shift) the result is floor(q + 1/2), which is
 * floor((floor(2 q) + 1) / 2), and floor(2 q) is the high word of (accumulator * 2^(1 - shift)) *
 * multiplier. Where the accumulator does not fit int32 so shifted, |accumulator| >= 2^(30 + shift),
 * and as the factor is at least 2^(-2 - shift), |q| >= 2^28: beyond either end of any clamp. */
static inline int32_t mico_requantize_up(int32_t accumulator, int32_t multiplier, int32_t shift,
                                         int32_t lowest, int32_t highest) {
  const int32_t left = 1 - shift; /* in [2, 31] */
  const int32_t shifted = (int32_t)((uint32_t)accumulator << left);
  if (MICO_RARELY(shifted >> left != accumulator)) return accumulator < 0 ? lowest : highest;
  return mico_clamp_rarely(((int32_t)(((int64_t)shifted * multiplier) >> 32) + 1) >> 1, lowest,
                           highest);
}

static inline int32_t mico_requantize(int32_t accumulator, int32_t multiplier, int32_t shift,
                                      int32_t lowest, int32_t highest) {
  if (shift >= 0) {
    return mico_requantize_down(accumulator, multiplier, shift, lowest, highest);
  }
  return mico_requantize_up(accumulator, multiplier, shift, lowest, highest);
}

/* An output of a conv-like kernel from its raw accumulator (modulo 2^32). */
static inline int32_t mico_requantize_channel(const mico_requant_t *requant, uint32_t accumulator,
                                              int32_t channel) {
  return mico_requantize((int32_t)(accumulator + (uint32_t)requant->bias[channel]),
                         requant->multiplier[channel], requant->shift[channel], requant->lowest,
                         requant->highest);
}

#ifdef __cplusplus
}
#endif

#endif /* MICO_KERNEL_H_ */
