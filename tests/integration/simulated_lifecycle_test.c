/*
 * simulated_lifecycle_test.c - the life of a guest, end to end, with the simulated guest
 *
 * Words on the command line go to the guest: what must work with a plain one must work with one that makes it hard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lifecycle.h"
#include "rig.h"

#define MAX_WORDS 30

static struct rig rig;
static const char *const plain[] = { "--scatter", NULL };
static const char *const *words = plain;

static int set_up(void **state)
{
        const char *args[MAX_WORDS + 3] = { "--mode", "1280x720@30" };
        size_t n = 2;

        for (size_t i = 0; words[i] && i < MAX_WORDS; i++)
                args[n++] = words[i];
        rig = RIG_NONE;
        rig_start_simulated(&rig, args);
        *state = &rig;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        rig_stop(&rig);
        return 0;
}

/* A reset need not wipe RAM: the old kernel and its start block may lie there whole, with a clock that stands. */
static void a_kernel_that_boots_elsewhere_is_found_beside_the_dead_ones(void **state)
{
        (void)state;
        rig_until_frame(&rig);
        for (unsigned i = 0; i < 3; i++) {
                uint64_t epoch = rig.now.stream.epoch;

                rig_tell(&rig, "reboot elsewhere");
                rig_until(&rig, rig_epoch_is, epoch + 1, "a frame of the next epoch");
        }
}

int main(int argc, char **argv)
{
        const struct CMUnitTest elsewhere[] = {
                cmocka_unit_test(a_kernel_that_boots_elsewhere_is_found_beside_the_dead_ones),
        };

        if (argc > 1)
                words = (const char *const *)argv + 1;
        return lifecycle_run(set_up, tear_down) +
               cmocka_run_group_tests(elsewhere, set_up, tear_down);
}
