/*
 * vgpu_stream.h - the region: what a producer in the guest writes and the host reads
 *
 * The region is one read-write mapping in the user address space of a producer process, its base aligned to 64 KiB. It
 * starts with the producer block (4096 bytes, written by the guest alone), holds the control block at
 * VGPU_CONTROL_OFFSET (written by an external host writer alone) and ends in slot_count slots of pixels. x86-64,
 * little-endian, naturally aligned; every shared word is a single aligned atomic. Reserved bytes are zero and ignored
 * by readers.
 *
 * This header is the ABI, version 1.0: it needs nothing but <stdint.h> and <stddef.h>, compiles as C11 and as C++,
 * hosted and freestanding, and asserts every offset. docs/region-abi.md says in what order things are written and read.
 */
#ifndef VGPU_STREAM_H
#define VGPU_STREAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define VGPU_STREAM_ASSERT(cond) static_assert(cond, #cond)
#else
#define VGPU_STREAM_ASSERT(cond) _Static_assert(cond, #cond)
#endif

#define VGPU_MAGIC               UINT64_C(0x314D545355504756) /* "VGPUSTM1"; written last, with release */
#define VGPU_ABI_VERSION         UINT32_C(0x00010000)         /* major << 16 | minor */
#define VGPU_ABI_MAJOR(v)        ((uint32_t)(v) >> 16)
#define VGPU_REGION_ALIGN        UINT64_C(0x10000) /* Windows' allocation granularity */
#define VGPU_PRODUCER_BYTES      UINT32_C(0x1000)
#define VGPU_CONTROL_OFFSET      UINT32_C(0x1000)
#define VGPU_CONTROL_BYTES       UINT32_C(64)
#define VGPU_RING_OFFSET         UINT64_C(0x10000)
#define VGPU_SLOT_STRIDE         UINT64_C(0x08000000) /* most bytes one slot may span: 128 MiB */
#define VGPU_MIN_SLOTS           2u
#define VGPU_MAX_SLOTS           8u
#define VGPU_HEARTBEAT_PERIOD_MS 100u /* a reader confirms after 2, calls it lost after 5 */
#define VGPU_SLOT_NONE           UINT32_C(0xFFFFFFFF) /* `latest` before the first frame */
#define VGPU_MAX_DAMAGE          16u                  /* rectangles per frame */

/* status */
enum {
        VGPU_ST_INIT = 0,
        VGPU_ST_RUNNING = 1,
        VGPU_ST_PAUSED = 2,
        VGPU_ST_NO_DISPLAY = 3,
        VGPU_ST_ERROR = 4,
        VGPU_ST_STOPPING = 5,
};

/* backend */
enum {
        VGPU_BK_NONE = 0,
        VGPU_BK_GDI = 1,
        VGPU_BK_DXGI_DUPLICATION = 2,
        VGPU_BK_WGC = 3,
        VGPU_BK_IDD = 4,
        VGPU_BK_SYNTHETIC = 5,
};

/* desired_state */
enum {
        VGPU_CMD_NONE = 0,
        VGPU_CMD_RUN = 1,
        VGPU_CMD_PAUSE = 2,
        VGPU_CMD_STOP = 3,
};

/* format, with the DRM fourcc that names the same bytes */
enum {
        VGPU_FMT_BGRA8888 = 1,    /* AR24 */
        VGPU_FMT_BGRX8888 = 2,    /* XR24 */
        VGPU_FMT_RGBA8888 = 3,    /* AB24 */
        VGPU_FMT_RGBX8888 = 4,    /* XB24 */
        VGPU_FMT_BGRA1010102 = 5, /* AR30 */
        VGPU_FMT_RGBA16F = 6,     /* AB4H */
        VGPU_FMT_RGBA1010102 = 7, /* AB30: what DXGI's R10G10B10A2 gives */
};

