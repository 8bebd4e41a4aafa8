/*
 * copy_helper.h - a second thread that copies large frames along with the loop's
 *
 * A copy waits for memory most of its time, and two processors wait for twice as much. The loop's thread cuts a frame into
 * chunks and offers them; both threads take from what is offered, one at a time, so that neither waits for the other before
 * the last. The helper knows nothing of frames: it gathers, and says what came of it.
 *
 * To wake a thread takes as long as to copy a mebibyte or more. So the helper is called once for a frame, as soon as one is seen or
 * even due, looks for chunks without sleeping until it is dismissed, and goes back to sleep by itself when it is forgotten. One
 * that does not get to run costs nothing: what it has not taken is copied by the loop's thread. What it has taken is waited for,
 * for nobody may write into a slot that was given up.
 *
 * All functions are for the loop's thread.
 */
#ifndef VGPUD_COPY_HELPER_H
#define VGPUD_COPY_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_source.h"

/* The most bytes of a chunk, and its pieces: each page, and one more where it begins within a page. */
#define COPY_HELPER_CHUNK_BYTES  (UINT64_C(512) << 10)
#define COPY_HELPER_CHUNK_PIECES (COPY_HELPER_CHUNK_BYTES / GVA_PAGE_BYTES + 1)

/* Chunks that are out at a time: each thread copies one, and finds another. */
#define COPY_HELPER_CHUNKS 4u

/* What vgpu_source_gather() is called with, and what it returned. */
struct copy_chunk {
        vgpu_source *source; /* shareable */
        uint8_t *dst;
        struct gva_extent *piece; /* room for @max */
        size_t n, max;
        uint64_t bytes;
        uint64_t from, to; /* bytes of the frame from the first piece to the last */
        int result;
};

struct copy_helper;

/* Starts the thread, with every signal blocked that can be. Return: 0, or a negative errno: then go on without. */
int copy_helper_new(struct copy_helper **ret_helper);

/* Ends the thread; nothing is out. NULL is fine. Returns NULL. */
struct copy_helper *copy_helper_free(struct copy_helper *h);

/* Chunks are coming, soon; who is called already looks for longer. Costs a system call when it sleeps. */
void copy_helper_call(struct copy_helper *h);

/* None are coming, and none are out. Not called is fine. */
void copy_helper_dismiss(struct copy_helper *h);

/* Room for another chunk, with @piece and @max set; NULL: as many as can be are out. */
struct copy_chunk *copy_helper_room(struct copy_helper *h);

/* Whoever comes first copies it. @k: filled; from copy_helper_room(). */
void copy_helper_offer(struct copy_helper *h, struct copy_chunk *k);

/* Copies one that was offered, in this thread. Return: false: nothing is left that nobody has taken. */
bool copy_helper_work(struct copy_helper *h);

/* One that was copied, by whomever; its room is free again when another chunk is offered. NULL: none. */
const struct copy_chunk *copy_helper_done(struct copy_helper *h);

/* Waits until the helper has copied what it took. Return: false: it has taken nothing. */
bool copy_helper_wait(struct copy_helper *h);

/* Takes back what was offered, and waits for what was taken: nobody writes any more, and all room is free. */
void copy_helper_stop(struct copy_helper *h);

#endif /* VGPUD_COPY_HELPER_H */
