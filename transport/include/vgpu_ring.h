/*
 * vgpu_ring.h - the ring: what the daemon publishes and local readers map
 *
 * A sealed memfd: a header page, one descriptor per slot, then page-aligned slots of pixels. The daemon is the only
 * writer of every byte; a reader's map is read-only by the kernel's word (F_SEAL_FUTURE_WRITE), so no reader can
 * harm another or the daemon. Native byte order, naturally aligned, fixed widths; reserved bytes are zero and
 * ignored by readers. Most readers want vgpu_client.h instead of this.
 *
 * Reading a slot (a seqlock):
 *      word = load(publish.word, acquire); none yet when 0
 *      s    = load(slot.seq, acquire); odd: being written, start over
 *      copy descriptor and pixels; check every value before using it
 *      fence(acquire); load(slot.seq, relaxed) == s and the descriptor's serial is the word's, else start over
 * Records (liveness, cursor, geometry, status) are read the same way under their own seq. Bound the retries: a
 * daemon that died while writing leaves an odd seq for ever.
 *
 * Waiting: load wake.word, look at what you care about, FUTEX_WAIT (not private) on the loaded value, always with a
 * timeout of at most tick_period_ms: any holder of a map can requeue other waiters. docs/ring.md has the whole
 * story.
 *
 * Compiles as C11 and C++11.
 */
#ifndef VGPU_RING_H
#define VGPU_RING_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define VGPU_RING_ASSERT(cond) static_assert(cond, #cond)
#else
#define VGPU_RING_ASSERT(cond) _Static_assert(cond, #cond)
#endif

#define VGPU_RING_MAGIC      UINT64_C(0x31474E5255504756) /* "VGPURNG1" */
#define VGPU_RING_VERSION    UINT32_C(0x00010000) /* major << 16 | minor; any minor will do */
#define VGPU_RING_MAJOR(v)   ((uint32_t)(v) >> 16)
#define VGPU_RING_PAGE       UINT32_C(4096)
#define VGPU_RING_MIN_SLOTS  3u
#define VGPU_RING_MAX_SLOTS  16u
#define VGPU_RING_MAX_DAMAGE 16u
#define VGPU_RING_MAX_BYTES  (UINT64_C(1) << 34) /* readers refuse a ring that says more */

#define VGPU_PAGE_HOLDS   7u
#define VGPU_RING_HISTORY 32u /* published frames whose damage can still be looked up */

/* identity.features; a reader ignores bits it does not know. */
#define VGPU_RING_FEATURE_LEASE                                                                    \
        UINT64_C(1) /* holds in a client's page keep slots from being reused */
#define VGPU_RING_FEATURE_HISTORY UINT64_C(2) /* identity.history_* say where past damage is */
#define VGPU_RING_FEATURE_SOON    UINT64_C(4) /* header.soon and due_ns are there */

/* What is true in each state; the words are those of `vgpuctl status`. */
enum vgpu_ring_state {
        VGPU_RING_ABSENT = 0,     /* no guest RAM to read */
        VGPU_RING_ATTACHING = 1,  /* RAM is there, no kernel found in it yet */
        VGPU_RING_SEARCHING = 2,  /* kernel found, no live producer */
        VGPU_RING_CONFIRMING = 3, /* producers found, waiting for a heartbeat */
        VGPU_RING_STREAMING = 4,  /* frames come as the guest makes them */
        VGPU_RING_STALLED = 5,    /* producer or guest stands still: the newest frame is old */
        VGPU_RING_STOPPING = 6,   /* daemon is going */
        VGPU_RING_CLOSED = 7,     /* nothing will be written here any more */
        VGPU_RING_N_STATES
};

/* slot flags */
#define VGPU_RING_FRAME_CURSOR_DRAWN UINT32_C(1) /* the cursor is in the pixels already */

struct vgpu_ring_rect {
        uint32_t x, y, w, h; /* pixels, inside the frame */
};

