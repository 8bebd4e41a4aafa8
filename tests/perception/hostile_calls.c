/*
 * hostile_calls.c - every call of the core as a row (see hostile_calls.h)
 */
#include <errno.h>

#include "anchors.h"
#include "hostile_calls.h"

static int run_open(struct fixture *f, struct outcome *out)
{
        struct win32_failure why = { .reason = WIN32_OK };
        vmie_win32 *v = vmie_win32_open(&f->w.image.mem, 0, &why);

        if (!v) {
                assert_int_not_equal(why.reason, WIN32_OK);
                return why.fault.error < 0 ? why.fault.error : -EBADMSG;
        }
        out->open = *vmie_win32_info(v);
        vmie_win32_close(v);
        return 0;
}

static int run_check(struct fixture *f, struct outcome *out)
{
        (void)out;
        return vmie_win32_check(f->v, f->m);
}

static int run_clock(struct fixture *f, struct outcome *out)
{
        return win32_read_clock(f->m, &out->clock);
}

static int run_list(struct fixture *f, struct outcome *out)
{
        size_t n = 0;
        int r = proc_list(f->v, out->list, CALL_MAX_PROCESSES, &n);

        out->n = n;
        return r;
}

static int run_process_check(struct fixture *f, struct outcome *out)
{
        (void)out;
        return win32_process_check(
                win32_anchors_of(f->v), f->m, &vgpup_region_candidate(f->region)->proc);
}

static int run_discover(struct fixture *f, struct outcome *out)
{
        size_t n = 0;
        int r = vgpup_discover_all(f->v, out->candidates, CALL_MAX_CANDIDATES, &n);

        out->n = n;
        return r;
}

static int run_alive(struct fixture *f, struct outcome *out)
{
        (void)out;
        return vgpup_confirm_alive(f->m, f->r.proc.cr3, REGION_GVA, f->r.block->heartbeat - 1);
}

static int run_bind(struct fixture *f, struct outcome *out)
{
        struct vgpup_candidate c = *vgpup_region_candidate(f->region);
        vgpup_region *region;
        int r = vgpup_bind(f->v, f->m, &c, &region);

        if (r < 0)
                return r;
        out->n = vgpup_run_epoch(region);
        vgpup_close(region);
        return 0;
}

static int run_peek(struct fixture *f, struct outcome *out)
{
        return vgpup_peek(f->region, f->m, &out->frame_id);
}

static int run_glance(struct fixture *f, struct outcome *out)
{
        return vgpup_glance(f->region, f->m, &out->frame_id);
}

static int run_sample(struct fixture *f, struct outcome *out)
{
        int r;

        memset(f->buf, MARKER, sizeof(f->buf));
        r = vgpup_sample_frame(f->region, f->m, f->buf, TEST_STRIDE_BYTES, &out->info);
        for (size_t i = TEST_STRIDE_BYTES; i < sizeof(f->buf); i++)
                assert_int_equal(f->buf[i], MARKER);
        if (r == 1) {
                assert_true(out->info.bytes <= TEST_STRIDE_BYTES);
                assert_int_equal(
                        out->info.bytes, (uint64_t)out->info.desc.height * out->info.desc.stride);
                memcpy(out->bytes, f->buf, out->info.bytes);
        }
        return r;
}

static int run_changes(struct fixture *f, struct outcome *out)
{
        uint32_t n = 0;
        int r = vgpup_read_changes(f->region, f->m, out->changes, &n);

        for (uint32_t i = 0; i < n; i++)
                assert_true(out->changes[i].n_damage == 0 ||
                            out->changes[i].damage_base < out->changes[i].desc.frame_id);
        out->n = n;
        return r;
}

static int run_cursor(struct fixture *f, struct outcome *out)
{
        return vgpup_read_cursor(f->region, f->m, &out->cursor);
}

static int run_geometry(struct fixture *f, struct outcome *out)
{
        return vgpup_read_geometry(f->region, f->m, &out->geometry);
}

static int run_status(struct fixture *f, struct outcome *out)
{
        return vgpup_read_status(f->region, f->m, &out->status);
}

static int run_control(struct fixture *f, struct outcome *out)
{
        return vgpup_read_control(f->region, f->m, &out->control);
}

/* What searches has budgets of its own; what does not retries a few times what takes some hundred reads. */
#define LONG_READS  (16u << 20)
#define SHORT_READS 20000u

const struct call hostile_calls[] = {
        { "open", run_open, 0, LONG_READS,
                false }, /* other bytes make another kernel of it, not a wrong one */
        { "check", run_check, 0, SHORT_READS, true },
        { "clock", run_clock, 1, SHORT_READS, true },
        { "list", run_list, 0, LONG_READS, false },
        { "process check", run_process_check, 0, SHORT_READS, true },
        { "discover", run_discover, 0, LONG_READS, false },
        { "confirm alive", run_alive, 1, SHORT_READS, true },
        { "bind", run_bind, 0, SHORT_READS, true },
        { "peek", run_peek, 1, SHORT_READS, true },
        { "glance", run_glance, VGPUP_NEWS_FRAME | VGPUP_NEWS_CURSOR, SHORT_READS, true },
        { "sample", run_sample, 1, SHORT_READS, true },
        { "changes", run_changes, 1, SHORT_READS, false }, /* a slot that moved is left out */
        { "cursor", run_cursor, 1, SHORT_READS, true },
        { "geometry", run_geometry, 1, SHORT_READS, true },
        { "status", run_status, 0, SHORT_READS, true },
        { "control", run_control, 1, SHORT_READS, true },
};

const size_t n_hostile_calls = sizeof(hostile_calls) / sizeof(hostile_calls[0]);

void hostile_fixture_open(struct fixture *f)
{
        vgpu_producer_t *b;

        fixture_open(f);
        b = f->r.block;
        b->cursor_seq = 8;
        b->cursor_visible = 1;
        b->cursor_pos = UINT64_C(0xfffffff000000123);
        b->cursor_hotspot = 0x30002;
        b->geom_seq = 4;
        b->virt_w = 1920;
        b->virt_h = 1080;
        b->refresh_mhz = 59940;
        b->content_change_ns = 123456789;
        image_calm(&f->w.image);
}

void hostile_fixture_rebind(struct fixture *f)
{
        struct vgpup_candidate c = *vgpup_region_candidate(f->region);

        vgpup_close(f->region);
        f->region = NULL;
        assert_int_equal(vgpup_bind(f->v, f->m, &c, &f->region), 0);
        image_calm(&f->w.image);
}
