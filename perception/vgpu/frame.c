/*
 * frame.c - the newest frame: peek, begin, recheck, commit, and all of it with a copy
 *
 * Inside a window: latest, the slot's seq, its line and damage, the slot's translations, seq again; then the bytes; then
 * seq, and the window closes. What is said about a frame is judged on the local copy of its line, and only when seq held
 * still around it.
 */
#include <errno.h>
#include <string.h>

#include "region.h"

#define SLOT_LINE(slot) (offsetof(vgpu_producer_t, slot) + (slot) * sizeof(vgpu_slot_t))
#define DAMAGE_LIST(slot)                                                                          \
        (offsetof(vgpu_producer_t, damage) + (slot)*VGPU_MAX_DAMAGE * sizeof(vgpu_rect_t))

/* A slot as copied out of its seq window. */
struct slot_copy {
        uint32_t slot, seq;
        vgpu_slot_t line;
        vgpu_rect_t damage[VGPU_MAX_DAMAGE];
};

static int read_seq(const vgpup_region *r, vmie_mem *m, uint32_t slot, uint32_t *ret_seq)
{
        return window_read(&r->window, m, SLOT_LINE(slot), ret_seq, sizeof(*ret_seq));
}

/* Return: 1, 0 (busy), or a read error. */
static int read_slot(const vgpup_region *r, vmie_mem *m, uint32_t slot, struct slot_copy *ret)
{
        uint32_t after;
        int rc;

        ret->slot = slot;
        rc = read_seq(r, m, slot, &ret->seq);
        if (rc < 0 || ret->seq & 1)
                return rc;
        read_fence();
        rc = window_read(&r->window, m, SLOT_LINE(slot), &ret->line, sizeof(ret->line));
        if (rc == 0)
                rc = window_read(
                        &r->window, m, DAMAGE_LIST(slot), ret->damage, sizeof(ret->damage));
        read_fence();
        if (rc == 0)
                rc = read_seq(r, m, slot, &after);
        if (rc < 0)
                return rc;
        return after == ret->seq;
}

/* Bytes of the frame, or 0 when the line breaks a rule of the ABI. */
static uint64_t frame_bytes(const vgpup_region *r, const vgpu_slot_t *line)
{
        uint32_t bpp = vgpu_format_bpp(line->format);
        uint64_t bytes = (uint64_t)line->height * line->stride;

        if (bpp == 0 || line->width == 0 || line->height == 0)
                return 0;
        if (line->stride < (uint64_t)line->width * bpp || bytes > r->candidate.slot_stride)
                return 0;
        return bytes;
}

static bool inside_frame(const vgpu_rect_t *rect, const vgpu_slot_t *line)
{
        return rect->w > 0 && rect->h > 0 && (uint64_t)rect->x + rect->w <= line->width &&
               (uint64_t)rect->y + rect->h <= line->height;
}

/* Damage that cannot be taken at its word is damage of the whole frame. */
static uint32_t usable_damage(const struct slot_copy *copy)
{
        uint32_t n = copy->line.damage_count;

        if (n < 1 || n > VGPU_MAX_DAMAGE || copy->line.damage_base == 0 ||
                copy->line.damage_base >= copy->line.frame_id)
                return 0;
        for (uint32_t i = 0; i < n; i++) {
                if (!inside_frame(&copy->damage[i], &copy->line))
                        return 0;
        }
        return n;
}

static vgpup_frame_desc line_desc(const vgpu_slot_t *line)
{
        return (vgpup_frame_desc){
                .width = line->width,
                .height = line->height,
                .stride = line->stride,
                .format = line->format,
                .frame_id = line->frame_id,
                .timestamp_ns = line->timestamp_ns,
        };
}

static void fill_sample(vgpup_region *r, const struct slot_copy *copy, struct vgpup_sample *ret)
{
        const vgpu_slot_t *line = &copy->line;

        *ret = (struct vgpup_sample){
                .desc = line_desc(line),
                .bytes = frame_bytes(r, line),
                .slot = copy->slot,
                .flags = line->flags,
                .run_epoch = line->run_epoch,
                .n_damage = usable_damage(copy),
                .seq = copy->seq,
        };
        if (ret->n_damage > 0) {
                ret->damage_base = line->damage_base;
                memcpy(ret->damage, copy->damage, ret->n_damage * sizeof(ret->damage[0]));
        }
        gather_begin(&r->frame, 0); /* what was mapped for another sample is nothing of this one */
        r->sample.slot = copy->slot;
        r->sample.seq = copy->seq;
        r->sample.frame_id = line->frame_id;
        r->sample.open = true;
}

