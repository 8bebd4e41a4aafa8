/*
 * ram.h - the simulated guest's RAM: a sparse file laid out as a machine type lays it out
 *
 * The file's bytes are RAM in the order of RAM offsets; where they appear in guest-physical space depends on the machine,
 * as it does for QEMU's memory backends.
 */
#ifndef RAM_H
#define RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pages.h"

enum ram_machine { RAM_Q35, RAM_PC, RAM_MICROVM, RAM_FLAT, RAM_N_MACHINES };

extern const char *const ram_machine_names[RAM_N_MACHINES];

struct ram {
        int fd; /* -1: none */
        uint8_t *base;
        uint64_t size;
        char path[4096]; /* by which another process opens it */
        struct phys phys;
};

#define RAM_NULL                                                                                   \
        {                                                                                          \
                .fd = -1                                                                           \
        }

/* How much of @size lies below the PCI hole of a machine; the rest begins at 4 GiB. */
uint64_t ram_below_hole(enum ram_machine machine, uint64_t size);

/**
 * ram_open() - make the RAM
 * @ram: RAM_NULL
 * @path: file to create, or to empty and use; NULL: a memfd
 * @machine: whose layout
 * @size: bytes, a multiple of 2 MiB
 *
 * Return: 0, or a negative errno with nothing left open.
 */
int ram_open(struct ram *ram, const char *path, enum ram_machine machine, uint64_t size);

/* Unmap and close. The file stays. */
void ram_close(struct ram *ram);

/* A run of guest memory in one piece of our address space, for a writer of a section whose pages are anywhere. */
struct ram_view {
        uint8_t *at; /* NULL: none */
        uint64_t bytes;
        uint64_t n_maps;
};

/**
 * ram_view_open() - map pages one behind the other
 * @ram: open
 * @view: empty
 * @bytes: multiple of 4096
 * @gpa_of: the guest-physical address of the page at an offset of the view, 0 if there is none
 * @arg: passed to @gpa_of
 *
 * Neighbours that adjoin in the file share a map; what remains must stay below the kernel's limit of maps per process.
 *
 * Return: 0, -ENOSPC when there would be too many maps, -EFAULT when a page is missing, another negative errno.
 */
int ram_view_open(const struct ram *ram, struct ram_view *view, uint64_t bytes,
        uint64_t (*gpa_of)(void *arg, uint64_t offset), void *arg);
void ram_view_close(struct ram_view *view);

#endif /* RAM_H */
