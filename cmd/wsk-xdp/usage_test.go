// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
)

// Wrong command lines end with exit code 2, say what is wrong, and touch nothing.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		part string
	}{
		{"frobnicate", "unknown command"},
		{"--nonsense", "unknown flag"},
		{"sned", "did you mean send?"},
		{"send", "give DST:PORT, as in wsk-xdp send 10.77.0.2:9000"},
		{"send a b", "give one DST:PORT"},
		{"help frobnicate", "no command \"frobnicate\""},
		{"-Z", "unknown flag: -Z"},
		{"send 10.0.0.1:9 --ttl", "--ttl needs a value"},
		{"send 10.0.0.1:65536", "port 65536: ports are 1 to 65535"},
		{"send 10.0.0.1:http", "\"http\" in place of a port"},
		{"send 10.0.0.1:", "in place of a port"},
		{"send [fe80::1%]:9", "write [fe80::1%wsk0]:9"},
		{"send 10.0.0.1:9 --source 10.0.0.2:65536", "port 65536"},
		{"send 10.0.0.1:9 --size 65508", "over IPv4 can hold: 65507"},
		{"send 10.0.0.1:9 --netns no-such-namespace", "ip netns list"},
		{"send 10.0.0.1:9 --netns /dev/null", "is no network namespace"},
		{"send 10.0.0.1:9 --netns /proc/self/ns/mnt", "is no network namespace"},
		{"send 10.0.0.1:9 -i eth77", "no such interface"},
		{"send [fe80::1]:9", "write the interface behind it, as in fe80::1%wsk0"},
		{"send [fe80::1%eth77]:9", "no interface eth77 here"},
		{"send 10.0.0.1:9 --source 192.0.2.9", "source 192.0.2.9 is no address of this host"},
		{"send 10.0.0.1", "write 10.0.0.1:9000"},
		{"send fd00::1", "write [fd00::1]:9000"},
		{"send fd00::1:9000", "write [fd00::1]:9000 or"},
		{"send 10.0.0.256:9", "no IP address or host"},
		{"send 10.0.0.1:0", "port 0"},
		{"send 0.0.0.0:9", "wildcard"},
		{"send 10.0.0.1:9 --ttl 256", "1..255"},
		{"send 10.0.0.1:9 --ttl -1", "1..255"},
		{"send 10.0.0.1:9 --ttl 0", "1..255"},
		{"send 10.0.0.1:9 --tos -1", "0..255"},
		{"send 10.0.0.1:9 --dscp -1", "0..63"},
		{"send 10.0.0.1:9 --size -1", "0..65527"},
		{"send 10.0.0.1:9 --tos 256", "0..255"},
		{"send 10.0.0.1:9 --dscp 64", "0..63"},
		{"send 10.0.0.1:9 --tos 4 --dscp 1", "give one"},
		{"send 10.0.0.1:9 --source nowhere", "no IP address"},
		{"send 10.0.0.1:9 --source fd00::1", "different IP versions"},
		{"send 10.0.0.1:9 -n 0", "1..100000"},
		{"send 10.0.0.1:9 --payload hello", "none of"},
		{"send 10.0.0.1:9 --payload hex:0", "hex"},
		{"send 10.0.0.1:9 --payload @/nonexistent", "no such file"},
		{"send 10.0.0.1:9 --size 65528", "0..65527"},
		{"send 10.0.0.1:9 --segment 70000", "0..65527"},
		{"send 10.0.0.1:9 --timeout 0s", "above 0"},
		{"send 10.0.0.1:9 --require speed", "afxdp nor zerocopy"},
		{"send 10.0.0.1:9 --mode fast", "none of auto"},
		{"send 10.0.0.1:9 --checksum offload", "none of auto, software, partial, kernel"},
		{"send 10.0.0.1:9 --mode copy --require zerocopy", "contradicts"},
		{"blast", "give DST:PORT, as in wsk-xdp blast"},
		{"blast 10.0.0.1:9 --payload-size 65527", "over IPv4 can hold: 65507"},
		{"blast 10.0.0.1:9 -r 1m", "m is no multiple: write \"M\""},
		{"blast 10.0.0.1:9 --dst 10.0.1.1-10.0.0.1", "runs backwards"},
		{"blast 10.0.0.1:9 --dst fd00::/64", "different IP versions"},
		{"blast 10.0.0.1:9 --dst 223.0.0.0-224.0.0.1", "addresses of groups"},
		{"blast 10.0.0.1:9 --dst-port 9-8", "runs backwards"},
		{"blast 10.0.0.1:9 --src-port 5-6 --flows 3", "there are only 2"},
		{"blast 10.0.0.1:9 --src-port 5-6 --source 10.0.0.2:5", "give one"},
		{"blast 10.0.0.1:9 --flows 2000", "takes 2000 source ports"},
		{"blast 10.0.0.1:9 --flow-order zigzag", "neither seq nor random"},
		{"blast 10.0.0.1:9 --seed x", "no whole number"},
		{"blast 10.0.0.1:9 -s 64,63", "too small"},
		{"blast 10.0.0.1:9 --rate-layer l3", "none of l1, l2, payload"},
		{"blast 10.0.0.1:9 --batch 1024 --in-flight 2000", "packets in flight"},
		{"blast 10.0.0.1:9 -d soon", "\"soon\" is no duration"},
		{"bench --size 64,big", "\"big\" is no whole number"},
		{"blast 10.0.0.1:9 -r 0", "never sends"},
		{"blast 10.0.0.1:9 -r 10GB", "1 byte is 8 bits"},
		{"blast 10.0.0.1:9 -r fast", "no number"},
		{"blast 10.0.0.1:9 -n -1", "no number"},
		{"blast 10.0.0.1:9 -d -1s", "is negative"},
		{"blast 10.0.0.1:9 -s 0", "too small"},
		{"blast 10.0.0.1:9 --payload-size -1", "0..65527"},
		{"blast 10.0.0.1:9 --batch 0", "1..1024"},
		{"blast 10.0.0.1:9 --in-flight 0", "1..65536"},
		{"blast 10.0.0.1:9 -s 63", "too small"},
		{"blast [fd00::1]:9 -s 65", "66"},
		{"blast 10.0.0.1:9 --payload-size 5 --peer", "no room for a stamp of 18"},
		{"recv", "give [ADDR]:PORT"},
		{"recv :0", "ports are 1 to 65535"},
		{"recv 9000", "or :9000 for every address"},
		{"recv :9 --engine wsk", "name the interface with -i"},
		{"recv :9 --window 100", "in steps of 64"},
		{"recv :9 --drain 1m", "is more than 20s"},
		{"recv :9 --one-off --verify none", "without numbers no run is known"},
		{"echo", "give [ADDR]:PORT, as in wsk-xdp echo :9000"},
		{"echo :9 --engine wsk", "name the interface with -i"},
		{"echo 224.0.0.1:9", "224.0.0.1 is a group"},
		{"ping", "give DST:PORT, as in wsk-xdp ping 10.77.0.2:9000"},
		{"ping 10.0.0.1:9 -r max", "pings go by a schedule"},
		{"ping 10.0.0.1:9 -r 2M", "more than 1,000,000 pings a second"},
		{"ping 10.0.0.1:9 -c 0", "--count 0 sends nothing"},
		{"ping 10.0.0.1:9 --timeout 0", "not above 0, or more than 1m0s"},
		{"ping 10.0.0.1:9 --engine frames", "neither wsk nor udp"},
		{"ping 224.0.0.1:9", "ping asks one host"},
		{"ping 10.0.0.1:9 --source 10.0.0.2:9", "does not answer to its own port number"},
		{"ping 10.0.0.1:9 --engine udp --require afxdp", "--require is for --engine wsk"},
		{"ping 10.0.0.1:9 --engine udp --via daemon", "the daemon has no such engine"},
		{"ping 10.0.0.1:9 -s 64,128", "all of one size"},
		{"ping 10.0.0.1:9 --payload-size 17", "the least is 18"},
		{"ping [fd00::1]:9 -s 66", "the least is 18"},
		{"blast 10.0.0.1:9 -s 100 --payload-size 100", "give one"},
		{"blast 10.0.0.1:9 --payload-size 65528", "0..65527"},
		{"blast 10.0.0.1:9 -s 70000", "larger than a datagram"},
		{"blast 10.0.0.1:9 --flows 0", "1..65536"},
		{"blast 10.0.0.1:9 --batch 2000", "1..1024"},
		{"blast 10.0.0.1:9 --in-flight 70000", "1..65536"},
		{"blast 10.0.0.1:9 --queues -1", "1..4096"},
		{"blast 10.0.0.1:9 --flows 2 --source 10.0.0.2:5", "one port can't be 2"},
		{"doctor a b c", "takes 2 arguments at most"},
		{"explain a b", "takes 1 argument at most"},
		{"doctor 10.0.0.1 10.0.0.2", "second destination"},
		{"doctor wsk0 wsk1", "no IP address"},
		{"doctor 10.0.0.1 wsk0", "no IP address"},
		{"doctor 10.0.0.1:99999", "port 99999: ports are 1 to 65535"},
		{"doctor lo [fd77::1]:65536", "port 65536: ports are 1 to 65535"},
		{"doctor fd77::1:99999", "port 99999: ports are 1 to 65535"},
		{"doctor 10.0.0.1:http", "in place of a port: ports are 1 to 65535"},
		{"doctor 10.0.0.1:0", "nothing listens on port 0"},
		{"doctor [fd77::1]:0", "nothing listens on port 0"},
		{"doctor [FD77::0:1]:00", "nothing listens on port 0"},
		{"doctor wsk0:1", "no IP address"},
		{"bench --to 10.0.0.1:99999", "port 99999: ports are 1 to 65535"},
		{"lab", "up, down or status"},
		{"lab sideways", "unknown command"},
		{"lab up --mtu 40", "68..65535"},
		{"lab up --queues 0", "1..4096"},
		{"lab up --queues 5000", "1..4096"},
		{"lab status --netns x", "of its own"},
		{"bench latency --netns x", "of its own"},
		{"bench receive --netns x", "of its own"},
		{"bench footprint --netns x", "of its own"}, {"bench scale --netns x", "of its own"},
		{"demo now", "takes no argument"},
		{"demo --netns x", "of its own"},
		{"version 1", "takes no argument"},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := cli(t.Context(), strings.Fields(c.args)...)
			r.want(t, 2, c.part, "--help")
			if r.stdout != "" {
				t.Errorf("something on standard output: %v", r)
			}
			if !strings.HasPrefix(r.stderr, "wsk-xdp") {
				t.Errorf("the error does not name the program: %v", r)
			}
		})
	}
}

