/*
 * lease.pml - why a held slot is not written, and no hold is in the way
 *
 * A client keeps a frame by naming it in a page of its own; the daemon never waits for it. Both store a word, fence,
 * and look at the other's. Total store order (x86) is modelled as what it is: for either of them a buffer in front of
 * memory, from which the oldest store goes there at any time.
 *
 * There are two parties: a client that follows the rules, for ever, and everybody else, of whom nothing is assumed: at
 * every look the daemon reads in their pages whatever is worst. So what is shown for the client holds beside any number
 * of hostile ones, and each of several good ones is the client.
 *
 * The daemon is transport/ring/lease.c and ring.c, the client transport/client/lease.c; what mirrors a function or a
 * variable has its name. Leave a fence or a rule out (-DMUTANT_...) and spin finds who suffers: script/model runs the
 * model and every mutant.
 *
 * Six claims, assertions below:
 *   KEPT     a slot that the client holds has the frame that it names, and is written only after the hold was ended;
 *   COUNTED  holds of the client that were ended are in its count, by the next look at the latest;
 *   NOTICED  a client whose slot was written while it held it does not take what it read for the frame, and one whose
 *            slot was not is never told that it was;
 *   FREE     there is always a slot to write, whatever the pages say;
 *   BOUNDED  no hold stands at a look that is the lease time or more after its frame stopped being the newest;
 *   NAMED    a hold of the client is ended only at a look that found it in its page.
 *
 * No mutant, and why: the oldest frame first, in the choice and among holds past the limit (fairness: any other order
 * passes all claims); clearing the hold after a second load that differs (left there, it is at worst one more hold for
 * the lease time); a hold that was dropped stands no more, and one of the newest does not stand yet (both keep the sets
 * exact; the limit holds without); the descriptor read only once the hold is confirmed (a word that did not change was
 * the newest all the time, so its slot was not written); orders that TSO gives away, that of the release above all (a
 * release store, for other machines and for compilers).
 */

#define SLOTS  4
#define FRAMES 7 /* so that a slot is written again and that frame stops being the newest as well */
#define ABORTS 1
#define LEASE  1 /* ticks of a clock that may or may not tick between two looks */

#ifdef MUTANT_ONE_SLOT_MORE
#define LIMIT (SLOTS - 1)
#else
#define LIMIT (SLOTS - 2) /* slots held at a time, over all clients */
#endif

#define NO_SLOT        SLOTS
#define BIT(slot)      (1 << (slot))
#define HAS(set, slot) (((set) >> (slot)) & 1)

#define WORD(serial, slot) ((serial) * SLOTS + (slot)) /* VGPU_RING_WORD; 0: none */
#define WORD_SERIAL(word)  ((word) / SLOTS)
#define WORD_SLOT(word)    ((word) % SLOTS)

/* ---- memory, and stores on their way there ----------------------------------------------------------------------- */

#define SEQ(slot)   (slot)
#define PIXEL(slot) (SLOTS + slot)
#define PUBLISH     (2 * SLOTS)
#define WORDS       (2 * SLOTS + 1)

byte memory[WORDS];
byte hold; /* in the client's page */

chan daemon_stores = [8] of { byte, byte };
chan client_stores = [2] of { byte };

active proctype store_buffers()
{
        byte at, what;

end:
        do
        :: d_step { daemon_stores?at, what -> memory[at] = what; at = 0; what = 0 }
        :: d_step { client_stores?what -> hold = what; what = 0 }
        od
}

/* What only the claims need. */
byte held_slot = NO_SLOT; /* the client takes it for its own */
bool was_written;         /* since it does */
byte owed = NO_SLOT;      /* it was, and that is not counted yet */
byte ended;               /* slots whose frame a hold of the client was ended of */
byte counted;             /* and the daemon has counted it */
byte retired_for[SLOTS];  /* ticks, to be told from age */

/* ---- the daemon: transport/ring/lease.c -------------------------------------------------------------------------- */

/* struct lease_book */
byte word[SLOTS]; /* frame in the slot; 0: none */
byte age[SLOTS];  /* now_ns - since_ns, in ticks, LEASE and more the same */
byte newest = NO_SLOT;
byte fresh, expired, held, dropped, honoured; /* sets of slots */

byte client_standing, others_standing;

#define NEWEST_SET BIT(newest)

/* oldest_of() */
inline find_oldest(ret, slots)
{
        ret = NO_SLOT;
        for (i : 0 .. SLOTS - 1) {
                if
                :: HAS(slots, i) && (ret == NO_SLOT || word[i] < word[ret % SLOTS]) -> ret = i
                :: else
                fi
        }
        i = 0
}