/* cursor_id */
enum {
        VGPU_CURSOR_ID_UNKNOWN = 0,
        VGPU_CURSOR_ID_ARROW = 1,
        VGPU_CURSOR_ID_IBEAM = 2,
        VGPU_CURSOR_ID_WAIT = 3,
        VGPU_CURSOR_ID_CROSS = 4,
        VGPU_CURSOR_ID_UPARROW = 5,
        VGPU_CURSOR_ID_SIZENWSE = 6,
        VGPU_CURSOR_ID_SIZENESW = 7,
        VGPU_CURSOR_ID_SIZEWE = 8,
        VGPU_CURSOR_ID_SIZENS = 9,
        VGPU_CURSOR_ID_SIZEALL = 10,
        VGPU_CURSOR_ID_NO = 11,
        VGPU_CURSOR_ID_HAND = 12,
        VGPU_CURSOR_ID_APPSTARTING = 13,
        VGPU_CURSOR_ID_HELP = 14,
        VGPU_CURSOR_ID_CUSTOM = 255, /* 1.0 carries no bitmap: drawn as a placeholder */
};

#define VGPU_FRAME_CURSOR_DRAWN UINT32_C(1) /* slot flags: the cursor is in the pixels */

/* One slot's line: what its pixels are. Part of the slot, so read inside its seq window. */
typedef struct {
        uint32_t seq;          /* odd while the slot is being written */
        uint32_t damage_count; /* 1..16 rectangles since damage_base; else the whole frame */
        uint32_t width;
        uint32_t height;
        uint32_t stride;   /* bytes */
        uint32_t format;   /* VGPU_FMT_* */
        uint64_t frame_id; /* from 1, strictly rising over the whole process life, gaps allowed */
        uint64_t timestamp_ns; /* producer's monotonic clock at capture */
        uint32_t flags;        /* VGPU_FRAME_* */
        uint32_t run_epoch;    /* the run this frame belongs to */
        uint64_t damage_base;  /* frame_id of the same run and mode; 0: whole frame */
        uint64_t reserved;
} vgpu_slot_t;

typedef struct {
        uint32_t x, y, w, h;
} vgpu_rect_t;

/* The producer block. Grouped in 64-byte lines, each with its own writing discipline. */
typedef struct {
        /* 0x000 identity: written once per mapping, magic last */
        uint64_t magic;
        uint32_t abi_version;
        uint32_t producer_bytes;      /* VGPU_PRODUCER_BYTES */
        uint64_t region_bytes;        /* ring_offset + slot_count * slot_stride */
        uint32_t control_offset;      /* VGPU_CONTROL_OFFSET */
        uint32_t control_bytes;       /* VGPU_CONTROL_BYTES */
        uint64_t ring_offset;         /* VGPU_RING_OFFSET */
        uint64_t slot_stride;         /* multiple of 4096, > 0, <= VGPU_SLOT_STRIDE */
        uint32_t slot_count;          /* VGPU_MIN_SLOTS..VGPU_MAX_SLOTS */
        uint32_t heartbeat_period_ms; /* 1..VGPU_HEARTBEAT_PERIOD_MS */
        uint32_t producer_pid;        /* the guest's pid of the process this mapping is in */
        uint32_t identity_crc;        /* CRC-32C of bytes 0x00..0x3B, magic included */

        /* 0x040 status: cold, independent atomics */
        uint64_t heartbeat;  /* +1 per period while the producer lives */
        uint32_t run_epoch;  /* from 1; +1 per session break inside one process */
        uint32_t status;     /* VGPU_ST_* */
        uint32_t backend;    /* VGPU_BK_* */
        uint32_t error_code; /* the backend's own; 0: none */
        uint32_t applied_fps;
        uint32_t supported_formats; /* bit (1 << VGPU_FMT_*) */
        uint32_t ctrl_ack;          /* last even ctrl_gen applied */
        uint32_t full_frame_ack;    /* last full_frame_req honoured */
        uint64_t content_change_ns; /* producer clock when content last changed */
        uint64_t reserved_status[2];

        /* 0x080 cursor: seqlock on cursor_seq, which moves on by 2 at every report, changed or not */
        uint32_t cursor_seq;
        uint32_t cursor_visible;
        uint64_t cursor_pos;     /* x low, y high 32 bits, two's complement */
        uint32_t cursor_hotspot; /* x low, y high 16 bits */
        uint32_t cursor_glyph;   /* w low, h high 16 bits */
        uint32_t cursor_id;      /* VGPU_CURSOR_ID_* */
        uint32_t reserved_cursor[9];

        /* 0x0C0 geometry: seqlock on geom_seq */
        uint32_t geom_seq;
        int32_t virt_x, virt_y;
        uint32_t virt_w, virt_h;
        int32_t cap_x, cap_y;
        uint32_t dpi;
        uint32_t refresh_mhz; /* millihertz */
        uint32_t reserved_geom[7];

        /* 0x100 publish: latest (release), then its mirror (release) */
        uint32_t latest; /* slot of the newest complete frame, or VGPU_SLOT_NONE */
        uint32_t reserved_publish;
        uint64_t latest_frame_id;
        uint64_t reserved_publish2[6];

        /* 0x140 one line per slot */
        vgpu_slot_t slot[VGPU_MAX_SLOTS];

        uint8_t reserved_slots[0x400 - 0x340];

        /* 0x400 damage lists, part of their slots */
        vgpu_rect_t damage[VGPU_MAX_SLOTS][VGPU_MAX_DAMAGE];

        uint8_t reserved_tail[0x1000 - 0xC00];
} vgpu_producer_t;

