/* shim.h - between the shim's parts */
#ifndef FAULTS_SHIM_H
#define FAULTS_SHIM_H

#include "board.h"

extern struct board *shim_board; /* NULL: nobody asked for a fault */

/* Set while the shim itself works: its own allocations are nobody's fault. */
extern __thread int shim_busy;

/* shim_memory.c, where it is part of the shim: what was never freed, onto the board. */
void shim_tell_live(void) __attribute__((weak));

#endif /* FAULTS_SHIM_H */
