/* vm_lifecycle_test.c - the life of a guest, end to end, in a real virtual machine; with an argument, its RAM is in a file */
#include <stdio.h>

#include "lifecycle.h"
#include "rig.h"

static struct rig rig;
static const char *ram_file;

static int set_up(void **state)
{
        rig = RIG_NONE;
        rig_start_vm(&rig, &(struct vm_proc_options){ .mode = "640x480@20", .file = ram_file });
        *state = &rig;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        rig_stop(&rig);
        if (ram_file)
                remove(ram_file);
        return 0;
}

int main(int argc, char **argv)
{
        if (vm_proc_missing()) {
                printf("skipped: %s\n", vm_proc_missing());
                return 77;
        }
        if (argc > 1)
                ram_file = argv[1];
        return lifecycle_run(set_up, tear_down);
}