/* The control block: written by the external host writer alone, under ctrl_gen as a seqlock. */
typedef struct {
        uint32_t ctrl_gen;       /* odd while being written */
        uint32_t desired_state;  /* VGPU_CMD_*: first byte of an intent's significant range */
        uint32_t target_fps;     /* 0: producer's default */
        uint32_t draw_cursor;    /* 0 or 1 */
        uint32_t full_frame_req; /* edge counter: last field of the significant range */
        uint32_t consumer_attached;
        uint64_t consumer_tick;
        uint64_t reserved[4];
} vgpu_control_t;

#define VGPU_STREAM_AT(type, field, at) VGPU_STREAM_ASSERT(offsetof(type, field) == (at))

VGPU_STREAM_AT(vgpu_producer_t, magic, 0x00);
VGPU_STREAM_AT(vgpu_producer_t, abi_version, 0x08);
VGPU_STREAM_AT(vgpu_producer_t, producer_bytes, 0x0C);
VGPU_STREAM_AT(vgpu_producer_t, region_bytes, 0x10);
VGPU_STREAM_AT(vgpu_producer_t, control_offset, 0x18);
VGPU_STREAM_AT(vgpu_producer_t, control_bytes, 0x1C);
VGPU_STREAM_AT(vgpu_producer_t, ring_offset, 0x20);
VGPU_STREAM_AT(vgpu_producer_t, slot_stride, 0x28);
VGPU_STREAM_AT(vgpu_producer_t, slot_count, 0x30);
VGPU_STREAM_AT(vgpu_producer_t, heartbeat_period_ms, 0x34);
VGPU_STREAM_AT(vgpu_producer_t, producer_pid, 0x38);
VGPU_STREAM_AT(vgpu_producer_t, identity_crc, 0x3C);
VGPU_STREAM_AT(vgpu_producer_t, heartbeat, 0x40);
VGPU_STREAM_AT(vgpu_producer_t, run_epoch, 0x48);
VGPU_STREAM_AT(vgpu_producer_t, status, 0x4C);
VGPU_STREAM_AT(vgpu_producer_t, backend, 0x50);
VGPU_STREAM_AT(vgpu_producer_t, error_code, 0x54);
VGPU_STREAM_AT(vgpu_producer_t, applied_fps, 0x58);
VGPU_STREAM_AT(vgpu_producer_t, supported_formats, 0x5C);
VGPU_STREAM_AT(vgpu_producer_t, ctrl_ack, 0x60);
VGPU_STREAM_AT(vgpu_producer_t, full_frame_ack, 0x64);
VGPU_STREAM_AT(vgpu_producer_t, content_change_ns, 0x68);
VGPU_STREAM_AT(vgpu_producer_t, cursor_seq, 0x80);
VGPU_STREAM_AT(vgpu_producer_t, cursor_visible, 0x84);
VGPU_STREAM_AT(vgpu_producer_t, cursor_pos, 0x88);
VGPU_STREAM_AT(vgpu_producer_t, cursor_hotspot, 0x90);
VGPU_STREAM_AT(vgpu_producer_t, cursor_glyph, 0x94);
VGPU_STREAM_AT(vgpu_producer_t, cursor_id, 0x98);
VGPU_STREAM_AT(vgpu_producer_t, geom_seq, 0xC0);
VGPU_STREAM_AT(vgpu_producer_t, virt_x, 0xC4);
VGPU_STREAM_AT(vgpu_producer_t, virt_y, 0xC8);
VGPU_STREAM_AT(vgpu_producer_t, virt_w, 0xCC);
VGPU_STREAM_AT(vgpu_producer_t, virt_h, 0xD0);
VGPU_STREAM_AT(vgpu_producer_t, cap_x, 0xD4);
VGPU_STREAM_AT(vgpu_producer_t, cap_y, 0xD8);
VGPU_STREAM_AT(vgpu_producer_t, dpi, 0xDC);
VGPU_STREAM_AT(vgpu_producer_t, refresh_mhz, 0xE0);
VGPU_STREAM_AT(vgpu_producer_t, latest, 0x100);
VGPU_STREAM_AT(vgpu_producer_t, latest_frame_id, 0x108);
VGPU_STREAM_AT(vgpu_producer_t, slot, 0x140);
VGPU_STREAM_AT(vgpu_producer_t, damage, 0x400);
VGPU_STREAM_ASSERT(sizeof(vgpu_producer_t) == 0x1000);

