/*
 * events.c - the table behind events.h
 *
 * Identities are random (version 4) and final. Limits are for what a guest or a client can bring about as often as it
 * likes: ten at once tell a story, and after that one a minute of each kind says that it goes on. So of one kind there are
 * 70 lines an hour at most, which a test holds.
 */
#include "systemd/events.h"

#include <syslog.h>

#define UNLIMITED 0, 0
#define LIMITED   10, 600

/* clang-format off */
static const struct journal_event_info events[JOURNAL_N_EVENTS] = {
        [EVENT_DAEMON_STARTED] = { "daemon-started", "dea9c036c6564cfc8b0004faf01c25c9",
                LOG_INFO, UNLIMITED, "VGPU_VERSION VGPU_SOCKET" },
        [EVENT_DAEMON_STOPPING] = { "daemon-stopping", "457bd05f66764c98a956d095ba1dc17e",
                LOG_INFO, UNLIMITED, "VGPU_FRAMES VGPU_CLIENTS" },
        [EVENT_GUEST_ATTACHED] = { "guest-attached", "e9020079d9734bb6a0b29cac9a24adb0",
                LOG_INFO, LIMITED, "VGPU_BUILD VGPU_KERNEL VGPU_KCR3" },
        [EVENT_ATTACH_FAILED] = { "attach-failed", "eea075069caf49998165efbd20433195",
                LOG_WARNING, LIMITED, "VGPU_REASON" },
        [EVENT_PRODUCER_FOUND] = { "producer-found", "81be5863cf094cf4ab9ff59f221812d2",
                LOG_NOTICE, LIMITED, "VGPU_PID VGPU_PRODUCER VGPU_CR3 VGPU_REGION VGPU_RUN_EPOCH VGPU_OUTAGE_MS" },
        [EVENT_PRODUCER_LOST] = { "producer-lost", "077d55f59d0244d59d1ec413aeb5ab3a",
                LOG_NOTICE, LIMITED, "VGPU_PID VGPU_PRODUCER VGPU_REASON" },
        [EVENT_PRODUCER_MISSING] = { "producer-missing", "98e3f6042c304b169f5bbb46fa639893",
                LOG_WARNING, LIMITED, "VGPU_REASON" },
        [EVENT_STREAM_STALLED] = { "stream-stalled", "9e3191d008a74077b4682694da08dc0f",
                LOG_WARNING, LIMITED, "VGPU_PID VGPU_PRODUCER VGPU_REASON" },
        [EVENT_MACHINE_PAUSED] = { "machine-paused", "568b7052054748319fc72a1e1bd93604",
                LOG_NOTICE, LIMITED, "VGPU_REASON" },
        [EVENT_STREAM_RESUMED] = { "stream-resumed", "c11e3c7aaa78459087272ba164e49856",
                LOG_NOTICE, LIMITED, "VGPU_PID VGPU_PRODUCER VGPU_OUTAGE_MS" },
        [EVENT_RUN_EPOCH_CHANGED] = { "run-epoch-changed", "72b62c277b9241eebecbb7c71c83338c",
                LOG_INFO, LIMITED, "VGPU_PID VGPU_RUN_EPOCH" },
        [EVENT_EPOCH_ENDED] = { "epoch-ended", "57a46d1947fd41c181d76427afb036bf",
                LOG_NOTICE, LIMITED, "VGPU_REASON" },
        [EVENT_RAM_GONE] = { "ram-gone", "bb990c7db7ed44c5b31f261d0d958b74",
                LOG_WARNING, LIMITED, "VGPU_RAM VGPU_REASON" },
        [EVENT_MACHINE_OFF] = { "machine-off", "3bcafcfde3144b05aefd25f1836a79e8",
                LOG_NOTICE, LIMITED, "VGPU_REASON" },
        [EVENT_RAM_APPEARED] = { "ram-appeared", "5f5e6f31ec844030abba58493c9f2820",
                LOG_INFO, LIMITED, "VGPU_RAM" },
        [EVENT_LAYOUT_DIFFERS] = { "layout-differs", "cd0de56bede54faca8731fbf66d363dc",
                LOG_NOTICE, LIMITED, "VGPU_MACHINE" },
        [EVENT_MONITOR_LOST] = { "monitor-lost", "20c6efb72f4c4f9ea2ecc1f7acbaefdb",
                LOG_NOTICE, LIMITED, "VGPU_QMP VGPU_REASON" },
        [EVENT_MONITOR_BACK] = { "monitor-back", "9aa9036e91d847e6a39b1ec1c39a2b88",
                LOG_NOTICE, LIMITED, "VGPU_QMP" },
        [EVENT_SCAN_FAILED] = { "scan-failed", "252723ed654d4090a548f63fce3351b2",
                LOG_ERR, LIMITED, "VGPU_REASON" },
        [EVENT_CLIENT_REFUSED] = { "client-refused", "c6167639fa2545a7a15bb08e5207e2e5",
                LOG_WARNING, LIMITED, "VGPU_REASON" },
        [EVENT_CLIENT_DROPPED] = { "client-dropped", "3e18a55f749b4db7adedba3198bc77cf",
                LOG_NOTICE, LIMITED, "VGPU_CLIENT VGPU_CLIENT_PID VGPU_CLIENT_UID VGPU_REASON" },
        [EVENT_RESOURCES_SHORT] = { "resources-short", "05a176e4ebc648eab13fd0a46f083533",
                LOG_ERR, LIMITED, "VGPU_REASON" },
        [EVENT_CONFIG_BAD] = { "config-bad", "2e93571308b64f02ba20a04cd760c1e2",
                LOG_ERR, UNLIMITED, "VGPU_CONFIG VGPU_REASON" },
        [EVENT_CONFIG_RELOADED] = { "config-reloaded", "618b3a7d6bd047758d3fb2e83afa1d31",
                LOG_NOTICE, UNLIMITED, "VGPU_CONFIG" },
        [EVENT_CONFIG_WAITS] = { "config-waits", "500c021492d64bea9a1d968bae46a823",
                LOG_WARNING, UNLIMITED, "VGPU_CONFIG" },
        [EVENT_STUCK] = { "stuck", "bd833771e3ad4c638c3dd38397a9e397",
                LOG_ERR, UNLIMITED, "VGPU_REASON" },
        [EVENT_MODE_CHANGED] = { "mode-changed", "b07b2434ad4e46f888c389a5eaa5c1a6",
                LOG_INFO, LIMITED, "VGPU_WIDTH VGPU_HEIGHT VGPU_FORMAT" },
        [EVENT_PRODUCERS_SEVERAL] = { "producers-several", "527786e3c4864dfab16f3433ad55c961",
                LOG_NOTICE, LIMITED, "" },
        [EVENT_WRITER_CONNECTED] = { "writer-connected", "46366862dd0f41b6a8e34556074c4fce",
                LOG_NOTICE, LIMITED, "VGPU_CLIENT VGPU_CLIENT_PID VGPU_CLIENT_UID" },
        [EVENT_WRITER_GONE] = { "writer-gone", "7de5ed7d4ec345b3be45841deeb2f44b",
                LOG_NOTICE, LIMITED, "VGPU_CLIENT VGPU_CLIENT_PID VGPU_CLIENT_UID VGPU_REASON" },
        [EVENT_WRITER_REFUSED] = { "writer-refused", "d95b195d0499481bb3ea6500ae3357a0",
                LOG_WARNING, LIMITED, "VGPU_CLIENT_PID VGPU_CLIENT_UID VGPU_REASON" },
        [EVENT_WRITER_UNBELIEVED] = { "writer-unbelieved", "d6d0a47902aa4b0d9ec456b0b5140a0f",
                LOG_WARNING, LIMITED, "VGPU_REASON" },
        [EVENT_CONTROL_FAILED] = { "control-failed", "38c87d1b4e4541c4b9f266e8055fb0e8",
                LOG_WARNING, LIMITED, "" },
        [EVENT_RING_REPLACED] = { "ring-replaced", "799ca1544b534225a9cc83d5d34ce12f",
                LOG_INFO, LIMITED, "VGPU_GENERATION VGPU_SLOT_BYTES" },
        [EVENT_RING_REFUSED] = { "ring-refused", "08edf39d1a1f48d1ab455c379bd39351",
                LOG_WARNING, LIMITED, "" },
};
/* clang-format on */

const struct journal_event_info *journal_event_info(enum journal_event event)
{
        return &events[event];
}
