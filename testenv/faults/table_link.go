// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// far is the other end of the link that the datapath uses.
func (w *world) far() *testenv.Iface { return w.lab.B.If }

// readdress gives an interface its IPv6 address again, which it has lost when it was taken down.
func (w *world) readdress(i *testenv.Iface) error {
	h := w.lab.A
	if i == w.lab.B.If {
		h = w.lab.B
	}
	if !w.fault.six {
		return nil
	}
	return i.AddAddr(netip.PrefixFrom(h.IPv6(), 64))
}

func linkFaults() []*Fault {
	down := func(i func(*world) *testenv.Iface, d time.Duration, n int) func(*world) error {
		return func(w *world) error {
			return times(n, func() error {
				return steps(i(w).SetDown, lasting(d), i(w).SetUp, func() error { return w.readdress(i(w)) }, lasting(d/4))
			})()
		}
	}
	near, far := func(w *world) *testenv.Iface { return w.lab.A.If }, (*world).far
	var out []*Fault
	for _, f := range []Fault{
		{Name: "link down", About: "The interface is taken down and up again after 0.3 s.", do: down(near, 300*time.Millisecond, 1)},
		{Name: "peer down", About: "The other end is taken down and up again after 0.3 s: no carrier.", do: down(far, 300*time.Millisecond, 1)},
		{Name: "link flaps", About: "The interface goes down and up ten times.", do: down(near, 20*time.Millisecond, 10)},
		{Name: "carrier flaps", About: "The other end goes down and up ten times.", do: down(far, 20*time.Millisecond, 10)},
	} {
		out = append(out, both(f)...)
	}
	return append(out, &Fault{Name: "link flaps, 0.4 s apart", Dir: Send, About: "Two flaps, the second while the neighbour is asked for.",
		do: func(w *world) error {
			return times(2, func() error { return steps(w.lab.A.If.StartDown, w.lab.A.If.StartUp, lasting(400*time.Millisecond)) })()
		}})
}

// again makes the first link anew as it was, with an index.
func (w *world) again(index int) error {
	a, b := w.lab.Topology.A, w.lab.Topology.B
	near, far, err := testenv.Connect(w.lab.A.NS, a, index, w.lab.B.NS, b, w.lab.Topology.MTU)
	if err != nil {
		return err
	}
	w.lab.A.If, w.lab.B.If = near, far
	return nil
}

// remove deletes the first link, when its counters are noted.
func (w *world) remove() error { return errors.Join(w.counters.note(w), w.lab.A.If.Delete()) }

func deviceFaults() []*Fault {
	again := func(same, storm bool) func(*world) error {
		return func(w *world) error {
			index := w.lab.A.If.Index()
			if !same {
				index += 40
			}
			lo, err := testenv.FindIface(w.lab.A.NS, "lo")
			if err != nil {
				return err
			}
			return steps(func() error {
				if storm {
					return lo.NeighbourStorm(60_000)
				}
				return nil
			}, w.remove, func() error { return w.again(index) }, func() error {
				if storm {
					return lo.NeighbourStorm(60_000)
				}
				return nil
			})
		}
	}
	var out []*Fault
	for _, f := range []Fault{
		{Name: "device again, other index", About: "The device is deleted and made anew with another index.", do: again(false, false)},
		{Name: "device again, same index", About: "The device is deleted and made anew with the same index.", do: again(true, false)},
		{Name: "device again, netlink overrun", About: "The device is made anew with the same index while netlink overruns.", do: again(true, true)},
		{Name: "device renamed", About: "The device is taken down, renamed, and renamed back.", do: func(w *world) error {
			name := w.lab.A.If.Name()
			return times(2, func() (err error) {
				next := "other0"
				if w.lab.A.If.Name() == next {
					next = name
				}
				w.lab.A.If, err = w.lab.A.If.Rename(next)
				return err
			})()
		}},
		{Name: "device moved", About: "The device is moved to another namespace and back.", do: func(w *world) error {
			elsewhere, err := testenv.NewNamespace()
			if err != nil {
				return err
			}
			defer elsewhere.Close()
			i, err := w.lab.A.If.Move(elsewhere)
			if err != nil {
				return err
			}
			if w.lab.A.If, err = i.Move(w.lab.A.NS); err != nil {
				return err
			}
			return steps(func() error { return w.lab.A.If.AddAddr(netip.PrefixFrom(w.lab.A.IPv4(), 24)) }, w.lab.A.If.SetUp)
		}},
	} {
		f.bound, f.mortal = true, true
		out = append(out, both(f)...)
	}
	wildcard := Fault{Name: "device again, socket of no address", Dir: Send, do: again(false, false),
		About: "The device is made anew; the socket is bound to no address and has to live."}
	inward := wildcard
	inward.Dir = Receive
	return append(out, &wildcard, &inward)
}

func mtuFaults() []*Fault {
	resize := func(mtus ...int) func(*world) error {
		return func(w *world) error {
			for _, mtu := range mtus {
				// The end that receives is never the smaller one, or it would drop what the other was right to send.
				if err := errors.Join(w.lab.B.If.SetMTU(max(mtu, 1500)), w.lab.A.If.SetMTU(mtu), w.lab.B.If.SetMTU(mtu)); err != nil {
					return err
				}
				wait(100 * time.Millisecond)
			}
			return nil
		}
	}
	receive := func(o *datapath.Options) { o.Socket.RxChunks = 0 }
	return []*Fault{
		{Name: "MTU down", Dir: Send, About: "Both ends get an MTU of 600 and 1500 again.", do: resize(600, 1500)},
		{Name: "MTU up", Dir: Send, About: "Both ends get an MTU of 3000 and 1500 again.", do: resize(3000, 1500)},
		{Name: "MTU too large", Dir: Send, About: "Both ends get an MTU that no chunk holds, and 1500 again.", do: resize(9000, 1500)},
		{Name: "MTU down", Dir: Receive, About: "Both ends get an MTU of 600 and 1500 again.", do: resize(600, 1500), options: receive},
	}
}

func addressFaults() []*Fault {
	own := func(w *world) netip.Prefix { return netip.PrefixFrom(w.lab.A.IPv4(), 24) }
	blink := func(w *world) error {
		return steps(func() error { return w.lab.A.If.DeleteAddr(own(w)) }, lasting(100*time.Millisecond),
			func() error { return w.lab.A.If.AddAddr(own(w)) })
	}
	churn := func(w *world) error {
		other := netip.MustParsePrefix("10.88.0.1/24")
		return times(100, func() error {
			return steps(func() error { return w.lab.A.If.AddAddr(other) }, func() error { return w.lab.A.If.DeleteAddr(other) })
		})()
	}
	var out []*Fault
	for _, f := range []Fault{
		{Name: "address removed", About: "The only IPv4 address of the interface goes for 0.1 s.", do: blink},
		{Name: "addresses come and go", harmless: true, About: "Another address is added and removed a hundred times.", do: churn},
	} {
		out = append(out, both(f)...)
	}
	return append(out, &Fault{Name: "address of the socket removed", Dir: Send, bound: true, do: blink,
		About: "The address that the socket is bound to goes for 0.1 s."})
}
