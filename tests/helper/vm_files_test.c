/* vm_files_test.c - a process' RAM is told from its other files */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper/vm_files.h"

#define RAM_BYTES (2u << 20)

static bool same_file(const char *path, int fd)
{
        struct stat a, b;

        return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino;
}

static int backend(void)
{
        int fd = memfd_create("memory-backend-memfd", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, RAM_BYTES), 0);
        return fd;
}

static void backends_of_one_name_are_told_apart_by_their_addresses(void **state)
{
        int first = backend(), second = backend();
        char *map = mmap(NULL, RAM_BYTES, PROT_READ, MAP_SHARED, second, 0);
        char *private = mmap(NULL, RAM_BYTES, PROT_READ, MAP_PRIVATE, first, 0);
        char path[64];
        struct stat st;

        (void)state;
        assert_true(map != MAP_FAILED && private != MAP_FAILED);
        assert_int_equal(
                vm_files_at(getpid(), (uintptr_t)map + RAM_BYTES - 1, path, sizeof(path)), 0);
        assert_true(same_file(path, second));
        /* What QEMU writes to a private map is in no file. */
        assert_int_equal(vm_files_at(getpid(), (uintptr_t) private, path, sizeof(path)), -ENOENT);
        assert_int_equal(vm_files_at(getpid(), 8, path, sizeof(path)), -ENOENT);

        assert_int_equal(fstat(second, &st), 0);
        assert_int_equal(vm_files_maps(getpid(), 0, st.st_dev, st.st_ino), 0);
        assert_int_equal(vm_files_maps(getpid(), (uintptr_t)map, st.st_dev, st.st_ino), 0);
        assert_int_equal(
                vm_files_maps(getpid(), (uintptr_t) private, st.st_dev, st.st_ino), -ENOENT);
        assert_int_equal(vm_files_maps(getpid(), 0, st.st_dev + 1, st.st_ino), -ENOENT);
        assert_int_equal(vm_files_maps(0, 0, st.st_dev, st.st_ino), -ESRCH);
        assert_int_equal(fstat(first, &st), 0);
        assert_int_equal(vm_files_maps(getpid(), 0, st.st_dev, st.st_ino), -ENOENT);

        assert_int_equal(vm_files_only_backend(getpid(), path, sizeof(path)), -EEXIST);
        close(second);
        assert_int_equal(vm_files_only_backend(getpid(), path, sizeof(path)), 0);
        assert_true(same_file(path, first));
        close(first);
        assert_int_equal(vm_files_only_backend(getpid(), path, sizeof(path)), -ENOENT);
        /* Mapped, and closed by its process: there is nothing to open. */
        assert_int_equal(vm_files_at(getpid(), (uintptr_t)map, path, sizeof(path)), -ENOENT);
        munmap(map, RAM_BYTES);
        munmap(private, RAM_BYTES);
}

static const struct vm_file *find(const struct vm_file *list, size_t n, int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        for (size_t i = 0; i < n; i++)
                if (list[i].dev == st.st_dev && list[i].ino == st.st_ino)
                        return &list[i];
        return NULL;
}

static void what_is_long_shared_and_writable_is_listed_once(void **state)
{
        int ram = backend(), twin = dup(ram), unmapped = backend(), private_one = backend(),
            only_read = backend(), small = backend(), named = memfd_create("other", MFD_CLOEXEC);
        struct vm_file list[8];
        size_t n = 0;
        char *at, *p, *r, *s, *o;

        (void)state;
        assert_int_equal(ftruncate(small, 4096), 0);
        assert_int_equal(ftruncate(named, RAM_BYTES), 0);
        at = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
        p = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, private_one, 0);
        r = mmap(NULL, RAM_BYTES, PROT_READ, MAP_SHARED, only_read, 0);
        s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, small, 0);
        o = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, named, 0);
        assert_true(at != MAP_FAILED && p != MAP_FAILED && r != MAP_FAILED && s != MAP_FAILED &&
                    o != MAP_FAILED);
        /* A map that the host split is one. */
        assert_int_equal(madvise(at, RAM_BYTES / 2, MADV_DONTDUMP), 0);

        assert_int_equal(vm_files_list(getpid(), list, 8, &n), 0);
        assert_int_equal(n, 2);
        assert_non_null(find(list, n, ram));
        assert_int_equal(find(list, n, ram)->begin, (uintptr_t)at);
        assert_int_equal(find(list, n, ram)->end, (uintptr_t)at + RAM_BYTES);
        assert_true(find(list, n, ram)->is_backend && find(list, n, ram)->is_memfd);
        assert_true(!find(list, n, named)->is_backend && find(list, n, named)->is_memfd);
        assert_int_equal(vm_files_list(getpid(), list, 1, &n), -E2BIG);
        assert_int_equal(vm_files_list(0, list, 8, &n), -ESRCH);

        munmap(at, RAM_BYTES);
        munmap(p, RAM_BYTES);
        munmap(r, RAM_BYTES);
        munmap(s, 4096);
        munmap(o, RAM_BYTES);
        close(ram);
        close(twin);
        close(unmapped);
        close(private_one);
        close(only_read);
        close(small);
        close(named);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(backends_of_one_name_are_told_apart_by_their_addresses),
                cmocka_unit_test(what_is_long_shared_and_writable_is_listed_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
