/*
 * plain_reader.h - an obvious reader of a q35 guest's memory, for tests
 *
 * Shares nothing with the perception core: what it finds in the virtual machine, the machine really has. Slow, and
 * it trusts the guest; a failed step says so by its return.
 */
#ifndef VGPU_PLAIN_READER_H
#define VGPU_PLAIN_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAIN_HIGH UINT64_C(0x100000000) /* RAM at or above lies behind the PCI hole */

/* Guest RAM by guest-physical address. The empty value is { 0 }. */
struct plain_ram {
        const uint8_t *bytes;
        size_t len;
};

/* A translation and the tables that led to it. */
struct plain_walk {
        uint64_t gpa;
        uint64_t leaf_bytes;
        uint64_t table_gpa[4]; /* PML4 first; 0 where the walk ended earlier */
};

struct plain_process {
        uint32_t pid;
        uint64_t cr3;
        uint64_t eprocess;
        char name[16];
};

/** plain_open() - map @path read-only; 0, or -errno */
int plain_open(struct plain_ram *ret_ram, const char *path);

/** plain_close() - unmap; fine on an empty one */
void plain_close(struct plain_ram *ram);

/** plain_walk() - translate @gva under @cr3; false when it is not mapped */
bool plain_walk(
        const struct plain_ram *ram, uint64_t cr3, uint64_t gva, struct plain_walk *ret_walk);

/** plain_read() - copy @len bytes from a guest virtual address; false when a page is not mapped */
bool plain_read(const struct plain_ram *ram, uint64_t cr3, uint64_t gva, void *dst, size_t len);

/** plain_export() - the kernel VA of an exported symbol, 0 when the image at @base has none of that name */
uint64_t plain_export(const struct plain_ram *ram, uint64_t kcr3, uint64_t base, const char *name);

/**
 * plain_processes() - walk the process list of a 19041..19045 kernel
 *
 * Return: how many there are, 0 when the list is broken; at most @cap are written.
 */
size_t plain_processes(const struct plain_ram *ram, uint64_t kcr3, uint64_t base,
        struct plain_process *ret_processes, size_t cap);

#endif /* VGPU_PLAIN_READER_H */
