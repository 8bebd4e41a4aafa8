/*
 * vgpu_client.h - libvgpu-client: frames of a guest from the local vgpud
 *
 *      struct vgpu_client *c;
 *      vgpu_client_connect("/run/vgpud/win11.sock", NULL, &c, NULL);
 *      poll vgpu_client_fd(c) for POLLIN, and each time
 *      if (vgpu_client_dispatch(c) & VGPU_CLIENT_FRAME)
 *              vgpu_client_copy_latest(c, buf, sizeof(buf), &frame);
 *
 * The newest frame wins: a slow reader misses frames, it never delays the daemon or another reader. A frame that is
 * delivered is never torn. When the daemon goes, the last frame stays readable, marked stale, and the library
 * connects again by itself from dispatch and wait.
 *
 * No thread, no signal handler, no global state, no abort. One handle belongs to one thread at a time; several
 * handles are independent. Errors are negative errno values. All times are CLOCK_MONOTONIC nanoseconds unless said
 * otherwise.
 *
 * Compiles as C11 and C++11.
 */
#ifndef VGPU_CLIENT_H
#define VGPU_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vgpu_ring.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct vgpu_client;

/* options.flags */
#define VGPU_CLIENT_NO_WAKE_FD   UINT32_C(1) /* for vgpu_client_wait(): sleep on the ring's futex */
#define VGPU_CLIENT_NO_RECONNECT UINT32_C(2) /* stay disconnected once the daemon has gone */
#define VGPU_CLIENT_WAIT_DAEMON  UINT32_C(4) /* connect without a daemon, find it later */
#define VGPU_CLIENT_LEASES       UINT32_C(8) /* ask for leases: vgpu_client_acquire() */
/*
 * For vgpu_client_wait(), implies NO_WAKE_FD: be awake before the frame is there. Waking a process takes as long as the
 * machine takes, 40 us and more for a CPU that sleeps, so the daemon says when it begins to write a frame and when it
 * is likely to be done; wait sleeps until shortly before that and spins for the rest. For one or two clients that need
 * the frame at once, on a machine with a CPU to spare for each: it costs some 200 us of CPU time per frame. Without
 * futex_waitv(2) (Linux 5.16), or with a daemon that cannot say, it has no effect.
 */
#define VGPU_CLIENT_EARLY UINT32_C(16)

struct vgpu_client_options {
        uint32_t flags;
        int32_t timeout_ms; /* for the daemon's welcome in connect; 0: 2000 */
        /* shown in the daemon's log; at most 31 bytes are used; NULL: the program's name */
        const char *name;
        /* what to be woken for and told of: enum vgpu_client_event; 0: everything. Connection events always come. */
        uint32_t interest;
        /*
         * With VGPU_CLIENT_EARLY: microseconds to spin per frame at most, half of them before it is due; 10000 is the
         * most. 0: 300, or a quarter of the time that a frame takes to write if that is more
         */
        uint32_t spin_us;
};

/* Why connect or query failed, for people. */
struct vgpu_client_failure {
        int error; /* the negative errno returned */
        /* enum vgpu_goodbye of vgpu_protocol.h if the daemon refused us, else 0 */
        uint32_t goodbye;
        char text[192]; /* a sentence, never empty after a failure */
};

/* What dispatch and wait report; a set. */
enum vgpu_client_event {
        VGPU_CLIENT_FRAME = 1 << 0, /* a frame newer than the last one delivered or reported */
        VGPU_CLIENT_CURSOR = 1 << 1,
        VGPU_CLIENT_GEOMETRY = 1 << 2,
        VGPU_CLIENT_STATUS = 1 << 3,
        VGPU_CLIENT_STATE = 1 << 4, /* state, epoch or producer; or the tick is (not) overdue now */
        VGPU_CLIENT_GENERATION = 1 << 5,   /* another ring: mode or capacity may differ */
        VGPU_CLIENT_DISCONNECTED = 1 << 6, /* what is mapped is now of the past */
        VGPU_CLIENT_RECONNECTED = 1 << 7,  /* after WAIT_DAEMON the first time, too */
        VGPU_CLIENT_INSTANCE = 1 << 8,     /* another daemon process: serials started over */
        VGPU_CLIENT_INTENT = 1 << 9,       /* news about our intent: vgpu_client_intent_state() */
};

