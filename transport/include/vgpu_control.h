/*
 * vgpu_control.h - what goes over the daemon's control socket, to and from the program that writes into the guest
 *
 * The daemon only reads guest memory. What its clients ask the producer for is handed to one external writer, a privileged
 * program that has the guest's RAM open for writing, with all that it must find in the guest just before it writes: the
 * guest goes on living meanwhile, and an address that was the producer's may be somebody else's by then.
 * docs/protocol.md, "The writer's socket", says what a writer does, in order.
 *
 * AF_UNIX, SOCK_SEQPACKET; packets, header and rules are those of vgpu_protocol.h, GOODBYE included. One writer is served at a
 * time.
 *
 * Compiles as C11 and C++11.
 */
#ifndef VGPU_CONTROL_H
#define VGPU_CONTROL_H

#include "vgpu_protocol.h"

enum vgpu_control_msg_type {
        /* writer to daemon */
        VGPU_CONTROL_WRITER = 0x201,  /* first message */
        VGPU_CONTROL_WRITTEN = 0x202, /* what became of a WRITE */
        /* daemon to writer */
        VGPU_CONTROL_WRITE = 0x301,
        /* VGPU_MSG_GOODBYE: last message; then the socket closes */
};

struct vgpu_control_writer {
        struct vgpu_msg_header header;
        uint32_t reserved[2];
        char name[32]; /* who it is, for the daemon's log; NUL-padded, any bytes */
};

#define VGPU_CONTROL_LINE  64u /* bytes of a region's identity line */
#define VGPU_CONTROL_BLOCK 64u /* bytes of a control block: vgpu_control_t of vgpu_stream.h */

/*
 * Perform this, if everything is still as it says. A newer one replaces those before it that are not performed yet. All
 * addresses are the guest's; all page tables have @levels levels.
 */
struct vgpu_control_write {
        struct vgpu_msg_header header;
        uint64_t request;     /* rises with every WRITE of a daemon, from 1 */
        uint64_t epoch;       /* which life of the guest, as in the ring's liveness record */
        uint64_t deadline_ns; /* CLOCK_MONOTONIC; not to be begun afterwards */
        uint8_t instance[16]; /* which daemon process, as in the ring */

        /* the process: these three fields of its object, read under @kcr3, must be what is said here */
        uint64_t kcr3;               /* System page-table root */
        uint64_t eprocess;           /* kernel address of the object */
        uint64_t create_time;        /* u64 at eprocess + create_time_offset */
        uint64_t pid;                /* u64 at eprocess + pid_offset */
        uint64_t proc_cr3;           /* u64 at eprocess + cr3_offset, its low 12 bits aside */
        uint32_t create_time_offset; /* in the object */
        uint32_t pid_offset;
        uint32_t cr3_offset;
        uint32_t levels; /* 4 or 5 */

        /* the region: under @proc_cr3 */
        uint64_t region_gva;
        uint8_t identity[VGPU_CONTROL_LINE]; /* its first bytes must equal these, all of them */

        /* the control block: under @proc_cr3 */
        uint64_t control_gva;
        uint32_t
                ctrl_gen; /* the u32 there must be this; odd: a writer died while it wrote, and this one takes over */
        uint32_t off; /* of what is to be written, in the block and in @bytes */
        uint32_t len; /* bytes; nothing else of the block may change but ctrl_gen */
        uint32_t reserved;
        uint8_t bytes[VGPU_CONTROL_BLOCK];
};

enum vgpu_control_result {
        VGPU_CONTROL_DONE = 1,   /* written, and ctrl_gen is even again */
        VGPU_CONTROL_STALE = 2,  /* something was not as the WRITE says: nothing was written */
        VGPU_CONTROL_LATE = 3,   /* the deadline had passed: nothing was written */
        VGPU_CONTROL_FAILED = 4, /* error says why; something may have been written */
        VGPU_CONTROL_N_RESULTS
};

struct vgpu_control_written {
        struct vgpu_msg_header header;
        uint64_t request; /* of the WRITE */
        uint64_t epoch;   /* of the WRITE */
        uint32_t result;  /* enum vgpu_control_result */
        int32_t error;    /* with FAILED a negative errno, else 0 */
        /* with DONE what is there now: vgpu_control_next() of the WRITE's; else 0 */
        uint32_t ctrl_gen;
        uint32_t reserved;
};

/* The value that opens the block's seqlock over the one found there; it wraps around. */
static inline uint32_t vgpu_control_open(uint32_t found)
{
        return (found + 1) | 1;
}

/* The value that closes it again. */
static inline uint32_t vgpu_control_next(uint32_t found)
{
        return vgpu_control_open(found) + 1;
}

VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_control_writer) == 64);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_write, request) == 24);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_write, instance) == 48);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_write, kcr3) == 64);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_write, create_time_offset) == 104);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_write, region_gva) == 120);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_write, control_gva) == 192);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_write, ctrl_gen) == 200);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_write, bytes) == 216);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_control_write) == 280);
VGPU_PROTOCOL_ASSERT(offsetof(struct vgpu_control_written, request) == 24);
VGPU_PROTOCOL_ASSERT(sizeof(struct vgpu_control_written) == 56);

#endif /* VGPU_CONTROL_H */
