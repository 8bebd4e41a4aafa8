/*
 * guest_producer.c - what a publishing process does: regions, frames, cursor, heartbeat, the host's intents
 */
#include "guest_producer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest.h"
#include "stripes.h"

#define NS_PER_S       UINT64_C(1000000000)
#define HEARTBEAT_NS   (VGPU_HEARTBEAT_PERIOD_MS * UINT64_C(1000000))
#define MAX_TARGET_FPS 1000u
#define ALL_FORMATS                                                                                \
        (1u << VGPU_FMT_BGRA8888 | 1u << VGPU_FMT_BGRX8888 | 1u << VGPU_FMT_RGBA8888 |             \
                1u << VGPU_FMT_RGBX8888 | 1u << VGPU_FMT_BGRA1010102 | 1u << VGPU_FMT_RGBA16F |    \
                1u << VGPU_FMT_RGBA1010102)

bool guest_producer_plan(
        struct guest *g, const struct guest_mode *mode, struct guest_publication *ret)
{
        ret->slot_stride = vgpu_producer_slot_stride(mode->width, mode->height, mode->format);
        ret->region_bytes = vgpu_producer_region_bytes(g->options.slots, ret->slot_stride);
        if (ret->region_bytes == 0)
                return guest_fail(g, "the mode does not fit a slot", 0);
        ret->run_epoch = 1;
        ret->last_frame_id = 0;
        return true;
}

struct region_pages {
        const struct machine *machine;
        const struct guest_mapping *mapping;
};

static uint64_t region_gpa(void *arg, uint64_t offset)
{
        const struct region_pages *r = arg;

        return machine_translate(r->machine, r->mapping->cr3, r->mapping->gva + offset, NULL);
}

static void report_display(struct guest_producer *p)
{
        const struct guest_mode *mode = &p->mode;
        const struct vgpu_producer_geometry geometry = {
                .virt_w = mode->width,
                .virt_h = mode->height,
                .dpi = 96,
                .refresh_mhz = mode->fps * 1000,
        };

        vgpu_producer_report_geometry(&p->writer, &geometry);
        vgpu_producer_set_applied_fps(&p->writer, p->fps);
}

static bool open_view(
        struct guest *g, struct guest_producer *p, const struct guest_mapping *mapping)
{
        struct region_pages pages = { .machine = &g->machine, .mapping = mapping };
        int r = ram_view_open(&g->ram, &p->view, mapping->bytes, region_gpa, &pages);

        if (r == -ENOSPC)
                return guest_fail(g, "the region is in too many pieces for one view", 0);
        return r == 0 || guest_fail(g, "cannot view the region", -r);
}

static uint32_t fps_of(const struct guest_producer *p)
{
        if (p->target_fps == 0)
                return p->mode.fps;
        return p->target_fps > MAX_TARGET_FPS ? MAX_TARGET_FPS : p->target_fps;
}

/* A mode begins with whole frames. */
static void forget_drawn(struct guest_producer *p)
{
        memset(p->drawn, 0, sizeof(p->drawn));
        p->last_drawn = 0;
}

bool guest_producer_publish(struct guest *g, struct guest_producer *p,
        const struct guest_mapping *mapping, const struct guest_mode *mode,
        const struct guest_publication *pub)
{
        const struct vgpu_producer_setup setup = {
                .pid = mapping->pid,
                .slot_count = g->options.slots,
                .slot_stride = pub->slot_stride,
                .heartbeat_period_ms = VGPU_HEARTBEAT_PERIOD_MS,
                .backend = VGPU_BK_SYNTHETIC,
                .supported_formats = ALL_FORMATS,
                .run_epoch = pub->run_epoch,
                .last_frame_id = pub->last_frame_id,
        };

        if (!open_view(g, p, mapping))
                return false;
        if (!vgpu_producer_init(&p->writer, p->view.at, p->view.bytes, &setup))
                return guest_fail(g, "the region's geometry is impossible", 0);
        p->pid = mapping->pid;
        p->mode = *mode;
        forget_drawn(p);
        /* a new region has a control block nobody wrote to yet */
        p->told_pause = p->draw_cursor = false;
        p->target_fps = 0;
        p->fps = fps_of(p);
        p->full_frame_req = p->full_frame_ack = 0;
        p->next_frame_ns = p->next_heartbeat_ns = guest_clock_now(&g->clock);
        report_display(p);
        vgpu_producer_set_status(&p->writer, VGPU_ST_RUNNING, 0);
        return true;
}

void guest_producer_change_mode(
        struct guest *g, struct guest_producer *p, const struct guest_mode *mode)
{
        p->mode = *mode;
        forget_drawn(p);
        p->fps = fps_of(p);
        p->next_frame_ns = guest_clock_now(&g->clock);
        vgpu_producer_break_run(&p->writer);
        report_display(p);
}

