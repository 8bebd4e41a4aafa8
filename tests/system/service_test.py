"""The service as systemd runs it: started by a socket, watched, restarted under its clients, and let at nothing."""
import json
import os
import re
import subprocess
import time

from host import CONFIG, STARTED, Failure, expect

UNIT = "vgpud@demo.service"
SOCKET = "vgpud@demo.socket"
VERIFY = "/usr/libexec/vgpud/vgpu-verify --socket /run/vgpud/demo.sock"


def _configured(host):
    """A guest that runs, a configuration and nothing started."""
    host.write("/etc/vgpud/demo.conf", CONFIG)
    host.run("systemctl start vgpu-guest")


def _streaming(host):
    _configured(host)
    host.run(f"systemctl start {UNIT}")
    host.journal.wait("Streaming from")


def _brief_watchdog(host):
    host.write(f"/etc/systemd/system/{UNIT}.d/watchdog.conf", "[Service]\nWatchdogSec=2\n")
    host.run("systemctl daemon-reload")


def _witness(host, clients=8):
    """Clients of another user, each with a frame in its hands."""
    process = host.start(f"exec /test/bin/vgpu-witness /run/vgpud/demo.sock {clients}", user="bob", stdout=subprocess.PIPE)
    if process.stdout.readline() != "ready\n":
        raise Failure("the clients never had a frame")
    return process


def _back(process):
    """Wait until every client has a new frame; how many milliseconds the longest was without."""
    line = process.stdout.readline().split()
    if line[:1] != ["back"]:
        raise Failure(f"the clients said {line}")
    print(f"frames are back after {line[1]} ms")
    return int(line[1])


def _verdict(host, process):
    host.run("pkill -TERM -x vgpu-witness")
    line = process.stdout.readline()
    print(line)
    return json.loads(line)


def a_client_that_connects_starts_the_daemon(host):
    _configured(host)
    host.run(f"systemctl start {SOCKET}")
    if host.show(UNIT, "ActiveState") != "inactive":
        raise Failure("the daemon runs before anybody asked for it")
    host.run(f"{VERIFY} --frames 3 --seconds 50", user="bob")
    host.journal.wait("serves 'demo' on /run/vgpud/demo.sock")
    expect(host.run(f"systemctl status {UNIT}"), "active (running)", "TriggeredBy", SOCKET, "Streaming")


def the_unit_is_active_only_when_clients_can_connect(host):
    _configured(host)
    # With no socket unit the daemon makes its own, and a start that returned too early would be followed by a failed connect.
    host.run(f"systemctl mask {SOCKET}")
    host.write("/etc/vgpud/demo.conf", CONFIG + "[ring]\ngroup = vgpu\n")
    for _ in range(5):
        host.run(f"systemctl start {UNIT} && vgpuctl status --json | grep '\"state\"'")
        host.run(f"systemctl stop {UNIT}")
        host.run("test ! -e /run/vgpud/demo.sock")


def a_daemon_that_hangs_is_restarted_by_the_watchdog(host):
    _configured(host)
    _brief_watchdog(host)
    host.run(f"systemctl start {UNIT}")
    host.journal.wait("Streaming from")
    before = host.show(UNIT, "MainPID")
    mark = host.journal.now()
    host.run(f"kill -STOP {before}")
    host.journal.wait("Watchdog timeout", after=mark)
    host.journal.wait(after=mark, MESSAGE_ID=STARTED, UNIT=UNIT)
    host.journal.wait("Streaming from", after=mark)
    if host.show(UNIT, "MainPID") == before:
        raise Failure("it is still the process that was stopped")
    host.run(f"{VERIFY} --frames 3 --seconds 50", user="bob")


def a_restart_under_eight_clients_fails_no_connect_and_frames_resume_within_a_second(host):
    _configured(host)
    host.write("/etc/vgpud/demo.conf", CONFIG + "[log]\nlevel = debug\n")
    host.run(f"systemctl start {UNIT}")
    host.journal.wait("Streaming from")
    clients = _witness(host)
    gaps = []
    for _ in range(5):
        began = time.monotonic()
        host.run(f"systemctl restart {UNIT}")
        print(f"the command took {(time.monotonic() - began) * 1000:.0f} ms")
        gaps.append(_back(clients))
    verdict = _verdict(host, clients)
    if verdict["refused"] or max(gaps) >= 1000:
        # Who was late: the manager, the daemon that ended, the one that began, or the clients?
        host.run(f"journalctl --no-pager --output=short-monotonic -u {UNIT} -u {SOCKET}")
    if verdict["refused"] or not verdict["connects"]:
        raise Failure(f"{verdict['refused']} of {verdict['connects']} connects failed: {verdict['refusal']}")
    # The quickest: what else a machine does holds up the others.
    if verdict["losses"] < 8 * len(gaps) or min(gaps) >= 1000:
        raise Failure(f"frames resumed after {gaps} ms")


