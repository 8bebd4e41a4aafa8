/*
 * seqlock.pml - why a copied frame is of one serial
 *
 * The daemon writes frames into slots while a reader copies one. Spin itself runs everything in order, so what
 * compilers and CPUs may reorder is spelt out: a store waits in a set from which memory takes any, unless a fence or a
 * release says otherwise; the reader performs its loads in any order that its acquires allow, dependencies not counted,
 * and decides afterwards. That is weaker than x86, and as weak as C11 where all see a store at once (ARMv8).
 *
 * The fences are those of transport/include/seqlock.h, the writer is transport/ring/ring.c, the reader mapping.c and
 * frame.c of transport/client; what mirrors a function has its name. Leave a fence or a check out (-DMUTANT_...) and
 * spin finds the reader that suffers: script/model runs the model and every mutant.
 *
 * Three claims, assertions in vgpu_client_copy_latest():
 *   WHOLE       a delivered frame, pixels and descriptor, is the one that the publish word named;
 *   CONFIRMED   a descriptor that sizes are taken from is one frame's, before the pixels are copied;
 *   PROMPT      a reader is turned away only from a slot that is being used again: who sees the word sees the slot.
 *
 * No mutant, and why: the release of the even seq (the fence before it says more), the step from an odd seq to another
 * after an abort (what counts is that it stays odd).
 *
 * Left out: more readers (they write nothing, each is alone with the writer), records and changes (the same seqlock
 * without a word; a change is whole before its frame's slot is), wrap-around of seq (2^31 frames within one copy),
 * retries (each starts afresh, as the one here does at any time).
 */

#define SLOTS  2 /* the fewest: the reader is overtaken soonest */
#define FRAMES 4 /* so that a slot is used again, twice, under a reader's hands */
#define ABORTS 1

/* Addresses: what each slot has, and the one word of the ring. */
#define SEQ(slot)    (slot)
#define SERIAL(slot) (2 + slot) /* descriptor: whose it is */
#define SIZE(slot)   (4 + slot) /* descriptor: the rest of it */
#define A(slot)      (6 + slot) /* pixels, two words */
#define B(slot)      (8 + slot)
#define PUBLISH      10
#define WORDS        11

#define WORD(serial, slot) ((serial) * SLOTS + (slot)) /* VGPU_RING_WORD; 0: no frame yet */
#define WORD_SERIAL(word)  ((word) / SLOTS)
#define WORD_SLOT(word)    ((word) % SLOTS)

byte memory[WORDS];

/* ---- stores on their way to memory ------------------------------------------------------------------------------- */

#define NONE      0
#define PLAIN     1
#define STREAMING 2 /* non-temporal: no release waits for it, sfence does */

byte pending[WORDS]; /* NONE, or what kind of store */
byte value[WORDS];
byte n_pending[3]; /* by kind */

/* A second store to an address may swallow the first, but never comes before it. */
inline store(kind, at, what)
{
        d_step {
                n_pending[pending[at]]--;
                pending[at] = kind;
                value[at] = what;
                n_pending[kind]++;
                n_pending[NONE] = 0
        }
}

#define COMMIT(at)                                 \
        d_step {                                   \
                pending[at] != NONE ->             \
                        memory[at] = value[at];    \
                        n_pending[pending[at]]--;  \
                        pending[at] = NONE;        \
                        value[at] = 0              \
        }

/* Any store, whichever was first. */
active proctype memory_system()
{
end:
        do
        :: COMMIT(SEQ(0))
        :: COMMIT(SEQ(1))
        :: COMMIT(SERIAL(0))
        :: COMMIT(SERIAL(1))
        :: COMMIT(SIZE(0))
        :: COMMIT(SIZE(1))
        :: COMMIT(A(0))
        :: COMMIT(A(1))
        :: COMMIT(B(0))
        :: COMMIT(B(1))
        :: COMMIT(PUBLISH)
        od
}

inline store_release(at, what)
{
        n_pending[PLAIN] == 0;
        store(PLAIN, at, what)
}

/* ---- the daemon: transport/include/seqlock.h, transport/ring/ring.c ---------------------------------------------- */

byte opened[SLOTS]; /* serial that the slot is being, or was last, written for: what PROMPT is measured by */

/* sfence and a release fence: nothing after it is seen before anything that was before it. */
inline write_barrier()
{
        n_pending[PLAIN] == 0 && n_pending[STREAMING] == 0
}

inline seq_open(slot)
{
#ifdef MUTANT_PLUS_ONE_AFTER_ABORT
        seq[slot] = seq[slot] + 1;
#else
        seq[slot] = (seq[slot] + 1) | 1;
#endif
        opened[slot] = serial + 1;
        store(PLAIN, SEQ(slot), seq[slot]);
#ifndef MUTANT_NO_FENCE_AFTER_ODD
        write_barrier()
#endif
}

inline seq_close(slot)
{
#ifndef MUTANT_NO_FENCE_BEFORE_EVEN
        write_barrier();
#endif
        seq[slot] = seq[slot] + 1;
        store_release(SEQ(slot), seq[slot])
}

inline ring_slot_begin()
{
        /* lease_choose(): the oldest */
        slot = 1 - newest;
        seq_open(slot)
}

