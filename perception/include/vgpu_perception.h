/*
 * vgpu_perception.h - host-side, read-only perception over the vgpu region
 *
 * A pure core over a guest address-space root that the caller hands in: it finds the region by its structure in a
 * producer process' user address space, samples frames and reads cursor, geometry and status into plain values. It never
 * opens or keeps what it is lent, never sleeps, logs, transports or writes guest memory, and calls back only where a helper
 * was offered.
 *
 * The System cr3 opens the win32 context and lists processes; the region itself is always read under the producer's own
 * cr3, which the handle carries. v and m are BORROWED everywhere; a vgpup_region is heap-owned by the core.
 *
 * Returns: 0 / negative errno for deterministic calls. Lossy reads are tristate: 1 = a consistent snapshot, 0 = nothing
 * new, the writer was busy past the retry limit, or it does not fit (a skip, never an error), < 0 = a hard read error: the
 * page is gone, the process is another one or has ended (-ESTALE), the kernel is another one. The caller then closes the
 * handle and discovers again; what that means for its own state is the caller's policy.
 *
 * No foreign byte: a value leaves this API only if, after the copy, its seq, the region's identity, every page-table
 * entry used, the process object and the kernel's anchors were read again and had not changed. What that cannot see is
 * written in docs/perception.md.
 *
 * Two epochs: when the address space itself is another one (reboot), the caller closes the win32 context and the handle
 * and starts over. When only run_epoch moves (vgpup_run_epoch()), context, region and process are unchanged.
 */
#ifndef VGPU_PERCEPTION_H
#define VGPU_PERCEPTION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_stream.h"
#include "win32.h"

/* A found region in a producer's user address space. Opaque; holds small private state, never v or m. */
typedef struct vgpup_region vgpup_region;

/* ---- handle ------------------------------------------------------------------------------------------------------ */

/**
 * vgpup_open() - phase 1: find a producer and bind its region
 * @v: borrowed context
 *
 * Lists processes, scans each one's user address space, takes the first region whose identity checks out. Liveness is not
 * proven: wait VGPU_HEARTBEAT_PERIOD_MS or more, then vgpup_confirm_alive(). Sampling before that is allowed (lossy).
 *
 * Return: handle, or NULL if no process has a region (or memory ran out).
 */
vgpup_region *vgpup_open(vmie_win32 *v);

/* Frees the core's state only; touches neither v nor m. NULL is fine. */
void vgpup_close(vgpup_region *r);

/* ---- two-phase discovery: the wait between the calls belongs to the caller ---------------------------------------- */

/**
 * vgpup_discover_candidate() - phase 1 without a handle
 * @v:              borrowed context
 * @out_proc_cr3:   producer's page-table root
 * @out_region_gva: base of the region in it
 * @out_hb0:        heartbeat now
 *
 * Return: 0, or < 0 (-ENOENT: no candidate in any process; outputs untouched).
 */
int vgpup_discover_candidate(
        vmie_win32 *v, uint64_t *out_proc_cr3, uint64_t *out_region_gva, uint64_t *out_hb0);

/**
 * vgpup_confirm_alive() - phase 2: did the heartbeat advance?
 * @m:          borrowed memory
 * @proc_cr3:   as discovered
 * @region_gva: as discovered
 * @hb0:        as discovered
 *
 * Entries and identity are rechecked; no process is named here, so its end cannot be: vgpup_read_status() of a bound
 * handle sees that too.
 *
 * Return: 1 (alive), 0 (did not tick), < 0 (a read error; -ESTALE: no region there any more; -EAGAIN: its page kept moving
 * or is in transition).
 */
int vgpup_confirm_alive(vmie_mem *m, uint64_t proc_cr3, uint64_t region_gva, uint64_t hb0);

/* ---- snapshots --------------------------------------------------------------------------------------------------- */

typedef struct {
        uint32_t width, height, stride, format; /* pixels, pixels, bytes, VGPU_FMT_* */
        uint64_t frame_id;
        uint64_t timestamp_ns; /* guest's monotonic clock */
} vgpup_frame_desc;

typedef struct {
        vgpup_frame_desc desc;
        size_t bytes; /* copied: height * stride */
} vgpup_frame_info;

