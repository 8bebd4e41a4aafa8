/* guest.c - events in, actions out: see guest.h. Where events come from is in guest_ram.c, _search.c, _pulse.c and _vm.c. */
#include "guest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "guest_private.h"
#include "systemd/journal.h"
#include "systemd/text.h"

void guest_set_reason(struct guest *g, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        vsnprintf(g->reason, sizeof(g->reason), fmt, args);
        va_end(args);
        text_clean(g->reason);
}

const struct vgpup_candidate *guest_producer(const struct guest *g)
{
        return g->region ? vgpup_region_candidate(g->region) : NULL;
}

const char *guest_producer_name(const struct guest *g, char buf[GUEST_NAME_MAX])
{
        const process *p = &guest_producer(g)->proc;

        return journal_escape(p->name, strnlen(p->name, sizeof(p->name)), buf, GUEST_NAME_MAX);
}

/* ---- what clients see -------------------------------------------------------------------------------------------- */

static enum vgpu_ring_state ring_state(enum guest_state state)
{
        static const enum vgpu_ring_state ring[GUEST_N_STATES] = {
                [GUEST_ABSENT] = VGPU_RING_ABSENT,
                [GUEST_ATTACHING] = VGPU_RING_ATTACHING,
                [GUEST_SEARCHING] = VGPU_RING_SEARCHING,
                [GUEST_CONFIRMING] = VGPU_RING_CONFIRMING,
                [GUEST_STREAMING] = VGPU_RING_STREAMING,
                [GUEST_STALLED] = VGPU_RING_STALLED,
                [GUEST_STOPPING] = VGPU_RING_STOPPING,
        };

        return ring[state];
}

void guest_tell(struct guest *g)
{
        const struct vgpup_candidate *producer = guest_producer(g);

        outlet_set_liveness(g->outlet, ring_state(g->state), g->n_epochs,
                producer ? g->run_epoch : 0, producer ? producer->proc.pid : 0);
}

/* ---- actions ------------------------------------------------------------------------------------------------------- */

static void stop_looking(struct guest *g)
{
        timerfd_settime(g->look_fd, 0, &(struct itimerspec){ 0 }, NULL);
        uv_poll_stop(&g->look);
}

static struct pacer_config pace_of(const struct vgpu_config *config)
{
        return (struct pacer_config){
                .latency = config->pace.latency,
                .min_frame_ns = UINT64_C(1000000000) / config->pace.max_fps,
        };
}

static void start_looking(struct guest *g)
{
        const struct pacer_config config = pace_of(g->config);

        g->reason[0] = g->logged[0] = '\0';
        g->looked_ns = 0;
        pacer_init(&g->pacer, &config, uv_hrtime());
        uv_poll_start(&g->look, UV_READABLE, guest_on_look);
        guest_look_at(g, uv_hrtime());
}

static void unbind(struct guest *g)
{
        if (g->control)
                control_set_target(g->control, NULL);
        vgpup_close(g->region);
        g->region = NULL;
}

static void take_region(struct guest *g)
{
        const struct vgpup_candidate *producer;

        unbind(g);
        g->region = g->next_region;
        g->next_region = NULL;
        g->n_bindings++;
        stream_rebind(&g->stream);
        producer = guest_producer(g);
        g->lost = producer->proc;
        g->brief_is_spent = false;
        g->run_epoch = vgpup_run_epoch(g->region);
        g->heartbeat = producer->heartbeat;
        g->heartbeat_ns = uv_hrtime();
        guest_log_found(g);
}

static void take_context(struct guest *g)
{
        const struct win32_info *info;

        g->epoch = g->next_epoch;
        g->next_epoch = NULL;
        g->epoch->number = ++g->n_epochs;
        vgpu_source_mem_map(g->ram->source, &g->mem);
        vmie_mem_adopt(&g->mem, vmie_win32_mem(g->epoch->v));
        guest_clock_reset(&g->clock);
        g->verdict = GUEST_CLOCK_UNKNOWN;
        info = vmie_win32_info(g->epoch->v);
        journal_set_place(guest_state_name(g->state), g->n_epochs);
        journal_event(EVENT_GUEST_ATTACHED,
                JOURNAL_FIELDS(JOURNAL_U64("VGPU_BUILD", info->build),
                        JOURNAL_HEX("VGPU_KERNEL", info->kernel_base),
                        JOURNAL_HEX("VGPU_KCR3", info->kcr3)),
                "Found Windows build %u at %#llx, epoch %llu; looking for a producer", info->build,
                (unsigned long long)info->kernel_base, (unsigned long long)g->epoch->number);
        guest_set_reason(
                g, "No process in the guest has a region; start the producer in the guest");
}

static bool is_rams(const struct guest *g, const char *name)
{
        const char *list = g->config->guest.ram;
        char path[CONFIG_TEXT_MAX];

        while (config_next_path(&list, path))
                if (strcmp(strrchr(path, '/') + 1, name) == 0)
                        return true;
        return false;
}

