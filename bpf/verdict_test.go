// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"fmt"
	"testing"
)

type verdictCase struct {
	name   string
	frame  datagram
	mutate func([]byte) []byte // nil: as it is
	want   Reason
}

// Each case is a valid datagram with one thing changed. Ownership is that of model_test.go.
var verdicts = []verdictCase{
	{"v4", to("10.77.0.2:4433"), nil, ReasonRedirected},
	{"v4-second-own-address", to("10.77.0.3:4433"), nil, ReasonRedirected},
	{"v4-exact-address", to("10.77.0.2:5000"), nil, ReasonRedirected},
	{"v4-exact-other-address", to("10.77.0.3:5000"), nil, ReasonNoPort},
	{"v4-zero-length", to("10.77.0.2:4433").sized(0), nil, ReasonRedirected},
	{"v4-zero-length-padded-to-60", to("10.77.0.2:4433").sized(0), pad(18), ReasonRedirected},
	{"v4-no-checksum", to("10.77.0.2:4433"), set16(offUDP4+6, 0), ReasonRedirected},
	{"v4-source-port-zero", to("10.77.0.2:4433"), set16(offUDP4, 0), ReasonRedirected},
	{"v4-df-clear", to("10.77.0.2:4433"), set16(offIP+6, 0), ReasonRedirected},
	{"v4-reserved-bit", to("10.77.0.2:4433"), set16(offIP+6, 0x8000), ReasonRedirected},
	{"v4-ttl-zero", to("10.77.0.2:4433"), set(offIP+8, 0), ReasonRedirected},

	{"v4-version-5", to("10.77.0.2:4433"), set(offIP, 0x55), ReasonIPHeader},
	{"v4-version-6", to("10.77.0.2:4433"), set(offIP, 0x65), ReasonIPHeader},
	{"v4-ihl-0", to("10.77.0.2:4433"), set(offIP, 0x40), ReasonIPHeader},
	{"v4-ihl-4", to("10.77.0.2:4433"), set(offIP, 0x44), ReasonIPHeader},
	{"v4-options", to("10.77.0.2:4433"), set(offIP, 0x46), ReasonIPOptions},
	{"v4-most-options", to("10.77.0.2:4433"), set(offIP, 0x4f), ReasonIPOptions},
	{"v4-more-fragments", to("10.77.0.2:4433"), set16(offIP+6, 0x2000), ReasonIPFragment},
	{"v4-fragment-offset-1", to("10.77.0.2:4433"), set16(offIP+6, 0x0001), ReasonIPFragment},
	{"v4-fragment-offset-most", to("10.77.0.2:4433"), set16(offIP+6, 0x1fff), ReasonIPFragment},
	{"v4-fragment-offset-256", to("10.77.0.2:4433"), set16(offIP+6, 0x0100), ReasonIPFragment},
	{"v4-total-length-0", to("10.77.0.2:4433"), set16(offIP+2, 0), ReasonIPLength},
	{"v4-total-length-27", to("10.77.0.2:4433"), set16(offIP+2, 27), ReasonIPLength},
	{"v4-total-length-beyond-frame", to("10.77.0.2:4433"), set16(offIP+2, 20+8+16+1), ReasonIPLength},
	{"v4-total-length-65535", to("10.77.0.2:4433"), set16(offIP+2, 65535), ReasonIPLength},
	{"v4-total-length-shorter-than-udp", to("10.77.0.2:4433"), set16(offIP+2, 20+8+15), ReasonUDPLength},
	{"v4-total-length-longer-than-udp", to("10.77.0.2:4433"), grow(1, offIP+2), ReasonUDPLength},
	{"v4-udp-length-0", to("10.77.0.2:4433"), set16(offUDP4+4, 0), ReasonUDPLength},
	{"v4-udp-length-7", to("10.77.0.2:4433"), set16(offUDP4+4, 7), ReasonUDPLength},
	{"v4-udp-length-less", to("10.77.0.2:4433"), set16(offUDP4+4, 8+15), ReasonUDPLength},
	{"v4-udp-length-more", to("10.77.0.2:4433"), set16(offUDP4+4, 8+17), ReasonUDPLength},
	{"v4-tcp-same-port", to("10.77.0.2:4433"), set(offIP+9, 6), ReasonNotUDP},
	{"v4-icmp", to("10.77.0.2:4433"), set(offIP+9, 1), ReasonNotUDP},
	{"v4-udplite", to("10.77.0.2:4433"), set(offIP+9, 136), ReasonNotUDP},
	{"v4-ipip", to("10.77.0.2:4433"), set(offIP+9, 4), ReasonNotUDP},
	{"v4-tcp-fragment", to("10.77.0.2:4433"), both(set(offIP+9, 6), set16(offIP+6, 0x2000)), ReasonNotUDP},

	{"v6", to("[fd77::2]:4433"), nil, ReasonRedirected},
	{"v6-link-local", to("[fe80::77:ff:fe00:b]:4433"), nil, ReasonRedirected},
	{"v6-exact-address", to("[fd77::2]:5000"), nil, ReasonRedirected},
	{"v6-exact-other-address", to("[fe80::77:ff:fe00:b]:5000"), nil, ReasonNoPort},
	{"v6-zero-length", to("[fd77::2]:4433").sized(0), nil, ReasonRedirected},
	{"v6-padded", to("[fd77::2]:4433").sized(0), pad(6), ReasonRedirected},
	{"v6-class-and-label", to("[fd77::2]:4433"), set(offIP, 0x6f, 0xff, 0xff, 0xff), ReasonRedirected},
	{"v6-version-4", to("[fd77::2]:4433"), set(offIP, 0x40), ReasonIPHeader},
	{"v6-version-0", to("[fd77::2]:4433"), set(offIP, 0x00), ReasonIPHeader},
	{"v6-hop-by-hop", to("[fd77::2]:4433"), set(offIP+6, 0), ReasonIPExtension},
	{"v6-routing", to("[fd77::2]:4433"), set(offIP+6, 43), ReasonIPExtension},
	{"v6-fragment", to("[fd77::2]:4433"), set(offIP+6, 44), ReasonIPFragment},
	{"v6-authentication", to("[fd77::2]:4433"), set(offIP+6, 51), ReasonIPExtension},
	{"v6-destination-options", to("[fd77::2]:4433"), set(offIP+6, 60), ReasonIPExtension},
	{"v6-mobility", to("[fd77::2]:4433"), set(offIP+6, 135), ReasonIPExtension},
	{"v6-hip", to("[fd77::2]:4433"), set(offIP+6, 139), ReasonIPExtension},
	{"v6-shim6", to("[fd77::2]:4433"), set(offIP+6, 140), ReasonIPExtension},
	{"v6-esp", to("[fd77::2]:4433"), set(offIP+6, 50), ReasonNotUDP},
	{"v6-no-next-header", to("[fd77::2]:4433"), set(offIP+6, 59), ReasonNotUDP},
	{"v6-tcp-same-port", to("[fd77::2]:4433"), set(offIP+6, 6), ReasonNotUDP},
	{"v6-icmp", to("[fd77::2]:4433"), set(offIP+6, 58), ReasonNotUDP},
	{"v6-payload-length-0", to("[fd77::2]:4433"), set16(offIP+4, 0), ReasonIPLength},
	{"v6-payload-length-7", to("[fd77::2]:4433"), set16(offIP+4, 7), ReasonIPLength},
	{"v6-payload-length-beyond-frame", to("[fd77::2]:4433"), set16(offIP+4, 8+16+1), ReasonIPLength},
	{"v6-payload-length-65535", to("[fd77::2]:4433"), set16(offIP+4, 65535), ReasonIPLength},
	{"v6-payload-length-shorter-than-udp", to("[fd77::2]:4433"), set16(offIP+4, 8+15), ReasonUDPLength},
	{"v6-payload-length-longer-than-udp", to("[fd77::2]:4433"), grow(1, offIP+4), ReasonUDPLength},
	{"v6-udp-length-0", to("[fd77::2]:4433"), set16(offUDP6+4, 0), ReasonUDPLength},
	{"v6-udp-length-more", to("[fd77::2]:4433"), set16(offUDP6+4, 8+17), ReasonUDPLength},
	{"v6-no-checksum", to("[fd77::2]:4433"), set16(offUDP6+6, 0), ReasonUDPChecksum},

	{"port-foreign", to("10.77.0.2:53"), nil, ReasonNoPort},
	{"port-byte-swapped", to("10.77.0.2:20753"), nil, ReasonNoPort}, // 4433 is 0x1151, 20753 is 0x5111
	{"port-of-the-other-family", to("[fd77::2]:4434"), nil, ReasonNoPort},
	{"port-of-the-source", to("10.77.0.2:53"), set16(offUDP4, 4433), ReasonNoPort},
	{"port-0", to("10.77.0.2:0"), nil, ReasonNoPort},
	{"v6-port-foreign", to("[fd77::2]:53"), nil, ReasonNoPort},
	{"forwarded-v4", to("192.0.2.1:4433"), nil, ReasonNotLocal},
	{"forwarded-v6", to("[2001:db8::1]:4433"), nil, ReasonNotLocal},
	{"forwarded-v6-one-bit", to("[fd77::3]:4433"), nil, ReasonNotLocal},

	{"multicast-not-asked-for", to("224.0.0.251:4433"), nil, ReasonGroup},
	{"multicast-asked-for", to("224.0.0.251:6000"), nil, ReasonRedirected},
	{"multicast-highest", to("239.255.255.255:6000"), nil, ReasonRedirected},
	{"multicast-joined", to("239.1.2.3:7000"), nil, ReasonRedirected},
	{"multicast-other-group", to("239.1.2.4:7000"), nil, ReasonNoPort},
	{"multicast-with-broadcast-flag", to("239.1.2.3:6001"), nil, ReasonGroup},
	{"class-e-is-no-multicast", to("240.0.0.1:6000"), nil, ReasonNotLocal},
	{"v6-multicast-not-asked-for", to("[ff02::fb]:4433"), nil, ReasonGroup},
	{"v6-multicast-asked-for", to("[ff02::fb]:6000"), nil, ReasonRedirected},
	{"v6-multicast-joined", to("[ff02::1234]:7000"), nil, ReasonRedirected},
	{"v6-multicast-global-transient", to("[ff1e::1]:6000"), nil, ReasonRedirected},
	{"v6-multicast-interface-local", to("[ff01::1]:6000"), nil, ReasonMartian},
	{"v6-multicast-reserved-scope", to("[ff00::1]:6000"), nil, ReasonMartian},
	{"v6-fe-is-no-multicast", to("[fe02::1]:6000"), nil, ReasonNotLocal},

	{"broadcast-not-asked-for", to("255.255.255.255:4433"), nil, ReasonGroup},
	{"broadcast-asked-for", to("255.255.255.255:6001"), nil, ReasonRedirected},
	{"broadcast-with-multicast-flag", to("255.255.255.255:6000"), nil, ReasonGroup},
	{"broadcast-exact", to("255.255.255.255:67"), nil, ReasonRedirected},
	{"directed-broadcast-not-asked-for", to("10.77.0.255:4433"), nil, ReasonGroup},
	{"directed-broadcast-asked-for", to("10.77.0.255:6001"), nil, ReasonRedirected},
	{"directed-broadcast-exact", to("10.77.0.255:68"), nil, ReasonRedirected},
	{"directed-broadcast-of-another-net", to("10.78.0.255:6001"), nil, ReasonNotLocal},
	{"both-flags-multicast", to("224.0.0.251:6002"), nil, ReasonRedirected},
	{"both-flags-broadcast", to("255.255.255.255:6002"), nil, ReasonRedirected},

	{"source-loopback", to("10.77.0.2:4433").from("127.0.0.1"), nil, ReasonMartian},
	{"source-zero", to("10.77.0.2:4433").from("0.0.0.0"), nil, ReasonMartian},
	{"source-this-net", to("10.77.0.2:4433").from("0.1.2.3"), nil, ReasonMartian},
	{"source-multicast", to("10.77.0.2:4433").from("239.1.2.3"), nil, ReasonMartian},
	{"source-broadcast", to("10.77.0.2:4433").from("255.255.255.255"), nil, ReasonMartian},
	{"source-class-e", to("10.77.0.2:4433").from("240.0.0.1"), nil, ReasonRedirected},
	{"source-loopback-exact-entry", to("10.77.0.2:5000").from("127.0.0.1"), nil, ReasonMartian},
	{"source-loopback-foreign-port", to("10.77.0.2:53").from("127.0.0.1"), nil, ReasonNoPort},
	{"destination-loopback", to("127.0.0.1:4433"), nil, ReasonMartian},
	{"destination-zero", to("0.0.0.0:4433"), nil, ReasonMartian},
	{"v6-source-unspecified", to("[fd77::2]:4433").from("::"), nil, ReasonMartian},
	{"v6-source-loopback", to("[fd77::2]:4433").from("::1"), nil, ReasonMartian},
	{"v6-source-mapped", to("[fd77::2]:4433").from("::ffff:10.77.0.1"), nil, ReasonMartian},
	{"v6-source-multicast", to("[fd77::2]:4433").from("ff02::1"), nil, ReasonMartian},
	{"v6-source-nat64", to("[fd77::2]:4433").from("64:ff9b::a4d:1"), nil, ReasonRedirected},
	{"v6-destination-loopback", to("[::1]:4433"), nil, ReasonMartian},
	{"v6-destination-unspecified", to("[::]:4433"), nil, ReasonMartian},
	{"v6-destination-mapped", to("[::ffff:10.77.0.2]:4433"), nil, ReasonMartian},

	{"arp", to("10.77.0.2:4433"), set16(offEtherType, 0x0806), ReasonNotIP},
	{"lldp", to("10.77.0.2:4433"), set16(offEtherType, 0x88cc), ReasonNotIP},
	{"llc-length", to("10.77.0.2:4433"), set16(offEtherType, 46), ReasonNotIP},
	{"v4-type-v6-header", to("[fd77::2]:4433"), set16(offEtherType, 0x0800), ReasonIPHeader},
	{"v6-type-v4-header", to("10.77.0.2:4433"), set16(offEtherType, 0x86dd), ReasonIPHeader},

	{"vlan-ours", to("10.77.0.2:4433").tagged(100), nil, ReasonRedirected},
	{"vlan-ours-v6", to("[fd77::2]:4433").tagged(100), nil, ReasonRedirected},
	{"vlan-ours-with-priority", to("10.77.0.2:4433").tagged(0xf000 | 100), nil, ReasonRedirected},
	{"vlan-first", to("10.77.0.2:4433").tagged(1), nil, ReasonRedirected},
	{"vlan-last", to("10.77.0.2:4433").tagged(4094), nil, ReasonRedirected},
	{"vlan-priority-only", to("10.77.0.2:4433").tagged(0xe000), nil, ReasonRedirected},
	{"vlan-foreign", to("10.77.0.2:4433").tagged(101), nil, ReasonVLAN},
	{"vlan-foreign-same-low-bits", to("10.77.0.2:4433").tagged(100 + 64), nil, ReasonVLAN},
	{"vlan-reserved", to("10.77.0.2:4433").tagged(4095), nil, ReasonVLAN},
	{"vlan-foreign-arp", to("10.77.0.2:4433").tagged(101), set16(16, 0x0806), ReasonVLAN},
	{"vlan-ours-arp", to("10.77.0.2:4433").tagged(100), set16(16, 0x0806), ReasonNotIP},
	{"vlan-ours-fragment", to("10.77.0.2:4433").tagged(100), set16(offIP+4+6, 0x2000), ReasonIPFragment},
	{"vlan-ours-length-beyond-frame", to("10.77.0.2:4433").tagged(100), set16(offIP+4+2, 20+8+17), ReasonIPLength},
	{"vlan-double", to("10.77.0.2:4433").tagged(100, 100), nil, ReasonVLAN},
	{"vlan-double-priority", to("10.77.0.2:4433").tagged(0, 0), nil, ReasonVLAN},
	{"vlan-service-tag", to("10.77.0.2:4433").tagged(100), set16(offEtherType, 0x88a8), ReasonVLAN},
	{"vlan-service-tag-inside", to("10.77.0.2:4433").tagged(100, 100), set16(16, 0x88a8), ReasonVLAN},
	{"vlan-old-qinq", to("10.77.0.2:4433").tagged(100), set16(offEtherType, 0x9100), ReasonNotIP},
}