typedef struct {
        uint32_t seq; /* of this snapshot: moves on at every report, so idle is not silent */
        uint32_t visible;
        int32_t x, y;
        uint16_t hot_x, hot_y;
        uint16_t glyph_w, glyph_h;
        uint32_t id; /* VGPU_CURSOR_ID_* */
} vgpup_cursor;

typedef struct {
        int32_t virt_x, virt_y;
        uint32_t virt_w, virt_h;
        int32_t cap_x, cap_y;
        uint32_t dpi, refresh_mhz;
} vgpup_geometry;

typedef struct {
        uint64_t heartbeat;
        uint32_t run_epoch;
        uint32_t status;  /* VGPU_ST_* */
        uint32_t backend; /* VGPU_BK_* */
        uint32_t error_code;
        uint32_t applied_fps;
        uint32_t supported_formats;
        uint32_t ctrl_ack;
        uint32_t full_frame_ack;
        uint64_t content_change_ns;
} vgpup_status;

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/**
 * vgpup_sample_frame() - copy the newest frame
 * @r:    handle
 * @m:    borrowed memory
 * @dst:  caller's buffer
 * @cap:  its size in bytes
 * @info: filled on 1 only
 *
 * latest, seq, descriptor, bytes, seq again in one window, then the rechecks of the head of this file. A frame whose
 * frame_id is not above the last one sampled is not fresh. Nothing is allocated. After 0 or < 0, @dst is unspecified and
 * must not be shown: it may hold bytes that were refused.
 *
 * Return: 1, 0 (nothing fresh, writer busy, over @cap, a malformed descriptor, translations moved, a page in transition),
 * < 0.
 */
int vgpup_sample_frame(
        vgpup_region *r, vmie_mem *m, uint8_t *dst, size_t cap, vgpup_frame_info *info);

/* Return: 1, 0 (writer busy past the retry limit), < 0. @out is written on 1 only. */
int vgpup_read_cursor(vgpup_region *r, vmie_mem *m, vgpup_cursor *out);
int vgpup_read_geometry(vgpup_region *r, vmie_mem *m, vgpup_geometry *out);

/* Independent atomics, no seqlock. Return: 0, < 0 (-EAGAIN: its page kept moving or is in transition); @out is written on
 * 0 only, and run_epoch recorded in @r. */
int vgpup_read_status(vgpup_region *r, vmie_mem *m, vgpup_status *out);

/* run_epoch of the last successful vgpup_read_status(); before one, of the binding. The core holds no reset policy. */
uint32_t vgpup_run_epoch(const vgpup_region *r);

/* ---- control: the seam only ---------------------------------------------------------------------------------------- */

typedef struct {
        uint32_t desired_state; /* VGPU_CMD_* */
        uint32_t target_fps;    /* 0: producer's default */
        uint32_t draw_cursor;   /* 0 or 1 */
        uint32_t full_frame_req;
} vgpup_control_intent;

/**
 * vgpup_build_control_write() - build the image an external writer would store
 * @r:            handle
 * @in:           what is wanted
 * @out_frame:    all zero but the significant fields; ctrl_gen is the writer's, under its seqlock
 * @out_ctrl_gva: control block; valid under the producer's cr3, never the System's
 * @out_off:      offset of desired_state
 * @out_len:      bytes from there through full_frame_req
 *
 * Touches no guest memory.
 *
 * Return: 0, -EINVAL if @r is NULL.
 */
int vgpup_build_control_write(vgpup_region *r, const vgpup_control_intent *in,
        vgpu_control_t *out_frame, uint64_t *out_ctrl_gva, uint32_t *out_off, uint32_t *out_len);

/* ---- extensions: beside the contract, same conventions -------------------------------------------------------------- */

struct vgpup_candidate {
        process proc;
        uint64_t region_gva;
        uint64_t region_bytes;
        uint64_t slot_stride;
        uint32_t slot_count;
        uint32_t heartbeat_period_ms;
        uint64_t heartbeat; /* hb0 */
};

/**
 * vgpup_discover_all() - every region of every live process, newest process first
 * @v:         borrowed context
 * @out:       caller's array of @cap
 * @cap:       entries that fit
 * @ret_total: candidates seen; larger than @cap means truncated
 *
 * The first candidate may be a dead process whose pages linger; a caller that must be sure looks at all.
 *
 * Return: 0 (also with none found), or < 0 (-ECANCELED, or the process list could not be read).
 */
