/*
 * vgpu_producer.h - the writer's side of the region ABI
 *
 * A producer owns one mapping laid out as vgpu_stream.h says and publishes frames, cursor, geometry and status into it.
 * This library is the order of those writes and nothing else: it has no clock, no allocation, no system call and no
 * libc, so that a simulated guest on the host, a kernel in a virtual machine and a Windows program are all the same
 * writer. The environment provides memset().
 *
 * One thread writes. Nothing here blocks or loops without a bound. The host reads at any moment, so every store that a
 * reader can act on is ordered before the store that makes it act; pixels may be written with non-temporal stores.
 */
#ifndef VGPU_PRODUCER_H
#define VGPU_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a mapping is published with; fixed until the region is retired or published anew. */
struct vgpu_producer_setup {
        uint32_t pid; /* the guest's own pid of this process */
        uint32_t slot_count;
        uint64_t slot_stride; /* bytes, see vgpu_producer_slot_stride() */
        uint32_t
                heartbeat_period_ms; /* how often the caller means to call vgpu_producer_heartbeat() */
        uint32_t backend;            /* VGPU_BK_* */
        uint32_t supported_formats; /* bit (1 << VGPU_FMT_*) */
        uint32_t
                run_epoch; /* 1 in a new process; a later mapping of the same process goes on from the last */
        uint64_t last_frame_id; /* 0 in a new process; a later mapping goes on from the last */
};

/* One writer. Caller's memory; the fields are private. */
struct vgpu_producer {
        vgpu_producer_t *block;
        vgpu_control_t *control;
        uint8_t *ring;
        uint64_t mapping_bytes;
        uint64_t slot_stride;
        uint32_t slot_count;
        uint32_t latest;    /* as published */
        uint32_t open_slot; /* between begin and end; VGPU_SLOT_NONE otherwise */
        uint32_t run_epoch;
        uint32_t ctrl_seen; /* generation of the last intent handed out */
        uint64_t frame_id;  /* last one begun */
        uint64_t serial;    /* counts publications */
        uint64_t left_latest
                [VGPU_MAX_SLOTS]; /* serial at which the slot stopped being the newest; 0: never was */
};

/* What is known of a frame when it is complete. */
struct vgpu_producer_frame {
        uint32_t width, height;
        uint32_t stride;           /* bytes */
        uint32_t format;           /* VGPU_FMT_* */
        uint32_t flags;            /* VGPU_FRAME_* */
        uint32_t damage_count;     /* 0, or more than VGPU_MAX_DAMAGE: whole frame */
        const vgpu_rect_t *damage; /* @damage_count rectangles, borrowed */
        uint64_t damage_base;      /* frame_id they are relative to; 0: whole frame */
        uint64_t timestamp_ns;     /* producer's monotonic clock at capture */
        bool content_changed;      /* moves content_change_ns to @timestamp_ns */
};

struct vgpu_producer_cursor {
        bool visible;
        int32_t x, y;
        uint16_t hot_x, hot_y;
        uint16_t glyph_w, glyph_h;
        uint32_t id; /* VGPU_CURSOR_ID_* */
};

struct vgpu_producer_geometry {
        int32_t virt_x, virt_y;
        uint32_t virt_w, virt_h;
        int32_t cap_x, cap_y;
        uint32_t dpi;
        uint32_t refresh_mhz; /* millihertz */
};

/* What the host asks for. The host is another party: the caller bounds the values before it acts on them. */
struct vgpu_producer_intent {
        uint32_t ctrl_gen;
        uint32_t desired_state; /* VGPU_CMD_* */
        uint32_t target_fps;    /* 0: producer's default */
        uint32_t draw_cursor;
        uint32_t full_frame_req;
};

/**
 * vgpu_producer_slot_stride() - least slot stride that holds a mode
 * @width: pixels
 * @height: pixels
 * @format: VGPU_FMT_*
 *
 * Return: bytes, a multiple of 4096, for a frame whose rows are tight; 0 when the format is unknown, a side is zero or
 * the frame would not fit VGPU_SLOT_STRIDE.
 */
uint64_t vgpu_producer_slot_stride(uint32_t width, uint32_t height, uint32_t format);

/**
 * vgpu_producer_region_bytes() - size of the mapping a geometry needs
 * @slot_count: VGPU_MIN_SLOTS..VGPU_MAX_SLOTS
 * @slot_stride: bytes, a multiple of 4096, at most VGPU_SLOT_STRIDE
 *
 * Return: bytes; 0 when an argument is outside its range.
 */
uint64_t vgpu_producer_region_bytes(uint32_t slot_count, uint64_t slot_stride);

