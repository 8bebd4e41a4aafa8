/*
 * source_test.c - a RAM file as a vmie_mem: layouts as data, holes that stay holes, files that shrink, move and vanish
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vgpu_source.h"

#define MIB    (UINT64_C(1) << 20)
#define GIB    (UINT64_C(1) << 30)
#define PAGE   UINT64_C(4096)
#define MARKER 0xa5

/* A memfd as QEMU makes one, and the path under which another process finds it. */
struct ram {
        int fd;
        char path[64];
};

static struct ram ram_new(uint64_t size)
{
        struct ram ram = { .fd = memfd_create("guest-ram", MFD_CLOEXEC) };

        assert_true(ram.fd >= 0);
        assert_int_equal(ftruncate(ram.fd, (off_t)size), 0);
        snprintf(ram.path, sizeof(ram.path), "/proc/%d/fd/%d", (int)getpid(), ram.fd);
        return ram;
}

static void ram_put(const struct ram *ram, uint64_t offset, const char *text)
{
        assert_int_equal(pwrite(ram->fd, text, strlen(text), (off_t)offset), strlen(text));
}

static blkcnt_t ram_blocks(const struct ram *ram)
{
        struct stat st;

        assert_int_equal(fstat(ram->fd, &st), 0);
        return st.st_blocks;
}

static vgpu_source *source_over(const struct ram *ram, enum vgpu_machine machine)
{
        struct vgpu_source_failure why = { 0 };
        vgpu_source *s = vgpu_source_open(ram->path, machine, 0, &why);

        if (s == NULL)
                fail_msg("%s: %s (%s)", ram->path, vgpu_source_reason_text(why.reason),
                        strerror(why.error));
        return s;
}

static int mem_read(vmie_mem *m, uint64_t gpa, void *dst, size_t len)
{
        return m->ops->read(m->ctx, gpa, dst, len);
}

static char *temp_dir(char *path, size_t cap)
{
        const char *base = getenv("TMPDIR");

        snprintf(path, cap, "%s/vgpu-source-XXXXXX", base != NULL ? base : "/tmp");
        assert_non_null(mkdtemp(path));
        return path;
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

struct layout_case {
        enum vgpu_machine machine;
        uint64_t ram_size;
        uint64_t below;
};

static const struct layout_case layouts[] = {
        { VGPU_MACHINE_Q35, PAGE, PAGE },
        { VGPU_MACHINE_Q35, 2 * GIB, 2 * GIB },
        { VGPU_MACHINE_Q35, 0xb0000000 - PAGE, 0xb0000000 - PAGE },
        { VGPU_MACHINE_Q35, 0xb0000000, 0x80000000 },
        { VGPU_MACHINE_Q35, 4 * GIB, 0x80000000 },
        { VGPU_MACHINE_Q35, 1024 * GIB, 0x80000000 },
        { VGPU_MACHINE_PC, 0xb0000000, 0xb0000000 },
        { VGPU_MACHINE_PC, 0xe0000000 - PAGE, 0xe0000000 - PAGE },
        { VGPU_MACHINE_PC, 0xe0000000, 0xc0000000 },
        { VGPU_MACHINE_PC, 8 * GIB, 0xc0000000 },
        { VGPU_MACHINE_MICROVM, 0xc0000000 - PAGE, 0xc0000000 - PAGE },
        { VGPU_MACHINE_MICROVM, 0xc0000000, 0xc0000000 },
        { VGPU_MACHINE_MICROVM, 0xc0000000 + PAGE, 0xc0000000 },
        { VGPU_MACHINE_FLAT, PAGE, PAGE },
        { VGPU_MACHINE_FLAT, 64 * GIB, 64 * GIB },
};

static void a_layout_splits_at_its_machines_threshold(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
                const struct layout_case *c = &layouts[i];
                struct vgpu_layout l;

                assert_int_equal(vgpu_layout_for(c->machine, c->ram_size, &l), 0);
                assert_int_equal(l.n_pieces, c->below == c->ram_size ? 1 : 2);
                assert_int_equal(l.piece[0].gpa, 0);
                assert_int_equal(l.piece[0].offset, 0);
                assert_int_equal(l.piece[0].len, c->below);
                if (l.n_pieces == 2) {
                        assert_int_equal(l.piece[1].gpa, 4 * GIB);
                        assert_int_equal(l.piece[1].offset, c->below);
                        assert_int_equal(l.piece[1].len, c->ram_size - c->below);
                }
        }
}

static void a_size_that_no_guest_has_gets_no_layout(void **state)
{
        static const uint64_t sizes[] = { 0, 1, PAGE - 1, PAGE + 1, UINT64_MAX,
                UINT64_MAX - PAGE + 1, UINT64_C(1) << 52 };
        struct vgpu_layout l = { .n_pieces = 77 };

        (void)state;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                for (int machine = 0; machine < VGPU_N_MACHINES; machine++)
                        assert_int_equal(
                                vgpu_layout_for((enum vgpu_machine)machine, sizes[i], &l), -EINVAL);
        assert_int_equal(vgpu_layout_for(VGPU_N_MACHINES, PAGE, &l), -EINVAL);
        assert_int_equal(l.n_pieces, 77);
}

static void several_backends_are_laid_out_as_if_they_were_one(void **state)
{
        const uint64_t sizes[] = { 1 * GIB, 3 * GIB };
        const struct vgpu_layout want = {
                .piece = { { 0, 0, 1 * GIB, 0 }, { 1 * GIB, 0, 1 * GIB, 1 },
                        { 4 * GIB, 1 * GIB, 2 * GIB, 1 } },
                .n_pieces = 3,
        };
        const struct vgpu_layout cut = {
                .piece = { { 0, 0, 640 * PAGE, 0 }, { 640 * PAGE, 640 * PAGE, GIB - 640 * PAGE, 0 },
                        { 1 * GIB, 0, 1 * GIB, 1 }, { 4 * GIB, 1 * GIB, 2 * GIB, 1 } },
                .n_pieces = 4,
        };
        struct vgpu_layout l;

        (void)state;
        assert_int_equal(vgpu_layout_split(VGPU_MACHINE_Q35, sizes, 2, &l), 0);
        assert_true(vgpu_layout_equal(&l, &want));
        assert_true(vgpu_layout_equal(&l, &cut));
        l.piece[2].offset += PAGE;
        assert_false(vgpu_layout_equal(&l, &want));
        l.n_pieces = 2;
        assert_false(vgpu_layout_equal(&l, &want));
        assert_false(vgpu_layout_equal(&want, &l));
}

