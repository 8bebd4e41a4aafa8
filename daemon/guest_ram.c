/*
 * guest_ram.c - which files are the guest's RAM, and where in it they lie
 *
 * QEMU's own word comes first, for the files (when they are not configured) and for their layout; the configuration and
 * the table of machine types are for a QEMU that nobody can ask. What does not fit together is refused with its reason.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "guest_private.h"
#include "helper/vm_files.h"
#include "systemd/journal.h"
#include "systemd/text.h"

struct plan {
        char text[VGPU_SOURCE_FILES_MAX][sizeof(((struct monitor_backend *)0)->path)];
        const char *path[VGPU_SOURCE_FILES_MAX];
        uint64_t hva[VGPU_SOURCE_FILES_MAX]; /* where QEMU has it, 0: not known */
        size_t n;
        int fd[VGPU_SOURCE_FILES_MAX];
        bool handed;                      /* it is these that are opened, no paths */
        bool denied;                      /* somebody with more rights would see more */
        bool named_by_qemu;               /* the admin did not */
        const struct vgpu_layout *layout; /* NULL: by machine type */
        struct vgpu_layout
                in_process; /* the same by addresses in QEMU; no pieces: RAM is in files */
};

/* What is known of QEMU now, or NULL. */
static const struct monitor_view *qemu_view(const struct guest *g)
{
        return g->has_monitor && g->monitor.view.layout.n_pieces ? &g->monitor.view : NULL;
}

static int qemu_pid(const struct guest *g)
{
        return g->has_process ? g->process.pid : qmp_peer_pid(&g->monitor.qmp);
}

/* A pidfile that only root may read is the helper's business: it sends the process itself. */
static bool is_helpers(const struct guest *g, int r)
{
        return r == -EACCES && config_ram_is_auto(g->config);
}

/* ---- is there a machine? ------------------------------------------------------------------------------------------- */

