/*
 * ring.c - the publisher's side of the ring
 *
 * One thread writes, any number of other processes read the same pages. What a reader may catch half-written
 * (pixels, descriptors, changes, records) lies inside a seqlock window, and seqlock.h has the stores; everything a
 * reader acts on outside a window is one aligned word. Pixels are the caller's to store, plainly or past the caches:
 * why that is no race is said at pixels_copy().
 */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "announce.h"
#include "lease.h"
#include "ring_file.h"
#include "seqlock.h"

#define LINE_BYTES 64u

struct ring {
        struct ring_file file;
        struct vgpu_ring_header *header; /* writable map of the whole file */
        struct vgpu_ring_desc *desc;
        struct vgpu_ring_change *history;
        uint8_t *slots;
        uint64_t serial;
        uint32_t open_slot; /* between begin and publish or abort, else LEASE_NO_SLOT */
        struct announcer announcer;
        struct lease_book leases;
        struct vgpu_ring_identity identity;
};

static void wake_readers(struct ring *r)
{
        uint32_t *wake = &r->header->wake;

        __atomic_fetch_add(wake, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, wake, FUTEX_WAKE, RING_WAKE_MOST, NULL, NULL, 0);
}

static uint64_t monotonic_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t whole_pages(uint64_t bytes)
{
        return (bytes + VGPU_RING_PAGE - 1) & ~(uint64_t)(VGPU_RING_PAGE - 1);
}

static int identity_init(struct vgpu_ring_identity *id, const struct ring_config *config)
{
        if (config->slots < VGPU_RING_MIN_SLOTS || config->slots > VGPU_RING_MAX_SLOTS ||
                config->slot_bytes == 0 || config->slot_bytes > VGPU_RING_MAX_BYTES ||
                config->generation == 0 || config->tick_period_ms == 0)
                return -EINVAL;

        *id = (struct vgpu_ring_identity){
                .magic = VGPU_RING_MAGIC,
                .version = VGPU_RING_VERSION,
                .features = VGPU_RING_FEATURE_HISTORY | VGPU_RING_FEATURE_SOON,
                .slot_count = config->slots,
                .slot_bytes = whole_pages(config->slot_bytes),
                .desc_offset = VGPU_RING_DESC_OFFSET,
                .desc_bytes = sizeof(struct vgpu_ring_desc),
                .tick_period_ms = config->tick_period_ms,
                .generation = config->generation,
                .daemon_pid = (uint32_t)getpid(),
                .history_bytes = sizeof(struct vgpu_ring_change),
                .history_count = VGPU_RING_HISTORY,
        };
        if (config->lease_ns > 0)
                id->features |= VGPU_RING_FEATURE_LEASE;
        memcpy(id->instance, config->instance, sizeof(id->instance));
        id->history_offset = id->desc_offset + id->slot_count * id->desc_bytes;
        id->slot_offset =
                whole_pages(id->history_offset + (uint64_t)id->history_count * id->history_bytes);
        id->header_bytes = (uint32_t)id->slot_offset;
        id->total_bytes = id->slot_offset + id->slot_count * id->slot_bytes;
        return id->total_bytes > VGPU_RING_MAX_BYTES ? -EINVAL : 0;
}

static int ring_map(struct ring *r)
{
        int err = ring_file_init(&r->file, r->identity.total_bytes);
        uint8_t *base = r->file.map;

        if (err < 0)
                return err;
        r->header = r->file.map;
        r->desc = (struct vgpu_ring_desc *)(base + r->identity.desc_offset);
        r->history = (struct vgpu_ring_change *)(base + r->identity.history_offset);
        r->slots = base + r->identity.slot_offset;
        memcpy(&r->header->identity, &r->identity, sizeof(r->identity));
        return 0;
}