/* Their sum wraps to a few pages: what is mapped over a reservation of those would lie on our own memory. */
static void files_that_no_map_has_room_for_are_read_without_one(void **state)
{
        const uint64_t quarter = UINT64_C(1) << 62;
        const struct ram file[] = { ram_new(64 * MIB), ram_new(quarter), ram_new(quarter),
                ram_new(quarter), ram_new(quarter - 64 * MIB) };
        const char *paths[5];
        const struct vgpu_layout layout = { .piece = { { 0, 0, 64 * MIB, 0 } }, .n_pieces = 1 };
        const struct gva_extent extent = { .len = 8 };
        struct vgpu_source_failure why = { 0 };
        char got[9] = "";
        vgpu_source *s;

        (void)state;
        for (size_t i = 0; i < 5; i++)
                paths[i] = file[i].path;
        s = vgpu_source_open_layout(paths, 5, &layout, &why);
        if (s != NULL) {
                ram_put(&file[0], 0, "no map");
                assert_int_equal(vgpu_source_gather(s, &extent, 1, 0, (uint8_t *)got), 0);
                assert_string_equal(got, "no map");
        } else { /* a host without io_uring */
                assert_int_equal(why.reason, VGPU_SOURCE_MAP_FAILED);
                assert_int_equal(why.error, ENOMEM);
        }
        vgpu_source_close(s);
        for (size_t i = 0; i < 5; i++)
                close(file[i].fd);
}

/* Two files with a piece of the second below the first: every way of reading finds each byte in its own. */
static void pieces_of_several_files_are_one_memory(void **state)
{
        struct ram a = ram_new(2 * MIB), b = ram_new(4 * MIB);
        const char *const paths[] = { a.path, b.path };
        const struct vgpu_layout layout = {
                .piece = { { 0, 2 * MIB, 2 * MIB, 1 }, { 2 * MIB, 0, 2 * MIB, 0 },
                        { 4 * GIB, 0, 2 * MIB, 1 } },
                .n_pieces = 3,
        };
        const struct gva_extent across = { .gpa = 2 * MIB - 4, .offset = 0, .len = 8 };
        struct vgpu_source_failure why = { 0 };
        vgpu_source *s = vgpu_source_open_layout(paths, 2, &layout, &why);
        char got[9] = "";
        vmie_mem m;

        (void)state;
        assert_non_null(s);
        ram_put(&b, 4 * MIB - 4, "left");
        ram_put(&a, 0, "rite");
        ram_put(&b, 0, "far");
        assert_int_equal(vgpu_source_gather(s, &across, 1, 0, (uint8_t *)got), 0);
        assert_string_equal(got, "leftrite");
        vgpu_source_mem_map(s, &m);
        assert_int_equal(gpa_read(&m, 2 * MIB - 4, got, 8), 0);
        assert_string_equal(got, "leftrite");
        vgpu_source_mem_pread(s, &m);
        assert_int_equal(gpa_read(&m, 4 * GIB, got, 4), 0);
        assert_string_equal(got, "far");
        assert_int_equal(ftruncate(a.fd, MIB), 0);
        assert_int_equal(vgpu_source_check(s), -ESTALE);
        vgpu_source_close(s);
        close(a.fd);
        close(b.fd);
}

/* Pieces of all sizes from all over two files, some side by side, one of zeros, some across a border of files. */
static size_t scatter(struct gva_extent *extents, size_t cap, uint64_t ram, size_t *ret_len)
{
        uint64_t offset = 0, gpa = 0;
        size_t n = 0;

        srandom(1);
        while (n < cap) {
                struct gva_extent e = { .offset = offset, .len = 1 + (uint64_t)random() % 9000 };

                if (n % 3 != 0)
                        gpa = (uint64_t)random() % (ram - 9000);
                e.gpa = n == 7 ? GPA_ZEROS : gpa;
                gpa = (gpa + e.len) % (ram - 18000);
                offset += e.len;
                extents[n++] = e;
        }
        *ret_len = offset;
        return n;
}

#define N_SCATTERED 2000

static void gathers_as(
        vgpu_source *s, const struct gva_extent *extents, size_t n, const uint8_t *want, size_t len)
{
        uint8_t *got = malloc(len + 1);

        memset(got, 0x77, len);
        got[len] = MARKER;
        assert_int_equal(vgpu_source_gather(s, extents, n, 0, got), 0);
        assert_memory_equal(got, want, len);
        assert_int_equal(got[len], MARKER);
        free(got);
}