func (c verdictCase) bytes() []byte {
	b := c.frame.bytes()
	if c.mutate != nil {
		b = c.mutate(b)
	}
	return b
}

func TestVerdicts(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			p := loadT(t, v.opts)
			configure(t, p)
			for _, c := range verdicts {
				t.Run(c.name, func(t *testing.T) {
					if got := run(t, p, c.bytes(), nil); got != c.want {
						t.Errorf("judged %v, want %v", got, c.want)
					}
				})
			}
		})
	}
}

// TestModelAgreesWithVerdicts holds the oracle of the random test to the table, so that both cannot be wrong in one way.
func TestModelAgreesWithVerdicts(t *testing.T) {
	for _, c := range verdicts {
		if got := ownership.judge(c.bytes()); got != c.want {
			t.Errorf("%s: model says %v, want %v", c.name, got, c.want)
		}
	}
}

// TestWithoutSocketPasses judges everything as above with no socket in the queue: what was redirected is passed.
func TestWithoutSocketPasses(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			p := loadT(t, v.opts)
			configure(t, p)
			must(t, p.ClearSocket(0))
			for _, c := range verdicts {
				want := c.want
				if want == ReasonRedirected {
					want = ReasonNoSocket
				}
				if got := run(t, p, c.bytes(), nil); got != want {
					t.Errorf("%s: judged %v, want %v", c.name, got, want)
				}
			}
		})
	}
}

