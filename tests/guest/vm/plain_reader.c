/*
 * plain_reader.c - an obvious reader of a q35 guest's memory, for tests
 */
#include "plain_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define Q35_LOW_SPLIT                                                                              \
        UINT64_C(0xB0000000) /* RAM sizes from here on leave only 2 GiB below the hole */
#define Q35_LOW_BYTES UINT64_C(0x80000000)

#define ADDRESS_BITS  UINT64_C(0x000ffffffffff000)
#define PRESENT       UINT64_C(0x01)
#define PAGE_SIZE_BIT UINT64_C(0x80)

#define MAX_PROCESSES 4096
#define MAX_EXPORTS   65536

/* EPROCESS of 19041..19045. */
#define EPROCESS_DTB   0x028
#define EPROCESS_PID   0x440
#define EPROCESS_LINKS 0x448
#define EPROCESS_NAME  0x5a8

int plain_open(struct plain_ram *ret_ram, const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        void *bytes;
        int r = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0) {
                r = -errno;
        } else {
                bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
                if (bytes == MAP_FAILED)
                        r = -errno;
                else
                        *ret_ram = (struct plain_ram){ bytes, (size_t)st.st_size };
        }
        close(fd);
        return r;
}

void plain_close(struct plain_ram *ram)
{
        if (ram->bytes)
                munmap((void *)(uintptr_t)ram->bytes, ram->len);
        *ram = (struct plain_ram){ 0 };
}

/* The byte at @gpa, or NULL when it or the rest of its 4 KiB page is not RAM. */
static const uint8_t *at(const struct plain_ram *ram, uint64_t gpa)
{
        uint64_t low = ram->len >= Q35_LOW_SPLIT ? Q35_LOW_BYTES : ram->len;
        uint64_t offset = gpa;

        if (gpa >= PLAIN_HIGH)
                offset = gpa - PLAIN_HIGH + low;
        else if (gpa >= low)
                return NULL;
        return offset < ram->len ? ram->bytes + offset : NULL;
}

bool plain_walk(
        const struct plain_ram *ram, uint64_t cr3, uint64_t gva, struct plain_walk *ret_walk)
{
        struct plain_walk walk = { 0 };
        uint64_t table = cr3 & ADDRESS_BITS;

        for (int level = 0; level < 4; level++) {
                int shift = 39 - 9 * level;
                const uint8_t *page = at(ram, table);
                uint64_t entry;

                if (!page)
                        return false;
                walk.table_gpa[level] = table;
                memcpy(&entry, page + (gva >> shift & 511) * 8, sizeof(entry));
                if (!(entry & PRESENT))
                        return false;
                if (level == 3 || (level > 0 && (entry & PAGE_SIZE_BIT))) {
                        walk.leaf_bytes = UINT64_C(1) << shift;
                        walk.gpa = (entry & ADDRESS_BITS & ~(walk.leaf_bytes - 1)) |
                                   (gva & (walk.leaf_bytes - 1));
                        *ret_walk = walk;
                        return true;
                }
                table = entry & ADDRESS_BITS;
        }
        return false;
}

bool plain_read(const struct plain_ram *ram, uint64_t cr3, uint64_t gva, void *dst, size_t len)
{
        uint8_t *to = dst;

        while (len > 0) {
                struct plain_walk walk;
                size_t n = 0x1000 - (gva & 0xfff);
                const uint8_t *from;

                if (n > len)
                        n = len;
                if (!plain_walk(ram, cr3, gva, &walk) || !(from = at(ram, walk.gpa)))
                        return false;
                memcpy(to, from, n);
                to += n;
                gva += n;
                len -= n;
        }
        return true;
}

static uint32_t read32(const struct plain_ram *ram, uint64_t cr3, uint64_t gva)
{
        uint32_t value = 0;

        return plain_read(ram, cr3, gva, &value, sizeof(value)) ? value : 0;
}

static uint64_t read64(const struct plain_ram *ram, uint64_t cr3, uint64_t gva)
{
        uint64_t value = 0;

        return plain_read(ram, cr3, gva, &value, sizeof(value)) ? value : 0;
}

static bool is_string(const struct plain_ram *ram, uint64_t cr3, uint64_t gva, const char *expected)
{
        char got[64] = { 0 };
        size_t len = strlen(expected) + 1;

        return len <= sizeof(got) && plain_read(ram, cr3, gva, got, len) &&
               memcmp(got, expected, len) == 0;
}

uint64_t plain_export(const struct plain_ram *ram, uint64_t kcr3, uint64_t base, const char *name)
{
        uint64_t pe = base + read32(ram, kcr3, base + 0x3c);
        uint64_t directory = base + read32(ram, kcr3, pe + 24 + 112);
        uint32_t n_names = read32(ram, kcr3, directory + 24);
        uint64_t functions = base + read32(ram, kcr3, directory + 28);
        uint64_t names = base + read32(ram, kcr3, directory + 32);
        uint64_t ordinals = base + read32(ram, kcr3, directory + 36);

        for (uint32_t i = 0; i < n_names && i < MAX_EXPORTS; i++) {
                uint16_t ordinal;

                if (!is_string(ram, kcr3, base + read32(ram, kcr3, names + 4 * i), name))
                        continue;
                if (!plain_read(ram, kcr3, ordinals + 2 * i, &ordinal, sizeof(ordinal)))
                        return 0;
                return base + read32(ram, kcr3, functions + 4 * (uint64_t)ordinal);
        }
        return 0;
}

static bool read_process(const struct plain_ram *ram, uint64_t kcr3, uint64_t eprocess,
        struct plain_process *ret_process)
{
        struct plain_process p = { .eprocess = eprocess };

        if (!plain_read(ram, kcr3, eprocess + EPROCESS_NAME, p.name, 15))
                return false;
        p.pid = read32(ram, kcr3, eprocess + EPROCESS_PID);
        p.cr3 = read64(ram, kcr3, eprocess + EPROCESS_DTB) & ADDRESS_BITS;
        *ret_process = p;
        return p.cr3 != 0;
}

size_t plain_processes(const struct plain_ram *ram, uint64_t kcr3, uint64_t base,
        struct plain_process *ret_processes, size_t cap)
{
        uint64_t variable = plain_export(ram, kcr3, base, "PsInitialSystemProcess");
        uint64_t eprocess = variable ? read64(ram, kcr3, variable) : 0;
        uint64_t first = eprocess + EPROCESS_LINKS;
        uint64_t links = first;
        size_t n = 0;

        if (!eprocess)
                return 0;
        do {
                struct plain_process p;
                uint64_t next = read64(ram, kcr3, links);

                if (read64(ram, kcr3, next + 8) != links || n == MAX_PROCESSES)
                        return 0;
                /* The list head is the one link that is in no process: pid and cr3 are not to be found around it. */
                if (read_process(ram, kcr3, links - EPROCESS_LINKS, &p) && p.pid % 4 == 0 &&
                        p.pid) {
                        if (n < cap)
                                ret_processes[n] = p;
                        n++;
                }
                links = next;
        } while (links != first);
        return n;
}