/* The copy of the producer's pixels. */
inline write_pixels()
{
        store(STREAMING, A(slot), serial + 1);
        store(STREAMING, B(slot), serial + 1)
}

inline ring_slot_abort()
{
        store(PLAIN, A(slot), 0);
        store(PLAIN, B(slot), 0);
        store(PLAIN, SERIAL(slot), 0)
}

inline store_publish_word()
{
#ifdef MUTANT_NO_PUBLISH_RELEASE
        store(PLAIN, PUBLISH, WORD(serial, slot))
#else
        store_release(PUBLISH, WORD(serial, slot))
#endif
}

inline ring_publish()
{
        serial++;
        store(PLAIN, SIZE(slot), serial);
        store(PLAIN, SERIAL(slot), serial);
#ifdef MUTANT_PUBLISH_BEFORE_CLOSE
        store_publish_word();
        seq_close(slot);
#else
        seq_close(slot);
        store_publish_word();
#endif
        newest = slot
}

active proctype daemon()
{
        byte seq[SLOTS], serial = 0, slot, newest = 1, n_aborted = 0;

        do
        :: serial < FRAMES ->
                ring_slot_begin();
                write_pixels();
                if
                :: n_aborted < ABORTS -> ring_slot_abort(); n_aborted++
                :: ring_publish()
                fi
        :: else -> break
        od
}

/* ---- a reader: transport/include/seqlock.h, transport/client/mapping.c, frame.c ---------------------------------- */

/* What must have been loaded before: by the acquire load of publish, by that of seq, by the two acquire fences. */
#ifdef MUTANT_NO_PUBLISH_ACQUIRE
#define AFTER_WORD true
#else
#define AFTER_WORD got_word
#endif

#ifdef MUTANT_NO_SEQ_ACQUIRE
#define AFTER_SEQ AFTER_WORD
#else
#define AFTER_SEQ (AFTER_WORD && got_seq)
#endif

/* seq_held(), once for the descriptor and once for the pixels. */
#ifdef MUTANT_NO_ACQUIRE_FENCE
#define AFTER_DESC   AFTER_SEQ
#define AFTER_PIXELS AFTER_SEQ
#else
#define AFTER_DESC   (got_word && got_seq && got_serial && got_size)
#define AFTER_PIXELS (AFTER_DESC && got_seq_again && got_a && got_b)
#endif

/* Loads of one address keep their order whatever the fences. */
inline load_everything()
{
        do
        :: !got_word -> /* frame_newest() */
                d_step { word = memory[PUBLISH]; got_word = true };
                if
                :: word != 0 && WORD_SLOT(word) == slot
                :: else -> goto done /* no frame, or the guess was wrong and the CPU starts over */
                fi
        :: !got_seq && AFTER_WORD -> /* mapping_read_desc(): seq_read(), words_load(), seq_held() */
                d_step { seq = memory[SEQ(slot)]; got_seq = true }
        :: !got_serial && AFTER_SEQ ->
                d_step { serial = memory[SERIAL(slot)]; got_serial = true }
        :: !got_size && AFTER_SEQ ->
                d_step { size = memory[SIZE(slot)]; got_size = true }
        :: !got_seq_again && got_seq && AFTER_DESC ->
                d_step { seq_again = memory[SEQ(slot)]; got_seq_again = true }
        :: !got_a && AFTER_DESC -> /* copy_newer(): pixels_copy(), seq_held() */
                d_step { a = memory[A(slot)]; got_a = true }
        :: !got_b && AFTER_DESC ->
                d_step { b = memory[B(slot)]; got_b = true }
        :: !got_seq_last && got_seq_again && AFTER_PIXELS ->
                d_step { seq_last = memory[SEQ(slot)]; got_seq_last = true }
        :: got_word && got_seq && got_serial && got_size && got_seq_again && got_a && got_b && got_seq_last ->
                break
        od
}

#define TURN_AWAY_UNLESS(fine)                                          \
        if                                                              \
        :: fine                                                         \
        :: else ->                                                      \
                assert(opened[slot] > WORD_SERIAL(word)); /* PROMPT */  \
                goto done                                               \
        fi

active proctype vgpu_client_copy_latest()
{
        bool got_word, got_seq, got_serial, got_size, got_seq_again, got_a, got_b, got_seq_last;
        byte slot, word, seq, serial, size, seq_again, a, b, seq_last;

        /* The CPU may guess where the word will point and load ahead. */
        if
        :: slot = 0
        :: slot = 1
        fi;
        load_everything();

        /* mapping_read_desc() */
#ifndef MUTANT_NO_ODD_CHECK
        TURN_AWAY_UNLESS(seq % 2 == 0);
#endif
#ifndef MUTANT_NO_DESC_RECHECK
        TURN_AWAY_UNLESS(seq_again == seq);
#endif
        /* frame_read() */
#ifndef MUTANT_NO_SERIAL_CHECK
        TURN_AWAY_UNLESS(serial == WORD_SERIAL(word));
#endif
        assert(size == serial); /* CONFIRMED */

        /* copy_newer() */
#ifndef MUTANT_NO_FINAL_RECHECK
        TURN_AWAY_UNLESS(seq_last == seq);
#endif
        assert(a == WORD_SERIAL(word) && b == WORD_SERIAL(word) && serial == WORD_SERIAL(word)); /* WHOLE */
done:
        skip
}