/*
 * Something became of that name; what, the next try to open tells. Other names are nobody's business: in /dev/shm any user
 * writes as often as he likes.
 */
static void on_watch(uv_fs_event_t *watch, const char *name, int events, int status)
{
        struct guest *g = watch->data;

        (void)events;
        if (status < 0 || (name && !is_rams(g, name)))
                return;
        g->backoff_ms = GUEST_BACKOFF_FIRST_MS;
        uv_timer_start(&g->retry, guest_on_retry, 0, 0);
}

static void watch_for_ram(struct guest *g)
{
        const char *list = g->config->guest.ram;
        char folder[CONFIG_TEXT_MAX];
        char *slash;

        if (config_ram_is_auto(g->config) || !config_next_path(&list, folder))
                return;
        slash = strrchr(folder, '/');
        slash[slash == folder] = '\0';
        /* /proc and missing folders cannot be watched: the back-off is the net. */
        uv_fs_event_start(&g->watch, on_watch, folder, 0);
}

static void close_ram(struct guest *g)
{
        g->ram = ram_unref(g->ram);
}

/* A guest with many processes takes long to search: that is done seldom, as newcomers are looked at meanwhile. */
static uint64_t wait_ms(const struct guest *g)
{
        uint64_t rest_ms = g->search_took_ns / 1000000 * (GUEST_SEARCH_SHARE - 1);

        if (g->state != GUEST_SEARCHING)
                return g->backoff_ms;
        if (rest_ms > GUEST_SEARCH_MOST_MS)
                rest_ms = GUEST_SEARCH_MOST_MS;
        return rest_ms > g->backoff_ms ? rest_ms : g->backoff_ms;
}

static void arm_retry(struct guest *g, bool later)
{
        uint64_t most = GUEST_BACKOFF_MOST_MS;

        if (g->epoch && g->verdict == GUEST_CLOCK_STANDING)
                most = GUEST_BACKOFF_STILL_MS;
        else if (g->state == GUEST_SEARCHING && !later)
                most = GUEST_BACKOFF_SEARCH_MS;
        if (g->backoff_ms > most)
                g->backoff_ms = most;
        uv_timer_start(&g->retry, guest_on_retry, wait_ms(g), 0);
        g->backoff_ms *= 2;
}

static void drop_context(struct guest *g)
{
        g->epoch = epoch_unref(g->epoch);
        g->lost = (process){ 0 };
        g->search_took_ns = 0;
}

/* An action that may post an event itself (open, scan) is the last of its row: nothing runs on behind it. */
static void run_actions(struct guest *g, unsigned actions)
{
        if (actions & GUEST_DO_CANCEL_SCAN)
                guest_cancel_scan(g);
        if (actions & GUEST_DO_STOP_LOOKING)
                stop_looking(g);
        if (actions & GUEST_DO_UNBIND)
                unbind(g);
        if (actions & GUEST_DO_DROP_CONTEXT)
                drop_context(g);
        if (actions & GUEST_DO_CLOSE_RAM)
                close_ram(g);
        if (actions & GUEST_DO_TAKE_CONTEXT)
                take_context(g);
        if (actions & GUEST_DO_TAKE_REGION)
                take_region(g);
        if (actions & GUEST_DO_RESET_BACKOFF)
                g->backoff_ms = GUEST_BACKOFF_FIRST_MS;
        if (actions & GUEST_DO_OPEN_RAM)
                guest_open_ram(g);
        if (actions & GUEST_DO_ATTACH)
                guest_scan(g, SCAN_ATTACH);
        if (actions & GUEST_DO_DISCOVER)
                guest_scan(g, SCAN_DISCOVER);
        if (actions & GUEST_DO_LOOK_AROUND)
                guest_scan(g, SCAN_LOOK_AROUND);
        if (actions & GUEST_DO_WAIT_HEARTBEAT)
                guest_wait_heartbeat(g);
        if (actions & GUEST_DO_LOOK)
                start_looking(g);
        if (actions & GUEST_DO_REPORT_RUN)
                guest_report_run(g);
        if (actions & (GUEST_DO_RETRY | GUEST_DO_RETRY_LATER))
                arm_retry(g, actions & GUEST_DO_RETRY_LATER);
        if (actions & GUEST_DO_CLOSE_RING) {
                guest_tell(g);
                outlet_close(g->outlet);
        }
}

/* Only a producer that lives is asked for anything. */
static void aim_control(struct guest *g)
{
        const struct control_target target = {
                .region = g->region,
                .mem = &g->mem,
                .epoch = g->n_epochs,
                .binding = g->n_bindings,
        };

        if (!g->control)
                return;
        control_hold(g->control, g->state != GUEST_STREAMING);
        control_set_target(g->control, g->region ? &target : NULL);
}

