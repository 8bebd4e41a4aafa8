/*
 * shim_memory.c - one allocation fails; what was never freed is told at the end
 *
 * Allocations are those of everything in the process, the libraries' included. Only one fails: memory is short for a moment,
 * and who gives up for ever because of that has to say so.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"

#define EXPORT __attribute__((visibility("default")))

/* Places for blocks that live at one time; what does not fit is not watched. */
#define BLOCKS (1u << 16)

static struct {
        void *at;
        void *caller;
} blocks[BLOCKS];
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
        void *(*malloc)(size_t);
        void *(*calloc)(size_t, size_t);
        void *(*realloc)(void *, size_t);
        void *(*aligned_alloc)(size_t, size_t);
        int (*posix_memalign)(void **, size_t, size_t);
        void (*free)(void *);
} real;

/* dlsym() may allocate before it has found what allocates, and so may a sanitizer that is not ready yet. */
static char first_bytes[65536] __attribute__((aligned(16)));
static size_t n_first;

static void *first_alloc(size_t bytes)
{
        void *at = first_bytes + n_first;

        bytes = (bytes + 15) & ~(size_t)15;
        if (bytes > sizeof(first_bytes) - n_first)
                _exit(126);
        n_first += bytes;
        return at;
}

static bool is_first(const void *at)
{
        return (const char *)at >= first_bytes &&
               (const char *)at < first_bytes + sizeof(first_bytes);
}

static void find_real(void)
{
        shim_busy++;
        *(void **)&real.free = dlsym(RTLD_NEXT, "free");
        *(void **)&real.calloc = dlsym(RTLD_NEXT, "calloc");
        *(void **)&real.realloc = dlsym(RTLD_NEXT, "realloc");
        *(void **)&real.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
        *(void **)&real.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
        *(void **)&real.malloc = dlsym(RTLD_NEXT, "malloc");
        shim_busy--;
}

/* Return: whether there is somebody else to ask for memory yet. */
static bool is_found(void)
{
        if (!real.malloc && !shim_busy)
                find_real();
        return real.malloc;
}

/* ---- the fault ------------------------------------------------------------------------------------------------------ */

static void name_place(char text[BOARD_TEXT], void *at)
{
        Dl_info info;

        if (dladdr(at, &info) && info.dli_fname) {
                const char *slash = strrchr(info.dli_fname, '/');

                snprintf(text, BOARD_TEXT, "%.50s+0x%zx%s%.60s", slash ? slash + 1 : info.dli_fname,
                        (size_t)((char *)at - (char *)info.dli_fbase), info.dli_sname ? " " : "",
                        info.dli_sname ? info.dli_sname : "");
        } else {
                snprintf(text, BOARD_TEXT, "%p", at);
        }
}

static void tell_failure(const char *name, size_t bytes)
{
        void *callers[18];
        int n;

        shim_busy++;
        snprintf(shim_board->what, sizeof(shim_board->what), "%s of %zu bytes", name, bytes);
        n = backtrace(callers, 18);
        for (int i = 2; i < n; i++)
                name_place(shim_board->callers[shim_board->n_callers++], callers[i]);
        shim_busy--;
}

static bool is_to_fail(const char *name, size_t bytes)
{
        unsigned phase, nth;

        if (shim_busy || !shim_board || !atomic_load(&shim_board->started))
                return false;
        phase = atomic_load(&shim_board->phase);
        nth = atomic_fetch_add(&shim_board->n_allocations[phase], 1) + 1;
        if (shim_board->call >= 0 || shim_board->phase_wanted != phase || shim_board->nth != nth)
                return false;
        tell_failure(name, bytes);
        atomic_store(&shim_board->fired, true);
        errno = ENOMEM;
        return true;
}

/* ---- what lives ----------------------------------------------------------------------------------------------------- */

static size_t home_of(const void *at)
{
        return ((uintptr_t)at >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48;
}

static void *watched(void *at, void *caller)
{
        if (!at || !shim_board || shim_busy || !atomic_load(&shim_board->started))
                return at;
        pthread_mutex_lock(&blocks_lock);
        for (size_t i = home_of(at), tries = 0; tries < 64; i = (i + 1) % BLOCKS, tries++) {
                if (blocks[i].at)
                        continue;
                blocks[i].at = at;
                blocks[i].caller = caller;
                break;
        }
        pthread_mutex_unlock(&blocks_lock);
        return at;
}

static void forget(const void *at)
{
        if (!at || !shim_board)
                return;
        pthread_mutex_lock(&blocks_lock);
        for (size_t i = home_of(at), tries = 0; tries < 64; i = (i + 1) % BLOCKS, tries++) {
                if (blocks[i].at != at)
                        continue;
                blocks[i].at = NULL;
                break;
        }
        pthread_mutex_unlock(&blocks_lock);
}

/* ---- what programs call --------------------------------------------------------------------------------------------- */

EXPORT void *malloc(size_t bytes)
{
        if (!is_found())
                return first_alloc(bytes);
        if (is_to_fail("malloc", bytes))
                return NULL;
        return watched(real.malloc(bytes), __builtin_return_address(0));
}

EXPORT void *calloc(size_t n, size_t size)
{
        if (!is_found())
                return first_alloc(n * size);
        if (is_to_fail("calloc", n * size))
                return NULL;
        return watched(real.calloc(n, size), __builtin_return_address(0));
}

EXPORT void *realloc(void *old, size_t size)
{
        void *at;

        if (!is_found() || is_first(old))
                _exit(126);
        if (is_to_fail("realloc", size))
                return NULL;
        forget(old);
        at = real.realloc(old, size);
        return watched(at ? at : size ? old : NULL, __builtin_return_address(0)) ? at : NULL;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
        if (!is_found())
                _exit(126);
        if (is_to_fail("aligned_alloc", size))
                return NULL;
        return watched(real.aligned_alloc(alignment, size), __builtin_return_address(0));
}

EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
        int r;

        if (!is_found())
                _exit(126);
        if (is_to_fail("posix_memalign", size))
                return ENOMEM;
        r = real.posix_memalign(ret, alignment, size);
        if (r == 0)
                watched(*ret, __builtin_return_address(0));
        return r;
}

EXPORT void free(void *at)
{
        if (is_first(at) || !is_found())
                return;
        forget(at);
        real.free(at);
}

/* ---- at the end ------------------------------------------------------------------------------------------------------ */

static void add_live(void *caller)
{
        char where[BOARD_TEXT];

        name_place(where, caller);
        for (uint32_t i = 0; i < shim_board->n_live; i++) {
                if (strcmp(shim_board->live[i].where, where) == 0) {
                        shim_board->live[i].n++;
                        return;
                }
        }
        if (shim_board->n_live < BOARD_SITES) {
                struct board_site *site = &shim_board->live[shim_board->n_live++];

                snprintf(site->where, sizeof(site->where), "%s", where);
                site->n = 1;
        }
}

void shim_tell_live(void)
{
        for (size_t i = 0; i < BLOCKS; i++)
                if (blocks[i].at)
                        add_live(blocks[i].caller);
}
