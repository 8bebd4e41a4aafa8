/*
 * guest_options.c - the command line of vgpu-guest
 */
#include "guest_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "stripes.h"
#include "vgpu_stream.h"

#define MIN_RAM    (UINT64_C(64) << 20)
#define MAX_RAM    (UINT64_C(1) << 40)
#define MAX_FPS    1000u
#define MAX_SIDE   16384u
#define MAX_DECOYS 5000u

const char guest_options_help[] =
        "Usage: vgpu-guest (--ram FILE | --memfd) [OPTION...]\n"
        "A simulated Windows guest: writes a machine into a RAM file and runs a producer in it.\n"
        "\n"
        "  --ram FILE            RAM file; created sparse, or emptied and used\n"
        "  --memfd               an anonymous file, reached as /proc/PID/fd/N\n"
        "  --ram-size SIZE       bytes, or with K, M, G (default 4G)\n"
        "  --machine TYPE        q35, pc, microvm or flat (default q35)\n"
        "  --build N             Windows build 7600..26200, a layout's name, or future, future2,\n"
        "                        future3, which are in no table (default 19045)\n"
        "  --la57                five levels of page tables\n"
        "  --kpti                a second page-table root for user mode in each process\n"
        "  --processes N         40..6000 besides the producer (default 60)\n"
        "  --exited N            processes that ended but are still listed, up to 200\n"
        "  --decoys N            regions that are none, in other processes, up to 5000\n"
        "  --mode WxH@FPS        what the producer captures (default 1280x720@60)\n"
        "  --format NAME         BGRA8888, BGRX8888, RGBA8888, RGBX8888, BGRA1010102,\n"
        "                        RGBA1010102 or RGBA16F (default BGRA8888)\n"
        "  --slots N             2..8 (default 3)\n"
        "  --stripes N           each frame draws one of N stripes of rows, 1..256, and says "
        "which\n"
        "                        (default 1: all of it)\n"
        "  --no-damage           but does not say which\n"
        "  --scatter             the region in 4 KiB pages from all over the RAM\n"
        "  --large-pages         the region in 2 MiB pages\n"
        "  --huge-pages          the region in 1 GiB pages\n"
        "  --page-states         frames are read through prototype entries, and the pages beside\n"
        "                        the producer's block are in every other state\n"
        "  --state NAME          each frame's pages are in this state: transition, prototype,\n"
        "                        prototype-transition, prototype-zero, prototype-pagefile,\n"
        "                        prototype-vad, demand-zero, pagefile, no-entry or valid\n"
        "  --place WHERE         low, high or both sides of the PCI hole (default both)\n"
        "  --seed N              of everything that is random (default 1)\n"
        "  --no-producer         start without a producer\n"
        "  --no-stub             leave out the processor start block\n"
        "  --help                this text\n"
        "\n"
        "Prints one line `ready key=value...` and then answers commands, one a line, on standard\n"
        "input: status, restart-producer, reboot [elsewhere], run-epoch, pause, resume,\n"
        "stop-heartbeat, start-heartbeat, mode WxH@FPS [FORMAT], kill, cursor X Y | auto,\n"
        "hide-cursor, trim [STATE], fault-in, second-producer [kill], decoys N, churn on | off,\n"
        "break list-cycle | list-blink | list-wild | root-loop, mend, quit.\n"
        "Exit codes: 0 done, 1 failed, 2 usage.\n";

static const struct {
        uint32_t format;
        const char *name;
} formats[] = {
        { VGPU_FMT_BGRA8888, "BGRA8888" },
        { VGPU_FMT_BGRX8888, "BGRX8888" },
        { VGPU_FMT_RGBA8888, "RGBA8888" },
        { VGPU_FMT_RGBX8888, "RGBX8888" },
        { VGPU_FMT_BGRA1010102, "BGRA1010102" },
        { VGPU_FMT_RGBA1010102, "RGBA1010102" },
        { VGPU_FMT_RGBA16F, "RGBA16F" },
};

const char *guest_format_name(uint32_t format)
{
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
                if (formats[i].format == format)
                        return formats[i].name;
        return "unknown";
}

uint32_t guest_format_parse(const char *name)
{
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
                if (strcasecmp(formats[i].name, name) == 0)
                        return formats[i].format;
        return 0;
}

static bool parse_u64(const char *text, uint64_t *ret, const char **ret_end)
{
        char *end;

        if (*text < '0' || *text > '9')
                return false;
        errno = 0;
        *ret = strtoull(text, &end, 0);
        *ret_end = end;
        return errno == 0;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
        const char *end;

        return parse_u64(text, ret, &end) && *end == '\0' && *ret >= min && *ret <= max;
}

