/*
 * modes_test.c - every mode, format, page size and side of the hole, all bytes checked
 *
 * One guest per kind of page and place; the mode and format change while it runs, so that each case is also a mode change
 * under a running client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"

static const struct mode {
        const char *text;
        uint32_t width, height;
} modes[] = {
        { "1920x1080@15", 1920, 1080 },
        { "2560x1440@15", 2560, 1440 },
        { "3840x2160@10", 3840, 2160 },
};

static const char *const formats[] = { "BGRA8888", "BGRX8888", "BGRA1010102" };

struct kind {
        const char *pages, *place;
};

static bool shows(const struct rig *rig, const struct mode *mode, const char *format)
{
        const struct vgpu_client_frame *frame = &rig->verify.frame;
        static const char *const fourcc[] = { "AR24", "XR24", "AR30" };

        for (size_t i = 0; i < 3; i++)
                if (strcmp(formats[i], format) == 0 && memcmp(&frame->fourcc, fourcc[i], 4) == 0)
                        return frame->width == mode->width && frame->height == mode->height;
        return false;
}

static const struct mode *wanted_mode;
static const char *wanted_format;

static bool shows_wanted(const struct rig *rig, uint64_t unused)
{
        (void)unused;
        return shows(rig, wanted_mode, wanted_format);
}

static void every_mode_and_format(struct kind kind)
{
        const char *const args[] = { kind.pages, "--place", kind.place, "--mode", "640x480@15",
                NULL };
        struct rig rig = RIG_NONE;

        rig_start_simulated(&rig, args);
        for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++)
                for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
                        char command[64];

                        wanted_mode = &modes[m];
                        wanted_format = formats[f];
                        snprintf(command, sizeof(command), "mode %s %s", modes[m].text, formats[f]);
                        rig_tell(&rig, command);
                        rig_until(&rig, shows_wanted, 0, command);
                        rig_until_frame(&rig);
                }
        rig_stop(&rig);
}

#define KIND(name, pages, place)                                                                   \
        static void name(void **state)                                                             \
        {                                                                                          \
                (void)state;                                                                       \
                every_mode_and_format((struct kind){ pages, place });                              \
        }

KIND(scattered_4k_pages_below_the_hole, "--scatter", "low")
KIND(scattered_4k_pages_above_the_hole, "--scatter", "high")
KIND(scattered_4k_pages_on_both_sides_of_the_hole, "--scatter", "both")
KIND(large_2m_pages_below_the_hole, "--large-pages", "low")
KIND(large_2m_pages_above_the_hole, "--large-pages", "high")

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(scattered_4k_pages_below_the_hole),
                cmocka_unit_test(scattered_4k_pages_above_the_hole),
                cmocka_unit_test(scattered_4k_pages_on_both_sides_of_the_hole),
                cmocka_unit_test(large_2m_pages_below_the_hole),
                cmocka_unit_test(large_2m_pages_above_the_hole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
