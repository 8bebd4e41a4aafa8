/*
 * image_test.c - memory that was written to a file: each kind is told by its head and laid out by its headers, and what is
 * damaged is refused before a byte of it is believed
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "vgpu_image.h"

#define PAGE   UINT64_C(4096)
#define MIB    (UINT64_C(1) << 20)
#define GIB    (UINT64_C(1) << 30)
#define HEADER 0x2000

struct file {
        int fd;
        char path[64];
};

static struct file file_new(uint64_t size)
{
        struct file f = { .fd = memfd_create("image", MFD_CLOEXEC) };

        assert_true(f.fd >= 0);
        assert_int_equal(ftruncate(f.fd, (off_t)size), 0);
        snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
        return f;
}

static void put(const struct file *f, uint64_t offset, const void *bytes, size_t len)
{
        assert_int_equal(pwrite(f->fd, bytes, len, (off_t)offset), len);
}

static void put_u32(const struct file *f, uint64_t offset, uint32_t value)
{
        put(f, offset, &value, sizeof(value));
}

static void put_u64(const struct file *f, uint64_t offset, uint64_t value)
{
        put(f, offset, &value, sizeof(value));
}

static vgpu_source *must_open(const struct file *f, enum vgpu_image_kind kind, uint64_t kcr3)
{
        struct vgpu_source_failure why = { 0 };
        struct vgpu_image_info info;
        vgpu_source *s = vgpu_image_open(f->path, VGPU_MACHINE_FLAT, 0, &info, &why);

        if (s == NULL)
                fail_msg("%s", vgpu_source_reason_text(why.reason));
        assert_int_equal(info.kind, kind);
        assert_int_equal(info.kcr3, kcr3);
        return s;
}

static void must_refuse(const struct file *f, enum vgpu_source_reason reason)
{
        struct vgpu_source_failure why = { 0 };

        assert_null(vgpu_image_open(f->path, VGPU_MACHINE_FLAT, 0, NULL, &why));
        assert_int_equal(why.reason, reason);
}

/* Both ways of reading find @text at @gpa. */
static void holds(vgpu_source *s, uint64_t gpa, const char *text)
{
        char got[16] = "";
        vmie_mem m;

        vgpu_source_mem_pread(s, &m);
        assert_int_equal(gpa_read(&m, gpa, got, strlen(text)), 0);
        assert_string_equal(got, text);
        memset(got, 0, sizeof(got));
        vgpu_source_mem_map(s, &m);
        assert_int_equal(gpa_read(&m, gpa, got, strlen(text)), 0);
        assert_string_equal(got, text);
}

static void has_no(vgpu_source *s, uint64_t gpa)
{
        vmie_mem m;
        char c;

        vgpu_source_mem_pread(s, &m);
        assert_int_equal(gpa_read(&m, gpa, &c, 1), -EFAULT);
}

/* ---- raw ----------------------------------------------------------------------------------------------------------- */

static void bytes_without_a_head_are_raw_memory(void **state)
{
        struct file f = file_new(2 * MIB);
        vgpu_source *s;

        (void)state;
        put(&f, MIB, "here", 4);
        s = must_open(&f, VGPU_IMAGE_RAW, 0);
        holds(s, MIB, "here");
        vgpu_source_close(s);
        close(f.fd);
}

/* ---- ELF ----------------------------------------------------------------------------------------------------------- */

static const Elf64_Ehdr core = {
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
};

static struct file core_new(Elf64_Ehdr e, const Elf64_Phdr *segments, size_t n)
{
        struct file f = file_new(MIB);

        put(&f, 0, &e, sizeof(e));
        put(&f, e.e_phoff, segments, n * sizeof(*segments));
        return f;
}

static const Elf64_Phdr two_and_a_note[] = {
        { .p_type = PT_NOTE, .p_offset = 600, .p_filesz = 100 },
        { .p_type = PT_LOAD, .p_offset = 1000, .p_paddr = 4 * GIB, .p_filesz = 4 * PAGE },
        { .p_type = PT_LOAD, .p_offset = 1000 + 4 * PAGE, .p_filesz = 8 * PAGE },
};

