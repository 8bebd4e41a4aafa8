/*
 * copy_helper.h - a second thread that copies chunks of large frames
 *
 * A copy waits for memory most of its time, and two processors wait for twice as much. The helper knows nothing of frames: it
 * is given pieces and a place, gathers, and says what came of it. What it has not begun can be taken back, so that a helper that
 * does not get to run costs nothing; what it has begun is waited for, for nobody may write into a slot that was given up.
 */
#ifndef VGPUD_COPY_HELPER_H
#define VGPUD_COPY_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_source.h"

struct copy_helper;

/* Starts the thread, with every signal blocked that can be. Return: 0, or a negative errno: then go on without. */
int copy_helper_new(struct copy_helper **ret_helper);

/* Ends the thread; nothing is asked of it. NULL is fine. Returns NULL. */
struct copy_helper *copy_helper_free(struct copy_helper *h);

/* What vgpu_source_gather() is to be called with. @pieces: borrowed until it is taken back or waited for. One at a time. */
void copy_helper_ask(struct copy_helper *h, vgpu_source *source, const struct gva_extent *pieces,
        size_t n, uint8_t *dst);

/* Return: true: it has not begun, and will not; false: copy_helper_wait() follows. */
bool copy_helper_take_back(struct copy_helper *h);

/* Return: true when it is done; then *ret_result is as vgpu_source_gather() returns it, and the helper can be asked again. */
bool copy_helper_is_done(struct copy_helper *h, int *ret_result);

/* Sleeps until it is done. Return: as vgpu_source_gather(). */
int copy_helper_wait(struct copy_helper *h);

#endif /* VGPUD_COPY_HELPER_H */
