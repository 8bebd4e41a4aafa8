/*
 * events.c - the command: find the events in the journal, show those of the past, and follow
 *
 * Found by unit when a machine is named, else by the identities that the daemon's events have, so that machines that come later are
 * in it too. The journal's index serves both; reading it all would take minutes on some hosts.
 */
#include "events.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "pager.h"
#include "systemd/events.h"
#include "text.h"

#define FOLLOW_LINES 10

struct request {
        const char *directory, *file; /* instead of the host's own journal; NULL */
        uint64_t since_us;            /* 0: from the beginning */
        uint64_t lines;               /* the last so many; UINT64_MAX: all */
        bool follow, explain;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
        (void)signal;
        stop = 1;
}

/* ---- opening --------------------------------------------------------------------------------------------------------- */

/* The library says nothing of files that it may not read: there is just nothing in the journal then. */
static bool is_forbidden(void)
{
        glob_t found = { 0 };
        bool forbidden = false;

        glob("/var/log/journal/*/system.journal", 0, NULL, &found);
        glob("/run/log/journal/*/system.journal", GLOB_APPEND, NULL, &found);
        for (size_t i = 0; i < found.gl_pathc; i++)
                forbidden = forbidden || (access(found.gl_pathv[i], R_OK) < 0 && errno == EACCES);
        globfree(&found);
        return forbidden;
}

static int open_journal(const struct request *r, sd_journal **ret)
{
        const char *files[] = { r->file, NULL };

        if (r->file)
                return sd_journal_open_files(ret, files, 0);
        if (r->directory)
                return sd_journal_open_directory(ret, r->directory, 0);
        if (is_forbidden())
                return -EACCES;
        return sd_journal_open(ret, SD_JOURNAL_LOCAL_ONLY);
}

static int match(sd_journal *j, const char *vm)
{
        char text[128];
        int r = 0;

        if (vm) {
                snprintf(text, sizeof text, "_SYSTEMD_UNIT=vgpud@%s.service", vm);
                return sd_journal_add_match(j, text, 0);
        }
        for (int i = 0; i < JOURNAL_N_EVENTS && r >= 0; i++) {
                snprintf(text, sizeof text, "MESSAGE_ID=%s",
                        journal_event_info((enum journal_event)i)->message_id);
                r = sd_journal_add_match(j, text, 0);
        }
        return r;
}

/* ---- showing --------------------------------------------------------------------------------------------------------- */

/* Return: 1: shown, 0: none of ours, or a negative errno. */
static int show(const struct ctl *ctl, const struct request *request, sd_journal *j)
{
        struct event e;
        int r = event_read(j, &e);

        if (r <= 0)
                return r;
        if (ctl->json) {
                json_object *o = event_json(j, &e, request->explain);

                ctl_print_json(ctl, o);
                json_object_put(o);
        } else {
                event_print(j, &e, request->explain, !ctl->vm);
        }
        return 1;
}

/* To just before the first event that is wanted. Return: 1: there is one to go on from; 0: at the beginning; or a negative errno. */
static int seek(const struct request *request, sd_journal *j)
{
        uint64_t n = 0;
        struct event e;
        int r;

        if (request->lines == UINT64_MAX)
                return request->since_us ? sd_journal_seek_realtime_usec(j, request->since_us)
                                         : sd_journal_seek_head(j);
        r = sd_journal_seek_tail(j);
        while (r >= 0 && n <= request->lines) {
                r = sd_journal_previous(j);
                if (r == 0)
                        return sd_journal_seek_head(j);
                if (r > 0 && event_read(j, &e) == 1) {
                        if (e.realtime_us < request->since_us)
                                break;
                        n++;
                }
        }
        return r;
}

/* Return: were there any?, or a negative errno. */
static int show_rest(const struct ctl *ctl, const struct request *request, sd_journal *j)
{
        bool any = false;
        int r;

        while (!stop && !ferror(stdout) && (r = sd_journal_next(j)) != 0) {
                if (r >= 0)
                        r = show(ctl, request, j);
                if (r < 0)
                        return r;
                any = any || r > 0;
        }
        return fflush(stdout) ? -errno : any;
}

