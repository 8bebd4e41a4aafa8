/* rig.c - see rig.h */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vgpu_protocol.h"

#define MAX_WORDS 32

/* Not all that is waited for wakes a client: how often to look. */
#define LOOK_MS 100

/* ---- parts --------------------------------------------------------------------------------------------------------- */

void rig_guest_simulated(struct rig *rig, const char *const *more)
{
        const char *args[MAX_WORDS] = { "--memfd" };
        size_t n = 1;
        int r;

        while (more && *more && n < MAX_WORDS - 1)
                args[n++] = *more++;
        r = guest_proc_spawn(&rig->guest, args);
        if (r < 0)
                fail_msg("the simulated guest did not start: %s (%s)", strerror(-r),
                        rig->guest.line);
}

void rig_daemon(struct rig *rig, const char *more_config)
{
        const struct guest_facts *facts = &rig->guest.facts;
        const char *ram = rig->is_vm ? rig->vm.ram_path : facts->ram;

        assert_int_equal(
                daemon_proc_start(&rig->daemon, ram, facts->machine, facts->ram_size, more_config),
                0);
}

void rig_client(struct rig *rig)
{
        const struct vgpu_client_options options = { .flags = VGPU_CLIENT_WAIT_DAEMON,
                .name = "rig" };
        struct vgpu_client_failure why;

        if (vgpu_client_connect(rig->daemon.socket, &options, &rig->verify.client, &why) < 0)
                fail_msg("no connection: %s", why.text);
}

void rig_start_simulated(struct rig *rig, const char *const *more)
{
        rig_guest_simulated(rig, more);
        rig_daemon(rig, NULL);
        rig_client(rig);
}

void rig_boot_vm(struct rig *rig, const struct vm_proc_options *options)
{
        rig->is_vm = true;
        assert_int_equal(vm_proc_start(&rig->vm, options), 0);
        guest_proc_attach(&rig->guest, rig->vm.serial_fd, rig->vm.serial_fd);
        assert_int_equal(guest_proc_wait_ready(&rig->guest), 0);
}

void rig_start_vm(struct rig *rig, const struct vm_proc_options *options)
{
        rig_boot_vm(rig, options);
        rig_daemon(rig, NULL);
        rig_client(rig);
}

void rig_stop(struct rig *rig)
{
        struct verify_tally tally = rig->verify.tally;
        int status;

        verify_deinit(&rig->verify);
        status = daemon_proc_stop(&rig->daemon);
        if (rig->is_vm)
                vm_proc_stop(&rig->vm);
        else
                guest_proc_stop(&rig->guest);
        *rig = RIG_NONE;
        assert_int_equal(status, 0);
        assert_int_equal(tally.torn, 0);
        assert_int_equal(tally.foreign, 0);
}

/* ---- waiting ------------------------------------------------------------------------------------------------------- */

static void give_up(const struct rig *rig, const char *what)
{
        char *said = daemon_proc_said(&rig->daemon);

        fprintf(stderr, "%s", said);
        free(said);
        fail_msg("waited for %s; state is %s, epoch %llu, run %u, pid %u, %llu frames taken", what,
                vgpu_client_state_name(rig->now.stream.state),
                (unsigned long long)rig->now.stream.epoch, rig->now.stream.run_epoch,
                rig->now.stream.producer_pid, (unsigned long long)rig->verify.tally.frames);
}

void rig_until(struct rig *rig, rig_condition condition, uint64_t arg, const char *what)
{
        uint64_t deadline_ns = latency_now() + RIG_PATIENCE_MS * UINT64_C(1000000);

        vgpu_client_state(rig->verify.client, &rig->now);
        while (!condition(rig, arg)) {
                uint64_t now_ns = latency_now();
                int events;

                if (now_ns > deadline_ns)
                        give_up(rig, what);
                events = vgpu_client_wait(rig->verify.client, LOOK_MS);
                assert_true(events >= 0);
                rig->reconnects += (events & VGPU_CLIENT_RECONNECTED) != 0;
                verify_dispatched(&rig->verify, events);
                assert_true(verify_take(&rig->verify, now_ns) >= 0);
                vgpu_client_state(rig->verify.client, &rig->now);
        }
}

static bool frames_are(const struct rig *rig, uint64_t frames)
{
        return rig->verify.tally.frames >= frames;
}

void rig_until_frame(struct rig *rig)
{
        rig_until(rig, frames_are, rig->verify.tally.frames + 1, "one more frame");
}

struct words {
        const char *state, *more;
};

static bool status_says(const struct rig *rig, uint64_t arg)
{
        const struct words *words = (const struct words *)(uintptr_t)arg;
        struct vgpu_client_failure why;
        char *json;
        bool both;

        if (vgpu_client_query(rig->daemon.socket, VGPU_QUERY_STATUS, 5000, &json, &why) < 0)
                return false;
        both = strstr(json, words->state) && strstr(json, words->more);
        free(json);
        return both;
}

void rig_until_status(struct rig *rig, const char *state, const char *words)
{
        const struct words both = { state, words };

        rig_until(rig, status_says, (uintptr_t)&both, words);
}

static bool has_said(const struct rig *rig, uint64_t arg)
{
        char *said = daemon_proc_said(&rig->daemon);
        bool found = strstr(said, (const char *)(uintptr_t)arg) != NULL;

        free(said);
        return found;
}

void rig_until_said(struct rig *rig, const char *words)
{
        rig_until(rig, has_said, (uintptr_t)words, words);
}

bool rig_state_is(const struct rig *rig, uint64_t state)
{
        return rig->now.connected && rig->now.stream.state == state;
}

bool rig_epoch_is(const struct rig *rig, uint64_t epoch)
{
        return rig->verify.frame.epoch == epoch;
}

bool rig_run_is(const struct rig *rig, uint64_t run_epoch)
{
        return rig->verify.frame.run_epoch == run_epoch && rig->now.stream.run_epoch == run_epoch;
}

bool rig_pid_is(const struct rig *rig, uint64_t pid)
{
        return rig->verify.frame.producer_pid == pid;
}

bool rig_mode_is(const struct rig *rig, uint64_t width_height)
{
        return rig->verify.frame.width == width_height >> 32 &&
               rig->verify.frame.height == (uint32_t)width_height;
}

/* ---- the guest ----------------------------------------------------------------------------------------------------- */

void rig_tell(struct rig *rig, const char *command)
{
        int r = guest_proc_command(&rig->guest, command);

        if (r < 0)
                fail_msg("'%s' failed: %s (%s)", command, strerror(-r), rig->guest.line);
}

void rig_pause(struct rig *rig)
{
        if (rig->is_vm)
                assert_int_equal(vm_proc_qmp(&rig->vm, "stop"), 0);
        else
                rig_tell(rig, "pause");
}

void rig_resume(struct rig *rig)
{
        if (rig->is_vm)
                assert_int_equal(vm_proc_qmp(&rig->vm, "cont"), 0);
        else
                rig_tell(rig, "resume");
}

void rig_reboot(struct rig *rig)
{
        if (!rig->is_vm) {
                rig_tell(rig, "reboot");
                return;
        }
        assert_int_equal(vm_proc_qmp(&rig->vm, "system_reset"), 0);
        assert_int_equal(guest_proc_wait_ready(&rig->guest), 0);
}
