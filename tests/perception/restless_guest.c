/*
 * restless_guest.c - a guest whose operating system never stops moving things (see restless_guest.h)
 */
#include <string.h>

#include "restless_guest.h"

#define SLOT_GVA(slot)    (REGION_GVA + VGPU_RING_OFFSET + (slot)*TEST_STRIDE_BYTES)
#define BIRTH             UINT64_C(133600000000000000) /* CreateTime of life 0 */
#define LIFE_SHIFT        32
#define FOREIGN_BYTE      0xee
#define ROUNDS_A_LIFE     4000u
#define SECTION_VA        (WINDOWS_POOL_VA + 0x100000) /* of its prototype entries */
#define PTE_OF_SECTION    UINT64_C(0x400)
#define PTE_IN_TRANSITION UINT64_C(0x880)
#define PTE_IN_PAGEFILE   UINT64_C(0x1234500000080)
#define PTE_USER          (PTE_P | PTE_W | PTE_U)

static uint64_t draw(struct restless_guest *g, uint64_t n)
{
        g->random = g->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (g->random >> 33) % n;
}

static void *at(struct restless_guest *g, uint64_t gpa)
{
        return image_at(&g->w.image, gpa);
}

static void store64(struct restless_guest *g, uint64_t gpa, uint64_t value)
{
        __atomic_store_n((uint64_t *)at(g, gpa), value, __ATOMIC_RELEASE);
}

static void store32(struct restless_guest *g, uint64_t gpa, uint32_t value)
{
        __atomic_store_n((uint32_t *)at(g, gpa), value, __ATOMIC_RELEASE);
}

/* ---- whose is it ---- */

uint64_t restless_life_of(const struct restless_guest *g, const process *p)
{
        (void)g;
        return p->create_time - BIRTH;
}

uint64_t restless_life_of_id(uint64_t frame_id)
{
        return frame_id >> LIFE_SHIFT;
}

