/*
 * guest.c - lives of the machine and of its producer, and what falls due in them
 */
#include "guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

#define NS_PER_S       UINT64_C(1000000000)
#define TICK_NS        UINT64_C(15625000) /* Windows' clock interrupt */
#define HEARTBEAT_NS   (VGPU_HEARTBEAT_PERIOD_MS * UINT64_C(1000000))
#define BOOT_NS        NS_PER_S /* guest time when the producer may start */
#define MAX_TARGET_FPS 1000u
#define REUSED_PAGES   96u /* of a dead producer's, that other processes take and write */
#define ALL_FORMATS                                                                                \
        (1u << VGPU_FMT_BGRA8888 | 1u << VGPU_FMT_BGRX8888 | 1u << VGPU_FMT_RGBA8888 |             \
                1u << VGPU_FMT_RGBX8888 | 1u << VGPU_FMT_BGRA1010102 | 1u << VGPU_FMT_RGBA16F |    \
                1u << VGPU_FMT_RGBA1010102)

static bool fail(struct guest *g, const char *what, int error)
{
        if (error)
                snprintf(g->why, sizeof(g->why), "%s: %s", what, strerror(error));
        else
                snprintf(g->why, sizeof(g->why), "%s", what);
        return false;
}

static bool machine_failed(struct guest *g)
{
        snprintf(g->why, sizeof(g->why), "no RAM left for: %s",
                g->machine.error ? g->machine.error : "the machine");
        return false;
}

/* Where the writer's mapping is published from: a mode, and what goes on from an earlier mapping of the same process. */
struct publication {
        uint64_t slot_stride, region_bytes;
        uint32_t run_epoch;
        uint64_t last_frame_id;
};

static bool plan(struct guest *g, const struct guest_mode *mode, struct publication *ret)
{
        ret->slot_stride = vgpu_producer_slot_stride(mode->width, mode->height, mode->format);
        ret->region_bytes = vgpu_producer_region_bytes(g->options.slots, ret->slot_stride);
        if (ret->region_bytes == 0)
                return fail(g, "the mode does not fit a slot", 0);
        ret->run_epoch = 1;
        ret->last_frame_id = 0;
        return true;
}

static uint64_t region_gpa(void *arg, uint64_t offset)
{
        const struct machine *m = arg;

        return machine_translate(m, m->producer->cr3, m->region.gva + offset, NULL);
}

static void report_display(struct guest *g)
{
        const struct guest_mode *mode = &g->producer.mode;
        const struct vgpu_producer_geometry geometry = {
                .virt_w = mode->width,
                .virt_h = mode->height,
                .dpi = 96,
                .refresh_mhz = mode->fps * 1000,
        };

        vgpu_producer_report_geometry(&g->producer.writer, &geometry);
        vgpu_producer_set_applied_fps(&g->producer.writer, g->producer.fps);
}

/* The region is mapped: write its identity and start publishing. */
static bool publish(struct guest *g, const struct guest_mode *mode, const struct publication *pub)
{
        struct guest_producer *p = &g->producer;
        const struct vgpu_producer_setup setup = {
                .pid = g->machine.producer->pid,
                .slot_count = g->options.slots,
                .slot_stride = pub->slot_stride,
                .heartbeat_period_ms = VGPU_HEARTBEAT_PERIOD_MS,
                .backend = VGPU_BK_SYNTHETIC,
                .supported_formats = ALL_FORMATS,
                .run_epoch = pub->run_epoch,
                .last_frame_id = pub->last_frame_id,
        };
        uint64_t now = guest_clock_now(&g->clock);
        int r = ram_view_open(&g->ram, &p->view, g->machine.region.bytes, region_gpa, &g->machine);

        if (r < 0)
                return fail(g,
                        r == -ENOSPC ? "the region is in too many pieces for one view"
                                     : "cannot view the region",
                        r == -ENOSPC ? 0 : -r);
        if (!vgpu_producer_init(&p->writer, p->view.at, p->view.bytes, &setup))
                return fail(g, "the region's geometry is impossible", 0);
        p->mode = *mode;
        p->fps = mode->fps;
        p->told_pause = false; /* a new region has a control block nobody wrote to yet */
        p->full_frame_req = p->full_frame_ack = 0;
        p->next_frame_ns = p->next_heartbeat_ns = now;
        report_display(g);
        vgpu_producer_set_status(&p->writer, VGPU_ST_RUNNING, 0);
        return true;
}

