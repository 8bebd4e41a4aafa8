/*
 * desktop.c - the producer process and its frames
 *
 * Heartbeats come from the timer interrupt and everything else from the main loop. The two share nothing but the
 * flags: vgpu_producer_heartbeat() writes one word that nobody else writes.
 */
#include "desktop.h"

#include "clock.h"
#include "cpu.h"
#include "pattern.h"

#define NS_PER_MS    UINT64_C(1000000)
#define NS_PER_S     UINT64_C(1000000000)
#define IDLE_NS      (15 * NS_PER_MS)
#define REUSED_PAGES 256

#define ALL_FORMATS                                                                                \
        (1u << VGPU_FMT_BGRA8888 | 1u << VGPU_FMT_BGRX8888 | 1u << VGPU_FMT_RGBA8888 |             \
                1u << VGPU_FMT_RGBX8888 | 1u << VGPU_FMT_BGRA1010102 | 1u << VGPU_FMT_RGBA16F |    \
                1u << VGPU_FMT_RGBA1010102)

static uint64_t slot_stride(const struct mode *mode)
{
        return vgpu_producer_slot_stride(mode->width, mode->height, mode->format);
}

static uint32_t current_fps(const struct desktop *d)
{
        uint32_t fps = d->target_fps ? d->target_fps : d->mode.fps;

        return fps < OPTIONS_MAX_FPS ? fps : OPTIONS_MAX_FPS;
}

static void report_display(struct desktop *d)
{
        struct vgpu_producer_geometry geometry = {
                .virt_w = d->mode.width,
                .virt_h = d->mode.height,
                .dpi = 96,
                .refresh_mhz = d->mode.fps * 1000,
        };

        vgpu_producer_report_geometry(&d->producer, &geometry);
        vgpu_producer_set_applied_fps(&d->producer, current_fps(d));
}

/* Publish the region that the machine has mapped, under the process's own cr3. */
static bool publish(struct desktop *d, uint32_t run_epoch, uint64_t last_frame_id)
{
        struct machine *m = d->machine;
        struct vgpu_producer_setup setup = {
                .pid = m->producer->pid,
                .slot_count = d->n_slots,
                .slot_stride = slot_stride(&d->mode),
                .heartbeat_period_ms = VGPU_HEARTBEAT_PERIOD_MS,
                .backend = VGPU_BK_SYNTHETIC,
                .supported_formats = ALL_FORMATS,
                .run_epoch = run_epoch,
                .last_frame_id = last_frame_id,
        };

        cpu_set_cr3(m->producer->cr3);
        if (!vgpu_producer_init(&d->producer, (void *)m->region.gva, m->region.bytes, &setup))
                return false;
        vgpu_producer_set_status(&d->producer, VGPU_ST_RUNNING, 0);
        report_display(d);
        d->next_frame_ns = d->next_beat_ns = clock_ns();
        d->alive = true;
        return true;
}

bool desktop_start(struct desktop *d)
{
        uint64_t bytes = vgpu_producer_region_bytes(d->n_slots, slot_stride(&d->mode));

        d->hung = false;
        d->paused = false;
        d->target_fps = 0;
        d->draw_cursor = false;
        d->full_frame_req = d->full_frame_ack = 0;
        d->n_frames = 0;
        d->second_began_ns = clock_ns();
        d->second_frames = 0;
        d->measured_millifps = 0;
        return machine_start_producer(d->machine, bytes) && publish(d, 1, 0);
}

void desktop_kill(struct desktop *d)
{
        struct machine *m = d->machine;

        d->alive = false;
        cpu_set_cr3(m->kcr3);
        if (m->producer) {
                machine_exit_process(m, m->producer);
                (void)machine_reuse_pages(m, REUSED_PAGES);
        }
}

bool desktop_set_mode(struct desktop *d, const struct mode *mode)
{
        struct vgpu_producer old = d->producer;
        uint64_t bytes = vgpu_producer_region_bytes(d->n_slots, slot_stride(mode));

        d->mode = *mode;
        if (!d->alive)
                return true;
        if (slot_stride(mode) <= old.slot_stride) {
                (void)vgpu_producer_break_run(&d->producer);
                report_display(d);
                d->next_frame_ns = clock_ns();
                return true;
        }
        d->alive = false;
        vgpu_producer_retire(&d->producer);
        cpu_set_cr3(d->machine->kcr3);
        if (!machine_remap_region(d->machine, bytes) ||
                !publish(d, old.run_epoch + 1, old.frame_id)) {
                desktop_kill(d);
                return false;
        }
        return true;
}

uint32_t desktop_break_run(struct desktop *d)
{
        return vgpu_producer_break_run(&d->producer);
}

const char *desktop_trim(struct desktop *d, enum machine_state state)
{
        const struct vgpu_producer *p = &d->producer;

        if (p->latest == VGPU_SLOT_NONE)
                return "there is no frame yet";
        if (!machine_trim(d->machine, VGPU_RING_OFFSET + p->latest * p->slot_stride, p->slot_stride,
                    state))
                return "large pages are never trimmed";
        cpu_set_cr3(d->machine->producer->cr3); /* what it remembers of them is wrong now */
        return NULL;
}