// TestWithoutEntriesPasses: a program that nobody told anything takes nothing.
func TestWithoutEntriesPasses(t *testing.T) {
	p := loadT(t, Options{})
	must(t, p.SetSocket(0, socketT(t)))
	for _, c := range verdicts {
		if got := run(t, p, c.bytes(), nil); got == ReasonRedirected {
			t.Errorf("%s: redirected", c.name)
		}
	}
}

// TestTruncatedEverywhere cuts frames at every byte. The kernel runs no program on less than an Ethernet header.
func TestTruncatedEverywhere(t *testing.T) {
	for _, v := range variants {
		p := loadT(t, v.opts)
		configure(t, p)
		for _, d := range []datagram{
			to("10.77.0.2:4433"), to("[fd77::2]:4433"), to("10.77.0.2:4433").tagged(100), to("[fd77::2]:4433").tagged(100),
			to("10.77.0.2:4433").sized(0), to("[fd77::2]:4433").sized(0),
		} {
			whole := d.bytes()
			ip := offIP + 4*len(d.tags)
			headers := ip + 20
			if d.dst.Addr().Is6() {
				headers = ip + 40
			}
			for n := offIP; n <= len(whole); n++ {
				want := ReasonIPLength
				switch {
				case n < headers:
					want = ReasonTruncated
				case n == len(whole):
					want = ReasonRedirected
				}
				if got := run(t, p, bytes.Clone(whole[:n]), nil); got != want {
					t.Errorf("%s: %v tags %v cut to %d of %d bytes: judged %v, want %v", v.name, d.dst, d.tags, n, len(whole), got, want)
				}
			}
		}
	}
}