static bool start_producer(struct guest *g)
{
        const struct guest_mode *mode = &g->options.mode;
        struct publication pub;

        if (!plan(g, mode, &pub))
                return false;
        g->producer = (struct guest_producer){ 0 };
        if (!machine_start_producer(&g->machine, pub.region_bytes))
                return machine_failed(g);
        return publish(g, mode, &pub);
}

/* It dies as processes do, without a word: the magic stays in its pages until somebody else writes them. */
static bool end_producer(struct guest *g)
{
        if (!g->machine.producer)
                return true;
        ram_view_close(&g->producer.view);
        machine_exit_process(&g->machine, g->machine.producer);
        return machine_reuse_pages(&g->machine, REUSED_PAGES) || machine_failed(g);
}

static bool boot(struct guest *g)
{
        g->next_tick_ns = 0;
        if (!machine_boot(&g->machine, &g->options.machine))
                return machine_failed(g);
        guest_clock_start(&g->clock, BOOT_NS);
        machine_tick(&g->machine, BOOT_NS);
        return true;
}

bool guest_open(struct guest *g, const struct guest_options *options)
{
        int r;

        g->options = *options;
        g->ram = (struct ram)RAM_NULL;
        r = ram_open(&g->ram, options->ram_path, options->machine_type, options->ram_size);
        if (r < 0)
                return fail(g, options->ram_path ? options->ram_path : "memfd", -r);
        g->storage = malloc(pages_storage_bytes(&g->ram.phys));
        if (!g->storage)
                return fail(g, "page bitmap", ENOMEM);
        machine_init(&g->machine, &g->ram.phys, g->storage);
        return boot(g) && (options->no_producer || start_producer(g));
}

void guest_close(struct guest *g)
{
        ram_view_close(&g->producer.view);
        ram_close(&g->ram);
        free(g->storage);
        g->storage = NULL;
}

bool guest_restart_producer(struct guest *g)
{
        if (!end_producer(g))
                return false;
        return start_producer(g);
}

bool guest_kill_producer(struct guest *g)
{
        if (!g->machine.producer)
                return fail(g, "there is no producer", 0);
        return end_producer(g);
}

bool guest_reboot(struct guest *g, bool elsewhere)
{
        bool producer = g->machine.producer != NULL;

        ram_view_close(&g->producer.view);
        g->options.machine.boot_id++;
        g->options.machine.keep_ram = elsewhere;
        return boot(g) && (!producer || start_producer(g));
}

bool guest_break_run(struct guest *g)
{
        if (!g->machine.producer)
                return fail(g, "there is no producer", 0);
        vgpu_producer_break_run(&g->producer.writer);
        return true;
}

/* A mode that needs bigger slots needs a new mapping; any other goes on in this one. Either is a session break. */
bool guest_set_mode(struct guest *g, const struct guest_mode *mode)
{
        struct guest_producer *p = &g->producer;
        struct publication pub;

        if (!plan(g, mode, &pub))
                return false;
        g->options.mode = *mode;
        if (!g->machine.producer)
                return true;

        if (pub.slot_stride <= p->writer.slot_stride) {
                p->mode = *mode;
                p->fps = mode->fps;
                p->next_frame_ns = guest_clock_now(&g->clock);
                vgpu_producer_break_run(&p->writer);
                report_display(g);
                return true;
        }
        pub.run_epoch = p->writer.run_epoch + 1;
        pub.last_frame_id = p->writer.frame_id;
        vgpu_producer_retire(&p->writer);
        ram_view_close(&p->view);
        if (!machine_remap_region(&g->machine, pub.region_bytes))
                return machine_failed(g);
        return publish(g, mode, &pub);
}