/* Written once, before the memfd leaves the daemon; never changes. Writer: ring_new(). Order: plain. */
struct vgpu_ring_identity {
        uint64_t magic;
        uint32_t version;
        /* where the first slot starts is slot_offset; this much precedes it */
        uint32_t header_bytes;
        uint64_t features;
        /* slot_offset + slot_count * slot_bytes; the memfd has exactly this size */
        uint64_t total_bytes;
        uint64_t slot_offset; /* page-aligned */
        uint64_t slot_bytes;  /* capacity of a slot, whole pages */
        uint32_t slot_count;
        uint32_t desc_offset;
        uint32_t desc_bytes; /* from one descriptor to the next */
        uint32_t tick_period_ms;
        /* random per daemon process: serials and generations compare within one instance only */
        uint8_t instance[16];
        uint64_t generation; /* rises with every new ring of an instance, from 1 */
        uint32_t daemon_pid; /* in the daemon's own pid namespace */
        /* struct vgpu_ring_change; all 0 without VGPU_RING_FEATURE_HISTORY */
        uint32_t history_offset;
        uint32_t history_bytes; /* from one entry to the next */
        uint32_t history_count;
        uint32_t reserved[6];
};

struct vgpu_ring_liveness {
        uint32_t state;        /* enum vgpu_ring_state */
        uint32_t run_epoch;    /* the producer's session counter; 0: none */
        uint64_t since_ns;     /* CLOCK_MONOTONIC, when @state began */
        uint64_t epoch;        /* which life of the guest, from 1; 0: none yet */
        uint32_t producer_pid; /* guest's pid; 0: none */
        uint32_t reserved;
};

struct vgpu_ring_cursor {
        /* in the virtual desktop: subtract the geometry's cap_x, cap_y for frame coordinates */
        int32_t x, y;
        uint16_t hot_x, hot_y;
        uint16_t glyph_w, glyph_h;
        uint32_t visible;
        uint32_t id; /* VGPU_CURSOR_ID_* of vgpu_stream.h */
        /* moves at every report of the producer; alone it wakes nobody and keeps the serial */
        uint32_t report;
        uint32_t reserved;
};

struct vgpu_ring_geometry {
        int32_t virt_x, virt_y;
        uint32_t virt_w, virt_h;
        int32_t cap_x, cap_y;
        uint32_t dpi;
        uint32_t refresh_mhz; /* millihertz */
};

struct vgpu_ring_status {
        uint32_t status;  /* VGPU_ST_* */
        uint32_t backend; /* VGPU_BK_* */
        uint32_t error_code;
        uint32_t applied_fps;
        uint32_t supported_formats; /* bit (1 << VGPU_FMT_*) */
        uint32_t ctrl_ack;
        uint32_t full_frame_ack;
        /* of the last control write that the external writer reported done; applied when ctrl_ack equals it */
        uint32_t ctrl_gen;
        /* these two alone wake nobody and keep the serial: they move all the time */
        uint64_t heartbeat;
        uint64_t content_change_ns; /* guest's monotonic clock */
};

/* Records: seq odd while written; serial +1 per change worth looking at, 0 before the first. Writer: the daemon. */
struct vgpu_ring_liveness_record {
        uint32_t seq;
        uint32_t reserved;
        uint64_t serial;
        struct vgpu_ring_liveness value;
        uint64_t reserved2[2];
};

struct vgpu_ring_cursor_record {
        uint32_t seq;
        uint32_t reserved;
        uint64_t serial;
        struct vgpu_ring_cursor value;
        uint64_t reserved2[2];
};

struct vgpu_ring_geometry_record {
        uint32_t seq;
        uint32_t reserved;
        uint64_t serial;
        struct vgpu_ring_geometry value;
        uint64_t reserved2[2];
};

struct vgpu_ring_status_record {
        uint32_t seq;
        uint32_t reserved;
        uint64_t serial;
        struct vgpu_ring_status value;
};

/*
 * The header page. Every field has one writer, the daemon; the order named is the writer's, readers load with
 * acquire. Words that change at different rates are on lines of their own, so that a tick does not evict a waiter's
 * word.
 */
