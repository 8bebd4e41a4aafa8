/* stream.c - see stream.h */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "format.h"
#include "systemd/journal.h"

void stream_init(struct stream *s, struct outlet *outlet, bool staging)
{
        *s = (struct stream){ .outlet = outlet, .use_staging = staging, .late_ns = STREAM_LATE_NS };
}

int stream_use_helper(struct stream *s)
{
        return s->helper ? 0 : copy_helper_new(&s->helper);
}

void stream_expect(struct stream *s)
{
        if (s->helper && s->large)
                copy_helper_call(s->helper);
}

void stream_expect_no_more(struct stream *s)
{
        if (s->helper)
                copy_helper_dismiss(s->helper);
}

void stream_deinit(struct stream *s)
{
        s->helper = copy_helper_free(s->helper);
        free(s->staging);
        s->staging = NULL;
}

void stream_rebind(struct stream *s)
{
        damage_reset(&s->damage);
        patch_reset(&s->slots);
        s->staged = (struct damage_frame){ 0 };
}

static int fit_staging(struct stream *s, uint64_t bytes)
{
        uint8_t *bigger;

        if (bytes <= s->staging_bytes)
                return 0;
        bigger = realloc(s->staging, bytes);
        if (!bigger)
                return -ENOMEM;
        s->staging = bigger;
        s->staging_bytes = bytes;
        return 0;
}

static void count_skip(struct stream *s, const vgpup_region *region)
{
        switch (vgpup_last_skip(region)) {
        case VGPUP_SKIP_BUSY:
                s->counters.busy++;
                break;
        case VGPUP_SKIP_REMAPPED:
        case VGPUP_SKIP_TRANSITION:
                s->counters.remapped++;
                break;
        case VGPUP_SKIP_TOO_BIG:
                s->counters.too_big++;
                break;
        case VGPUP_SKIP_MALFORMED:
                s->counters.malformed++;
                break;
        case VGPUP_SKIP_NONE:
        case VGPUP_SKIP_NOT_FRESH:
                break;
        }
}

static struct vgpup_change change_of(const struct vgpup_sample *sample)
{
        struct vgpup_change change = {
                .desc = sample->desc,
                .run_epoch = sample->run_epoch,
                .n_damage = sample->n_damage,
                .damage_base = sample->damage_base,
        };

        memcpy(change.damage, sample->damage, sizeof(change.damage));
        return change;
}

static void describe_damage(
        struct stream *s, const struct vgpup_sample *sample, struct ring_frame *frame)
{
        struct vgpup_change change = change_of(sample);
        struct damage_list list;

        damage_publish(&s->damage, &change, &list);
        frame->n_damage = list.n;
        memcpy(frame->damage, list.rect, list.n * sizeof(list.rect[0]));
}

/* A frame that is thrown away changed something all the same, and the next one may say only what changed since. */
static void note_damage(struct stream *s, const struct vgpup_sample *sample)
{
        struct vgpup_change change = change_of(sample);

        damage_note(&s->damage, &change);
}

/* What frames that we never looked at say of themselves, while the producer still holds them. Returns 1, or a read error. */
static int note_missed(struct stream *s, const struct stream_view *view)
{
        struct vgpup_change change[VGPU_MAX_SLOTS];
        uint32_t n;
        int r;

        r = vgpup_read_changes(view->region, view->mem, change, &n);
        for (uint32_t i = 0; r == 1 && i < n; i++)
                damage_note(&s->damage, &change[i]);
        return r < 0 ? r : 1;
}

static void describe(
        const struct stream_view *view, const struct vgpup_sample *sample, struct ring_frame *ret)
{
        *ret = (struct ring_frame){
                .frame_id = sample->desc.frame_id,
                .epoch = view->epoch,
                .run_epoch = sample->run_epoch,
                .producer_pid = view->producer_pid,
                .width = sample->desc.width,
                .height = sample->desc.height,
                .stride = sample->desc.stride,
                .fourcc = format_fourcc(sample->desc.format),
                .flags = sample->flags & VGPU_FRAME_CURSOR_DRAWN ? VGPU_RING_FRAME_CURSOR_DRAWN : 0,
                .timestamp_ns = sample->desc.timestamp_ns,
        };
}

static bool same_mode(const vgpup_frame_desc *a, const vgpup_frame_desc *b)
{
        return a->width == b->width && a->height == b->height && a->stride == b->stride &&
               a->format == b->format;
}

static void publish(
        struct stream *s, const struct stream_view *view, const struct vgpup_sample *sample)
{
        struct ring_frame frame;

