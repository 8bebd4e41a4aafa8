/*
 * doctor_daemon.c - the daemon's socket, its answer, and what that answer means for whoever waits for a picture
 *
 * The daemon says in a sentence what it waits for; here is what to do about it. A sentence that no row knows leads to the advice for
 * its state, so a newer daemon is not misunderstood, only less well.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "field.h"
#include "text.h"
#include "vgpu_client.h"
#include "vgpu_protocol.h"

/* ---- the socket ------------------------------------------------------------------------------------------------------ */

int doctor_ask_daemon(struct doctor *d, uint32_t what, json_object **ret, char *why, size_t cap)
{
        struct vgpu_client_failure failure = { 0 };
        char *reply = NULL;
        int r = vgpu_client_query(d->socket, what, 0, &reply, &failure);

        if (r < 0) {
                text_escape(why, cap, failure.text, sizeof failure.text);
                return r;
        }
        *ret = json_tokener_parse(reply);
        free(reply);
        if (json_object_is_type(*ret, json_type_object))
                return 0;
        json_object_put(*ret);
        snprintf(why, cap, "its answer is no report");
        return -EPROTO;
}

void doctor_check_socket(struct doctor *d, struct doctor_finding *f)
{
        char shown[512], rights[160];
        struct stat st;

        text_escape(shown, sizeof shown, d->socket, strlen(d->socket));
        if (stat(d->socket, &st) < 0) {
                doctor_say(f, DOCTOR_FAIL, "'%s': %s", shown, strerror(errno));
                doctor_next(
                        f, "systemctl start vgpud@%s.socket vgpud@%s.service", d->name, d->name);
        } else if (!S_ISSOCK(st.st_mode)) {
                doctor_say(f, DOCTOR_FAIL, "'%s' is no socket", shown);
                doctor_next(f, "move it away, then systemctl restart vgpud@%s.socket", d->name);
        } else if (access(d->socket, W_OK) < 0) {
                doctor_say(f, DOCTOR_FAIL, "this user may not connect: '%s' is %s", shown,
                        doctor_describe(d->socket, rights, sizeof rights));
                doctor_next(f, "become a member of its group (usermod -aG, then log in again), or "
                               "see SocketGroup= in vgpud(8)");
        } else {
                doctor_say(f, DOCTOR_OK, "'%s', %s", shown,
                        doctor_describe(d->socket, rights, sizeof rights));
        }
}

void doctor_check_daemon(struct doctor *d, struct doctor_finding *f)
{
        char why[512] = "", version[128];
        int r = d->ask(d, VGPU_QUERY_STATUS, &d->status, why, sizeof why);

        if (r == 0) {
                doctor_say(f, DOCTOR_OK, "vgpud %s answers, process %" PRIu64,
                        field_text(d->status, "version", version, sizeof version),
                        field_u64(d->status, "pid"));
                return;
        }
        doctor_say(f, DOCTOR_FAIL, "it does not answer: %s", why);
        if (r == -EACCES)
                doctor_next(f,
                        "where 'socket' above is ok, name this user in [access] users or groups of "
                        "%s, then systemctl reload vgpud@%s",
                        d->config_path, d->name);
        else if (r == -EUSERS)
                doctor_next(f, "close another client, or raise [ring] max_clients");
        else
                doctor_next(f, "systemctl status vgpud@%s and journalctl -b -u vgpud@%s -x say why",
                        d->name, d->name);
}

/* ---- what it waits for ----------------------------------------------------------------------------------------------- */

#define START_VM  "start the virtual machine"
#define RESUME_VM "resume the virtual machine (virsh resume, or cont in QEMU's monitor)"
#define START_PRODUCER                                                                             \
        "start the capture program in the guest, in the user's session. If it runs, its log "      \
        "there says why it publishes "                                                             \
        "nothing"
#define RESTART_PRODUCER                                                                           \
        "restart the capture program in the guest; its log there says why it stopped"

struct advice {
        const char *state;  /* NULL: any */
        const char *reason; /* part of the daemon's sentence; NULL: any */
        enum doctor_result result;
        const char *next;
};