static void every_way_of_reading_gathers_the_same_bytes(void **state)
{
        struct ram a = ram_new(3 * MIB), b = ram_new(5 * MIB);
        const char *const paths[] = { a.path, b.path };
        struct gva_extent *extents = calloc(N_SCATTERED, sizeof(*extents));
        struct gva_extent beyond = { .gpa = 8 * MIB - 4, .len = 8 };
        uint8_t *bytes = malloc(8 * MIB), *want, *spoilt;
        struct vgpu_layout in_process = { .n_pieces = 1 };
        vgpu_source *s = vgpu_source_open_files(paths, 2, VGPU_MACHINE_FLAT, 0, NULL);
        struct vgpu_source_failure why = { 0 };
        size_t len, n = scatter(extents, N_SCATTERED, 8 * MIB, &len);
        int r;

        (void)state;
        assert_non_null(s);
        for (size_t i = 0; i < 8 * MIB; i++)
                bytes[i] = (uint8_t)(i * 31 + i / 4096);
        assert_int_equal(pwrite(a.fd, bytes, 3 * MIB, 0), 3 * MIB);
        assert_int_equal(pwrite(b.fd, bytes + 3 * MIB, 5 * MIB, 0), 5 * MIB);
        want = calloc(1, len);
        spoilt = malloc(len);
        for (size_t i = 0; i < n; i++)
                if (!gpa_is_zeros(extents[i].gpa))
                        memcpy(want + extents[i].offset, bytes + extents[i].gpa, extents[i].len);

        gathers_as(s, extents, n, want, len);
        r = vgpu_source_use_uring(s);
        if (r == 0) {
                gathers_as(s, extents, n, want, len);
                assert_int_equal(vgpu_source_gather(s, &beyond, 1, 0, spoilt), -EFAULT);
                gathers_as(s, extents, n, want, len);
                assert_int_equal(ftruncate(b.fd, PAGE), 0);
                assert_int_equal(vgpu_source_gather(s, extents, n, 0, spoilt), -ESTALE);
        } else {
                print_message("no io_uring here: %s\n", strerror(-r));
        }
        vgpu_source_close(s);

        in_process.piece[0] =
                (struct vgpu_layout_piece){ .offset = (uintptr_t)bytes, .len = 8 * MIB };
        s = vgpu_source_open_process(getpid(), &in_process, &why);
        assert_non_null(s);
        gathers_as(s, extents, n, want, len);
        assert_int_equal(vgpu_source_use_uring(s), -EINVAL);
        assert_int_equal(vgpu_source_check(s), 0);
        vgpu_source_close(s);
        free(spoilt);
        free(want);
        free(bytes);
        free(extents);
        close(a.fd);
        close(b.fd);
}

/* Each map begins at a multiple of its page size. There may be no such page on this host: then looking is -EIO, not death. */
static void files_of_huge_pages_lie_side_by_side(void **state)
{
        const struct gva_extent across = { .gpa = 2 * MIB - 4, .len = 8 };
        struct ram a = ram_new(2 * MIB),
                   b = { .fd = memfd_create("huge", MFD_HUGETLB | MFD_CLOEXEC) };
        const char *const paths[] = { a.path, b.path };
        vgpu_source *s;
        uint64_t gpa;
        char got[8];
        vmie_mem m;
        int r;

        (void)state;
        if (b.fd < 0 || ftruncate(b.fd, 4 * MIB) < 0)
                skip();
        snprintf(b.path, sizeof(b.path), "/proc/self/fd/%d", b.fd);
        s = vgpu_source_open_files(paths, 2, VGPU_MACHINE_FLAT, 0, NULL);
        assert_non_null(s);
        r = vgpu_source_gather(s, &across, 1, 0, (uint8_t *)got);
        assert_true(r == 0 || r == -EIO);
        vgpu_source_mem_pread(s, &m);
        assert_int_equal(gpa_read(&m, 5 * MIB, got, 8), 0);
        assert_int_equal(m.ops->next_data(m.ctx, 3 * MIB, 6 * MIB, &gpa), 0);
        assert_int_equal(gpa, 3 * MIB);
        vgpu_source_close(s);
        close(a.fd);
        close(b.fd);
}

/* More than an address space holds. */
static void a_file_that_cannot_be_mapped_is_read_all_the_same(void **state)
{
        struct ram ram = ram_new(256 * 1024 * GIB);
        const struct gva_extent far = { .gpa = 200 * 1024 * GIB + 1, .len = 4 };
        struct vgpu_source_failure why = { 0 };
        char got[5] = "";
        vgpu_source *s;
        vmie_mem m;

        (void)state;
        ram_put(&ram, far.gpa, "here");
        s = vgpu_source_open(ram.path, VGPU_MACHINE_FLAT, 0, &why);
        if (s == NULL)
                assert_int_equal(why.reason, VGPU_SOURCE_MAP_FAILED); /* no io_uring either */
        if (s == NULL)
                skip();
        assert_int_equal(vgpu_source_gather(s, &far, 1, 0, (uint8_t *)got), 0);
        assert_string_equal(got, "here");
        vgpu_source_mem_map(s, &m);
        assert_int_equal(gpa_read(&m, far.gpa, got, 4), 0);
        vgpu_source_close(s);
        close(ram.fd);
}

static void a_hole_read_by_io_uring_stays_a_hole(void **state)
{
        struct ram ram = ram_new(8 * MIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_FLAT);
        const struct gva_extent all = { .len = 8 * MIB };
        uint8_t *dst = malloc(8 * MIB);

        (void)state;
        if (vgpu_source_use_uring(s) == 0) {
                assert_int_equal(vgpu_source_gather(s, &all, 1, 0, dst), 0);
                assert_int_equal(ram_blocks(&ram), 0);
        }
        free(dst);
        vgpu_source_close(s);
        close(ram.fd);
}

/* Its number may be another's by then. */
static void a_process_that_ended_is_not_read(void **state)
{
        struct vgpu_layout layout = { .n_pieces = 1 };
        struct vgpu_source_failure why = { 0 };
        static char page[4096];
        int ends[2];
        vgpu_source *s;
        vmie_mem m;
        pid_t pid;
        char c;

        (void)state;
        layout.piece[0] =
                (struct vgpu_layout_piece){ .offset = (uintptr_t)page, .len = sizeof(page) };
        assert_int_equal(pipe(ends), 0);
        pid = fork();
        if (pid == 0) {
                close(ends[1]);
                _exit((int)read(ends[0], &c, 1));
        }
        s = vgpu_source_open_process(pid, &layout, &why);
        assert_non_null(s);
        vgpu_source_mem_map(s, &m);
        assert_int_equal(gpa_read(&m, 0, &c, 1), 0);
        assert_int_equal(vgpu_source_check(s), 0);
        close(ends[0]);
        close(ends[1]);
        waitpid(pid, NULL, 0);
        assert_int_equal(gpa_read(&m, 0, &c, 1), -ESTALE);
        assert_int_equal(vgpu_source_check(s), -ENOENT);
        vgpu_source_close(s);
        assert_null(vgpu_source_open_process(pid, &layout, &why));
        assert_int_equal(why.reason, VGPU_SOURCE_MISSING);
}