        describe(view, sample, &frame);
        describe_damage(s, sample, &frame);
        outlet_publish(s->outlet, &frame);
        s->counters.frames++;
        s->fps_frames++;
        if (!same_mode(&s->mode, &sample->desc))
                journal_event(EVENT_MODE_CHANGED,
                        JOURNAL_FIELDS(JOURNAL_U64("VGPU_WIDTH", frame.width),
                                JOURNAL_U64("VGPU_HEIGHT", frame.height),
                                JOURNAL_TEXT("VGPU_FORMAT", format_name(sample->desc.format))),
                        "The guest shows %ux%u %s now", frame.width, frame.height,
                        format_name(sample->desc.format));
        s->mode = sample->desc;
}

/* One pass over one frame: what was begun, when, and how far it got. */
struct pass {
        struct frame_copy copy;
        struct vgpup_change change; /* what the frame says of itself */
        uint64_t start_ns;
};

/* What was committed may be the last frame for a long time, so the next look is to find it again. Returns 0. */
static int refuse(
        struct stream *s, const struct stream_view *view, const struct vgpup_sample *sample)
{
        note_damage(s, sample);
        vgpup_sample_refuse(view->region);
        return 0;
}

/* Returns 0, or a read error. */
static int skip(struct stream *s, const struct stream_view *view, const struct vgpup_sample *sample)
{
        int r;

        count_skip(s, view->region);
        r = vgpup_sample_vouch(view->region, view->mem);
        if (r == 1)
                note_damage(s, sample);
        return r < 0 ? r : 0;
}

static uint64_t note_time(struct stream *s, const struct pass *pass)
{
        uint64_t took_ns = uv_hrtime() - pass->start_ns;

        histogram_add(&s->sample_time, took_ns);
        return took_ns;
}

/*
 * Copy and check into memory of ours, which has the frame @has, or NULL. 1: every byte is this frame's. What was there is
 * there still if nothing was touched.
 */
static int take(struct stream *s, const struct stream_view *view, struct pass *pass, uint8_t *dst,
        const struct damage_frame *has)
{
        struct vgpup_sample *sample = &pass->copy.sample;
        struct patch patch;
        int r;

        patch_plan(&s->damage, &pass->change, has, &patch);
        pass->copy.dst = dst;
        r = frame_copy_run(&pass->copy, &patch);
        if (r == 1)
                r = vgpup_sample_commit(view->region, view->mem, sample);
        s->counters.copied_bytes += pass->copy.copied;
        s->large = pass->copy.helper && pass->copy.copied >= FRAME_COPY_LARGE;
        if (r == 0)
                return skip(s, view, sample);
        if (r == 1 && note_time(s, pass) > s->late_ns) {
                s->counters.late++;
                r = refuse(s, view, sample);
        }
        /* Last, for RAM may have been rewritten from outside the guest, and every check above be of what is there now. */
        if (r == 1 && !view->may_publish(view->ctx)) {
                s->counters.overtaken++;
                r = refuse(s, view, sample);
        }
        if (r == 1 && !patch.whole) {
                s->counters.patched++;
                s->counters.spared_bytes += sample->bytes - pass->copy.copied;
        }
        return r;
}

static int take_straight(struct stream *s, const struct stream_view *view, struct pass *pass)
{
        uint64_t generation = outlet_generation(s->outlet);
        uint8_t *slot = outlet_begin(s->outlet);
        uint32_t index = outlet_open_slot(s->outlet);
        const struct damage_frame frame = damage_frame_of(&pass->change);
        int r;

        r = take(s, view, pass, slot, patch_find(&s->slots, generation, index));
        if (r == 1)
                patch_remember(&s->slots, generation, index, &frame);
        else if (pass->copy.touched > 0)
                patch_forget(&s->slots, generation, index);
        if (r == 1)
                publish(s, view, &pass->copy.sample);
        else
                outlet_abort(s->outlet, pass->copy.touched_from, pass->copy.touched);
        return r;
}

/* What a slot lacks, out of memory of ours: nothing can go wrong with it. */
static void fill_slot(struct stream *s, const struct pass *pass)
{
        uint64_t generation = outlet_generation(s->outlet);
        uint8_t *slot = outlet_begin(s->outlet);
        uint32_t index = outlet_open_slot(s->outlet);
        const struct damage_frame frame = damage_frame_of(&pass->change);
        struct patch_cursor cursor = { 0 };
        struct gva_part stretch;
        struct patch patch;

        patch_plan(&s->damage, &pass->change, patch_find(&s->slots, generation, index), &patch);
        while (patch_next(&patch, &cursor, &stretch))
                memcpy(slot + stretch.offset, s->staging + stretch.offset, stretch.len);
        patch_remember(&s->slots, generation, index, &frame);
}

static int take_staged(struct stream *s, const struct stream_view *view, struct pass *pass)
{
        int r;

        if (fit_staging(s, pass->copy.sample.bytes) < 0) {
                s->counters.too_big++;
                return 0;
        }
        r = take(s, view, pass, s->staging, &s->staged);
        if (r == 1)
                s->staged = damage_frame_of(&pass->change);
        else if (pass->copy.touched > 0)
                s->staged = (struct damage_frame){ 0 };
        if (r != 1)
                return r;
        fill_slot(s, pass);
        publish(s, view, &pass->copy.sample);
        return 1;
}