VGPU_STREAM_AT(vgpu_slot_t, seq, 0x00);
VGPU_STREAM_AT(vgpu_slot_t, damage_count, 0x04);
VGPU_STREAM_AT(vgpu_slot_t, width, 0x08);
VGPU_STREAM_AT(vgpu_slot_t, height, 0x0C);
VGPU_STREAM_AT(vgpu_slot_t, stride, 0x10);
VGPU_STREAM_AT(vgpu_slot_t, format, 0x14);
VGPU_STREAM_AT(vgpu_slot_t, frame_id, 0x18);
VGPU_STREAM_AT(vgpu_slot_t, timestamp_ns, 0x20);
VGPU_STREAM_AT(vgpu_slot_t, flags, 0x28);
VGPU_STREAM_AT(vgpu_slot_t, run_epoch, 0x2C);
VGPU_STREAM_AT(vgpu_slot_t, damage_base, 0x30);
VGPU_STREAM_ASSERT(sizeof(vgpu_slot_t) == 64);
VGPU_STREAM_ASSERT(sizeof(vgpu_rect_t) == 16);

VGPU_STREAM_AT(vgpu_control_t, ctrl_gen, 0x00);
VGPU_STREAM_AT(vgpu_control_t, desired_state, 0x04);
VGPU_STREAM_AT(vgpu_control_t, target_fps, 0x08);
VGPU_STREAM_AT(vgpu_control_t, draw_cursor, 0x0C);
VGPU_STREAM_AT(vgpu_control_t, full_frame_req, 0x10);
VGPU_STREAM_AT(vgpu_control_t, consumer_attached, 0x14);
VGPU_STREAM_AT(vgpu_control_t, consumer_tick, 0x18);
VGPU_STREAM_ASSERT(sizeof(vgpu_control_t) == 64);

/* Bytes per pixel of a VGPU_FMT_*, or 0 when the format is not known. */
static inline uint32_t vgpu_format_bpp(uint32_t format)
{
        switch (format) {
        case VGPU_FMT_BGRA8888:
        case VGPU_FMT_BGRX8888:
        case VGPU_FMT_RGBA8888:
        case VGPU_FMT_RGBX8888:
        case VGPU_FMT_BGRA1010102:
        case VGPU_FMT_RGBA1010102:
                return 4;
        case VGPU_FMT_RGBA16F:
                return 8;
        default:
                return 0;
        }
}

#endif /* VGPU_STREAM_H */
