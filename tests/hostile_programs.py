"""Programs that try to get out of their sandbox, to look in from it, or to pass without solving.

A program of `SCRIPTS` prints ESCAPED where it got what it tried to get, which is what its test
expects; so it is contained if it does not pass. `FUNCTIONS` define a function ``solve`` whose right
result, `SECRET`, nobody could know.
"""

from __future__ import annotations

from collections.abc import Mapping

SECRET = "the-secret-4f1c09b2"

IMPORTS = "import ctypes, gc, os, resource, signal, socket, subprocess, sys, threading, time\n"

TRY = """
def attempt(action):
    try:
        if action() is not False:
            print("ESCAPED")
    except OSError as fault:
        print("contained:" + type(fault).__name__)

libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    found = libc.syscall(number, *arguments)
    if found == -1:
        raise OSError(ctypes.get_errno(), "")
    return found
"""

NUMBERS = """
NUMBERS = {"x86_64": dict(ptrace=101, mount=165, unshare=272, keyctl=250, bpf=321, shmget=29,
    memfd=319, userfaultfd=323, read_memory=310, perf=298, msgget=68, chroot=161, clone=56),
    "aarch64": dict(ptrace=117, mount=40, unshare=97, keyctl=219, bpf=280, shmget=194,
    memfd=279, userfaultfd=282, read_memory=270, perf=241, msgget=186, chroot=51, clone=220),
}[os.uname().machine]
"""


def _attempt(action: str, before: str = "") -> str:
    return f"{IMPORTS}{TRY}{NUMBERS}{before}\nattempt({action})\n"


def _call(name: str, arguments: str) -> str:
    return _attempt(f"lambda: call(NUMBERS[{name!r}], {arguments})")


