"""host.py - a booted Debian for one test, which is gone when the test is, however that ends.

Its root is an overlay over the image (image.sh) and, unless a test wants a bare system, the layer with our packages installed
(prepare.sh). All mounts are in a namespace of their own, what is written is in memory, and systemd-nspawn is the first
process of a namespace that ends with this one: neither ^C nor a kill leaves a container, a mount or a file.

What a test does and sees is printed as an administrator would see it on a console: the output is the story.
"""
import json
import os
import queue
import select
import shlex
import socket
import subprocess
import tempfile
import textwrap
import threading
import time

PATIENCE_S = 30  # for what a loaded machine makes slow; a test that waits longer has failed
STARTED = "39f53479d3a045ac8e11786248231fbf"  # systemd's own: a unit has started

CONFIG = """\
[guest]
ram = /dev/shm/demo.ram
machine = q35
"""


class Failure(Exception):
    """What a test expected and did not find; the text is for people."""


class Journal:
    """What journalctl says from the boot on, entry by entry, as it is said."""

    def __init__(self, host):
        self._host = host
        self._entries = queue.Queue()
        self._process = host.start("journalctl --boot --no-tail --follow --output=json --all", stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        self.seen = []

    def _read(self):
        for line in self._process.stdout:
            self._entries.put(json.loads(line))

    def wait(self, text="", after=0, **fields):
        """The first entry from number `after` on that has these fields and this text in its message."""
        deadline = time.monotonic() + PATIENCE_S
        n = after
        while True:
            while n < len(self.seen):
                entry = self.seen[n]
                n += 1
                if text in str(entry.get("MESSAGE")) and all(entry.get(k) == v for k, v in fields.items()):
                    return entry
            try:
                self.seen.append(self._entries.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                raise Failure(f"the journal never said {text!r} with {fields}") from None

    def now(self):
        """A number for `after`: whatever is said later comes behind it."""
        mark = f"mark {time.monotonic_ns()}"
        subprocess.run(self._host.words(f"echo {mark} | systemd-cat --identifier=test"), check=True)
        self.wait(mark)
        return len(self.seen)


class Cgroups:
    """A control group for one system in each hierarchy that systemd manages, so that two of them never share one."""

    def __init__(self):
        name = f"vgpud-test-{os.getpid()}"
        parents = [self._parent(*line.rstrip("\n").split(":", 2)) for line in open("/proc/self/cgroup")]
        parents = [parent for parent in parents if parent and os.path.isdir(parent)]
        for parent in parents:
            for old in os.listdir(parent):  # of one that was killed
                if old.startswith("vgpud-test-") and not os.path.exists(f"/proc/{old.split('-')[-1]}"):
                    self._remove(os.path.join(parent, old))
        self.folders = [os.path.join(parent, name) for parent in parents]
        for folder in self.folders:
            os.makedirs(folder, exist_ok=True)

    @staticmethod
    def _parent(number, controllers, path):
        for line in open("/proc/self/mountinfo"):
            mount, _, kind = line.rstrip("\n").partition(" - ")
            fstype, _, options = kind.split(" ")[:3]
            unified = number == "0" and fstype == "cgroup2"
            if unified or controllers == "name=systemd" and fstype == "cgroup" and controllers in options.split(","):
                return mount.split(" ")[4] + path
        return None

    @staticmethod
    def _remove(folder):
        for top, folders, _ in os.walk(folder, topdown=False):
            for each in folders:
                os.rmdir(os.path.join(top, each))
        os.rmdir(folder)

    def remove(self):
        for folder in self.folders:
            self._remove(folder)


def _only_child(pid):
    return int(open(f"/proc/{pid}/task/{pid}/children").read().split()[0])


class Host:
    """with Host(...) as host: the system is up. Commands are run as root inside, or as `user`."""

    def __init__(self, lower, mountpoint, binds=()):
        self._lower = lower
        self._mountpoint = mountpoint
        self._binds = binds
        self._nspawn = None
        self._leader = None
        self._started = []

    def __enter__(self):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"vgpud-test-{os.getpid()}"
        notify.bind("\0" + name)
        notify.settimeout(PATIENCE_S)
        top = self._mountpoint
        boot = ["systemd-nspawn", "--quiet", "--boot", f"--directory={top}/root", "--register=no", "--keep-unit",
                "--private-network", "--console=pipe", "--notify-ready=yes", "--machine=vgpud-test",
                "--system-call-filter=@aio io_uring_setup io_uring_enter io_uring_register",
                *(f"--bind-ro={path}:{inside}" for path, inside in self._binds)]
        # The overlay's upper folder is in memory, and all of it in a namespace that ends with nspawn.
        self._cgroups = Cgroups()
        script = ("".join(f"echo $$ >{folder}/cgroup.procs && " for folder in self._cgroups.folders) +
                  f"cd {shlex.quote(top)} && mount -t tmpfs tmpfs . && cd / && cd {shlex.quote(top)} && "
                  f"mkdir root upper work && mount -t overlay overlay root "
                  f"-o {shlex.quote('lowerdir=' + ':'.join(self._lower))},upperdir=upper,workdir=work && "
                  f"exec {shlex.join(boot)}")
        self._console = tempfile.TemporaryFile()
        try:
            self._nspawn = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                 "--propagation", "private", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=self._console, stderr=subprocess.STDOUT,
                env={**os.environ, "NOTIFY_SOCKET": "@" + name})
            self._leader = self._wait_ready(notify)
            self._leader_fd = os.pidfd_open(self._leader)
            self.journal = Journal(self)
        except BaseException:
            self.__exit__()
            raise
        finally:
            notify.close()
        return self

    def _wait_ready(self, notify):
        words = []
        while "READY=1" not in words:
            try:
                words += notify.recv(4096).decode().split("\n")
            except TimeoutError:
                self._console.seek(0)
                raise Failure("the system did not boot:\n" + self._console.read().decode(errors="replace")) from None
        nspawn = _only_child(self._nspawn.pid)
        return _only_child(nspawn)

    def __exit__(self, *_):
        for process in self._started:
            process.kill()
            process.wait()
        if self._nspawn:
            self._nspawn.kill()
            self._nspawn.wait()
        if self._leader:
            select.select([self._leader_fd], [], [])  # all others in its namespace have gone before it
        self._cgroups.remove()

    def words(self, command, user=None):
        """The command line, outside, of a shell command inside."""
        words = ["setpriv", "--pdeathsig", "KILL", "nsenter", "--target", str(self._leader), "--all",
                 "setpriv", "--pdeathsig", "KILL", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"]
        if user:
            words += ["setpriv", "--reuid", user, "--regid", user, "--init-groups"]
        return [*words, "sh", "-c", command]

    def start(self, command, user=None, **options):
        """Run something beside the test, until it ends or the test does."""
        process = subprocess.Popen(self.words(command, user), stdin=subprocess.DEVNULL, text=True, **options)
        self._started.append(process)
        return process

    def run(self, command, user=None, ok=(0,)):
        """What a command prints, its standard error included; its status must be one of `ok` (None: any)."""
        print(f"{user or 'root'}{'$' if user else '#'} {command}", flush=True)
        done = subprocess.run(self.words(command, user), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=PATIENCE_S)
        _show(done.stdout)
        if ok is not None and done.returncode not in ok:
            raise Failure(f"'{command}' ended with {done.returncode}, not {ok}")
        return done.stdout

    def until(self, command, text, user=None):
        """Repeat a question until its answer has this text; only the last answer is printed."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(self.words(command, user), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace", timeout=PATIENCE_S)
            if text in done.stdout:
                print(f"root# {command}")
                _show(done.stdout)
                return done.stdout
            if time.monotonic() > deadline:
                raise Failure(f"'{command}' never said {text!r}, but\n{done.stdout}")

    def write(self, path, text):
        """A file, as an administrator's editor would leave it."""
        print(f"root# cat >{path}\n{text}", end="", flush=True)
        subprocess.run(self.words(f"mkdir -p $(dirname {path}) && cat >{path}", None), input=text, text=True, check=True)

    def show(self, unit, name):
        """One property of a unit."""
        return subprocess.run(self.words(f"systemctl show --value -P {name} '{unit}'", None), text=True, check=True,
                              stdout=subprocess.PIPE).stdout.strip()


def _show(answer):
    """Indented, so that no line of it is taken for the test's own."""
    print(textwrap.indent(answer, "  "), end="" if answer.endswith("\n") or not answer else "\n", flush=True)


def expect(text, *words):
    """Each word is somewhere in the text, whatever its case."""
    for word in words:
        if word.lower() not in text.lower():
            raise Failure(f"expected {word!r} in:\n{text}")
