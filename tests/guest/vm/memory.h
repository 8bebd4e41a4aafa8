/*
 * memory.h - the four functions the compiler calls by name, with the C library's contracts
 */
#ifndef VGPU_VM_MEMORY_H
#define VGPU_VM_MEMORY_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memmove(void *dst, const void *src, size_t len);
void *memset(void *dst, int value, size_t len);
int memcmp(const void *a, const void *b, size_t len);

#endif /* VGPU_VM_MEMORY_H */
