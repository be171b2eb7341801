// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// badValues are values that flags don't take, by the flag's name.
var badValues = map[string][]string{
	"rate": {"1m", "1K", "fast", "-1", "0", "10GB", "1e9", "200%", "5%", "0.0000001", "99999999999999999999"},
	"size": {"", "63", "x", "64-", "1518-64", "imix:", "imix:64", "64=7", "64,", "1519", "9999999999"},
	"dst": {"", "10.77.0.0/33", "10.77.0.1/24", "10.77.0.9-10.77.0.1", "fd77::/64", "224.0.0.1", "10.77.0.1-255.255.255.255", "host",
		"10.77.0.1-", "fe80::1%wsk0"},
	"dst-port":     {"", "0", "65536", "9-8", "http", "1-2-3", "-1"},
	"src-port":     {"", "0", "65536", "9-8", "http", "+5"},
	"duration":     {"", "soon", "-1s", "5 s", "1w", "0.1ns", "1e3s", "99999999h"},
	"timeout":      {"", "soon", "-1s", "0", "1w"},
	"count":        {"", "-5", "many", "2.5", "0", "5m"},
	"flows":        {"0", "-1", "70000", "1500", "x"},
	"seed":         {"x", "-1", "99999999999999999999", "1.5"},
	"flow-order":   {"", "zigzag"},
	"rate-layer":   {"", "l3"},
	"stamp":        {"", "none,wsk", "tcp"},
	"peer":         {"maybe"},
	"engine":       {"", "af_packet"},
	"src":          {"10.0.0.0/8", "x", ""},
	"src-mac":      {"02:00:00:00:00:01"},
	"vlan":         {"7"},
	"batch":        {"0", "1025", "x"},
	"in-flight":    {"0", "65537", "1.5"},
	"queues":       {"0", "-1", "4097"},
	"payload":      {"hello", "hex:0", "hex:zz", "@/nonexistent"},
	"payload-size": {"-1", "65508", "65528"},
	"ttl":          {"0", "256", "-1", "x"},
	"tos":          {"-1", "256"},
	"dscp":         {"-1", "64"},
	"source":       {"nowhere", "10.77.0.1:65536", "fd77::1", "192.0.2.9", "10.77.0.1:"},
	"interface":    {"eth77"},
	"mode":         {"", "fast"},
	"checksum":     {"", "offload"},
	"require":      {"", "speed", "zerocopy"},
	"segment":      {"-1", "65528"},
	"schedule":     {"", "1k", "1k:", "max:1s", "1k:0", "1m:1s", "1k:1s,", "1k:1s,soon:2s", "1k:soon", "1k:1s;2k:1s", "1:500ms", "5%:1s", "99999999999999:1s"},
	"burst":        {"", "0", "-1", "x", "1.5", "1m", "2000000"},
	"warmup":       {"", "soon", "-1s", "1w"},
	"pacing":       {"", "hum"},
	"cpus":         {"x", "-1", "0,0", "0,1", "8191", "99999"},
	"config":       {"/nonexistent", "/dev/null", "/proc", "/etc/passwd"},
	"output":       {"/nonexistent/x", "/proc", "/etc/passwd"},
	"quiet":        {"perhaps", ""},
	"format":       {"", "xml", "csv"},
	"fail-if":      {"", "loss", "loss>0.1%", "x>1", "pps<2*rate", "p99>soon", "loss>101%", ","},
	"pcap":         {",5", "x,0", "/nonexistent/x", "/etc/passwd", "/proc", "x,y"},
	"via":          {"daemon=/nonexistent"},
	"netns":        {"no-such-namespace", "/dev/null"},
}

