/* seam_rig.c - see seam_rig.h */
#include "seam_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vgpu_protocol.h"

#define MAX_WORDS 20
#define MODE      "320x200@60" /* at SEAM_MODE_FPS */

static const char *const plain[] = { "--scatter", NULL };
static const char *const *words = plain; /* for the guest */
static bool in_vm;

struct seam seam;

static const char *ram_path(void)
{
        return seam.rig.is_vm ? seam.rig.vm.ram_path : seam.rig.guest.facts.ram;
}

static const char *machine(void)
{
        return seam.rig.is_vm ? seam.rig.vm.machine : seam.rig.guest.facts.machine;
}

static uint64_t ram_size(void)
{
        return seam.rig.is_vm ? seam.rig.vm.ram_size : seam.rig.guest.facts.ram_size;
}

/* ---- writers ------------------------------------------------------------------------------------------------------- */

void seam_start_writer(bool die)
{
        char size[24];

        snprintf(size, sizeof(size), "%llu", (unsigned long long)ram_size());
        seam.writer = fork();
        assert_true(seam.writer >= 0);
        if (seam.writer > 0)
                return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen("/dev/null", "w", stdout))
                _exit(126);
        execl(TEST_WRITER, TEST_WRITER, "--socket", seam.socket, "--ram", ram_path(), "--machine",
                machine(), "--ram-size", size, die ? "--die" : (char *)NULL, (char *)NULL);
        _exit(127);
}

int seam_end_writer(int number)
{
        int status = 0;

        if (seam.writer == 0)
                return 0;
        if (number)
                kill(seam.writer, number);
        while (waitpid(seam.writer, &status, 0) < 0 && errno == EINTR)
                ;
        seam.writer = 0;
        return status;
}

void seam_connect(void)
{
        if (!seam.hand.ram)
                assert_int_equal(writer_open_ram(&seam.hand, ram_path(), machine(), ram_size()), 0);
        assert_int_equal(writer_connect(&seam.hand, seam.socket), 0);
}

struct vgpu_control_write seam_next_write(void)
{
        struct vgpu_control_write write;

        assert_int_equal(writer_receive(&seam.hand, RIG_PATIENCE_MS, &write, NULL), 1);
        return write;
}

void seam_answer(const struct vgpu_control_written *written)
{
        assert_int_equal(writer_send(&seam.hand, written, sizeof(*written)), 0);
}

struct vgpu_control_written seam_obey(const struct vgpu_control_write *write)
{
        struct vgpu_control_written written;

        writer_perform(&seam.hand, write, &written);
        seam_answer(&written);
        return written;
}

/* ---- clients ------------------------------------------------------------------------------------------------------- */

void seam_ask(struct vgpu_client *c, uint32_t fields, uint32_t state, uint32_t fps, uint32_t cursor)
{
        const struct vgpu_client_intent intent = { fields, state, fps, cursor };

        assert_int_equal(vgpu_client_set_intent(c, &intent), 0);
}

void seam_ask_nothing(void)
{
        seam_ask(seam.rig.verify.client, 0, 0, 0, 0);
        seam_ask(seam.other, 0, 0, 0, 0);
}

struct vgpu_client_intent_state seam_progress(struct vgpu_client *c)
{
        struct vgpu_client_intent_state state;

        assert_true(vgpu_client_dispatch(c) >= 0);
        vgpu_client_intent_state(c, &state);
        return state;
}

bool seam_both_are(const struct rig *r, uint64_t progress)
{
        return seam_progress(r->verify.client).progress == progress &&
               seam_progress(seam.other).progress == progress;
}

bool seam_first_is(const struct rig *r, uint64_t progress)
{
        return seam_progress(r->verify.client).progress == progress;
}

bool seam_first_waits_for_a_writer(const struct rig *r, uint64_t arg)
{
        struct vgpu_client_intent_state state = seam_progress(r->verify.client);

        (void)arg;
        return state.progress == VGPU_CLIENT_INTENT_TAKEN && state.error == -ENOTCONN;
}

struct vgpu_ring_status seam_status(void)
{
        struct vgpu_ring_status status = { 0 };

        vgpu_client_status(seam.rig.verify.client, &status);
        return status;
}

bool seam_fps_is(const struct rig *r, uint64_t fps)
{
        (void)r;
        return seam_status().applied_fps == fps;
}

bool seam_producer_is(const struct rig *r, uint64_t status)
{
        (void)r;
        return seam_status().status == status;
}

bool seam_frame_is_honoured(const struct rig *r, uint64_t ack)
{
        (void)r;
        return seam_status().full_frame_ack == ack;
}

bool seam_cursor_is_drawn(const struct rig *r, uint64_t drawn)
{
        return ((r->verify.frame.flags & VGPU_RING_FRAME_CURSOR_DRAWN) != 0) == (bool)drawn;
}

