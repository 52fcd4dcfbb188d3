"""Programs that try to leave something to the next one in their sandbox, and one that looks for it."""

from __future__ import annotations

from collections.abc import Mapping

from tests.hostile_programs import IMPORTS, NUMBERS, TRY

MARK = "mark-" + "7d21e0c4"
"""What `LEAVINGS` try to leave behind, and what `SPY` looks for."""

_MARKED = f"{IMPORTS}import fcntl\n{TRY}{NUMBERS}MARK = 'mark-7d21e0c4'\n"
_ALL = "range(64)"

LEAVINGS: Mapping[str, str] = {
    "text in its memory": f"{_MARKED}\nheld = [MARK * 1000 + str(one) for one in range(1000)]\n",
    "text in its input": "import sys\nheld = sys.stdin.read()\nprint(held * 100)\n",
    "text in memory of the C library": f"""{_MARKED}
libc.malloc.restype = ctypes.c_void_p
for one in range(1000):
    ctypes.memmove(libc.malloc(8192), (MARK * 400).encode(), 5000)
""",
    "words in every descriptor": f"""{_MARKED}
for number in {_ALL}:
    for said in (b'"ready"', b"[0, 0, [0.0]]", b'"unconfined"', MARK.encode() * 5000):
        try:
            os.set_blocking(number, False)
            os.write(number, said)
        except OSError:
            pass
""",
    "messages in every descriptor": f"""{_MARKED}
for number in {_ALL}:
    try:
        socket.socket(fileno=os.dup(number)).sendmsg([b'["script", 1, 1, 1]'])
    except OSError:
        pass
""",
    "descriptors that do not block": f"""{_MARKED}
for number in {_ALL}:
    try:
        os.set_blocking(number, False)
    except OSError:
        pass
""",
    "pipes of one page": f"""{_MARKED}
for number in {_ALL}:
    try:
        fcntl.fcntl(number, 1031, 4096)
    except OSError:
        pass
""",
    "signals for process 1 when anything is read": f"""{_MARKED}
for number in {_ALL}:
    for owner in (1, -1, os.getppid()):
        try:
            fcntl.fcntl(number, fcntl.F_SETOWN, owner)
            fcntl.fcntl(number, 10, signal.SIGKILL)
            fcntl.fcntl(number, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
            os.write(number, b"x")
        except OSError:
            pass
""",
    "locks": f"""{_MARKED}
held = []
for folder in ("/usr/lib", "/usr/lib/python3.11", "/dev", "/"):
    for name in os.listdir(folder)[:10] if os.path.isdir(folder) else ():
        try:
            held.append(os.open(folder + "/" + name, os.O_RDONLY))
            fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass
""",
    "every signal for everybody": f"""{_MARKED}
for number in range(1, 65):
    for process in (1, os.getppid(), -1, *range(2, 200)):
        if process != os.getpid() and number != signal.SIGCONT:
            try:
                os.kill(process, number)
            except OSError:
                pass
""",
    "signals for its group": f"{_MARKED}\nfor number in range(1, 65):\n    os.killpg(0, number)\n",
    "signals for threads of others": f"""{_MARKED}
number = {{"x86_64": 200, "aarch64": 130}}[os.uname().machine]
for thread in (1, *range(2, 200)):
    if thread != os.getpid():
        libc.syscall(number, thread, signal.SIGKILL)
""",
    "queued signals": f"""{_MARKED}
number = {{"x86_64": 129, "aarch64": 138}}[os.uname().machine]
for _ in range(1000):
    libc.syscall(number, 1, signal.SIGRTMIN, ctypes.create_string_buffer(b"\\xff" * 128))
""",
    "limits of everybody": f"""{_MARKED}
for process in range(0, 100):
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_NPROC):
        try:
            resource.prlimit(process, limit, (1, 1))
        except (OSError, ValueError):
            pass
""",
    "priorities of everybody": f"""{_MARKED}
for process in range(0, 100):
    for action in (
        lambda: os.setpriority(os.PRIO_PROCESS, process, 19),
        lambda: os.setpriority(os.PRIO_USER, 0, 19),
        lambda: os.sched_setaffinity(process, {{0}}),
        lambda: os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0)),
    ):
        try:
            action()
        except OSError:
            pass
""",
    "a trace of process 1": f"""{_MARKED}
for request in (0, 16, 0x4206):
    libc.syscall(NUMBERS["ptrace"], request, 1, 0, 0)
libc.syscall(NUMBERS["read_memory"], 1, 0, 0, 0, 0, 0)
""",
    "all descriptors there may be": f"""{_MARKED}
try:
    while True:
        os.pipe()
except OSError:
    pass
""",
    "all threads there may be": f"""{_MARKED}
try:
    while True:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
except RuntimeError:
    pass
""",
    "all memory there may be": "held = []\nwhile True: held.append(bytearray(1 << 16))",
    "all pipes as large as may be": f"""{_MARKED}
try:
    while True:
        for end in os.pipe():
            fcntl.fcntl(end, 1031, 1 << 20)
        os.set_blocking(end, False)
        os.write(end, b"x" * (1 << 20))
except OSError:
    pass
""",
    "a process that stands still": f"{_MARKED}\nos.kill(os.getpid(), signal.SIGSTOP)",
    "a process that nothing ends": f"""{_MARKED}
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
for _ in range(20):
    threading.Thread(target=lambda: any(iter(int, 1))).start()
""",
    "timers": f"{_MARKED}\nsignal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\ntime.sleep(1)",
    "memory that is shared": f"""{_MARKED}
import mmap
held = mmap.mmap(-1, 1 << 20)
held.write(MARK.encode() * 1000)
for name in ("shmget", "msgget"):
    libc.syscall(NUMBERS[name], 7, 4096, 0o1666)
libc.syscall(NUMBERS["memfd"], b"left", 0)
""",
    "files": f"""{_MARKED}
inside = "/pacore/pacore/sandbox/inside"
for folder in ("/", "/tmp", "/dev", "/dev/shm", "/pacore", inside, "/usr/lib", "."):
    for action in (
        lambda: open(folder + "/mark", "w").write(MARK),
        lambda: os.mkdir(folder + "/0"),
        lambda: os.symlink("/", folder + "/link"),
        lambda: os.mkfifo(folder + "/mark"),
        lambda: os.utime(folder),
    ):
        try:
            action()
        except OSError:
            pass
""",
    "another interpreter": f"""{_MARKED}
import builtins, json, io
builtins.print = builtins.input = builtins.open = lambda *a, **k: MARK
os._exit = os.fork = os.write = os.read = lambda *a: 0
json.dumps = json.loads = lambda *a: MARK
sys.modules.clear()
""",
    "an end before its end": f"{_MARKED}\nsys.stdout = None\nos._exit = id\nraise SystemExit(0)",
    "a working folder and a mask": f"{_MARKED}\nos.chdir('/usr')\nos.umask(0o777)\n",
    "a session of its own": f"{_MARKED}\ntry:\n    os.setsid()\nexcept OSError:\n    pass\n",
    "process 1 as its heir": (
        f"{_MARKED}\nlibc.prctl(36, 1, 0, 0, 0)\nlibc.prctl(1, signal.SIGKILL, 0, 0, 0)\n"
    ),
}
"""Programs that try to leave something to the next one in their sandbox, or to leave it broken."""

SPY = f"""{IMPORTS}
def parts():
    yield MARKED.encode() if MARKED else b""
    for one in gc.get_objects():
        if type(one) in (str, bytes, list, tuple, dict):
            yield repr(one).encode(errors="replace")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.restype = ctypes.c_void_p
    out, into = os.pipe()
    places = [libc.sbrk(0), id(object()), id("x" * 50), id(sys), id([]), id(bytearray(600))]
    places += [libc.malloc(size) for size in (100, 5000, 100000, 10000000)]
    places += [ctypes.addressof(ctypes.create_string_buffer(9000)), ctypes.addressof(ctypes.c_int())]
    seen = set()
    for place in places:
        for page in range((place >> 12) - 2048, (place >> 12) + 2048):
            # Writing tells whether a page is there, where reading it would end this process.
            if page not in seen and libc.write(into, ctypes.c_void_p(page << 12), 4096) == 4096:
                yield os.read(out, 4096)
            seen.add(page)

MARKED = ""
found = sum(part.count(("mark-" + "7d21").encode() + b"e0c4") for part in parts())
print("found" if found else "nothing")
"""
"""Looks for `MARK` in whatever memory it has; prints ``found`` or ``nothing``."""