static void a_layout_that_contradicts_itself_or_its_files_is_refused(void **state)
{
        static const struct {
                struct vgpu_layout_piece piece[2];
                enum vgpu_source_reason reason;
        } cases[] = {
                { { { 0, 0, 2 * MIB, 0 }, { MIB, 0, MIB, 0 } }, VGPU_SOURCE_BAD_LAYOUT },
                { { { 4 * GIB, 0, MIB, 0 }, { 0, 0, MIB, 0 } }, VGPU_SOURCE_BAD_LAYOUT },
                { { { 0, 0, MIB, 0 }, { MIB, 0, MIB, 1 } }, VGPU_SOURCE_BAD_LAYOUT },
                { { { 0, 0, MIB, 0 }, { MIB, 0, 0, 0 } }, VGPU_SOURCE_BAD_LAYOUT },
                { { { 0, 0, MIB, 0 }, { -PAGE, 0, MIB, 0 } }, VGPU_SOURCE_BAD_LAYOUT },
                { { { 0, 0, MIB, 0 }, { MIB, MIB, 2 * MIB, 0 } }, VGPU_SOURCE_TOO_SHORT },
                { { { 0, 0, MIB, 0 }, { MIB, -PAGE, MIB, 0 } }, VGPU_SOURCE_TOO_SHORT },
        };
        struct ram ram = ram_new(2 * MIB);
        const char *path = ram.path;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct vgpu_layout layout = { .n_pieces = 2 };
                struct vgpu_source_failure why = { 0 };

                memcpy(layout.piece, cases[i].piece, sizeof(cases[i].piece));
                assert_null(vgpu_source_open_layout(&path, 1, &layout, &why));
                assert_int_equal(why.reason, cases[i].reason);
        }
        close(ram.fd);
}

static void holes_are_passed_over_to_the_next_data(void **state)
{
        struct ram ram = ram_new(16 * MIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_FLAT);
        uint64_t gpa;
        vmie_mem m;

        (void)state;
        ram_put(&ram, 5 * MIB + 100, "data");
        vgpu_source_mem_pread(s, &m);
        assert_int_equal(m.ops->next_data(m.ctx, 0, 16 * MIB, &gpa), 0);
        assert_int_equal(gpa, 5 * MIB);
        assert_int_equal(m.ops->next_data(m.ctx, 5 * MIB + 8, 16 * MIB, &gpa), 0);
        assert_int_equal(gpa, 5 * MIB + 8);
        assert_int_equal(m.ops->next_data(m.ctx, 0, 5 * MIB, &gpa), -ENXIO);
        assert_int_equal(m.ops->next_data(m.ctx, 6 * MIB, 16 * MIB, &gpa), -ENXIO);
        assert_int_equal(m.ops->next_data(m.ctx, 0, 17 * MIB, &gpa), -EFAULT);
        vgpu_source_close(s);
        close(ram.fd);
}

static void a_machine_is_known_by_its_own_name_only(void **state)
{
        enum vgpu_machine machine = VGPU_MACHINE_PC;

        (void)state;
        for (int i = 0; i < VGPU_N_MACHINES; i++) {
                assert_int_equal(
                        vgpu_machine_from_name(vgpu_machine_name((enum vgpu_machine)i), &machine),
                        0);
                assert_int_equal(machine, i);
        }
        assert_int_equal(vgpu_machine_from_name("Q35", &machine), -EINVAL);
        assert_int_equal(vgpu_machine_from_name("", &machine), -EINVAL);
        assert_string_equal(vgpu_machine_name(VGPU_N_MACHINES), "unknown");
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void both_readings_find_bytes_on_both_sides_of_the_hole(void **state)
{
        struct ram ram = ram_new(4 * GIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_Q35);
        vmie_mem mem[2];
        char got[8] = { 0 };

        (void)state;
        ram_put(&ram, 2 * GIB - 8, "below..!");
        ram_put(&ram, 2 * GIB, "above..!");
        vgpu_source_mem_pread(s, &mem[0]);
        vgpu_source_mem_map(s, &mem[1]);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(mem[i].n_extents, 2);
                assert_int_equal(mem[i].extents[1].gpa, 4 * GIB);
                assert_int_equal(mem[i].extents[1].len, 2 * GIB);
                assert_int_equal(mem_read(&mem[i], 2 * GIB - 8, got, 8), 0);
                assert_memory_equal(got, "below..!", 8);
                assert_int_equal(mem_read(&mem[i], 4 * GIB, got, 8), 0);
                assert_memory_equal(got, "above..!", 8);
                assert_int_equal(mem_read(&mem[i], 4 * GIB + 1, got, 3), 0);
                assert_memory_equal(got, "bov", 3);
                assert_int_equal(mem_read(&mem[i], 4 * GIB + 4, got, 4), 0);
                assert_memory_equal(got, "e..!", 4);
        }
        vgpu_source_close(s);
        close(ram.fd);
}

