#include "mico_protocol.h"

#include "mico_bsp.h"

static void put_text(const char *text) {
  while (*text != '\0') mico_bsp_putc(*text++);
}

/* CRC-32 (IEEE 802.3), bit by bit: small rather than fast. */
static uint32_t checksum(const char *text, int length) {
  uint32_t crc = 0xffffffffu;
  int i, bit;
  for (i = 0; i < length; ++i) {
    crc ^= (uint8_t)text[i];
    for (bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

void mico_line_start(mico_line_t *line, const char *text) {
  line->length = 0;
  mico_line_text(line, text);
}

void mico_line_text(mico_line_t *line, const char *text) {
  while (*text != '\0' && line->length < (int)sizeof(line->text)) {
    line->text[line->length++] = *text++;
  }
}

void mico_line_number(mico_line_t *line, uint64_t number) {
  char digits[21];
  int first = 20;
  digits[first] = '\0';
  do {
    digits[--first] = (char)('0' + (int)(number % 10u));
    number /= 10u;
  } while (number != 0);
  mico_line_text(line, digits + first);
}

void mico_line_send(const mico_line_t *line) {
  static const char hexadecimal[] = "0123456789abcdef";
  const uint32_t crc = checksum(line->text, line->length);
  int i;
  put_text("mico: ");
  for (i = 0; i < line->length; ++i) mico_bsp_putc(line->text[i]);
  put_text(" #");
  for (i = 28; i >= 0; i -= 4) mico_bsp_putc(hexadecimal[(crc >> i) & 15u]);
  mico_bsp_putc('\n');
}
