/* pager.c - see pager.h */
#include "pager.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-login.h>
#include <unistd.h>

static pid_t pager;

static bool on_terminal(void)
{
        const char *term = getenv("TERM");

        return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

/* Return: 1, 0, or -1: it is no boolean. */
static int boolean(const char *text)
{
        static const char *const yes[] = { "1", "yes", "y", "true", "t", "on" };
        static const char *const no[] = { "0", "no", "n", "false", "f", "off" };

        for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
                if (strcasecmp(text, yes[i]) == 0)
                        return 1;
                if (strcasecmp(text, no[i]) == 0)
                        return 0;
        }
        return -1;
}

/* sudo and its like keep the login session, which belongs to another user then. */
static bool is_secure(void)
{
        const char *said = getenv("SYSTEMD_PAGERSECURE");
        uid_t owner;

        if (said)
                return boolean(said) != 0;
        return sd_pid_get_owner_uid(0, &owner) >= 0 && owner != geteuid();
}

static const char *wanted(void)
{
        const char *name = getenv("SYSTEMD_PAGER");

        return name ? name : getenv("PAGER");
}

/* In the child. Whatever cannot be run leaves it to the next one; the last is cat, for its text must not be lost. */
static void run(bool secure)
{
        const char *less = getenv("SYSTEMD_LESS"), *name = secure ? NULL : wanted();

        setenv("LESS", less ? less : "FRSXMK", 1);
        setenv("LESSSECURE", secure ? "1" : "0", 1);
        if (name)
                execlp("sh", "sh", "-c", name, (char *)NULL);
        if (!secure)
                execlp("pager", "pager", (char *)NULL);
        execlp("less", "less", (char *)NULL);
        execlp("cat", "cat", (char *)NULL);
        _exit(127);
}

void pager_open(const struct ctl *ctl)
{
        bool secure = is_secure();
        const char *name = wanted();
        int ends[2];

        if (ctl->no_pager || pager || !on_terminal())
                return;
        if (name && (!name[0] || strcmp(name, "cat") == 0))
                return;
        colour(COLOUR_OFF); /* decided while stdout is the terminal */
        if (pipe(ends) < 0)
                return;
        pager = fork();
        if (pager == 0) {
                dup2(ends[0], STDIN_FILENO);
                close(ends[0]);
                close(ends[1]);
                prctl(PR_SET_PDEATHSIG, SIGTERM);
                run(secure);
        }
        if (pager > 0) {
                dup2(ends[1], STDOUT_FILENO);
                /* Who leaves the pager has read enough: that is no error of ours. */
                signal(SIGPIPE, SIG_IGN);
                signal(SIGINT, SIG_IGN);
        } else {
                pager = 0;
        }
        close(ends[0]);
        close(ends[1]);
}

void pager_close(void)
{
        if (!pager)
                return;
        fflush(stdout);
        close(STDOUT_FILENO);
        while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
                ;
        pager = 0;
}

static bool colours_wanted(void)
{
        const char *said = getenv("SYSTEMD_COLORS"), *none = getenv("NO_COLOR");

        if (said)
                return boolean(said) != 0;
        return !(none && none[0]) && on_terminal();
}

const char *colour(enum colour c)
{
        static const char *const escapes[N_COLOURS] = {
                [COLOUR_OFF] = "\033[0m",
                [COLOUR_GOOD] = "\033[0;32m",
                [COLOUR_WARN] = "\033[0;1;33m",
                [COLOUR_BAD] = "\033[0;1;31m",
                [COLOUR_DIM] = "\033[0;90m",
                [COLOUR_TITLE] = "\033[0;4m",
        };
        static int on = -1;

        if (on < 0)
                on = colours_wanted();
        return on ? escapes[c] : "";
}