def a_daemon_that_is_killed_comes_back_under_its_clients(host):
    _streaming(host)
    clients = _witness(host)
    for signal in ("KILL", "SEGV"):
        mark = host.journal.now()
        host.run(f"systemctl kill --kill-whom=main --signal={signal} {UNIT}")
        host.journal.wait(after=mark, MESSAGE_ID=STARTED, UNIT=UNIT)
        _back(clients)
    if _verdict(host, clients)["refused"]:
        raise Failure("a connect failed while the daemon was away")
    expect(host.run(f"journalctl -u {UNIT} --no-pager"), "status=9/KILL", "SEGV")


def a_stop_is_clean_and_a_client_that_waits_starts_it_again(host):
    _streaming(host)
    mark = host.journal.now()
    host.run(f"systemctl stop {UNIT}")
    if host.show(UNIT, "Result") != "success" or host.show(UNIT, "ActiveState") != "inactive":
        raise Failure("it did not stop cleanly")
    host.journal.wait(after=mark, MESSAGE_ID="457bd05f66764c98a956d095ba1dc17e")
    host.run(f"{VERIFY} --frames 1 --seconds 50", user="bob")
    host.run(f"systemctl stop {SOCKET} {UNIT}")
    host.run("test ! -e /run/vgpud/demo.sock")
    if host.show(UNIT, "Result") != "success":
        raise Failure("it did not stop cleanly")


def the_ram_is_read_without_privilege_and_by_nobody_else(host):
    _streaming(host)
    pid = host.show(UNIT, "MainPID")
    expect(host.run(f"ps -o user= -p {pid}"), "vgpud")
    status = host.run(f"grep -E '^(Uid|CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/{pid}/status")
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        expect(status, line)
    expect(host.run("ls -l /dev/shm/demo.ram"), "-rw-r-----", "vgpud-demo vgpud")
    host.run("head -c 1 /dev/shm/demo.ram", user="bob", ok=(1,))
    host.run(f"{VERIFY} --frames 3 --seconds 50", user="bob")


def ram_that_only_its_owner_may_read_comes_from_the_helper(host):
    _configured(host)
    host.run("chown vgpud-demo:vgpud-demo /dev/shm/demo.ram && chmod 600 /dev/shm/demo.ram && ls -l /dev/shm/demo.ram")
    host.run(f"systemctl start vgpud-ram@demo.socket && systemctl start {UNIT}")
    host.journal.wait("Streaming from")
    host.run(f"{VERIFY} --frames 3 --seconds 30", user="bob")
    # What was handed over is kept by systemd: the next daemon need not ask, and the helper could be gone.
    if int(host.show(UNIT, "NFileDescriptorStore")) < 1:
        raise Failure("nothing is in the store of descriptors")
    host.run("systemctl stop vgpud-ram@demo.socket")
    mark = host.journal.now()
    host.run(f"systemctl restart {UNIT}")
    host.journal.wait("Streaming from", after=mark)


def _memfd_guest(host):
    """A guest as QEMU has one with a memory-backend-memfd: there is no file, and only its user and root get at it."""
    host.write("/usr/local/bin/memfd-guest", "#!/bin/sh\necho $$ >/run/vgpu-guest/pid\n"
               "exec /usr/libexec/vgpud/vgpu-guest --memfd --mode 320x240@60\n")
    host.write("/etc/systemd/system/vgpu-guest.service.d/memfd.conf",
               "[Service]\nExecStart=\nExecStart=/usr/local/bin/memfd-guest\nRuntimeDirectory=vgpu-guest\nUMask=0022\n")
    host.write("/etc/vgpud/demo.conf", "[guest]\nram = auto\npidfile = /run/vgpu-guest/pid\n")
    host.run("chmod 755 /usr/local/bin/memfd-guest && systemctl daemon-reload && systemctl start vgpu-guest")
    host.journal.wait("ready ram=/proc/")


