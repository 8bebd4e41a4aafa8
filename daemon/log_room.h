/*
 * log_room.h - whether the journal has room
 *
 * When its disk is full the journal cannot say so, and what it does not say is missed only when it is needed: so the status line
 * does. libuv's pool asks, for a file system on a network may take its time.
 */
#ifndef VGPUD_LOG_ROOM_H
#define VGPUD_LOG_ROOM_H

#include <stdbool.h>
#include <uv.h>

struct log_room {
        uv_fs_t question;
        bool busy;
        bool is_full; /* as of the last answer; false where there is no journal */
};

/* Ask, unless an answer is awaited: it is in @is_full later. The loop must run until it is there. */
void log_room_ask(struct log_room *r, uv_loop_t *loop);

#endif /* VGPUD_LOG_ROOM_H */