// goish is what a sentence for people does not say: names of Go's packages and functions, and numbers of descriptors.
var goish = regexp.MustCompile(`strconv|encoding/|time:|\bfd [0-9]|invalid argument|arg\(s\)|pflag|needs an argument|rlimit\.|assign values|%!`)

// No flag answers a wrong value with the words of a library.
func TestWrongValuesOfEveryFlag(t *testing.T) {
	tried := 0
	var visit func(c *cobra.Command, path []string)
	visit = func(c *cobra.Command, path []string) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			switch f.Value.Type() {
			case "string", "stringArray":
				return // takes anything, and says later what is wrong with it
			}
			for _, value := range []string{"", "x\"y", "99999999999999999999", "1e3s", "0x", "5,,6", "-"} {
				if value == "" && (f.Value.Type() == "stringSlice" || f.Value.Type() == "intSlice") {
					continue // an empty list
				}
				if f.Value.Type() == "stringSlice" && !strings.Contains(value, "\"") {
					continue
				}
				r := cli(t.Context(), append(path[:len(path):len(path)], "--"+f.Name+"="+value)...)
				tried++
				if r.code != exit.Usage || goish.MatchString(r.stderr) || strings.Count(r.stderr, "\n") != 2 || r.stdout != "" ||
					!strings.Contains(r.stderr, "--"+f.Name) {
					t.Errorf("%v --%s=%s: %v", path, f.Name, value, r)
				}
			}
		})
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				visit(sub, append(path[:len(path):len(path)], sub.Name()))
			}
		}
	}
	visit((&app{}).command(), nil)
	if tried < 200 {
		t.Errorf("only %d values were tried", tried)
	}
}

