/*
 * host.h - which machine this is: no figure means anything without
 */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <stddef.h>

/**
 * host_describe() - processors, kernel, frequency governor, hypervisor and load, in one line
 *
 * What the kernel does not tell is said to be unknown. Return: @text, without an end of line.
 */
const char *host_describe(char *text, size_t size);

#endif /* BENCH_HOST_H */
