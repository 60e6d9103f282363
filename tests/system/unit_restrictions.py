"""
unit_restrictions: runs a program as restricted as a unit has it under systemd, where there is none:
system calls, memory, sockets, capabilities, and a view of the files of its own.
Reads all of that from the unit, and refuses a setting that it has no counterpart for.
Called by tests, and run before programs under test, as root or with CAP_SYS_ADMIN and CAP_SETPCAP:
python3 unit_restrictions.py UNIT PROGRAM [ARGUMENT ...]
"""

import ctypes
import errno
import os
import socket
import stat
import subprocess
import sys

# --- The unit -----------------------------------------------------------------------------------

# Neither limits what the service may do: how it is started, told and ended.
NO_LIMIT = {
    "Type", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus",
    "WatchdogSec", "TimeoutStopSec", "FileDescriptorStoreMax", "Environment",
    "RuntimeDirectoryPreserve",
}

# What has no counterpart here, or none that a test could see: the user is the one of the tests, and
# their temporary files are in the place of /tmp and of the runtime directory.
NOT_HERE = {"User", "RuntimeDirectory", "PrivateTmp", "RemoveIPC", "KeyringMode", "PrivateMounts"}

# What these settings take away of the calls (systemd.exec(5)).
TAKEN_AWAY = {
    "ProtectClock": ["@clock"],
    "ProtectHostname": ["sethostname", "setdomainname"],
    "ProtectKernelLogs": ["syslog"],
    "ProtectKernelModules": ["@module"],
}

# What is applied below.
APPLIED = {
    "AmbientCapabilities", "CapabilityBoundingSet", "LockPersonality", "MemoryDenyWriteExecute",
    "NoNewPrivileges", "PrivateDevices", "ProcSubset", "ProtectControlGroups", "ProtectHome",
    "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "RestrictAddressFamilies",
    "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures",
    "SystemCallErrorNumber", "SystemCallFilter", "UMask",
}


class Unit:
    """The settings of a service, each with its values in their order."""

    def __init__(self, path):
        self._values = {}
        section = None
        with open(path, encoding="utf-8") as file:
            for line in map(str.strip, file):
                if line.startswith("["):
                    section = line
                elif section == "[Service]" and line and not line.startswith("#"):
                    name, value = line.split("=", 1)
                    self._values.setdefault(name, []).append(value)
        unknown = set(self._values) - NO_LIMIT - NOT_HERE - set(TAKEN_AWAY) - APPLIED
        if unknown:
            raise ValueError(f"{path}: nothing here does what these do: {sorted(unknown)}")

    def all(self, name):
        return self._values.get(name, [])

    def words(self, name):
        return " ".join(self.all(name)).split()

    def has(self, name, value="yes"):
        return self.all(name)[-1:] == [value]


# --- System calls -------------------------------------------------------------------------------


def read_sets():
    """The sets of calls that systemd has names for: each has calls, and other sets."""
    listing = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter"], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    sets = {}
    members = []
    for line in listing.splitlines():
        if line.startswith("@"):
            members = sets.setdefault(line.strip(), [])
        elif line.strip() and not line.strip().startswith("#"):
            members.append(line.strip())
    return sets


def expand(names, sets):
    """The calls in all of these sets, and those that are named themselves."""
    calls = set()
    for name in names:
        calls |= expand(sets[name], sets) if name.startswith("@") else {name}
    return calls


def allowed_calls(unit, sets):
    """What the filter of a unit leaves: its lines add, and take away, one after the other."""
    allowed = expand(["@default"], sets)
    for line in unit.all("SystemCallFilter"):
        calls = expand(line.lstrip("~").split(), sets)
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    for setting, names in TAKEN_AWAY.items():
        if unit.has(setting):
            allowed -= expand(names, sets)
    return allowed


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of libseccomp."""

    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int),
                ("first", ctypes.c_uint64), ("second", ctypes.c_uint64)]


DIFFERENT, EQUAL, GREATER, MASKED = 1, 4, 6, 7
ALLOW = 0x7FFF0000
NO_CALL = -1


def refuse(number):
    """The action that lets a call fail with an errno."""
    return 0x00050000 | number


def with_bits(argument, bits):
    return Comparison(argument, MASKED, bits, bits)


class Filter:
    """A seccomp filter of libseccomp, which refuses calls of foreign architectures by itself."""

    def __init__(self, default):
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(default))

    def add(self, action, call, *comparisons):
        """Add a rule; a call that this architecture does not have needs none."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        array = (Comparison * len(comparisons))(*comparisons)
        if number != NO_CALL:
            self._check(self._library.seccomp_rule_add_array(
                self._context, ctypes.c_uint32(action), number, len(comparisons), array), call)

    def load(self):
        self._check(self._library.seccomp_load(self._context), "seccomp_load")

    @staticmethod
    def _check(status, what):
        if status < 0:
            raise OSError(-status, os.strerror(-status), what)


PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
# Of clone(2): mounts, control groups, host names, IPC, users, processes, network, time.
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
              0x80)
SCHED_IDLE = 5
CREATING = {"open": (1, 2), "openat": (2, 3), "creat": (None, 1)}  # flags, mode
MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2}


def deny_running_what_was_written(rules):
    rules.add(refuse(errno.EPERM), "mmap", with_bits(2, PROT_WRITE | PROT_EXEC))
    rules.add(refuse(errno.EPERM), "mprotect", with_bits(2, PROT_EXEC))
    rules.add(refuse(errno.EPERM), "pkey_mprotect", with_bits(2, PROT_EXEC))
    rules.add(refuse(errno.EPERM), "shmat", with_bits(2, SHM_EXEC))


def deny_namespaces(rules):
    for flag in NAMESPACES:
        rules.add(refuse(errno.EPERM), "unshare", with_bits(0, flag))
        rules.add(refuse(errno.EPERM), "clone", with_bits(0, flag))
    rules.add(refuse(errno.EPERM), "setns")
    rules.add(refuse(errno.ENOSYS), "clone3")  # its flags cannot be seen


def deny_set_id_bits(rules):
    for bit in (stat.S_ISUID, stat.S_ISGID):
        for call, mode in MODES.items():
            rules.add(refuse(errno.EPERM), call, with_bits(mode, bit))
        for call, (flags, mode) in CREATING.items():
            creates = () if flags is None else (with_bits(flags, os.O_CREAT),)
            rules.add(refuse(errno.EPERM), call, *creates, with_bits(mode, bit))
    rules.add(refuse(errno.ENOSYS), "openat2")  # its flags cannot be seen


def deny_other_families(rules, names):
    """Sockets of these families remain."""
    wanted = {int(getattr(socket, name)) for name in names}
    for family in set(range(max(wanted))) - wanted:
        rules.add(refuse(errno.EAFNOSUPPORT), "socket", Comparison(0, EQUAL, family, 0))
    rules.add(refuse(errno.EAFNOSUPPORT), "socket", Comparison(0, GREATER, max(wanted), 0))


def limit_calls(unit, allowed):
    """Two filters, of which each call has to pass both."""
    rules = Filter(ALLOW)
    if unit.has("MemoryDenyWriteExecute"):
        deny_running_what_was_written(rules)
    if unit.has("RestrictNamespaces"):
        deny_namespaces(rules)
    if unit.has("RestrictSUIDSGID"):
        deny_set_id_bits(rules)
    if unit.has("RestrictRealtime"):
        rules.add(refuse(errno.EPERM), "sched_setscheduler", Comparison(1, GREATER, SCHED_IDLE, 0))
        for policy in (os.SCHED_FIFO, os.SCHED_RR):
            rules.add(refuse(errno.EPERM), "sched_setscheduler", Comparison(1, EQUAL, policy, 0))
    if unit.has("LockPersonality"):
        rules.add(refuse(errno.EPERM), "personality", Comparison(0, DIFFERENT, 0xFFFFFFFF, 0))
    deny_other_families(rules, unit.words("RestrictAddressFamilies"))
    calls = Filter(refuse(getattr(errno, unit.words("SystemCallErrorNumber")[-1])))
    for call in allowed:
        calls.add(ALLOW, call)
    rules.load()
    calls.load()


# --- Files --------------------------------------------------------------------------------------

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
MS_RDONLY, MS_NOSUID, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 8, 4096, 16384, 1 << 18
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1


