"""The packages in the hands of dpkg: put onto a bare system, upgraded under clients, removed, purged."""
import json
import subprocess

from host import CONFIG, Failure, expect

BARE = True
UNIT = "vgpud@demo.service"


def _install(host, folder="packages"):
    # Ours and nothing else: the image has what they depend on, and there is no network.
    host.run(f"DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends /test/state/{folder}/*.deb")


def _streaming(host):
    _install(host)
    host.run("useradd --groups vgpu bob")
    host.write("/etc/vgpud/demo.conf", CONFIG)
    host.run(f"systemctl start vgpu-guest && systemctl enable --now {UNIT}")
    host.journal.wait("Streaming from")


def an_installation_is_complete_and_starts_nothing(host):
    _install(host)
    expect(host.run("dpkg --audit; dpkg --verify vgpud libvgpu-client0 libvgpu-client-dev vgpud-demo; getent passwd vgpud; "
                    "getent group vgpu"), "vgpud:", "vgpu:")
    expect(host.run("stat -c '%U:%G %a %n' /etc/vgpud /run/vgpud"), "root:root 755", "vgpud:vgpud 755")
    host.run("vgpud --version && vgpuctl --version")
    host.run("test -f /usr/share/doc/vgpud/examples/vgpud.conf && ldconfig --print-cache | grep libvgpu-client.so.0")
    expect(host.run("journalctl --list-catalog | grep -c VGPU_VM"), "3")
    if host.run("systemctl list-units --no-legend --all 'vgpud@*' 'vgpu-guest*'").strip():
        raise Failure("something was started")
    expect(host.run("systemctl --failed --no-legend; systemctl is-system-running"), "running")


def an_upgrade_restarts_the_daemon_under_its_clients(host):
    _streaming(host)
    host.write("/etc/vgpud/demo.conf.d/50-pace.conf", "[pace]\nmax_fps = 20\n")
    clients = host.start("exec /test/bin/vgpu-witness /run/vgpud/demo.sock 8", user="bob", stdout=subprocess.PIPE)
    if clients.stdout.readline() != "ready\n":
        raise Failure("the clients never had a frame")
    before = host.show(UNIT, "MainPID")
    mark = host.journal.now()
    # The guest goes on: what an administrator upgrades is not what runs in QEMU.
    host.run("DEBIAN_FRONTEND=noninteractive dpkg --install $(ls /test/state/upgrade/*.deb | grep -v demo)")
    host.journal.wait("Streaming from", after=mark)
    if host.show(UNIT, "MainPID") == before:
        raise Failure("the old daemon still runs")
    print(clients.stdout.readline())
    host.run("pkill -TERM -x vgpu-witness")
    verdict = json.loads(clients.stdout.readline())
    print(verdict)
    if verdict["refused"] or verdict["losses"] < 8:
        raise Failure("the clients did not go over to the new daemon")
    expect(host.run("dpkg-query --show vgpud; cat /etc/vgpud/demo.conf; "
                    "vgpud --config /etc/vgpud/demo.conf --check-config"), "0vgpud2", "/dev/shm/demo.ram", "max_fps = 20")


def a_removal_stops_everything_and_keeps_the_configuration(host):
    _streaming(host)
    host.run("dpkg --remove vgpud-demo vgpud")
    host.run("! pgrep -x vgpud && ! pgrep -x vgpu-guest && test ! -e /run/vgpud/demo.sock")
    expect(host.run("cat /etc/vgpud/demo.conf"), "/dev/shm/demo.ram")
    expect(host.run("systemctl is-system-running; systemctl --failed --no-legend", ok=None), "running")
    # And back again, with what was configured.
    _install(host)
    mark = host.journal.now()
    host.run(f"systemctl start vgpu-guest && systemctl start {UNIT}")
    host.journal.wait("Streaming from", after=mark)


def a_purge_leaves_only_what_an_administrator_wrote(host):
    _streaming(host)
    host.write("/etc/vgpud/demo.conf.d/50-pace.conf", "[pace]\nmax_fps = 20\n")
    host.run("dpkg --purge vgpud-demo vgpud libvgpu-client-dev libvgpu-client0")
    expect(host.run("find /etc/vgpud -type f | xargs head"), "demo.conf", "/dev/shm/demo.ram", "50-pace.conf", "max_fps = 20")
    left = host.run("find /etc/systemd /usr /lib /run /var/lib/dpkg/info /dev/shm -name '*vgpu*' -not -path '/usr/share/bash*'",
                    ok=None)
    if left.strip():
        raise Failure(f"left behind:\n{left}")
    _install(host)
    host.run("rm -r /etc/vgpud/demo.conf /etc/vgpud/demo.conf.d && dpkg --purge vgpud-demo vgpud && "
             "test ! -e /etc/vgpud && test ! -e /run/vgpud")