def ram_in_a_memfd_comes_from_the_helper_and_is_kept_until_its_machine_ends(host):
    _memfd_guest(host)
    store = f"systemctl show --property=NFileDescriptorStore {UNIT}"
    host.run(f"systemctl start {UNIT}")
    host.until("vgpuctl --vm demo status", "start vgpud-ram@demo.socket")
    host.run("systemctl enable --now vgpud-ram@demo.socket")
    host.journal.wait("Streaming from")
    expect(host.run(f"{store} | grep -v =0"), "NFileDescriptorStore=")
    host.run("ls -l /run/vgpud-ram")
    host.run("test ! -w /run/vgpud-ram/demo.sock", user="bob")

    # With no helper: what systemd keeps outlives a restart, and a death.
    host.run("systemctl stop vgpud-ram@demo.socket")
    for command in ("restart", "kill --kill-whom=main --signal=KILL"):
        mark = host.journal.now()
        host.run(f"systemctl {command} {UNIT}")
        host.journal.wait("Streaming from", after=mark)

    # A store that kept the RAM of a machine that is off would keep its memory taken.
    host.run("systemctl start vgpud-ram@demo.socket && systemctl stop vgpu-guest")
    host.until(store, "NFileDescriptorStore=0")
    mark = host.journal.now()
    host.run("systemctl start vgpu-guest")
    host.journal.wait("Streaming from", after=mark)
    expect(host.run(f"{store} | grep -v =0"), "NFileDescriptorStore=")
    host.run(f"systemctl stop {SOCKET} {UNIT}")
    host.until(store, "NFileDescriptorStore=0")


def a_drop_in_counts_and_a_bad_one_is_named(host):
    _streaming(host)
    mark = host.journal.now()
    host.write("/etc/vgpud/demo.conf.d/50-pace.conf", "[pace]\nmax_fps = 20\n")
    expect(host.run("vgpud --config /etc/vgpud/demo.conf --check-config"), "max_fps = 20", "demo.conf.d/50-pace.conf:2")
    host.run(f"systemctl reload {UNIT}")
    host.journal.wait("[pace] max_fps", after=mark)
    host.write("/etc/vgpud/demo.conf.d/60-bad.conf", "[pace]\nmax_fps = fast\n")
    host.run(f"systemctl reload {UNIT}", ok=(1,))
    host.journal.wait("demo.conf.d/60-bad.conf:2: max_fps = fast", after=mark)
    # It was checked before the daemon was told. Who tells it without asking first is refused by the daemon itself.
    host.run(f"systemctl kill --kill-whom=main --signal=HUP {UNIT}")
    host.journal.wait("The configuration stays as it was", after=mark)
    expect(host.run("vgpuctl --vm demo metrics | grep reloads"), 'vgpud_reloads_total{vm="demo"} 1', 'vgpud_reloads_refused_total{vm="demo"} 1')


def a_good_configuration_is_taken_over_under_the_clients(host):
    _streaming(host)
    clients = _witness(host, 2)
    mark = host.journal.now()
    host.write("/etc/vgpud/demo.conf", CONFIG + "[ring]\nslots = 8\n[pace]\nmax_fps = 20\n")
    host.run(f"systemctl reload {UNIT}")
    host.journal.wait("[pace] max_fps", after=mark)
    host.journal.wait("Not in force before a restart: [ring] slots", after=mark)
    verdict = _verdict(host, clients)
    if verdict["losses"] or verdict["refused"]:
        raise Failure("clients noticed")


def a_bad_configuration_is_refused_and_the_old_one_goes_on(host):
    _streaming(host)
    before = host.show(UNIT, "MainPID")
    mark = host.journal.now()
    host.write("/etc/vgpud/demo.conf", CONFIG + "[ring]\nmax_clients = many\n")
    host.run(f"systemctl reload {UNIT}", ok=(1,))
    host.journal.wait("demo.conf:5: max_clients = many", after=mark)
    if host.show(UNIT, "MainPID") != before or host.show(UNIT, "ActiveState") != "active":
        raise Failure("the daemon did not go on")
    host.run(f"{VERIFY} --frames 3 --seconds 30", user="bob")