static bool has_uring(void)
{
        struct file f = file_new(MIB);
        vgpu_source *s = vgpu_source_open(f.path, VGPU_MACHINE_FLAT, 0, NULL);
        bool has = s != NULL && vgpu_source_use_uring(s) == 0;

        vgpu_source_close(s);
        close(f.fd);
        return has;
}

/* An exbibyte, of which a page is memory: any filesystem without maps looks the same. */
static void an_image_that_cannot_be_mapped_is_read_without_a_map(void **state)
{
        static const Elf64_Phdr one = { .p_type = PT_LOAD, .p_offset = PAGE, .p_filesz = PAGE };
        struct vgpu_source_failure why = { 0 };
        Elf64_Ehdr e = core;
        vgpu_source *s;
        struct file f;

        (void)state;
        e.e_phnum = 1;
        f = core_new(e, &one, 1);
        put(&f, PAGE, "there", 5);
        assert_int_equal(ftruncate(f.fd, (off_t)(GIB * GIB)), 0);
        s = vgpu_image_open(f.path, VGPU_MACHINE_FLAT, 0, NULL, &why);
        if (s == NULL && !has_uring())
                skip();
        if (s == NULL)
                fail_msg("%s", vgpu_source_reason_text(why.reason));
        holds(s, 0, "there");
        vgpu_source_close(s);
        close(f.fd);
}

static void an_elf_core_lies_where_its_segments_say(void **state)
{
        Elf64_Ehdr e = core;
        struct file f;
        vgpu_source *s;

        (void)state;
        e.e_phnum = 3;
        f = core_new(e, two_and_a_note, 3);
        put(&f, 1000 + 4 * PAGE - 5, "above", 5);
        put(&f, 1000 + 4 * PAGE, "below", 5);
        s = must_open(&f, VGPU_IMAGE_ELF_CORE, 0);
        assert_int_equal(vgpu_source_ram_size(s), 12 * PAGE);
        holds(s, 4 * GIB + 4 * PAGE - 5, "above");
        holds(s, 0, "below");
        has_no(s, 8 * PAGE);
        vgpu_source_close(s);
        close(f.fd);
}

static void memory_that_a_core_holds_twice_is_there_once(void **state)
{
        static const Elf64_Phdr segments[] = {
                { .p_type = PT_LOAD, .p_offset = PAGE, .p_filesz = 4 * PAGE },
                { .p_type = PT_LOAD, .p_offset = 2 * PAGE, .p_paddr = PAGE, .p_filesz = 2 * PAGE },
                { .p_type = PT_LOAD,
                        .p_offset = 4 * PAGE,
                        .p_paddr = 3 * PAGE,
                        .p_filesz = 3 * PAGE },
        };
        Elf64_Ehdr e = core;
        struct file f;
        vgpu_source *s;

        (void)state;
        e.e_phnum = 3;
        f = core_new(e, segments, 3);
        put(&f, 6 * PAGE, "last", 4);
        s = must_open(&f, VGPU_IMAGE_ELF_CORE, 0);
        assert_int_equal(vgpu_source_ram_size(s), 6 * PAGE);
        holds(s, 5 * PAGE, "last");
        vgpu_source_close(s);
        close(f.fd);
}

static void more_segments_than_the_header_can_count_are_counted_elsewhere(void **state)
{
        Elf64_Ehdr e = core;
        Elf64_Shdr first = { .sh_info = 3 };
        struct file f;

        (void)state;
        e.e_phnum = PN_XNUM;
        e.e_shoff = 512;
        e.e_shentsize = sizeof(first);
        f = core_new(e, two_and_a_note, 3);
        put(&f, 512, &first, sizeof(first));
        vgpu_source_close(must_open(&f, VGPU_IMAGE_ELF_CORE, 0));
        put_u64(&f, offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX - 8);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        close(f.fd);
}