int vgpup_discover_all(vmie_win32 *v, struct vgpup_candidate *out, size_t cap, size_t *ret_total);

/* How far a discovery is, for another thread to look at. Set to 0 when it begins. */
struct vgpup_progress {
        atomic_size_t n_processes; /* to be searched; 0: still listing them */
        atomic_size_t n_processes_done;
        atomic_size_t n_pages; /* looked into */
};

/*
 * A second thread that the caller has to spare: this library has none of its own. It works for one discovery at a time.
 */
struct vgpup_helper {
        /* Run @work(@arg) there, at once or later. Return: false: it will not be run. */
        bool (*begin)(struct vgpup_helper *helper, void (*work)(void *arg), void *arg);
        /* Come back when that has returned, or will not be run any more. */
        void (*end)(struct vgpup_helper *helper);
};

struct vgpup_discovery {
        struct vgpup_progress *progress; /* NULL: nobody watches */
        struct vgpup_helper
                *helper; /* NULL: none; else its source can be read by two threads at once */
        /* Processes that were there before, e.g. when the producer was lost; searched after all others. */
        const process *known;
        size_t n_known;
        bool new_suffices; /* known ones are searched only when the others have no region */
        /* Processes as listed before: these alone are searched, in this order, if they still are what they were. NULL: all. */
        const process *only;
        size_t n_only;
        vmie_mem *mem; /* of the calling thread, vmie_mem_adopt()ed; NULL: the context's own */
};

/**
 * vgpup_discover() - vgpup_discover_all() for a caller that knows something already
 * @how: borrowed for the call
 *
 * Candidates come in the order in which processes are searched: unknown ones before known ones, the newest first. With
 * only and mem it may run beside another discovery in the same context.
 *
 * Return: as vgpup_discover_all().
 */
int vgpup_discover(vmie_win32 *v, const struct vgpup_discovery *how, struct vgpup_candidate *out,
        size_t cap, size_t *ret_total);

/* What is wrong with a page that all but begins a region. */
enum vgpup_flaw {
        VGPUP_FLAW_NONE,
        VGPUP_FLAW_MAGIC, /* everything but the magic: not published yet, or retired */
        VGPUP_FLAW_ABI,
        VGPUP_FLAW_LAYOUT,
        VGPUP_FLAW_SLOT_STRIDE,
        VGPUP_FLAW_SLOT_COUNT,
        VGPUP_FLAW_REGION_BYTES,
        VGPUP_FLAW_PERIOD,
        VGPUP_FLAW_CHECKSUM,
        VGPUP_FLAW_PID,  /* it names a process it is not in */
        VGPUP_FLAW_GONE, /* it keeps every rule, but did not hold still or reaches past user space */
};

/* A sentence piece for a person. Static storage. */
const char *vgpup_flaw_text(enum vgpup_flaw flaw);

struct vgpup_suspect {
        process proc;
        uint64_t gva;
        enum vgpup_flaw flaw;
        uint32_t abi_version;  /* as the page claims */
        uint32_t producer_pid; /* as the page claims */
};

/**
 * vgpup_discover_suspects() - pages that discovery refused and a person may want to hear of
 * @v:         borrowed context
 * @out:       caller's array of @cap
 * @cap:       entries that fit
 * @ret_total: suspects seen; larger than @cap means truncated
 *
 * Costs what vgpup_discover_all() costs. For "why is nothing found?", never for binding.
 *
 * Return: as vgpup_discover_all().
 */
int vgpup_discover_suspects(
        vmie_win32 *v, struct vgpup_suspect *out, size_t cap, size_t *ret_total);

/**
 * vgpup_bind() - a handle for one candidate
 * @v: borrowed context
 * @m: memory to bind through, owned by the calling thread
 * @c: from vgpup_discover_all()
 *
 * Checks the process object and the identity line again and keeps copies to compare with. Allocates all that sampling
 * will need. The identity's page must be resident: there is no telling yet how long an entry has stood.
 *
 * Return: 0 and *ret_region, or -ESTALE (no longer that process or region), -ENOMEM, a read error.
 */
int vgpup_bind(
        vmie_win32 *v, vmie_mem *m, const struct vgpup_candidate *c, vgpup_region **ret_region);