struct vgpu_client_frame {
        uint32_t width, height; /* pixels */
        uint32_t stride;        /* bytes; also in the caller's buffer */
        uint32_t fourcc;        /* DRM_FORMAT_* */
        uint64_t modifier;
        size_t bytes;          /* height * stride */
        uint64_t serial;       /* in the ring; +1 per published frame within one daemon process */
        uint64_t frame_id;     /* the producer's */
        uint64_t epoch;        /* which life of the guest */
        uint32_t run_epoch;    /* which session of the producer */
        uint32_t producer_pid; /* guest's pid of the process that drew this frame */
        uint32_t flags;        /* VGPU_RING_FRAME_* */
        /* rectangles that differ from the frame this client got last; 0: all of it */
        uint32_t n_damage;
        uint64_t timestamp_ns; /* guest's own monotonic clock at capture */
        uint64_t publish_ns;   /* when the daemon published it */
        /* frames published since the last one delivered that this client did not get */
        uint64_t missed;
        uint64_t generation; /* ring it came from */
        bool stale; /* nothing vouches for it any more: disconnected, tick overdue, or the state is not streaming */
        struct vgpu_ring_rect damage[VGPU_RING_MAX_DAMAGE];
};

struct vgpu_client_state {
        struct vgpu_ring_liveness stream; /* last known; all zero (absent) before a first ring */
        bool connected;
        bool tick_overdue; /* five periods without a sign of life: the daemon is dead or hangs */
        uint64_t tick_ns;  /* its last tick */
        uint32_t tick_period_ms;
        uint32_t daemon_pid;
        uint64_t generation; /* 0: no ring yet */
        uint8_t instance[16];
};

struct vgpu_client_stats {
        uint64_t frames;       /* delivered: copied or acquired */
        uint64_t missed;       /* published but not delivered, between two that were */
        uint64_t torn_retries; /* copies thrown away because the slot was reused under them */
        uint64_t generations;  /* rings mapped */
        uint64_t reconnects;
        uint64_t leases; /* frames acquired */
        uint64_t lost;   /* of them, those the daemon took back before they were released */
};

/**
 * vgpu_client_connect() - connect to a daemon and map its ring
 * @path:       socket; copied
 * @options:    NULL: defaults (wake fd, reconnect, 2 s)
 * @ret_client: the handle; vgpu_client_close() frees it
 * @reterr_why: written on failure only; may be NULL
 *
 * Blocks until the daemon has answered, at most options.timeout_ms; one that stops or dies meanwhile is no answer if another
 * comes in its place. With VGPU_CLIENT_WAIT_DAEMON it does not block
 * and fails only for want of memory or descriptors, or for a bad @path.
 * Cost: one socket, one epoll, one timerfd, one wake descriptor; the ring's address space.
 *
 * Return: 0, or -ENOENT or -ECONNREFUSED (no daemon), -EACCES, -EPROTONOSUPPORT (another major version), -EUSERS
 * (too many clients), -EPROTO (it does not speak this protocol or its ring fails the checks), -ETIMEDOUT,
 * -ENAMETOOLONG, -ENOMEM, -EMFILE.
 */
int vgpu_client_connect(const char *path, const struct vgpu_client_options *options,
        struct vgpu_client **ret_client, struct vgpu_client_failure *reterr_why);

/* Unmaps, closes, frees. NULL is fine. Returns NULL. */
struct vgpu_client *vgpu_client_close(struct vgpu_client *c);

/**
 * vgpu_client_fd() - the one descriptor to poll
 *
 * Readable (POLLIN, level-triggered) when dispatch has something to do, reconnecting included. The same for the
 * handle's whole life; owned by it. It tells what is new since the last vgpu_client_dispatch(), which asks the daemon
 * for the wake-up; after vgpu_client_wait(), which takes that back, dispatch once before polling. With
 * VGPU_CLIENT_NO_WAKE_FD it does not become readable for frames.
 */
int vgpu_client_fd(const struct vgpu_client *c);

/**
 * vgpu_client_dispatch() - take what has come
 *
 * Never blocks. Takes what is in the socket, maps new rings, reconnects when it is time, then compares the ring with what
 * was reported before. May be called at any time; without news it costs one system call.
 *
 * A frame that we were woken for is reported before any of that, so the descriptor may still be readable: the next call,
 * after the next poll, does the rest. Who is told only of changes (EPOLLET) calls it until it returns 0.
 *
 * Return: set of enum vgpu_client_event, 0 (nothing), or < 0: -ENOTCONN (disconnected and not to reconnect; the
 * last frame stays readable), -EPROTONOSUPPORT (the daemon at the path is now of another major version; likewise
 * for good).
 */
