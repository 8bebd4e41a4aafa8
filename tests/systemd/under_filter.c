/*
 * under_filter.c - run a program as nobody, in the unit's filter of system calls; the names allowed are on the standard input
 *
 * The unit has a refused call fail; here it is death by SIGSYS, because much of what fails is made up for in other ways and
 * would not be seen. libseccomp knows the numbers of names; systemd uses it, so where there is one there is the other.
 */
#include <dlfcn.h>
#include <grp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* seccomp.h */
#define ACT_KILL_PROCESS 0x80000000u
#define ACT_ALLOW        0x7fff0000u

#define NOBODY 65534

static struct {
        void *(*init)(uint32_t action);
        int (*resolve_name)(const char *name);
        int (*rule_add_array)(
                void *filter, uint32_t action, int number, unsigned n_args, const void *args);
        int (*load)(const void *filter);
} seccomp;

static bool find_seccomp(void)
{
        void *lib = dlopen("libseccomp.so.2", RTLD_NOW);

        if (!lib)
                return false;
        *(void **)&seccomp.init = dlsym(lib, "seccomp_init");
        *(void **)&seccomp.resolve_name = dlsym(lib, "seccomp_syscall_resolve_name");
        *(void **)&seccomp.rule_add_array = dlsym(lib, "seccomp_rule_add_array");
        *(void **)&seccomp.load = dlsym(lib, "seccomp_load");
        return seccomp.init && seccomp.resolve_name && seccomp.rule_add_array && seccomp.load;
}

static __attribute__((noreturn)) void die(const char *what)
{
        perror(what);
        exit(1);
}

/* Names that this architecture does not have are negative numbers, and left out. */
static void *read_filter(void)
{
        void *filter = seccomp.init(ACT_KILL_PROCESS);
        char name[64];
        unsigned n = 0;

        if (!filter)
                die("seccomp_init");
        while (scanf("%63s", name) == 1) {
                int number = seccomp.resolve_name(name);

                if (number >= 0 && seccomp.rule_add_array(filter, ACT_ALLOW, number, 0, NULL) == 0)
                        n++;
        }
        if (n < 50)
                die("the filter's names");
        return filter;
}

int main(int argc, char **argv)
{
        void *filter;

        if (argc < 2)
                return 2;
        if (!find_seccomp()) {
                puts("skipped: libseccomp.so.2 is not installed");
                return 77;
        }
        filter = read_filter();
        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
                die("becoming nobody");
        if (seccomp.load(filter) < 0)
                die("seccomp_load");
        execv(argv[1], argv + 1);
        die(argv[1]);
}
