/*
 * simulated_lifecycle_test.c - the life of a guest, end to end, with the simulated guest
 *
 * Words on the command line go to the guest: what must work with a plain one must work with one that makes it hard.
 */
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

int main(int argc, char **argv)
{
        if (argc > 1)
                words = (const char *const *)argv + 1;
        return lifecycle_run(set_up, tear_down);
}