static void a_read_outside_ram_is_refused_by_both_readings(void **state)
{
        static const struct {
                uint64_t gpa;
                size_t len;
        } outside[] = { { 2 * GIB, 1 }, { 2 * GIB - 1, 2 }, { 4 * GIB - 1, 1 }, { 6 * GIB, 1 },
                { 6 * GIB - 4, 8 }, { UINT64_MAX, 1 }, { UINT64_MAX - 7, 16 }, { 0, SIZE_MAX } };
        struct ram ram = ram_new(4 * GIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_Q35);
        vmie_mem mem[2];
        char got[16];

        (void)state;
        vgpu_source_mem_pread(s, &mem[0]);
        vgpu_source_mem_map(s, &mem[1]);
        for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
                for (int j = 0; j < 2; j++)
                        assert_int_equal(
                                mem_read(&mem[j], outside[i].gpa, got, outside[i].len), -EFAULT);
        vgpu_source_close(s);
        close(ram.fd);
}

static void holes_read_by_pread_stay_holes(void **state)
{
        struct ram ram = ram_new(64 * MIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_FLAT);
        uint8_t page[4096];
        blkcnt_t before;
        vmie_mem m;

        (void)state;
        ram_put(&ram, 5 * MIB, "one page of data");
        before = ram_blocks(&ram);
        vgpu_source_mem_pread(s, &m);
        for (uint64_t gpa = 0; gpa < 64 * MIB; gpa += PAGE)
                assert_int_equal(mem_read(&m, gpa, page, sizeof(page)), 0);
        assert_int_equal(ram_blocks(&ram), before);
        vgpu_source_close(s);
        assert_int_equal(ram_blocks(&ram), before);
        close(ram.fd);
}

static void a_ram_size_below_the_files_hides_the_rest(void **state)
{
        struct ram ram = ram_new(8 * MIB);
        vgpu_source *s = vgpu_source_open(ram.path, VGPU_MACHINE_FLAT, 4 * MIB, NULL);
        size_t n_pieces;
        vmie_mem m;
        char c;

        (void)state;
        assert_non_null(s);
        assert_int_equal(vgpu_source_ram_size(s), 4 * MIB);
        assert_int_equal(vgpu_source_pieces(s, &n_pieces)[0].len, 4 * MIB);
        vgpu_source_mem_map(s, &m);
        assert_int_equal(mem_read(&m, 4 * MIB - 1, &c, 1), 0);
        assert_int_equal(mem_read(&m, 4 * MIB, &c, 1), -EFAULT);
        vgpu_source_close(s);
        close(ram.fd);
}

/* ---- gather ------------------------------------------------------------------------------------------------------ */

static void extents_are_gathered_across_the_hole_in_order(void **state)
{
        static const struct gva_extent extents[] = {
                { .gpa = 4 * GIB, .offset = 100, .len = PAGE },
                { .gpa = 2 * GIB - PAGE, .offset = 100 + PAGE, .len = PAGE },
                { .gpa = 4 * GIB + 3 * PAGE + 5, .offset = 100 + 2 * PAGE, .len = 11 },
        };
        struct ram ram = ram_new(4 * GIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_Q35);
        uint8_t *dst = malloc(2 * PAGE + 11 + 1);

        (void)state;
        ram_put(&ram, 2 * GIB, "first");
        ram_put(&ram, 2 * GIB - PAGE, "second");
        ram_put(&ram, 2 * GIB + 3 * PAGE + 5, "third piece");
        memset(dst, MARKER, 2 * PAGE + 11 + 1);
        assert_int_equal(vgpu_source_gather(s, extents, 3, 100, dst), 0);
        assert_memory_equal(dst, "first\0", 6);
        assert_memory_equal(dst + PAGE, "second\0", 7);
        assert_memory_equal(dst + 2 * PAGE, "third piece", 11);
        assert_int_equal(dst[2 * PAGE + 11], MARKER);
        assert_int_equal(vgpu_source_gather(s, NULL, 0, 0, dst), 0);
        free(dst);
        vgpu_source_close(s);
        close(ram.fd);
}

static void an_extent_that_leaves_ram_writes_nothing_of_itself(void **state)
{
        static const struct gva_extent outside[] = {
                { .gpa = 2 * GIB, .len = 1 },
                { .gpa = 2 * GIB - 16, .len = 17 },
                { .gpa = 2 * GIB - 16, .len = UINT64_MAX },
                { .gpa = 6 * GIB - 1, .len = 2 },
                { .gpa = UINT64_MAX, .len = 16 },
        };
        struct ram ram = ram_new(4 * GIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_Q35);
        uint8_t dst[16];

        (void)state;
        for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
                memset(dst, MARKER, sizeof(dst));
                assert_int_equal(vgpu_source_gather(s, &outside[i], 1, 0, dst), -EFAULT);
                for (size_t j = 0; j < sizeof(dst); j++)
                        assert_int_equal(dst[j], MARKER);
        }
        vgpu_source_close(s);
        close(ram.fd);
}

/* ---- files that change ------------------------------------------------------------------------------------------- */

static void a_file_truncated_under_the_map_is_stale_not_a_crash(void **state)
{
        struct ram ram = ram_new(4 * MIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_FLAT);
        const struct gva_extent extents[] = { { .gpa = 0, .len = PAGE },
                { .gpa = 2 * MIB, .offset = PAGE, .len = PAGE } };
        uint8_t buf[2 * 4096];
        vmie_mem map, file;

        (void)state;
        vgpu_source_mem_map(s, &map);
        vgpu_source_mem_pread(s, &file);
        assert_int_equal(mem_read(&map, 2 * MIB, buf, PAGE), 0);
        assert_int_equal(vgpu_source_check(s), 0);

        assert_int_equal(ftruncate(ram.fd, MIB), 0);
        /* Twice each: the first abandoned read must leave the guard usable. */
        for (int i = 0; i < 2; i++) {
                assert_int_equal(mem_read(&map, 2 * MIB, buf, PAGE), -ESTALE);
                assert_int_equal(mem_read(&map, 2 * MIB, buf, 8), -ESTALE);
                assert_int_equal(mem_read(&file, 2 * MIB, buf, PAGE), -ESTALE);
                assert_int_equal(vgpu_source_gather(s, extents, 2, 0, buf), -ESTALE);
                assert_int_equal(mem_read(&map, 0, buf, PAGE), 0);
        }
        assert_int_equal(vgpu_source_check(s), -ESTALE);

        /* Long again: its bytes are readable, whatever they are now. */
        assert_int_equal(ftruncate(ram.fd, 4 * MIB), 0);
        assert_int_equal(mem_read(&map, 2 * MIB, buf, PAGE), 0);
        assert_int_equal(vgpu_source_check(s), 0);
        vgpu_source_close(s);
        close(ram.fd);
}