/**
 * vgpup_read_control() - the control block as it is
 * @out: written on 1 only
 *
 * For what has been asked before, and for the ctrl_gen that a writer is to find. No seqlock: its writer is on this host, so
 * the caller knows whether a write is under way; an odd ctrl_gen otherwise is that of a writer which died. Ends a sample that
 * was begun.
 *
 * Return: 1, 0 (its page kept moving or is in transition), < 0.
 */
int vgpup_read_control(vgpup_region *r, vmie_mem *m, vgpu_control_t *out);

#define VGPUP_IDENTITY_BYTES 64u

/* What a program that writes where a handle points must find there first, beside the candidate's process. */
struct vgpup_witness {
        uint64_t kcr3; /* under which the process object is read */
        /* of fields in that object; cr3: DirectoryTableBase, whose low 12 bits do not count */
        uint32_t pid_offset, create_time_offset, cr3_offset;
        uint8_t identity[VGPUP_IDENTITY_BYTES]; /* the region's first line, as bound */
};

/* Copies kept since the binding; reads nothing. */
void vgpup_region_witness(const vgpup_region *r, struct vgpup_witness *ret);

/* The candidate a handle is bound to; lives as long as @r. */
const struct vgpup_candidate *vgpup_region_candidate(const vgpup_region *r);

/**
 * vgpup_peek() - is there a newer frame?
 * @ret_frame_id: newest published frame_id, on 1
 *
 * The cheapest look: one mirror load, the rechecks of the head of this file.
 *
 * Return: 1 (newer than the last sampled), 0 (not), < 0.
 */
int vgpup_peek(vgpup_region *r, vmie_mem *m, uint64_t *ret_frame_id);

/* What a glance found. */
#define VGPUP_NEWS_FRAME  1 /* a frame that is newer than the last sampled */
#define VGPUP_NEWS_CURSOR 2 /* a report that vgpup_read_cursor() has not returned yet */

/**
 * vgpup_glance() - is it worth to look for a newer frame, or another report of the cursor?
 * @ret_frame_id: newest frame_id, with VGPUP_NEWS_FRAME
 *
 * What it says is a hint: kernel, process, entries and identity are read before, and not again behind it. Whoever acts on it
 * reads what it told of, and does that at once: vgpup_sample_open() or vgpup_read_cursor() right behind a glance reads in the
 * window that the glance opened, and what comes of it is proven over all of that window. Kernel and process are looked at
 * twice for a frame then, not four times.
 *
 * Return: a set of VGPUP_NEWS_*, 0 (nothing new), < 0.
 */
int vgpup_glance(vgpup_region *r, vmie_mem *m, uint64_t *ret_frame_id);

/*
 * Is it worth to call vgpup_read_cursor()? A hint as well, of one word, where the block was when a window was opened last:
 * for somebody who has just read something else and would not pay for a window in which there is nothing.
 */
bool vgpup_cursor_stirs(const vgpup_region *r, vmie_mem *m);

/* Why the last lossy call on a handle returned 0; for counters and for people. */
enum vgpup_skip {
        VGPUP_SKIP_NONE,
        VGPUP_SKIP_NOT_FRESH,  /* no frame yet, or its frame_id is not above the last one */
        VGPUP_SKIP_BUSY,       /* seq odd, or it moved while we looked: torn, retried, given up */
        VGPUP_SKIP_TOO_BIG,    /* over cap */
        VGPUP_SKIP_MALFORMED,  /* the descriptor breaks a rule of the ABI */
        VGPUP_SKIP_REMAPPED,   /* a page-table entry changed under the copy */
        VGPUP_SKIP_TRANSITION, /* an entry has not stood for a second of the guest's clock */
};
enum vgpup_skip vgpup_last_skip(const vgpup_region *r);

/* Copies thrown away because the writer moved under them, over the handle's life. */
uint64_t vgpup_torn_retries(const vgpup_region *r);

/*
 * A sample taken apart: the caller copies, the core checks before and after. Between begin and commit no other read by
 * the same handle: it would end the sample, and recheck and commit say -EINVAL.
 */