/* The clocks of a new state. */
static void note_state(struct guest *g, enum guest_state before)
{
        uint64_t now_ns = uv_hrtime();

        g->state_ns[before] += now_ns - g->since_ns;
        g->since_ns = now_ns;
        if (before != GUEST_CONFIRMING && g->state != GUEST_CONFIRMING)
                g->phase_ns = now_ns;
        if (before == GUEST_STREAMING)
                g->outage_ns = now_ns;
}

void guest_post(struct guest *g, enum guest_event event)
{
        struct guest_step step = guest_next(g->state, event);
        enum guest_state before = g->state;

        journal_log(LOG_DEBUG, "%s: %s -> %s", guest_event_name(event), guest_state_name(before),
                guest_state_name(step.state));
        journal_set_place(guest_state_name(step.state), g->n_epochs);
        guest_log_event(g, event, step.state);
        g->n_steps += step.actions != 0 || step.state != before;
        g->state = step.state;
        if (step.state != before) {
                note_state(g, before);
                uv_timer_stop(&g->retry);
                if (before == GUEST_ABSENT)
                        uv_fs_event_stop(&g->watch);
                if (step.state == GUEST_ABSENT)
                        watch_for_ram(g);
                if (step.state == GUEST_SEARCHING)
                        guest_watch_newcomers(g);
                else if (before == GUEST_SEARCHING)
                        guest_ignore_newcomers(g);
        }
        run_actions(g, step.actions);
        if (g->state != GUEST_STOPPING)
                guest_tell(g);
        aim_control(g);
        if (step.state != before && g->changed)
                g->changed(g->changed_ctx);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static int init_handles(struct guest *g)
{
        uv_timer_init(g->loop, &g->retry);
        uv_timer_init(g->loop, &g->confirm);
        uv_timer_init(g->loop, &g->pulse);
        uv_timer_init(g->loop, &g->glance);
        uv_fs_event_init(g->loop, &g->watch);
        g->retry.data = g->confirm.data = g->pulse.data = g->glance.data = g->watch.data =
                g->look.data = g;
        return uv_timer_start(&g->pulse, guest_on_pulse, 0, GUEST_PULSE_MS);
}

int guest_init(
        struct guest *g, uv_loop_t *loop, const struct vgpu_config *config, struct outlet *outlet)
{
        uint64_t now_ns = uv_hrtime();
        int r, vm;

        *g = (struct guest){
                .loop = loop,
                .config = config,
                .outlet = outlet,
                .state = GUEST_ABSENT,
                .since_ns = now_ns,
                .phase_ns = now_ns,
                .outage_ns = now_ns,
                .backoff_ms = GUEST_BACKOFF_FIRST_MS,
                .has_monitor = config->guest.qmp[0] != '\0',
                .has_process = config->guest.pidfile[0] != '\0',
        };
        journal_set_place(guest_state_name(g->state), 0);
        memcpy(g->ram_name, config->guest.ram, sizeof(g->ram_name));
        ram_shelf_init(&g->shelf, config);
        ram_helper_init(&g->helper, loop, config, guest_on_helper, g);
        stream_init(&g->stream, outlet, config->ring.staging);
        if (config->pace.copy_threads > 1 && stream_use_helper(&g->stream) < 0)
                journal_log(LOG_WARNING, "No second thread can be had; frames are copied by one");
        g->look_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        r = g->look_fd < 0 ? -errno : uv_poll_init(loop, &g->look, g->look_fd);
        if (r < 0) {
                outlet_close(outlet);
                return r;
        }
        /* Both, whatever the first says: what is stopped must have been begun. */
        r = init_handles(g);
        vm = guest_vm_init(g);
        if (r < 0 || vm < 0) {
                guest_stop(g);
                return r < 0 ? r : vm;
        }
        watch_for_ram(g);
        uv_timer_start(&g->retry, guest_on_retry, 0, 0);
        guest_tell(g);
        return 0;
}

void guest_reload(struct guest *g)
{
        g->pacer.config = pace_of(g->config);
}

void guest_take_passed(struct guest *g, struct passed *p)
{
        ram_shelf_take(&g->shelf, p);
}

void guest_stop(struct guest *g)
{
        guest_post(g, GUEST_EV_STOP);
        ram_helper_stop(&g->helper);
        uv_close((uv_handle_t *)&g->look, NULL);
        uv_close((uv_handle_t *)&g->retry, NULL);
        uv_close((uv_handle_t *)&g->confirm, NULL);
        uv_close((uv_handle_t *)&g->pulse, NULL);
        uv_close((uv_handle_t *)&g->glance, NULL);
        uv_close((uv_handle_t *)&g->watch, NULL);
        guest_vm_stop(g);
}

void guest_deinit(struct guest *g)
{
        if (!g->loop)
                return;
        stream_deinit(&g->stream);
        ram_shelf_deinit(&g->shelf);
        if (g->look_fd >= 0)
                close(g->look_fd);
        g->look_fd = -1;
}
