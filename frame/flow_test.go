// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

func TestNewTemplateRefuses(t *testing.T) {
	tests := []struct {
		name   string
		base   frame.Flow
		change func(f *frame.Flow)
		want   string
	}{
		{"no source", flow4, func(f *frame.Flow) { f.Src = netip.AddrPort{} }, "both must be set"},
		{"no destination", flow4, func(f *frame.Flow) { f.Dst = netip.AddrPort{} }, "both must be set"},
		{"families", flow4, func(f *frame.Flow) { f.Dst = flow6.Dst }, "families differ"},
		{"multicast source", flow4, func(f *frame.Flow) { f.Src = netip.MustParseAddrPort("224.0.0.1:1") }, "224.0.0.1"},
		{"to nowhere", flow6, func(f *frame.Flow) { f.Dst = netip.MustParseAddrPort("[::]:1") }, "unspecified"},
		{"v6 without checksum", flow6, func(f *frame.Flow) { f.NoChecksum = true }, "can't go without"},
		{"v4 label", flow4, func(f *frame.Flow) { f.FlowLabel = 1 }, "ipv4 has none"},
		{"label", flow6, func(f *frame.Flow) { f.FlowLabel = frame.MaxFlowLabel + 1 }, "0x100000"},
		{"group source mac", flow4, func(f *frame.Flow) { f.SrcMAC = frame.BroadcastMAC() }, "ff:ff:ff:ff:ff:ff"},
		{"three tags", flow4, func(f *frame.Flow) { f.VLANs = make([]frame.VLANTag, 3) }, "3 vlan tags"},
		{"tpid", flow4, func(f *frame.Flow) { f.VLANs = []frame.VLANTag{{TPID: 0x0800}} }, "0x0800"},
		{"vlan id", flow4, func(f *frame.Flow) { f.VLANs = []frame.VLANTag{{ID: 4095}} }, "4095"},
		{"priority", flow4, func(f *frame.Flow) { f.VLANs = []frame.VLANTag{{PCP: 8}} }, "priority 8"},
		{
			"two things", flow4, func(f *frame.Flow) { f.VLANs = []frame.VLANTag{{PCP: 8, ID: 4095}} },
			"4095: the largest is 4094\nvlan",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.base
			tt.change(&f)
			_, err := frame.NewTemplate(f)
			if !errors.Is(err, frame.ErrInvalidFlow) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q that wraps ErrInvalidFlow", err, tt.want)
			}
		})
	}
}

func TestNewTemplateDefaults(t *testing.T) {
	f := withTags(flow4, frame.VLANTag{ID: 3})
	f.Dst = netip.MustParseAddrPort("[::ffff:198.51.100.7]:9")
	p, r := frame.Parse(build(t, f, nil, 0))
	if r != frame.ReasonOK || p.TTL != frame.DefaultTTL || p.VLANs[0].TPID != frame.EtherTypeVLAN || p.Dst != flow4.Dst {
		t.Errorf("%v: TTL %d, TPID %#04x, destination %v", r, p.TTL, p.VLANs[0].TPID, p.Dst)
	}
	f.VLANs[0].ID = 9 // the slice is not kept
	a := mustTemplate(t, withTags(flow6, vlan100))
	if b := mustTemplate(t, withTags(flow6, vlan100)); a != b {
		t.Error("equal flows have unequal templates")
	}
}
