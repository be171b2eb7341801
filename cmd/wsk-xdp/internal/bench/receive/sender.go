// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// offer is what a sender is told.
type offer struct {
	IfIndex        int
	SrcMAC, DstMAC frame.MAC
	From, To       netip.AddrPort
	Payload        int
	// Rate is datagrams per second, 0 as many as possible.
	Rate int
}

// perRun is how many copies of the frame one system call makes: many, since the call takes some 30 ms to end. perBatch
// is how many the kernel hands over at once; the receiving kernel then works through them.
const (
	perRun   = 1 << 20
	perBatch = 64
)

// pace is what the program shares with this process: whether to stop, when the next datagram is due, and the time
// between two.
type pace struct{ Stop, Next, Interval uint64 }

// Offsets in it, and how far the program may fall behind its schedule and still catch up.
const (
	paceStop, paceNext, paceInterval = 0, 8, 16
	paceSlack                        = 100_000 // ns
	xdpDrop                          = 1
)

// Send is the program of the child that sends live frames: the kernel runs an XDP program on copies of a frame, and the
// program has them sent through the interface (Linux 5.18), or drops them when none is due.
func Send(stdin io.Reader, stdout io.Writer) error {
	var o offer
	out, end, err := proc.Serve(stdin, stdout, &o)
	if err != nil {
		return err
	}
	bytes, err := o.frame()
	if err != nil {
		return err
	}
	var p pace
	if o.Rate > 0 {
		p.Interval = uint64(1e9 / o.Rate)
	}
	state, err := ebpf.NewMap(&ebpf.MapSpec{Name: "wsk_pace", Type: ebpf.Array, KeySize: 4, ValueSize: 24, MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("make the sender's map: %w", err)
	}
	defer state.Close()
	if err := state.Put(uint32(0), p); err != nil {
		return fmt.Errorf("fill the sender's map: %w", err)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "wsk_offer", Type: ebpf.XDP, License: "Dual BSD/GPL", Instructions: offerProgram(state.FD(), o.IfIndex),
	})
	if err != nil {
		return fmt.Errorf("load the sender's XDP program: %w", err)
	}
	defer prog.Close()
	if err := out.Encode(event{Event: eventReady}); err != nil {
		return err
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-end
		_ = state.Put(uint32(0), pace{Stop: 1}) // what is left of the call is dropped, quickly
	}()
	run := ebpf.RunOptions{Data: bytes, Repeat: perRun, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: perBatch}
	for {
		if _, err := prog.Run(&run); err != nil {
			return fmt.Errorf("send live frames: %w", err)
		}
		select {
		case <-stopped:
			return out.Encode(event{Event: eventDone})
		default:
		}
	}
}

func offerProgram(state, ifindex int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapValue(asm.R6, state, 0),
		asm.LoadMem(asm.R1, asm.R6, paceStop, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "drop"),
		asm.LoadMem(asm.R7, asm.R6, paceInterval, asm.DWord),
		asm.JEq.Imm(asm.R7, 0, "send"),
		asm.FnKtimeGetNs.Call(),
		asm.LoadMem(asm.R2, asm.R6, paceNext, asm.DWord),
		asm.JGT.Reg(asm.R2, asm.R0, "drop"),
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.Sub.Imm(asm.R3, paceSlack),
		asm.JGE.Reg(asm.R2, asm.R3, "due"),
		asm.Mov.Reg(asm.R2, asm.R3),
		asm.Add.Reg(asm.R2, asm.R7).WithSymbol("due"),
		asm.StoreMem(asm.R6, paceNext, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R1, int32(ifindex)).WithSymbol("send"),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
	}
}

// frame is what is sent, whole and with right checksums, without FCS.
func (o *offer) frame() ([]byte, error) {
	tmpl, err := frame.NewTemplate(frame.Flow{SrcMAC: o.SrcMAC, DstMAC: o.DstMAC, Src: o.From, Dst: o.To, DF: true})
	if err != nil {
		return nil, err
	}
	payload := make([]byte, o.Payload)
	for i := range payload {
		payload[i] = byte(i)
	}
	b := make([]byte, tmpl.HeaderLen()+len(payload))
	var sum frame.Sum
	sum.CopyAdd(b[tmpl.HeaderLen():], payload)
	tmpl.PutHeaders(b, len(payload), 0, sum)
	return b, nil
}