/* What clients know of the stream does not change with the ring; nobody maps it yet, so no window is needed. */
static void carry_over(struct ring *r, const struct ring *from)
{
        r->header->liveness = from->header->liveness;
        r->header->cursor = from->header->cursor;
        r->header->geometry = from->header->geometry;
        r->header->status = from->header->status;
        r->header->tick_ns = from->header->tick_ns;
}

int ring_new(const struct ring_config *config, struct ring **ret_ring)
{
        struct ring *r = calloc(1, sizeof(*r));
        int err;

        if (!r)
                return -ENOMEM;
        r->file = (struct ring_file)RING_FILE_EMPTY;
        r->open_slot = LEASE_NO_SLOT;
        r->serial = config->replaces ? config->replaces->serial : config->serial;

        err = identity_init(&r->identity, config);
        if (err == 0)
                err = ring_map(r);
        if (err < 0) {
                ring_free(r);
                return err;
        }
        lease_init(&r->leases, config->slots, config->lease_ns);
        if (config->replaces)
                carry_over(r, config->replaces);
        *ret_ring = r;
        return 0;
}

struct ring *ring_free(struct ring *r)
{
        if (!r)
                return NULL;
        ring_file_deinit(&r->file);
        free(r);
        return NULL;
}

int ring_retire(struct ring *r, int watch)
{
        int number = ring_file_retire(&r->file, watch);

        ring_free(r);
        return number;
}

int ring_fd(const struct ring *r)
{
        return r->file.readonly_fd;
}

const struct vgpu_ring_identity *ring_identity(const struct ring *r)
{
        return &r->identity;
}

uint64_t ring_serial(const struct ring *r)
{
        return r->serial;
}

void ring_announce(struct ring *r, bool on)
{
        r->announcer.on = on;
}

static void hint_lines(const void *at, size_t len)
{
        for (size_t i = 0; i < len; i += LINE_BYTES)
                __builtin_prefetch((const uint8_t *)at + i, 1);
}

/* What publishing will store to has left the caches since the last frame, and can come back while the next is copied. */
static void hint_publish(const struct ring *r)
{
        hint_lines(&r->header->publish, LINE_BYTES);
        hint_lines(&r->desc[r->open_slot], sizeof(*r->desc));
        hint_lines(&r->history[(r->serial + 1) % r->identity.history_count], sizeof(*r->history));
}

uint8_t *ring_slot_begin(struct ring *r)
{
        assert(r->open_slot == LEASE_NO_SLOT);

        announcer_begin(&r->announcer, r->header);
        r->open_slot = lease_choose(&r->leases);
        lease_open(&r->leases, r->open_slot);
        hint_publish(r);
        seq_open(&r->desc[r->open_slot].seq);
        return r->slots + r->open_slot * r->identity.slot_bytes;
}

uint32_t ring_open_slot(const struct ring *r)
{
        assert(r->open_slot != LEASE_NO_SLOT);

        return r->open_slot;
}

void ring_slot_abort(struct ring *r, size_t from, size_t to)
{
        assert(r->open_slot != LEASE_NO_SLOT && from <= to && to <= r->identity.slot_bytes);

        memset(r->slots + r->open_slot * r->identity.slot_bytes + from, 0, to - from);
        __atomic_store_n(&r->desc[r->open_slot].serial, 0, __ATOMIC_RELAXED);
        r->open_slot = LEASE_NO_SLOT;
}

static bool damage_fits(const struct ring_frame *f)
{
        if (f->n_damage == 0 || f->n_damage > VGPU_RING_MAX_DAMAGE)
                return false;
        for (uint32_t i = 0; i < f->n_damage; i++) {
                const struct vgpu_ring_rect *rect = &f->damage[i];

                if ((uint64_t)rect->x + rect->w > f->width ||
                        (uint64_t)rect->y + rect->h > f->height)
                        return false;
        }
        return true;
}

/*
 * Damage says what differs from the frame before; that means nothing across a change of what is being shown. @before
 * is still what it was: the newest slot is not written.
 */