/* One look at the newest slot, in a window of its own or a glance's. Return: 1, 0 with r->skip set, or < 0. */
static int try_open(vgpup_region *r, vmie_mem *m, size_t cap, struct vgpup_sample *ret)
{
        struct slot_copy copy;
        uint32_t latest;
        uint64_t bytes;
        int rc;

        rc = region_enter_window(r, m);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_TRANSITION);
        rc = window_read(&r->window, m, offsetof(vgpu_producer_t, latest), &latest, sizeof(latest));
        if (rc < 0)
                return rc;
        if (latest == VGPU_SLOT_NONE)
                return region_skip(r, VGPUP_SKIP_NOT_FRESH);
        if (latest >= r->candidate.slot_count)
                return region_skip(r, VGPUP_SKIP_MALFORMED);
        read_fence();
        rc = read_slot(r, m, latest, &copy);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_BUSY);
        if (copy.line.frame_id <= r->last_frame_id)
                return region_skip(r, VGPUP_SKIP_NOT_FRESH);
        bytes = frame_bytes(r, &copy.line);
        if (bytes == 0)
                return region_skip(r, VGPUP_SKIP_MALFORMED);
        if (bytes > cap)
                return region_skip(r, VGPUP_SKIP_TOO_BIG);
        fill_sample(r, &copy, ret);
        return 1;
}

/* Of the one window there is: a handle's last sample, and not yet over. */
static bool is_open(const vgpup_region *r, const struct vgpup_sample *s)
{
        return r->sample.open && s->seq == r->sample.seq && s->slot == r->sample.slot;
}

/* Ascending, within the frame, no page in two of them. */
static bool parts_fit(const struct vgpup_sample *s, const struct gva_part *parts, size_t n)
{
        uint64_t from = 0;

        for (size_t i = 0; i < n; i++) {
                if (parts[i].offset < from || parts[i].offset > s->bytes || parts[i].len == 0 ||
                        parts[i].len > s->bytes - parts[i].offset)
                        return false;
                from = parts[i].offset + parts[i].len;
                from = (from + GVA_PAGE_BYTES - 1) & ~(uint64_t)(GVA_PAGE_BYTES - 1);
        }
        return n > 0 && n <= GATHER_PARTS;
}

int vgpup_sample_map(vgpup_region *r, vmie_mem *m, struct vgpup_sample *s,
        const struct gva_part *parts, size_t n)
{
        uint64_t offset = VGPU_RING_OFFSET + s->slot * r->candidate.slot_stride;
        uint32_t seq;
        int rc;

        if (!is_open(r, s) || !parts_fit(s, parts, n))
                return -EINVAL;
        r->skip = VGPUP_SKIP_NONE;
        rc = window_gather(&r->window, m, &r->frame, r->candidate.region_gva + offset, parts, n);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_TRANSITION);
        read_fence();
        rc = read_seq(r, m, s->slot, &seq);
        if (rc < 0)
                return rc;
        if (seq != s->seq)
                return region_skip(r, VGPUP_SKIP_BUSY);
        s->extents = r->frame.extents;
        s->n_extents = r->frame.n_extents;
        return 1;
}

int vgpup_sample_open(vgpup_region *r, vmie_mem *m, size_t cap, struct vgpup_sample *ret)
{
        int rc = 0;

        r->skip = VGPUP_SKIP_NONE;
        for (int i = 0; i < REGION_RETRIES; i++) {
                rc = try_open(r, m, cap, ret);
                if (rc != 0 || r->skip != VGPUP_SKIP_BUSY)
                        break;
        }
        return rc;
}

