/*
 * lines.c - the small lines of the producer block: cursor, geometry, status
 *
 * Cursor and geometry are seqlocks whose word comes first in the line; status is a set of independent atomics. Each is
 * taken as a copy inside a window and unpacked from the copy.
 */
#include <errno.h>
#include <string.h>

#include "region.h"

#define CURSOR_LINE   0x80u
#define GEOMETRY_LINE 0xc0u
#define STATUS_LINE   0x40u

/* A 64-byte line of the block at its own offset, so that fields keep their names. */
struct line {
        union {
                vgpu_producer_t block;
                uint8_t bytes[VGPU_PRODUCER_BYTES];
        };
};

/* Return: 1, 0 (busy), or a read error. */
static int read_seqlocked(vgpup_region *r, vmie_mem *m, uint32_t offset, struct line *line)
{
        for (int i = 0; i < REGION_RETRIES; i++) {
                uint32_t before, after;
                int rc;

                rc = window_read(&r->window, m, offset, &before, sizeof(before));
                if (rc < 0)
                        return rc;
                if (before & 1)
                        continue;
                read_fence();
                rc = window_read(&r->window, m, offset, line->bytes + offset, VGPU_LINE_BYTES);
                read_fence();
                if (rc == 0)
                        rc = window_read(&r->window, m, offset, &after, sizeof(after));
                if (rc < 0)
                        return rc;
                if (after == before) {
                        memcpy(line->bytes + offset, &before, sizeof(before));
                        return 1;
                }
        }
        return 0;
}

static int read_line(vgpup_region *r, vmie_mem *m, uint32_t offset, struct line *line)
{
        int rc;

        r->skip = VGPUP_SKIP_NONE;
        rc = region_enter_window(r, m);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_TRANSITION);
        rc = read_seqlocked(r, m, offset, line);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_BUSY);
        rc = window_close(&r->window, m, NULL);
        return rc == 0 ? region_skip(r, VGPUP_SKIP_REMAPPED) : rc;
}

int vgpup_read_cursor(vgpup_region *r, vmie_mem *m, vgpup_cursor *out)
{
        struct line line;
        const vgpu_producer_t *b = &line.block;
        int rc;

        rc = read_line(r, m, CURSOR_LINE, &line);
        if (rc <= 0)
                return rc;
        *out = (vgpup_cursor){
                .seq = b->cursor_seq,
                .visible = b->cursor_visible != 0,
                .x = (int32_t)(uint32_t)b->cursor_pos,
                .y = (int32_t)(uint32_t)(b->cursor_pos >> 32),
                .hot_x = (uint16_t)b->cursor_hotspot,
                .hot_y = (uint16_t)(b->cursor_hotspot >> 16),
                .glyph_w = (uint16_t)b->cursor_glyph,
                .glyph_h = (uint16_t)(b->cursor_glyph >> 16),
                .id = b->cursor_id,
        };
        r->cursor_seq = b->cursor_seq;
        return 1;
}

int vgpup_read_geometry(vgpup_region *r, vmie_mem *m, vgpup_geometry *out)
{
        struct line line;
        const vgpu_producer_t *b = &line.block;
        int rc;

        r->glanced = false; /* no glance tells of it: its window may be an old one */
        rc = read_line(r, m, GEOMETRY_LINE, &line);
        if (rc <= 0)
                return rc;
        *out = (vgpup_geometry){
                .virt_x = b->virt_x,
                .virt_y = b->virt_y,
                .virt_w = b->virt_w,
                .virt_h = b->virt_h,
                .cap_x = b->cap_x,
                .cap_y = b->cap_y,
                .dpi = b->dpi,
                .refresh_mhz = b->refresh_mhz,
        };
        return 1;
}

/* Return: 1, 0 (an entry changed, or the page is in transition), or < 0. */
static int read_status_line(vgpup_region *r, vmie_mem *m, struct line *line)
{
        int rc;

        rc = region_open_window(r, m);
        if (rc <= 0)
                return rc;
        rc = window_read(&r->window, m, STATUS_LINE, line->bytes + STATUS_LINE, VGPU_LINE_BYTES);
        return rc < 0 ? rc : window_close(&r->window, m, NULL);
}

int vgpup_read_status(vgpup_region *r, vmie_mem *m, vgpup_status *out)
{
        struct line line;
        const vgpu_producer_t *b = &line.block;
        int rc = 0;

        for (int i = 0; i < REGION_RETRIES && rc == 0; i++)
                rc = read_status_line(r, m, &line);
        if (rc <= 0)
                return rc < 0 ? rc : -EAGAIN;
        *out = (vgpup_status){
                .heartbeat = b->heartbeat,
                .run_epoch = b->run_epoch,
                .status = b->status,
                .backend = b->backend,
                .error_code = b->error_code,
                .applied_fps = b->applied_fps,
                .supported_formats = b->supported_formats,
                .ctrl_ack = b->ctrl_ack,
                .full_frame_ack = b->full_frame_ack,
                .content_change_ns = b->content_change_ns,
        };
        r->run_epoch = b->run_epoch;
        return 0;
}