// badLines are command lines that are wrong as a whole.
var badLines = []string{
	"frobnicate", "--nonsense", "blast", "send", "blast x y", "blast host:9", "blast 10.77.0.2", "blast 10.77.0.2:0", "blast 10.77.0.2:65536",
	"blast fd77::2:9", "blast [fe80::1]:9", "blast [fe80::1%]:9", "blast 0.0.0.0:9", "blast 10.77.0.2:9 -s 64 --payload-size 9",
	"blast 10.77.0.2:9 --tos 4 --dscp 1", "blast 10.77.0.2:9 --df --payload-size 1473", "blast 10.77.0.2:9 -r 1 -d 500ms",
	"blast 10.77.0.2:9 -r 1bit -d 1s", "blast 10.77.0.2:9 --source 10.77.0.1:5 --src-port 5", "blast 10.77.0.2:9 --source 10.77.0.1:5 --flows 2",
	"blast 10.77.0.2:9 --batch 1024 --in-flight 2000", "blast 10.77.0.2:9 -Z", "blast 10.77.0.2:9 --ttl", "blast 10.77.0.2:9 --mode copy --require zerocopy",
	"lab", "lab sideways", "lab up --mtu 40", "lab up --queues 0", "lab down --name=*", "doctor 10.0.0.1 10.0.0.2", "bench --size imix", "bench --size 63",
	"bench -d soon", "bench --runs 0", "bench receive -r 5%", "bench receive -r 0", "bench latency --interval -1s", "bench footprint --idle x", "bench scale --ip 5", "demo now",
	"help frobnicate", "version 1",
	"blast 10.77.0.2:9 --schedule 1k:1s -d 1s", "blast 10.77.0.2:9 --schedule 1k:1s -r 1k", "blast 10.77.0.2:9 --burst 2 -r max",
	"blast 10.77.0.2:9 --pacing spin -r max", "blast 10.77.0.2:9 --engine xdp --burst 2 --pacing spin", "blast 10.77.0.2:9 -qq --json",
	"blast 10.77.0.2:9 -qq --format ndjson", "blast 10.77.0.2:9 -o - --format csv", "blast --config /etc/passwd", "blast --config",
	"blast 10.77.0.2:9 --engine udp --cpus 0,1", "blast 10.77.0.2:9 --dry-run --fail-if failed>1", "blast 10.77.0.2:9 --warmup 1s --via daemon=/nonexistent",
	"recv :9 -o /nonexistent/x", "echo :9 -o /nonexistent/x", "ping 10.77.0.2:9 -o /nonexistent/x", "recv :9 -o /etc/passwd", "recv :9 -qq --json",
	"replay /etc/passwd -o /nonexistent/x", "bench -o /etc/passwd",
	"blast 10.77.0.2:9 --engine frames --src-mac x", "blast 10.77.0.2:9 --engine frames --src-mac 01:00:5e:00:00:01",
	"blast 10.77.0.2:9 --engine frames --dst-mac 02:00", "blast 10.77.0.2:9 --engine frames --vlan 0", "blast 10.77.0.2:9 --engine frames --vlan 4095",
	"blast 10.77.0.2:9 --engine frames --vlan 5:8", "blast 10.77.0.2:9 --engine frames --vlan 5:1:1", "blast 10.77.0.2:9 --engine frames --vlan x",
	"blast 10.77.0.2:9 --engine frames --flows 10000001", "blast 10.77.0.2:9 --engine frames --flows 20000", "blast 10.77.0.2:9 --engine frames --queues 2",
	"blast 10.77.0.2:9 --engine frames --mode zerocopy", "blast 10.77.0.2:9 --engine frames --require zerocopy",
	"blast 10.77.0.2:9 --engine frames --src fd00::1", "blast 10.77.0.2:9 --engine frames --src 224.0.0.1",
	"blast 10.77.0.2:9 --engine frames --src 10.0.0.1 --source 10.77.0.1", "blast 10.77.0.2:9 --engine frames -s 1519",
	"blast 10.77.0.2:9 --payload-size 17 --peer", "blast 10.77.0.2:9 --payload-size 15 --stamp pktgen", "blast 10.77.0.2:9 --peer --stamp none",
	"blast 10.77.0.2:9 --peer --dst 10.77.0.2", "blast 10.77.0.2:9 --peer --dst-port 9-10",
	"recv", "recv :1 :2", "recv 9000", "recv :0", "recv :65536", "recv :http", "recv 10.77.0.2", "recv fd77::2:9", "recv [fd77::2]:0", "recv host:9",
	"recv :9 --engine xsk", "recv :9 --engine wsk", "recv :9 -i wsk1", "recv :9 --window 63", "recv :9 --window 100", "recv :9 --window 99999999",
	"echo", "echo :1 :2", "echo 9000", "echo :0", "echo host:9", "echo 224.0.0.1:9", "echo :9 --engine xsk", "echo :9 --engine wsk", "echo :9 -i wsk1",
	"echo :9 --for soon", "echo 10.77.0.99:9", "ping", "ping 10.77.0.2:9 10.77.0.2:10", "ping 224.0.0.1:9", "ping 10.77.0.255:9", "ping 10.77.0.2:9 -r max",
	"ping 10.77.0.2:9 -r 10Gbit", "ping 10.77.0.2:9 -r 1000001", "ping 10.77.0.2:9 --timeout 2m", "ping 10.77.0.2:9 -s 64-1518",
	"ping 10.77.0.2:9 -s 1519", "ping 10.77.0.2:9 -s 64 --payload-size 18", "ping 10.77.0.2:9 --payload-size 17", "ping 10.77.0.2:9 --engine frames",
	"ping 10.77.0.2:9 --engine udp --mode copy", "ping 10.77.0.2:9 --source 10.77.0.1:9", "ping 10.77.0.2:9 --df --payload-size 1473",
	"recv :9 --verify all", "recv :9 --drain 1h", "recv :9 --drain soon", "recv :9 --for -1s", "recv :9 --expect many", "recv :9 --window x",
	"recv 10.77.0.99:9", "recv :9 --one-off --verify none", "recv :9 --engine wsk -i eth77", "echo :9 --engine wsk -i eth77", "echo :9 --any=perhaps",
	"daemon now", "daemon --policy /nonexistent", "daemon --policy /proc", "daemon --config /nonexistent", "daemon --check --policy /etc/passwd",
	"daemon --config /etc/passwd", "daemon --listen x --policy /nonexistent", "status now", "stats now", "clients now", "reload now", "explain NO-SUCH-THING", "explain a b", "man frobnicate", "man blast send", "man blast --dir /tmp", "man --dir /nonexistent",
	"man --dir /dev/null", "report", "report /nonexistent", "report /dev/null", "report /etc/passwd", "report /proc", "report --diff /etc/passwd",
	"report --diff a b c", "report /etc/passwd --threshold 3%", "report --diff a b --threshold 200%", "report --diff a b --threshold x",
	"report --diff a b --html x.html", "report --diff a b --threshold -1", "report /nonexistent --html /nonexistent/x", "completion", "completion tcsh",
	"completion bash now", "bench --external x", "bench --external =x", "bench --engines wsk,x", "bench --to 10.77.0.2:9000", "bench --interface eth77 --to x",
	"bench --interface eth77 --to 10.77.0.2:9000", "bench --baseline /nonexistent", "bench -o /nonexistent/x", "bench --pin x", "bench --queues 0",
	"bench --destinations 0", "bench --warmup -1s", "bench latency --cpus x", "bench latency --measures x", "bench receive --sender x",
	"bench receive --engines x", "bench footprint --kinds x", "bench footprint --runs 0", "lab down now", "lab status now", "lab up --queues x",
	"lab up --name /", "lab up --mtu 70000", "demo --daemon=perhaps", "doctor --try=perhaps", "doctor a b", "doctor 10.77.0.2 eth77", "doctor eth77",
	"doctor eth77 10.77.0.2", "doctor a b c", "version --json=perhaps", "help blast frobnicate", "blast 10.77.0.2:9000 10.77.0.2:9001", "send 10.77.0.2",
	"blast 10.77.0.2:9 --via daemon --engine frames", "blast 10.77.0.2:9 --via=daemon=/nonexistent", "ping 10.77.0.2:9 --via=daemon=/nonexistent",
	"send 10.77.0.2:9 --via=daemon=/nonexistent", "send 10.77.0.2:9 --via carrier-pigeon", "ping 10.77.0.2:9 -r 1m", "--netns x", "--verbose=x",
	"replay", "replay a b", "replay /nonexistent", "replay /proc", "replay /dev/null", "replay /proc/self/exe", "replay /etc/passwd --topspeed --original",
	"replay /etc/passwd -r 5 --topspeed", "replay /etc/passwd -r 1m", "replay /etc/passwd --loop -1", "replay /etc/passwd --limit 0",
	"replay /etc/passwd --src-mac x", "replay /etc/passwd --dst-mac 02:00", "replay /etc/passwd --src-mac ff:ff:ff:ff:ff:ff",
	"replay /etc/passwd --rate-layer payload", "replay /etc/passwd --speed 2",
}

