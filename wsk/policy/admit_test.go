// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// flow is an ordinary one through eth0, and what differs from it.
func flow(to string, port uint16, change ...func(*policy.Flow)) policy.Flow {
	f := policy.Flow{
		Destination: addr(to), Port: port, Source: addr("192.0.2.1"), OfInterface: true, Interface: eth0, TTL: 64,
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

func through(i int) func(*policy.Flow)    { return func(f *policy.Flow) { f.Interface = i } }
func from(a string) func(*policy.Flow)    { return func(f *policy.Flow) { f.Source = addr(a) } }
func of(k policy.Kind) func(*policy.Flow) { return func(f *policy.Flow) { f.Kind = k } }
func tos(b uint8) func(*policy.Flow)      { return func(f *policy.Flow) { f.TOS = b } }
func ttl(b uint8) func(*policy.Flow)      { return func(f *policy.Flow) { f.TTL = b } }
func foreign(f *policy.Flow)              { f.OfInterface = false }
func both(x, y func(*policy.Flow)) func(*policy.Flow) {
	return func(f *policy.Flow) { x(f); y(f) }
}

// TestAdmit has, for every line that decides about flows, one that it allows and one that it refuses.
func TestAdmit(t *testing.T) {
	const ten = "destination = [\"10.0.0.0/8\"]\n"
	for _, tt := range []struct {
		name, lines string
		flow        policy.Flow
		want        ipc.Reason
	}{
		{"prefix", ten, flow("10.1.2.3", 9), 0},
		{"beside the prefix", ten, flow("11.1.2.3", 9), ipc.ReasonDestination},
		{"an IPv6 address in which the prefix is", ten, flow("::10.1.2.3", 9), ipc.ReasonDestination},
		{"nothing of IPv6", ten, flow("2001:db8::1", 9), ipc.ReasonDestination},
		{"IPv6", `destination = ["2001:db8::/32"]`, flow("2001:db8::1", 9), 0},
		{"beside IPv6", `destination = ["2001:db8::/32"]`, flow("2001:db9::1", 9), ipc.ReasonDestination},
		{"address", `destination = ["10.0.0.1"]`, flow("10.0.0.1", 9), 0},
		{"beside the address", `destination = ["10.0.0.1"]`, flow("10.0.0.2", 9), ipc.ReasonDestination},
		{"port", `destination = ["10.0.0.1:53"]`, flow("10.0.0.1", 53), 0},
		{"another port", `destination = ["10.0.0.1:53"]`, flow("10.0.0.1", 54), ipc.ReasonDestination},
		{"range", `destination = ["2001:db8::/32:53,8000-8099"]`, flow("2001:db8::1", 8099), 0},
		{"beside the range", `destination = ["2001:db8::/32:53,8000-8099"]`, flow("2001:db8::1", 8100), ipc.ReasonDestination},
		{"brackets", `destination = ["[2001:db8::1]:53"]`, flow("2001:db8::1", 53), 0},
		{"brackets, another port", `destination = ["[2001:db8::1]:53"]`, flow("2001:db8::1", 1), ipc.ReasonDestination},
		{"brackets without ports", `destination = ["[2001:db8::1]"]`, flow("2001:db8::1", 1), 0},
		{"IPv6 address without ports", `destination = ["2001:db8::1:53"]`, flow("2001:db8::1:53", 1), 0},
		{"a longer prefix takes nothing away", `destination = ["10.0.0.0/8", "10.1.0.0/16:53"]`, flow("10.1.0.1", 9), 0},
		{"a longer prefix adds", `destination = ["10.0.0.0/8:9", "10.1.0.0/16:53"]`, flow("10.1.0.1", 53), 0},
		{"and has the shorter one's", `destination = ["10.1.0.0/16:53", "10.0.0.0/8:9"]`, flow("10.1.0.1", 9), 0},
		{"only where it is", `destination = ["10.0.0.0/8:9", "10.1.0.0/16:53"]`, flow("10.2.0.1", 53), ipc.ReasonDestination},
		{"the same prefix twice", `destination = ["10.0.0.0/8:9", "10.0.0.0/8:53"]`, flow("10.2.0.1", 9), 0},
		{"everything", `destination = ["0.0.0.0/0", "::/0"]`, flow("2001:db8::1", 9), 0},
		{"no destination", "destination = []\nmulticast = [\"239.0.0.0/8\"]", flow("10.0.0.1", 9), ipc.ReasonDestination},

		{"interface", ten + `interface = ["eth1"]`, flow("10.0.0.1", 9, through(eth1)), 0},
		{"another interface", ten + `interface = ["eth1"]`, flow("10.0.0.1", 9), ipc.ReasonInterface},
		{"every interface", ten, flow("10.0.0.1", 9, through(eth1)), 0},
		{"an interface without a table", ten, flow("10.0.0.1", 9, through(policy.NoInterface)), ipc.ReasonInterface},
		{"a place that there is not", ten, flow("10.0.0.1", 9, through(2)), ipc.ReasonInterface},
		{"a place far beyond", ten, flow("10.0.0.1", 9, through(64)), ipc.ReasonInterface},

		{"source of the interface", ten + `source = ["interface"]`, flow("10.0.0.1", 9), 0},
		{"source of another interface", ten, flow("10.0.0.1", 9, foreign), ipc.ReasonSourceAddress},
		{"source by name", ten + `source = ["192.0.2.7"]`, flow("10.0.0.1", 9, both(foreign, from("192.0.2.7"))), 0},
		{"source by prefix", ten + `source = ["192.0.2.0/24"]`, flow("10.0.0.1", 9, foreign), 0},
		{"another source", ten + `source = ["192.0.2.7"]`, flow("10.0.0.1", 9), ipc.ReasonSourceAddress},
		{"one of two sources", ten + `source = ["192.0.2.7", "interface"]`, flow("10.0.0.1", 9), 0},

		{"loopback", `destination = ["0.0.0.0/0"]`, flow("127.0.0.1", 9), ipc.ReasonLocal},
		{"loopback of IPv6", `destination = ["::/0"]`, flow("::1", 9), ipc.ReasonLocal},
		{"0.0.0.0 is this host", `destination = ["0.0.0.0/0"]`, flow("0.0.0.0", 9), ipc.ReasonLocal},
		{"own address", ten, flow("10.0.0.1", 9, of(policy.Local)), ipc.ReasonLocal},
		{"local", ten + "local = true", flow("10.0.0.1", 9, both(of(policy.Local), through(policy.NoInterface))), 0},
		{"local by any source", ten + "local = true", flow("10.0.0.1", 9, both(of(policy.Local), foreign)), 0},
		{"local, loopback by port", "local = true\ndestination = [\"127.0.0.1:53\"]", flow("127.0.0.1", 53), 0},
		{"local is not enough", ten + "local = true", flow("127.0.0.1", 9), ipc.ReasonDestination},

		{"link-local", `destination = ["::/0"]`, flow("fe80::1", 9), ipc.ReasonLinkLocal},
		{"link-local of IPv4", `destination = ["0.0.0.0/0"]`, flow("169.254.1.1", 9), ipc.ReasonLinkLocal},
		{"link_local", "link_local = true\ndestination = [\"fe80::/10:9\"]", flow("fe80::1", 9), 0},
		{"link_local is not enough", "link_local = true\ndestination = [\"fe80::/10:9\"]", flow("fe80::1", 8),
			ipc.ReasonDestination},

		{"limited broadcast", `destination = ["0.0.0.0/0"]`, flow("255.255.255.255", 9), ipc.ReasonBroadcast},
		{"subnet broadcast", ten, flow("10.255.255.255", 9, of(policy.Broadcast)), ipc.ReasonBroadcast},
		{"broadcast", ten + "broadcast = true", flow("10.255.255.255", 9, of(policy.Broadcast)), 0},
		{"broadcast is not enough", ten + "broadcast = true", flow("255.255.255.255", 9), ipc.ReasonDestination},
		{"both", "broadcast = true\ndestination = [\"255.255.255.255:67\"]", flow("255.255.255.255", 67), 0},

		{"multicast", `destination = ["0.0.0.0/0"]`, flow("239.1.2.3", 9), ipc.ReasonMulticast},
		{"multicast of IPv6", `destination = ["::/0"]`, flow("ff02::1", 9), ipc.ReasonMulticast},
		{"group", ten + `multicast = ["239.1.0.0/16:9", "ff02::/16"]`, flow("239.1.2.3", 9), 0},
		{"group of IPv6", ten + `multicast = ["239.1.0.0/16:9", "ff02::/16"]`, flow("ff02::1", 1), 0},
		{"another group", ten + `multicast = ["239.1.0.0/16:9"]`, flow("239.2.2.3", 9), ipc.ReasonMulticast},
		{"another port", ten + `multicast = ["239.1.0.0/16:9"]`, flow("239.1.2.3", 8), ipc.ReasonMulticast},
		{"a group whatever the route says", ten, flow("239.1.2.3", 9, of(policy.Local)), ipc.ReasonMulticast},

		{"dscp", ten + "dscp = [0, 46]", flow("10.0.0.1", 9, tos(46<<2|3)), 0},
		{"another dscp", ten + "dscp = [0, 46]", flow("10.0.0.1", 9, tos(45<<2)), ipc.ReasonDSCP},
		{"dscp 63", ten + "dscp = [63]", flow("10.0.0.1", 9, tos(255)), 0},
		{"any dscp", ten, flow("10.0.0.1", 9, tos(255)), 0},
		{"ttl_max", ten + "ttl_max = 64", flow("10.0.0.1", 9, ttl(64)), 0},
		{"above ttl_max", ten + "ttl_max = 64", flow("10.0.0.1", 9, ttl(65)), ipc.ReasonTTL},
		{"any ttl", ten, flow("10.0.0.1", 9, ttl(255)), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := granted(t, tt.lines).Admit(&tt.flow); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestBind(t *testing.T) {
	const ten = "destination = [\"10.0.0.0/8\"]\n"
	for _, tt := range []struct {
		name, lines string
		bind        policy.Bind
		want        ipc.Reason
	}{
		{"every address", ten, policy.Bind{Local: addr("0.0.0.0")}, 0},
		{"every address of IPv6", ten, policy.Bind{Local: addr("::")}, 0},
		{"every address, of named ones", ten + `source = ["10.0.0.1"]`, policy.Bind{Local: addr("::")}, ipc.ReasonSourceAddress},
		{"address of the interface", ten, policy.Bind{Local: addr("10.0.0.1"), Interface: eth0}, 0},
		{"of another interface", ten + `interface = ["eth0"]`, policy.Bind{Local: addr("10.0.0.1"), Interface: eth1},
			ipc.ReasonSourceAddress},
		{"of no interface", ten, policy.Bind{Local: addr("10.0.0.1"), Interface: policy.NoInterface}, ipc.ReasonSourceAddress},
		{"by name", ten + `source = ["10.0.0.1"]`, policy.Bind{Local: addr("10.0.0.1"), Interface: policy.NoInterface}, 0},
		{"another name", ten + `source = ["10.0.0.1"]`, policy.Bind{Local: addr("10.0.0.2"), Interface: eth0},
			ipc.ReasonSourceAddress},
		{"loopback", ten, policy.Bind{Local: addr("127.0.0.1"), Interface: policy.NoInterface}, ipc.ReasonLocal},
		{"loopback, local", ten + "local = true", policy.Bind{Local: addr("::1"), Interface: policy.NoInterface}, 0},
		{"loopback, local, by name", ten + "local = true\nsource = [\"10.0.0.1\"]",
			policy.Bind{Local: addr("::1"), Interface: policy.NoInterface}, ipc.ReasonSourceAddress},
		{"link-local", ten, policy.Bind{Local: addr("fe80::1"), Interface: eth0}, ipc.ReasonLinkLocal},
		{"link_local", ten + "link_local = true", policy.Bind{Local: addr("fe80::1"), Interface: eth0}, 0},
		{"group", ten, policy.Bind{Local: addr("239.1.1.1"), Interface: eth0}, ipc.ReasonMulticast},
		{"group, multicast", ten + `multicast = ["239.1.0.0/16:9"]`, policy.Bind{Local: addr("239.1.1.1")}, 0},
		{"a port of none", ten, policy.Bind{Local: addr("::"), Port: 50000}, 0},
		{"not ephemeral", ten, policy.Bind{Local: addr("::"), Port: 49151}, ipc.ReasonSourcePort},
		{"source_port", ten + `source_port = ["20000-20999", "30000"]`, policy.Bind{Local: addr("::"), Port: 20999}, 0},
		{"one source_port", ten + `source_port = ["20000-20999", "30000"]`, policy.Bind{Local: addr("::"), Port: 30000}, 0},
		{"beside source_port", ten + `source_port = ["20000-20999"]`, policy.Bind{Local: addr("::"), Port: 21000},
			ipc.ReasonSourcePort},
		{"any port, of named ones", ten + `source_port = ["20000-20999"]`, policy.Bind{Local: addr("::")}, ipc.ReasonSourcePort},
		{"any port, too", ten + `source_port = ["53", "ephemeral"]` + "\nprivileged_ports = true", policy.Bind{Local: addr("::")}, 0},
		{"any port, of a range", ten + `source_port = ["1024-65535"]`, policy.Bind{Local: addr("::")}, 0},
		{"privileged port", ten + "source_port = [\"53\"]\nprivileged_ports = true", policy.Bind{Local: addr("::"), Port: 53}, 0},
		{"reuse", ten, policy.Bind{Local: addr("::"), Reuse: true}, ipc.ReasonReuse},
		{"reuse = true", ten + "reuse = true", policy.Bind{Local: addr("::"), Reuse: true}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := granted(t, tt.lines).Bind(&tt.bind); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	g := granted(t, "destination = []\ninterface = [\"eth0\"]\nmulticast = [\"239.1.0.0/16:9\", \"ff05::/16\"]\n")
	for _, tt := range []struct {
		group string
		on    int
		want  ipc.Reason
	}{
		{"239.1.2.3", eth0, 0},
		{"ff05::2", eth0, 0},
		{"239.2.2.3", eth0, ipc.ReasonMulticast},
		{"ff02::2", eth0, ipc.ReasonMulticast},
		{"239.1.2.3", eth1, ipc.ReasonInterface},
		{"239.1.2.3", policy.NoInterface, ipc.ReasonInterface},
	} {
		if got := g.Join(addr(tt.group), tt.on); got != tt.want {
			t.Errorf("%s on %d: got %s, want %s", tt.group, tt.on, got, tt.want)
		}
	}
}

func TestReceives(t *testing.T) {
	const ten = "destination = [\"10.0.0.0/8:53\"]\n"
	for _, tt := range []struct {
		name, lines, from string
		port              uint16
		in                int
		local, want       bool
	}{
		{"an answer", ten, "10.0.0.1", 53, eth0, false, true},
		{"from another port", ten, "10.0.0.1", 54, eth0, false, false},
		{"from elsewhere", ten, "11.0.0.1", 53, eth0, false, false},
		{"through another interface", ten + `interface = ["eth0"]`, "10.0.0.1", 53, eth1, false, false},
		{"through no interface", ten, "10.0.0.1", 53, policy.NoInterface, false, false},
		{"receive_from", ten + `receive_from = ["11.0.0.0/8"]`, "11.0.0.1", 1, eth0, false, true},
		{"receive_from in place of destination", ten + `receive_from = ["11.0.0.0/8"]`, "10.0.0.1", 53, eth0, false, false},
		{"nothing", ten + "receive_from = []", "10.0.0.1", 53, eth0, false, false},
		{"receiving alone", "destination = []\nreceive_from = [\"::/0\"]", "2001:db8::1", 1, eth0, false, true},
		{"from this host", ten, "10.0.0.1", 53, policy.NoInterface, true, false},
		{"from this host, local", ten + "local = true", "10.0.0.1", 53, policy.NoInterface, true, true},
		{"from loopback", "destination = [\"0.0.0.0/0\"]", "127.0.0.1", 53, eth0, false, false},
		{"link-local", "destination = [\"::/0\"]", "fe80::1", 53, eth0, false, false},
		{"link_local", "destination = [\"::/0\"]\nlink_local = true", "fe80::1", 53, eth0, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := granted(t, tt.lines).Receives(addr(tt.from), tt.port, tt.in, tt.local); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

func TestDatagram(t *testing.T) {
	const ten = "destination = [\"10.0.0.0/8\"]\n"
	for _, tt := range []struct {
		lines         string
		payload, room int
		want          ipc.Reason
	}{
		{ten, 65507, 1472, 0},
		{ten + "size = 1200", 1200, 1472, 0},
		{ten + "size = 1200", 1201, 1472, ipc.ReasonSize},
		{ten + "size = 0", 0, 1472, 0},
		{ten + "size = 0", 1, 1472, ipc.ReasonSize},
		{ten + "fragments = false", 1472, 1472, 0},
		{ten + "fragments = false", 1473, 1472, ipc.ReasonFragment},
	} {
		if got := granted(t, tt.lines).Datagram(tt.payload, tt.room); got != tt.want {
			t.Errorf("%q, %d of %d bytes: got %s, want %s", tt.lines, tt.payload, tt.room, got, tt.want)
		}
	}
}