int vgpup_sample_begin(vgpup_region *r, vmie_mem *m, size_t cap, struct vgpup_sample *ret)
{
        struct vgpup_sample s;
        int rc = 0;

        r->skip = VGPUP_SKIP_NONE;
        for (int i = 0; i < REGION_RETRIES; i++) {
                rc = try_open(r, m, cap, &s);
                if (rc == 1)
                        rc = vgpup_sample_map(r, m, &s, &(struct gva_part){ 0, s.bytes }, 1);
                if (rc != 0 || r->skip != VGPUP_SKIP_BUSY)
                        break;
        }
        if (rc == 1)
                *ret = s;
        return rc;
}

int vgpup_sample_recheck(
        vgpup_region *r, vmie_mem *m, const struct vgpup_sample *s, size_t offset, size_t len)
{
        int rc;

        if (!is_open(r, s))
                return -EINVAL;
        read_fence();
        rc = gather_recheck(&r->frame, m, offset, len);
        return rc == 0 ? region_skip(r, VGPUP_SKIP_REMAPPED) : rc;
}

int vgpup_sample_commit(vgpup_region *r, vmie_mem *m, const struct vgpup_sample *s)
{
        uint32_t seq;
        int rc;

        if (!is_open(r, s))
                return -EINVAL;
        r->sample.open = false;
        read_fence();
        rc = read_seq(r, m, r->sample.slot, &seq);
        if (rc < 0)
                return rc;
        if (seq != r->sample.seq) {
                r->n_torn++;
                r->sample.torn = true;
                return region_skip(r, VGPUP_SKIP_BUSY);
        }
        rc = window_close(&r->window, m, &r->frame);
        if (rc == 0)
                return region_skip(r, VGPUP_SKIP_REMAPPED);
        if (rc == 1) {
                r->skip = VGPUP_SKIP_NONE;
                r->sample.frame_id_before = r->last_frame_id;
                r->last_frame_id = r->sample.frame_id;
        }
        return rc;
}

void vgpup_sample_refuse(vgpup_region *r)
{
        if (r->last_frame_id == r->sample.frame_id)
                r->last_frame_id = r->sample.frame_id_before;
}

int vgpup_sample_vouch(vgpup_region *r, vmie_mem *m)
{
        if (!r->sample.torn)
                return 0;
        r->sample.torn = false;
        return window_close(&r->window, m, NULL);
}

static void fill_change(const struct slot_copy *copy, struct vgpup_change *ret)
{
        *ret = (struct vgpup_change){
                .desc = line_desc(&copy->line),
                .run_epoch = copy->line.run_epoch,
                .n_damage = usable_damage(copy),
        };
        if (ret->n_damage > 0) {
                ret->damage_base = copy->line.damage_base;
                memcpy(ret->damage, copy->damage, ret->n_damage * sizeof(ret->damage[0]));
        }
}

/* Slots that are being written or break a rule are left out. Return: 0, or a read error. */
static int read_changes(
        const vgpup_region *r, vmie_mem *m, struct vgpup_change *changes, uint32_t *ret_n)
{
        struct slot_copy copy;
        uint32_t n = 0;

        for (uint32_t slot = 0; slot < r->candidate.slot_count; slot++) {
                int rc = read_slot(r, m, slot, &copy);

                if (rc < 0)
                        return rc;
                if (rc == 1 && copy.line.frame_id != 0 && frame_bytes(r, &copy.line) != 0)
                        fill_change(&copy, &changes[n++]);
        }
        *ret_n = n;
        return 0;
}

int vgpup_read_changes(
        vgpup_region *r, vmie_mem *m, struct vgpup_change out[VGPU_MAX_SLOTS], uint32_t *ret_n)
{
        struct vgpup_change changes[VGPU_MAX_SLOTS];
        uint32_t n;
        int rc;

        r->skip = VGPUP_SKIP_NONE;
        rc = region_open_window(r, m);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_TRANSITION);
        rc = read_changes(r, m, changes, &n);
        if (rc < 0)
                return rc;
        rc = window_close(&r->window, m, NULL);
        if (rc == 0)
                return region_skip(r, VGPUP_SKIP_REMAPPED);
        if (rc == 1) {
                memcpy(out, changes, n * sizeof(changes[0]));
                *ret_n = n;
        }
        return rc;
}

