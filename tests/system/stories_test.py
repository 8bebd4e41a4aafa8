"""Ten days of an administrator's life: what systemctl, the journal and `vgpuctl doctor` say when something is wrong.

In each the output is the story, and each of the three must name the cause and the next step.
"""
from host import CONFIG, Failure, expect

UNIT = "vgpud@demo.service"
STATUS = f"systemctl status --no-pager --full --lines=10 {UNIT}"
JOURNAL = f"journalctl --no-pager -x -u {UNIT}"
DOCTOR = "vgpuctl --vm demo doctor"
GUEST = "/run/vgpu-guest.commands"


def _start(host, config=CONFIG, guest=True, ok=(0,)):
    host.write("/etc/vgpud/demo.conf", config)
    if guest:
        host.run("systemctl start vgpu-guest")
    host.run(f"systemctl start {UNIT}", ok=ok)


def _stream(host, config=CONFIG):
    _start(host, config)
    host.journal.wait("Streaming from")


def _story(host, status, journal, doctor):
    """Ask the three, and look for the words that matter in what each says."""
    for word in status:
        host.until(f"systemctl show --property=StatusText,ActiveState,Result {UNIT}", word)
    said = host.run(STATUS, ok=(0, 3))
    if "failed" in status:
        expect(said, *journal)
    expect(host.run(JOURNAL), *journal)
    expect(host.run(DOCTOR, ok=None), *doctor)


def the_path_of_the_ram_is_wrong(host):
    _start(host, CONFIG.replace("demo.ram", "dmeo.ram"))
    _story(host, ["/dev/shm/dmeo.ram: no such RAM file", "compare [guest] ram with QEMU's mem-path"],
           ["/dev/shm/dmeo.ram: no such RAM file", "compare [guest] ram with", "mem-path"],
           ["/dev/shm/dmeo.ram", "-> start the virtual machine", "[guest] ram in /etc/vgpud/demo.conf", "correct it"])


def the_daemon_may_not_read_the_ram(host):
    host.run("systemctl start vgpu-guest && chgrp root /dev/shm/demo.ram && chmod 600 /dev/shm/demo.ram")
    _start(host, guest=False)
    _story(host, ["not allowed to read the RAM file (let the daemon's user read it, by group or ACL: see vgpud(8)), or start"],
           ["/dev/shm/demo.ram: not allowed to read", "vgpud(8)), or start vgpud-ram@demo.socket"],
           ["/dev/shm/demo.ram", "-> setfacl", "-> see 'permission' above"])


def the_machine_is_off(host):
    host.run("systemctl start vgpu-guest && systemctl show --value -P MainPID vgpu-guest >/run/demo.pid")
    _start(host, CONFIG + "pidfile = /run/demo.pid\n", guest=False)
    host.journal.wait("Streaming from")
    host.run("systemctl kill --signal=KILL vgpu-guest")
    _story(host, ["is off: QEMU's process ended; start it"], ["is off: QEMU's process ended; start it"],
           ["QEMU's process", "has ended: the virtual machine is off", "-> start the virtual machine"])


def the_machine_is_paused(host):
    _stream(host)
    host.run("systemctl kill --signal=STOP vgpu-guest")
    _story(host, ["paused or off; resume or start it"], ["paused or off", "If nobody paused it, look at its QEMU"],
           ["paused or off", "-> start the virtual machine, or resume it"])


def the_producer_was_not_started(host):
    host.write("/etc/systemd/system/vgpu-guest.service.d/idle.conf",
               "[Service]\nExecStart=\nExecStart=/usr/libexec/vgpud/vgpu-guest --ram /dev/shm/demo.ram --ram-size 1G --no-producer\n")
    host.run("systemctl daemon-reload")
    _start(host)
    host.journal.wait(MESSAGE_ID="98e3f6042c304b169f5bbb46fa639893")
    _story(host, ["start the producer in the guest"], ["No producer in demo", "Start it in the guest"],
           ["No process in the guest has a region", "-> start the capture program in the guest"])


def the_producer_crashed(host):
    _stream(host)
    host.run(f"echo kill >{GUEST}")
    host.journal.wait(MESSAGE_ID="077d55f59d0244d59d1ec413aeb5ab3a")
    _story(host, ["start the producer in the guest"], ["The producer in demo is gone", "look into the guest"],
           ["No process in the guest has a region", "-> start the capture program in the guest"])


def the_machine_was_rebooted(host):
    _stream(host)
    mark = host.journal.now()
    host.run(f"echo reboot >{GUEST}")
    host.journal.wait("Streaming from", after=mark)
    _story(host, ["epoch 2"], ["another guest now", "the guest was reset (epoch 1 ended)", "epoch 2"],
           ["streaming", "has restarted 1 time"])


def a_client_is_not_allowed_in(host):
    _stream(host, CONFIG + "[access]\nusers = carol\n")
    # Stopped by the socket's permissions, of which the daemon never hears, and by the daemon itself.
    expect(host.run("vgpuctl status", user="alice", ok=(1,)), "/run/vgpud/demo.sock", "group")
    expect(host.run(DOCTOR, user="alice", ok=None), "this user may not connect", "usermod")
    host.run("/usr/libexec/vgpud/vgpu-verify --socket /run/vgpud/demo.sock --frames 1 --seconds 5", user="bob", ok=(1,))
    host.journal.wait(MESSAGE_ID="c6167639fa2545a7a15bb08e5207e2e5")
    _story(host, ["Streaming"], ["refused", "[access]"], ["not allowed to connect", "-> the journal names their uid", "[access]"])
    host.run("/usr/libexec/vgpud/vgpu-verify --socket /run/vgpud/demo.sock --frames 1 --seconds 30", user="carol")


def the_configuration_has_a_typo(host):
    _start(host, CONFIG.replace("machine = q35", "machnie = q35\nram_size = 4Gb"), ok=(1,))
    _story(host, ["failed"],
           ["demo.conf:3", "machnie", "demo.conf:4", "4Gb", "--check-config"],
           ["demo.conf:3", "machnie"])


def the_disk_for_logs_is_full(host):
    _stream(host)
    host.run("mkdir -p /var/log/journal && mount -t tmpfs -o size=9M tmpfs /var/log/journal && journalctl --flush; "
             "head -c 9M /dev/zero >/var/log/journal/full; df -h /var/log/journal", ok=None)
    host.run(f"echo restart-producer >{GUEST}")
    host.run("/usr/libexec/vgpud/vgpu-verify --socket /run/vgpud/demo.sock --frames 60 --seconds 30", user="bob")
    # The daemon looks every ten seconds.
    host.until(f"systemctl show --property=StatusText {UNIT}", "nothing is logged: /var/log/journal is full, make room there")
    expect(host.run(STATUS), "active (running)", "Streaming", "journalctl --vacuum-size")
    expect(host.run(DOCTOR, ok=None), "the disk is full", "journalctl --vacuum-size", "frames are not affected")