static bool machine_is_on(struct guest *g)
{
        int r = g->has_process ? vm_process_watch(&g->process) : 0;

        if (r < 0 && !is_helpers(g, r)) {
                guest_set_reason(g, "The virtual machine is off: %s: %s", g->config->guest.pidfile,
                        r == -ESRCH ? "its process has ended" : strerror(-r));
                return false;
        }
        if (guest_may_read(g))
                return true;
        if (g->monitor.says == MONITOR_HALTED)
                guest_set_reason(
                        g, "QEMU says '%s': the machine does not run", g->monitor.view.status);
        else
                guest_set_reason(g, "QEMU's monitor at %s: %s", g->config->guest.qmp,
                        g->monitor.why[0] ? g->monitor.why : "not asked yet");
        return false;
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static bool plan_configured(struct guest *g, struct plan *plan)
{
        const struct monitor_view *qemu = qemu_view(g);
        const char *list = g->config->guest.ram;

        while (plan->n < VGPU_SOURCE_FILES_MAX && config_next_path(&list, plan->text[plan->n]))
                plan->n++;
        if (!qemu || plan->n == qemu->n_backends)
                return true;
        guest_set_reason(g, "QEMU has %zu RAM backend%s (the first is '%s'), [guest] ram names %zu",
                qemu->n_backends, qemu->n_backends == 1 ? "" : "s", qemu->backend[0].id, plan->n);
        return false;
}

/* A mem-path may be a folder (of hugetlbfs), begin in QEMU's own folder, or lead elsewhere in QEMU's view of the host. */
static bool is_file_here(const char *path)
{
        struct stat st;

        return path[0] == '/' && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Who may not trace a process is told so, or, where it is hidden, that there is none. */
static bool is_denial(int r)
{
        return r == -EACCES || r == -EPERM || r == -ESRCH;
}

static bool plan_backend(struct guest *g, const struct monitor_backend *b, struct plan *plan)
{
        char *text = plan->text[plan->n];
        int r = -ENOENT;

        plan->hva[plan->n++] = b->hva;
        if (!is_file_here(b->path)) {
                r = vm_files_at(qemu_pid(g), b->hva, text, sizeof(plan->text[0]));
                plan->denied |= is_denial(r);
        }
        /* Also when it is nowhere else: opening it says what is wrong with it. */
        if (r < 0 && b->path[0] == '/') {
                memcpy(text, b->path, sizeof(b->path));
                return true;
        }
        if (r < 0)
                guest_set_reason(g, "The RAM backend '%s' was not found in process %d: %s", b->id,
                        qemu_pid(g), strerror(-r));
        return r == 0;
}

/* RAM without share=on is in no file that shows what the guest writes; QEMU's own memory does. */
static bool plan_in_process(struct guest *g, const struct monitor_view *qemu, struct plan *plan)
{
        plan->in_process = qemu->layout;
        for (size_t i = 0; i < qemu->layout.n_pieces; i++) {
                struct vgpu_layout_piece *p = &plan->in_process.piece[i];
                const struct monitor_backend *b = &qemu->backend[p->file];

                if (!b->hva) {
                        guest_set_reason(g, "QEMU does not say where it keeps '%s'", b->id);
                        return false;
                }
                p->offset = b->hva + (p->offset - b->offset);
                p->file = 0;
        }
        snprintf(plan->text[0], sizeof(plan->text[0]), "/proc/%d/mem", qemu_pid(g));
        plan->n = 1;
        return true;
}

static bool all_shared(const struct monitor_view *qemu)
{
        for (size_t i = 0; i < qemu->n_backends; i++)
                if (!qemu->backend[i].shared)
                        return false;
        return true;
}

static bool plan_from_process(struct guest *g, struct plan *plan)
{
        int r = g->process.pid == 0 ? -EACCES
                                    : vm_files_only_backend(
                                              g->process.pid, plan->text[0], sizeof(plan->text[0]));

        plan->n = 1;
        plan->denied = is_denial(r);
        if (g->process.pid == 0)
                guest_set_reason(
                        g, "%s cannot be read: %s", g->config->guest.pidfile, strerror(-r));
        else if (r == -EEXIST)
                guest_set_reason(g,
                        "Process %d has several memfd backends: give [guest] qmp, which tells them "
                        "apart",
                        g->process.pid);
        else if (plan->denied)
                guest_set_reason(
                        g, "The RAM of process %d is out of this user's reach", g->process.pid);
        else if (r < 0)
                guest_set_reason(g, "No memfd backend in process %d: %s", g->process.pid,
                        r == -ENOENT ? "name its file in [guest] ram, or give [guest] qmp"
                                     : strerror(-r));
        return r == 0;
}

static bool make_plan(struct guest *g, struct plan *plan)
{
        const struct monitor_view *qemu = qemu_view(g);

        *plan = (struct plan){
                .layout = qemu ? &qemu->layout : NULL,
                .named_by_qemu = config_ram_is_auto(g->config),
        };
        if (!config_ram_is_auto(g->config)) {
                if (!plan_configured(g, plan))
                        return false;
        } else if (qemu && !all_shared(qemu)) {
                if (!plan_in_process(g, qemu, plan))
                        return false;
        } else if (qemu) {
                for (size_t i = 0; i < qemu->n_backends; i++)
                        if (!plan_backend(g, &qemu->backend[i], plan))
                                return false;
        } else if (g->has_process) {
                if (!plan_from_process(g, plan))
                        return false;
        } else {
                guest_set_reason(g, "QEMU does not say where RAM is; name its file in [guest] ram");
                return false;
        }
        for (size_t i = 0; i < plan->n; i++)
                plan->path[i] = plan->text[i];
        return true;
}

/* ---- what others opened ------------------------------------------------------------------------------------------- */

/* Which of the files at hand each backend is in. Return: false unless each is in one of its own. */
static bool place_backends(
        const struct ram_shelf *s, const struct monitor_view *qemu, size_t place[])
{
        for (size_t i = 0; i < qemu->n_backends; i++) {
                int at = ram_shelf_find(s, qemu->backend[i].hva);

                if (at < 0)
                        return false;
                place[i] = (size_t)at;
                for (size_t j = 0; j < i; j++)
                        if (place[j] == place[i])
                                return false;
        }
        return true;
}

/* How many files this machine has, where that is known; else as many as are at hand. */
static size_t count_wanted(
        const struct guest *g, const struct monitor_view *qemu, const struct plan *plan)
{
        if (!config_ram_is_auto(g->config))
                return plan->n;
        return qemu ? qemu->n_backends : 1;
}

/* Return: are the files at hand this machine's RAM? Then the plan is complete. */
static bool plan_handed(struct guest *g, struct plan *plan)
{
        const struct monitor_view *qemu = qemu_view(g);
        bool is_auto = config_ram_is_auto(g->config);
        size_t place[VGPU_SOURCE_FILES_MAX], n;
        struct ram_shelf *s = &g->shelf;

        *plan = (struct plan){ .layout = qemu ? &qemu->layout : NULL, .handed = true };
        if (s->n == 0 || (is_auto && s->pid && qemu_pid(g) && s->pid != qemu_pid(g)) ||
                (!is_auto && !plan_configured(g, plan)))
                return false;
        n = count_wanted(g, qemu, plan);
        if (n > s->n || (s->by_admin && n < s->n) || (qemu && is_auto && !all_shared(qemu)))
                return false;
        for (size_t i = 0; i < n; i++)
                place[i] = i;
        if (is_auto && qemu && !s->by_admin && !place_backends(s, qemu, place))
                return false;
        if (n < s->n && (!is_auto || !qemu))
                return false;
        ram_shelf_keep(s, place, n);
        plan->n = n;
        for (size_t i = 0; i < n; i++) {
                plan->fd[i] = s->file[i].fd;
                plan->path[i] = plan->text[i];
                if (is_auto)
                        snprintf(plan->text[i], sizeof(plan->text[i]), "process %d", s->pid);
        }
        return true;
}

/* Says what the helper said last, or that it was asked. Without one there is something to be done about it. */
static void ask_helper(struct guest *g)
{
        char own[160];
        size_t len;

        if (g->has_process && g->asked_for != g->process.pid)
                ram_helper_forget(&g->helper);
        g->asked_for = g->has_process ? g->process.pid : 0;
        if (ram_helper_ask(&g->helper) == -ENOENT) {
                snprintf(own, sizeof(own), "%.150s", g->reason);
                len = strlen(own);
                guest_set_reason(g, "%s%s start vgpud-ram@%.40s.socket", own,
                        len && own[len - 1] == ')' ? ", or" : ";", g->config->name);
                return;
        }
        if (g->helper.why[0])
                guest_set_reason(g, "The RAM helper has none: %s", g->helper.why);
        else
                guest_set_reason(g, "Asking %s for the guest's RAM", g->helper.path);
        g->is_asking = !g->helper.why[0];
}

void guest_on_helper(struct ram_helper *h, struct ram_hand *hand)
{
        struct guest *g = h->ctx;

        if (g->state != GUEST_ABSENT) {
                ram_hand_close(hand);
                return;
        }
        if (hand->offer.n_files > 0)
                ram_shelf_fill(&g->shelf, hand);
        guest_look_again(g);
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static void name_ram(struct guest *g, const struct plan *plan)
{
        size_t len = 0;

        for (size_t i = 0; i < plan->n && len < sizeof(g->ram_name); i++)
                len += (size_t)snprintf(g->ram_name + len, sizeof(g->ram_name) - len, "%s%s",
                        i ? ", " : "", plan->path[i]);
        text_clean(g->ram_name);
}

/* What to do about those that an admin meets first. */
static const char *next_step(enum vgpu_source_reason reason)
{
        switch (reason) {
        case VGPU_SOURCE_MISSING:
                return " (is the machine off? If it runs, compare [guest] ram with QEMU's "
                       "mem-path)";
        case VGPU_SOURCE_FORBIDDEN:
                return " (let the daemon's user read it, by group or ACL: see vgpud(8))";
        default:
                return "";
        }
}

static void explain_source(
        struct guest *g, const struct plan *plan, const struct vgpu_source_failure *why)
{
        const char *path = plan->path[why->file];

        if (why->want)
                guest_set_reason(g, "%s: %s (%llu bytes, %llu wanted)", path,
                        vgpu_source_reason_text(why->reason), (unsigned long long)why->have,
                        (unsigned long long)why->want);
        else if (why->reason == VGPU_SOURCE_MAP_FAILED || why->reason == VGPU_SOURCE_OPEN_FAILED)
                guest_set_reason(g, "%s: %s (%s)", path, vgpu_source_reason_text(why->reason),
                        strerror(why->error));
        else
                guest_set_reason(g, "%s: %s%s", path, vgpu_source_reason_text(why->reason),
                        next_step(why->reason));
}

/* A process that may not be traced, and a folder that may not be looked into, are not always called forbidden. */
static bool is_hidden(const struct plan *plan, const struct vgpu_source_failure *why)
{
        return why->reason == VGPU_SOURCE_FORBIDDEN ||
               (why->reason == VGPU_SOURCE_MISSING &&
                       strncmp(plan->path[why->file], "/proc/", 6) == 0);
}

/* QEMU is right; but whoever wrote the configuration believes something else about this machine. */
static void compare_layouts(const struct guest *g, const struct plan *plan)
{
        uint64_t sizes[VGPU_SOURCE_FILES_MAX] = { 0 };
        struct vgpu_layout configured;

        size_t n_files = 0;

        for (size_t i = 0; i < plan->layout->n_pieces; i++) {
                const struct vgpu_layout_piece *p = &plan->layout->piece[i];

                if (p->file >= n_files)
                        n_files = p->file + 1;
                if (p->offset + p->len > sizes[p->file])
                        sizes[p->file] = p->offset + p->len;
        }
        if (vgpu_layout_split(g->config->guest.machine, sizes, n_files, &configured) < 0 ||
                !vgpu_layout_equal(&configured, plan->layout))
                journal_event(EVENT_LAYOUT_DIFFERS,
                        JOURNAL_FIELDS(JOURNAL_TEXT(
                                "VGPU_MACHINE", vgpu_machine_name(g->config->guest.machine))),
                        "QEMU lays RAM out in another way than [guest] machine = %s does; QEMU's "
                        "own layout is used. Correct [guest] machine: without a monitor it decides",
                        vgpu_machine_name(g->config->guest.machine));
}

static vgpu_source *open_plan(struct guest *g, struct plan *plan)
{
        const struct vgpu_config *config = g->config;
        struct vgpu_source_failure why;
        vgpu_source *source;

        if (plan->handed)
                source = vgpu_source_open_handed(plan->fd, plan->n, g->shelf.pidfd, plan->layout,
                        config->guest.machine, config->guest.ram_size, &why);
        else if (plan->in_process.n_pieces)
                source = vgpu_source_open_process(qemu_pid(g), &plan->in_process, &why);
        else if (plan->layout)
                source = vgpu_source_open_layout(plan->path, plan->n, plan->layout, &why);
        else
                source = vgpu_source_open_files(
                        plan->path, plan->n, config->guest.machine, config->guest.ram_size, &why);
        if (!source) {
                explain_source(g, plan, &why);
                plan->denied |= is_hidden(plan, &why);
        } else if (plan->layout)
                compare_layouts(g, plan);
        return source;
}

/*
 * Who took QEMU over names any file he likes, another machine's RAM before all, and we may be allowed more than he is. So
 * of what is open now, not of a path, it is asked whether QEMU itself has it.
 */
static bool is_qemus(struct guest *g, struct plan *plan, const vgpu_source *source)
{
        int pid = qemu_pid(g), r = 0;
        size_t i;
        dev_t dev;
        ino_t ino;

        /* What the helper handed over it looked at in the same way. */
        if (!plan->named_by_qemu || plan->in_process.n_pieces || plan->handed)
                return true;
        for (i = 0; i < plan->n && r == 0; i++) {
                vgpu_source_file(source, i, &dev, &ino);
                r = vm_files_maps(pid, plan->hva[i], dev, ino);
        }
        plan->denied = is_denial(r);
        if (r == -ENOENT)
                guest_set_reason(g,
                        "%s: process %d does not have this file as shared RAM: is it QEMU? Give "
                        "[guest] pidfile, or name the file in [guest] ram",
                        plan->path[i - 1], pid);
        else if (r < 0)
                guest_set_reason(g,
                        "%s: what QEMU (process %d) has as RAM cannot be seen: %s; name the file "
                        "in "
                        "[guest] ram",
                        plan->path[i - 1], pid, strerror(-r));
        return r == 0;
}

/* Once only for the same descriptors: who hands over what does not fit is not asked again at once. */
static void put_back(struct guest *g, const char *why)
{
        if (g->shelf.n == 0 || g->shelf.by_admin)
                return;
        if (g->shelf.by_helper)
                ram_helper_reject(&g->helper, why);
        ram_shelf_clear(&g->shelf);
}

/* Files at hand, or what is known of where they are. */
static bool plan_either(struct guest *g, struct plan *plan)
{
        if (plan_handed(g, plan))
                return true;
        put_back(g,
                "what it handed over is not what this machine has; with several memory backends "
                "give [guest] qmp, which tells them apart");
        return make_plan(g, plan);
}

static vgpu_source *open_ram(struct guest *g)
{
        vgpu_source *source = NULL;
        struct plan plan = { 0 };

        if (!machine_is_on(g))
                return NULL;
        if (plan_either(g, &plan)) {
                name_ram(g, &plan);
                g->layout_by_qemu = plan.layout != NULL;
                source = open_plan(g, &plan);
                if (source && !is_qemus(g, &plan, source))
                        source = vgpu_source_close(source);
        }
        if (source && plan.handed) {
                ram_helper_forget(&g->helper);
                ram_shelf_store(&g->shelf);
        } else if (plan.handed) {
                put_back(g, g->reason);
        } else if (!source && plan.denied) {
                ask_helper(g);
        }
        return source;
}

void guest_open_ram(struct guest *g)
{
        vgpu_source *source;

        g->is_asking = false;
        ram_shelf_sweep(&g->shelf, g->config->guest.ram);
        source = open_ram(g);
        if (source) {
                vgpu_source_set_copy(source, g->config->pace.copy);
                g->ram = ram_new(source);
                guest_set_reason(g, g->ram ? "Looking for a Windows kernel in the guest's memory"
                                           : "The daemon has no memory left; trying again");
        }
        guest_post(g, g->ram ? GUEST_EV_RAM_APPEARED : GUEST_EV_RAM_GONE);
}
