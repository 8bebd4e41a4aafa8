/* find_scene.c - see find_scene.h */
#include "find_scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Three times what the largest caches of one processor hold, or more. */
#define OLD_NEWS_BYTES (UINT64_C(96) << 20)

#define UP_NS (UINT64_C(3600) * 1000000000) /* an hour: no process is new */

#define IMAGES      128u /* pieces of libraries; each process sees some of them again and again */
#define IMAGE_PAGES 16u
#define BATCH_PAGES (PAGES_RECYCLED / 2)

/* What a process allocates at once; the sizes come in turn. */
static const uint64_t allocation_pages[] = { 16, 64, 32, 256, 16, 128, 48, 512 };
#define N_ALLOCATIONS (sizeof(allocation_pages) / sizeof(allocation_pages[0]))

static _Noreturn void give_up(const char *what, const char *why)
{
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
        exit(1);
}

static void open_guest(struct find_scene *s, const struct find_size *size)
{
        static char name[] = "vgpu-bench-find", memfd[] = "--memfd";
        static char *arguments[] = { name, memfd, NULL };
        struct guest_options options;
        char why[200];

        if (!guest_options_parse(&options, 2, arguments, why, sizeof(why)))
                give_up("guest", why);
        options.ram_size = size->ram_bytes;
        options.machine.n_processes = size->n_processes;
        options.machine.paging = MACHINE_SCATTER; /* no two free pages adjoin later */
        options.mode.width = 640;
        options.mode.height = 480;
        options.mode.fps = 1;
        if (!guest_open(&s->guest, &options))
                give_up("guest", s->guest.why);
}

/* Every free page once, in no order: what comes off this list lies anywhere. */
static uint64_t *take_free_pages(struct machine *m, size_t *ret_n)
{
        uint64_t *free_page = malloc(m->pages.n_pages * sizeof(*free_page));
        size_t n = 0;

        if (!free_page)
                give_up("guest", strerror(ENOMEM));
        while ((free_page[n] = pages_alloc(&m->pages, PAGES_BOTH)) != 0)
                n++;
        for (size_t i = n; i > 1; i--) {
                size_t j = pages_random(&m->pages) % i;
                uint64_t moving = free_page[i - 1];

                free_page[i - 1] = free_page[j];
                free_page[j] = moving;
        }
        *ret_n = n;
        return free_page;
}

static struct machine_process *next_process(struct machine *m, uint32_t *at)
{
        struct machine_process *p;

        do
                p = &m->processes[(*at)++ % m->n_processes];
        while (!p->alive || p->peb == 0 || p == m->producer);
        return p;
}

static void make_images(struct machine *m, uint64_t image[IMAGES])
{
        for (unsigned i = 0; i < IMAGES; i++) {
                image[i] = pages_alloc_run(&m->pages, IMAGE_PAGES, PAGE_BYTES, PAGES_BOTH);
                if (image[i] == 0)
                        give_up("guest", "no room for images");
                for (uint64_t at = 0; at < IMAGE_PAGES * PAGE_BYTES; at += PAGE_BYTES)
                        memset(phys_at(m->phys, image[i] + at), 0x90, PAGE_BYTES);
        }
}

/* As many pages of either kind. */
static bool map_pages(
        struct machine *m, struct machine_process *p, const uint64_t image[IMAGES], uint64_t n)
{
        if (!machine_map_private(m, p, n * PAGE_BYTES))
                return false;
        for (uint64_t i = 0; i < n / IMAGE_PAGES; i++)
                if (!machine_map_image(m, p, image[i % IMAGES], IMAGE_PAGES * PAGE_BYTES))
                        return false;
        return true;
}

/* The pages that are given back are the first to go out again, the last of them first. */
static void crowd(struct find_scene *s, uint64_t n_pages)
{
        struct machine *m = &s->guest.machine;
        uint64_t image[IMAGES];
        uint32_t at = 0, turn = 0;
        size_t n_free, n_left = 0;
        uint64_t *free_page;

        make_images(m, image);
        free_page = take_free_pages(m, &n_free);
        for (s->n_pages = 0; s->n_pages < n_pages; turn++) {
                struct machine_process *p = next_process(m, &at);
                uint64_t n = allocation_pages[turn % N_ALLOCATIONS];

                for (; n_left < BATCH_PAGES && n_free > 0; n_left++)
                        pages_free(&m->pages, free_page[--n_free]);
                if (!map_pages(m, p, image, n))
                        give_up("guest", "no room for its processes");
                s->n_pages += 2 * n;
                n_left -= n_left < n + 8 ? n_left : n + 8; /* and some for tables */
        }
        while (n_free > 0)
                pages_free(&m->pages, free_page[--n_free]);
        free(free_page);
}

void find_scene_open(struct find_scene *s, const struct find_size *size)
{
        struct vgpu_source_failure why;

        open_guest(s, size);
        crowd(s, size->n_pages);
        guest_clock_start(&s->guest.clock, UP_NS);
        guest_run_due(&s->guest);
        s->source = vgpu_source_open(s->guest.ram.path, VGPU_MACHINE_Q35, 0, &why);
        if (!s->source)
                give_up(s->guest.ram.path, vgpu_source_reason_text(why.reason));
        vgpu_source_mem_pread(s->source, &s->scan);
        s->old_news = mmap(
                NULL, OLD_NEWS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (s->old_news == MAP_FAILED)
                give_up("memory", strerror(errno));
        memset(s->old_news, 1, OLD_NEWS_BYTES);
}

void find_scene_close(struct find_scene *s)
{
        munmap(s->old_news, OLD_NEWS_BYTES);
        vgpu_source_close(s->source);
        guest_close(&s->guest);
}

void find_scene_cool(struct find_scene *s)
{
        static volatile uint64_t sink;
        uint64_t sum = 0;

        for (size_t i = 0; i < OLD_NEWS_BYTES; i += 64)
                sum += s->old_news[i];
        sink = sum;
        (void)sink;
}

uint64_t find_scene_blocks(const struct find_scene *s)
{
        struct stat st;

        if (fstat(s->guest.ram.fd, &st) < 0)
                give_up("RAM", strerror(errno));
        return (uint64_t)st.st_blocks;
}
