// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// TestErrors: what is wrong with a line is said with its place, which @ marks here.
func TestErrors(t *testing.T) {
	const allow = preamble + "[[allow]]\nname = \"a\"\nuid = 7\n"
	const ten = allow + "destination = [\"10.0.0.0/8\"]\n"
	for _, tt := range []struct{ file, want string }{
		{"@", "version is missing"},
		{"version = @2", "version is 2"},
		{"version = 1\n@version = 1", "key version is already defined"},
		{"version = 1\n[interface.eth0]\nqueues = @\"2\"", "interface.eth0.queues may not be of the TOML type string"},
		{"version = 1\nsurprise@ = [", ""},
		{"version = 1\n@sur = 1", "there is no key sur"},
		{"version = 1\n[defaults]\n@rats = 1", "there is no key defaults.rats"},
		{"version = 1\n[defaults]\n@Rate = \"1pps\"", "there is no key defaults.Rate: keys have no capitals"},
		{"version = 1\n[@Defaults]\n", "there is no key Defaults"},
		{preamble + "[[allow]]\nname = \"a\"\nuid = 7\n@dest = []", "there is no key allow.dest"},
		{"version = 1\n[interface.eth0]\nqueues = @0", "0 is not within 1 to 1024"},
		{"version = 1\ninterface.eth0.mode = @\"fast\"", `"fast" is none of`},
		{"version = 1\ninterface.eth0 = {mode = @\"fast\"}", `"fast" is none of`},
		{"version = 1\n[interface.@\"eth/0\"]\n", "is not the name of an interface"},
		{"version = 1\n[interface.@abcdefghijklmnop]\n", "is not the name of an interface"},
		{"version = 1\n[[@allow]]\nname = \"a\"\nuid = 7\ndestination = [\"10.0.0.1\"]", "the file has no [interface.NAME]"},

		{preamble + "[[@deny]]\nuid = 7", "the rule has no name"},
		{preamble + "[[deny]]\nname = @\"a b\"\nuid = 7", `"a b" is not a name`},
		{preamble + "[[deny]]\nname = @\"\"\nuid = 7", `"" is not a name`},
		{ten + "[[deny]]\nname = @\"a\"\nuid = 8", "another rule, in line 5, is called a too"},
		{preamble + "[[@deny]]\nname = \"a\"", "the rule says nobody"},
		{preamble + "[[deny]]\nname = \"a\"\nuser = @\"nobody-here\"", "no user nobody-here: write uid = NUMBER"},
		{preamble + "[[deny]]\nname = \"a\"\ngroup = @\"nobody-here\"", "no group nobody-here: write gid = NUMBER"},
		{preamble + "[[deny]]\nname = \"a\"\nuser = \"backup\"\nuid = @7", "user backup is uid 1002, so nobody matches both"},
		{preamble + "[[deny]]\nname = \"a\"\nuid = @-1", "-1 is not within"},
		{preamble + "[[deny]]\nname = \"a\"\ngid = @4294967295", "4294967295 is not within"},
		{preamble + "[[deny]]\nname = \"a\"\nunit = @\"../x.service\"", "is not the name of a service"},
		{preamble + "[[deny]]\nname = \"a\"\nunit = @\"x\"", "is not the name of a service"},
		{preamble + "[[deny]]\nname = \"a\"\nlistener = @\"\"", "is not empty"},
		{preamble + "[[deny]]\nname = \"a\"\nuid = 7\n@destination = []", "there is no key deny.destination"},

		{preamble + "[[@allow]]\nname = \"a\"\nuid = 7", "destination is missing"},
		{allow + "@destination = []", "neither to send nor to receive"},
		{allow + "@destination = []\nreceive_from = []", "neither to send nor to receive"},
		{allow + "destination = [\"10.0.0.0/8\",\n  @\"10.0.0.0/33\"]", `"10.0.0.0/33" is not an address or a prefix`},
		{allow + "destination = [@\"host.example\"]", `"host.example" is not an address`},
		{allow + "destination = [@\"\"]", `"" is not an address`},
		{allow + "destination = [@\"10.0.0.1/8\"]", "has bits behind the prefix: write 10.0.0.0/8"},
		{allow + "destination = [@\"::ffff:10.0.0.1\"]", "write it as IPv4"},
		{allow + "destination = [@\"::ffff:10.0.0.0/104\"]", "write it as IPv4"},
		{allow + "destination = [@\"fe80::1%eth0\"]", "has a zone"},
		{allow + "destination = [@\"10.0.0.0/8:\"]", `"" is not a port`},
		{allow + "destination = [@\"10.0.0.0/8:0\"]", `"0" is not a port`},
		{allow + "destination = [@\"10.0.0.0/8:053\"]", `"053" is not a port`},
		{allow + "destination = [@\"10.0.0.0/8:65536\"]", `"65536" is not a port`},
		{allow + "destination = [@\"10.0.0.0/8:9-8\"]", "9-8 ends before it begins"},
		{allow + "destination = [@\"10.0.0.0/8:53,\"]", `"" is not a port`},
		{allow + "destination = [@\"[2001:db8::1]x\"]", "is not a port"},
		{allow + "destination = [@\"239.0.0.0/8\"]", "239.0.0.0/8 is multicast"},
		{allow + "destination = [@\"ff02::1\"]", "ff02::1/128 is multicast"},
		{allow + "destination = [@\"127.0.0.1\"]", "needs local = true"},
		{allow + "destination = [@\"::1\"]", "needs local = true"},
		{allow + "destination = [@\"fe80::/64\"]", "needs link_local = true"},
		{allow + "destination = [@\"169.254.0.0/16\"]", "needs link_local = true"},
		{allow + "destination = [@\"255.255.255.255\"]", "needs broadcast = true"},
		{ten + "multicast = [@\"10.0.0.0/8\"]", "is not multicast"},
		{ten + "multicast = [@\"224.0.0.0/3\"]", "is not multicast"},
		{ten + "receive_from = [@\"239.0.0.0/8\"]", "nothing is received from"},
		{ten + "interface = [@\"eth9\"]", "the file has no [interface.eth9]"},
		{ten + "@interface = []", "the list is empty"},
		{ten + "@source = []", "no socket could be bound"},
		{ten + "source = [@\"10.0.0.1:53\"]", "is not an address or a prefix"},
		{ten + "@source_port = []", "no socket could be bound"},
		{ten + "source_port = [@\"0\"]", `"0" is not a port`},
		{ten + "source_port = [@\"1-2-3\"]", `"2-3" is not a port`},
		{ten + "source_port = [@\"1000-2000\"]", "need privileged_ports = true"},
		{ten + "source_port = [@53]", "allow.source_port may not be of the TOML type integer"},
		{ten + "dscp = [0, @64]", "64 is not within 0 to 63"},
		{ten + "@dscp = []", "the list is empty"},
		{ten + "ttl_max = @0", "0 is not within 1 to 255"},
		{ten + "ttl_max = @256", "256 is not within 1 to 255"},
		{ten + "local = @1", "allow.local may not be of the TOML type integer"},
		{"version = 1\nallow = @7", "allow may not be of the TOML type integer"},
		{"version = 1\n[interface]\neth0 = @7", "interface.eth0 may not be of the TOML type integer"},
		{"version = 1\n[@allow]\nname = \"a\"", "allow is a list: write [[allow]]"},
		{"version = 1\n[@deny]\nname = \"a\"", "deny is a list: write [[deny]]"},
		{"version = 1\ndeny = @{name = \"a\", uid = 7}", "deny may not be of the TOML type inline table"},
		{"version = 1\n[[@version]]", "version"},
		{ten + "size = @1e3", "may not be of the TOML type float"},

		{ten + "rate = @\"200\"", `"200" is not a whole number above 0 with one of ["pps" "kpps" "Mpps"] behind it`},
		{ten + "rate = @\"0pps\"", "is not a whole number above 0"},
		{ten + "rate = @\"1.5Mpps\"", "is not a whole number"},
		{ten + "rate = @\"-1pps\"", "is not a whole number"},
		{ten + "rate = @\"99999999999999999Mpps\"", "is not a whole number"},
		{ten + "rate = @\"18446744073709551616pps\"", "is not a whole number"},
		{ten + "rate = @\"1mpps\"", "is not a whole number"},
		{ten + "bits = @\"1Gbps\"", "is not a whole number"},
		{ten + "memory = @\"16MB\"", "is not a whole number"},
		{ten + "memory = @\"unlimited\"", "is not a whole number"},
		{ten + "new_destinations = @\"1000\"", "is not a whole number"},
		{ten + "burst = @0", "is not within"},
		{ten + "excess = @\"drop\"", `"drop" is none of`},
		{ten + "weight = @65", "is not within"},
		{ten + "sockets = @0", "is not within"},
		{ten + "inflight = @65537", "is not within"},
		{ten + "destinations = @0", "is not within"},
		{ten + "size = @65528", "is not within"},
		{"version = 1\n[defaults]\nsize = @-1", "is not within"},
	} {
		at := strings.IndexByte(tt.file, '@')
		text := tt.file[:at] + tt.file[at+1:]
		line := 1 + strings.Count(tt.file[:at], "\n")
		column := at - strings.LastIndexByte(tt.file[:at], '\n')
		_, err := policy.Parse("p.toml", []byte(text), host)
		var all policy.Errors
		if !errors.As(err, &all) || len(all) != 1 {
			t.Errorf("%s\ngot %v, want one error", tt.file, err)
			continue
		}
		e := all[0]
		if !strings.Contains(e.Text, tt.want) {
			t.Errorf("%s\ngot  %s\nwant %s", tt.file, e.Text, tt.want)
		}
		if e.Line != line || tt.want != "" && e.Column != column {
			t.Errorf("%s\ngot  %v\nwant %d:%d", tt.file, e, line, column)
		}
		if got, want := e.Error(), fmt.Sprintf("p.toml:%d:%d: ", e.Line, e.Column); !strings.HasPrefix(got, want) {
			t.Errorf("%q does not begin with %q", got, want)
		}
	}
}