/* No ring for frames of this size: said once per size, counted for each. */
static void refuse_mode(struct stream *s, const struct vgpup_sample *sample, int error)
{
        const struct rings *rings = &s->outlet->rings;

        s->counters.too_big++;
        if (s->refused_bytes == sample->bytes)
                return;
        s->refused_bytes = sample->bytes;
        if (error == -ENOSPC)
                journal_event(EVENT_RING_REFUSED, NULL,
                        "No ring for frames of %ux%u (%zu bytes each): [ring] max_bytes has no "
                        "room for it beside the ring in use and %u rings of the past, which "
                        "clients still have and which take %llu bytes. Let those clients go "
                        "(vgpuctl clients, vgpuctl drop), or raise it. Waiting for a smaller mode",
                        sample->desc.width, sample->desc.height, sample->bytes, rings->n_old,
                        (unsigned long long)rings->old_bytes);
        else
                journal_event(EVENT_RING_REFUSED, NULL,
                        "No ring for frames of %ux%u (%zu bytes each): %s; waiting for a smaller "
                        "mode",
                        sample->desc.width, sample->desc.height, sample->bytes, strerror(-error));
}

/* There is a newer one: @frame_id. Returns as take(). */
static int look_at_frame(struct stream *s, const struct stream_view *view, uint64_t frame_id,
        enum pacer_saw *ret_saw)
{
        uint64_t torn = vgpup_torn_retries(view->region);
        struct pass pass = {
                .copy = { .region = view->region, .mem = view->mem, .source = view->source },
                .start_ns = s->look_ns,
        };
        int r = 1;

        if (s->helper && vgpu_source_is_shareable(view->source))
                pass.copy.helper = s->helper;
        if (damage_is_missing(&s->damage, frame_id))
                r = note_missed(s, view);
        if (r == 1)
                r = vgpup_sample_open(view->region, view->mem, VGPU_SLOT_STRIDE, &pass.copy.sample);
        if (r <= 0) {
                if (r == 0)
                        count_skip(s, view->region);
                return r;
        }
        *ret_saw = PACER_SAW_FRAME;
        pass.change = change_of(&pass.copy.sample);
        r = outlet_fit(s->outlet, pass.copy.sample.bytes);
        if (r < 0) {
                refuse_mode(s, &pass.copy.sample, r);
                return 0;
        }
        r = s->use_staging ? take_staged(s, view, &pass) : take_straight(s, view, &pass);
        /* what cannot be read yet need not be looked at more often */
        if (r == 0 && pass.copy.touched == 0)
                *ret_saw = PACER_SAW_NOTHING;
        s->counters.torn_retries += vgpup_torn_retries(view->region) - torn;
        return r;
}

static int look_at_cursor(struct stream *s, const struct stream_view *view)
{
        vgpup_cursor cursor;
        int r;

        r = vgpup_read_cursor(view->region, view->mem, &cursor);
        if (r <= 0)
                return r;
        outlet_set_cursor(s->outlet, &(struct vgpu_ring_cursor){
                                             .x = cursor.x,
                                             .y = cursor.y,
                                             .hot_x = cursor.hot_x,
                                             .hot_y = cursor.hot_y,
                                             .glyph_w = cursor.glyph_w,
                                             .glyph_h = cursor.glyph_h,
                                             .visible = cursor.visible,
                                             .id = cursor.id,
                                             .report = cursor.seq,
                                     });
        return 0;
}

int stream_look(struct stream *s, const struct stream_view *view, enum pacer_saw *ret_saw)
{
        uint64_t frame_id;
        int news, r = 0;

        s->look_ns = uv_hrtime();
        *ret_saw = PACER_SAW_NOTHING;
        news = vgpup_glance(view->region, view->mem, &frame_id);
        if (news == 0)
                count_skip(s, view->region);
        if (news == 0 || (view->may_take && !view->may_take(view->ctx)))
                return 0;
        if (news < 0)
                return news;
        if (news & VGPUP_NEWS_FRAME) {
                stream_expect(s);
                r = look_at_frame(s, view, frame_id, ret_saw);
                stream_expect_no_more(s);
        }
        if (r >= 0 && (news == VGPUP_NEWS_CURSOR || vgpup_cursor_stirs(view->region, view->mem)))
                r = look_at_cursor(s, view);
        return r < 0 ? r : 0;
}

double stream_fps(struct stream *s, uint64_t now_ns)
{
        uint64_t elapsed_ns = now_ns - s->fps_since_ns;

        if (elapsed_ns < UINT64_C(1000000000))
                return s->fps;
        s->fps = s->fps_since_ns ? (double)s->fps_frames * 1e9 / (double)elapsed_ns : 0;
        s->fps_since_ns = now_ns;
        s->fps_frames = 0;
        return s->fps;
}