static uint64_t word_of(uint64_t frame_id, uint64_t i)
{
        return (frame_id + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ i * UINT64_C(0xff51afd7ed558ccd);
}

bool restless_is_frame(const uint8_t *bytes, uint64_t frame_id)
{
        for (uint64_t i = 0; i < RESTLESS_BYTES / sizeof(uint64_t); i++) {
                uint64_t word;

                memcpy(&word, bytes + i * sizeof(word), sizeof(word));
                if (word != word_of(frame_id, i))
                        return false;
        }
        return true;
}

bool restless_is_cursor(const vgpup_cursor *c, uint64_t life)
{
        return c->x == (int32_t)(c->seq * 3) && c->y == (int32_t)life && c->id == c->seq * 5;
}

bool restless_is_geometry(const vgpup_geometry *g, uint64_t life)
{
        return g->dpi == (uint32_t)life && g->virt_w == g->refresh_mhz * 3;
}

/* ---- pages ---- */

static struct restless_page *take_page(struct restless_guest *g)
{
        struct restless_page *page = g->pages[0];

        g->n_pages--;
        memmove(g->pages, g->pages + 1, g->n_pages * sizeof(g->pages[0]));
        return page;
}

/* It is somebody else's at once. */
static void leave_page(struct restless_guest *g, struct restless_page *page)
{
        page->left_at = atomic_load(&g->n_calls);
        g->pages[g->n_pages++] = page;
}

static uint64_t entry_gpa(const struct restless_guest *g, uint64_t gva)
{
        return g->table->gpa + ((gva >> 12) & 511) * sizeof(uint64_t);
}

static uint64_t directory_gpa(struct restless_guest *g)
{
        return image_entry(&g->w.image, g->r.proc.cr3, REGION_GVA, 2);
}

static vgpu_producer_t *block_of(struct restless_guest *g)
{
        return at(g, g->block->gpa);
}

static void scribble(struct restless_guest *g, const struct restless_page *page)
{
        memset(at(g, page->gpa), FOREIGN_BYTE, GVA_PAGE_BYTES);
}

static uint64_t section_offset(uint64_t gva)
{
        return ((gva >> 12) & 511) * sizeof(uint64_t);
}

/* The section's own entry says where the page is; the process' says so too while it is in the working set. */
static void map_page(struct restless_guest *g, uint64_t gva, const struct restless_page *page)
{
        store64(g, g->section_gpa + section_offset(gva), page->gpa | PTE_P | PTE_W);
        if (draw(g, 2))
                store64(g, entry_gpa(g, gva), page->gpa | PTE_USER);
        else
                store64(g, entry_gpa(g, gva),
                        (SECTION_VA + section_offset(gva)) << 16 | PTE_OF_SECTION);
}

/* Out of the working set, out of memory, its place used by another, and in again elsewhere. */
static struct restless_page *move_page(
        struct restless_guest *g, struct restless_page *page, uint64_t gva)
{
        const uint64_t section = g->section_gpa + section_offset(gva);
        struct restless_page *to = take_page(g);

        store64(g, entry_gpa(g, gva), (SECTION_VA + section_offset(gva)) << 16 | PTE_OF_SECTION);
        store64(g, section, page->gpa | PTE_IN_TRANSITION);
        memcpy(at(g, to->gpa), at(g, page->gpa), GVA_PAGE_BYTES);
        store64(g, section, PTE_IN_PAGEFILE);
        scribble(g, page);
        map_page(g, gva, to);
        leave_page(g, page);
        return to;
}

static void move_frame_page(struct restless_guest *g)
{
        unsigned slot = draw(g, RESTLESS_SLOTS), i = draw(g, RESTLESS_SLOT_PAGES);

        if (!g->fresh[slot])
                return;
        g->fresh[slot] = false;
        g->slot[slot][i] = move_page(g, g->slot[slot][i], SLOT_GVA(slot) + i * GVA_PAGE_BYTES);
        atomic_fetch_add(&g->n_moves, 1);
}

static bool may_come_back(struct restless_guest *g, const struct restless_page *page)
{
        return atomic_load(&g->n_calls) > page->left_at;
}

static void move_block(struct restless_guest *g)
{
        if (!may_come_back(g, g->pages[0]))
                return;
        g->block = move_page(g, g->block, REGION_GVA);
        atomic_fetch_add(&g->n_moves, 1);
}

/* The old table keeps its entries until somebody else uses the page: they look as true as ever. */
static void move_table(struct restless_guest *g)
{
        struct restless_page *from = g->table;

        if (!may_come_back(g, g->pages[0]))
                return;
        g->table = take_page(g);
        memcpy(at(g, g->table->gpa), at(g, from->gpa), GVA_PAGE_BYTES);
        store64(g, directory_gpa(g), g->table->gpa | PTE_USER);
        if (draw(g, 2))
                scribble(g, from);
        leave_page(g, from);
        atomic_fetch_add(&g->n_moves, 1);
}

/* ---- the producer ---- */

static void fill_frame(struct restless_guest *g, unsigned slot, uint64_t frame_id)
{
        const uint64_t words = GVA_PAGE_BYTES / sizeof(uint64_t);

        for (uint64_t page = 0; page < RESTLESS_SLOT_PAGES; page++) {
                uint64_t *to = at(g, g->slot[slot][page]->gpa);

                for (uint64_t i = 0; i < words; i++)
                        to[i] = word_of(frame_id, page * words + i);
        }
}

static void publish(struct restless_guest *g)
{
        vgpu_producer_t *b = block_of(g);
        unsigned slot = g->n_frames % RESTLESS_SLOTS;
        uint64_t frame_id = g->life << LIFE_SHIFT | ++g->n_frames;
        vgpu_slot_t *line = &b->slot[slot];

        __atomic_store_n(&line->seq, ++g->seq[slot], __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        line->width = RESTLESS_WIDTH;
        line->height = RESTLESS_HEIGHT;
        line->stride = RESTLESS_STRIDE;
        line->format = VGPU_FMT_BGRA8888;
        line->frame_id = frame_id;
        fill_frame(g, slot, frame_id);
        __atomic_store_n(&line->seq, ++g->seq[slot], __ATOMIC_RELEASE);
        __atomic_store_n(&b->latest, slot, __ATOMIC_RELEASE);
        __atomic_store_n(&b->latest_frame_id, frame_id, __ATOMIC_RELEASE);
        g->fresh[slot] = true;
        atomic_fetch_add(&g->n_published, 1);
}

static void report(struct restless_guest *g)
{
        vgpu_producer_t *b = block_of(g);

        __atomic_store_n(&b->heartbeat, g->life << LIFE_SHIFT | g->n_frames, __ATOMIC_RELEASE);
        __atomic_store_n(&b->cursor_seq, ++g->cursor_seq, __ATOMIC_RELAXED);
        __atomic_store_n(&b->geom_seq, ++g->geom_seq, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        b->cursor_pos = (uint32_t)((g->cursor_seq + 1) * 3) | g->life << 32;
        b->cursor_id = (g->cursor_seq + 1) * 5;
        b->dpi = g->life;
        b->refresh_mhz = g->geom_seq;
        b->virt_w = g->geom_seq * 3;
        __atomic_store_n(&b->cursor_seq, ++g->cursor_seq, __ATOMIC_RELEASE);
        __atomic_store_n(&b->geom_seq, ++g->geom_seq, __ATOMIC_RELEASE);
}

/* ---- lives ---- */

static uint64_t field(struct restless_guest *g, uint32_t offset)
{
        return windows_field(&g->w, &g->r.proc, offset);
}

/* Its end is told first. Then pages, tables and the object go, in an order that nobody promised. */
static void end_life(struct restless_guest *g)
{
        const struct win32_offsets *o = &g->w.config.offsets;

        store32(g, field(g, o->exit_status), 0);
        store64(g, field(g, o->exit_time), BIRTH + g->life);
        for (size_t i = 0; i < g->n_all; i++) {
                if (&g->all[i] != g->block && &g->all[i] != g->table)
                        scribble(g, &g->all[i]);
        }
        if (draw(g, 2))
                scribble(g, g->block);
        if (draw(g, 2))
                memset(at(g, g->table->gpa), 0, GVA_PAGE_BYTES);
        if (draw(g, 2))
                memset(at(g, g->section_gpa), FOREIGN_BYTE, GVA_PAGE_BYTES);
}

/* Every page is anybody's again; about half of the time most find themselves where they were. */
static void deal_pages(struct restless_guest *g)
{
        bool same = g->life > 0 && draw(g, 2);

        g->n_pages = 0;
        for (size_t i = 0; i < g->n_all; i++)
                g->pages[g->n_pages++] = &g->all[i];
        for (size_t i = g->n_pages; !same && i > 1; i--) {
                size_t k = draw(g, i);
                struct restless_page *p = g->pages[i - 1];

                g->pages[i - 1] = g->pages[k];
                g->pages[k] = p;
        }
        g->table = take_page(g);
        g->block = take_page(g);
        for (unsigned slot = 0; slot < RESTLESS_SLOTS; slot++) {
                g->fresh[slot] = false;
                for (unsigned i = 0; i < RESTLESS_SLOT_PAGES; i++)
                        g->slot[slot][i] = take_page(g);
        }
}

static void map_region(struct restless_guest *g)
{
        store64(g, directory_gpa(g), g->table->gpa | PTE_USER);
        map_page(g, REGION_GVA, g->block);
        for (unsigned slot = 0; slot < RESTLESS_SLOTS; slot++) {
                for (unsigned i = 0; i < RESTLESS_SLOT_PAGES; i++)
                        map_page(g, SLOT_GVA(slot) + i * GVA_PAGE_BYTES, g->slot[slot][i]);
        }
}

static void begin_region(struct restless_guest *g, uint32_t pid)
{
        vgpu_producer_t *b = block_of(g), fresh = *g->r.block;

        fresh.producer_pid = pid;
        region_seal_identity(&fresh);
        fresh.magic = 0;
        fresh.latest = VGPU_SLOT_NONE;
        fresh.latest_frame_id = 0;
        fresh.cursor_seq = g->cursor_seq = 0;
        fresh.geom_seq = g->geom_seq = 0;
        for (unsigned slot = 0; slot < RESTLESS_SLOTS; slot++)
                fresh.slot[slot].seq = g->seq[slot] = 0;
        memcpy(b, &fresh, sizeof(fresh));
        g->n_frames = 0;
        report(g);
        publish(g);
        __atomic_store_n(&b->magic, VGPU_MAGIC, __ATOMIC_RELEASE);
}

static void begin_life(struct restless_guest *g)
{
        const struct win32_offsets *o = &g->w.config.offsets;
        uint32_t pid = g->r.proc.pid + 4 * draw(g, 2);

        g->life++;
        store64(g, field(g, o->create_time), BIRTH + g->life);
        store64(g, field(g, o->pid), pid);
        store64(g, field(g, o->exit_time), 0);
        store32(g, field(g, o->exit_status), STATUS_PENDING);
        deal_pages(g);
        memset(at(g, g->table->gpa), 0, GVA_PAGE_BYTES);
        map_region(g);
        begin_region(g, pid);
        atomic_fetch_add(&g->n_lives, 1);
}

static void rest(struct restless_guest *g)
{
        for (uint64_t i = draw(g, 200); i > 0; i--)
                __builtin_ia32_pause();
}

static void *run(void *ctx)
{
        struct restless_guest *g = ctx;

        for (uint64_t round = 1; !atomic_load(&g->stop); round++) {
                publish(g);
                report(g);
                rest(g);
                move_frame_page(g);
                if (round % 8 == 0)
                        move_block(g);
                if (round % 8 == 4)
                        move_table(g);
                if (round % ROUNDS_A_LIFE == 0) {
                        end_life(g);
                        rest(g);
                        begin_life(g);
                }
        }
        return NULL;
}

void restless_start(struct restless_guest *g)
{
        memset(g, 0, sizeof(*g));
        standard_guest(&g->w, &g->r);
        g->random = 1;
        g->section_gpa = image_page(&g->w.image);
        image_map(&g->w.image, g->w.kcr3, SECTION_VA, g->section_gpa, 1, PTE_W);
        while (g->n_all < RESTLESS_MAX_PAGES &&
                g->w.image.next_page + GVA_PAGE_BYTES <= g->w.image.ram_bytes)
                g->all[g->n_all++].gpa = image_page(&g->w.image);
        assert_true(g->n_all >= 16);
        begin_life(g);
        assert_int_equal(pthread_create(&g->thread, NULL, run, g), 0);
}

void restless_stop(struct restless_guest *g)
{
        atomic_store(&g->stop, true);
        pthread_join(g->thread, NULL);
        windows_deinit(&g->w);
}