def system(result, what):
    """Check what a function of the C library returned."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(source, target, kind=None, flags=0, options=None):
    texts = [text and text.encode() for text in (source, target, kind)]
    system(LIBC.mount(*texts, ctypes.c_ulong(flags), options and options.encode()), target)


def set_read_only(path, is_read_only=True):
    """Change a mount and all below it."""
    attributes = (ctypes.c_uint64 * 4)(*((MOUNT_ATTR_RDONLY, 0) if is_read_only
                                         else (0, MOUNT_ATTR_RDONLY)))
    system(LIBC.syscall(ctypes.c_long(SYS_MOUNT_SETATTR), AT_FDCWD, path.encode(), AT_RECURSIVE,
                        attributes, ctypes.c_size_t(ctypes.sizeof(attributes))), path)


def put_devices():
    """A /dev with no devices of hardware."""
    kept = {name: os.open(f"/dev/{name}", os.O_PATH)
            for name in ("null", "zero", "full", "random", "urandom", "tty", "log")
            if os.path.exists(f"/dev/{name}")}
    mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755")
    for name, descriptor in kept.items():
        with open(f"/dev/{name}", "wb"):
            pass
        mount(f"/proc/self/fd/{descriptor}", f"/dev/{name}", None, MS_BIND)
        os.close(descriptor)
    os.symlink("/proc/self/fd", "/dev/fd")


def hide_homes(program):
    """Homes are empty; those that a build is in have to stay."""
    for path in ("/home", "/root", "/run/user"):
        if os.path.isdir(path) and os.path.commonpath((path, program)) != path:
            mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID, "mode=0755")


def limit_files(unit, program):
    """Temporary files alone can be written."""
    temporary = os.environ.get("TMPDIR", "/tmp")
    system(LIBC.unshare(CLONE_NEWNS | CLONE_NEWUTS), "unshare")
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount(temporary, temporary, None, MS_BIND | MS_REC)
    if unit.has("PrivateDevices"):
        put_devices()
    if unit.has("ProtectHome"):
        hide_homes(program)
    if unit.has("ProtectProc", "invisible") and unit.has("ProcSubset", "pid"):
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC, "hidepid=invisible,subset=pid")
    if unit.has("ProtectSystem", "strict"):
        set_read_only("/")
        for path in ("/dev", "/proc", temporary):
            set_read_only(path, False)
    os.chdir(os.getcwd())  # as it is seen now


# --- Rights -------------------------------------------------------------------------------------

CAPABILITIES = {"CAP_NET_BIND_SERVICE": 10}
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 23, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAPABILITY_VERSION = 0x20080522


def prctl(*arguments):
    system(LIBC.prctl(*map(ctypes.c_ulong, (*arguments, *[0] * (5 - len(arguments))))), "prctl")


def limit_capabilities(unit):
    """Root keeps these, too, but no more of them."""
    bounds = {CAPABILITIES[name] for name in unit.words("CapabilityBoundingSet")}
    ambient = {CAPABILITIES[name] for name in unit.words("AmbientCapabilities")}
    for capability in set(range(64)) - bounds:
        if LIBC.prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            prctl(PR_CAPBSET_DROP, capability)
    bits = sum(1 << capability for capability in ambient)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)(bits, bits, bits)  # effective, permitted, inheritable
    system(LIBC.capset(header, sets), "capset")
    for capability in ambient:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def enter(unit, program):
    """Be restricted from now on, and whatever is run."""
    allowed = allowed_calls(unit, read_sets())
    limit_files(unit, program)
    limit_capabilities(unit)
    os.umask(int(unit.words("UMask")[-1], 8))
    if unit.has("NoNewPrivileges"):
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    limit_calls(unit, allowed)


# --- Who calls ----------------------------------------------------------------------------------


def prefix(path):
    """A command that runs another as restricted as the unit at this path."""
    return (sys.executable, os.path.abspath(__file__), path)


def why_not(path):
    """Return why nothing can be restricted here, or None."""
    result = subprocess.run([*prefix(path), "true"], stderr=subprocess.PIPE, check=False, text=True)
    return None if result.returncode == 0 else result.stderr.splitlines()[-1]


def main(path, program, *arguments):
    enter(Unit(path), os.path.realpath(program))
    os.execvp(program, (program, *arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