int vgpu_client_dispatch(struct vgpu_client *c);

/**
 * vgpu_client_wait() - block until something happens
 * @timeout_ms: 0: as dispatch; negative: no limit
 *
 * Also returns VGPU_CLIENT_STATE when the daemon's tick becomes overdue, which no descriptor can tell. Returns
 * early for a signal with 0.
 *
 * Return: as vgpu_client_dispatch(); 0 after the timeout.
 */
int vgpu_client_wait(struct vgpu_client *c, int timeout_ms);

/**
 * vgpu_client_copy_latest() - copy the newest frame if this client has not copied it yet
 * @buf:       caller's buffer
 * @cap:       its size in bytes
 * @ret_frame: written on 1 and with -ENOSPC
 *
 * Cost: one copy of the frame, no system call. Never delivers a torn frame: it tries again with the then newest
 * frame a bounded number of times.
 *
 * Return: 1 (copied), 0 (nothing newer, or every try was overtaken; @buf may hold bytes that must not be shown),
 * -ENOSPC (@cap is too small; ret_frame->bytes says what is needed; @buf as for 0), -ENODATA (no ring was ever mapped),
 * -EPROTO (the ring's descriptor makes no sense).
 */
int vgpu_client_copy_latest(
        struct vgpu_client *c, void *buf, size_t cap, struct vgpu_client_frame *ret_frame);

/**
 * vgpu_client_copy_rows() - the same for some rows of the newest frame
 * @first_row: from the top
 * @n_rows:    at least 1; UINT32_MAX: all, as vgpu_client_copy_latest()
 * @buf:       row @first_row begins here, the frame's stride applies
 *
 * For who shows a part, or cannot hold a whole frame. The frame counts as copied, and damage is of all of it.
 *
 * Return: as vgpu_client_copy_latest(), or -ERANGE (the frame has fewer rows; ret_frame->height says how many).
 */
int vgpu_client_copy_rows(struct vgpu_client *c, uint32_t first_row, uint32_t n_rows, void *buf,
        size_t cap, struct vgpu_client_frame *ret_frame);

/* The same whether or not the newest frame was copied before; 0 then means there is none. Damage is whole. */
int vgpu_client_copy_again(
        struct vgpu_client *c, void *buf, size_t cap, struct vgpu_client_frame *ret_frame);

/**
 * vgpu_client_peek() - describe the newest frame without copying it
 * @ret_frame: written on 1
 *
 * Takes nothing: the frame stays new for copy_latest and acquire, and damage is as they would give it.
 * Cost: one descriptor, no system call.
 *
 * Return: 1, 0 (nothing newer than what was copied or acquired last), -ENODATA, -EPROTO.
 */
int vgpu_client_peek(struct vgpu_client *c, struct vgpu_client_frame *ret_frame);

/**
 * vgpu_client_acquire() - hold the newest frame where it lies, without a copy
 * @ret_frame:  written on 1
 * @ret_pixels: ret_frame->bytes readable bytes, valid until released or closed; never faults, whatever the daemon does
 *
 * Needs VGPU_CLIENT_LEASES. The daemon leaves a held slot alone for the lease time, counted from when a newer frame
 * came, and while fewer than its slots minus two are held by anybody; so hold one or two at a time, and shortly. It
 * never waits for a holder: after use, vgpu_client_release() says whether the frame stayed whole. Frames count as
 * delivered as with copy_latest. A frame held outlives its ring and its daemon.
 * Cost: no system call, no copy.
 *
 * Return: 1 (held), 0 (nothing newer than what was copied or acquired last, or every try was overtaken), -EBUSY (all
 * VGPU_PAGE_HOLDS holds are in use, or one is a frame of the same serial from a daemon before this one: release it),
 * -EOPNOTSUPP (no lease was granted), -ENODATA (no ring was ever mapped), -EPROTO (the ring's descriptor makes no
 * sense).
 */
int vgpu_client_acquire(
        struct vgpu_client *c, struct vgpu_client_frame *ret_frame, const void **ret_pixels);

/**
 * vgpu_client_intact() - is a held frame still whole?
 * @serial: of a frame acquired and not released
 *
 * Every byte read from it before this call is the frame's if the answer is 1. No system call.
 *
 * Return: 1, 0 (the daemon took the slot back: what was read since the last 1 may be torn), -ENOENT (not held).
 */
int vgpu_client_intact(const struct vgpu_client *c, uint64_t serial);

