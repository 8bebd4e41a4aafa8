/*
 * patches_test.c - slots that the daemon brings up to date out of older frames, and a client that checks every byte of them
 *
 * The guest draws a stripe at a time and says which, so that nearly every frame is a patch; what is said and what is drawn
 * start anew with every mode, and with every producer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"
#include "vgpu_protocol.h"

#define STRIPES "24"

#define MODE(width, height) ((uint64_t)(width) << 32 | (height))

static uint64_t patched(const struct rig *rig)
{
        static const char key[] = "\"patched\":";
        struct vgpu_client_failure why;
        const char *at;
        uint64_t n;
        char *json;

        if (vgpu_client_query(rig->daemon.socket, VGPU_QUERY_METRICS, 5000, &json, &why) < 0)
                return 0;
        at = strstr(json, key);
        n = at ? strtoull(at + strlen(key), NULL, 10) : 0;
        free(json);
        return n;
}

static bool patched_are(const struct rig *rig, uint64_t n)
{
        return patched(rig) >= n;
}

static void until_more_are_patched(struct rig *rig)
{
        rig_until(rig, patched_are, patched(rig) + 20, "20 more patched frames");
        rig_until_frame(rig);
}

static void start(struct rig *rig, const char *config)
{
        static const char *const args[] = { "--stripes", STRIPES, "--mode", "640x480@60", NULL };

        *rig = RIG_NONE;
        rig_guest_simulated(rig, args);
        rig_daemon(rig, config);
        rig_client(rig);
        rig->verify.n_stripes = strtoul(STRIPES, NULL, 10);
}

static void every_byte_of_a_patched_frame_is_right(void **state)
{
        static const char *const configs[] = { NULL, "staging = yes\n" };
        struct rig rig;

        (void)state;
        for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
                start(&rig, configs[i]);
                until_more_are_patched(&rig);
                rig_stop(&rig);
        }
}

static void it_stays_so_over_modes_and_pauses(void **state)
{
        struct rig rig;

        (void)state;
        start(&rig, NULL);
        until_more_are_patched(&rig);
        rig_tell(&rig, "mode 1280x720@60");
        rig_until(&rig, rig_mode_is, MODE(1280, 720), "1280x720");
        until_more_are_patched(&rig);
        rig_pause(&rig);
        rig_resume(&rig);
        until_more_are_patched(&rig);
        rig_tell(&rig, "mode 640x480@60");
        rig_until(&rig, rig_mode_is, MODE(640, 480), "640x480");
        until_more_are_patched(&rig);
        rig_reboot(&rig);
        until_more_are_patched(&rig);
        rig_stop(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_byte_of_a_patched_frame_is_right),
                cmocka_unit_test(it_stays_so_over_modes_and_pauses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