struct vgpu_ring_header {
        struct vgpu_ring_identity identity;
        /* 0x080: release; generation that replaced this ring, 0: this is the current one */
        uint64_t superseded_by;
        uint64_t reserved0[7];
        struct vgpu_ring_liveness_record liveness; /* 0x0C0 */
        /* 0x100: relaxed; CLOCK_MONOTONIC at the daemon's last tick, every tick_period_ms */
        uint64_t tick_ns;
        uint64_t reserved1[7];
        /* 0x140: release, last of a frame; VGPU_RING_WORD(serial, slot), 0: no frame yet */
        uint64_t publish;
        uint64_t reserved2[7];
        /* 0x180: release; +1 after every change of anything below or above but the tick; the futex */
        uint32_t wake;
        uint32_t reserved3[15];
        struct vgpu_ring_cursor_record cursor;     /* 0x1C0 */
        struct vgpu_ring_geometry_record geometry; /* 0x200 */
        struct vgpu_ring_status_record status;     /* 0x240 */
        /*
         * 0x280: release, after due_ns; +1 when a frame begins to be written, while a client asked for it
         * (VGPU_WANT_SOON); a futex of its own. A hint and no more: the frame may be thrown away, and one may come
         * that was not announced.
         */
        uint32_t soon;
        uint32_t reserved4;
        uint64_t due_ns; /* relaxed; CLOCK_MONOTONIC when that frame is likely to be published */
        uint64_t reserved5[6];
};

/* One per slot. Writer: the daemon, inside the slot's seq window. Nothing in it counts before seq is confirmed. */
struct vgpu_ring_desc {
        /* odd: being written, or thrown away. relaxed + fence when odd, release when even */
        uint32_t seq;
        uint32_t n_damage; /* rectangles; 0: the whole frame */
        /* this frame's in the ring: +1 per published frame, over all generations of an instance */
        uint64_t serial;
        uint64_t frame_id; /* the producer's */
        uint64_t epoch;
        uint32_t run_epoch;
        uint32_t producer_pid;
        uint32_t width, height; /* pixels */
        uint32_t stride;        /* bytes; height * stride bytes are valid */
        uint32_t fourcc;        /* DRM_FORMAT_* */
        uint64_t modifier;      /* DRM_FORMAT_MOD_LINEAR (0) */
        uint32_t flags;         /* VGPU_RING_FRAME_* */
        uint32_t reserved0;
        uint64_t timestamp_ns; /* guest's monotonic clock at capture */
        uint64_t publish_ns;   /* CLOCK_MONOTONIC, just before `publish` was stored */
        uint64_t reserved1[5];
        struct vgpu_ring_rect damage[VGPU_RING_MAX_DAMAGE]; /* since the frame of serial - 1 */
        uint64_t reserved2[16];
};

#define VGPU_RING_DESC_OFFSET VGPU_RING_PAGE

/*
 * What one published frame changed, kept for a while after its slot is reused: entry serial % history_count. Writer:
 * the daemon, under seq, before the frame is published. The first frame of a ring has no predecessor in it: whole.
 */
struct vgpu_ring_change {
        uint32_t seq;
        uint32_t n_damage; /* 0: the whole frame */
        uint64_t serial;
        uint64_t reserved[6];
        struct vgpu_ring_rect damage[VGPU_RING_MAX_DAMAGE]; /* since the frame of serial - 1 */
};

/*
 * A client's own page: a memfd of its own, sealed SHRINK | GROW, passed with WELCOME. The client maps it writable,
 * seals FUTURE_WRITE (SEAL too, if it likes), so that nothing but its content can change any more, and says so (PAGE);
 * the daemon looks at it from there on. The client writes it, the daemon only reads it, and what stands in it can harm
 * nobody else. All of it is one cache line, since the daemon reads that of every client once per frame.
 *
 * Waiting on the wake descriptor: store a value other than 0 and than the last into `armed`, seq_cst fence, look at
 * the ring once more, sleep if nothing is new. The daemon writes one byte per value it finds there after a change, and
 * none while it is 0. `interest` is a set of VGPU_CHANGE_*; other changes do not wake; 0: all do.
 *
 * Holding a frame without a copy (a lease):
 *      word = load(publish, acquire); store(hold, word); fence(seq_cst)
 *      load(publish, acquire) == word: held; else clear the hold and start over
 *      now read descriptor and pixels; the slot's seq is even and its serial the word's for as long as it is held
 *      store(hold, 0, release) to let go
 * A hold must stand when the frame stops being the newest; setting it later is too late, letting go and setting it
 * again renews nothing. The daemon never waits for a hold: it honours slot_count - 2 slots over all clients, each for
 * WELCOME's lease time from when the frame stopped being the newest. After use, look at seq and serial again: if they
 * moved, the hold was ended and what was read may be torn.
 */
