// SPDX-License-Identifier: Apache-2.0

package service_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

var hostileTime = flag.Duration("hostile", time.Second, "how long TestHostile goes on")

// foe is a hostile client: what it does to a server again and again, and how it ends is not asked.
type foe struct {
	path string
	conn *net.UnixConn
	r    *rand.Rand
	seq  uint32
	buf  []byte
}

func (f *foe) write(b []byte) bool {
	_ = f.conn.SetDeadline(time.Now().Add(time.Second))
	_, err := f.conn.Write(b)
	return err == nil
}

func (f *foe) post(typ ipc.Type, socket uint32, body appender) bool {
	f.seq++
	b := ipc.Header{Type: typ, Seq: f.seq, Socket: socket}.Append(nil)
	if body != nil {
		b = body.Append(b)
	}
	return f.write(b)
}

// await reads until the reply of a type.
func (f *foe) await(typ ipc.Type) bool {
	for {
		_ = f.conn.SetDeadline(time.Now().Add(time.Second))
		n, err := f.conn.Read(f.buf)
		if err != nil || n < ipc.HeaderSize {
			return false
		}
		if ipc.Type(binary.LittleEndian.Uint16(f.buf)) == typ.Reply() {
			return true
		}
	}
}

func (f *foe) hello() bool {
	return f.post(ipc.TypeHello, 0, &ipc.Hello{Features: allFeatures, MaxMessage: ipc.MaxMessage}) && f.await(ipc.TypeHello)
}

func (f *foe) open() bool {
	return f.hello() && f.post(ipc.TypeOpen, 1, openRequest("0.0.0.0:0")) && f.await(ipc.TypeOpen)
}

func (f *foe) send(entries ...ipc.Entry) []byte {
	f.seq++
	var w ipc.SendWriter
	w.Begin(make([]byte, 0, ipc.MaxMessage), f.seq, 1)
	for i := range entries {
		w.Add(&entries[i])
	}
	return w.Message()
}

// tricks are what foes do.
var tricks = map[string]func(*foe){
	"half a HELLO": func(f *foe) { f.write(ipc.Header{Type: ipc.TypeHello, Seq: 1}.Append(nil)) },
	"garbage": func(f *foe) {
		for range 20 {
			b := make([]byte, 1+f.r.IntN(2000))
			for i := range b {
				b[i] = byte(f.r.Uint32())
			}
			f.write(b)
		}
	},
	"SENDs with a byte changed": func(f *foe) {
		for f.open() {
			m := f.send(entry(1, "10.77.0.2:7100"), entry(2, "10.77.0.2:7101"))
			m[f.r.IntN(len(m))] ^= 1 << f.r.IntN(8)
			if !f.write(m) {
				return
			}
		}
	},
	"oversized": func(f *foe) { f.hello(); f.write(make([]byte, ipc.MaxMessage+1)) },
	"empty":     func(f *foe) { f.hello(); _ = unixSend(f.conn, nil) },
	"requests without end": func(f *foe) {
		for i := uint32(1); f.hello() && i < 100; i++ {
			f.post(ipc.TypeOpen, i, openRequest("10.77.0.1:0"))
		}
		for i := uint32(1); i < 100 && f.post(ipc.TypeOpen, i, openRequest("10.77.0.1:0")); i++ {
		}
	},
	"SENDs without end": func(f *foe) {
		if f.open() {
			for f.write(f.send(entry(1, "10.77.0.99:9"))) {
			}
		}
	},
	"never reading": func(f *foe) {
		if f.open() {
			for i := 0; i < 2000 && f.post(ipc.TypeSource, 0, &ipc.Source{Address: ipc.Address{Addr: netip.MustParseAddr("10.77.0.2").As16()}}); i++ {
			}
		}
	},
	"destinations without end": func(f *foe) {
		for i := 0; f.seq != 0 || f.open(); i++ {
			e := make([]ipc.Entry, 64)
			for j := range e {
				e[j] = entry(uint32(j), fmt.Sprintf("10.77.%d.%d:%d", f.r.IntN(256), f.r.IntN(256), 1+f.r.IntN(65535)))
			}
			if i == 5 || !f.write(f.send(e...)) || !f.await(ipc.TypeSend) {
				return
			}
		}
	},
	"segments of a byte": func(f *foe) {
		if f.open() {
			e := entry(1, "10.77.0.2:7102")
			e.Segment, e.Length = 1, 4000
			f.write(f.send(e))
			f.await(ipc.TypeSend)
		}
	},
	"going while sending": func(f *foe) {
		if f.open() {
			for range 10 {
				f.write(f.send(entry(1, "10.77.0.2:7103"), entry(2, "10.77.0.99:9")))
			}
		}
	},
	"descriptors": func(f *foe) {
		f.hello()
		_, _, _ = f.conn.WriteMsgUnix(ipc.Header{Type: ipc.TypeSource, Seq: 9}.Append(nil), unix.UnixRights(0, 0, 0, 0), nil)
	},
	"credit without end": func(f *foe) {
		m := (&ipc.Credit{Messages: ipc.MaxCredit}).Append(ipc.Header{Type: ipc.TypeCredit, Socket: 1}.Append(nil))
		for f.open() && f.write(m) && f.write(m) {
		}
	},
	"opening and closing": func(f *foe) {
		for i := uint32(1); f.seq != 0 || f.hello(); i++ {
			if i > 20 || !f.post(ipc.TypeOpen, i, openRequest("10.77.0.1:0")) || !f.await(ipc.TypeOpen) ||
				!f.post(ipc.TypeClose, i, nil) {
				return
			}
		}
	},
	"reconnecting": func(*foe) {},
}

