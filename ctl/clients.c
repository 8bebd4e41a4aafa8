/*
 * clients.c - who reads the ring: ask the daemon, print a table; and send one away
 *
 * Names of clients are theirs to choose, and the daemon may be newer or older than this program: text that it left unescaped is
 * escaped here, and what is not there is a dash.
 */
#include "clients.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "field.h"
#include "pager.h"
#include "text.h"
#include "vgpu_client.h"
#include "vgpu_protocol.h"

#define CELL_MAX 160 /* a name of 32 bytes, all of it escaped */

struct column {
        const char *title;
        bool is_text; /* to the left; numbers are to the right */
        void (*print)(json_object *client, const char *key, char cell[CELL_MAX]);
        const char *key;
};

/* ---- cells ------------------------------------------------------------------------------------------------------- */

static void print_number(json_object *client, const char *key, char cell[CELL_MAX])
{
        json_object *value = field(client, key);

        if (value)
                snprintf(cell, CELL_MAX, "%" PRIu64, json_object_get_uint64(value));
}

static void print_text(json_object *client, const char *key, char cell[CELL_MAX])
{
        const char *value = json_object_get_string(field(client, key));

        if (value && value[0])
                text_escape_rest(cell, CELL_MAX, value, strlen(value));
}

static void print_flag(json_object *client, const char *key, char cell[CELL_MAX])
{
        json_object *value = field(client, key);

        if (value)
                snprintf(cell, CELL_MAX, "%s", json_object_get_boolean(value) ? "yes" : "no");
}

static void print_since(json_object *client, const char *key, char cell[CELL_MAX])
{
        json_object *value = field(client, key);

        if (value)
                text_duration(cell, CELL_MAX, json_object_get_uint64(value));
}

/* Over all of the time it has been connected; in the first second that says nothing. */
static void print_fps(json_object *client, const char *key, char cell[CELL_MAX])
{
        uint64_t ms = json_object_get_uint64(field(client, "since_ms"));

        if (ms >= 1000)
                snprintf(cell, CELL_MAX, "%.1f",
                        (double)json_object_get_uint64(field(client, key)) * 1e3 / (double)ms);
}

static const struct column columns[] = {
        { "UID", false, print_number, "uid" },
        { "USER", true, print_text, "user" },
        { "PID", false, print_number, "pid" },
        { "NAME", true, print_text, "name" },
        { "SINCE", false, print_since, "since_ms" },
        { "FRAMES", false, print_number, "frames" },
        { "FPS", false, print_fps, "frames" },
        { "MISSED", false, print_number, "missed" },
        { "TORN", false, print_number, "torn" },
        { "LEASES", false, print_number, "leases" },
        { "HELD", false, print_number, "held" },
        { "LOST", false, print_number, "ended" },
        { "LAG", false, print_number, "lag" },
        { "GEN", false, print_number, "generation" },
        { "ARMED", true, print_flag, "armed" },
        { "BEHIND", true, print_flag, "behind" },
};

#define N_COLUMNS (sizeof columns / sizeof columns[0])

/* ---- table ------------------------------------------------------------------------------------------------------- */

typedef char row_cells[N_COLUMNS][CELL_MAX];

static void fill_row(json_object *client, row_cells row)
{
        for (size_t i = 0; i < N_COLUMNS; i++) {
                snprintf(row[i], CELL_MAX, "-");
                columns[i].print(client, columns[i].key, row[i]);
        }
}

static void print_row(FILE *f, const size_t width[N_COLUMNS], row_cells row)
{
        for (size_t i = 0; i < N_COLUMNS; i++) {
                /* No blanks behind the last one. */
                int pad = i + 1 < N_COLUMNS || !columns[i].is_text ? (int)width[i] : 0;

                fprintf(f, "%s%*s", i ? "  " : "", columns[i].is_text ? -pad : pad, row[i]);
        }
        fputc('\n', f);
}

static void print_table(FILE *f, json_object *list, size_t n, bool legend, row_cells *rows)
{
        size_t width[N_COLUMNS];
        row_cells titles;

        for (size_t i = 0; i < N_COLUMNS; i++) {
                snprintf(titles[i], CELL_MAX, "%s", columns[i].title);
                width[i] = legend ? strlen(titles[i]) : 0;
        }
        for (size_t r = 0; r < n; r++) {
                fill_row(json_object_array_get_idx(list, r), rows[r]);
                for (size_t i = 0; i < N_COLUMNS; i++)
                        if (strlen(rows[r][i]) > width[i])
                                width[i] = strlen(rows[r][i]);
        }
        if (legend)
                print_row(f, width, titles);
        for (size_t r = 0; r < n; r++)
                print_row(f, width, rows[r]);
}

