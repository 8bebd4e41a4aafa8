/* main.c - vgpud's command line: load the configuration, say what is wrong with all of it, run */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "daemon.h"
#include "systemd/journal.h"
#include "version.h"

/* EXIT_CONFIG is what sysexits.h and systemd call EX_CONFIG: starting again changes nothing. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 78 };

struct options {
        const char *config;
        bool check;
        bool quiet;
};

static void print_help(void)
{
        puts("Usage: vgpud --config FILE [--check-config [--quiet]]\n"
             "\n"
             "Publishes the frames of a producer in a Windows guest, read from the guest's "
             "memory,\n"
             "to local clients. One daemon serves one virtual machine.\n"
             "\n"
             "  -c, --config FILE   configuration; its name without .conf names the machine\n"
             "      --check-config  check it, print what is in force, and exit\n"
             "  -q, --quiet         with --check-config: print only what is wrong\n"
             "      --version       print the version and exit\n"
             "  -h, --help          print this and exit\n"
             "\n"
             "Exit status: 0 stopped or checked, 1 failed (the reason is logged), 2 usage,\n"
             "78 bad configuration.\n"
             "Ask a running daemon with `vgpuctl status`.");
}

/* Returns an exit status, or -1 to go on. */
static int parse(int argc, char **argv, struct options *ret)
{
        static const struct option longs[] = {
                { "config", required_argument, NULL, 'c' },
                { "check-config", no_argument, NULL, 'C' },
                { "quiet", no_argument, NULL, 'q' },
                { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        int option;

        *ret = (struct options){ 0 };
        while ((option = getopt_long(argc, argv, "c:hq", longs, NULL)) != -1) {
                switch (option) {
                case 'c':
                        ret->config = optarg;
                        break;
                case 'C':
                        ret->check = true;
                        break;
                case 'q':
                        ret->quiet = true;
                        break;
                case 'V':
                        puts("vgpud " VGPUD_VERSION);
                        return EXIT_OK;
                case 'h':
                        print_help();
                        return EXIT_OK;
                default:
                        fputs("Try 'vgpud --help'.\n", stderr);
                        return EXIT_USAGE;
                }
        }
        if (optind < argc) {
                fprintf(stderr, "vgpud: unexpected argument '%s'\nTry 'vgpud --help'.\n",
                        argv[optind]);
                return EXIT_USAGE;
        }
        if (!ret->config) {
                fputs("vgpud: --config FILE is missing\nTry 'vgpud --help'.\n", stderr);
                return EXIT_USAGE;
        }
        return -1;
}

static int refuse(const struct options *options, const struct config_report *report, int error)
{
        char first[CONFIG_PROBLEM_MAX];

        config_first_error(report, first, sizeof(first));
        config_report_print(stderr, report);
        if (!config_error_is_final(error)) {
                journal_event(EVENT_CONFIG_BAD,
                        JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CONFIG", options->config),
                                JOURNAL_TEXT("VGPU_REASON", first)),
                        "%s cannot be loaded now: the host is short of something; starting again "
                        "may do",
                        options->config);
                return EXIT_FAILED;
        }
        journal_event(EVENT_CONFIG_BAD,
                JOURNAL_FIELDS(JOURNAL_TEXT("VGPU_CONFIG", options->config),
                        JOURNAL_TEXT("VGPU_REASON", first)),
                "%s has %zu problem%s; correct it and check with 'vgpud --config %s "
                "--check-config'",
                options->config, report->n_errors, report->n_errors == 1 ? "" : "s",
                options->config);
        return EXIT_CONFIG;
}

static int check(const struct options *options, const struct vgpu_config *config,
        const struct config_report *report)
{
        config_report_print(stderr, report);
        if (!options->quiet)
                config_print(stdout, config, report);
        if (fflush(stdout) == 0)
                return EXIT_OK;
        fprintf(stderr, "vgpud: cannot write the result: %s\n", strerror(errno));
        return EXIT_FAILED;
}

static int serve(
        const char *path, const struct vgpu_config *config, const struct config_report *report)
{
        static const int ends[] = {
                [DAEMON_STOPPED] = EXIT_OK,
                [DAEMON_FAILED] = EXIT_FAILED,
                [DAEMON_MISCONFIGURED] = EXIT_CONFIG,
        };

        journal_set_level(config->log.level);
        for (size_t i = 0; i < report->n; i++) {
                char text[CONFIG_PROBLEM_MAX];

                config_problem_text(report, i, text, sizeof(text));
                journal_log(LOG_WARNING, "%s", text);
        }
        return ends[daemon_run(path, config)];
}

/* What is closed here would be the number of the next file that is opened, and the log would be written into that. */
static void fill_standard_fds(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd > STDERR_FILENO)
                close(fd);
}

/* Who reloads us before we are ready means what is being read, or the file as it is by then: reload.c lets the signal in. */
static void hold_reloads(void)
{
        sigset_t hup;

        sigemptyset(&hup);
        sigaddset(&hup, SIGHUP);
        sigprocmask(SIG_BLOCK, &hup, NULL);
}

/*
 * Left to itself the allocator keeps what a search has freed, in a heap for each worker that ever made one, and the daemon grows
 * by half in its first minutes. So workers share a heap, and what is large goes back to the system at once.
 */
static void keep_memory_small(void)
{
        mallopt(M_ARENA_MAX, 2);
        mallopt(M_MMAP_THRESHOLD, 128 << 10);
        mallopt(M_TRIM_THRESHOLD, 128 << 10);
}

int main(int argc, char **argv)
{
        struct config_report report = { 0 };
        struct vgpu_config config;
        struct options options;
        char machine[CONFIG_TEXT_MAX];
        int status, error;

        fill_standard_fds();
        status = parse(argc, argv, &options);
        if (status >= 0)
                return status;
        keep_memory_small();
        signal(SIGPIPE, SIG_IGN);
        journal_init();
        config_machine(options.config, machine);
        journal_set_vm(machine);
        hold_reloads();
        error = config_load(options.config, &config, &report);
        if (error < 0)
                status = refuse(&options, &report, error);
        else if (options.check)
                status = check(&options, &config, &report);
        else
                status = serve(options.config, &config, &report);
        config_report_free(&report);
        return status;
}