// What people type first works: help in each of its forms, and --version.
func TestFirstWords(t *testing.T) {
	whole := cli(t.Context(), "--help")
	for _, args := range []string{"", "help", "-h"} {
		if r := cli(t.Context(), strings.Fields(args)...); r.code != 0 || r.stdout != whole.stdout || r.stderr != "" {
			t.Errorf("%q: %v", args, r)
		}
	}
	for _, verb := range []string{"blast", "send", "lab up", "bench latency", "help"} {
		want := cli(t.Context(), append(strings.Fields(verb), "--help")...)
		if r := cli(t.Context(), append([]string{"help"}, strings.Fields(verb)...)...); r.code != 0 || r.stdout != want.stdout || r.stdout == "" {
			t.Errorf("help %s: %v", verb, r)
		}
	}
	if r := cli(t.Context(), "--version"); r.code != 0 || r.stdout != cli(t.Context(), "version").stdout {
		t.Error(r)
	}
}

// screen is what a help text may fill: a terminal of usual size.
const (
	screenLines   = 52
	screenColumns = 150
)

// tallScreen is of the commands that have more flags than such a terminal has lines: for them it is one of full height.
var tallScreen = map[string]int{"blast": 60}

func TestHelpFitsOneScreen(t *testing.T) {
	root := (&app{}).command()
	var visit func(c *cobra.Command, path []string)
	visit = func(c *cobra.Command, path []string) {
		r := cli(t.Context(), append(path, "--help")...)
		r.want(t, 0)
		rows := strings.Split(strings.TrimRight(r.stdout, "\n"), "\n")
		if most := max(screenLines, tallScreen[strings.Join(path, " ")]); len(rows) > most {
			t.Errorf("%v --help has %d lines, more than %d", path, len(rows), most)
		}
		for _, row := range rows {
			if utf8.RuneCountInString(row) > screenColumns {
				t.Errorf("%v --help: a line of more than %d columns: %s", path, screenColumns, row)
			}
		}
		if len(path) > 0 && !strings.Contains(r.stdout, "Examples:") {
			t.Errorf("%v --help has no examples", path)
		}
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				visit(sub, append(path[:len(path):len(path)], sub.Name()))
			}
		}
	}
	visit(root, nil)
}

