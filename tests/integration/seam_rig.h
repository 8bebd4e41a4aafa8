/*
 * seam_rig.h - a rig with two clients that ask for something, and a writer that does it
 *
 * The writer is the program of tests/guest where it is to live and die, and the test itself, seam.hand, where it is to lie.
 */
#ifndef VGPU_TEST_SEAM_RIG_H
#define VGPU_TEST_SEAM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rig.h"
#include "vgpu_stream.h"
#include "writer.h"

#define SEAM_MODE_FPS 60

extern struct seam {
        struct rig rig;            /* with the first client */
        struct vgpu_client *other; /* the second */
        struct writer hand;        /* the writer that is this test */
        pid_t writer;              /* the writer that is a program, 0: none */
        char dir[32];
        char socket[64]; /* for writers */
} seam;

/**
 * seam_run() - the tests, over one guest and one daemon
 * @argc: words for the simulated guest, or --vm: a virtual machine
 *
 * Return: as a test program's main().
 */
int seam_run(int argc, char **argv, const struct CMUnitTest *tests, size_t n_tests);

/* Every test begins with nobody asking, the block saying so, and the writer as a program; or as the test itself. */
void seam_begin(void);
void seam_begin_by_hand(void);

/* ---- writers ---- */

/* @die: at its first write, half way. */
void seam_start_writer(bool die);

/* Send a signal, 0: none, and wait for its end. Return: as waitpid() has it, 0 if there was none. */
int seam_end_writer(int number);

/* By hand. */
void seam_connect(void);
struct vgpu_control_write seam_next_write(void);
void seam_answer(const struct vgpu_control_written *written);
/* Do as one is told. Return: what was answered. */
struct vgpu_control_written seam_obey(const struct vgpu_control_write *write);

/* ---- clients ---- */

void seam_ask(
        struct vgpu_client *c, uint32_t fields, uint32_t state, uint32_t fps, uint32_t cursor);
void seam_ask_nothing(void);
struct vgpu_client_intent_state seam_progress(struct vgpu_client *c);
void seam_until_applied(const char *what); /* what both ask for */

/* Until what the first asks for is in force, doing by hand whatever else it takes: a slow host may have let requests lapse. */
void seam_until_applied_by_hand(void);

/* A counter of the seam in the daemon's status; and until it is at least so high. */
uint64_t seam_count(const char *name);
void seam_until_count(const char *name, uint64_t least);

/* What the status record says now. */
struct vgpu_ring_status seam_status(void);

/* How many the guest has drawn by its own account. */
uint64_t seam_frames_drawn(void);

/* Conditions. */
bool seam_both_are(const struct rig *r, uint64_t progress);
bool seam_first_is(const struct rig *r, uint64_t progress);
bool seam_first_waits_for_a_writer(const struct rig *r, uint64_t unused);
bool seam_fps_is(const struct rig *r, uint64_t fps);
bool seam_producer_is(const struct rig *r, uint64_t status);
bool seam_frame_is_honoured(const struct rig *r, uint64_t ack);
bool seam_cursor_is_drawn(const struct rig *r, uint64_t drawn); /* into the last frame */

#endif /* VGPU_TEST_SEAM_RIG_H */
