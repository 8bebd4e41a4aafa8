/*
 * writer.h - an external writer for tests: connects to the control socket, and does to a guest's RAM file what it is told
 *
 * Keeps to docs/protocol.md, "The writer's socket", in its order; a test that wants a bad writer makes its messages itself and
 * sends them with writer_send().
 */
#ifndef VGPU_TEST_WRITER_H
#define VGPU_TEST_WRITER_H

#include "vgpu_control.h"
#include "vgpu_source.h"

struct writer {
        int fd; /* of the socket, -1: none */
        /* RAM, for writing */
        int ram_fd;
        uint8_t *ram;
        uint64_t ram_size;
        struct vgpu_layout layout;
        struct gpa_extent extents[VGPU_LAYOUT_MAX];
        /* Called between opening the seqlock and writing; NULL: nothing. For a writer that dies there. */
        void (*while_open)(void);
};

#define WRITER_NONE ((struct writer){ .fd = -1, .ram_fd = -1 })

/* Open a RAM file for writing. @size 0: the file's. Return: 0 or -errno. */
int writer_open_ram(struct writer *w, const char *path, const char *machine, uint64_t size);

/* Connect and say who we are. Return: 0 or -errno. */
int writer_connect(struct writer *w, const char *path);

/* Close the socket; RAM stays open. */
void writer_disconnect(struct writer *w);

/* Close everything. Fine on WRITER_NONE, which it leaves. */
void writer_close(struct writer *w);

/* Send one packet as it is. Return: 0 or -errno. */
int writer_send(struct writer *w, const void *packet, size_t len);

/**
 * writer_receive() - wait for the next WRITE; the newest of several that are there
 * @timeout_ms: < 0: no limit
 *
 * Return: 1, 0 (nothing came), -ECONNRESET (closed), -ECONNREFUSED (GOODBYE; *ret_goodbye, if not NULL, says why), another
 * -errno.
 */
int writer_receive(struct writer *w, int timeout_ms, struct vgpu_control_write *ret_write,
        uint32_t *ret_goodbye);

/* Recheck everything and write; @ret is the answer to send. */
void writer_perform(
        struct writer *w, const struct vgpu_control_write *write, struct vgpu_control_written *ret);

/* An answer of any kind to @write, honest or not. */
struct vgpu_control_written writer_answer(
        const struct vgpu_control_write *write, uint32_t result, uint32_t ctrl_gen);

#endif /* VGPU_TEST_WRITER_H */