static int copy_extents(vmie_mem *m, const struct vgpup_sample *s, uint8_t *dst)
{
        for (size_t i = 0; i < s->n_extents; i++) {
                const struct gva_extent *e = &s->extents[i];
                int rc = gpa_read(m, e->gpa, dst + e->offset, e->len);

                if (rc < 0)
                        return rc;
        }
        return 0;
}

int vgpup_sample_frame(
        vgpup_region *r, vmie_mem *m, uint8_t *dst, size_t cap, vgpup_frame_info *info)
{
        struct vgpup_sample s;
        int rc = 0;

        for (int i = 0; i < REGION_RETRIES; i++) {
                rc = vgpup_sample_begin(r, m, cap, &s);
                if (rc == 1)
                        rc = copy_extents(m, &s, dst);
                else
                        return rc;
                if (rc == 0)
                        rc = vgpup_sample_commit(r, m, &s);
                if (rc != 0 || r->skip != VGPUP_SKIP_BUSY)
                        break;
        }
        if (rc == 1)
                *info = (vgpup_frame_info){ .desc = s.desc, .bytes = s.bytes };
        return rc;
}

/* Is there another report of the cursor? One that is being written is the next look's. Return: 1, 0, or a read error. */
static int read_stir(const vgpup_region *r, vmie_mem *m)
{
        uint32_t seq;
        int rc;

        rc = window_read(&r->window, m, offsetof(vgpu_producer_t, cursor_seq), &seq, sizeof(seq));
        return rc < 0 ? rc : seq != r->cursor_seq && !(seq & 1);
}

/* What of @wanted is new, by two words of the block. Return: a set of VGPUP_NEWS_*, or a read error. */
static int read_news(const vgpup_region *r, vmie_mem *m, int wanted, uint64_t *ret_frame_id)
{
        int rc, stirs = 0;

        rc = window_read(&r->window, m, offsetof(vgpu_producer_t, latest_frame_id), ret_frame_id,
                sizeof(*ret_frame_id));
        if (rc == 0 && wanted & VGPUP_NEWS_CURSOR)
                rc = stirs = read_stir(r, m);
        if (rc < 0)
                return rc;
        return (*ret_frame_id > r->last_frame_id ? VGPUP_NEWS_FRAME : 0) |
               (stirs ? VGPUP_NEWS_CURSOR : 0);
}

/* Opens a window and reads what is new. Return: as read_news(), 0 with r->skip set. */
static int look_for(vgpup_region *r, vmie_mem *m, int wanted, uint64_t *ret_frame_id)
{
        int rc;

        r->skip = VGPUP_SKIP_NONE;
        rc = region_open_window(r, m);
        if (rc <= 0)
                return rc < 0 ? rc : region_skip(r, VGPUP_SKIP_TRANSITION);
        rc = read_news(r, m, wanted, ret_frame_id);
        /* "Nothing newer" tells nobody anything, so it needs no second look. */
        return rc == 0 ? region_skip(r, VGPUP_SKIP_NOT_FRESH) : rc;
}

int vgpup_peek(vgpup_region *r, vmie_mem *m, uint64_t *ret_frame_id)
{
        uint64_t frame_id;
        int rc;

        rc = look_for(r, m, VGPUP_NEWS_FRAME, &frame_id);
        if (rc <= 0)
                return rc;
        rc = window_close(&r->window, m, NULL);
        if (rc == 0)
                return region_skip(r, VGPUP_SKIP_REMAPPED);
        if (rc == 1)
                *ret_frame_id = frame_id;
        return rc;
}

int vgpup_glance(vgpup_region *r, vmie_mem *m, uint64_t *ret_frame_id)
{
        uint64_t frame_id;
        int news;

        news = look_for(r, m, VGPUP_NEWS_FRAME | VGPUP_NEWS_CURSOR, &frame_id);
        if (news <= 0)
                return news;
        r->glanced = true;
        if (news & VGPUP_NEWS_FRAME)
                *ret_frame_id = frame_id;
        return news;
}

bool vgpup_cursor_stirs(const vgpup_region *r, vmie_mem *m)
{
        return read_stir(r, m) == 1;
}
