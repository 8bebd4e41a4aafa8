/*
 * ram.c - create, map and lay out the RAM file
 */
#include "ram.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Below vm.max_map_count's default of 65530, with room for everything else. */
#define MAX_VIEW_MAPS 60000u

const char *const ram_machine_names[RAM_N_MACHINES] = {
        [RAM_Q35] = "q35",
        [RAM_PC] = "pc",
        [RAM_MICROVM] = "microvm",
        [RAM_FLAT] = "flat",
};

uint64_t ram_below_hole(enum ram_machine machine, uint64_t size)
{
        switch (machine) {
        case RAM_Q35:
                return size >= 0xB0000000 ? 0x80000000 : size;
        case RAM_PC:
                return size >= 0xE0000000 ? 0xC0000000 : size;
        case RAM_MICROVM:
                return size > 0xC0000000 ? 0xC0000000 : size;
        default:
                return size;
        }
}

static uint64_t offset_of(const struct ram *ram, uint64_t gpa)
{
        if (ram->phys.n_extents > 1 && gpa >= ram->phys.extents[1].gpa)
                return gpa - ram->phys.extents[1].gpa + ram->phys.extents[0].len;
        return gpa;
}

static void *ram_at(void *ctx, uint64_t gpa)
{
        const struct ram *ram = ctx;

        return ram->base + offset_of(ram, gpa);
}

static void lay_out(struct ram *ram, enum ram_machine machine)
{
        uint64_t below = ram_below_hole(machine, ram->size);

        ram->phys = (struct phys){ .at = ram_at, .ctx = ram, .n_extents = 1 };
        ram->phys.extents[0] = (struct phys_extent){ 0, below };
        if (below < ram->size) {
                ram->phys.extents[1] = (struct phys_extent){ PHYS_HIGH, ram->size - below };
                ram->phys.n_extents = 2;
        }
}

/* An old file's bytes go, but not by truncation: a reader may still have it mapped. */
static int make_empty(int fd, uint64_t size)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if ((uint64_t)st.st_size != size && ftruncate(fd, (off_t)size) < 0)
                return -errno;
        if (st.st_size > 0 &&
                fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0)
                return -errno;
        return 0;
}

static int open_file(struct ram *ram, const char *path)
{
        if (!path) {
                /* As QEMU calls it, for who looks for it by name. */
                ram->fd = memfd_create("memory-backend-memfd", MFD_CLOEXEC);
                if (ram->fd < 0)
                        return -errno;
                snprintf(ram->path, sizeof(ram->path), "/proc/%d/fd/%d", (int)getpid(), ram->fd);
                return 0;
        }
        ram->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (ram->fd < 0)
                return -errno;
        if (!realpath(path, ram->path))
                return -errno;
        return 0;
}

int ram_open(struct ram *ram, const char *path, enum ram_machine machine, uint64_t size)
{
        int r = open_file(ram, path);

        ram->size = size;
        if (r == 0)
                r = make_empty(ram->fd, size);
        if (r == 0) {
                void *base = mmap(
                        NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram->fd, 0);

                if (base == MAP_FAILED)
                        r = -errno;
                else
                        ram->base = base;
        }
        if (r < 0) {
                ram_close(ram);
                return r;
        }
        lay_out(ram, machine);
        return 0;
}

void ram_close(struct ram *ram)
{
        if (ram->base)
                munmap(ram->base, ram->size);
        if (ram->fd >= 0)
                close(ram->fd);
        *ram = (struct ram)RAM_NULL;
}

static int map_run(
        const struct ram *ram, struct ram_view *view, uint64_t at, uint64_t gpa, uint64_t len)
{
        void *p;

        if (++view->n_maps > MAX_VIEW_MAPS)
                return -ENOSPC;
        p = mmap(view->at + at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ram->fd,
                (off_t)offset_of(ram, gpa));
        return p == MAP_FAILED ? -errno : 0;
}

static int map_all(const struct ram *ram, struct ram_view *view,
        uint64_t (*gpa_of)(void *arg, uint64_t offset), void *arg)
{
        uint64_t at = 0;

        while (at < view->bytes) {
                uint64_t gpa = gpa_of(arg, at), len = PAGE_BYTES;
                int r;

                if (gpa == 0)
                        return -EFAULT;
                while (at + len < view->bytes && gpa_of(arg, at + len) == gpa + len)
                        len += PAGE_BYTES;
                r = map_run(ram, view, at, gpa, len);
                if (r < 0)
                        return r;
                at += len;
        }
        return 0;
}

int ram_view_open(const struct ram *ram, struct ram_view *view, uint64_t bytes,
        uint64_t (*gpa_of)(void *arg, uint64_t offset), void *arg)
{
        void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        int r;

        if (at == MAP_FAILED)
                return -errno;
        *view = (struct ram_view){ .at = at, .bytes = bytes };
        r = map_all(ram, view, gpa_of, arg);
        if (r < 0)
                ram_view_close(view);
        return r;
}

void ram_view_close(struct ram_view *view)
{
        if (view->at)
                munmap(view->at, view->bytes);
        *view = (struct ram_view){ 0 };
}