/* Powers of 1024. */
static bool parse_size(const char *text, uint64_t *ret)
{
        const char *end, *units = "KMG", *unit;
        uint64_t n;

        if (!parse_u64(text, &n, &end))
                return false;
        if (*end == '\0') {
                *ret = n;
                return true;
        }
        unit = strchr(units, *end & ~0x20);
        if (!unit || end[1] != '\0')
                return false;
        return !__builtin_mul_overflow(n, UINT64_C(1) << 10 * (unit - units + 1), ret);
}

bool guest_mode_parse(const char *text, struct guest_mode *mode)
{
        uint64_t w, h, fps;
        const char *at = text;

        if (!parse_u64(at, &w, &at) || *at++ != 'x' || !parse_u64(at, &h, &at) || *at++ != '@' ||
                !parse_u64(at, &fps, &at) || *at != '\0')
                return false;
        if (w < 1 || w > MAX_SIDE || h < 1 || h > MAX_SIDE || fps < 1 || fps > MAX_FPS)
                return false;
        mode->width = (uint32_t)w;
        mode->height = (uint32_t)h;
        mode->fps = (uint32_t)fps;
        return true;
}

bool guest_name_parse(const char *text, const char *const *names, int n, int *ret)
{
        for (int i = 0; i < n; i++) {
                if (strcmp(text, names[i]) == 0) {
                        *ret = i;
                        return true;
                }
        }
        return false;
}

enum {
        OPT_RAM = 256,
        OPT_MEMFD,
        OPT_RAM_SIZE,
        OPT_MACHINE,
        OPT_BUILD,
        OPT_LA57,
        OPT_KPTI,
        OPT_PROCESSES,
        OPT_EXITED,
        OPT_DECOYS,
        OPT_MODE,
        OPT_FORMAT,
        OPT_SLOTS,
        OPT_STRIPES,
        OPT_NO_DAMAGE,
        OPT_SCATTER,
        OPT_LARGE,
        OPT_HUGE,
        OPT_PAGE_STATES,
        OPT_STATE,
        OPT_PLACE,
        OPT_SEED,
        OPT_NO_PRODUCER,
        OPT_NO_STUB,
        OPT_HELP,
};

static const struct option long_options[] = {
        { "ram", required_argument, NULL, OPT_RAM },
        { "memfd", no_argument, NULL, OPT_MEMFD },
        { "ram-size", required_argument, NULL, OPT_RAM_SIZE },
        { "machine", required_argument, NULL, OPT_MACHINE },
        { "build", required_argument, NULL, OPT_BUILD },
        { "la57", no_argument, NULL, OPT_LA57 },
        { "kpti", no_argument, NULL, OPT_KPTI },
        { "processes", required_argument, NULL, OPT_PROCESSES },
        { "exited", required_argument, NULL, OPT_EXITED },
        { "decoys", required_argument, NULL, OPT_DECOYS },
        { "mode", required_argument, NULL, OPT_MODE },
        { "format", required_argument, NULL, OPT_FORMAT },
        { "slots", required_argument, NULL, OPT_SLOTS },
        { "stripes", required_argument, NULL, OPT_STRIPES },
        { "no-damage", no_argument, NULL, OPT_NO_DAMAGE },
        { "scatter", no_argument, NULL, OPT_SCATTER },
        { "large-pages", no_argument, NULL, OPT_LARGE },
        { "huge-pages", no_argument, NULL, OPT_HUGE },
        { "page-states", no_argument, NULL, OPT_PAGE_STATES },
        { "state", required_argument, NULL, OPT_STATE },
        { "place", required_argument, NULL, OPT_PLACE },
        { "seed", required_argument, NULL, OPT_SEED },
        { "no-producer", no_argument, NULL, OPT_NO_PRODUCER },
        { "no-stub", no_argument, NULL, OPT_NO_STUB },
        { "help", no_argument, NULL, OPT_HELP },
        { NULL, 0, NULL, 0 },
};

/* A build number, or the name of a layout: its first build. */
static bool parse_build(const char *text, uint32_t *ret)
{
        uint64_t n;

        for (size_t i = 0; i < machine_n_layouts; i++) {
                if (strcmp(machine_layouts[i].name, text) == 0) {
                        *ret = (uint32_t)strtoul(machine_layouts[i].builds, NULL, 10);
                        return true;
                }
        }
        if (!parse_number(text, 1, UINT32_MAX, &n))
                return false;
        *ret = (uint32_t)n;
        return machine_layout_of(*ret) != NULL;
}

static bool parse_small(const char *text, uint64_t min, uint64_t max, uint32_t *ret)
{
        uint64_t n;

        if (!parse_number(text, min, max, &n))
                return false;
        *ret = (uint32_t)n;
        return true;
}

bool guest_decoys_parse(const char *text, uint32_t *ret)
{
        return parse_small(text, 0, MAX_DECOYS, ret);
}

