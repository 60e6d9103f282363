"""
test_readme: each command of the README runs as it stands there.
What cannot run here is listed with its reason; output is compared where a number cannot differ.
Run alone, by `run` or by make check.
"""

import os
import re
import subprocess

import harness

README = os.path.join(harness.HERE, "../../README")

# The beginning of a command that cannot run here, or a part of it, and why.
ELSEWHERE = {
    "./bootstrap": "it builds echod; the tests run in what it built",
    "./configure": "it builds and installs",
    "make ": "tests/check-install and make release-check install and make packages",
    "docker": "it needs a container engine",
    "kubectl": "it needs a cluster",
    "echoctl": "its tests have every command",
    "balancer.example": "no such host exists (RFC 2606)",
    "--find-idle-timeout": "it waits for longer than a test may; test_echoprobe_checks has it",
}

# Where the README has operators ask, in a directory that the system need not have.
ADMIN_SOCKET = "/run/echod/admin.sock"
ADMIN = f"""
mount -t tmpfs none /run && mkdir {os.path.dirname(ADMIN_SOCKET)} || exit 99
admin="--admin unix://{ADMIN_SOCKET}"
"""

# What runs in the namespace before: the addresses of the README, and who serves there.
SCENE = """
ip link set lo up && ip address add 192.0.2.1/32 dev lo || exit 99
echod --no-config --listen tcp://127.0.0.1:13265 --listen udp://127.0.0.1:13265 $admin \
    --listen tcp://127.0.0.1:7 --listen tcp://192.0.2.1:7 --listen udp://192.0.2.1:7 2>log & first=$!
echod --no-config --listen tcp://127.0.0.1:7000 --idle-timeout 3s \
    --listen tcp://127.0.0.1:7001,delay=50ms,jitter=10ms 2>log2 & second=$!
trap 'kill $first $second' EXIT
until grep -q listening log && grep -q listening log2; do sleep 0.02; done
"""


def code_blocks():
    """The lines of each block of code: the language, and a list of lines."""
    with open(README, encoding="utf-8") as file:
        text = file.read()
    return [(language, block.splitlines())
            for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)]


def commands():
    """Every command, and the lines that stand below it as its output."""
    found = []
    for language, lines in code_blocks():
        for line in lines:
            if language == "sh":
                found.append((re.sub(r"\s+#.*", "", line), []))
            elif line.startswith("$ "):
                found.append((line[2:], []))
            elif found and any(one.startswith("$ ") for one in lines):
                found[-1][1].append(line)
    return found


def reason_elsewhere(command):
    return next((reason for part, reason in ELSEWHERE.items() if part in command), None)


class Readme(harness.TestCase):

    def setUp(self):
        self.directory = self.temporary_directory()
        os.mkdir(f"{self.directory}/build")
        for program in (harness.ECHOD, harness.ECHOPROBE):
            os.symlink(program, f"{self.directory}/build/{os.path.basename(program)}")
        unshare = self.need_program("unshare")
        self.need_program("ip", "/usr/sbin", "/sbin")
        self.shell = (unshare, "-rnm", "sh", "-c")
        if subprocess.run([*self.shell, "ip link set lo up"], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no network namespace can be had here")

    def run_command(self, command, seconds=3):
        """Run it in the scene, and end by INT what goes on; return its status and output."""
        path = f"{self.directory}/build:{os.environ['PATH']}:/usr/sbin:/sbin"
        limit = f"timeout --foreground --signal=INT --preserve-status {seconds} "
        if command.startswith("echoprobe"):
            command = limit + command
        script = f"{ADMIN if ADMIN_SOCKET in command else ''}\n{SCENE}\n{command}"
        result = subprocess.run([*self.shell, script], cwd=self.directory, input=b"hello\n",
                                env={**os.environ, "PATH": path}, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, check=False, timeout=60)
        return result.returncode, result.stdout.decode()

    def write_example(self):
        """Write the configuration file that the README shows."""
        example = next(lines for language, lines in code_blocks()
                       if language == "" and lines[0].startswith("listen "))
        with open(f"{self.directory}/echod.conf", "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in example)

    def check_command(self, command, shown):
        for word in ("nc", "socat", "cmp", "curl"):
            if re.search(rf"\b{word}\b", command):
                self.need_program(word)
        status, output = self.run_command(command)
        self.assertEqual(status, 0, f"{command}:\n{output}")
        for line in shown:
            if not re.search(r"\d\.\d{3}|^\.\.\.", line):  # neither a time nor left out
                self.assertIn(line, output.splitlines())

    def test_commands_run_as_they_stand(self):
        self.write_example()
        self.assertGreater(len(commands()), 10)
        check = harness.run_echod("--no-config", "--check", "--admin", "127.0.0.1:9265")
        has_admin = check.returncode == 0  # there may be no libmicrohttpd
        for command, shown in commands():
            is_possible = has_admin or ADMIN_SOCKET not in command
            if reason_elsewhere(command) is None and is_possible:
                with self.subTest(command):
                    self.check_command(command, shown)

    def test_no_reason_stands_for_nothing(self):
        for part in ELSEWHERE:
            self.assertTrue(any(part in command for command, _ in commands()), part)


if __name__ == "__main__":
    harness.main()
