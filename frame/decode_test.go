// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/ip6defrag"
	"github.com/gopacket/gopacket/layers"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// decode has gopacket read a frame and verify every checksum in it.
func decode(t *testing.T, b []byte) gopacket.Packet {
	t.Helper()
	pkt := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	if l := pkt.ErrorLayer(); l != nil {
		t.Fatalf("gopacket: %v", l.Error())
	}
	return pkt
}

func verify(t *testing.T, pkt gopacket.Packet) {
	t.Helper()
	udp := pkt.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if err := udp.SetNetworkLayerForChecksum(pkt.NetworkLayer()); err != nil {
		t.Fatal(err)
	}
	err, mismatches := pkt.VerifyChecksums()
	if err != nil || len(mismatches) != 0 {
		t.Fatalf("gopacket: checksums: %v %+v", err, mismatches)
	}
}

// checkLink compares everything up to the IP header's last field that is the same in all frames of a flow.
func checkLink(t *testing.T, pkt gopacket.Packet, flow frame.Flow) {
	t.Helper()
	eth := pkt.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if !bytes.Equal(eth.SrcMAC, flow.SrcMAC[:]) || !bytes.Equal(eth.DstMAC, flow.DstMAC[:]) {
		t.Fatalf("gopacket: MACs %v → %v", eth.SrcMAC, eth.DstMAC)
	}
	var tags []frame.VLANTag
	types := []uint16{uint16(eth.EthernetType)}
	for _, l := range pkt.Layers() {
		if q, ok := l.(*layers.Dot1Q); ok {
			tags = append(tags, frame.VLANTag{
				TPID: types[len(types)-1], ID: q.VLANIdentifier, PCP: q.Priority, DEI: q.DropEligible,
			})
			types = append(types, uint16(q.Type))
		}
	}
	if fmt.Sprint(tags) != fmt.Sprint(flow.VLANs) {
		t.Fatalf("gopacket: tags %+v, want %+v", tags, flow.VLANs)
	}
	switch ip := pkt.NetworkLayer().(type) {
	case *layers.IPv4:
		if ip.TOS != flow.TOS || ip.TTL != flow.TTL || ip.Protocol != layers.IPProtocolUDP || ip.IHL != 5 ||
			(ip.Flags&layers.IPv4DontFragment != 0) != flow.DF ||
			!ip.SrcIP.Equal(flow.Src.Addr().AsSlice()) || !ip.DstIP.Equal(flow.Dst.Addr().AsSlice()) {
			t.Fatalf("gopacket: %+v", ip)
		}
	case *layers.IPv6:
		if ip.TrafficClass != flow.TOS || ip.HopLimit != flow.TTL || ip.FlowLabel != flow.FlowLabel ||
			!ip.SrcIP.Equal(flow.Src.Addr().AsSlice()) || !ip.DstIP.Equal(flow.Dst.Addr().AsSlice()) {
			t.Fatalf("gopacket: %+v", ip)
		}
	default:
		t.Fatalf("gopacket: network layer %T", ip)
	}
}

func checkUDP(t *testing.T, pkt gopacket.Packet, flow frame.Flow, payload []byte) {
	t.Helper()
	udp, ok := pkt.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok {
		t.Fatalf("gopacket: no UDP in %v", pkt)
	}
	if uint16(udp.SrcPort) != flow.Src.Port() || uint16(udp.DstPort) != flow.Dst.Port() ||
		int(udp.Length) != 8+len(payload) || !bytes.Equal(udp.Payload, payload) ||
		(udp.Checksum == 0) != flow.NoChecksum {
		t.Fatalf("gopacket: ports %d → %d, length %d, checksum %#04x, payload of %d octets, want %d",
			udp.SrcPort, udp.DstPort, udp.Length, udp.Checksum, len(udp.Payload), len(payload))
	}
}

func TestDecodedByGopacket(t *testing.T) {
	for name, flow := range allFlows() {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{0, 1, 2, 17, 18, 19, 1452, 1472} {
				payload := pattern(n)
				pkt := decode(t, build(t, flow, payload, uint16(n)))
				checkLink(t, pkt, flow)
				checkUDP(t, pkt, flow, payload)
				verify(t, pkt)
				if ip, ok := pkt.NetworkLayer().(*layers.IPv4); ok && ip.Id != uint16(n) {
					t.Errorf("gopacket: id %d, want %d", ip.Id, n)
				}
			}
		})
	}
}

