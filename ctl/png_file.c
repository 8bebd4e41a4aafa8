/*
 * png_file.c - see png_file.h
 *
 * The picture goes to a temporary file beside its target and is renamed over it when complete: a full disk or a
 * Ctrl-C costs neither the old file nor leaves half of a new one under its name.
 */
#include "png_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static int fail(
        struct png_failure *why, int error, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(why->text, sizeof why->text, format, ap);
        va_end(ap);
        return error;
}

static void on_png_error(png_structp png, png_const_charp message)
{
        struct png_failure *why = png_get_error_ptr(png);

        fail(why, 0, "%s", message);
        png_longjmp(png, 1);
}

static void on_png_warning(png_structp png, png_const_charp message)
{
        (void)png;
        (void)message;
}

/* Between setjmp and longjmp nothing but libpng's own state changes, so no local needs to be volatile. */
static int write_rows(png_structp png, png_infop info, FILE *stream, const struct image *image)
{
        if (setjmp(png_jmpbuf(png)))
                return -EIO;
        png_init_io(png, stream);
        /* The fastest level: a person is waiting, and screens compress well at any. */
        png_set_compression_level(png, 1);
        png_set_IHDR(png, info, image->width, image->height, (int)image->depth,
                image->channels == 4 ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB,
                PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_set_sRGB(png, info, PNG_sRGB_INTENT_PERCEPTUAL);
        png_write_info(png, info);
        for (uint32_t y = 0; y < image->height; y++)
                png_write_row(png, image->pixels + (size_t)y * image->row_bytes);
        png_write_end(png, info);
        return 0;
}

int png_write(FILE *stream, const struct image *image, struct png_failure *reterr_why)
{
        png_structp png = png_create_write_struct(
                PNG_LIBPNG_VER_STRING, reterr_why, on_png_error, on_png_warning);
        png_infop info = png ? png_create_info_struct(png) : NULL;
        int r;

        if (!info) {
                png_destroy_write_struct(&png, NULL);
                return fail(reterr_why, -ENOMEM, "out of memory");
        }
        r = write_rows(png, info, stream, image);
        /* libpng knows only "Write Error"; the stream's errno knows the disk is full. */
        if ((r == 0 && fflush(stream)) || ferror(stream))
                r = fail(reterr_why, -EIO, "%s", strerror(errno));
        png_destroy_write_struct(&png, &info);
        return r;
}

/* Takes over @fd. */
static int write_fd(int fd, const struct image *image, struct png_failure *why)
{
        FILE *stream = fdopen(fd, "wb");
        int r;

        if (!stream) {
                r = fail(why, -errno, "%s", strerror(errno));
                close(fd);
                return r;
        }
        r = png_write(stream, image, why);
        if (fclose(stream) && r == 0)
                r = fail(why, -errno, "%s", strerror(errno));
        return r;
}

static int write_in_place(const char *path, const struct image *image, struct png_failure *why)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return fail(why, -errno, "%s", strerror(errno));
        return write_fd(fd, image, why);
}

/*
 * mkstemp() makes 0600; a picture has the rights any new file of this user has, or those of the one it
 * replaces.
 */
static mode_t mode_for(const struct stat *old)
{
        mode_t mask;

        if (old)
                return old->st_mode & 07777;
        mask = umask(0);
        umask(mask);
        return 0666 & ~mask;
}

static int replace(const char *path, const struct stat *old, const struct image *image,
        struct png_failure *why)
{
        char temp[PATH_MAX];
        int fd, r;

        if (snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= (int)sizeof temp)
                return fail(why, -ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
        fd = mkostemp(temp, O_CLOEXEC);
        if (fd < 0)
                return fail(why, -errno, "%s", strerror(errno));
        fchmod(fd, mode_for(old));
        r = write_fd(fd, image, why);
        if (r == 0 && rename(temp, path) < 0)
                r = fail(why, -errno, "%s", strerror(errno));
        if (r < 0)
                unlink(temp);
        return r;
}

int png_save(const char *path, const struct image *image, struct png_failure *reterr_why)
{
        char real[PATH_MAX];
        struct stat st;

        if (stat(path, &st) < 0)
                return replace(path, NULL, image, reterr_why);
        if (!S_ISREG(st.st_mode))
                return write_in_place(path, image, reterr_why);
        if (!realpath(path, real))
                return fail(reterr_why, -errno, "%s", strerror(errno));
        return replace(real, &st, image, reterr_why);
}
