/* log_room.c - see log_room.h */
#include "log_room.h"

#include <stdint.h>

/* journald's folder when it keeps the journal on disk; without it the journal is in memory, and makes room for itself */
#define PLACE "/var/log/journal"

/* journald keeps a part of the disk free, and below some 16 MiB it writes nothing at all. `vgpuctl doctor` says the same. */
#define ROOM_NONE (UINT64_C(16) << 20)

static void on_answer(uv_fs_t *question)
{
        struct log_room *r = question->data;
        const uv_statfs_t *fs = question->ptr;

        r->busy = false;
        r->is_full = question->result == 0 && fs->f_bavail * fs->f_bsize < ROOM_NONE;
        uv_fs_req_cleanup(question);
}

void log_room_ask(struct log_room *r, uv_loop_t *loop)
{
        if (r->busy)
                return;
        r->question.data = r;
        r->busy = uv_fs_statfs(loop, &r->question, PLACE, on_answer) == 0;
        if (!r->busy)
                uv_fs_req_cleanup(&r->question);
}
