// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// cpuTime is what this process has used so far, in nanoseconds: unlike the time that passes, not the fault of other processes.
func cpuTime(b *testing.B) int64 {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

// offloadKernel is idealKernel with room for metadata, which it does not read: what is left is this side's cost.
type offloadKernel struct{ *idealKernel }

func (offloadKernel) Granted() xdp.Granted {
	return xdp.Granted{Mode: xdp.ModeZeroCopy, Offload: xdp.OffloadDriver}
}

func newOffloadKernel(chunks uint32) (xdp.Queue, error) {
	k, err := newIdealKernel(chunks)
	if err != nil {
		return nil, err
	}
	k.umem, err = xdp.NewUMEM(make([]byte, chunks*2048), 2048, chunks, 0, xdp.TxMetadataLen)
	return offloadKernel{k}, err
}

// BenchmarkChecksum is the user-space cost of one datagram on a loaded queue with the checksum of this side, and without.
func BenchmarkChecksum(b *testing.B) {
	for _, size := range []int{18, 256, 1472} {
		for _, by := range []string{"software", "offload"} {
			b.Run("size="+strconv.Itoa(size)+"/by="+by, func(b *testing.B) {
				s := benchSocketOver(b, 1, 1, func(*device.Device, int) (xdp.Queue, error) {
					if by == "offload" {
						return newOffloadKernel(512)
					}
					return newIdealKernel(512)
				})
				if by == "offload" {
					prove4(b, s.dp)
				}
				q := onlyQueue(s.dp)
				testenv.Eventually(b, waitLimit, "the poller to sleep", func() bool { return send.Asleep(q) })
				send.PinGear(q, true)
				defer send.PinGear(q, false)
				p := newPump(s.sockets[0], size, wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo)), 2*send.Burst)
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					p.send()
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
				send.Kick(q)
				p.drain()
			})
		}
	}
}

// BenchmarkChecksumVeth is the whole cost of one datagram of a list of 64 over a veth pair in copy mode whose far end drops it:
// summed here, summed by the kernel (XDP_UMEM_TX_SW_CSUM), and by nobody, which is what a NIC would leave of the cost.
func BenchmarkChecksumVeth(b *testing.B) {
	testenv.Require(b, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	const batch = 64
	for _, size := range []int{18, 1472} {
		for _, mode := range []ChecksumMode{ChecksumSoftware, ChecksumKernel, ChecksumPartial} {
			b.Run("size="+strconv.Itoa(size)+"/by="+mode.String(), func(b *testing.B) {
				lab := testenv.NewLabT(b, testenv.Topology{Neighbours: testenv.Static, PeerXDP: testenv.XDPDrop})
				if err := lab.A.If.SetFeature("tx-checksum-ip-generic", true); err != nil {
					b.Fatal(err)
				}
				dp, err := Open(Options{NetNS: lab.A.NS.FD(), Checksum: mode, Socket: xdp.Options{Mode: xdp.ModeCopy}})
				if err != nil {
					b.Fatal(err)
				}
				dp.senders.ProofWait = time.Millisecond
				to := sockaddr(lab.B.IPv4(), 9)
				s := benchSockets(b, dp, to, 1).sockets[0]
				if mode != ChecksumSoftware {
					prove4(b, dp)
				}
				nodes := make([]wsk.BufList, batch)
				for i := range nodes {
					nodes[i].Buffer = *whole(pattern(size))
					if i > 0 {
						nodes[i-1].Next = &nodes[i]
					}
				}
				irp := new(pumpIRP)
				offloadedBefore, before, sent := offloaded(dp), cpuTime(b), 0
				for b.Loop() {
					if sent%batch == 0 {
						irp.ready(pumpRoutine)
						s.SendMessages(&nodes[0], 0, to, nil, &irp.IRP)
					}
					sent++
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
				for irp.busy() {
					runtime.Gosched()
				}
				if did := offloaded(dp) != offloadedBefore; did != (mode != ChecksumSoftware) {
					b.Fatalf("offload used: %v", did)
				}
			})
		}
	}
}