static bool continues(const struct vgpu_ring_desc *before, const struct ring_frame *f)
{
        return before->width == f->width && before->height == f->height &&
               before->stride == f->stride && before->fourcc == f->fourcc &&
               before->modifier == f->modifier && before->epoch == f->epoch &&
               before->run_epoch == f->run_epoch && before->producer_pid == f->producer_pid;
}

static uint32_t damage_of(const struct ring *r, const struct ring_frame *f)
{
        uint32_t newest = r->leases.newest;

        if (newest == LEASE_NO_SLOT || !continues(&r->desc[newest], f) || !damage_fits(f))
                return 0;
        return f->n_damage;
}

static void store_damage(
        uint32_t *n_damage, struct vgpu_ring_rect *damage, uint32_t n, const struct ring_frame *f)
{
        __atomic_store_n(n_damage, n, __ATOMIC_RELAXED);
        words_store(damage, f->damage, n * sizeof(f->damage[0]));
}

static void store_change(struct ring *r, uint64_t serial, uint32_t n, const struct ring_frame *f)
{
        struct vgpu_ring_change *c = &r->history[serial % r->identity.history_count];

        seq_open(&c->seq);
        store_damage(&c->n_damage, c->damage, n, f);
        __atomic_store_n(&c->serial, serial, __ATOMIC_RELAXED);
        seq_close(&c->seq);
}

/* Return: when it was. */
static uint64_t store_desc(struct ring *r, uint64_t serial, uint32_t n, const struct ring_frame *f)
{
        const size_t first = offsetof(struct vgpu_ring_desc, serial);
        const size_t len = offsetof(struct vgpu_ring_desc, damage) - first;
        struct vgpu_ring_desc *d = &r->desc[r->open_slot];
        struct vgpu_ring_desc new = {
                .serial = serial,
                .frame_id = f->frame_id,
                .epoch = f->epoch,
                .run_epoch = f->run_epoch,
                .producer_pid = f->producer_pid,
                .width = f->width,
                .height = f->height,
                .stride = f->stride,
                .fourcc = f->fourcc,
                .modifier = f->modifier,
                .flags = f->flags,
                .timestamp_ns = f->timestamp_ns,
                .publish_ns = monotonic_ns(),
        };

        store_damage(&d->n_damage, d->damage, n, f);
        words_store(&d->serial, &new.serial, len);
        seq_close(&d->seq);
        return new.publish_ns;
}