static void obey_host(struct guest *g, struct guest_producer *p)
{
        struct vgpu_producer_intent intent;

        if (!vgpu_producer_poll_control(&p->writer, &intent))
                return;
        p->told_pause =
                intent.desired_state == VGPU_CMD_PAUSE || intent.desired_state == VGPU_CMD_STOP;
        p->target_fps = intent.target_fps;
        p->fps = fps_of(p);
        p->draw_cursor = intent.draw_cursor != 0;
        p->full_frame_req = intent.full_frame_req;
        p->next_frame_ns = guest_clock_now(&g->clock);
        vgpu_producer_set_applied_fps(&p->writer, p->fps);
        vgpu_producer_set_status(&p->writer, p->told_pause ? VGPU_ST_PAUSED : VGPU_ST_RUNNING, 0);
        vgpu_producer_ack_control(&p->writer, intent.ctrl_gen);
}

/* A triangle wave, so that the pointer crosses the whole screen. */
static int32_t sweep(uint64_t n, uint32_t span)
{
        uint64_t at = span > 1 ? n % (2 * (uint64_t)(span - 1)) : 0;

        return (int32_t)(at < span ? at : 2 * (uint64_t)(span - 1) - at);
}

static void report_cursor(struct guest *g, struct guest_producer *p)
{
        struct vgpu_producer_cursor cursor = {
                .visible = g->cursor != GUEST_CURSOR_HIDDEN,
                .glyph_w = 32,
                .glyph_h = 32,
                .id = VGPU_CURSOR_ID_ARROW,
        };

        if (g->cursor == GUEST_CURSOR_MOVES) {
                g->cursor_x = sweep(p->n_frames * 5, p->mode.width);
                g->cursor_y = sweep(p->n_frames * 3, p->mode.height);
        }
        cursor.x = g->cursor_x;
        cursor.y = g->cursor_y;
        vgpu_producer_report_cursor(&p->writer, &cursor);
}

/* What differs from the frame before, if that is known and is to be said. Return: number of rectangles, 0: all of it. */
static uint32_t damage_of(const struct guest *g, const struct guest_producer *p,
        const struct stripes *s, uint64_t frame_id, vgpu_rect_t *ret_rect)
{
        uint32_t stripe = stripes_turn(s, frame_id), row = stripes_row(s, stripe);

        if (s->n == 1 || g->options.no_damage || p->last_drawn == 0)
                return 0;
        *ret_rect = (vgpu_rect_t){ .y = row, .w = s->width, .h = stripes_row(s, stripe + 1) - row };
        return ret_rect->h > 0;
}

/* Only what the slot lacks. */
static void draw_stripes(
        struct guest_producer *p, const struct stripes *s, uint8_t *pixels, uint64_t frame_id)
{
        uint64_t *drawn = &p->drawn[(uint64_t)(pixels - p->writer.ring) / p->writer.slot_stride];

        stripes_draw(s, pixels, *drawn, frame_id);
        *drawn = p->last_drawn = frame_id;
}

static void draw_frame(struct guest *g, struct guest_producer *p, uint64_t now_ns)
{
        const struct guest_mode *mode = &p->mode;
        struct vgpu_producer_frame frame = {
                .width = mode->width,
                .height = mode->height,
                .stride = mode->width * vgpu_format_bpp(mode->format),
                .format = mode->format,
                .timestamp_ns = now_ns,
                .content_changed = true,
                /* Said, not done: the pixels are a proof of where they come from and have no room for a pointer. */
                .flags = p->draw_cursor ? VGPU_FRAME_CURSOR_DRAWN : 0,
        };
        const struct stripes stripes = { g->options.stripes ?: 1, mode->width, mode->height,
                frame.stride, mode->format, p->pid };
        vgpu_rect_t damage = { 0 };
        uint64_t frame_id;
        uint8_t *pixels = vgpu_producer_begin_frame(&p->writer, &frame_id);

        if (p->trims)
                guest_fault_in(g, (uint64_t)(pixels - p->view.at), p->writer.slot_stride);
        frame.damage_count = damage_of(g, p, &stripes, frame_id, &damage);
        frame.damage = &damage;
        frame.damage_base = frame.damage_count > 0 ? p->last_drawn : 0;
        draw_stripes(p, &stripes, pixels, frame_id);
        vgpu_producer_end_frame(&p->writer, &frame);
        if (p->trims)
                guest_trim_published(g);
        p->n_frames++;
        report_cursor(g, p);
        if (p->full_frame_req != p->full_frame_ack) {
                p->full_frame_ack = p->full_frame_req;
                vgpu_producer_ack_full_frame(&p->writer, p->full_frame_ack);
        }
}

uint64_t guest_producer_run(struct guest *g, struct guest_producer *p, uint64_t now)
{
        obey_host(g, p);
        if (p->next_heartbeat_ns <= now) {
                vgpu_producer_heartbeat(&p->writer);
                p->next_heartbeat_ns = guest_next_after(p->next_heartbeat_ns, now, HEARTBEAT_NS);
        }
        if (!p->told_pause && p->next_frame_ns <= now) {
                draw_frame(g, p, now);
                p->next_frame_ns = guest_next_after(p->next_frame_ns, now, NS_PER_S / p->fps);
        } else if (p->full_frame_req != p->full_frame_ack) {
                draw_frame(g, p, now); /* at once, and also while it is paused */
        }
        if (!p->told_pause && p->next_frame_ns < p->next_heartbeat_ns)
                return p->next_frame_ns;
        return p->next_heartbeat_ns;
}