// Whatever is wrong with a command line, it is told in one sentence for people and, with --json, in one document, and
// nothing is sent.
func TestBadInput(t *testing.T) {
	l, netns := lab(t, testenv.Topology{NoIPv6: true, Neighbours: testenv.Static})
	before := transmitted(t, l)
	tried := 0
	try := func(args ...string) {
		t.Helper()
		tried++
		json := takesJSON(args)
		if json {
			args = append(args, "--json")
		}
		r := cli(timeout(t), args...)
		if r.code != exit.Usage && r.code != exit.NotPossible {
			t.Errorf("%q: %v", args, r)
			return
		}
		said, rest, _ := strings.Cut(r.stderr, "\n")
		if goish.MatchString(said) || rest != "" && !(strings.HasPrefix(rest, "see wsk-xdp") && strings.Count(rest, "\n") == 1) {
			t.Errorf("%q is told in words of a library, or in many: %v", args, r)
		}
		if !json {
			return
		}
		doc := decode[errorReport](t, r)
		if doc.Schema != errorSchema || doc.Code != r.code || doc.ID == "" || !strings.HasSuffix(said, doc.Message) {
			t.Errorf("%q: %+v", args, doc)
		}
	}
	for _, line := range badLines {
		args := strings.Fields(line)
		if slices.Contains([]string{"send", "blast", "recv", "replay", "ping", "echo"}, args[0]) {
			args = append(args, netns)
		}
		try(args...)
	}
	for _, verb := range []string{"send", "blast", "ping"} {
		c, _, err := (&app{}).command().Find([]string{verb})
		if err != nil {
			t.Fatal(err)
		}
		for flag, values := range badValues {
			if c.Flags().Lookup(flag) == nil && flag != "netns" {
				continue
			}
			for _, value := range values {
				if verb == "send" && (flag == "size" || flag == "count") {
					continue // of another kind there
				}
				args := []string{verb, "10.77.0.2:9000", "--" + flag + "=" + value}
				if flag != "netns" {
					args = append(args, netns)
				}
				try(args...)
			}
		}
	}
	if t.Logf("%d command lines", tried); tried < 150 {
		t.Error("too few")
	}
	if n := transmitted(t, l) - before; n != 0 {
		t.Errorf("%d packets were sent", n)
	}
}

// takesJSON is whether the command of a line has a flag --json, or there is no such command: whoever asks for a document gets one.
func takesJSON(args []string) bool {
	c, _, err := (&app{}).command().Find(args)
	return err != nil || !c.HasParent() || c.Flags().Lookup("json") != nil
}

// transmitted is how many packets have left end A of the laboratory.
func transmitted(t *testing.T, l *testenv.Lab) (n uint64) {
	t.Helper()
	err := l.A.NS.Do(func() error {
		link, err := netlink.LinkByName("wsk0")
		if err == nil {
			n = link.Attrs().Statistics.TxPackets
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
