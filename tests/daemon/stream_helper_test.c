/*
 * stream_helper_test.c - frames that two threads copy, when the second is slow, fails, or has the guest change under it
 *
 * What the helper's thread gathers goes through here, so that it can be held in the middle of a chunk.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "stream_rig.h"

#define STRIDE (4 * 2048u)
#define HEIGHT 1100u /* large, and not a whole number of any chunk */
#define BYTES  (HEIGHT * STRIDE)
#define PAGES  (BYTES / GVA_PAGE_BYTES)

#define FOREIGN 0x66

/* ---- the second thread ------------------------------------------------------------------------------------------- */

/* What its gathers meet. Written while it has none. */
static struct {
        pthread_t loop;
        void (*meanwhile)(void *ctx,
                uint64_t offset); /* runs in the loop's thread, while the first is held */
        void *ctx;
        bool until_asleep; /* the first goes on when the loop's thread sleeps */
        int result;        /* 0: what it is */
        uint64_t offset;   /* of the first piece of the first */
        sem_t begun, released;
        atomic_uint n, n_ended; /* gathers */
        bool does_all; /* the loop's thread takes no chunk before it has none left to take */
        unsigned n_offered, n_by_loop;
        atomic_int tid;
} held;

int __real_vgpu_source_gather(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst);
int __wrap_vgpu_source_gather(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst);

static char state_of(int tid)
{
        char path[64], state;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
        fclose(f);
        return state;
}

/* The loop's thread begins when the helper has; so the helper has a chunk of each frame. */
static void in_the_loop(void)
{
        if (!held.meanwhile)
                return;
        sem_wait(&held.begun);
        held.meanwhile(held.ctx, held.offset);
        held.meanwhile = NULL;
        sem_post(&held.released);
}

static int in_the_helper(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst)
{
        bool is_first = atomic_fetch_add(&held.n, 1) == 0;
        int r;

        atomic_store(&held.tid, (int)syscall(SYS_gettid));
        if (is_first && held.meanwhile) {
                held.offset = extents[0].offset;
                sem_post(&held.begun);
                sem_wait(&held.released);
        }
        while (is_first && held.until_asleep && state_of(getpid()) != 'S')
                ;
        r = __real_vgpu_source_gather(s, extents, n_extents, base_offset, dst);
        atomic_fetch_add(&held.n_ended, 1);
        return r < 0 || !held.result ? r : held.result;
}

int __wrap_vgpu_source_gather(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst)
{
        if (!pthread_equal(pthread_self(), held.loop))
                return in_the_helper(s, extents, n_extents, base_offset, dst);
        in_the_loop();
        held.n_by_loop++;
        return __real_vgpu_source_gather(s, extents, n_extents, base_offset, dst);
}

bool __real_copy_helper_work(struct copy_helper *h);
bool __wrap_copy_helper_work(struct copy_helper *h);
void __real_copy_helper_offer(struct copy_helper *h, struct copy_chunk *k);
void __wrap_copy_helper_offer(struct copy_helper *h, struct copy_chunk *k);

void __wrap_copy_helper_offer(struct copy_helper *h, struct copy_chunk *k)
{
        held.n_offered++;
        __real_copy_helper_offer(h, k);
}

bool __wrap_copy_helper_work(struct copy_helper *h)
{
        while (held.does_all &&
                (atomic_load(&held.n_ended) < held.n_offered || copy_helper_wait(h)))
                copy_helper_call(h);
        return __real_copy_helper_work(h);
}

static void nothing(void *ctx, uint64_t offset)
{
        (void)ctx;
        (void)offset;
}