// again does a trick until stop.
func (f *foe) again(trick func(*foe), stop *atomic.Bool) {
	for !stop.Load() {
		conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: f.path, Net: "unixpacket"})
		if err != nil {
			continue
		}
		f.conn, f.seq = conn, 0
		trick(f)
		conn.Close()
	}
}

// TestHostile has clients with every trick against a server over AF_XDP, and two honest ones beside, who lose nothing.
// What the foes have used comes back. -hostile=60s for the whole minute.
func TestHostile(t *testing.T) {
	const limits = "destination = [\"10.77.0.0/16\"]\nsource = [\"0.0.0.0/0\", \"interface\"]\nsockets = 100\nmemory = \"64MiB\"\n"
	w := newWire(t, generous)
	uid := fmt.Sprintf("uid = %d\n", os.Getuid())
	grant := func(name string) string {
		return "[[allow]]\nname = \"" + name + "\"\nlistener = \"" + name + "\"\n" + uid + limits
	}
	text := "version = 1\n[interface.eth0]\n[interface.eth1]\n" + grant("honest")
	foeNames := make(map[string]string) // a listener for each, so that each may connect as often as a user may
	for trick := range tricks {
		foeNames[trick] = fmt.Sprintf("foe-%d", len(foeNames))
		text += grant(foeNames[trick])
	}
	if err := w.policy.Reload("policy.toml", []byte(text), policy.Host{}); err != nil {
		t.Fatal(err)
	}
	w.server.PolicyChanged()
	paths := make(map[string]string)
	for trick, name := range foeNames {
		w.listen(name)
		paths[trick] = w.path
	}
	w.listen("honest")
	there := testenv.NewUDPReceiverT(t, w.lab.B.NS, netip.AddrPortFrom(w.lab.B.IPv4(), 7000), testenv.UDPReceiverOptions{})
	clients := []*client{w.hello(), w.hello()}
	for _, c := range clients {
		_ = c.conn.SetDeadline(time.Now().Add(*hostileTime + 5*patience))
		c.open(1, "10.77.0.1:0")
		c.honest(1, there.Local().String())
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	files := descriptors(t)

	var stop atomic.Bool
	var foes, friends sync.WaitGroup
	seed := testenv.Seed(t)
	for name, trick := range tricks {
		f := &foe{path: paths[name], r: rand.New(rand.NewPCG(seed, uint64(len(name)))), buf: make([]byte, ipc.MaxMessage)}
		foes.Go(func() { f.again(trick, &stop) })
	}
	var sent [2]uint64
	for i, c := range clients {
		friends.Go(func() {
			for !stop.Load() && !t.Failed() {
				sent[i] += c.honest(1, there.Local().String())
			}
		})
	}
	time.Sleep(*hostileTime) // not to wait for anything: that is how long it is to go on
	stop.Store(true)
	friends.Wait()
	foes.Wait()

	testenv.Eventually(t, patience, "all foes to be gone", func() bool { return w.server.Statistics().Sessions == 2 })
	testenv.Eventually(t, patience, "nothing of theirs to be left", func() bool { return leftOfFoes(w) == "" })
	testenv.Eventually(t, patience, "descriptors to be as few as before", func() bool { return descriptors(t) <= files })
	runtime.GC()
	runtime.ReadMemStats(&after)
	if more := int64(after.HeapAlloc) - int64(before.HeapAlloc); more > 16<<20 {
		t.Errorf("%d bytes of heap more than before", more)
	}
	s := w.server.Statistics()
	if len(s.Violations) == 0 {
		t.Error("no violation is counted")
	}
	all := sent[0] + sent[1] + 2*ipc.MaxBatch
	testenv.Eventually(t, patience, "what the honest clients have sent", func() bool { return there.Count()+there.Lost() >= all })
	t.Logf("%d and %d datagrams of the honest clients; violations by rule:", sent[0], sent[1])
	for rule, n := range s.Violations {
		t.Logf("  %v: %s: %d", rule.Reason, rule.Text, n)
	}
}

// leftOfFoes names what is still counted for a client that is gone: sessions and grants are read one after the other.
func leftOfFoes(w *wire) (left string) {
	for _, g := range w.server.Statistics().Grants {
		u := g.Usage
		if g.Name != "honest" && (u.Sessions != 0 || u.Sockets != 0 || u.Inflight != 0 || u.Destinations != 0 || u.Memory != 0) {
			left += fmt.Sprintf("%s: %+v ", g.Name, u)
		}
	}
	return left
}

// honest sends a message full of datagrams, all of which have to leave.
func (c *client) honest(socket uint32, to string) uint64 {
	entries := make([]ipc.Entry, ipc.MaxBatch)
	for i := range entries {
		entries[i] = entry(uint32(i), to)
	}
	for id, one := range c.send(socket, "honest", entries...) {
		if one.Status != 0 {
			c.t.Errorf("%d: %v, %v", id, wsk.NTSTATUS(one.Status), one.Reason)
		}
	}
	return uint64(len(entries))
}
