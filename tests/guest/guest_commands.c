/*
 * guest_commands.c - the protocol: one line in, one line out
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

#define MAX_WORDS 4

static const char *state_of(const struct guest *g)
{
        if (g->clock.paused)
                return "paused";
        if (!g->machine.producer)
                return "dead";
        return g->producer.hung ? "hung" : "running";
}

void guest_facts(const struct guest *g, char *line, size_t size)
{
        const struct machine *m = &g->machine;
        bool alive = m->producer != NULL;
        const struct guest_mode *mode = alive ? &g->producer.mode : &g->options.mode;

        snprintf(line, size,
                "ram=%s machine=%s ram_size=0x%llx build=%u kcr3=0x%llx kernel=0x%llx pid=%u "
                "cr3=0x%llx region=0x%llx mode=%ux%u@%u format=%s run_epoch=%u boot_id=%u "
                "region_bytes=0x%llx state=%s frames=%llu rival=%u",
                g->ram.path, ram_machine_names[g->options.machine_type],
                (unsigned long long)g->ram.size, m->cfg.build, (unsigned long long)m->kcr3,
                (unsigned long long)m->kernel_base, alive ? m->producer->pid : 0,
                alive ? (unsigned long long)m->producer->cr3 : 0ull,
                (unsigned long long)m->region.gva, mode->width, mode->height, mode->fps,
                guest_format_name(mode->format), alive ? g->producer.writer.run_epoch : 0,
                m->cfg.boot_id, (unsigned long long)m->region.bytes, state_of(g),
                alive ? (unsigned long long)g->producer.n_frames : 0ull,
                g->company.rival_process ? g->company.rival_process->pid : 0);
}

/* The words of a command; [0] is its name. */
struct words {
        char *word[MAX_WORDS];
        int n;
};

typedef bool (*command_fn)(struct guest *g, const struct words *w);

static bool complain(struct guest *g, const char *why)
{
        snprintf(g->why, sizeof(g->why), "%s", why);
        return false;
}

static bool do_status(struct guest *g, const struct words *w)
{
        (void)g, (void)w;
        return true;
}

static bool do_restart(struct guest *g, const struct words *w)
{
        (void)w;
        return guest_restart_producer(g);
}

static bool do_reboot(struct guest *g, const struct words *w)
{
        if (w->n == 2 && strcmp(w->word[1], "elsewhere") != 0)
                return complain(g, "usage: reboot [elsewhere]");
        return guest_reboot(g, w->n == 2);
}

static bool do_run_epoch(struct guest *g, const struct words *w)
{
        (void)w;
        return guest_break_run(g);
}

static bool do_pause(struct guest *g, const struct words *w)
{
        (void)w;
        guest_pause(g);
        return true;
}

static bool do_resume(struct guest *g, const struct words *w)
{
        (void)w;
        guest_resume(g);
        return true;
}

static bool do_stop_heartbeat(struct guest *g, const struct words *w)
{
        (void)w;
        return guest_set_hung(g, true);
}

static bool do_start_heartbeat(struct guest *g, const struct words *w)
{
        (void)w;
        return guest_set_hung(g, false);
}

static bool do_mode(struct guest *g, const struct words *w)
{
        struct guest_mode mode = g->options.mode;

        if (w->n < 2 || !guest_mode_parse(w->word[1], &mode))
                return complain(g, "usage: mode WIDTHxHEIGHT@FPS [FORMAT]");
        if (w->n == 3) {
                mode.format = guest_format_parse(w->word[2]);
                if (mode.format == 0)
                        return complain(g, "unknown format");
        }
        return guest_set_mode(g, &mode);
}

static bool do_kill(struct guest *g, const struct words *w)
{
        (void)w;
        return guest_kill_producer(g);
}

static bool parse_coordinate(const char *text, int32_t *ret)
{
        char *end;
        long n = strtol(text, &end, 10);

        if (end == text || *end != '\0' || n < -65536 || n > 65536)
                return false;
        *ret = (int32_t)n;
        return true;
}

static bool do_cursor(struct guest *g, const struct words *w)
{
        int32_t x, y;

        if (w->n == 2 && strcmp(w->word[1], "auto") == 0) {
                g->cursor = GUEST_CURSOR_MOVES;
                return true;
        }
        if (w->n != 3 || !parse_coordinate(w->word[1], &x) || !parse_coordinate(w->word[2], &y))
                return complain(g, "usage: cursor X Y | cursor auto");
        g->cursor = GUEST_CURSOR_STANDS;
        g->cursor_x = x;
        g->cursor_y = y;
        return true;
}