struct bystander {
        vgpu_source *s;
        pthread_barrier_t *step;
        int n_failed;
};

/* Reads its own file in lock step with the truncations next door. */
static void *bystander_main(void *arg)
{
        struct bystander *b = arg;
        vmie_mem m;
        char got[4];

        vgpu_source_mem_map(b->s, &m);
        for (int i = 0; i < 200; i++) {
                pthread_barrier_wait(b->step);
                for (int j = 0; j < 50; j++)
                        if (mem_read(&m, PAGE, got, 4) != 0 || memcmp(got, "calm", 4) != 0)
                                b->n_failed++;
        }
        return NULL;
}

static void another_thread_does_not_notice_a_truncation_elsewhere(void **state)
{
        struct ram calm = ram_new(MIB), shrinking = ram_new(MIB);
        vgpu_source *s = source_over(&shrinking, VGPU_MACHINE_FLAT);
        pthread_barrier_t step;
        struct bystander b = { .s = source_over(&calm, VGPU_MACHINE_FLAT), .step = &step };
        pthread_t thread;
        vmie_mem m;
        char c;

        (void)state;
        ram_put(&calm, PAGE, "calm");
        vgpu_source_mem_map(s, &m);
        assert_int_equal(ftruncate(shrinking.fd, 0), 0);
        pthread_barrier_init(&step, NULL, 2);
        assert_int_equal(pthread_create(&thread, NULL, bystander_main, &b), 0);
        for (int i = 0; i < 200; i++) {
                pthread_barrier_wait(&step);
                for (int j = 0; j < 5; j++)
                        assert_int_equal(mem_read(&m, PAGE, &c, 1), -ESTALE);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(b.n_failed, 0);
        pthread_barrier_destroy(&step);
        vgpu_source_close(b.s);
        vgpu_source_close(s);
        close(calm.fd);
        close(shrinking.fd);
}

static void a_file_that_is_replaced_or_removed_is_noticed(void **state)
{
        char dir[128], path[192], other[192];
        int fd;
        vgpu_source *s;

        (void)state;
        temp_dir(dir, sizeof(dir));
        snprintf(path, sizeof(path), "%s/ram", dir);
        snprintf(other, sizeof(other), "%s/other", dir);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && ftruncate(fd, (off_t)MIB) == 0);
        s = vgpu_source_open(path, VGPU_MACHINE_FLAT, 0, NULL);
        assert_non_null(s);
        assert_int_equal(vgpu_source_check(s), 0);
        assert_int_equal(ftruncate(fd, (off_t)(2 * MIB)), 0);
        assert_int_equal(vgpu_source_check(s), 0);
        close(fd);

        fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && ftruncate(fd, (off_t)MIB) == 0);
        close(fd);
        assert_int_equal(rename(other, path), 0);
        assert_int_equal(vgpu_source_check(s), -ESTALE);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(vgpu_source_check(s), -ENOENT);
        assert_int_equal(rmdir(dir), 0);
        assert_int_equal(vgpu_source_check(s), -ENOENT);
        vgpu_source_close(s);
}

/* ---- what cannot be opened --------------------------------------------------------------------------------------- */

static struct vgpu_source_failure refusal(
        const char *path, enum vgpu_machine machine, uint64_t ram_size)
{
        struct vgpu_source_failure why = { 0 };

        assert_null(vgpu_source_open(path, machine, ram_size, &why));
        assert_null(vgpu_source_open(path, machine, ram_size, NULL));
        assert_string_not_equal(vgpu_source_reason_text(why.reason), "unknown reason");
        return why;
}

/* The path may be what a machine says, and opening can do things: a device's watchdog would run from then on. */
static void what_is_no_file_is_not_opened_to_find_that_out(void **state)
{
        int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        struct ram ram = ram_new(MIB);
        char dir[128], fifo[192], event[512];
        vgpu_source *s;

        (void)state;
        temp_dir(dir, sizeof(dir));
        snprintf(fifo, sizeof(fifo), "%s/pipe", dir);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_true(inotify_add_watch(inotify, fifo, IN_OPEN) >= 0);
        assert_int_equal(refusal(fifo, VGPU_MACHINE_Q35, 0).reason, VGPU_SOURCE_NOT_A_FILE);
        assert_int_equal(read(inotify, event, sizeof(event)), -1);
        assert_int_equal(errno, EAGAIN);

        /* A file is, and that is seen. */
        assert_true(inotify_add_watch(inotify, ram.path, IN_OPEN) >= 0);
        s = vgpu_source_open(ram.path, VGPU_MACHINE_Q35, 0, NULL);
        assert_non_null(s);
        assert_true(read(inotify, event, sizeof(event)) > 0);
        vgpu_source_close(s);

        close(inotify);
        close(ram.fd);
        assert_int_equal(unlink(fifo), 0);
        assert_int_equal(rmdir(dir), 0);
}