bool desktop_fault(struct desktop *d, uint64_t va)
{
        struct machine *m = d->machine;

        if (!d->alive || va < m->region.gva || va - m->region.gva >= m->region.bytes ||
                machine_translate(m, m->producer->cr3, va, NULL))
                return false;
        return machine_set_state(m, va - m->region.gva, MACHINE_VALID);
}

void desktop_tick(struct desktop *d, uint64_t now_ns)
{
        if (!d->alive || d->hung || now_ns < d->next_beat_ns)
                return;
        vgpu_producer_heartbeat(&d->producer);
        d->next_beat_ns += VGPU_HEARTBEAT_PERIOD_MS * NS_PER_MS;
        if (d->next_beat_ns < now_ns)
                d->next_beat_ns = now_ns;
}

static void obey_control(struct desktop *d)
{
        struct vgpu_producer_intent intent;

        if (!vgpu_producer_poll_control(&d->producer, &intent))
                return;
        d->target_fps = intent.target_fps;
        d->paused = intent.desired_state == VGPU_CMD_PAUSE || intent.desired_state == VGPU_CMD_STOP;
        vgpu_producer_set_status(&d->producer, d->paused ? VGPU_ST_PAUSED : VGPU_ST_RUNNING, 0);
        vgpu_producer_set_applied_fps(&d->producer, current_fps(d));
        vgpu_producer_ack_control(&d->producer, intent.ctrl_gen);
        d->draw_cursor = intent.draw_cursor != 0;
        d->full_frame_req = intent.full_frame_req;
        d->next_frame_ns = clock_ns();
}

/* Along a triangle wave in each direction, so the cursor meets every part of the picture. */
static int32_t bounce(uint64_t step, uint32_t size)
{
        uint64_t at = step % (2 * (uint64_t)size);

        return (int32_t)(at < size ? at : 2 * (uint64_t)size - 1 - at);
}

static void report_cursor(struct desktop *d, uint64_t frame_id)
{
        struct vgpu_producer_cursor cursor = {
                .visible = !d->cursor_hidden,
                .x = d->cursor_x,
                .y = d->cursor_y,
                .glyph_w = 32,
                .glyph_h = 32,
                .id = VGPU_CURSOR_ID_ARROW,
        };

        if (!d->cursor_fixed) {
                cursor.x = d->cursor_x = bounce(frame_id * 7, d->mode.width);
                cursor.y = d->cursor_y = bounce(frame_id * 5, d->mode.height);
        }
        vgpu_producer_report_cursor(&d->producer, &cursor);
}

static void measure(struct desktop *d, uint64_t now_ns)
{
        uint64_t span_ns = now_ns - d->second_began_ns;

        d->n_frames++;
        d->second_frames++;
        if (span_ns < NS_PER_S)
                return;
        d->measured_millifps =
                (uint32_t)(d->second_frames * (NS_PER_S / NS_PER_MS) * NS_PER_S / span_ns);
        d->second_began_ns = now_ns;
        d->second_frames = 0;
}

static void draw(struct desktop *d)
{
        struct vgpu_producer_frame frame = {
                .width = d->mode.width,
                .height = d->mode.height,
                .stride = d->mode.width * vgpu_format_bpp(d->mode.format),
                .format = d->mode.format,
                .timestamp_ns = clock_ns(),
                .content_changed = true,
                /* Said, not done: the pixels prove where they come from and have no room for a pointer. */
                .flags = d->draw_cursor ? VGPU_FRAME_CURSOR_DRAWN : 0,
        };
        uint64_t frame_id;
        void *pixels = vgpu_producer_begin_frame(&d->producer, &frame_id);

        pattern_fill(pixels, frame.width, frame.height, frame.stride, frame.format, frame_id,
                d->machine->producer->pid);
        (void)vgpu_producer_end_frame(&d->producer, &frame);
        report_cursor(d, frame_id);
        /* Every frame is a whole one here. */
        if (d->full_frame_ack != d->full_frame_req) {
                d->full_frame_ack = d->full_frame_req;
                vgpu_producer_ack_full_frame(&d->producer, d->full_frame_ack);
        }
        measure(d, clock_ns());
}

uint64_t desktop_run(struct desktop *d)
{
        uint64_t now_ns = clock_ns();

        if (!d->alive || d->hung)
                return now_ns + IDLE_NS;
        obey_control(d);
        if (d->paused) {
                if (d->full_frame_req != d->full_frame_ack)
                        draw(d);
                return now_ns + IDLE_NS;
        }
        if (now_ns >= d->next_frame_ns) {
                draw(d);
                d->next_frame_ns += NS_PER_S / current_fps(d);
                /* Late by more than a frame: go on from here, as a compositor does, instead of catching up. */
                if (d->next_frame_ns < now_ns)
                        d->next_frame_ns = now_ns;
        }
        return d->next_frame_ns;
}
