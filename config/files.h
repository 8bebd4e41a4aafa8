/*
 * files.h - the files a configuration consists of (private)
 */
#ifndef VGPU_CONFIG_FILES_H
#define VGPU_CONFIG_FILES_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_FILE_MAX    65536u /* bytes of one file, and one more */
#define CONFIG_DROPINS_MAX 128

/* "/etc/vgpud/win11.conf" is the configuration of "win11", which is cut to @cap bytes. */
void config_name_from_path(const char *path, char *name, size_t cap);

/**
 * config_read_file() - a whole file, if it is one
 * @path:    nothing is waited for, whatever is there
 * @masked:  is a link to /dev/null an empty file?
 * @text:    receives it, without a NUL
 * @ret_len: written on success
 *
 * Return: 0, -EFBIG, -EINVAL (not a regular file), -EISDIR, or what the system said.
 */
int config_read_file(const char *path, bool masked, char text[CONFIG_FILE_MAX], size_t *ret_len);

/* The drop-ins beside a configuration. */
struct config_dropins {
        char *folder;
        char **path; /* in the order in which they count; names only are checked */
        size_t n;
};

/**
 * config_dropins_find() - what is named *.conf in the folder of @path
 * @ret: to be freed with config_dropins_free() whatever the outcome; without a folder empty
 *
 * Return: 0, -E2BIG (more than CONFIG_DROPINS_MAX), or why the folder cannot be read.
 */
int config_dropins_find(const char *path, struct config_dropins *ret);

void config_dropins_free(struct config_dropins *dropins);

#endif /* VGPU_CONFIG_FILES_H */