static void store_publish_word(struct ring *r, uint64_t word)
{
        /* pairs with the reader's acquire load of publish: who sees the word sees the slot and its change */
        __atomic_store_n(&r->header->publish, word, __ATOMIC_RELEASE);
        /*
         * Now the publish word, then the holds: a client stores its hold, then looks at the publish word again, with
         * the same fence between. One of us sees the other's store: it finds that the frame is the newest no more
         * and lets go, or the look after this finds its hold. x86 alone does not give that, since a load may pass an
         * older store to another address; release and acquire order nothing here.
         */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint64_t ring_publish(struct ring *r, const struct ring_frame *f)
{
        const uint32_t slot = r->open_slot;
        const uint64_t serial = r->serial + 1;
        const uint32_t n_damage = damage_of(r, f);
        uint64_t publish_ns;

        assert(slot != LEASE_NO_SLOT && f->width > 0 && f->height > 0);
        assert((uint64_t)f->height * f->stride <= r->identity.slot_bytes);

        store_change(r, serial, n_damage, f);
        publish_ns = store_desc(r, serial, n_damage, f);
        store_publish_word(r, VGPU_RING_WORD(serial, slot));

        lease_publish(&r->leases, slot, VGPU_RING_WORD(serial, slot));
        r->serial = serial;
        r->open_slot = LEASE_NO_SLOT;
        wake_readers(r);
        announcer_end(&r->announcer, publish_ns);
        return serial;
}

void ring_look_begin(struct ring *r, uint64_t now_ns)
{
        lease_look_begin(&r->leases, now_ns);
}

void ring_look_at(struct ring *r, struct ring_holder *holder, const uint64_t *holds, uint32_t n)
{
        if (holder->generation != r->identity.generation) {
                holder->generation = r->identity.generation;
                holder->standing = 0;
        }
        holder->lost += lease_look(&r->leases, &holder->standing, holds, n);
}

void ring_look_end(struct ring *r)
{
        lease_look_end(&r->leases);
}

uint32_t ring_n_held(const struct ring *r)
{
        return (uint32_t)__builtin_popcount(r->leases.honoured);
}

uint64_t ring_n_lost(const struct ring *r)
{
        return r->leases.n_lost;
}

/*
 * The four records have one shape: seq, serial, value. @quiet: the value differs only where nobody need wake, so it
 * is stored under the old serial.
 */
static bool record_store(struct ring *r, uint32_t *seq, uint64_t *serial, void *dst,
        const void *value, size_t len, bool quiet)
{
        seq_open(seq);
        words_store(dst, value, len);
        if (!quiet)
                __atomic_store_n(serial, *serial + 1, __ATOMIC_RELAXED);
        seq_close(seq);
        if (!quiet)
                wake_readers(r);
        return !quiet;
}

bool ring_set_liveness(struct ring *r, const struct vgpu_ring_liveness *value)
{
        struct vgpu_ring_liveness_record *rec = &r->header->liveness;

        if (rec->serial != 0 && memcmp(&rec->value, value, sizeof(*value)) == 0)
                return false;
        return record_store(r, &rec->seq, &rec->serial, &rec->value, value, sizeof(*value), false);
}

bool ring_set_cursor(struct ring *r, const struct vgpu_ring_cursor *value)
{
        struct vgpu_ring_cursor_record *rec = &r->header->cursor;
        struct vgpu_ring_cursor shown = *value;
        bool quiet;

        shown.report = rec->value.report;
        quiet = rec->serial != 0 && memcmp(&rec->value, &shown, sizeof(shown)) == 0;
        if (quiet && rec->value.report == value->report)
                return false;
        return record_store(r, &rec->seq, &rec->serial, &rec->value, value, sizeof(*value), quiet);
}

bool ring_set_geometry(struct ring *r, const struct vgpu_ring_geometry *value)
{
        struct vgpu_ring_geometry_record *rec = &r->header->geometry;

        if (rec->serial != 0 && memcmp(&rec->value, value, sizeof(*value)) == 0)
                return false;
        return record_store(r, &rec->seq, &rec->serial, &rec->value, value, sizeof(*value), false);
}

bool ring_set_status(struct ring *r, const struct vgpu_ring_status *value)
{
        struct vgpu_ring_status_record *rec = &r->header->status;
        struct vgpu_ring_status shown = *value;
        bool quiet;

        shown.heartbeat = rec->value.heartbeat;
        shown.content_change_ns = rec->value.content_change_ns;
        quiet = rec->serial != 0 && memcmp(&rec->value, &shown, sizeof(shown)) == 0;
        if (quiet && memcmp(&rec->value, value, sizeof(*value)) == 0)
                return false;
        return record_store(r, &rec->seq, &rec->serial, &rec->value, value, sizeof(*value), quiet);
}

void ring_tick(struct ring *r, uint64_t now_ns)
{
        __atomic_store_n(&r->header->tick_ns, now_ns, __ATOMIC_RELAXED);
}

void ring_supersede(struct ring *r, uint64_t generation)
{
        __atomic_store_n(&r->header->superseded_by, generation, __ATOMIC_RELEASE);
        wake_readers(r);
}

void ring_close(struct ring *r, uint64_t now_ns)
{
        struct vgpu_ring_liveness last = r->header->liveness.value;

        last.state = VGPU_RING_CLOSED;
        last.since_ns = now_ns;
        ring_set_liveness(r, &last);
}