inline lease_choose()
{
        find_oldest(slot, ~(NEWEST_SET | honoured));
        assert(slot != NO_SLOT) /* FREE */
}

inline lease_open()
{
        word[slot] = 0;
        fresh = fresh & ~BIT(slot)
}

inline lease_publish()
{
        fresh = fresh | NEWEST_SET;
        newest = slot;
        word[slot] = WORD(serial, slot)
}

/* The clock may have ticked. */
inline grow_older()
{
        for (i : 0 .. SLOTS - 1) {
                if
                :: HAS(fresh, i) ->
                        age[i] = 0;
                        retired_for[i] = 0
                :: else ->
                        age[i] = (age[i] < LEASE -> age[i] + ticked : LEASE);
                        retired_for[i] = (retired_for[i] < LEASE -> retired_for[i] + ticked : LEASE)
                fi
        }
        i = 0
}

inline lease_look_begin()
{
        grow_older();
        expired = 0;
        held = 0;
#ifndef MUTANT_NO_LEASE_TIME
        for (i : 0 .. SLOTS - 1) {
                if
                :: age[i] == LEASE -> expired = expired | BIT(i)
                :: else
                fi
        }
        i = 0
#endif
}

/* named(), of the one word that the client uses */
#define EXACTLY_NAMED ((hold != 0 && word[WORD_SLOT(hold)] == hold) << WORD_SLOT(hold))
#ifdef MUTANT_SERIAL_NOT_COMPARED
#define NAMED ((hold != 0) << WORD_SLOT(hold))
#else
#define NAMED EXACTLY_NAMED
#endif

/* What can stand at this look, if it is named. */
#ifdef MUTANT_FIRST_NAMED_AT_ANY_LOOK
#define MAY_STAND(standing) (~NEWEST_SET)
#else
#ifdef MUTANT_NAMED_AGAIN
#define MAY_STAND(standing) ((stood & ~NEWEST_SET) | fresh)
#else
#define MAY_STAND(standing) ((standing & ~dropped & ~NEWEST_SET) | fresh)
#endif
#endif

/* Its age runs from when the frame stopped being the newest, not from when a hold was seen. */
inline restart_age(slots)
{
#if defined(MUTANT_FIRST_NAMED_AT_ANY_LOOK) || defined(MUTANT_NAMED_AGAIN)
        for (i : 0 .. SLOTS - 1) {
                if
                :: HAS(slots, i) -> age[i] = 0; expired = expired & ~BIT(i)
                :: else
                fi
        }
        i = 0
#else
        skip
#endif
}

/* Return in @lost: its holds that were ended. Those whose time is up are ended here, the dropped ones were. */
inline lease_look(standing, mask)
{
        lost = standing & dropped;
#ifdef MUTANT_STANDS_UNNAMED
        standing = (standing & ~dropped & ~NEWEST_SET) | (mask & fresh);
#else
        restart_age(mask & ~standing);
        standing = mask & MAY_STAND(standing);
#endif
        ran_out = standing & expired;
        lost = lost | ran_out;
        standing = standing & ~expired;
        held = held | standing
}

inline lease_look_end()
{
        fresh = 0;
        dropped = 0;
        honoured = held;
        for (i : 0 .. SLOTS - 1) {
                n_held = n_held + HAS(honoured, i)
        }
        i = 0;
        if
        :: n_held > LIMIT -> /* by one: the newest is never among them */
                find_oldest(oldest, honoured);
                honoured = honoured & ~BIT(oldest);
#ifndef MUTANT_LIMIT_NOT_COUNTED
                dropped = BIT(oldest);
#endif
                claim_ended(client_standing & BIT(oldest));
                oldest = 0
        :: else
        fi;
        n_held = 0
}

/* ---- claims, where the daemon can break them --------------------------------------------------------------------- */

inline claim_kept()
{
        assert(held_slot != slot || was_written || HAS(ended, slot)); /* KEPT */
        if
        :: held_slot == slot && !was_written ->
                was_written = true;
                owed = (HAS(counted, slot) -> NO_SLOT : slot)
        :: else
        fi;
        ended = ended & ~BIT(slot)
}

inline claim_ended(slots)
{
        assert(((slots) & ~EXACTLY_NAMED) == 0); /* NAMED */
        ended = ended | (slots)
}

inline claim_counted()
{
        assert(owed == NO_SLOT || HAS(lost, owed)); /* COUNTED */
        owed = NO_SLOT;
        counted = counted | lost
}

inline claim_bounded()
{
        for (i : 0 .. SLOTS - 1) {
                assert(!HAS(held, i) || retired_for[i] < LEASE) /* BOUNDED */
        }
        i = 0
}