static void a_damaged_core_is_refused(void **state)
{
        static const struct {
                Elf64_Phdr segment;
                uint64_t phoff;
                uint16_t phentsize;
        } cases[] = {
                { { .p_type = PT_LOAD, .p_offset = MIB - 1, .p_filesz = 2 }, 64, 56 },
                { { .p_type = PT_LOAD, .p_offset = UINT64_MAX, .p_filesz = 2 }, 64, 56 },
                { { .p_type = PT_LOAD, .p_filesz = UINT64_MAX }, 64, 56 },
                { { .p_type = PT_LOAD, .p_paddr = UINT64_MAX, .p_filesz = 2 }, 64, 56 },
                { { .p_type = PT_LOAD, .p_filesz = 0 }, 64, 56 },
                { { .p_type = PT_NOTE, .p_filesz = PAGE }, 64, 56 },
                { { .p_type = PT_LOAD, .p_filesz = PAGE }, 64, 55 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                Elf64_Ehdr e = core;
                struct file f;

                e.e_phnum = 1;
                e.e_phentsize = cases[i].phentsize;
                e.e_phoff = cases[i].phoff;
                f = core_new(e, &cases[i].segment, 1);
                must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
                put_u64(&f, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 8);
                must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
                close(f.fd);
        }
}

static void a_core_of_another_machine_is_refused_as_such(void **state)
{
        Elf64_Ehdr e = core;
        struct file f;

        (void)state;
        e.e_machine = EM_AARCH64;
        f = core_new(e, two_and_a_note, 3);
        must_refuse(&f, VGPU_SOURCE_IMAGE_KIND);
        e.e_machine = EM_X86_64;
        e.e_type = ET_EXEC;
        put(&f, 0, &e, sizeof(e));
        must_refuse(&f, VGPU_SOURCE_IMAGE_KIND);
        put(&f, 0, "KDUMP   ", 8);
        must_refuse(&f, VGPU_SOURCE_IMAGE_KIND);
        close(f.fd);
}

/* ---- crash dumps --------------------------------------------------------------------------------------------------- */

static struct file crash_new(uint32_t type, uint64_t pages)
{
        struct file f = file_new(HEADER + pages * PAGE);

        put(&f, 0, "PAGEDU64", 8);
        put_u64(&f, 0x10, 0x1ad002);
        put_u32(&f, 0x30, 0x8664);
        put_u32(&f, 0xf98, type);
        return f;
}

static void a_full_crash_dump_lies_in_runs(void **state)
{
        struct file f = crash_new(1, 6);
        vgpu_source *s;

        (void)state;
        put_u32(&f, 0x88, 2);
        put_u64(&f, 0x90, 6);
        put_u64(&f, 0x98, 1);
        put_u64(&f, 0xa0, 2);
        put_u64(&f, 0xa8, 0x100000);
        put_u64(&f, 0xb0, 4);
        put(&f, HEADER, "first", 5);
        put(&f, HEADER + 2 * PAGE, "second", 6);
        s = must_open(&f, VGPU_IMAGE_CRASH_FULL, 0x1ad000);
        has_no(s, 0);
        holds(s, PAGE, "first");
        has_no(s, 3 * PAGE);
        holds(s, 4 * GIB, "second");
        vgpu_source_close(s);

        put_u64(&f, 0xb0, 5);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        put_u64(&f, 0xb0, UINT64_MAX / PAGE);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        put_u64(&f, 0xa8, UINT64_MAX);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        put_u32(&f, 0x88, 0x45474150);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        close(f.fd);
}

static void a_bitmap_crash_dump_has_the_pages_whose_bits_are_set(void **state)
{
        static const uint8_t bits[] = { 0x06, 0x80, 0x01 }; /* pages 1, 2, 15, 16 */
        struct file f = crash_new(5, 6);
        vgpu_source *s;

        (void)state;
        put(&f, HEADER, "FDMPDUMP", 8);
        put_u64(&f, HEADER + 0x20, HEADER + PAGE);
        put_u64(&f, HEADER + 0x28, 4);
        put_u64(&f, HEADER + 0x30, 17);
        put(&f, HEADER + 0x38, bits, sizeof(bits));
        put(&f, HEADER + 2 * PAGE, "two", 3);
        put(&f, HEADER + 4 * PAGE, "sixteen", 7);
        s = must_open(&f, VGPU_IMAGE_CRASH_BITMAP, 0x1ad000);
        assert_int_equal(vgpu_source_ram_size(s), 4 * PAGE);
        has_no(s, 0);
        holds(s, 2 * PAGE, "two");
        has_no(s, 14 * PAGE);
        holds(s, 16 * PAGE, "sixteen");
        vgpu_source_close(s);

        put_u64(&f, HEADER + 0x20, HEADER + 3 * PAGE);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        put_u64(&f, HEADER + 0x20, UINT64_MAX - 2 * PAGE);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        put_u64(&f, HEADER + 0x30, UINT64_C(1) << 39);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        put(&f, HEADER, "NONE", 4);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        close(f.fd);
}

/* Only a sparse file can claim it, and each of its bits would be looked at. */
static void a_bitmap_of_more_pages_than_any_machine_has_is_refused(void **state)
{
        struct file f = crash_new(5, 1);

        (void)state;
        assert_int_equal(ftruncate(f.fd, (off_t)(9 * GIB)), 0);
        put(&f, HEADER, "FDMPDUMP", 8);
        put_u64(&f, HEADER + 0x20, 8 * GIB + PAGE * 16);
        put_u64(&f, HEADER + 0x30, (UINT64_C(1) << 36) + 1);
        put(&f, HEADER + 0x38, "\1", 1);
        must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        close(f.fd);
}

static void a_dump_without_all_of_memory_is_refused_as_such(void **state)
{
        static const uint32_t types[] = { 0, 2, 3, 4, 6, 8 };
        struct file f;

        (void)state;
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                f = crash_new(types[i], 1);
                must_refuse(&f, VGPU_SOURCE_IMAGE_KIND);
                close(f.fd);
        }
        f = crash_new(1, 1);
        put_u32(&f, 0x30, 0x014c);
        must_refuse(&f, VGPU_SOURCE_IMAGE_KIND);
        put(&f, 0, "PAGEDUMP", 8);
        must_refuse(&f, VGPU_SOURCE_IMAGE_KIND);
        close(f.fd);
}