/* Signals come only while it sleeps, so none is lost; who reads us may go at any time. */
static int wait_for_more(sd_journal *j, const sigset_t *while_asleep)
{
        struct pollfd fds[] = {
                { .fd = sd_journal_get_fd(j), .events = (short)sd_journal_get_events(j) },
                { .fd = STDOUT_FILENO },
        };

        if (fds[0].fd < 0)
                return fds[0].fd;
        if (ppoll(fds, 2, NULL, while_asleep) < 0 && errno != EINTR)
                return -errno;
        if (fds[1].revents & (POLLERR | POLLHUP))
                stop = 1;
        return sd_journal_process(j);
}

static int follow(const struct ctl *ctl, const struct request *request, sd_journal *j)
{
        struct sigaction sa = { .sa_handler = on_signal };
        sigset_t block, before;
        int r;

        sigemptyset(&block);
        sigaddset(&block, SIGINT);
        sigaddset(&block, SIGTERM);
        sigprocmask(SIG_BLOCK, &block, &before);
        sigaction(SIGINT, &sa, NULL);
        sigaction(SIGTERM, &sa, NULL);
        /* Before the first look: what comes between the two is noticed. */
        r = sd_journal_get_fd(j);
        while (r >= 0 && !stop) {
                r = show_rest(ctl, request, j);
                if (r >= 0 && !stop)
                        r = wait_for_more(j, &before);
        }
        return r < 0 ? r : 0;
}

static int failed(int error)
{
        if (error == -EACCES)
                return ctl_fail("this user may not read the journal; become a member of the group "
                                "systemd-journal or adm, or run "
                                "this as root");
        if (error == -ENOENT)
                return ctl_fail("there is no such journal");
        return ctl_fail("the journal cannot be read: %s", strerror(-error));
}

static int events(const struct ctl *ctl, const struct request *request)
{
        sd_journal *j = NULL;
        int r = open_journal(request, &j);

        if (r >= 0)
                r = match(j, ctl->vm);
        if (r >= 0)
                r = seek(request, j);
        /* The one before the first that is wanted is where show_rest() goes on from. */
        if (r >= 0 && !request->follow)
                pager_open(ctl);
        if (r >= 0)
                r = request->follow ? follow(ctl, request, j) : show_rest(ctl, request, j);
        if (r == 0 && !request->follow && !ctl->json && !ctl->no_legend)
                puts("No events.");
        sd_journal_close(j);
        return r < 0 && r != -EPIPE ? failed(r) : ctl_done();
}

static uint64_t now_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int events_run(struct ctl *ctl, int argc, char **argv)
{
        enum { SINCE = CTL_OPTION_OWN, DIRECTORY, JOURNAL_FILE };
        static const struct option options[] = {
                { "follow", no_argument, NULL, 'f' },
                { "lines", required_argument, NULL, 'n' },
                { "explain", no_argument, NULL, 'x' },
                { "since", required_argument, NULL, SINCE },
                { "directory", required_argument, NULL, DIRECTORY },
                { "file", required_argument, NULL, JOURNAL_FILE },
                { 0 },
        };
        struct request request = { .lines = UINT64_MAX };
        int c;

        while ((c = ctl_getopt(ctl, argc, argv, "fn:x", options)) != 0) {
                switch (c) {
                case 'f':
                        request.follow = true;
                        break;
                case 'n':
                        if (text_to_u64(optarg, &request.lines) < 0)
                                return ctl_usage(argv[0], "'%s' is no number of lines", optarg);
                        break;
                case 'x':
                        request.explain = true;
                        break;
                case SINCE:
                        if (events_since(optarg, now_us(), &request.since_us) < 0)
                                return ctl_usage(argv[0], "'%s' is no point in time", optarg);
                        break;
                case DIRECTORY:
                        request.directory = optarg;
                        break;
                case JOURNAL_FILE:
                        request.file = optarg;
                        break;
                default:
                        return CTL_USAGE;
                }
        }
        if (optind < argc)
                return ctl_usage(argv[0], "what is '%s'?", argv[optind]);
        if (request.follow && !request.since_us && request.lines == UINT64_MAX)
                request.lines = FOLLOW_LINES;
        return events(ctl, &request);
}