/* Let go of a held frame; its pixels are out of bounds afterwards. Return: as vgpu_client_intact() just before. */
int vgpu_client_release(struct vgpu_client *c, uint64_t serial);

/**
 * vgpu_client_cursor(), vgpu_client_geometry(), vgpu_client_status() - snapshots
 *
 * No system call. Return: 1 and the snapshot, 0 (never reported yet, or no consistent one within the retries),
 * -ENODATA (no ring was ever mapped).
 */
int vgpu_client_cursor(struct vgpu_client *c, struct vgpu_ring_cursor *ret);
int vgpu_client_geometry(struct vgpu_client *c, struct vgpu_ring_geometry *ret);
int vgpu_client_status(struct vgpu_client *c, struct vgpu_ring_status *ret);

/* What this client wants of the producer in the guest. */
struct vgpu_client_intent {
        uint32_t
                fields; /* VGPU_INTENT_* of vgpu_protocol.h: which of the values count; 0: nothing any more */
        uint32_t state;       /* VGPU_CMD_* of vgpu_stream.h */
        uint32_t fps;         /* 0: the producer's default */
        uint32_t draw_cursor; /* 0 or 1 */
};

enum vgpu_client_intent_progress {
        VGPU_CLIENT_INTENT_NONE = 0,    /* nothing is asked for */
        VGPU_CLIENT_INTENT_SENT = 1,    /* to the daemon, or will be once it is back */
        VGPU_CLIENT_INTENT_TAKEN = 2,   /* by the daemon; waits for the writer */
        VGPU_CLIENT_INTENT_WRITTEN = 3, /* into the guest */
        VGPU_CLIENT_INTENT_APPLIED = 4, /* the producer says so */
        VGPU_CLIENT_INTENT_REFUSED = 5, /* error says why */
};

struct vgpu_client_intent_state {
        uint32_t progress; /* enum vgpu_client_intent_progress */
        int32_t error;     /* as in struct vgpu_msg_intent_state */
};

/**
 * vgpu_client_set_intent() - ask the producer for something
 *
 * Those of several clients are merged (docs/protocol.md); ours stands until the next call or close, and is sent again
 * after a reconnect, but for VGPU_INTENT_FRAME, which asks once per call. Needs the daemon's permission.
 *
 * Return: 0 (sent or kept for later; VGPU_CLIENT_INTENT tells how it goes), -EINVAL (unknown field or value).
 */
int vgpu_client_set_intent(struct vgpu_client *c, const struct vgpu_client_intent *intent);
void vgpu_client_intent_state(struct vgpu_client *c, struct vgpu_client_intent_state *ret);

/* Where the stream stands and whether the daemon still lives. One clock read. Always fills @ret. */
void vgpu_client_state(struct vgpu_client *c, struct vgpu_client_state *ret);

/* Word for a state as in `vgpuctl status` ("streaming"); "unknown" for any other value. */
const char *vgpu_client_state_name(uint32_t state);

void vgpu_client_stats(const struct vgpu_client *c, struct vgpu_client_stats *ret);

/* The daemon's last goodbye and its reason; "" and 0 if it never said one. Valid until the next dispatch. */
const char *vgpu_client_goodbye(const struct vgpu_client *c, uint32_t *ret_reason);

/**
 * vgpu_client_query() - ask a daemon for a report
 * @path:       socket
 * @what:       VGPU_QUERY_* of vgpu_protocol.h
 * @timeout_ms: for the whole exchange; 0: 2000
 * @ret_json:   NUL-terminated text; the caller frees it with free()
 * @reterr_why: written on failure only; may be NULL
 *
 * Blocks; needs no handle and maps no ring.
 *
 * Return: 0, as vgpu_client_connect(), or what the daemon answered (-EOPNOTSUPP: no such report).
 */
int vgpu_client_query(const char *path, uint32_t what, int timeout_ms, char **ret_json,
        struct vgpu_client_failure *reterr_why);

/**
 * vgpu_client_drop() - an administrator: have the daemon drop every client of a process
 * @pid:       as the daemon sees it: `vgpuctl clients`
 * @ret_count: how many there were; may be NULL
 *
 * Otherwise as vgpu_client_query().
 *
 * Return: 0, -ESRCH (no client has this pid), -EACCES (not an administrator here), or as vgpu_client_connect().
 */
int vgpu_client_drop(const char *path, uint32_t pid, int timeout_ms, uint32_t *ret_count,
        struct vgpu_client_failure *reterr_why);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif /* VGPU_CLIENT_H */
