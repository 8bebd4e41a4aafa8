/* png_test.c - what was written decodes to the same picture, and a failure loses nothing */
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>

#include <cmocka.h>

#include "png_file.h"

#define W 37
#define H 23

static char dir[64];

static int make_dir(void **state)
{
        (void)state;
        strcpy(dir, "/tmp/png_test.XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
        char command[128];

        (void)state;
        snprintf(command, sizeof command, "rm -rf '%s'", dir);
        return system(command);
}

static const char *in_dir(const char *name)
{
        static char path[128];

        snprintf(path, sizeof path, "%s/%s", dir, name);
        return path;
}

static unsigned n_entries(void)
{
        DIR *d = opendir(dir);
        unsigned n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n - 2;
}

static struct image noise(unsigned channels, unsigned depth)
{
        struct image image = { .width = W, .height = H, .channels = channels, .depth = depth };
        uint32_t x = 1;

        image.row_bytes = (size_t)W * channels * (depth / 8);
        image.pixels = malloc(H * image.row_bytes);
        assert_non_null(image.pixels);
        for (size_t i = 0; i < H * image.row_bytes; i++)
                image.pixels[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        return image;
}

static void assert_decodes_to(const char *path, const struct image *image)
{
        png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
        png_infop info = png_create_info_struct(png);
        FILE *f = fopen(path, "rb");
        uint8_t row[W * 8];

        assert_non_null(f);
        png_init_io(png, f);
        png_read_info(png, info);
        assert_int_equal(png_get_image_width(png, info), W);
        assert_int_equal(png_get_image_height(png, info), H);
        assert_int_equal(png_get_channels(png, info), image->channels);
        assert_int_equal(png_get_bit_depth(png, info), image->depth);
        for (unsigned y = 0; y < H; y++) {
                png_read_row(png, row, NULL);
                assert_memory_equal(row, image->pixels + y * image->row_bytes, image->row_bytes);
        }
        png_read_end(png, NULL);
        png_destroy_read_struct(&png, &info, NULL);
        fclose(f);
}

static void every_kind_of_picture_decodes_back(void **state)
{
        static const unsigned kinds[][2] = { { 3, 8 }, { 4, 8 }, { 3, 16 }, { 4, 16 } };

        (void)state;
        for (size_t i = 0; i < 4; i++) {
                struct image image = noise(kinds[i][0], kinds[i][1]);
                struct png_failure why;

                assert_int_equal(png_save(in_dir("a.png"), &image, &why), 0);
                assert_decodes_to(in_dir("a.png"), &image);
                image_deinit(&image);
        }
        assert_int_equal(n_entries(), 1);
}

static void the_mode_is_that_of_the_file_replaced(void **state)
{
        struct image image = noise(3, 8);
        struct png_failure why;
        struct stat st;

        (void)state;
        assert_int_equal(png_save(in_dir("mode.png"), &image, &why), 0);
        assert_int_equal(chmod(in_dir("mode.png"), 0640), 0);
        assert_int_equal(png_save(in_dir("mode.png"), &image, &why), 0);
        assert_int_equal(stat(in_dir("mode.png"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        image_deinit(&image);
}

static void a_symbolic_link_is_followed_not_replaced(void **state)
{
        struct image image = noise(3, 8);
        struct png_failure why;
        struct stat st;

        (void)state;
        assert_int_equal(png_save(in_dir("target.png"), &image, &why), 0);
        assert_int_equal(symlink("target.png", in_dir("link.png")), 0);
        assert_int_equal(png_save(in_dir("link.png"), &image, &why), 0);
        assert_int_equal(lstat(in_dir("link.png"), &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        image_deinit(&image);
}

static void a_device_is_written_into_not_replaced(void **state)
{
        struct image image = noise(3, 8);
        struct png_failure why;
        struct stat st;

        (void)state;
        assert_int_equal(png_save("/dev/null", &image, &why), 0);
        assert_int_equal(stat("/dev/null", &st), 0);
        assert_true(S_ISCHR(st.st_mode));
        image_deinit(&image);
}

static void a_missing_folder_is_named_as_the_reason(void **state)
{
        struct image image = noise(3, 8);
        struct png_failure why;

        (void)state;
        assert_int_equal(png_save(in_dir("no/such/a.png"), &image, &why), -ENOENT);
        assert_string_equal(why.text, "No such file or directory");
        assert_int_equal(png_save(dir, &image, &why), -EISDIR);
        image_deinit(&image);
}

/* In a child with a file size limit, which is a full disk that needs no disk. */
static int save_with_little_room(const char *path, const struct image *image)
{
        struct rlimit limit = { 100, 100 };
        struct png_failure why = { "" };

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        if (png_save(path, image, &why) != -EIO)
                return 1;
        return strcmp(why.text, "File too large") == 0 ? 0 : 2;
}

static void a_full_disk_leaves_the_old_picture_and_nothing_else(void **state)
{
        struct image image = noise(3, 8), other = noise(4, 16);
        struct png_failure why;
        unsigned before;
        int status;
        pid_t pid;

        (void)state;
        assert_int_equal(png_save(in_dir("full.png"), &image, &why), 0);
        before = n_entries();
        pid = fork();
        if (pid == 0)
                _exit(save_with_little_room(in_dir("full.png"), &other));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_decodes_to(in_dir("full.png"), &image);
        assert_int_equal(n_entries(), before);
        image_deinit(&image);
        image_deinit(&other);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_kind_of_picture_decodes_back),
                cmocka_unit_test(the_mode_is_that_of_the_file_replaced),
                cmocka_unit_test(a_symbolic_link_is_followed_not_replaced),
                cmocka_unit_test(a_device_is_written_into_not_replaced),
                cmocka_unit_test(a_missing_folder_is_named_as_the_reason),
                cmocka_unit_test(a_full_disk_leaves_the_old_picture_and_nothing_else),
        };

        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
