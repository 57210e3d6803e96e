/* All that a program of ours asks of a board. */
#ifndef MICO_BSP_H
#define MICO_BSP_H

#include <stdint.h>

/* Called once, before anything else. */
void mico_bsp_init(void);

/* A free-running counter of whatever the target file says under `counts`. */
uint64_t mico_bsp_cycles(void);

/* Sends one character to whoever listens; waits until it is accepted. */
void mico_bsp_putc(char character);

/* Ends the program; does not return. A simulator gives `code` to its caller. */
void mico_bsp_exit(int code);

#endif
