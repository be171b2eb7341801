// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"fmt"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

// A datagram gathered from pieces that were cut anywhere, built in place and read back.
func ExampleTemplate_PutHeaders() {
	tmpl, err := frame.NewTemplate(frame.Flow{
		SrcMAC: frame.MAC{2, 0, 0, 0, 0, 1},
		DstMAC: frame.MAC{2, 0, 0, 0, 0, 2},
		Src:    netip.MustParseAddrPort("192.0.2.1:5000"),
		Dst:    netip.MustParseAddrPort("192.0.2.2:53"),
		DF:     true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	chunk := make([]byte, 2048)
	var sum frame.Sum
	at := tmpl.HeaderLen()
	for _, piece := range []string{"odd", " ", "pieces"} {
		sum.CopyAdd(chunk[at:], []byte(piece))
		at += len(piece)
	}
	n := tmpl.PutHeaders(chunk, at-tmpl.HeaderLen(), 0, sum)

	p, reason := frame.Parse(chunk[:n])
	fmt.Println(reason, frame.VerifyChecksums(chunk[:n], &p))
	fmt.Printf("%v → %v: %q in a frame of %d bytes\n", p.Src, p.Dst, p.Payload(chunk[:n]), n)
	// Output:
	// ok ok
	// 192.0.2.1:5000 → 192.0.2.2:53: "odd pieces" in a frame of 52 bytes
}

// A payload above the MTU. The sum of the whole is needed for the first fragment, so it is taken beforehand.
func ExampleTemplate_PlanFragments() {
	tmpl, _ := frame.NewTemplate(frame.Flow{
		Src: netip.MustParseAddrPort("[2001:db8::1]:5000"),
		Dst: netip.MustParseAddrPort("[2001:db8::2]:53"),
	})
	payload := make([]byte, 3000)
	var whole frame.Sum
	whole.Add(payload)

	plan, err := tmpl.PlanFragments(len(payload), 1500)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range plan.Count() {
		f := plan.At(i)
		chunk := make([]byte, f.FrameLen())
		copy(chunk[f.HeaderLen:], payload[f.PayloadOffset:][:f.PayloadLen])
		n := tmpl.PutFragment(chunk, plan, i, 0x1234, whole)
		p, reason := frame.Parse(chunk[:n])
		fmt.Println(reason, "at", p.FragmentOffset, "with", p.PayloadLen, "bytes, more:", p.MoreFragments)
	}
	// Output:
	// fragment at 0 with 1448 bytes, more: true
	// fragment at 1448 with 1448 bytes, more: true
	// fragment at 2896 with 112 bytes, more: false
}

func ExampleMulticastMAC() {
	mac, _ := frame.MulticastMAC(netip.MustParseAddr("ff02::fb"))
	fmt.Println(mac)
	// Output: 33:33:00:00:00:fb
}

func ExampleParse() {
	_, reason := frame.Parse(make([]byte, 60))
	fmt.Println(reason)
	// Output: not an ip packet
}