/* The first row that fits counts. */
static const struct advice advices[] = {
        { "streaming", NULL, DOCTOR_OK, "" },
        { NULL, "paused or off", DOCTOR_FAIL,
                START_VM ", or resume it. [guest] qmp or pidfile would tell which" },
        { NULL, "is paused", DOCTOR_FAIL, RESUME_VM },
        { NULL, "QEMU says 'shutdown'", DOCTOR_FAIL, START_VM },
        { NULL, "QEMU says", DOCTOR_FAIL, RESUME_VM },
        { NULL, "machine is off", DOCTOR_FAIL, START_VM },
        { NULL, "shut down", DOCTOR_FAIL, START_VM },
        { NULL, "monitor", DOCTOR_FAIL,
                "see 'monitor' above: give the daemon a monitor of its own" },
        { NULL, "has not booted yet", DOCTOR_WARN, "wait until the guest has booted" },
        { NULL, "it hangs", DOCTOR_FAIL, RESTART_PRODUCER },
        { NULL, "its producer hangs", DOCTOR_FAIL, RESTART_PRODUCER },
        { NULL, "producer or its region is gone", DOCTOR_FAIL, RESTART_PRODUCER },
        { NULL, "No process in the guest has a region", DOCTOR_FAIL, START_PRODUCER },
        { NULL, "machine and ram_size", DOCTOR_FAIL,
                "compare [guest] machine and ram_size with QEMU's command line; 'vgpuctl probe' "
                "shows each step" },
        { NULL, "No Windows kernel", DOCTOR_WARN,
                "wait until the guest has booted. If it has, 'vgpuctl probe --ram FILE' shows "
                "which "
                "step fails" },
        { NULL, "ermission denied", DOCTOR_FAIL,
                "see 'permission' above: the user vgpud must be able to read the RAM" },
        { NULL, "No such file", DOCTOR_FAIL,
                START_VM ", or correct [guest] ram to QEMU's mem-path" },
        { NULL, "was removed, replaced or truncated", DOCTOR_FAIL, START_VM },
        { NULL, "not allowed to read", DOCTOR_FAIL, "see 'permission' above" },
        { NULL, "out of this user's reach", DOCTOR_FAIL, "see 'permission' above" },
        { NULL, "no such RAM file", DOCTOR_FAIL,
                START_VM ", or correct [guest] ram to QEMU's mem-path" },
        { "absent", "the machine does not run", DOCTOR_FAIL, START_VM },
        { "absent", NULL, DOCTOR_FAIL,
                "see 'ram' and 'permission' above; if the virtual machine is off, start it" },
        { "attaching", NULL, DOCTOR_WARN, "wait until the guest has booted" },
        { "searching", NULL, DOCTOR_FAIL, START_PRODUCER },
        { "confirming", NULL, DOCTOR_WARN, "ask again in a second" },
        { "stalled", NULL, DOCTOR_FAIL, RESUME_VM ", or restart the capture program in it" },
        { NULL, NULL, DOCTOR_WARN, "vgpuctl status" },
};

static const struct advice *advice_for(const char *state, const char *reason)
{
        for (size_t i = 0;; i++) {
                const struct advice *a = &advices[i];

                if (a->state && strcmp(a->state, state) != 0)
                        continue;
                if (!a->reason || strstr(reason, a->reason))
                        return a;
        }
}

void doctor_check_stream(struct doctor *d, struct doctor_finding *f)
{
        const char *state = field_raw(d->status, "state"), *reason = field_raw(d->status, "reason");
        const struct advice *a = advice_for(state ? state : "", reason ? reason : "");
        uint64_t epoch = field_u64(d->status, "epoch");
        char name[160], why[512], since[32], life[96] = "";

        text_duration(since, sizeof since, field_u64(d->status, "since_ms"));
        field_text(d->status, "reason", why, sizeof why);
        if (epoch > 1)
                snprintf(life, sizeof life,
                        "; the guest has restarted %" PRIu64 " time%s since the daemon began",
                        epoch - 1, epoch == 2 ? "" : "s");
        field_text(d->status, "state", name, sizeof name);
        if (a->result == DOCTOR_OK)
                doctor_say(f, DOCTOR_OK, "streaming since %s, %.1f fps%s", since,
                        field_double(d->status, "fps"), life);
        else
                doctor_say(f, a->result, "%s since %s%s%s%s",
                        strcmp(name, "-") == 0 ? "no state" : name, since, reason ? ": " : "",
                        reason ? why : "", life);
        doctor_next(f, "%s", a->next);
}

/* ---- who was sent away ----------------------------------------------------------------------------------------------- */

struct refusal {
        const char *key; /* of the metrics' clients_refused and clients_dropped */
        const char *means;
        const char *next;
};

static const struct refusal refusals[] = {
        { "denied", "not allowed to connect",
                "the journal names their uid: [access] users and groups say who may connect "
                "(vgpud.conf(5))" },
        { "full", "no room for another client",
                "raise [ring] max_clients or max_clients_user, or close clients (vgpuctl "
                "clients)" },
        { "version", "a library of another version",
                "install vgpud and libvgpu-client of one version" },
        { "internal", "the daemon ran out of descriptors or memory",
                "raise LimitNOFILE= in a drop-in of vgpud@.service" },
        { "flood", "sent more messages than any client needs", "the journal names their pid" },
        { "malformed", "broke the protocol", "the journal names their pid" },
        { "unread", "did not read what they asked for", "the journal names their pid" },
};

void doctor_check_clients(struct doctor *d, struct doctor_finding *f)
{
        json_object *metrics = NULL, *counters;
        const struct refusal *worst = NULL;
        uint64_t n = 0, n_all = field_u64(d->status, "clients");
        char why[512];

        if (d->ask(d, VGPU_QUERY_METRICS, &metrics, why, sizeof why) < 0) {
                doctor_say(f, DOCTOR_SKIPPED, "the daemon does not say whom it refused: %s", why);
                return;
        }
        counters = field(metrics, "counters");
        for (size_t i = 0; !worst && i < sizeof refusals / sizeof refusals[0]; i++) {
                n = field_u64(field(counters, "clients_refused"), refusals[i].key) +
                    field_u64(field(counters, "clients_dropped"), refusals[i].key);
                if (n)
                        worst = &refusals[i];
        }
        json_object_put(metrics);
        if (!worst) {
                doctor_say(f, DOCTOR_OK, "%" PRIu64 " connected, none was sent away", n_all);
                return;
        }
        doctor_say(f, DOCTOR_WARN, "%" PRIu64 " sent away since the daemon started: %s", n,
                worst->means);
        doctor_next(f, "%s: journalctl -b -u vgpud@%s", worst->next, d->name);
}
