/*
 * vgpu-test-writer.c - an external writer for the simulated guest, as a program of its own: something to kill
 *
 * Says `ready`, then one line for each WRITE, `written REQUEST RESULT CTRL_GEN`. It never ends well: its end is the daemon's.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "writer.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
        const char *socket, *ram, *machine;
        uint64_t ram_size;
        bool die;
};

static void die(void)
{
        raise(SIGKILL);
}

static int usage(void)
{
        fputs("Usage: vgpu-test-writer --socket PATH --ram PATH [--machine TYPE] [--ram-size "
              "BYTES] "
              "[--die]\n"
              "  --die  at the first write, between opening the seqlock and writing\n",
                stderr);
        return EXIT_USAGE;
}

static bool parse(int argc, char **argv, struct options *ret)
{
        static const struct option longs[] = {
                { "socket", required_argument, NULL, 's' },
                { "ram", required_argument, NULL, 'r' },
                { "machine", required_argument, NULL, 'm' },
                { "ram-size", required_argument, NULL, 'b' },
                { "die", no_argument, NULL, 'd' },
                { 0 },
        };
        int option;

        *ret = (struct options){ .machine = "q35" };
        while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
                switch (option) {
                case 's':
                        ret->socket = optarg;
                        break;
                case 'r':
                        ret->ram = optarg;
                        break;
                case 'm':
                        ret->machine = optarg;
                        break;
                case 'b':
                        ret->ram_size = strtoull(optarg, NULL, 0);
                        break;
                case 'd':
                        ret->die = true;
                        break;
                default:
                        return false;
                }
        }
        return ret->socket && ret->ram && optind == argc;
}

static void say(const char *line)
{
        puts(line);
        fflush(stdout);
}

static int serve(struct writer *w)
{
        struct vgpu_control_written written;
        struct vgpu_control_write write;
        char line[80];
        int r;

        while ((r = writer_receive(w, -1, &write, NULL)) == 1) {
                writer_perform(w, &write, &written);
                snprintf(line, sizeof(line), "written %llu %u %u",
                        (unsigned long long)written.request, written.result, written.ctrl_gen);
                say(line);
                r = writer_send(w, &written, sizeof(written));
                if (r < 0)
                        break;
        }
        return r;
}

int main(int argc, char **argv)
{
        struct writer w = WRITER_NONE;
        struct options options;
        int r;

        if (!parse(argc, argv, &options))
                return usage();
        w.while_open = options.die ? die : NULL;
        r = writer_open_ram(&w, options.ram, options.machine, options.ram_size);
        if (r == 0)
                r = writer_connect(&w, options.socket);
        if (r == 0) {
                say("ready");
                r = serve(&w);
        }
        fprintf(stderr, "vgpu-test-writer: %s\n", strerror(-r));
        writer_close(&w);
        return EXIT_FAILED;
}