SCRIPTS: Mapping[str, str] = {
    # processes
    "a fork bomb": "import os\nprint('ESCAPED')\nwhile True: os.fork()",
    "one fork": _attempt("os.fork"),
    "a daemon, forked twice": _attempt(
        "lambda: os.fork() or (os.setsid(), os.fork(), time.sleep(99))"
    ),
    "a background child": _attempt("lambda: subprocess.Popen(['sleep', '1000'])"),
    "a shell": _attempt("lambda: os.system('true') == 0"),
    "another program in its place": _attempt(
        "lambda: os.execv(sys.executable, ['python', '-c', ''])"
    ),
    "a clone by number": _call("clone", "signal.SIGCHLD, 0, 0, 0, 0"),
    "a new user name space": _call("unshare", "0x10000000"),
    "a bomb of threads": f"""{IMPORTS}
started, wait = 0, threading.Event()
try:
    while started < 1000:
        threading.Thread(target=wait.wait, daemon=True).start()
        started += 1
    print("ESCAPED")
except RuntimeError:
    print("contained:threads")
""",
    # memory
    "memory in a list": "held = []\nwhile True: held.append(bytearray(1 << 20))",
    "memory in one piece": "held = bytearray(1 << 36)\nprint('ESCAPED')",
    "memory that nobody maps": _call("shmget", "0, 1 << 30, 0o1600"),
    "a file in memory": _call("memfd", "b'x', 0"),
    "messages that nobody reads": _call("msgget", "0, 0o1600"),
    "memory by mapping": _attempt("lambda: mmap.mmap(-1, 1 << 34)", "import mmap"),
    "pages kept for another process to fault": _call("userfaultfd", "0"),
    # files
    "a file anywhere": f"""{IMPORTS}
folders = ["/", "/tmp", "/dev/shm", "/var/tmp", "/run", "."]
folders += [place + "/" + name for place in ("", "/usr", "/pacore") for name in os.listdir(place or "/")]
written = 0
for folder in folders:
    try:
        open(folder + "/mark", "w")
        written += 1
    except OSError:
        pass
print("ESCAPED" if written else "contained")
""",
    "a flood of folders": f"""{IMPORTS}
made = 0
for folder in ("/", "/tmp", "/dev", "/dev/shm", "/pacore", "/usr/lib", "."):
    for number in range(100):
        try:
            os.mkdir(f"{{folder}}/{{number}}")
            made += 1
        except OSError:
            break
print("ESCAPED" if made else "contained")
""",
    "a symbolic link": _attempt("lambda: os.symlink('/etc/shadow', '/tmp/shadow')"),
    "a link from its own folder": _attempt("lambda: os.symlink('/', 'link')"),
    "the shadow file": _attempt("lambda: open('/etc/shadow').read()"),
    "the shadow file by detour": _attempt("lambda: open('/usr/lib/../../etc/shadow').read()"),
    "folders of people": f"""{IMPORTS}
seen = [name for name in ("/root", "/home", "/work", "/etc/passwd", "/tmp", "/var", "/srv", "/mnt")
        if os.path.exists(name)]
print("ESCAPED" if seen else "contained")
""",
    "devices": f"""{IMPORTS}
allowed = {{"null", "zero", "random", "urandom"}}
print("ESCAPED" if set(os.listdir("/dev")) - allowed else "contained")
""",
    "keys typed into the terminal": _attempt("lambda: open('/dev/tty')"),
    "its own input, changed": _attempt("lambda: os.pwrite(0, b'x', 0)"),
    "a mount": _call("mount", "b'none', b'/usr', b'tmpfs', 0, 0"),
    "another root": _call("chroot", "b'/usr'"),
    # other processes
    "the environment of process 1": _attempt("lambda: open('/proc/1/environ').read()"),
    "the environment of its parent": _attempt(
        "lambda: open(f'/proc/{os.getppid()}/environ').read()"
    ),
    "the files of its host": _attempt("lambda: os.listdir('/proc/1/fd')"),
    "its own environment": f"""{IMPORTS}
names = {{"LC_ALL", "LC_CTYPE", "MALLOC_ARENA_MAX", "PATH", "PWD"}}
names |= {{"PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONUTF8"}}
print("ESCAPED" if set(os.environ) - names else "contained")
""",
    "the memory of its host": _call("read_memory", "1, 0, 0, 0, 0, 0"),
    "tracing its host": _call("ptrace", "16, 1, 0, 0"),
    "the limits of its host": _attempt(
        "lambda: resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))"
    ),
    "the priority of its host": _attempt("lambda: os.setpriority(os.PRIO_PROCESS, 1, 19)"),
    "everybody else's processes": f"""{IMPORTS}
try:
    os.kill(-1, signal.SIGKILL)
    print("ESCAPED")
except ProcessLookupError:
    print("contained")
""",
    "processes by number": f"""{IMPORTS}
found = []
for number in range(2, 40000):
    try:
        os.kill(number, 0)
        found.append(number)
    except OSError:
        pass
print("ESCAPED" if set(found) - {{os.getpid()}} else "contained")
""",
    "the name of the machine": (
        "import os\nprint('contained' if os.uname().nodename == 'sandbox' else 'ESCAPED')"
    ),
    # network
    "the network": _attempt("lambda: socket.create_connection(('127.0.0.1', PORT), 1)"),
    "the network, version 6": _attempt("lambda: socket.create_connection(('::1', PORT), 1)"),
    "a server": _attempt("lambda: socket.create_server(('', 0))"),
    "a name": _attempt("lambda: socket.gethostbyname('localhost')"),
    "datagrams": _attempt(
        "lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))"
    ),
    "a local socket": _attempt("lambda: socket.socket(socket.AF_UNIX).connect('/run/docker.sock')"),
    "a local socket without a file": _attempt(
        "lambda: socket.socket(socket.AF_UNIX).connect('\\0ABSTRACT')"
    ),
    "a local socket through a pair": _attempt(
        "lambda: pair[0].sendto(b'x', '\\0ABSTRACT-datagram')",
        "pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    ),
    "the machine below this one": _attempt("lambda: socket.socket(socket.AF_VSOCK)"),
    "routes": _attempt("lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    # rights
    "root": _attempt("lambda: os.setuid(0)"),
    "another group": _attempt("lambda: os.setgroups([0])"),
    "more memory": _attempt(
        "lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
        """
resource_setrlimit = resource.setrlimit
def setrlimit(*arguments):
    try:
        resource_setrlimit(*arguments)
    except ValueError as fault:
        raise PermissionError(str(fault)) from fault
resource.setrlimit = setrlimit
""",
    ),
    "a program in the kernel": _call("bpf", "0, 0, 0"),
    "counters of the kernel": _call("perf", "0, 0, -1, -1, 0"),
    "keys of the kernel": _call("keyctl", "0, -3, 1"),
    "calls nobody knew": _attempt("lambda: call(425, 8, 0)"),
    # passing without solving
    "an exit code": "import os\nos._exit(0)",
    "an exit while it exits": "import atexit, os\natexit.register(os._exit, 0)",
    "a quiet exit": "raise SystemExit",
    "the host's words": """
import os
for number in range(1024):
    try:
        os.write(number, b"0 0 0.0\\n")
    except OSError:
        pass
""",
    "what its host knows": f"""{IMPORTS}
frame, seen = sys._getframe(), []
while frame:
    seen.append(repr(frame.f_locals) + repr(frame.f_globals))
    frame = frame.f_back
seen += [repr(one) for one in gc.get_objects() if type(one) in (str, bytes, list, tuple, dict)]
print("contained" if not any("ESCA" + "PED\\\\n" in one for one in seen) else "ESCAPED")
""",
    "closing everything": "import os\nos.closerange(0, 1024)\nprint('ESCAPED')",
    # time
    "a loop that no signal ends": f"""{IMPORTS}
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
""",
    "sleep": "import time\ntime.sleep(1000)",
    "stopping itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "one long operation": "print(9 ** 9 ** 9)",
    "a thread that goes on": (
        "import threading\nthreading.Thread(target=lambda: any(iter(int, 1))).start()"
    ),
    "an end that does not end": "import atexit, time\natexit.register(time.sleep, 1000)",
    # output
    "a flood of output": "while True: print('x' * 10000)",
    "a flood of errors": "import sys\nwhile True: sys.stderr.write('x' * 10000)",
    "output that is no text": (
        "import sys\n"
        "sys.stdout.buffer.write(b'\\x00\\xff\\xfe\\x1b[2J\\x1b]0;x\\x07\\xed\\xa0\\x80')"
    ),
    "a number of a million digits": "print(10 ** 1000000)",
    # crashes
    "no end of recursion": "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\nf()",
    "recursion in C": (
        "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)"
    ),
    "address nothing": "import ctypes\nctypes.string_at(0)",
    "a program that is none": "\\x00",
    "brackets without end": "(" * 100000,
    "an expression without end": "-" * 100000 + "1",
    "attributes without end": "x" + ".x" * 200000,
}

_TIMEOUT, _MEMORY, _LIMIT, _ERROR = {"timeout"}, {"memory"}, {"output_limit"}, {"runtime_error"}

OUTCOMES: Mapping[str, set[str]] = {
    "a fork bomb": _ERROR,
    "memory in a list": _MEMORY,
    "memory in one piece": _MEMORY,
    "a loop that no signal ends": _TIMEOUT,
    "sleep": _TIMEOUT,
    "stopping itself": _TIMEOUT,
    "one long operation": _TIMEOUT,
    "a thread that goes on": _TIMEOUT,
    "an end that does not end": _TIMEOUT,
    "a flood of output": _LIMIT,
    "a flood of errors": _LIMIT,
    "a number of a million digits": _ERROR | _TIMEOUT,
    "closing everything": {"wrong_output", "runtime_error"},
    "no end of recursion": _MEMORY | _TIMEOUT | _ERROR,
    "recursion in C": _TIMEOUT | _ERROR,
    "address nothing": _ERROR,
    "a program that is none": _ERROR,
    "brackets without end": _ERROR | _MEMORY,
    "an expression without end": _ERROR | _MEMORY,
    "attributes without end": _ERROR | _MEMORY,
}
"""How a program ends, where it is not for a wrong output; some depend on the interpreter."""

HARMLESS = (
    "one fork",
    "a shell",
    "a clone by number",
    "a file in memory",
    "memory by mapping",
    "folders of people",
    "devices",
    "its own environment",
    "processes by number",
    "the name of the machine",
    "the network",
    "a server",
    "a name",
    "datagrams",
    "a local socket without a file",
    "a local socket through a pair",
    "routes",
)
"""Programs that may be run without a sandbox, where they get what they try to get."""

_SCAN = f"""{IMPORTS}
def solve(number):
    seen = []
    frame = sys._getframe()
    while frame:
        seen.append(repr(frame.f_locals))
        frame = frame.f_back
    seen += [repr(one) for one in gc.get_objects() if type(one) in (str, bytes, list, tuple, dict)]
    for module in list(sys.modules.values()):
        seen.append(repr(vars(module)))
    for one in seen:
        at = one.find("the-" + "secret")
        if at >= 0:
            return one[at : at + 19]
    return "nothing"
"""

FUNCTIONS: Mapping[str, str] = {
    "an object equal to everything": """
class Anything:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return hash(0)
    def __bool__(self): return True
    def __len__(self): return 19
    def __contains__(self, other): return True
def solve(number): return Anything()
""",
    "a text equal to everything": """
class Anything(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = str.__hash__
def solve(number): return Anything("x")
""",
    "an object that says it is a text": """
class Anything:
    __class__ = str
    def __eq__(self, other): return True
    def __str__(self): return "x"
def solve(number): return Anything()
""",
    "a list whose items are whatever is asked": """
class Anything(list):
    def __eq__(self, other): return True
    def __iter__(self): return iter([self])
    def __getitem__(self, index): return self
def solve(number): return Anything(["x"])
""",
    "other built-ins": """
import builtins, json, operator
class Anything(type):
    def __eq__(self, other): return True
builtins.AssertionError = SystemExit
builtins.isinstance = lambda *both: True
builtins.__build_class__ = builtins.repr = builtins.str = lambda *a, **k: "x"
operator.eq = lambda *both: True
json.dumps = lambda *a, **k: "true"
json.loads = lambda *a, **k: ["eq", [1, 1], {}]
json.encoder.c_make_encoder = None
def solve(number): return "x"
""",
    "frames, objects and modules": _SCAN,
    "descriptors": """
import os
def solve(number):
    seen = b""
    for descriptor in range(1024):
        try:
            os.set_blocking(descriptor, False)
            seen += os.read(descriptor, 1 << 20)
            seen += os.pread(descriptor, 1 << 20, 0)
        except OSError:
            pass
    at = seen.find(b"the-secret")
    return seen[at : at + 19].decode() if at >= 0 else "nothing"
""",
    "its own heap": f"""{IMPORTS}
def solve(number):
    libc = ctypes.CDLL(None)
    libc.sbrk.restype = ctypes.c_void_p
    end = libc.sbrk(0)
    seen = ctypes.string_at(end - (1 << 19), 1 << 19)
    at = seen.find(b"the-" + b"secret")
    return seen[at : at + 19].decode() if at >= 0 else "nothing"
""",
    "a result of its own": """
import os
for answer in (b'"x"', b'{"value": true}\n', b'{"value": "x"}\n', b"\n", b"0 0 0.0\n"):
    for descriptor in range(1, 1024):
        try:
            os.write(descriptor, answer)
        except OSError:
            pass
def solve(number): return "x"
""",
    "an answer that ends the tests": """
import os
def solve(number):
    os.write(3, b'{"error": ["SystemExit", "0"]}\n')
    os._exit(0)
""",
    "an answer that imports": """
import os
def solve(number):
    os.write(3, b'{"value": {"library": ["os", "_exit", [0]]}}\n')
    return "x"
""",
    "a result nested as deep as may be": """
import os
def solve(number):
    depth = 900
    os.write(3, b"[" * depth + b"]" * depth)
    os._exit(0)
""",
    "an answer that is none": """
import os
def solve(number):
    os.write(3, b'[' * 1000000 + b'\n')
    return "x"
""",
    "the end instead of a result": "import os\ndef solve(number): os._exit(0)",
    "a quiet exit instead of a result": "def solve(number): raise SystemExit(0)",
    "an exception equal to none": """
class Quiet(BaseException):
    def __str__(self): raise Quiet
def solve(number): raise Quiet
""",
    "a failure that looks like the tests' own": "def solve(number): raise AssertionError('passed')",
    "an exit as an exception's name": """
SystemExit = type("SystemExit", (Exception,), {})
def solve(number): raise SystemExit(0)
""",
    "a thread that ends everything": """
import os, threading
def solve(number):
    threading.Thread(target=os._exit, args=(0,)).start()
    threading.Event().wait()
""",
    "no result, ever": """
import time
def solve(number): time.sleep(1000)
""",
    "results without end": """
def solve(number):
    while True:
        yield number
""",
    "a result that is too much": "def solve(number): return 'x' * (20 << 20)",
    "a result within a result": """
def solve(number):
    inner = []
    for _ in range(100000):
        inner = [inner]
    return inner
""",
    "a result that holds itself": """
def solve(number):
    inner = []
    inner.append(inner)
    return inner
""",
    "nothing of that name": "def solved(number): return number",
    "a value of that name": "solve = 'x'",
}
"""Definitions of ``solve`` that try to pass."""