static void each_kind_of_unusable_file_has_its_reason(void **state)
{
        char dir[128], fifo[192];
        struct ram empty = ram_new(0), odd = ram_new(MIB + 1), small = ram_new(MIB);
        struct vgpu_source_failure why;

        (void)state;
        temp_dir(dir, sizeof(dir));
        snprintf(fifo, sizeof(fifo), "%s/pipe", dir);
        assert_int_equal(mkfifo(fifo, 0600), 0);

        assert_int_equal(refusal("/nowhere/ram", VGPU_MACHINE_Q35, 0).reason, VGPU_SOURCE_MISSING);
        assert_int_equal(refusal("/dev/null/ram", VGPU_MACHINE_Q35, 0).reason, VGPU_SOURCE_MISSING);
        assert_int_equal(refusal(dir, VGPU_MACHINE_Q35, 0).reason, VGPU_SOURCE_NOT_A_FILE);
        assert_int_equal(refusal(fifo, VGPU_MACHINE_Q35, 0).reason, VGPU_SOURCE_NOT_A_FILE);
        assert_int_equal(
                refusal("/dev/zero", VGPU_MACHINE_Q35, MIB).reason, VGPU_SOURCE_NOT_A_FILE);
        assert_int_equal(refusal(empty.path, VGPU_MACHINE_Q35, MIB).reason, VGPU_SOURCE_EMPTY);
        assert_int_equal(refusal(odd.path, VGPU_MACHINE_Q35, 0).reason, VGPU_SOURCE_BAD_SIZE);
        assert_int_equal(
                refusal(small.path, VGPU_MACHINE_Q35, PAGE + 1).reason, VGPU_SOURCE_BAD_SIZE);
        assert_int_equal(refusal(small.path, VGPU_N_MACHINES, 0).reason, VGPU_SOURCE_BAD_SIZE);
        why = refusal(small.path, VGPU_MACHINE_Q35, 4 * GIB);
        assert_int_equal(why.reason, VGPU_SOURCE_TOO_SHORT);
        assert_int_equal(why.want, 4 * GIB);
        assert_int_equal(why.have, MIB);

        assert_int_equal(unlink(fifo), 0);
        assert_int_equal(rmdir(dir), 0);
        close(empty.fd);
        close(odd.fd);
        close(small.fd);
}