bool guest_set_hung(struct guest *g, bool hung)
{
        if (!g->machine.producer)
                return fail(g, "there is no producer", 0);
        g->producer.hung = hung;
        g->producer.next_frame_ns = g->producer.next_heartbeat_ns = guest_clock_now(&g->clock);
        return true;
}

void guest_pause(struct guest *g)
{
        guest_clock_pause(&g->clock);
}

void guest_resume(struct guest *g)
{
        guest_clock_resume(&g->clock);
        if (g->machine.producer && g->producer.hung)
                guest_set_hung(g, false);
}

static void obey_host(struct guest *g)
{
        struct guest_producer *p = &g->producer;
        struct vgpu_producer_intent intent;

        if (!vgpu_producer_poll_control(&p->writer, &intent))
                return;
        p->told_pause =
                intent.desired_state == VGPU_CMD_PAUSE || intent.desired_state == VGPU_CMD_STOP;
        p->fps = intent.target_fps == 0               ? p->mode.fps
                 : intent.target_fps > MAX_TARGET_FPS ? MAX_TARGET_FPS
                                                      : intent.target_fps;
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

static void report_cursor(struct guest *g)
{
        struct guest_producer *p = &g->producer;
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

static void draw_frame(struct guest *g, uint64_t now_ns)
{
        struct guest_producer *p = &g->producer;
        const struct guest_mode *mode = &p->mode;
        struct vgpu_producer_frame frame = {
                .width = mode->width,
                .height = mode->height,
                .stride = mode->width * vgpu_format_bpp(mode->format),
                .format = mode->format,
                .timestamp_ns = now_ns,
                .content_changed = true,
        };
        uint64_t frame_id;
        void *pixels = vgpu_producer_begin_frame(&p->writer, &frame_id);

        pattern_fill(pixels, frame.width, frame.height, frame.stride, frame.format, frame_id,
                g->machine.producer->pid);
        vgpu_producer_end_frame(&p->writer, &frame);
        p->n_frames++;
        report_cursor(g);
        if (p->full_frame_req != p->full_frame_ack) {
                p->full_frame_ack = p->full_frame_req;
                vgpu_producer_ack_full_frame(&p->writer, p->full_frame_ack);
        }
}

/* The next multiple of @period after @now, counted from @due: what was missed is not made up for. */
static uint64_t next_after(uint64_t due, uint64_t now, uint64_t period)
{
        return due + ((now - due) / period + 1) * period;
}

static void run_producer(struct guest *g, uint64_t now)
{
        struct guest_producer *p = &g->producer;

        obey_host(g);
        if (p->next_heartbeat_ns <= now) {
                vgpu_producer_heartbeat(&p->writer);
                p->next_heartbeat_ns = next_after(p->next_heartbeat_ns, now, HEARTBEAT_NS);
        }
        if (!p->told_pause && p->next_frame_ns <= now) {
                draw_frame(g, now);
                p->next_frame_ns = next_after(p->next_frame_ns, now, NS_PER_S / p->fps);
        }
}

uint64_t guest_run_due(struct guest *g)
{
        const struct guest_producer *p = &g->producer;
        uint64_t now, next;

        if (g->clock.paused)
                return GUEST_NEVER;
        now = guest_clock_now(&g->clock);
        if (g->next_tick_ns <= now) {
                machine_tick(&g->machine, now);
                g->next_tick_ns = next_after(g->next_tick_ns, now, TICK_NS);
        }
        next = g->next_tick_ns;
        if (g->machine.producer && !p->hung) {
                run_producer(g, now);
                if (p->next_heartbeat_ns < next)
                        next = p->next_heartbeat_ns;
                if (!p->told_pause && p->next_frame_ns < next)
                        next = p->next_frame_ns;
        }
        return g->clock.base_ns + next;
}
