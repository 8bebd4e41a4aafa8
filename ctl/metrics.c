/*
 * metrics.c - the command: ask the daemon, print its counters or leave them in a file
 *
 * A file is for node_exporter's textfile collector, which may read at any moment: it is written beside its name and renamed. A
 * daemon that does not answer is then no failure but what the file says, because that is what somebody wants to be woken for.
 */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "pager.h"
#include "text.h"
#include "vgpu_client.h"
#include "vgpu_protocol.h"

/* The socket's name is the machine's. */
static void name_of(const char *socket, char *name, size_t cap)
{
        const char *base = strrchr(socket, '/');
        size_t len;

        base = base ? base + 1 : socket;
        len = strlen(base);
        if (len > 5 && strcmp(base + len - 5, ".sock") == 0)
                len -= 5;
        snprintf(name, cap, "%.*s", (int)len, base);
}

/* Takes over @fd. Return: 0 or a negative errno. */
static int write_all(int fd, const char *vm, json_object *metrics)
{
        FILE *f = fdopen(fd, "w");
        int r = 0;

        if (!f) {
                r = -errno;
                close(fd);
                return r;
        }
        metrics_print(f, vm, metrics);
        if (fflush(f) || fchmod(fd, 0644) < 0)
                r = -errno;
        if (fclose(f) && r == 0)
                r = -errno;
        return r;
}

/* The collector takes *.prom; the name in between is hidden from it. */
static int save(const char *path, const char *vm, json_object *metrics)
{
        char dir[PATH_MAX], base[PATH_MAX], temp[PATH_MAX];
        int fd, r;

        if (snprintf(dir, sizeof dir, "%s", path) >= (int)sizeof dir)
                return -ENAMETOOLONG;
        memcpy(base, dir, sizeof base);
        if (snprintf(temp, sizeof temp, "%s/.%s.XXXXXX", dirname(dir), basename(base)) >=
                (int)sizeof temp)
                return -ENAMETOOLONG;
        fd = mkostemp(temp, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = write_all(fd, vm, metrics);
        if (r == 0 && rename(temp, path) < 0)
                r = -errno;
        if (r < 0)
                unlink(temp);
        return r;
}

/* Return: 0 and *ret (NULL: the daemon does not answer), or an exit code after having said why. */
static int ask(const char *path, bool must_answer, json_object **ret)
{
        struct vgpu_client_failure why = { 0 };
        char *reply = NULL;
        int r = vgpu_client_query(path, VGPU_QUERY_METRICS, 0, &reply, &why);

        *ret = NULL;
        if (r == -EOPNOTSUPP)
                return ctl_fail("the daemon at '%s' is of a version that keeps no metrics; install "
                                "vgpuctl and vgpud of one version, and restart it",
                        path);
        if (r < 0)
                return must_answer ? ctl_connect_failed(path, &why) : 0;
        *ret = json_tokener_parse(reply);
        free(reply);
        if (json_object_is_type(*ret, json_type_object))
                return 0;
        json_object_put(*ret);
        return ctl_fail("'%s' answered with something that is no metrics; is it a vgpud of this "
                        "version?",
                path);
}

static int show(const struct ctl *ctl, const char *vm, const char *output, json_object *metrics)
{
        int r;

        if (output) {
                r = save(output, vm, metrics);
                return r < 0 ? ctl_fail("'%s': %s", output, strerror(-r)) : CTL_OK;
        }
        if (ctl->json) {
                ctl_print_json(ctl, metrics);
        } else {
                pager_open(ctl);
                metrics_print(stdout, vm, metrics);
        }
        return ctl_done();
}

int metrics_run(struct ctl *ctl, int argc, char **argv)
{
        enum { OUTPUT = CTL_OPTION_OWN };
        static const struct option options[] = {
                { "output", required_argument, NULL, OUTPUT },
                { 0 },
        };
        const char *path, *output = NULL;
        json_object *metrics;
        char buf[256], vm[256];
        int c, r;

        while ((c = ctl_getopt(ctl, argc, argv, "", options)) != 0) {
                if (c < 0)
                        return CTL_USAGE;
                output = optarg;
        }
        if (optind < argc)
                return ctl_usage(argv[0], "what is '%s'?", argv[optind]);
        path = ctl_socket(ctl, buf, sizeof buf);
        if (!path)
                return CTL_FAILED;
        name_of(path, vm, sizeof vm);
        r = ask(path, output == NULL, &metrics);
        if (r)
                return r;
        r = show(ctl, vm, output, metrics);
        json_object_put(metrics);
        return r;
}