/* Every head cut off at every eighth byte: refused or taken for raw bytes, never read past its end. */
static void a_file_that_ends_in_its_header_is_refused(void **state)
{
        struct file f = crash_new(1, 1);

        (void)state;
        for (off_t size = 8; size < HEADER; size += 8) {
                assert_int_equal(ftruncate(f.fd, size), 0);
                must_refuse(&f, VGPU_SOURCE_IMAGE_BROKEN);
        }
        put(&f, 0, &core, sizeof(core));
        for (size_t size = SELFMAG; size < sizeof(core); size++) {
                assert_int_equal(ftruncate(f.fd, 0), 0);
                put(&f, 0, &core, size);
                /* What is shorter than a magic is raw, and no whole page. */
                must_refuse(&f, size < 8 ? VGPU_SOURCE_BAD_SIZE : VGPU_SOURCE_IMAGE_BROKEN);
        }
        close(f.fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bytes_without_a_head_are_raw_memory),
                cmocka_unit_test(an_image_that_cannot_be_mapped_is_read_without_a_map),
                cmocka_unit_test(an_elf_core_lies_where_its_segments_say),
                cmocka_unit_test(memory_that_a_core_holds_twice_is_there_once),
                cmocka_unit_test(more_segments_than_the_header_can_count_are_counted_elsewhere),
                cmocka_unit_test(a_damaged_core_is_refused),
                cmocka_unit_test(a_core_of_another_machine_is_refused_as_such),
                cmocka_unit_test(a_full_crash_dump_lies_in_runs),
                cmocka_unit_test(a_bitmap_crash_dump_has_the_pages_whose_bits_are_set),
                cmocka_unit_test(a_bitmap_of_more_pages_than_any_machine_has_is_refused),
                cmocka_unit_test(a_dump_without_all_of_memory_is_refused_as_such),
                cmocka_unit_test(a_file_that_ends_in_its_header_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
