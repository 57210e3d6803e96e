/* Lines of text with a checksum: what programs on boards say to whoever listens.
 *
 *   mico_line_t line;
 *   mico_line_start(&line, "case ");
 *   mico_line_number(&line, 3);
 *   mico_line_text(&line, " ok");
 *   mico_line_send(&line);      sends "mico: case 3 ok #xxxxxxxx"
 */
#ifndef MICO_PROTOCOL_H
#define MICO_PROTOCOL_H

#include <stdint.h>

typedef struct {
  char text[80];
  int length;
} mico_line_t;

void mico_line_start(mico_line_t *line, const char *text);
/* What does not fit is left out; the checksum is of what is sent. */
void mico_line_text(mico_line_t *line, const char *text);
void mico_line_number(mico_line_t *line, uint64_t number);
void mico_line_send(const mico_line_t *line);

#endif