void seam_until_applied(const char *what)
{
        rig_until(&seam.rig, seam_both_are, VGPU_CLIENT_INTENT_APPLIED, what);
}

static bool first_is_served(const struct rig *r, uint64_t progress)
{
        struct vgpu_control_write write;

        while (writer_receive(&seam.hand, 0, &write, NULL) == 1)
                seam_obey(&write);
        return seam_first_is(r, progress);
}

void seam_until_applied_by_hand(void)
{
        rig_until(&seam.rig, first_is_served, VGPU_CLIENT_INTENT_APPLIED, "the intent in force");
}

uint64_t seam_count(const char *name)
{
        struct vgpu_client_failure why;
        const char *control, *at;
        uint64_t count = 0;
        char key[32], *json;

        if (vgpu_client_query(seam.rig.daemon.socket, VGPU_QUERY_STATUS, 5000, &json, &why) < 0)
                fail_msg("no status: %s", why.text);
        snprintf(key, sizeof(key), "\"%s\":", name);
        control = strstr(json, "\"control\":");
        at = control ? strstr(control, key) : NULL;
        if (at)
                count = strtoull(at + strlen(key), NULL, 10);
        free(json);
        return count;
}

struct expected {
        const char *name;
        uint64_t least;
};

static bool count_is_reached(const struct rig *r, uint64_t arg)
{
        const struct expected *expected = (const struct expected *)(uintptr_t)arg;

        (void)r;
        return seam_count(expected->name) >= expected->least;
}

void seam_until_count(const char *name, uint64_t least)
{
        const struct expected expected = { name, least };

        rig_until(&seam.rig, count_is_reached, (uintptr_t)&expected, name);
}

uint64_t seam_frames_drawn(void)
{
        rig_tell(&seam.rig, "status");
        return seam.rig.guest.facts.frames;
}

void seam_begin(void)
{
        writer_close(&seam.hand);
        if (seam.writer == 0)
                seam_start_writer(false);
        seam_ask_nothing();
        rig_until_status(
                &seam.rig, "\"streaming\"", "\"control\":{\"writer\":true,\"state\":\"idle\"");
}

void seam_begin_by_hand(void)
{
        seam_begin();
        seam_end_writer(SIGKILL);
        rig_until_status(&seam.rig, "\"streaming\"", "\"writer\":false");
        seam_connect();
        rig_until_status(&seam.rig, "\"streaming\"", "\"writer\":true");
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
        const char *args[MAX_WORDS + 3] = { "--mode", MODE };
        char config[256];

        for (size_t i = 0; words[i] && i < MAX_WORDS; i++)
                args[i + 2] = words[i];
        seam = (struct seam){ .rig = RIG_NONE, .hand = WRITER_NONE };
        strcpy(seam.dir, "/tmp/vgpud-control-XXXXXX");
        assert_non_null(mkdtemp(seam.dir));
        chmod(seam.dir, 0711);
        snprintf(seam.socket, sizeof(seam.socket), "%s/control", seam.dir);
        snprintf(config, sizeof(config), "mode = 0666\n[control]\nsocket = %s\nmode = 0666\n",
                seam.socket);
        if (in_vm)
                rig_boot_vm(&seam.rig, &(struct vm_proc_options){ .mode = MODE });
        else
                rig_guest_simulated(&seam.rig, args);
        rig_daemon(&seam.rig, config);
        chmod(seam.rig.daemon.dir, 0711);
        rig_client(&seam.rig);
        assert_int_equal(vgpu_client_connect(seam.rig.daemon.socket,
                                 &(struct vgpu_client_options){ .flags = VGPU_CLIENT_WAIT_DAEMON },
                                 &seam.other, NULL),
                0);
        rig_until(&seam.rig, rig_state_is, VGPU_RING_STREAMING, "the stream");
        rig_until_frame(&seam.rig);
        *state = &seam.rig;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        writer_close(&seam.hand);
        seam_end_writer(SIGKILL);
        vgpu_client_close(seam.other);
        rig_stop(&seam.rig);
        unlink(seam.socket);
        rmdir(seam.dir);
        return 0;
}

int seam_run(int argc, char **argv, const struct CMUnitTest *tests, size_t n_tests)
{
        if (geteuid() != 0) {
                puts("skipped: another user can be played by root alone");
                return 77;
        }
        in_vm = argc > 1 && strcmp(argv[1], "--vm") == 0;
        if (in_vm && vm_proc_missing()) {
                printf("skipped: %s\n", vm_proc_missing());
                return 77;
        }
        if (argc > 1 && !in_vm)
                words = (const char *const *)argv + 1;
        return _cmocka_run_group_tests("control", tests, n_tests, set_up, tear_down);
}