// TestAllErrorsAtOnce, in the order of the file.
func TestAllErrorsAtOnce(t *testing.T) {
	_, err := policy.Parse("/etc/p.toml", []byte(preamble+`
[[deny]]
name = "d"
user = "nobody-here"
[[allow]]
name = "a"
uid = 7
destination = ["10.0.0.1/8", "x"]
rate = "fast"
`), host)
	const want = `/etc/p.toml:7:8: no user nobody-here: write uid = NUMBER for a name that is not in the files of /etc
/etc/p.toml:11:16: "10.0.0.1/8" has bits behind the prefix: write 10.0.0.0/8
/etc/p.toml:11:30: "x" is not an address or a prefix
/etc/p.toml:12:8: "fast" is not a whole number above 0 with one of ["pps" "kpps" "Mpps"] behind it`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestManyInterfaces(t *testing.T) {
	text := "version = 1\n"
	for i := range 65 {
		text += fmt.Sprintf("[interface.e%02d]\n", i)
	}
	_, err := policy.Parse("p.toml", []byte(text), host)
	if err == nil || !strings.Contains(err.Error(), "p.toml:66:12: there are more than 64 interfaces") {
		t.Errorf("65: %v", err)
	}
	text = strings.TrimSuffix(text, "[interface.e64]\n") +
		"[[allow]]\nname = \"a\"\nuid = 7\ndestination = [\"10.0.0.0/8\"]\n"
	g, _ := parse(t, text).Match(&policy.Identity{UID: 7})
	last := flow("10.0.0.1", 9, through(63))
	if got := g.Admit(&last); got != 0 {
		t.Errorf("the 64th: %s", got)
	}
}

func TestFileTooLarge(t *testing.T) {
	_, err := policy.Parse("p.toml", make([]byte, 1<<20+1), host)
	if err == nil || !strings.Contains(err.Error(), "p.toml:1:1: the file has 1048577 bytes") {
		t.Errorf("got %v", err)
	}
}

// TestSums: all grants together have to fit into what the daemon has.
func TestSums(t *testing.T) {
	text := preamble
	for i := range 3 {
		text += fmt.Sprintf("[[allow]]\nname = \"a%d\"\nuid = %d\ndestination = [\"10.0.0.1\"]\nmemory = \"1GiB\"\nsockets = 10\nsessions = 10\n", i, i)
	}
	small := host
	small.MaxMemory, small.MaxFiles = 3<<30, 2*30
	if _, err := policy.Parse("p.toml", []byte(text), small); err != nil {
		t.Errorf("what fits: %v", err)
	}
	small.MaxMemory, small.MaxFiles = 3<<30-1, 2*30-1
	_, err := policy.Parse("p.toml", []byte(text), small)
	if err == nil || !strings.Contains(err.Error(), "p.toml:22:10: the memory of all grants is more than") ||
		!strings.Contains(err.Error(), "p.toml:23:11: with the sessions, sockets and memberships of this grant all grants need 60 descriptors, and the daemon has 59") {
		t.Errorf("what does not fit: %v", err)
	}
	groups := small
	groups.MaxMemory, groups.MaxFiles = 0, 2*30+7
	if _, err := policy.Parse("p.toml", []byte(text+"memberships = 8\n"), groups); err != nil {
		t.Errorf("memberships that no multicast is granted for: %v", err)
	}
	_, err = policy.Parse("p.toml", []byte(text+"memberships = 8\nmulticast = [\"239.1.0.0/16\"]\n"), groups)
	if err == nil || !strings.Contains(err.Error(), "all grants need 68 descriptors, and the daemon has 67") {
		t.Errorf("memberships that do not fit: %v", err)
	}
	huge := strings.ReplaceAll(text, "1GiB", "8589934591GiB") // three of them are more than 64 bits
	if _, err := policy.Parse("p.toml", []byte(huge), small); err == nil || strings.Count(err.Error(), "the memory") != 3 {
		t.Errorf("a sum beyond 64 bits: %v", err)
	}
}

// TestExample is the file of the package comment.
func TestExample(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(source), "// # The file\n//\n")
	text, _, _ = strings.Cut(text, "//\n// Nothing is allowed")
	p := parse(t, strings.ReplaceAll(strings.ReplaceAll(text, "//\t", ""), "//", "")+"group = \"sensors\"\n")
	if len(p.Grants()) != 1 || p.Interfaces[0].Queues != 2 {
		t.Errorf("%d grants, %+v", len(p.Grants()), p.Interfaces)
	}
}

func TestInterfaces(t *testing.T) {
	p := parse(t, `version = 1
[interface.eth1]
[interface."eth0.100"]
queues = 4
mode = "copy"
receive = false
spread = true
`)
	want := []policy.Interface{
		{Name: "eth0.100", Queues: 4, Mode: policy.ModeCopy, Spread: true},
		{Name: "eth1", Queues: 1, Mode: policy.ModeAuto, Receive: true},
	}
	if len(p.Interfaces) != 2 || p.Interfaces[0] != want[0] || p.Interfaces[1] != want[1] {
		t.Errorf("got %+v, want %+v", p.Interfaces, want)
	}
}