static bool do_hide_cursor(struct guest *g, const struct words *w)
{
        (void)w;
        g->cursor = GUEST_CURSOR_HIDDEN;
        return true;
}

/* [STATE]: every page of the newest frame; without it, each in a state of its own. */
static bool do_trim(struct guest *g, const struct words *w)
{
        int state = MACHINE_N_STATES;

        if (w->n == 2 &&
                !guest_name_parse(w->word[1], machine_state_names, MACHINE_N_STATES, &state))
                return complain(g, "unknown state");
        return guest_trim(g, (enum machine_state)state);
}

static bool do_fault_in(struct guest *g, const struct words *w)
{
        (void)w;
        guest_fault_in(g, 0, g->machine.region.bytes);
        return true;
}

static bool do_second(struct guest *g, const struct words *w)
{
        if (w->n == 1)
                return guest_start_rival(g);
        if (strcmp(w->word[1], "kill") != 0)
                return complain(g, "usage: second-producer [kill]");
        return guest_kill_rival(g);
}

static bool do_decoys(struct guest *g, const struct words *w)
{
        uint32_t n;

        if (w->n != 2 || !guest_decoys_parse(w->word[1], &n))
                return complain(g, "usage: decoys N");
        return guest_add_decoys(g, n);
}

static bool do_churn(struct guest *g, const struct words *w)
{
        static const char *const ways[] = { "off", "on" };
        int on;

        if (w->n != 2 || !guest_name_parse(w->word[1], ways, 2, &on))
                return complain(g, "usage: churn on | off");
        guest_set_churn(g, on);
        return true;
}

static bool do_break(struct guest *g, const struct words *w)
{
        int what;

        if (w->n != 2 ||
                !guest_name_parse(w->word[1], machine_break_names, MACHINE_N_BREAKS, &what))
                return complain(g, "nothing of that name can be broken");
        return machine_break(&g->machine, (enum machine_break)what) ||
               complain(g, "too much is broken already");
}

static bool do_mend(struct guest *g, const struct words *w)
{
        (void)w;
        machine_mend(&g->machine);
        return true;
}

static bool do_quit(struct guest *g, const struct words *w)
{
        (void)w;
        g->quit = true;
        return true;
}

static const struct {
        const char *name;
        int max_words;
        command_fn run;
} commands[] = {
        { "status", 1, do_status },
        { "restart-producer", 1, do_restart },
        { "reboot", 2, do_reboot },
        { "run-epoch", 1, do_run_epoch },
        { "pause", 1, do_pause },
        { "resume", 1, do_resume },
        { "stop-heartbeat", 1, do_stop_heartbeat },
        { "start-heartbeat", 1, do_start_heartbeat },
        { "mode", 3, do_mode },
        { "kill", 1, do_kill },
        { "cursor", 3, do_cursor },
        { "hide-cursor", 1, do_hide_cursor },
        { "trim", 2, do_trim },
        { "fault-in", 1, do_fault_in },
        { "second-producer", 2, do_second },
        { "decoys", 2, do_decoys },
        { "churn", 2, do_churn },
        { "break", 2, do_break },
        { "mend", 1, do_mend },
        { "quit", 1, do_quit },
};

static bool run_words(struct guest *g, const struct words *w)
{
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
                if (strcmp(commands[i].name, w->word[0]) != 0)
                        continue;
                if (w->n > commands[i].max_words)
                        return complain(g, "too many words");
                return commands[i].run(g, w);
        }
        return complain(g, "unknown command");
}

void guest_command(struct guest *g, const char *line, char *answer, size_t size)
{
        char copy[256], *rest = copy, *word;
        struct words w = { .n = 0 };
        bool fits = strlen(line) < sizeof(copy);
        int n;

        snprintf(copy, sizeof(copy), "%s", line);
        while (fits && (word = strsep(&rest, " \t\r"))) {
                if (*word == '\0')
                        continue;
                fits = w.n < MAX_WORDS;
                if (fits)
                        w.word[w.n++] = word;
        }
        if (!fits || w.n == 0) {
                snprintf(answer, size, "error %s", fits ? "empty command" : "too many words");
                return;
        }
        if (!run_words(g, &w)) {
                snprintf(answer, size, "error %s", g->why);
                return;
        }
        n = snprintf(answer, size, "ok ");
        guest_facts(g, answer + n, size - (size_t)n);
}