struct vgpu_client_page {
        uint32_t armed;
        uint32_t interest;
        uint64_t hold[VGPU_PAGE_HOLDS]; /* VGPU_RING_WORD(serial, slot); 0: none */
};

#define VGPU_CHANGE_FRAME    UINT32_C(1)
#define VGPU_CHANGE_CURSOR   UINT32_C(2)
#define VGPU_CHANGE_GEOMETRY UINT32_C(4)
#define VGPU_CHANGE_STATUS   UINT32_C(8)
#define VGPU_CHANGE_STATE    UINT32_C(16) /* liveness; superseded and closed rings wake everybody */

#define VGPU_RING_WORD(serial, slot) ((uint64_t)(serial) << 8 | (uint64_t)(slot))
#define VGPU_RING_WORD_SERIAL(word)  ((uint64_t)(word) >> 8)
#define VGPU_RING_WORD_SLOT(word)    ((uint32_t)((uint64_t)(word)&0xFF))

VGPU_RING_ASSERT(sizeof(struct vgpu_ring_rect) == 16);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_identity) == 0x80);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, magic) == 0x00);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, version) == 0x08);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, header_bytes) == 0x0C);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, features) == 0x10);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, total_bytes) == 0x18);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, slot_offset) == 0x20);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, slot_bytes) == 0x28);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, slot_count) == 0x30);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, desc_offset) == 0x34);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, desc_bytes) == 0x38);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, tick_period_ms) == 0x3C);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, instance) == 0x40);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, generation) == 0x50);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, daemon_pid) == 0x58);

VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, history_offset) == 0x5C);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, history_bytes) == 0x60);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_identity, history_count) == 0x64);

VGPU_RING_ASSERT(sizeof(struct vgpu_ring_change) == 0x140);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_change, serial) == 0x08);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_change, damage) == 0x40);

VGPU_RING_ASSERT(sizeof(struct vgpu_client_page) == 64);
VGPU_RING_ASSERT(offsetof(struct vgpu_client_page, interest) == 0x04);
VGPU_RING_ASSERT(offsetof(struct vgpu_client_page, hold) == 0x08);

VGPU_RING_ASSERT(sizeof(struct vgpu_ring_liveness) == 32);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_cursor) == 32);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_geometry) == 32);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_status) == 48);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_liveness_record) == 64);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_cursor_record) == 64);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_geometry_record) == 64);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_status_record) == 64);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_cursor_record, serial) == 8);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_cursor_record, value) == 16);

VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, superseded_by) == 0x080);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, liveness) == 0x0C0);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, tick_ns) == 0x100);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, publish) == 0x140);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, wake) == 0x180);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, cursor) == 0x1C0);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, geometry) == 0x200);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, status) == 0x240);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, soon) == 0x280);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_header, due_ns) == 0x288);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_header) == 0x2C0);

VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, seq) == 0x00);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, n_damage) == 0x04);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, serial) == 0x08);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, frame_id) == 0x10);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, epoch) == 0x18);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, run_epoch) == 0x20);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, producer_pid) == 0x24);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, width) == 0x28);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, height) == 0x2C);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, stride) == 0x30);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, fourcc) == 0x34);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, modifier) == 0x38);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, flags) == 0x40);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, timestamp_ns) == 0x48);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, publish_ns) == 0x50);
VGPU_RING_ASSERT(offsetof(struct vgpu_ring_desc, damage) == 0x80);
VGPU_RING_ASSERT(sizeof(struct vgpu_ring_desc) == 0x200);

#endif /* VGPU_RING_H */
