/* host.c - see host.h */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define NAME_SIZE 128

/* The first line of a file, or @otherwise when there is none. */
static void first_line(const char *path, char text[NAME_SIZE], const char *otherwise)
{
        FILE *f = fopen(path, "re");

        text[0] = '\0';
        if (f && !fgets(text, NAME_SIZE, f))
                text[0] = '\0';
        if (f)
                fclose(f);
        text[strcspn(text, "\n")] = '\0';
        if (text[0] == '\0')
                snprintf(text, NAME_SIZE, "%s", otherwise);
}

/* What follows the colon in the first line of /proc/cpuinfo that begins with @name; "" where there is none. */
static void cpu_fact(const char *name, char *text, size_t size)
{
        FILE *f = fopen("/proc/cpuinfo", "re");
        char *line = NULL;
        size_t cap = 0;

        text[0] = '\0';
        while (f && text[0] == '\0' && getline(&line, &cap, f) > 0) {
                char *value = strchr(line, ':');

                if (!value || strncmp(line, name, strlen(name)) != 0)
                        continue;
                value[strcspn(value, "\n")] = '\0';
                snprintf(text, size, "%s", value[1] == ' ' ? value + 2 : value + 1);
        }
        free(line);
        if (f)
                fclose(f);
}

static void describe_hypervisor(char *text, size_t size)
{
        char flags[8192], vendor[NAME_SIZE], product[NAME_SIZE];

        cpu_fact("flags", flags, sizeof(flags));
        first_line("/sys/class/dmi/id/sys_vendor", vendor, "");
        first_line("/sys/class/dmi/id/product_name", product, "");
        if (!strstr(flags, " hypervisor"))
                snprintf(text, size, "no hypervisor");
        else if (vendor[0] != '\0' || product[0] != '\0')
                snprintf(text, size, "under a hypervisor (%s %s)", vendor, product);
        else
                snprintf(text, size, "under a hypervisor that does not say which");
}

const char *host_describe(char *text, size_t size)
{
        char model[NAME_SIZE], governor[NAME_SIZE], hypervisor[2 * NAME_SIZE + 64];
        struct utsname name;
        double load = 0;

        uname(&name);
        getloadavg(&load, 1);
        cpu_fact("model name", model, sizeof(model));
        describe_hypervisor(hypervisor, sizeof(hypervisor));
        first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor, "unknown");
        snprintf(text, size, "%ld CPUs (%s), %s %s, governor %s, %s, load %.1f before",
                sysconf(_SC_NPROCESSORS_ONLN), model[0] != '\0' ? model : "model unknown",
                name.sysname, name.release, governor, hypervisor, load);
        return text;
}
