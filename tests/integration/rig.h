/*
 * rig.h - a guest, a daemon and a checking client, wired as users wire them
 *
 * The guest is the simulated one or a real virtual machine; what tests do to it goes by the same functions. The client is the
 * one of tests/verify: it believes no byte. rig_until() is how tests wait: it takes and checks frames until what is waited
 * for is seen, and fails with the daemon's own words when it does not come.
 */
#ifndef VGPU_TEST_RIG_H
#define VGPU_TEST_RIG_H

#include <stdbool.h>

#include "daemon_proc.h"
#include "guest_proc.h"
#include "verify.h"
#include "vm_proc.h"

/* Only reached by a test that has failed; generous, because an emulated machine under sanitizers is slow. */
#define RIG_PATIENCE_MS 120000

struct rig {
        bool is_vm;
        struct guest_proc guest;
        struct vm_proc vm;
        struct daemon_proc daemon;
        struct verify verify;
        struct vgpu_client_state now; /* as of the last dispatch */
        unsigned reconnects;
};

#define RIG_NONE ((struct rig){ .guest = GUEST_PROC_NULL, .vm = VM_PROC_NONE })

/* Start a simulated guest with further command-line words (NULL-terminated list, or NULL), a daemon on it, a client. */
void rig_start_simulated(struct rig *rig, const char *const *more);

/* The same with a virtual machine. */
void rig_start_vm(struct rig *rig, const struct vm_proc_options *options);

/* The parts one by one, for tests that need another order. */
void rig_boot_vm(struct rig *rig, const struct vm_proc_options *options);
void rig_guest_simulated(struct rig *rig, const char *const *more);
void rig_daemon(struct rig *rig, const char *more_config);
void rig_client(struct rig *rig);

/* Everything ends; the daemon must end well, and no frame may ever have been torn or foreign. */
void rig_stop(struct rig *rig);

typedef bool (*rig_condition)(const struct rig *rig, uint64_t arg);

/* Wait until @condition holds after some dispatch, taking and checking frames meanwhile. @what names it in a failure. */
void rig_until(struct rig *rig, rig_condition condition, uint64_t arg, const char *what);

/* One frame more than now; with it the stream is known to go on. */
void rig_until_frame(struct rig *rig);

/* Wait until the daemon's status holds both pieces of text, taking frames meanwhile. */
void rig_until_status(struct rig *rig, const char *state, const char *words);

/* Wait until the daemon's log holds @words. */
void rig_until_said(struct rig *rig, const char *words);

/* Conditions. */
bool rig_state_is(const struct rig *rig, uint64_t state);   /* enum vgpu_ring_state */
bool rig_epoch_is(const struct rig *rig, uint64_t epoch);   /* of the last frame */
bool rig_run_is(const struct rig *rig, uint64_t run_epoch); /* of the last frame */
bool rig_pid_is(const struct rig *rig, uint64_t pid);       /* of the last frame */
bool rig_mode_is(
        const struct rig *rig, uint64_t width_height); /* of the last frame: width << 32 | height */

/* To the guest. */
void rig_tell(struct rig *rig, const char *command);
void rig_pause(struct rig *rig);
void rig_resume(struct rig *rig);
void rig_reboot(struct rig *rig);

#endif /* VGPU_TEST_RIG_H */
