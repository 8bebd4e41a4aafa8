/*
 * png_file.h - a picture written as PNG, whole or not at all
 */
#ifndef CTL_PNG_FILE_H
#define CTL_PNG_FILE_H

#include <stdio.h>

#include "image.h"

/* Why writing failed, for a person: "No space left on device". */
struct png_failure {
        char text[256];
};

/**
 * png_write() - write a picture to an open stream
 * @stream: stays the caller's; flushed
 *
 * Return: 0, -ENOMEM, or -EIO (the stream or libpng refused); *reterr_why says what on failure.
 */
int png_write(FILE *stream, const struct image *image, struct png_failure *reterr_why);

/**
 * png_save() - write a picture to a file
 * @path: replaced at once by the whole picture, or left as it was; a symbolic link is followed. What is no
 *         regular file (a pipe, /dev/null) is written into as it is
 *
 * Return: 0, or a negative errno and *reterr_why.
 */
int png_save(const char *path, const struct image *image, struct png_failure *reterr_why);

#endif /* CTL_PNG_FILE_H */