func TestFragmentsDecodedByGopacket(t *testing.T) {
	for name, flow := range allFlows() {
		if flow.DF {
			continue
		}
		tmpl := mustTemplate(t, flow)
		limit := frame.MaxIPv4Payload
		if tmpl.Is6() {
			limit = frame.MaxIPv6Payload
		}
		for _, tt := range []struct{ size, mtu int }{
			{1473, 1500}, {2953, 1501}, {5000, 1280}, {9000, 1500}, {limit, 1500}, {limit, 9000},
		} {
			t.Run(fmt.Sprintf("%s/size=%d/mtu=%d", name, tt.size, tt.mtu), func(t *testing.T) {
				payload := pattern(tt.size)
				frames := fragments(t, &tmpl, payload, tt.mtu, 0x1234abcd)
				four, six := ip4defrag.NewIPv4Defragmenter(), ip6defrag.NewIPv6Defragmenter()
				for i, b := range frames {
					pkt := decode(t, b)
					checkLink(t, pkt, flow)
					last := i == len(frames)-1
					var whole gopacket.SerializableLayer
					switch ip := pkt.NetworkLayer().(type) {
					case *layers.IPv4:
						if err, res := ip.VerifyChecksum(); err != nil || !res.Valid || ip.Id != 0xabcd {
							t.Fatalf("fragment %d: id %#x, checksum %v %+v", i, ip.Id, err, res)
						}
						out, err := four.DefragIPv4(ip)
						if err != nil {
							t.Fatalf("fragment %d: %v", i, err)
						}
						if out != nil {
							whole = out
						}
					case *layers.IPv6:
						fh, ok := pkt.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment)
						if !ok || fh.Identification != 0x1234abcd || fh.Reserved1 != 0 || fh.Reserved2 != 0 ||
							fh.MoreFragments == last {
							t.Fatalf("fragment %d: %+v", i, fh)
						}
						if out := six.DefragIPv6(ip, fh); out != nil {
							whole = out
						}
					}
					if (whole != nil) != last {
						t.Fatalf("fragment %d of %d: whole %v", i, len(frames), whole != nil)
					}
					if last {
						checkReassembled(t, whole, flow, payload)
					}
				}
			})
		}
	}
}

func checkReassembled(t *testing.T, whole gopacket.SerializableLayer, flow frame.Flow, payload []byte) {
	t.Helper()
	var udp layers.UDP
	var data []byte
	var network gopacket.NetworkLayer
	switch ip := whole.(type) {
	case *layers.IPv4:
		data, network = ip.Payload, ip
	case *layers.IPv6:
		data, network = ip.Payload, ip
	}
	if err := udp.DecodeFromBytes(data, gopacket.NilDecodeFeedback); err != nil {
		t.Fatal(err)
	}
	if uint16(udp.SrcPort) != flow.Src.Port() || uint16(udp.DstPort) != flow.Dst.Port() ||
		!bytes.Equal(udp.Payload, payload) {
		t.Fatalf("reassembled: ports %d → %d, %d octets, want %d",
			udp.SrcPort, udp.DstPort, len(udp.Payload), len(payload))
	}
	if err := udp.SetNetworkLayerForChecksum(network); err != nil {
		t.Fatal(err)
	}
	err, res := udp.VerifyChecksum()
	if err != nil || !res.Valid || (udp.Checksum == 0) != flow.NoChecksum {
		t.Fatalf("reassembled: checksum %#04x: %v %+v", udp.Checksum, err, res)
	}
}

// The other way round: what another encoder writes, Parse reads.
func TestParseGopacketFrames(t *testing.T) {
	for name, flow := range allFlows() {
		if flow.NoChecksum {
			continue // gopacket always computes one
		}
		t.Run(name, func(t *testing.T) {
			payload := pattern(123)
			eth := &layers.Ethernet{SrcMAC: flow.SrcMAC[:], DstMAC: flow.DstMAC[:]}
			udp := &layers.UDP{SrcPort: layers.UDPPort(flow.Src.Port()), DstPort: layers.UDPPort(flow.Dst.Port())}
			var ip gopacket.SerializableLayer
			etherType := layers.EthernetTypeIPv4
			if flow.Dst.Addr().Is4() {
				v4 := &layers.IPv4{
					Version: 4, TOS: flow.TOS, TTL: flow.TTL, Id: 5, Protocol: layers.IPProtocolUDP,
					SrcIP: flow.Src.Addr().AsSlice(), DstIP: flow.Dst.Addr().AsSlice(),
				}
				if flow.DF {
					v4.Flags = layers.IPv4DontFragment
				}
				ip = v4
				_ = udp.SetNetworkLayerForChecksum(v4)
			} else {
				etherType = layers.EthernetTypeIPv6
				v6 := &layers.IPv6{
					Version: 6, TrafficClass: flow.TOS, FlowLabel: flow.FlowLabel, HopLimit: flow.TTL,
					NextHeader: layers.IPProtocolUDP, SrcIP: flow.Src.Addr().AsSlice(), DstIP: flow.Dst.Addr().AsSlice(),
				}
				ip = v6
				_ = udp.SetNetworkLayerForChecksum(v6)
			}
			stack := []gopacket.SerializableLayer{eth}
			next := &eth.EthernetType
			for _, tag := range flow.VLANs {
				*next = layers.EthernetType(tag.TPID)
				q := &layers.Dot1Q{Priority: tag.PCP, DropEligible: tag.DEI, VLANIdentifier: tag.ID}
				stack, next = append(stack, q), &q.Type
			}
			*next = etherType
			stack = append(stack, ip, udp, gopacket.Payload(payload))
			buf := gopacket.NewSerializeBuffer()
			opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
			if err := gopacket.SerializeLayers(buf, opts, stack...); err != nil {
				t.Fatal(err)
			}
			if want := build(t, flow, payload, 5); !bytes.Equal(buf.Bytes()[:len(want)], want) {
				t.Errorf("gopacket builds\n% x, PutHeaders\n% x", buf.Bytes()[:len(want)], want)
			}
			p, r := frame.Parse(buf.Bytes())
			if r != frame.ReasonOK || p.Src != flow.Src || p.Dst != flow.Dst ||
				!bytes.Equal(p.Payload(buf.Bytes()), payload) {
				t.Errorf("%v %+v", r, p)
			}
			if r := frame.VerifyChecksums(buf.Bytes(), &p); r != frame.ReasonOK {
				t.Error(r)
			}
		})
	}
}