/* ---- the daemon: transport/ring/ring.c --------------------------------------------------------------------------- */

inline ring_slot_begin()
{
        atomic {
                lease_choose();
                lease_open();
                claim_kept();
                daemon_stores!SEQ(slot), 2 * serial + 1;
                daemon_stores!PIXEL(slot), serial + 1
        }
}

/* Zeroed, and seq stays odd. */
inline ring_slot_abort()
{
        daemon_stores!PIXEL(slot), 0
}

/* ring_look_begin(), ring_look_at() for every client, ring_look_end() */
inline look()
{
        atomic {
                if
                :: ticked = 0
                :: ticked = 1
                fi;
                lease_look_begin();
                counted = counted & ~fresh;

                lease_look(client_standing, NAMED);
                claim_ended(ran_out);
                claim_counted();

                for (i : 0 .. SLOTS - 1) {
                        if
                        :: HAS(MAY_STAND(others_standing), i) -> any = any | BIT(i)
                        :: skip
                        fi
                }
                i = 0;
                lease_look(others_standing, any);
                any = 0;
                lost = 0;
                ran_out = 0;
                ticked = 0;

                claim_bounded();
#ifdef MUTANT_NAMED_AGAIN
                stood = (stood | client_standing | others_standing) & ~NEWEST_SET;
#endif
                lease_look_end()
        }
}

inline store_publish_word()
{
        daemon_stores!PUBLISH, WORD(serial, slot);
#ifndef MUTANT_NO_DAEMON_FENCE
        empty(daemon_stores) /* fence(seq_cst) */
#endif
}

/* And the look that follows it. lease_publish() is nobody else's business, so it may as well come first. */
inline ring_publish()
{
        atomic {
                serial++;
                daemon_stores!SEQ(slot), 2 * serial;
                lease_publish();
#ifndef MUTANT_LOOK_BEFORE_PUBLISH
                store_publish_word()
#endif
        }
        look();
#ifdef MUTANT_LOOK_BEFORE_PUBLISH
        store_publish_word()
#endif
}

active proctype daemon()
{
        byte serial, slot, n_aborted, any, lost, ran_out, ticked, n_held, oldest, i;
#ifdef MUTANT_NAMED_AGAIN
        byte stood;
#endif

        do
        :: serial < FRAMES ->
                ring_slot_begin();
                if
                :: n_aborted < ABORTS -> ring_slot_abort(); n_aborted++
                :: ring_publish()
                fi
        :: else -> break
        od
}

/* ---- a client: transport/client/lease.c -------------------------------------------------------------------------- */

inline hold_set(what)
{
        client_stores!what;
#ifndef MUTANT_NO_CLIENT_FENCE
        empty(client_stores) /* fence(seq_cst) */
#endif
}

inline hold_clear()
{
        client_stores!0
}

inline claim_held()
{
        held_slot = WORD_SLOT(named);
        assert(word[held_slot] == named) /* KEPT */
}

#define LET_GO_UNLESS(fine)                        \
        if                                         \
        :: fine                                    \
        :: else ->                                 \
                assert(was_written); /* NOTICED */ \
                goto release                       \
        fi

/* For ever: vgpu_client_acquire(), use, vgpu_client_intact(), vgpu_client_release(). */
active proctype client()
{
        byte named, seq, pixel;

end_acquire:
        /* frame_newest() */
        atomic { memory[PUBLISH] != 0 -> named = memory[PUBLISH]; seq = 0; pixel = 0 };

        /* hold_frame() */
        hold_set(named);
        if
#ifdef MUTANT_NO_SECOND_LOAD
        :: atomic { true -> claim_held() }
#else
        :: atomic { memory[PUBLISH] == named -> claim_held() }
        :: memory[PUBLISH] != named -> goto clear
#endif
        fi;

        /* frame_read(): seq says the serial here as well */
        seq = memory[SEQ(WORD_SLOT(named))];
#ifdef MUTANT_SERIAL_NOT_READ
        LET_GO_UNLESS(seq % 2 == 0);
#else
        LET_GO_UNLESS(seq == 2 * WORD_SERIAL(named));
#endif
        /* the caller */
        pixel = memory[PIXEL(WORD_SLOT(named))];

        /* is_intact() */
#ifndef MUTANT_NO_LOOK_AFTER_USE
        LET_GO_UNLESS(memory[SEQ(WORD_SLOT(named))] == seq);
#endif
        assert(pixel == WORD_SERIAL(named)); /* NOTICED */
release:
        atomic { held_slot = NO_SLOT; was_written = false };
clear:
        hold_clear();
        goto end_acquire
}
