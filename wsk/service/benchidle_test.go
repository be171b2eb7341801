// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// BenchmarkIdleClient says what memory of this process a client takes that does nothing: after HELLO, with a socket, and
// when that has had four SENDs of 64 small datagrams under way. The client's end of the connection is in it.
func BenchmarkIdleClient(b *testing.B) {
	const listeners, each = 10, 16 // a user may have so many sessions through one
	w := newBench(b, generous, func(c *service.Config) { c.Transport = instant{} })
	per := func(start int) float64 { return float64(resident(b)-start) / (listeners * each) }
	start := resident(b)
	var all []*client
	for l := range listeners {
		w.listenAt(filepath.Join(b.TempDir(), "s"), fmt.Sprint("listener", l))
		for range each {
			c := w.hello()
			c.buf = nil
			all = append(all, c)
		}
	}
	b.ReportMetric(per(start), "KiB/client")
	buf := make([]byte, ipc.MaxMessage)
	for _, c := range all {
		c.buf = buf
		c.open(1, "10.77.0.1:7000")
	}
	b.ReportMetric(per(start), "KiB/socket")
	for _, c := range all {
		c.rounds(b, 64, 4)()
	}
	b.ReportMetric(per(start), "KiB/used")
	b.ReportMetric(0, "ns/op") // not what this is about
}

// resident is the memory of this process in KiB.
func resident(b *testing.B) (kib int) {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib
}

// listenAt has the server listen at another path, where the next clients connect.
func (b *bench) listenAt(path, name string) {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.path = path
	b.serving.Go(func() { _ = b.server.Serve(l, name) })
}