def a_ram_file_in_shared_memory_outlives_the_daemon(host):
    _streaming(host)
    # systemd takes the files there of a unit's user and group for its IPC, and RAM files are the group's.
    host.run(f"systemctl stop {SOCKET} {UNIT}")
    host.run("ls -l /dev/shm/demo.ram")


def each_event_is_explained_by_the_installed_catalog(host):
    # The table of events itself is the list, so that none is forgotten.
    with open(os.path.join(os.path.dirname(__file__), "../../systemd/events.c")) as table:
        rows = re.findall(r'\[EVENT_\w+\] = \{ "[^"]+", "([0-9a-f]{32})",[^"]*"([A-Z_ ]*)" \}', table.read())
    if len(rows) < 20:
        raise Failure("no events found")
    mark = host.journal.now()
    for event, fields in rows:
        text = host.run(f"journalctl --dump-catalog {event}")
        expect(text, "Subject: ", "Documentation: man:")
        # As an event that has just the fields which its row names, and those that every event has.
        said = "\\n".join([f"MESSAGE_ID={event}", "MESSAGE=event", "VGPU_VM=some-vm", "VGPU_EPOCH=1", "VGPU_STATE=some-state",
                            *(f"{field}=some-value" for field in fields.split())])
        host.run(f"printf '{said}\\n' | logger --journald")
    host.journal.wait("event", after=mark, MESSAGE_ID=rows[-1][0])
    explained = host.run("journalctl --no-pager -x VGPU_STATE=some-state")
    expect(explained, "some-vm", "some-value")
    left = re.findall(r"@[A-Z_]+@", explained)
    if left or explained.count("Subject: ") != len(rows):
        raise Failure(f"{explained.count('Subject: ')} of {len(rows)} events are explained; fields that none has: {left}")
    _streaming(host)
    expect(host.run(f"journalctl --no-pager -x -u {UNIT}"), "Subject: Frame daemon for demo started", "Nothing is to be done")


def events_are_shown_from_the_journal_to_who_may_read_it(host):
    _streaming(host)
    expect(host.run("vgpuctl --vm demo events"), "serves 'demo' on", "Streaming from")
    follower = host.start("exec vgpuctl --vm demo events --follow --json=short", stdout=subprocess.PIPE)
    host.run("echo kill >/run/vgpu-guest.commands")
    seen = []
    while "producer-lost" not in seen:
        seen.append(json.loads(follower.stdout.readline())["event"])
    print("followed:", *seen)
    expect(host.run("vgpuctl --vm demo events", user="bob", ok=(1,)), "systemd-journal")
    host.run("gpasswd --add bob systemd-journal")
    expect(host.run("vgpuctl --vm demo events", user="bob"), "Streaming from")


def the_metrics_timer_writes_what_a_collector_reads(host):
    folder = "/var/lib/prometheus/node-exporter"
    _streaming(host)
    host.run(f"mkdir -p {folder} && systemctl start vgpud-metrics@demo.timer")
    host.until(f"cat {folder}/vgpud-demo.prom", "vgpud_frames_total{")
    # Whole, readable for a collector that is another user, and with nothing half beside it.
    host.run(f"systemctl start vgpud-metrics@demo.service && head -n 5 {folder}/vgpud-demo.prom")
    if host.run(f"ls -A {folder}").split() != ["vgpud-demo.prom"]:
        raise Failure("something else was left there")
    host.run(f"grep -c . {folder}/vgpud-demo.prom", user="alice")
    expect(host.run("systemctl list-timers --no-pager vgpud-metrics@demo.timer"), "vgpud-metrics@demo.service")


def what_the_running_unit_is_exposed_to_is_little(host):
    _streaming(host)
    for how in ("", "--offline=true "):
        unit = "/usr/lib/systemd/system/vgpud@.service" if how else UNIT
        said = host.run(f"systemd-analyze --no-pager security {how}{unit} | grep -E '✗|Overall'")
        figure = float(re.search(r"Overall exposure level.*?([0-9]+\.[0-9])", said).group(1))
        if figure > 1.0:
            raise Failure(f"an exposure of {figure}")


def a_healthy_day_is_a_handful_of_lines(host):
    _streaming(host)
    host.run(f"{VERIFY} --frames 60 --seconds 50", user="bob")
    lines = host.run(f"journalctl --no-pager --output=cat -u {UNIT} _COMM=vgpud").splitlines()
    if not 3 <= len(lines) <= 8:
        raise Failure(f"{len(lines)} lines")
