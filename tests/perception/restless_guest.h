/*
 * restless_guest.h - a guest whose operating system never stops moving things under its reader
 *
 * A thread publishes frames, moves pages of a section in and out of memory and the working set, moves tables, ends the producer and starts the next one in its place: same root,
 * same process object, often the same pid, pages and tables handed on with whatever they held. It keeps what an operating
 * system keeps, and no more:
 *   - exit status before teardown, and another CreateTime before a process object says "alive" again;
 *   - a page of a frame does not come back to its place before the slot was written again;
 *   - a page of the producer block, or a table, does not come back to its place while a call is under way.
 * Every value says whose it is, so a reader can tell a foreign one from its own.
 */
#ifndef RESTLESS_GUEST_H
#define RESTLESS_GUEST_H

#include <pthread.h>
#include <stdatomic.h>

#include "guest_windows.h"

#define RESTLESS_WIDTH  64u
#define RESTLESS_HEIGHT 32u
#define RESTLESS_STRIDE 256u
#define RESTLESS_BYTES  (RESTLESS_HEIGHT * RESTLESS_STRIDE) /* two pages */

#define RESTLESS_SLOTS      2u
#define RESTLESS_SLOT_PAGES 2u
#define RESTLESS_MAX_PAGES  48u

struct restless_page {
        uint64_t gpa;
        uint64_t
                left_at; /* call during which it left a place where it must not be seen again in that call */
};

struct restless_guest {
        struct guest_windows w;
        struct guest_region r;
        pthread_t thread;
        atomic_bool stop;
        atomic_uint_fast64_t n_calls; /* the reader counts each call before it */

        /* the thread's own */
        uint64_t random;
        uint64_t life;
        uint64_t n_frames;
        uint32_t seq[RESTLESS_SLOTS];
        uint32_t cursor_seq, geom_seq;
        bool fresh[RESTLESS_SLOTS];                      /* written since one of its pages moved */
        struct restless_page *pages[RESTLESS_MAX_PAGES]; /* not in use, oldest first */
        struct restless_page all[RESTLESS_MAX_PAGES];
        struct restless_page *block, *table;
        uint64_t section_gpa; /* page of prototype entries */
        struct restless_page *slot[RESTLESS_SLOTS][RESTLESS_SLOT_PAGES];
        size_t n_pages, n_all;

        /* of the whole run */
        atomic_uint_fast64_t n_lives, n_moves, n_published;
};

void restless_start(struct restless_guest *g);
void restless_stop(struct restless_guest *g);

/* Whose is it? CreateTime, frame_id and heartbeat all tell the life. */
uint64_t restless_life_of(const struct restless_guest *g, const process *p);
uint64_t restless_life_of_id(uint64_t frame_id);

/* Are these the frame's bytes, all of them? */
bool restless_is_frame(const uint8_t *bytes, uint64_t frame_id);

/* Values of cursor and geometry that go with their seq. */
bool restless_is_cursor(const vgpup_cursor *c, uint64_t life);
bool restless_is_geometry(const vgpup_geometry *g, uint64_t life);

#endif /* RESTLESS_GUEST_H */
