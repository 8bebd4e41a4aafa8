"""The service as systemd runs it: started by a socket, watched, restarted under its clients, and let at nothing."""
import json
import re
import subprocess

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
    _streaming(host)
    clients = _witness(host)
    gaps = []
    for _ in range(5):
        host.run(f"systemctl restart {UNIT}")
        gaps.append(_back(clients))
    verdict = _verdict(host, clients)
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
    ids = re.findall(r'"([0-9a-f]{32})"', host.run("cat /test/tree/systemd/events.c"))
    if len(ids) < 20:
        raise Failure("no events found")
    for event in ids:
        text = host.run(f"journalctl --dump-catalog {event}")
        expect(text, "Subject: ", "Documentation: man:")
    _streaming(host)
    expect(host.run(f"journalctl --no-pager -x -u {UNIT}"), "Subject: Frame daemon for demo started", "Nothing is to be done")


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
