/*
 * ring.c - the publisher's side of the ring
 *
 * One thread writes, any number of other processes read the same pages. What a reader may catch half-written
 * (pixels, descriptors, records) lies inside a seqlock window; everything it acts on outside a window is one
 * aligned word. The stores inside a window are plain on purpose: the fences around them order them for every
 * reader, a reader throws away whatever it copied while seq moved, and the readers are other processes, so no C11
 * data race is in this program.
 */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct ring {
        struct vgpu_ring_header *header; /* writable map of the whole memfd */
        struct vgpu_ring_desc *desc;
        uint8_t *slots;
        uint64_t total_bytes;
        int memfd;       /* the writable description; never leaves this process */
        int readonly_fd; /* what readers get */
        uint64_t serial;
        uint64_t first_serial; /* of the first frame in this ring */
        uint32_t newest;       /* slot; meaningful once serial >= first_serial */
        uint32_t open_slot;    /* between begin and publish or abort, else NO_SLOT */
        struct vgpu_ring_identity identity;
};

#define NO_SLOT UINT32_MAX

/*
 * Order everything before against everything after for readers on other CPUs, non-temporal stores included: those
 * are weakly ordered even on x86 and a release store does not wait for them.
 */
static inline void write_barrier(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_sfence();
#endif
        __atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void seq_open(uint32_t *seq)
{
        /* from an aborted write seq is odd already; it must move all the same */
        uint32_t odd = (__atomic_load_n(seq, __ATOMIC_RELAXED) + 1) | 1;

        __atomic_store_n(seq, odd, __ATOMIC_RELAXED);
        write_barrier();
}

static inline void seq_close(uint32_t *seq)
{
        write_barrier();
        __atomic_store_n(seq, __atomic_load_n(seq, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

static void wake_readers(struct ring *r)
{
        uint32_t *wake = &r->header->wake;

        __atomic_fetch_add(wake, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
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
                .slot_count = config->slots,
                .slot_bytes = whole_pages(config->slot_bytes),
                .desc_offset = VGPU_RING_DESC_OFFSET,
                .desc_bytes = sizeof(struct vgpu_ring_desc),
                .tick_period_ms = config->tick_period_ms,
                .generation = config->generation,
                .daemon_pid = (uint32_t)getpid(),
        };
        memcpy(id->instance, config->instance, sizeof(id->instance));
        id->slot_offset = whole_pages(id->desc_offset + (uint64_t)id->slot_count * id->desc_bytes);
        id->header_bytes = (uint32_t)id->slot_offset;
        id->total_bytes = id->slot_offset + id->slot_count * id->slot_bytes;
        return id->total_bytes > VGPU_RING_MAX_BYTES ? -EINVAL : 0;
}

/* The same memfd opened again, O_RDONLY: the description readers get carries no right to write. */
static int reopen_readonly(int fd)
{
        char path[32];
        int ro;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ro = open(path, O_RDONLY | O_CLOEXEC);
        return ro < 0 ? -errno : ro;
}

static int ring_map(struct ring *r)
{
        const uint64_t total = r->identity.total_bytes;
        void *map;

        r->memfd = memfd_create("vgpud-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (r->memfd < 0)
                return -errno;
        if (ftruncate(r->memfd, (off_t)total) < 0)
                return -errno;

        map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd, 0);
        if (map == MAP_FAILED)
                return -errno;
        r->header = map;
        r->total_bytes = total;
        r->desc = (struct vgpu_ring_desc *)((uint8_t *)map + r->identity.desc_offset);
        r->slots = (uint8_t *)map + r->identity.slot_offset;
        memcpy(&r->header->identity, &r->identity, sizeof(r->identity));

        /*
         * FUTURE_WRITE spares maps that exist, so map first. The mode does not stop root or our own uid; the seal
         * stops everybody, and a reader of another uid cannot even reopen it.
         */
        if (fcntl(r->memfd, F_ADD_SEALS,
                    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
                return -errno;
        if (fchmod(r->memfd, 0400) < 0)
                return -errno;

        r->readonly_fd = reopen_readonly(r->memfd);
        return r->readonly_fd < 0 ? r->readonly_fd : 0;
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
        r->memfd = r->readonly_fd = -1;
        r->open_slot = NO_SLOT;
        r->serial = config->replaces ? config->replaces->serial : config->serial;
        r->first_serial = r->serial + 1;

        err = identity_init(&r->identity, config);
        if (err == 0)
                err = ring_map(r);
        if (err < 0) {
                ring_free(r);
                return err;
        }
        if (config->replaces)
                carry_over(r, config->replaces);
        *ret_ring = r;
        return 0;
}

struct ring *ring_free(struct ring *r)
{
        if (!r)
                return NULL;
        if (r->header)
                munmap(r->header, r->total_bytes);
        if (r->readonly_fd >= 0)
                close(r->readonly_fd);
        if (r->memfd >= 0)
                close(r->memfd);
        free(r);
        return NULL;
}

int ring_fd(const struct ring *r)
{
        return r->readonly_fd;
}

const struct vgpu_ring_identity *ring_identity(const struct ring *r)
{
        return &r->identity;
}

uint64_t ring_serial(const struct ring *r)
{
        return r->serial;
}

static bool has_frame(const struct ring *r)
{
        return r->serial >= r->first_serial;
}

/* The oldest: readers of the others get the longest time to finish. An aborted or unused slot is older still. */
static uint32_t oldest_slot(const struct ring *r)
{
        uint32_t best = NO_SLOT;

        for (uint32_t i = 0; i < r->identity.slot_count; i++) {
                if (has_frame(r) && i == r->newest)
                        continue;
                if (best == NO_SLOT || r->desc[i].serial < r->desc[best].serial)
                        best = i;
        }
        return best;
}

uint8_t *ring_slot_begin(struct ring *r)
{
        assert(r->open_slot == NO_SLOT);

        r->open_slot = oldest_slot(r);
        seq_open(&r->desc[r->open_slot].seq);
        return r->slots + r->open_slot * r->identity.slot_bytes;
}

void ring_slot_abort(struct ring *r, size_t touched)
{
        assert(r->open_slot != NO_SLOT && touched <= r->identity.slot_bytes);

        memset(r->slots + r->open_slot * r->identity.slot_bytes, 0, touched);
        r->desc[r->open_slot].serial = 0;
        r->open_slot = NO_SLOT;
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

/* Damage says what differs from the frame before; that means nothing across a change of what is being shown. */
static bool continues(const struct vgpu_ring_desc *before, const struct ring_frame *f)
{
        return before->width == f->width && before->height == f->height &&
               before->stride == f->stride && before->fourcc == f->fourcc &&
               before->modifier == f->modifier && before->epoch == f->epoch &&
               before->run_epoch == f->run_epoch && before->producer_pid == f->producer_pid;
}

uint64_t ring_publish(struct ring *r, const struct ring_frame *f)
{
        const uint32_t slot = r->open_slot;
        struct vgpu_ring_desc *d = &r->desc[slot];

        assert(slot != NO_SLOT && f->width > 0 && f->height > 0);
        assert((uint64_t)f->height * f->stride <= r->identity.slot_bytes);

        d->n_damage = 0;
        if (has_frame(r) && continues(&r->desc[r->newest], f) && damage_fits(f)) {
                d->n_damage = f->n_damage;
                memcpy(d->damage, f->damage, f->n_damage * sizeof(f->damage[0]));
        }
        d->serial = ++r->serial;
        d->frame_id = f->frame_id;
        d->epoch = f->epoch;
        d->run_epoch = f->run_epoch;
        d->producer_pid = f->producer_pid;
        d->width = f->width;
        d->height = f->height;
        d->stride = f->stride;
        d->fourcc = f->fourcc;
        d->modifier = f->modifier;
        d->flags = f->flags;
        d->timestamp_ns = f->timestamp_ns;
        d->publish_ns = monotonic_ns();
        seq_close(&d->seq);

        /* pairs with the reader's acquire load of publish: who sees the word sees the slot */
        __atomic_store_n(&r->header->publish, VGPU_RING_WORD(r->serial, slot), __ATOMIC_RELEASE);
        r->newest = slot;
        r->open_slot = NO_SLOT;
        wake_readers(r);
        return r->serial;
}

/*
 * The four records have one shape: seq, serial, value. @quiet: the value differs only where nobody need wake, so it
 * is stored under the old serial.
 */
static bool record_store(struct ring *r, uint32_t *seq, uint64_t *serial, void *dst,
        const void *value, size_t len, bool quiet)
{
        seq_open(seq);
        memcpy(dst, value, len);
        if (!quiet)
                *serial += 1;
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
