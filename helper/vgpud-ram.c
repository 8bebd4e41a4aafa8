/*
 * vgpud-ram.c - opens a guest's RAM for the daemon, which may not, and hands it the descriptors
 *
 * Started by systemd when somebody connects to its socket, for one virtual machine; answers who waits there, and ends. It reads
 * nothing from who connects: what is opened, the configuration alone says.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"
#include "helper/find.h"
#include "helper/offer.h"
#include "helper/trust.h"
#include "systemd/journal.h"
#include "systemd/passed.h"
#include "version.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
        const char *config;
        const char *user;
        uid_t uid;
};

static void print_help(void)
{
        puts("Usage: vgpud-ram --config FILE --user USER\n"
             "\n"
             "Opens the guest RAM that a configuration of vgpud names, and hands the descriptors,\n"
             "open for reading only, to USER's process that connects to the passed socket.\n"
             "Started by vgpud-ram@NAME.socket.\n"
             "\n"
             "  -c, --config FILE   configuration, which nobody but root can change\n"
             "  -u, --user USER     name or number of who is answered beside root\n"
             "      --version       print the version and exit\n"
             "  -h, --help          print this and exit\n"
             "\n"
             "Exit status: 0 all were answered, 1 failed (the reason is logged), 2 usage.");
}

static bool find_user(const char *text, uid_t *ret)
{
        const struct passwd *user = getpwnam(text);
        char *end;
        unsigned long number;

        if (user) {
                *ret = user->pw_uid;
                return true;
        }
        number = strtoul(text, &end, 10);
        *ret = (uid_t)number;
        return text[0] >= '0' && text[0] <= '9' && *end == '\0' && number < UINT32_MAX;
}

static int usage(const char *what)
{
        fprintf(stderr, "vgpud-ram: %s\nTry 'vgpud-ram --help'.\n", what);
        return EXIT_USAGE;
}

/* Returns an exit status, or -1 to go on. */
static int parse(int argc, char **argv, struct options *ret)
{
        static const struct option longs[] = {
                { "config", required_argument, NULL, 'c' },
                { "user", required_argument, NULL, 'u' },
                { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        int option;

        *ret = (struct options){ 0 };
        while ((option = getopt_long(argc, argv, "c:u:h", longs, NULL)) != -1) {
                switch (option) {
                case 'c':
                        ret->config = optarg;
                        break;
                case 'u':
                        ret->user = optarg;
                        break;
                case 'V':
                        puts("vgpud-ram " VGPUD_VERSION);
                        return EXIT_OK;
                case 'h':
                        print_help();
                        return EXIT_OK;
                default:
                        return usage("see above");
                }
        }
        if (optind < argc || !ret->config || !ret->user)
                return usage("--config FILE and --user USER are wanted, and nothing else");
        if (!find_user(ret->user, &ret->uid))
                return usage("there is no such user");
        return -1;
}

/* ---- one answer ---------------------------------------------------------------------------------------------------- */

static int find_for(
        const struct options *options, const struct ram_peer *peer, struct ram_hand *ret)
{
        struct config_report report = { 0 };
        struct vgpu_config config;
        char why[192];
        int r;

        *ret = RAM_HAND_EMPTY;
        r = trust_config(options->config, why, sizeof(why));
        if (r < 0) {
                snprintf(ret->offer.reason, sizeof(ret->offer.reason),
                        "the configuration is not root's alone: %s", why);
                return r;
        }
        r = config_load(options->config, &config, &report);
        if (r < 0)
                snprintf(ret->offer.reason, sizeof(ret->offer.reason),
                        "%s has problems; vgpud --check-config says which", options->config);
        else
                r = ram_find(&config, peer, ret);
        config_report_free(&report);
        return r;
}

/* A machine that is off is asked for again and again, and no news. */
static int priority_of(int r)
{
        return r == -ENOENT || r == -ESRCH ? LOG_DEBUG : LOG_WARNING;
}

/* Return: 0 and @ret, good until the next one is asked for; or what the socket said. */
static int find_peer(int client, struct ram_peer *ret)
{
        static gid_t groups[NGROUPS_MAX];
        socklen_t len = sizeof(ret->cred), groups_len = sizeof(groups);

        *ret = (struct ram_peer){ .group = groups };
        if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &ret->cred, &len) < 0 ||
                getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, groups, &groups_len) < 0)
                return -errno;
        ret->n_groups = groups_len / sizeof(groups[0]);
        return 0;
}

static void answer(const struct options *options, int client)
{
        struct ram_hand hand = RAM_HAND_EMPTY;
        struct ram_peer peer;
        int r = find_peer(client, &peer);

        if (r < 0) {
                journal_log(
                        LOG_WARNING, "Somebody who asked cannot be told apart: %s", strerror(-r));
                return;
        }
        if (peer.cred.uid != options->uid && peer.cred.uid != 0) {
                journal_log(LOG_WARNING,
                        "Process %d of user %u asked for the RAM of %s, and is not %s",
                        (int)peer.cred.pid, (unsigned)peer.cred.uid, options->config,
                        options->user);
                return;
        }
        r = find_for(options, &peer, &hand);
        if (r < 0)
                journal_log(priority_of(r), "No RAM for process %d, by %s: %s", (int)peer.cred.pid,
                        options->config, hand.offer.reason);
        else
                journal_log(LOG_INFO, "%u RAM file%s handed to process %d, by %s",
                        hand.offer.n_files, hand.offer.n_files == 1 ? "" : "s", (int)peer.cred.pid,
                        options->config);
        r = ram_hand_send(client, &hand);
        if (r < 0)
                journal_log(LOG_DEBUG, "Process %d did not wait for its answer: %s",
                        (int)peer.cred.pid, strerror(-r));
        ram_hand_close(&hand);
}

/* Until nobody waits any more. */
static int serve(const struct options *options, int listener)
{
        struct pollfd waiting = { .fd = listener, .events = POLLIN };

        while (poll(&waiting, 1, 0) > 0) {
                int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

                if (client < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
                        continue;
                if (client < 0) {
                        journal_log(LOG_ERR, "Nobody can be let in: %s", strerror(errno));
                        return EXIT_FAILED;
                }
                answer(options, client);
                close(client);
        }
        return EXIT_OK;
}

int main(int argc, char **argv)
{
        struct options options;
        struct passed passed;
        int status;

        status = parse(argc, argv, &options);
        if (status >= 0)
                return status;
        journal_init();
        signal(SIGPIPE, SIG_IGN);
        if (passed_take(&passed) < 0 || passed.socket < 0) {
                journal_log(LOG_ERR,
                        "No listening SOCK_SEQPACKET socket was passed: this is started by "
                        "vgpud-ram@NAME.socket");
                return EXIT_FAILED;
        }
        /* Who connects may be gone when its turn comes. */
        fcntl(passed.socket, F_SETFL, O_NONBLOCK);
        status = serve(&options, passed.socket);
        passed_close(&passed);
        return status;
}
