/*
 * events.c - the table behind events.h
 *
 * Identities are random (version 4) and final. Limits are for what a guest or a client can bring about as often as it
 * likes: ten a minute are enough to see a pattern.
 */
#include "systemd/events.h"

/* clang-format off */
static const struct journal_event_info events[JOURNAL_N_EVENTS] = {
        [EVENT_DAEMON_STARTED] = { "DAEMON_STARTED", "dea9c036c6564cfc8b0004faf01c25c9", 0, 0 },
        [EVENT_DAEMON_STOPPING] = { "DAEMON_STOPPING", "457bd05f66764c98a956d095ba1dc17e", 0, 0 },
        [EVENT_GUEST_ATTACHED] = { "GUEST_ATTACHED", "e9020079d9734bb6a0b29cac9a24adb0", 10, 60 },
        [EVENT_ATTACH_FAILED] = { "ATTACH_FAILED", "eea075069caf49998165efbd20433195", 5, 60 },
        [EVENT_PRODUCER_FOUND] = { "PRODUCER_FOUND", "81be5863cf094cf4ab9ff59f221812d2", 10, 60 },
        [EVENT_PRODUCER_LOST] = { "PRODUCER_LOST", "077d55f59d0244d59d1ec413aeb5ab3a", 10, 60 },
        [EVENT_STREAM_STALLED] = { "STREAM_STALLED", "9e3191d008a74077b4682694da08dc0f", 10, 60 },
        [EVENT_STREAM_RESUMED] = { "STREAM_RESUMED", "c11e3c7aaa78459087272ba164e49856", 10, 60 },
        [EVENT_RUN_EPOCH_CHANGED] = { "RUN_EPOCH_CHANGED", "72b62c277b9241eebecbb7c71c83338c", 10, 60 },
        [EVENT_EPOCH_ENDED] = { "EPOCH_ENDED", "57a46d1947fd41c181d76427afb036bf", 10, 60 },
        [EVENT_RAM_GONE] = { "RAM_GONE", "bb990c7db7ed44c5b31f261d0d958b74", 10, 60 },
        [EVENT_RAM_APPEARED] = { "RAM_APPEARED", "5f5e6f31ec844030abba58493c9f2820", 10, 60 },
        [EVENT_CLIENT_REFUSED] = { "CLIENT_REFUSED", "c6167639fa2545a7a15bb08e5207e2e5", 10, 60 },
        [EVENT_CLIENT_DROPPED] = { "CLIENT_DROPPED", "3e18a55f749b4db7adedba3198bc77cf", 10, 60 },
        [EVENT_CONFIG_BAD] = { "CONFIG_BAD", "2e93571308b64f02ba20a04cd760c1e2", 0, 0 },
        [EVENT_MODE_CHANGED] = { "MODE_CHANGED", "b07b2434ad4e46f888c389a5eaa5c1a6", 10, 60 },
        [EVENT_PRODUCERS_SEVERAL] = { "PRODUCERS_SEVERAL", "527786e3c4864dfab16f3433ad55c961", 10, 60 },
        [EVENT_RING_REPLACED] = { "RING_REPLACED", "799ca1544b534225a9cc83d5d34ce12f", 10, 60 },
        [EVENT_RING_REFUSED] = { "RING_REFUSED", "08edf39d1a1f48d1ab455c379bd39351", 5, 60 },
        [EVENT_WRITER_CONNECTED] = { "WRITER_CONNECTED", "46366862dd0f41b6a8e34556074c4fce", 10, 60 },
        [EVENT_WRITER_GONE] = { "WRITER_GONE", "7de5ed7d4ec345b3be45841deeb2f44b", 10, 60 },
        [EVENT_WRITER_UNBELIEVED] = { "WRITER_UNBELIEVED", "d6d0a47902aa4b0d9ec456b0b5140a0f", 10, 60 },
        [EVENT_CONTROL_FAILED] = { "CONTROL_FAILED", "38c87d1b4e4541c4b9f266e8055fb0e8", 5, 60 },
};
/* clang-format on */

const struct journal_event_info *journal_event_info(enum journal_event event)
{
        return &events[event];
}