// That a file can't be written is reported before a measurement of minutes, and a file that was there before stays as
// it is.
func TestOutputIsTriedFirst(t *testing.T) {
	for _, command := range []string{"bench", "bench latency", "bench receive", "bench footprint", "bench scale"} {
		r := cli(t.Context(), append(strings.Fields(command), "-o", filepath.Join(t.TempDir(), "no", "such", "directory"))...)
		r.want(t, 2, "--output", "no such file or directory")
		if strings.Contains(r.stderr, "round") || strings.Contains(r.stderr, "lab") {
			t.Errorf("it measured before: %v", r)
		}
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"earlier": "a report", "new": ""} {
		path := filepath.Join(dir, name)
		if content != "" {
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := tryOutput(path, true); err != nil {
			t.Error(err)
		}
		if err := tryOutput(path, false); (err == nil) != (content == "") || err != nil && exit.Code(err) != exit.Usage {
			t.Errorf("%s without --force: %v", name, err)
		}
		if got, err := os.ReadFile(path); string(got) != content || (err == nil) != (content != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A link whose file is not there yet is written through, by a trial that leaves nothing behind, too.
func TestOutputThroughALink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink("later.json", link); err != nil {
		t.Fatal(err)
	}
	if err := tryOutput(link, false); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "link.json" {
		t.Errorf("after the trial: %v, %v", left, err)
	}
}

// A link that names another file by the time the trial is undone has that one kept, and the one removed that was made.
func TestOutputTrialRemovesItsOwn(t *testing.T) {
	dir, behind := t.TempDir(), t.TempDir()
	link, second, precious := filepath.Join(dir, "link.json"), filepath.Join(dir, "second.json"), filepath.Join(dir, "precious")
	must(t, os.Symlink("second.json", link))
	must(t, os.Symlink(filepath.Join(behind, "later.json"), second))
	must(t, os.WriteFile(precious, nil, 0o600))
	undo, err := makeBehind(link)
	must(t, err)
	if _, err := os.Stat(link); err != nil {
		t.Error(err)
	}
	must(t, os.Remove(second))
	must(t, os.Symlink("precious", second))
	must(t, undo())
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(behind); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, to := range []string{"gone/later.json", "second.json"} { // no directory, and a circle
		must(t, os.Remove(second))
		must(t, os.Symlink(to, second))
		if err := tryOutput(link, false); exit.Code(err) != exit.Usage {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestVersion(t *testing.T) {
	r := cli(t.Context(), "version")
	r.want(t, 0, "wsk-xdp ", "go1.", "linux/")
	doc := decode[struct {
		Schema string `json:"schema"`
		host.Build
	}](t, cli(t.Context(), "version", "--json"))
	if doc.Schema != "wsk-xdp.version/1" || doc.Version == "" || doc.Go == "" {
		t.Errorf("%+v", doc)
	}
}

// A value that is given is taken as it is, even where it is the value that stands for a missing flag: -n "$unset_sum"
// that comes to 0 does not mean ten seconds of packets.
func TestGivenValuesAreNotTakenForMissingOnes(t *testing.T) {
	for _, c := range []struct {
		args string
		part string
	}{
		{"blast 10.0.0.1:9 -n 0", "--count"},
		{"blast 10.0.0.1:9 -s 0", "--size"},
		{"blast 10.0.0.1:9 -s -64", "no frame size"},
		{"blast 10.0.0.1:9 --payload-size -1", "0..65527"},
		{"blast 10.0.0.1:9 --payload-size -7 -s 64", "0..65527"},
		{"blast 10.0.0.1:9 --batch 0", "1..1024"},
		{"blast 10.0.0.1:9 --in-flight 0", "1..65536"},
		{"blast 10.0.0.1:9 --ttl 0", "1..255"},
		{"blast 10.0.0.1:9 --tos -1", "0..255"},
		{"send 10.0.0.1:9 --dscp -1", "0..63"},
		{"send 10.0.0.1:9 --ttl 0", "1..255"},
		{"send 10.0.0.1:9 --size -1", "0..65527"},
		{"blast 10.0.0.1:9 -r 1 -d 500ms", "not one packet"},
		{"blast 10.0.0.1:9 -d 1ns", "not one packet"},
	} {
		t.Run(c.args, func(t *testing.T) { cli(t.Context(), strings.Fields(c.args)...).want(t, 2, c.part, "--help") })
	}
}

// What is wrong with a laboratory's command line is said before anything is built, once, and is a wrong command line.
func TestLabUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		part string
	}{
		{"lab up --mtu 0", "--mtu 0 is outside 68..65535"},
		{"lab up --mtu 67", "--mtu 67 is outside 68..65535"},
		{"lab up --mtu 65536", "--mtu 65536 is outside 68..65535"},
		{"lab up --queues 0", "--queues 0 is outside 1..4096"},
		{"lab up --queues 4097", "--queues 4097 is outside 1..4096"},
		{"lab up --name=", "name"},
		{"lab down --name=a/b", "name"},
		{"lab status --name=*", "name"},
		{"lab status --name=", "name"},
		{"lab up --name=" + strings.Repeat("x", 63), "name"},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := cli(t.Context(), strings.Fields(c.args)...)
			r.want(t, 2, c.part, "--help")
			if strings.Count(r.stderr, "\n") != 2 {
				t.Errorf("more than the error and where help is: %v", r)
			}
		})
	}
}