int clients_print(FILE *f, json_object *clients, bool legend)
{
        json_object *list = field(clients, "clients");
        row_cells *rows;
        size_t n;

        if (!json_object_is_type(list, json_type_array))
                return -EINVAL;
        n = json_object_array_length(list);
        if (n == 0) {
                if (legend)
                        fputs("No clients.\n", f);
                return 0;
        }
        rows = calloc(n, sizeof *rows);
        if (!rows)
                return -ENOMEM;
        print_table(f, list, n, legend, rows);
        free(rows);
        return 0;
}

void clients_add_users(json_object *clients)
{
        json_object *list = field(clients, "clients");
        size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

        for (size_t i = 0; i < n; i++) {
                json_object *client = json_object_array_get_idx(list, i);
                json_object *uid = field(client, "uid");
                const struct passwd *user =
                        uid ? getpwuid((uid_t)json_object_get_uint64(uid)) : NULL;

                if (uid)
                        json_object_object_add(client, "user",
                                user ? json_object_new_string(user->pw_name) : NULL);
        }
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* The answer has a limit, and a list that is not whole must not look so. */
static void tell_rest(json_object *clients)
{
        uint64_t total = json_object_get_uint64(field(clients, "total"));
        uint64_t listed = json_object_get_uint64(field(clients, "listed"));

        if (listed < total)
                ctl_fail("%" PRIu64 " of %" PRIu64 " clients are shown, more do not fit the "
                         "daemon's answer",
                        listed, total);
}

int clients_run(struct ctl *ctl, int argc, char **argv)
{
        int r = ctl_no_arguments(ctl, argc, argv);
        json_object *clients;
        const char *path;
        char buf[256];

        if (r)
                return r;
        path = ctl_socket(ctl, buf, sizeof buf);
        clients = path ? ctl_ask(path, VGPU_QUERY_CLIENTS, "list of clients") : NULL;
        if (!clients)
                return CTL_FAILED;
        clients_add_users(clients);
        if (!json_object_is_type(field(clients, "clients"), json_type_array)) {
                r = -EINVAL;
        } else if (ctl->json) {
                ctl_print_json(ctl, clients);
        } else {
                pager_open(ctl);
                r = clients_print(stdout, clients, !ctl->no_legend);
        }
        if (r == 0)
                tell_rest(clients);
        json_object_put(clients);
        if (r == -ENOMEM)
                return ctl_fail("out of memory");
        if (r < 0)
                return ctl_fail("'%s' answered with something that is no list of clients; is it a "
                                "vgpud of this version?",
                        path);
        return ctl_done();
}

static void print_dropped(const struct ctl *ctl, uint32_t pid, uint32_t n)
{
        json_object *o;

        if (!ctl->json) {
                printf("Dropped %u client%s of process %u.\n", n, n == 1 ? "" : "s", pid);
                return;
        }
        o = json_object_new_object();
        json_object_object_add(o, "schema", json_object_new_int(1));
        json_object_object_add(o, "pid", json_object_new_uint64(pid));
        json_object_object_add(o, "dropped", json_object_new_uint64(n));
        ctl_print_json(ctl, o);
        json_object_put(o);
}

static int drop(const struct ctl *ctl, const char *path, uint32_t pid)
{
        struct vgpu_client_failure why = { 0 };
        uint32_t n = 0;
        int r = vgpu_client_drop(path, pid, 0, &n, &why);

        if (r == -ESRCH)
                return ctl_fail("no client has pid %u. See 'vgpuctl clients'.", pid);
        /* Not the socket file's permissions, which the library has a word for. */
        if (r == -EACCES && why.goodbye == 0 && access(path, W_OK) == 0)
                return ctl_fail("only root, the daemon's user, and whom [access] admin_users and "
                                "admin_groups name may drop clients");
        if (r < 0)
                return ctl_connect_failed(path, &why);
        print_dropped(ctl, pid, n);
        return ctl_done();
}

int drop_run(struct ctl *ctl, int argc, char **argv)
{
        static const struct option none[] = { { 0 } };
        const char *path;
        char buf[256];
        uint64_t pid;

        if (ctl_getopt(ctl, argc, argv, "", none) < 0)
                return CTL_USAGE;
        if (optind >= argc)
                return ctl_usage(argv[0], "which process?");
        if (optind + 1 < argc)
                return ctl_usage(argv[0], "what is '%s'?", argv[optind + 1]);
        if (text_to_u64(argv[optind], &pid) < 0 || pid == 0 || pid > INT32_MAX)
                return ctl_usage(argv[0], "'%s' is no process id", argv[optind]);
        path = ctl_socket(ctl, buf, sizeof buf);
        return path ? drop(ctl, path, (uint32_t)pid) : CTL_FAILED;
}
