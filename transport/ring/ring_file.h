/*
 * ring_file.h - the memory of a ring: a memfd that we alone can write (private to the ring)
 */
#ifndef VGPUD_RING_FILE_H
#define VGPUD_RING_FILE_H

#include <stdint.h>

struct ring_file {
        void *map; /* writable, the whole file; NULL: empty */
        uint64_t len;
        int memfd;       /* the writable description; never leaves this process */
        int readonly_fd; /* what readers get */
};

#define RING_FILE_EMPTY                                                                            \
        {                                                                                          \
                .memfd = -1, .readonly_fd = -1                                                     \
        }

/**
 * ring_file_init() - make, map and seal @len bytes of zeros
 * @f: RING_FILE_EMPTY; the caller's to deinit, after a failure too
 *
 * Return: 0, or a negative errno.
 */
int ring_file_init(struct ring_file *f, uint64_t len);

/* Unmap and close. Takes an empty one and one that was made by half. */
void ring_file_deinit(struct ring_file *f);

/* As ring_file_deinit(), but return what ring_watch_next() will call it, or a negative errno if nothing can tell. */
int ring_file_retire(struct ring_file *f, int watch);

#endif /* VGPUD_RING_FILE_H */