static void a_file_we_may_not_read_is_forbidden(void **state)
{
        char path[128];
        int fd, status = 0;
        pid_t child;

        (void)state;
        snprintf(path, sizeof(path), "/tmp/vgpu-source-XXXXXX");
        fd = mkstemp(path);
        assert_true(fd >= 0 && ftruncate(fd, (off_t)MIB) == 0 && fchmod(fd, 0) == 0);
        close(fd);
        child = fork();
        if (child == 0) {
                struct vgpu_source_failure why = { 0 };

                /* Root may read anything; a child that is nobody may not. */
                if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
                        _exit(2);
                if (vgpu_source_open(path, VGPU_MACHINE_FLAT, 0, &why) != NULL)
                        _exit(3);
                _exit(why.reason == VGPU_SOURCE_FORBIDDEN && why.error == EACCES ? 0 : 4);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        unlink(path);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- read-only, and clean afterwards ----------------------------------------------------------------------------- */

/* The map of inode @ino in our address space. */
static void *find_map(ino_t ino, char ret_perms[5])
{
        FILE *f = fopen("/proc/self/maps", "re");
        char line[512];
        void *found = NULL;

        assert_non_null(f);
        while (found == NULL && fgets(line, sizeof(line), f) != NULL) {
                uint64_t begin, inode;
                char perms[5];

                if (sscanf(line, "%" SCNx64 "-%*x %4s %*x %*s %" SCNu64, &begin, perms, &inode) ==
                                3 &&
                        inode == ino) {
                        found = (void *)(uintptr_t)begin;
                        memcpy(ret_perms, perms, 5);
                }
        }
        fclose(f);
        return found;
}

/* The descriptor other than @not_fd that has inode @ino open, or -1. */
static int find_fd(ino_t ino, dev_t dev, int not_fd)
{
        for (int fd = 0; fd < 256; fd++) {
                struct stat st;

                if (fd != not_fd && fstat(fd, &st) == 0 && st.st_ino == ino && st.st_dev == dev)
                        return fd;
        }
        return -1;
}

static void guest_memory_cannot_be_written_through_a_source(void **state)
{
        struct ram ram = ram_new(MIB);
        vgpu_source *s = source_over(&ram, VGPU_MACHINE_FLAT);
        char perms[5] = "";
        struct stat st;
        void *map;
        int fd;

        (void)state;
        assert_int_equal(fstat(ram.fd, &st), 0);
        fd = find_fd(st.st_ino, st.st_dev, ram.fd);
        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(pwrite(fd, "x", 1, 0), -1);
        map = find_map(st.st_ino, perms);
        assert_non_null(map);
        assert_string_equal(perms, "r--s");
        assert_int_equal(mprotect(map, PAGE, PROT_READ | PROT_WRITE), -1);
        assert_int_equal(errno, EACCES);

        vgpu_source_close(s);
        assert_int_equal(find_fd(st.st_ino, st.st_dev, ram.fd), -1);
        assert_null(find_map(st.st_ino, perms));
        close(ram.fd);
}

/* ---- handed over ------------------------------------------------------------------------------------------------- */

static int read_only(const struct ram *ram)
{
        int fd = open(ram->path, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void ram_that_was_opened_by_somebody_else_is_read_alike(void **state)
{
        struct ram ram[2] = { ram_new(2 * PAGE), ram_new(2 * PAGE) };
        int fds[2] = { read_only(&ram[0]), read_only(&ram[1]) };
        struct vgpu_layout layout = { .piece = { { 0, 0, PAGE, 1 }, { 4 * PAGE, 0, PAGE, 0 } },
                .n_pieces = 2 };
        struct vgpu_source_failure why = { 0 };
        vgpu_source *s;
        vmie_mem m;
        char text[4];

        (void)state;
        ram_put(&ram[0], 0, "one");
        ram_put(&ram[1], 0, "two");
        s = vgpu_source_open_handed(fds, 2, -1, NULL, VGPU_MACHINE_FLAT, 0, &why);
        assert_non_null(s);
        vgpu_source_mem_map(s, &m);
        assert_int_equal(gpa_read(&m, 2 * PAGE, text, 3), 0);
        assert_memory_equal(text, "two", 3);
        vgpu_source_close(s);

        s = vgpu_source_open_handed(fds, 2, -1, &layout, VGPU_MACHINE_Q35, 0, &why);
        assert_non_null(s);
        /* It has its own: ours may go. */
        for (int i = 0; i < 2; i++) {
                close(fds[i]);
                close(ram[i].fd);
        }
        vgpu_source_mem_pread(s, &m);
        assert_int_equal(gpa_read(&m, 4 * PAGE, text, 3), 0);
        assert_memory_equal(text, "one", 3);
        assert_int_equal(vgpu_source_check(s), 0);
        vgpu_source_close(s);
}

static void a_descriptor_that_could_write_to_the_guest_is_refused(void **state)
{
        struct ram ram = ram_new(2 * PAGE);
        int paths = open("/tmp", O_PATH | O_CLOEXEC);
        struct vgpu_source_failure why = { 0 };

        (void)state;
        assert_null(vgpu_source_open_handed(&ram.fd, 1, -1, NULL, VGPU_MACHINE_FLAT, 0, &why));
        assert_int_equal(why.reason, VGPU_SOURCE_WRITABLE);
        assert_null(vgpu_source_open_handed(&paths, 1, -1, NULL, VGPU_MACHINE_FLAT, 0, &why));
        assert_int_equal(why.reason, VGPU_SOURCE_WRITABLE);
        close(paths);
        close(ram.fd);
}

static void handed_ram_ends_with_its_name_its_size_or_its_process(void **state)
{
        struct ram ram = ram_new(2 * PAGE);
        int fd = read_only(&ram), other, named, pidfd;
        struct vgpu_source_failure why = { 0 };
        char path[] = "/tmp/vgpu-handed-XXXXXX";
        vgpu_source *s;
        pid_t child = fork();

        (void)state;
        if (child == 0) {
                pause();
                _exit(0);
        }
        pidfd = (int)syscall(SYS_pidfd_open, child, 0);
        assert_true(pidfd >= 0);
        s = vgpu_source_open_handed(&fd, 1, pidfd, NULL, VGPU_MACHINE_FLAT, 0, &why);
        assert_non_null(s);
        assert_int_equal(vgpu_source_check(s), 0);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(vgpu_source_check(s), -ENOENT);
        vgpu_source_close(s);
        close(pidfd);

        s = vgpu_source_open_handed(&fd, 1, -1, NULL, VGPU_MACHINE_FLAT, 0, &why);
        assert_non_null(s);
        assert_int_equal(ftruncate(ram.fd, (off_t)PAGE), 0);
        assert_int_equal(vgpu_source_check(s), -ESTALE);
        vgpu_source_close(s);
        close(fd);
        close(ram.fd);

        named = mkstemp(path);
        assert_int_equal(ftruncate(named, (off_t)PAGE), 0);
        other = open(path, O_RDONLY | O_CLOEXEC);
        s = vgpu_source_open_handed(&other, 1, -1, NULL, VGPU_MACHINE_FLAT, 0, &why);
        assert_non_null(s);
        assert_int_equal(vgpu_source_check(s), 0);
        unlink(path);
        assert_int_equal(vgpu_source_check(s), -ENOENT);
        vgpu_source_close(s);
        close(other);
        close(named);
}

static void closing_nothing_is_fine(void **state)
{
        (void)state;
        assert_null(vgpu_source_close(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_layout_splits_at_its_machines_threshold),
                cmocka_unit_test(a_size_that_no_guest_has_gets_no_layout),
                cmocka_unit_test(several_backends_are_laid_out_as_if_they_were_one),
                cmocka_unit_test(pieces_of_several_files_are_one_memory),
                cmocka_unit_test(files_that_no_map_has_room_for_are_read_without_one),
                cmocka_unit_test(every_way_of_reading_gathers_the_same_bytes),
                cmocka_unit_test(files_of_huge_pages_lie_side_by_side),
                cmocka_unit_test(a_file_that_cannot_be_mapped_is_read_all_the_same),
                cmocka_unit_test(a_hole_read_by_io_uring_stays_a_hole),
                cmocka_unit_test(a_process_that_ended_is_not_read),
                cmocka_unit_test(a_layout_that_contradicts_itself_or_its_files_is_refused),
                cmocka_unit_test(holes_are_passed_over_to_the_next_data),
                cmocka_unit_test(a_machine_is_known_by_its_own_name_only),
                cmocka_unit_test(both_readings_find_bytes_on_both_sides_of_the_hole),
                cmocka_unit_test(a_read_outside_ram_is_refused_by_both_readings),
                cmocka_unit_test(holes_read_by_pread_stay_holes),
                cmocka_unit_test(a_ram_size_below_the_files_hides_the_rest),
                cmocka_unit_test(extents_are_gathered_across_the_hole_in_order),
                cmocka_unit_test(an_extent_that_leaves_ram_writes_nothing_of_itself),
                cmocka_unit_test(a_file_truncated_under_the_map_is_stale_not_a_crash),
                cmocka_unit_test(another_thread_does_not_notice_a_truncation_elsewhere),
                cmocka_unit_test(a_file_that_is_replaced_or_removed_is_noticed),
                cmocka_unit_test(what_is_no_file_is_not_opened_to_find_that_out),
                cmocka_unit_test(each_kind_of_unusable_file_has_its_reason),
                cmocka_unit_test(a_file_we_may_not_read_is_forbidden),
                cmocka_unit_test(guest_memory_cannot_be_written_through_a_source),
                cmocka_unit_test(ram_that_was_opened_by_somebody_else_is_read_alike),
                cmocka_unit_test(a_descriptor_that_could_write_to_the_guest_is_refused),
                cmocka_unit_test(handed_ram_ends_with_its_name_its_size_or_its_process),
                cmocka_unit_test(closing_nothing_is_fine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
