"""
test_manifests: the files for Kubernetes and Compose agree with each other, with echod and haproxy.
Their schemas are not checked: that is for the tools that read them. How the image is made is
packaging/container/check-container's.
Run by `run`, by automake, or alone; needs python3-yaml.
"""

import os
import re

import harness
from harness import Echod

PACKAGING = os.path.join(harness.HERE, "../../packaging")
LINGER_SECONDS = 2  # echod's own, where nothing else is said
DRAIN_SECONDS = 5


def seconds(text):
    """A duration such as "15s"; no other unit is in use."""
    return int(re.fullmatch(r"(\d+)s", text).group(1))


def read(name):
    with open(f"{PACKAGING}/{name}", encoding="utf-8") as file:
        return file.read()


class ManifestTest(harness.TestCase):

    def load(self, name):
        """The documents of a YAML file."""
        try:
            import yaml  # pylint: disable=import-outside-toplevel
        except ImportError:
            self.skip_without("python3-yaml")
        return list(yaml.safe_load_all(read(name)))


class KubernetesTest(ManifestTest):

    def setUp(self):
        self.deployment, self.service, self.budget = self.load("kubernetes/echod.yaml")
        self.pod = self.deployment["spec"]["template"]["spec"]
        (self.container,) = self.pod["containers"]

    def test_kinds_and_selectors(self):
        """What is selected are the pods of the deployment, and the service's port is theirs."""
        self.assertEqual([(object["apiVersion"], object["kind"])
                          for object in (self.deployment, self.service, self.budget)],
                         [("apps/v1", "Deployment"), ("v1", "Service"),
                          ("policy/v1", "PodDisruptionBudget")])
        labels = self.deployment["spec"]["template"]["metadata"]["labels"]
        (spread,) = self.pod["topologySpreadConstraints"]
        for selector in (self.deployment["spec"]["selector"], self.budget["spec"]["selector"],
                         spread["labelSelector"]):
            self.assertEqual(selector, {"matchLabels": labels})
        self.assertEqual(self.service["spec"]["selector"], labels)
        names = [port["name"] for port in self.container["ports"]]
        self.assertEqual([port["targetPort"] for port in self.service["spec"]["ports"]], names)
        self.assertEqual([self.container["livenessProbe"]["tcpSocket"]["port"]], names)

    def test_the_image_is_of_this_version(self):
        version = re.search(r"AC_INIT\(\[Echo\], \[(\S+)\]", read("../configure.ac")).group(1)
        self.assertEqual(self.container["image"].partition(":")[2], version)

    def test_the_restricted_pod_security_standard(self):
        self.assertEqual(self.pod["securityContext"]["runAsNonRoot"], True)
        self.assertEqual(self.pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault")
        self.assertEqual(self.container["securityContext"]["allowPrivilegeEscalation"], False)
        self.assertEqual(self.container["securityContext"]["capabilities"], {"drop": ["ALL"]})
        user = self.pod["securityContext"]["runAsUser"]
        self.assertIn(f"\nUSER {user}:{user}\n", read("container/Containerfile"))

    def test_a_stop_ends_before_the_grace_period(self):
        """What comes before TERM, the drain and the linger together leave time until KILL."""
        sleep, before_term = self.container["lifecycle"]["preStop"]["exec"]["command"]
        arguments = self.container["args"]
        drain = seconds(arguments[arguments.index("--drain-timeout") + 1])
        self.assertEqual(sleep, "sleep")
        self.assertNotIn("--linger-timeout", arguments)
        self.assertGreater(self.pod["terminationGracePeriodSeconds"],
                           int(before_term) + drain + LINGER_SECONDS)

    def test_echod_takes_its_arguments_and_is_ready(self):
        """The probe finds an echod that runs with these arguments, and none that does not run."""
        option, address, *arguments = self.container["args"]
        self.assertEqual(option, "--listen")
        self.assertIn(f'CMD ["--listen", "{address}"]', read("container/Containerfile"))
        (port,) = self.container["ports"]
        self.assertEqual(harness.port_of(address), port["containerPort"])
        with Echod(*arguments, listen=harness.LOOPBACK) as server:
            probe = [*self.probe_options(port["containerPort"]), server.addresses[0]]
            self.assertEqual(harness.probe(*probe).status, 0)
        self.assertNotEqual(harness.probe(*probe).status, 0)

    def probe_options(self, port):
        """What the readiness probe says to echoprobe before the address."""
        probe = self.container["readinessProbe"]
        program, *arguments, target = probe["exec"]["command"]
        self.assertEqual((program, target), ("echoprobe", f"127.0.0.1:{port}"))
        deadline = seconds(arguments[arguments.index("--deadline") + 1])
        self.assertGreater(probe["timeoutSeconds"], deadline)
        return arguments


class ComposeTest(ManifestTest):

    def setUp(self):
        (self.compose,) = self.load("compose/compose.yaml")
        self.services = self.compose["services"]
        self.balancer = self.services["haproxy"]

    def test_haproxy_finds_every_echod(self):
        """The addresses that haproxy.cfg is given are those of the services, on echod's port."""
        port = re.search(r'CMD \["--listen", "0\.0\.0\.0:(\d+)"\]',
                         read("container/Containerfile")).group(1)
        environment = self.balancer["environment"]
        for name in ("echod1", "echod2", "echod3"):
            address = self.services[name]["networks"]["inside"]["ipv4_address"]
            self.assertEqual(environment[name.upper()], f"{address}:{port}")
            self.assertEqual(self.services[name]["command"],
                             ["--listen", f"0.0.0.0:{port}", "--listen",
                              f"0.0.0.0:{environment['CHECK_PORT']},name=checks,log=off"])
        known = set(re.findall(r"presetenv (\w+) ", read("haproxy/haproxy.cfg")))
        self.assertEqual(set(environment), known)
        self.assertEqual(self.balancer["ports"], ["7" + environment["LISTEN"]])

    def test_files_are_where_it_says(self):
        folder = f"{PACKAGING}/compose"
        configuration, *_ = self.balancer["volumes"][0].split(":")
        self.assertTrue(os.path.samefile(f"{folder}/{configuration}",
                                         f"{PACKAGING}/haproxy/haproxy.cfg"))
        build = self.services["echod1"]["build"]
        self.assertTrue(os.path.samefile(f"{folder}/{build['context']}/{build['dockerfile']}",
                                         f"{PACKAGING}/container/Containerfile"))

    def test_a_stop_ends_before_the_grace_period(self):
        for name in ("echod1", "echod2", "echod3"):
            self.assertNotIn("--drain-timeout", self.services[name]["command"])
            self.assertGreater(seconds(self.services[name]["stop_grace_period"]),
                               DRAIN_SECONDS + LINGER_SECONDS)

    def test_the_runtime_api_is_within_reach(self):
        """The helper sees the socket in the volume where haproxy puts it."""
        path = self.balancer["environment"]["ADMIN_SOCKET"]
        volume = f"admin:{os.path.dirname(path)}"
        for service in (self.balancer, self.services["admin"]):
            self.assertIn(volume, service["volumes"])
        self.assertEqual(self.services["admin"]["command"][-1], f"UNIX-CONNECT:{path}")


if __name__ == "__main__":
    harness.main()
