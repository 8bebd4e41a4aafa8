/*
 * newcomers.h - who came lately: the processes among which a producer that was started again is to be found
 *
 * A search of everybody takes long and is made seldom. Windows puts new processes at the end of its list, so a look at that
 * end, many times a second, tells who came, and a search of those few takes no time. Who counts as new goes by the guest's own
 * clock. No clock inside, nothing kept.
 */
#ifndef VGPUD_NEWCOMERS_H
#define VGPUD_NEWCOMERS_H

#include "win32.h"

#define NEWCOMERS_MAX 16u
#define NEWCOMERS_YOUNG                                                                            \
        UINT64_C(100000000) /* 10 s in 100 ns: who has no region by then takes his time */

/**
 * newcomers_pick() - who is worth searching again and again
 * @list: the end of the process list, the newest first
 * @n:    at most NEWCOMERS_MAX count
 * @name: of a producer: who is called so is new for ever; "": nobody
 * @now:  the guest's wall clock, 100 ns since 1601; a process from its future is new
 * @out:  room for NEWCOMERS_MAX
 *
 * Return: how many, in the order of the list.
 */
size_t newcomers_pick(const process *list, size_t n, const char *name, uint64_t now, process *out);

#endif /* VGPUD_NEWCOMERS_H */
