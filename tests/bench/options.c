/* options.c - see options.h */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

static void usage(FILE *f, const char *what)
{
        fprintf(f,
                "Usage: %s [--quick] [--rounds N] [--csv FILE] [--svg FILE]\n\n%s\n"
                "  --quick     one short round: does it run?\n"
                "  --rounds N  how often everything is measured, in turn (at most %u)\n"
                "  --csv FILE  write the figures there, too\n"
                "  --svg FILE  and a chart of each table there\n\n"
                "Exit status: 0 measured, whatever came of it, 1 it could not be, 2 wrong usage.\n",
                program_invocation_short_name, what, BENCH_MAX_ROUNDS);
}

static bool take_rounds(const char *text, unsigned *ret)
{
        char *end;
        unsigned long n = strtoul(text, &end, 10);

        if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > BENCH_MAX_ROUNDS)
                return false;
        *ret = (unsigned)n;
        return true;
}

void bench_options_take(struct bench_options *o, int argc, char **argv, const char *what)
{
        static const struct option options[] = {
                { "quick", no_argument, NULL, 'q' },
                { "rounds", required_argument, NULL, 'r' },
                { "csv", required_argument, NULL, 'c' },
                { "svg", required_argument, NULL, 's' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        unsigned rounds = 0;
        int option;

        while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
                switch (option) {
                case 'q':
                        o->quick = true;
                        break;
                case 'r':
                        if (take_rounds(optarg, &rounds))
                                break;
                        fprintf(stderr, "%s: --rounds does not take '%s' (see --help)\n",
                                program_invocation_short_name, optarg);
                        exit(2);
                case 'c':
                        o->csv = optarg;
                        break;
                case 's':
                        o->svg = optarg;
                        break;
                case 'h':
                        usage(stdout, what);
                        exit(0);
                default:
                        exit(2);
                }
        }
        if (optind < argc) {
                fprintf(stderr, "%s: what is '%s'? (see --help)\n", program_invocation_short_name,
                        argv[optind]);
                exit(2);
        }
        if (rounds > 0)
                o->rounds = rounds;
        else if (o->quick)
                o->rounds = 1;
}

void bench_print_machine(void)
{
        char text[512];

        printf("%s\n", host_describe(text, sizeof(text)));
        fflush(stdout);
}

void bench_progress(const char *format, ...)
{
        va_list args;

        if (!isatty(STDERR_FILENO))
                return;
        fputs("\r\033[K", stderr);
        if (format) {
                va_start(args, format);
                vfprintf(stderr, format, args);
                va_end(args);
        }
        fflush(stderr);
}

static int write_file(const char *path, void (*write)(FILE *f, const struct bench_report *report),
        const struct bench_report *report)
{
        FILE *f = fopen(path, "we");

        if (f)
                write(f, report);
        if (!f || fclose(f) != 0) {
                fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, path,
                        strerror(errno));
                return 1;
        }
        return 0;
}

int bench_report_write(const struct bench_options *o, const struct bench_report *report)
{
        int status = 0;

        bench_report_text(stdout, report);
        if (o->csv)
                status |= write_file(o->csv, bench_report_csv, report);
        if (o->svg)
                status |= write_file(o->svg, bench_report_svg, report);
        return status;
}