/**
 * vgpu_producer_init() - publish a region in a fresh mapping
 * @p: caller's memory; need not be initialised
 * @mapping: zero-filled, aligned to at least 64 bytes, writable; borrowed until vgpu_producer_retire()
 * @mapping_bytes: bytes at @mapping
 * @setup: copied
 *
 * Writes the whole identity, the magic last. Status is VGPU_ST_INIT, the heartbeat 0, no frame is published.
 *
 * Return: true; false when @setup is out of range or does not fit the mapping, which is then untouched.
 */
bool vgpu_producer_init(struct vgpu_producer *p, void *mapping, uint64_t mapping_bytes,
        const struct vgpu_producer_setup *setup);

/**
 * vgpu_producer_reinit() - publish anew inside the same mapping
 * @p: initialised, with no frame begun; it may have been retired
 * @setup: copied; its run_epoch and last_frame_id are ignored
 *
 * Clears the magic first, goes on with the next run_epoch, and leaves every seq, cursor_seq, geom_seq and frame_id where
 * it was, so that a reader in the middle of the old life can never take two lives for one.
 *
 * Return: true; false as vgpu_producer_init(), with nothing changed.
 */
bool vgpu_producer_reinit(struct vgpu_producer *p, const struct vgpu_producer_setup *setup);

/**
 * vgpu_producer_retire() - take the region back
 * @p: initialised
 *
 * Status goes to VGPU_ST_STOPPING and the magic is cleared before this returns, so the caller may then unmap.
 */
void vgpu_producer_retire(struct vgpu_producer *p);

/**
 * vgpu_producer_begin_frame() - open a slot for writing
 * @p: initialised, with no frame begun
 * @ret_frame_id: the frame's id
 *
 * Takes the slot that has been out of `latest` longest, never the newest, and makes its seq odd. What the slot held
 * before is some older frame. Always followed by vgpu_producer_end_frame() or vgpu_producer_cancel_frame().
 *
 * Return: the slot's pixels, slot_stride bytes.
 */
void *vgpu_producer_begin_frame(struct vgpu_producer *p, uint64_t *ret_frame_id);

/**
 * vgpu_producer_end_frame() - publish the open slot
 * @p: with a frame begun
 * @frame: copied; its pixels are in the slot
 *
 * Return: true; false when the frame's description is impossible or its bytes do not fit the slot: the frame is then
 * cancelled.
 */
bool vgpu_producer_end_frame(struct vgpu_producer *p, const struct vgpu_producer_frame *frame);

/**
 * vgpu_producer_cancel_frame() - close the open slot without publishing it
 * @p: with a frame begun
 *
 * The slot's seq becomes even again over an impossible descriptor, so a reader with an old `latest` refuses it. The
 * frame_id is used up.
 */
void vgpu_producer_cancel_frame(struct vgpu_producer *p);

/* One more period lived. Call it every heartbeat_period_ms, whatever else happens. */
void vgpu_producer_heartbeat(struct vgpu_producer *p);

/* Report the cursor. Every report counts, changed or not. */
void vgpu_producer_report_cursor(
        struct vgpu_producer *p, const struct vgpu_producer_cursor *cursor);

/* Report the display. Call it when it changes. */
void vgpu_producer_report_geometry(
        struct vgpu_producer *p, const struct vgpu_producer_geometry *geometry);

/* Cold words of the status line, each an atomic of its own. @status is VGPU_ST_*; @error_code is the backend's own. */
void vgpu_producer_set_status(struct vgpu_producer *p, uint32_t status, uint32_t error_code);
void vgpu_producer_set_backend(struct vgpu_producer *p, uint32_t backend);
void vgpu_producer_set_applied_fps(struct vgpu_producer *p, uint32_t fps);

/**
 * vgpu_producer_break_run() - a session break inside one process: display lost, mode reset
 * @p: initialised, with no frame begun
 *
 * Frames begun from now on belong to the next run_epoch.
 *
 * Return: the new run_epoch.
 */
uint32_t vgpu_producer_break_run(struct vgpu_producer *p);

/**
 * vgpu_producer_poll_control() - look for an intent of the host
 * @p: initialised
 * @ret_intent: written when the return is true
 *
 * One look: an intent being written is found by a later call.
 *
 * Return: true when a complete intent newer than the last one handed out was copied.
 */
bool vgpu_producer_poll_control(struct vgpu_producer *p, struct vgpu_producer_intent *ret_intent);

/* The intent is in force. @ctrl_gen is the intent's. */
void vgpu_producer_ack_control(struct vgpu_producer *p, uint32_t ctrl_gen);

/* A whole frame has been published since full_frame_req became @req. */
void vgpu_producer_ack_full_frame(struct vgpu_producer *p, uint32_t req);

#ifdef __cplusplus
}
#endif

#endif /* VGPU_PRODUCER_H */