/* The helper takes part in the next frame, and @meanwhile happens during its first chunk. */
static void hold(void (*meanwhile)(void *ctx, uint64_t offset), void *ctx)
{
        atomic_store(&held.n, 0);
        held.meanwhile = meanwhile;
        held.ctx = ctx;
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

static uint64_t gva_of(const struct rig *rig, uint32_t slot, uint64_t offset)
{
        return rig->r.gva + VGPU_RING_OFFSET + slot * rig->r.slot_stride + offset;
}

static void open_with_helper(struct rig *rig, bool staging)
{
        memset(&held, 0, sizeof(held));
        held.loop = pthread_self();
        sem_init(&held.begun, 0, 0);
        sem_init(&held.released, 0, 0);
        rig_open_large(rig, staging, BYTES);
        assert_int_equal(stream_use_helper(&rig->stream), 0);
}

/* Each page says which it is. @rect: what is said to have changed; NULL: everything. */
static uint32_t publish(struct rig *rig, uint8_t with, const vgpu_rect_t *rect)
{
        struct guest_image *g = &rig->w.image;
        vgpu_slot_t *line;
        uint32_t slot;

        region_publish(&rig->r, 1, 1, 4);
        slot = rig->r.block->latest;
        line = &rig->r.block->slot[slot];
        line->width = STRIDE / 4;
        line->height = HEIGHT;
        line->stride = STRIDE;
        line->damage_count = rect ? 1 : 0;
        line->damage_base = rect ? line->frame_id - 1 : 0;
        if (rect)
                rig->r.block->damage[slot][0] = *rect;
        for (uint32_t i = 0; i < PAGES; i++)
                memset(image_at(g, image_translate(g, rig->r.proc.cr3,
                                           gva_of(rig, slot, (uint64_t)i * GVA_PAGE_BYTES))),
                        (uint8_t)(i * 31 + with), GVA_PAGE_BYTES);
        return slot;
}

static void expect_frame(struct rig *rig, uint8_t with)
{
        const uint8_t *pixels;
        const struct vgpu_ring_desc *d = newest(rig, &pixels);

        for (uint32_t i = 0; i < PAGES; i++) {
                const uint8_t *page = pixels + (size_t)i * GVA_PAGE_BYTES;

                assert_int_equal(page[0], (uint8_t)(i * 31 + with));
                assert_memory_equal(page, page + 1, GVA_PAGE_BYTES - 1);
        }
        unmap(rig, d);
}

static void take(struct rig *rig, uint8_t with)
{
        publish(rig, with, NULL);
        look_until_published(rig, rig->stream.counters.frames + 1);
        expect_frame(rig, with);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void two_threads_copy_what_one_would(void **state)
{
        struct rig rig;

        (void)state;
        for (int staging = 0; staging < 2; staging++) {
                open_with_helper(&rig, staging);
                for (uint8_t n = 1; n <= 6; n++) {
                        if (n % 2)
                                hold(nothing, NULL);
                        take(&rig, n);
                        assert_true(n % 2 == 0 || held.n > 0);
                }
                rig_close(&rig);
        }
}

static void a_helper_that_is_slow_is_waited_for(void **state)
{
        struct rig rig;

        (void)state;
        open_with_helper(&rig, false);
        for (uint8_t n = 1; n <= 3; n++) {
                hold(nothing, NULL);
                held.until_asleep = true;
                take(&rig, n);
                assert_int_equal(held.n, 1);
        }
        rig_close(&rig);
}

static void a_helper_that_is_always_first_copies_all(void **state)
{
        struct rig rig;

        (void)state;
        open_with_helper(&rig, false);
        held.does_all = true;
        for (uint8_t n = 1; n <= 3; n++)
                take(&rig, n);
        assert_int_equal(held.n_by_loop, 0);
        rig_close(&rig);
}

static void what_the_last_to_copy_cannot_read_ends_the_look(void **state)
{
        enum pacer_saw saw;
        struct rig rig;

        (void)state;
        open_with_helper(&rig, false);
        publish(&rig, 1, NULL);
        held.does_all = true;
        held.result = -ESTALE;
        assert_int_equal(stream_look(&rig.stream, &rig.view, &saw), -ESTALE);
        assert_int_equal(rig.stream.counters.frames, 0);
        rig_close(&rig);
}

static void what_the_helper_cannot_read_ends_the_look(void **state)
{
        enum pacer_saw saw;
        struct rig rig;

        (void)state;
        open_with_helper(&rig, false);
        take(&rig, 1);
        publish(&rig, 2, NULL);
        hold(nothing, NULL);
        held.result = -ESTALE;
        assert_int_equal(stream_look(&rig.stream, &rig.view, &saw), -ESTALE);
        assert_int_equal(rig.stream.counters.frames, 1);
        expect_frame(&rig, 1);
        held.result = 0;
        hold(nothing, NULL);
        take(&rig, 3);
        rig_close(&rig);
}

static void shrink(void *ctx, uint64_t offset)
{
        struct rig *rig = ctx;

        (void)offset;
        assert_int_equal(ftruncate(rig->ram_fd, (off_t)(rig->w.image.ram_bytes / 2)), 0);
}

/* The pages behind are gone for both threads at once, each with a guard of its own. */
static void ram_that_shrinks_under_both_ends_the_look(void **state)
{
        enum pacer_saw saw;
        struct rig rig;

        (void)state;
        open_with_helper(&rig, false);
        publish(&rig, 1, NULL);
        hold(shrink, &rig);
        assert_int_equal(stream_look(&rig.stream, &rig.view, &saw), -ESTALE);
        assert_int_equal(rig.stream.counters.frames, 0);
        assert_int_equal(ftruncate(rig.ram_fd, (off_t)rig.w.image.ram_bytes), 0);
        rig_close(&rig);
}

struct move {
        struct rig *rig;
        uint32_t slot;
        uint64_t entry_gpa, entry;
};

/* What the helper is about to read is another process' from now on. */
static void move_page(void *ctx, uint64_t offset)
{
        struct move *m = ctx;
        struct guest_image *g = &m->rig->w.image;
        uint64_t page = image_page(g), gva = gva_of(m->rig, m->slot, offset);

        memset(image_at(g, image_translate(g, m->rig->r.proc.cr3, gva)), FOREIGN, GVA_PAGE_BYTES);
        m->entry_gpa = image_entry(g, m->rig->r.proc.cr3, gva, 1);
        m->entry = image_get64(g, m->entry_gpa);
        image_put64(g, m->entry_gpa, (m->entry & ~PTE_PFN) | page);
}

static void no_slot_has_foreign_bytes(struct rig *rig)
{
        const struct ring *ring = rig->outlet.rings.current;
        const struct vgpu_ring_identity *id = ring_identity(ring);
        const uint8_t *map = mmap(NULL, id->total_bytes, PROT_READ, MAP_SHARED, ring_fd(ring), 0);

        assert_true(map != MAP_FAILED);
        for (uint64_t at = id->slot_offset; at + GVA_PAGE_BYTES <= id->total_bytes;
                at += GVA_PAGE_BYTES)
                assert_false(map[at] == FOREIGN && map[at + 1] == FOREIGN);
        munmap((void *)map, id->total_bytes);
}

static void a_page_that_moves_under_the_helper_spoils_the_frame(void **state)
{
        struct rig rig;
        struct move m = { .rig = &rig };
        enum pacer_saw saw;

        (void)state;
        open_with_helper(&rig, false);
        m.slot = publish(&rig, 1, NULL);
        hold(move_page, &m);
        assert_int_equal(stream_look(&rig.stream, &rig.view, &saw), 0);
        assert_int_equal(rig.stream.counters.frames, 0);
        assert_int_equal(rig.stream.counters.remapped, 1);
        no_slot_has_foreign_bytes(&rig);
        image_put64(&rig.w.image, m.entry_gpa, m.entry);
        take(&rig, 2);
        rig_close(&rig);
}

/* How often it went to sleep. */
static long sleeps_of(int tid)
{
        char path[64], line[128];
        long n = -1;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
        f = fopen(path, "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
                sscanf(line, "voluntary_ctxt_switches: %ld", &n);
        fclose(f);
        assert_true(n >= 0);
        return n;
}

static void small_changes_leave_the_helper_asleep(void **state)
{
        const vgpu_rect_t caret = { 100, 7, 2, 3 };
        struct rig rig;
        long sleeps;
        int tid;

        (void)state;
        open_with_helper(&rig, false);
        hold(nothing, NULL);
        take(&rig, 1);
        tid = held.tid;
        /* the first is not known to be small before it was looked at, and slots without a frame get a whole one */
        for (unsigned i = 0; rig.stream.counters.patched < 2; i++) {
                publish(&rig, 1, &caret);
                look_until_published(&rig, rig.stream.counters.frames + 1);
                assert_true(i < 20);
        }
        while (state_of(tid) != 'S')
                ;
        sleeps = sleeps_of(tid);
        for (unsigned i = 0; i < 10; i++) {
                publish(&rig, 1, &caret);
                look_until_published(&rig, rig.stream.counters.frames + 1);
        }
        assert_int_equal(rig.stream.counters.patched, 12);
        assert_int_equal(sleeps_of(tid), sleeps);
        rig_close(&rig);
}

static void who_waits_for_a_frame_can_stop_waiting(void **state)
{
        struct rig rig;

        (void)state;
        open_with_helper(&rig, false);
        stream_expect(&rig.stream);
        stream_expect_no_more(&rig.stream);
        for (uint8_t n = 1; n <= 3; n++) {
                hold(nothing, NULL);
                take(&rig, n);
                for (unsigned i = 0; i < n; i++) {
                        stream_expect(&rig.stream);
                        look(&rig);
                }
                if (n == 2)
                        stream_expect_no_more(&rig.stream);
        }
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(two_threads_copy_what_one_would),
                cmocka_unit_test(a_helper_that_is_slow_is_waited_for),
                cmocka_unit_test(a_helper_that_is_always_first_copies_all),
                cmocka_unit_test(what_the_last_to_copy_cannot_read_ends_the_look),
                cmocka_unit_test(what_the_helper_cannot_read_ends_the_look),
                cmocka_unit_test(ram_that_shrinks_under_both_ends_the_look),
                cmocka_unit_test(a_page_that_moves_under_the_helper_spoils_the_frame),
                cmocka_unit_test(small_changes_leave_the_helper_asleep),
                cmocka_unit_test(who_waits_for_a_frame_can_stop_waiting),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