struct vgpup_sample {
        vgpup_frame_desc desc;
        size_t bytes; /* height * stride */
        uint32_t slot;
        uint32_t flags; /* VGPU_FRAME_* */
        uint32_t run_epoch;
        uint32_t n_damage;    /* 0: whole frame */
        uint64_t damage_base; /* frame_id the damage is relative to; 0: whole frame */
        vgpu_rect_t damage[VGPU_MAX_DAMAGE];
        const struct gva_extent *extents; /* the handle's, valid until its next sample */
        size_t n_extents;
        uint32_t seq; /* the window this sample was opened in */
};

/**
 * vgpup_sample_begin() - find and check the newest frame without copying it
 * @cap: bytes the caller can take
 * @ret: written on 1 only
 *
 * Return: as vgpup_sample_frame().
 */
int vgpup_sample_begin(vgpup_region *r, vmie_mem *m, size_t cap, struct vgpup_sample *ret);

/**
 * vgpup_sample_open() - find and check the newest frame without looking where its bytes are
 *
 * For a caller that decides by the frame's damage which bytes it needs. vgpup_sample_map() says where they are; until then
 * the sample has no extents. @cap, @ret and the result are those of vgpup_sample_begin(), which is both for the whole frame.
 */
int vgpup_sample_open(vgpup_region *r, vmie_mem *m, size_t cap, struct vgpup_sample *ret);

/**
 * vgpup_sample_map() - where parts of an opened frame are
 * @s:     as opened; its extents are set on 1, each within a part
 * @parts: ascending, within the frame, no 4 KiB page in two of them
 * @n:     1 to VGPU_MAX_DAMAGE
 *
 * Recheck and commit are about these parts from now on: a frame that was committed has proven the bytes of its parts, and says
 * nothing of others. Cost: that of the parts' page tables, and of a walk for each.
 *
 * Return: 1, 0 (torn meanwhile, or a page is in transition), < 0.
 */
int vgpup_sample_map(vgpup_region *r, vmie_mem *m, struct vgpup_sample *s,
        const struct gva_part *parts, size_t n);

/**
 * vgpup_sample_recheck() - have the translations of a part of the frame held still so far?
 * @offset: first byte of the part in the frame
 * @len:    bytes
 *
 * For callers that copy into memory others can see and bound what a stale translation could show to one chunk. Not a
 * substitute for commit.
 *
 * Return: 1, 0 (changed), < 0.
 */
int vgpup_sample_recheck(
        vgpup_region *r, vmie_mem *m, const struct vgpup_sample *s, size_t offset, size_t len);

/**
 * vgpup_sample_commit() - was every byte copied since begin this frame's?
 *
 * seq, identity, every entry, process object, anchors, in this order. On 1 the frame counts as sampled.
 *
 * Return: 1, 0 (torn or remapped: throw the bytes away), < 0.
 */
int vgpup_sample_commit(vgpup_region *r, vmie_mem *m, const struct vgpup_sample *s);

/* The sample committed last was thrown away all the same: its frame is fresh again. Before the next begin. */
void vgpup_sample_refuse(vgpup_region *r);

/**
 * vgpup_sample_vouch() - is what begin said of a frame true, although commit refused its bytes?
 *
 * After a commit that found the frame torn, and before any other call on the handle: the writer has taken the slot back, but its
 * line and damage were whole when they were read. Rechecks everything but the frame's pages.
 *
 * Return: 1 (description and damage count, the bytes do not), 0, < 0.
 */
int vgpup_sample_vouch(vgpup_region *r, vmie_mem *m);

/* What a frame says of itself. */
struct vgpup_change {
        vgpup_frame_desc desc;
        uint32_t run_epoch;
        uint32_t n_damage;    /* 0: whole frame; else each rectangle lies in the frame */
        uint64_t damage_base; /* as in struct vgpup_sample: below frame_id */
        vgpu_rect_t damage[VGPU_MAX_DAMAGE];
};

/**
 * vgpup_read_changes() - what all frames that the producer's slots still hold say of themselves
 * @out:   in the slots' order; a slot that is being written or breaks a rule is left out. Written on 1 only
 * @ret_n: how many; written on 1 only
 *
 * For the damage of frames that were never sampled. Ends a sample that was begun. No pixel is read.
 *
 * Return: 1, 0 (translations moved, the block's page is in transition), < 0.
 */
int vgpup_read_changes(
        vgpup_region *r, vmie_mem *m, struct vgpup_change out[VGPU_MAX_SLOTS], uint32_t *ret_n);

#endif /* VGPU_PERCEPTION_H */