static bool parse_value(struct guest_options *o, int option, const char *arg)
{
        static const char *const places[] = { "low", "high", "both" };
        int i;

        switch (option) {
        case OPT_RAM:
                o->ram_path = arg;
                return *arg != '\0';
        case OPT_MEMFD:
                o->memfd = true;
                return true;
        case OPT_RAM_SIZE:
                return parse_size(arg, &o->ram_size) && o->ram_size >= MIN_RAM &&
                       o->ram_size <= MAX_RAM && o->ram_size % LARGE_PAGE_BYTES == 0;
        case OPT_MACHINE:
                if (!guest_name_parse(arg, ram_machine_names, RAM_N_MACHINES, &i))
                        return false;
                o->machine_type = (enum ram_machine)i;
                return true;
        case OPT_BUILD:
                return parse_build(arg, &o->machine.build);
        case OPT_PROCESSES:
                return parse_small(arg, 40, 6000, &o->machine.n_processes);
        case OPT_EXITED:
                return parse_small(arg, 0, 200, &o->exited);
        case OPT_DECOYS:
                return guest_decoys_parse(arg, &o->decoys);
        case OPT_LA57:
                o->machine.la57 = true;
                return true;
        case OPT_KPTI:
                o->machine.kpti = true;
                return true;
        case OPT_MODE:
                return guest_mode_parse(arg, &o->mode);
        case OPT_FORMAT:
                o->mode.format = guest_format_parse(arg);
                return o->mode.format != 0;
        case OPT_SLOTS:
                return parse_small(arg, VGPU_MIN_SLOTS, VGPU_MAX_SLOTS, &o->slots);
        case OPT_STRIPES:
                return parse_small(arg, 1, MAX_STRIPES, &o->stripes);
        case OPT_NO_DAMAGE:
                o->no_damage = true;
                return true;
        case OPT_SCATTER:
        case OPT_LARGE:
        case OPT_HUGE:
                o->machine.paging = option == OPT_SCATTER ? MACHINE_SCATTER
                                    : option == OPT_LARGE ? MACHINE_LARGE
                                                          : MACHINE_HUGE;
                return true;
        case OPT_PAGE_STATES:
                o->trims = true;
                o->trim_state = MACHINE_N_STATES;
                return true;
        case OPT_STATE:
                if (!guest_name_parse(arg, machine_state_names, MACHINE_N_STATES, &i))
                        return false;
                o->trims = true;
                o->trim_state = (enum machine_state)i;
                return true;
        case OPT_PLACE:
                if (!guest_name_parse(arg, places, 3, &i))
                        return false;
                o->machine.place = (enum pages_where)i;
                return true;
        case OPT_SEED:
                return parse_number(arg, 0, UINT64_MAX, &o->machine.seed);
        case OPT_NO_PRODUCER:
                o->no_producer = true;
                return true;
        case OPT_NO_STUB:
                o->machine.no_stub = true;
                return true;
        default:
                o->help = true;
                return true;
        }
}

static bool check_together(const struct guest_options *o, char *why, size_t why_size)
{
        uint64_t below = ram_below_hole(o->machine_type, o->ram_size);

        if (o->help)
                return true;
        if (o->memfd == (o->ram_path != NULL))
                snprintf(why, why_size, "give one of --ram FILE and --memfd");
        else if (o->machine.place == PAGES_HIGH && below == o->ram_size && below <= PHYS_HIGH)
                snprintf(why, why_size,
                        "--place high: this machine has no RAM above 4 GiB with --ram-size 0x%llx",
                        (unsigned long long)o->ram_size);
        else if (o->machine.kpti && machine_layout_of(o->machine.build)->user_dtb == 0)
                snprintf(why, why_size, "--kpti: build %u has no place for a user root",
                        o->machine.build);
        else if (o->trims && o->machine.paging >= MACHINE_LARGE)
                snprintf(why, why_size, "large pages are never trimmed");
        else
                return true;
        return false;
}

bool guest_options_parse(
        struct guest_options *ret_options, int argc, char **argv, char *why, size_t why_size)
{
        struct guest_options *o = ret_options;
        int option, index;

        *o = (struct guest_options){
                .ram_size = UINT64_C(4) << 30,
                .machine = { .build = 19045,
                        .n_processes = 60,
                        .seed = 1,
                        .boot_id = 1,
                        .place = PAGES_BOTH },
                .mode = { 1280, 720, 60, VGPU_FMT_BGRA8888 },
                .slots = 3,
                .stripes = 1,
        };
        optind = 0;
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":", long_options, &index)) != -1) {
                if (option == ':') {
                        snprintf(why, why_size, "'%s' needs a value", argv[optind - 1]);
                        return false;
                }
                if (option == '?') {
                        snprintf(why, why_size, "unknown option '%s'", argv[optind - 1]);
                        return false;
                }
                if (!parse_value(o, option, optarg)) {
                        snprintf(why, why_size, "bad value '%s' for --%s", optarg,
                                long_options[index].name);
                        return false;
                }
        }
        if (optind < argc) {
                snprintf(why, why_size, "unexpected argument '%s'", argv[optind]);
                return false;
        }
        return check_together(o, why, why_size);
}