// TestLongFrames: what a socket would drop for its length must pass.
func TestLongFrames(t *testing.T) {
	const headers = 14 + 20 + 8
	for _, c := range []struct {
		opts  Options
		frame int // bytes
		want  Reason
	}{
		{Options{}, DefaultMaxFrame, ReasonRedirected},
		{Options{}, DefaultMaxFrame + 1, ReasonTooLong},
		{Options{NoFrags: true}, DefaultMaxFrame, ReasonRedirected},
		{Options{NoFrags: true}, DefaultMaxFrame + 1, ReasonTooLong},
		{Options{MaxFrame: 100}, 100, ReasonRedirected},
		{Options{MaxFrame: 100}, 101, ReasonTooLong},
		// What follows does not fit a page, so that the kernel hands it over in several buffers.
		{Options{MaxFrame: 9000}, 6000, ReasonTooLong},
		{Options{MaxFrame: 9000, MultiBuffer: true}, 6000, ReasonRedirected},
		{Options{MaxFrame: 9000, MultiBuffer: true}, 9000, ReasonRedirected},
		{Options{MaxFrame: 9000, MultiBuffer: true}, 9001, ReasonTooLong},
		{Options{strict: true}, DefaultMaxFrame, ReasonRedirected},
		{Options{strict: true}, DefaultMaxFrame + 1, ReasonTooLong},
		{Options{MaxFrame: 9000, MultiBuffer: true, strict: true}, 9000, ReasonRedirected},
		{Options{MaxFrame: 9000, MultiBuffer: true, strict: true}, 9001, ReasonTooLong},
	} {
		if c.frame > 4000 && !kernelHasFrags() {
			continue // BPF_PROG_TEST_RUN takes no more than a page there
		}
		t.Run(fmt.Sprintf("%+v/%d", c.opts, c.frame), func(t *testing.T) {
			p := loadT(t, c.opts)
			configure(t, p)
			for _, dst := range []string{"10.77.0.2:4433", "10.77.0.2:53"} {
				want := c.want
				if dst == "10.77.0.2:53" {
					want = ReasonNoPort // the reason that says more comes first
				}
				if got := run(t, p, to(dst).sized(c.frame-headers).bytes(), nil); got != want {
					t.Errorf("%s: judged %v, want %v", dst, got, want)
				}
			}
		})
	}
}
