# SPDX-License-Identifier: MIT
"""The metadata guard in network namespaces: a machine, a container behind it, and beyond it EC2's
metadata service and name server at their real addresses.
"""

import pytest

SERVE = """
import socket, threading
held = [socket.socket(family) for family in (socket.AF_INET, socket.AF_INET, socket.AF_INET6)]
for listening, address in zip(held, ("169.254.169.254", "169.254.169.253", "fd00:ec2::254")):
    listening.bind((address, 80))
    listening.listen(64)
print("ready", flush=True)
threading.Event().wait()
"""
# Asks as often as told, and until a file has so many lines where one is given; says how often each
# outcome came, and fails when a refusal took long.
ASK = """
import collections, socket, sys, time
address, times, *file = sys.argv[1:]
lines = int(file.pop()) if file else 0
outcomes, slowest = collections.Counter(), 0
while outcomes.total() < int(times) or file and len(open(file[0]).readlines()) < lines:
    started = time.monotonic()
    try:
        socket.create_connection((address, 80), 5).close()
        outcomes["reached"] += 1
    except OSError as error:
        outcomes[type(error).__name__] += 1
        slowest = max(slowest, time.monotonic() - started)
print(*(f"{count} {name}" for name, count in outcomes.items()))
sys.exit(slowest > 1)
"""
NETWORKS = """
set -e
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
for name in beyond container; do
  ip netns add $name
  ip link add $name type veth peer name eth0 netns $name
  ip link set $name up
  ip -n $name link set lo up
  ip -n $name link set eth0 up
done
ip address add 10.0.0.1/24 dev beyond
ip address add fd00:1::1/64 dev beyond nodad
ip -n beyond address add 10.0.0.2/24 dev eth0
ip -n beyond address add fd00:1::2/64 dev eth0 nodad
ip -n beyond address add 169.254.169.254/32 dev eth0
ip -n beyond address add 169.254.169.253/32 dev eth0
ip -n beyond address add fd00:ec2::254/128 dev eth0 nodad
ip -n beyond route add 172.17.0.0/16 via 10.0.0.1
ip -n beyond route add fd00:2::/64 via fd00:1::1
ip route add 169.254.169.0/24 via 10.0.0.2
ip route add fd00:ec2::254 via fd00:1::2
ip address add 172.17.0.1/16 dev container
ip address add fd00:2::1/64 dev container nodad
ip -n container address add 172.17.0.2/16 dev eth0
ip -n container address add fd00:2::2/64 dev eth0 nodad
ip -n container route add default via 172.17.0.1
ip -n container route add default via fd00:2::1
mkfifo /run/ready
ip netns exec beyond python3 /srv/serve.py >/run/ready &
server=$!
trap 'kill $server' EXIT
read -r _ </run/ready
guard() { nft -f /etc/runner-agent/metadata-guard.nft; }
runner() { setpriv --reuid=runner --regid=runner --clear-groups "$@"; }
ask() { python3 /srv/ask.py "$@"; }
asks() { "$1" python3 /srv/ask.py "$2" "${3-1}" "${@:4}"; }
container() { ip netns exec container "$@"; }
"""


@pytest.fixture(scope="module")
def machine(changed):
    """Runs a script on a machine with these networks, and returns its output."""
    root = changed
    (root / "srv/serve.py").write_text(SERVE)
    (root / "srv/ask.py").write_text(ASK)

    def run(script):
        ended = root.run("bash", "-c", NETWORKS + script, network=False)
        assert ended.status == 0, ended.output
        return ended.output.splitlines()

    return run


ADDRESSES = ["169.254.169.254", "fd00:ec2::254"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_root_reaches_the_metadata_service(machine, address):
    said = machine(f"asks runner {address}; guard; ask {address} 1; asks runner {address}")
    assert said == ["1 reached", "1 reached", "1 ConnectionRefusedError"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_containers_do_not_reach_it(machine, address):
    said = machine(f"asks container {address}; guard; asks container {address}")
    assert said == ["1 reached", "1 ConnectionRefusedError"]


def test_user_of_a_namespace_does_not_reach_it(machine):
    # its number outside the namespace is neither root's nor the runner's
    other = "setpriv --reuid=100000 --clear-groups python3 /srv/ask.py 169.254.169.254 1"
    assert machine(f"guard; {other}") == ["1 ConnectionRefusedError"]


def test_name_server_stays_within_reach(machine):
    said = machine("guard; asks runner 169.254.169.253; asks container 169.254.169.253")
    assert said == ["1 reached", "1 reached"]


def test_datagrams_are_refused_at_once(machine):
    ask = (
        "import socket; s = socket.socket(2, 2); s.settimeout(5);"
        "s.connect(('169.254.169.254', 53)); s.send(b'x'); s.recv(1)"
    )
    said = machine(f'guard; runner python3 -c "{ask}" 2>&1 | tail -n 1')
    assert "timed out" not in said[0]
    assert "Error" in said[0]


def test_at_no_time_of_a_reload_is_it_open(machine):
    script = """
        guard
        touch /run/going
        while [ -e /run/going ]; do guard; echo; done >/run/reloads 2>&1 &
        asks runner 169.254.169.254 2000 /run/reloads 5 || true
        rm /run/going
        wait $!
        wc -l </run/reloads
        nft list tables
    """
    asked, reloads, tables = machine(script)
    count, outcome = asked.split(maxsplit=1)
    assert outcome == "ConnectionRefusedError"
    assert int(count) >= 2000
    assert int(reloads) >= 5
    assert tables == "table inet runner-metadata-guard"


def test_it_goes_along_with_docker_rules(machine):
    docker = """
        nft -f - <<'END'
        table ip filter {
            chain FORWARD { type filter hook forward priority filter; policy drop; accept; }
        }
        table ip nat {
            chain POSTROUTING {
                type nat hook postrouting priority srcnat;
                ip saddr 172.17.0.0/16 oifname beyond masquerade
            }
        }
        END
    """.replace("        END", "END")
    script = """
        asks container 169.254.169.254
        guard; guard
        asks container 169.254.169.254
        asks container 169.254.169.253
        nft list tables
    """
    said = machine(docker + script)
    assert said[:3] == ["1 reached", "1 ConnectionRefusedError", "1 reached"]
    assert sorted(said[3:]) == [
        "table inet runner-metadata-guard", "table ip filter", "table ip nat",
    ]  # fmt: skip


def test_no_guard_no_job(image):
    unit = image.text("etc/systemd/system/runner-metadata-guard.service")
    assert "\nFailureAction=poweroff\n" in unit
    shown = image.text("etc/systemd/system/runner.service.d/metadata-guard.conf")
    for setting in ("Requires", "After"):
        assert f"\n{setting}=runner-metadata-guard.service\n" in shown
