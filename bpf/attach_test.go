// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

const loopbackIndex = 1

// attach attaches in the namespace of the host.
func attach(h *testenv.Host, ifindex int, p *Program, mode Mode) (a *Attachment, err error) {
	err = h.NS.Do(func() (err error) {
		a, err = p.Attach(ifindex, mode)
		return err
	})
	return a, err
}

func attachT(t testing.TB, h *testenv.Host, p *Program, mode Mode) *Attachment {
	t.Helper()
	a, err := attach(h, h.If.Index(), p, mode)
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	return a
}

func holdersT(t testing.TB, h *testenv.Host, ifindex int) (list []Holder) {
	t.Helper()
	must(t, h.NS.Do(func() (err error) {
		list, err = Holders(ifindex)
		return err
	}))
	return list
}

func labT(t testing.TB, top testenv.Topology) *testenv.Lab {
	t.Helper()
	testenv.Require(t, testenv.XDPProgram)
	return testenv.NewLabT(t, top)
}

func TestAttachModes(t *testing.T) {
	for _, c := range []struct {
		ask, want Mode
		opts      Options
	}{
		{Native, Native, Options{}},
		{Generic, Generic, Options{}},
		{Auto, Native, Options{}},
		{Native, Native, Options{NoFrags: true}},
		{Generic, Generic, Options{NoFrags: true}},
	} {
		t.Run(fmt.Sprintf("%v/%v", c.ask, c.opts.NoFrags), func(t *testing.T) {
			lab := labT(t, testenv.Topology{})
			p := loadT(t, c.opts)
			name := wskxdpProgWskxdp
			if frags, _ := p.Frags(); frags {
				name = wskxdpProgWskxdpFrags
			}
			a := attachT(t, lab.B, p, c.ask)
			if a.Mode() != c.want || a.Fallback() != nil || a.Ifindex() != lab.B.If.Index() {
				t.Errorf("granted %v at %d, fallback %v", a.Mode(), a.Ifindex(), a.Fallback())
			}
			want := Holder{ID: p.ID(), Name: name, Mode: c.want}
			got := holdersT(t, lab.B, lab.B.If.Index())
			if len(got) != 1 || got[0] != want || !got[0].Own() || got[0].Dispatcher() {
				t.Errorf("interface has %+v, want %+v", got, want)
			}
			if ok, err := a.Attached(); !ok || err != nil {
				t.Errorf("attached = %v, %v", ok, err)
			}
			must(t, a.Close(), a.Close())
			if got := holdersT(t, lab.B, lab.B.If.Index()); len(got) != 0 {
				t.Errorf("after close the interface has %v", got)
			}
			if ok, err := a.Attached(); ok || err != nil {
				t.Errorf("after close attached = %v, %v", ok, err)
			}
			// The program can be attached again.
			attachT(t, lab.B, p, c.ask)
		})
	}
}

func TestAutoFallsBackToGenericAndSaysWhy(t *testing.T) {
	lab := labT(t, testenv.Topology{})
	p := loadT(t, Options{})
	a, err := attach(lab.B, loopbackIndex, p, Auto) // which has no native XDP
	must(t, err)
	if a.Mode() != Generic || !errors.Is(a.Fallback(), unix.EOPNOTSUPP) {
		t.Errorf("granted %v, fallback %v", a.Mode(), a.Fallback())
	}
	must(t, a.Close())
}

// TestRefusalsSayWhatToDo: errno, interface, and a remedy.
func TestRefusalsSayWhatToDo(t *testing.T) {
	type given struct {
		lab  *testenv.Lab
		opts Options
		mode Mode
		at   int // 0: the lab's interface
	}
	for _, c := range []struct {
		name  string
		given func(t *testing.T) given
		errno unix.Errno
		says  []string
	}{
		{"no-native", func(t *testing.T) given { return given{labT(t, testenv.Topology{}), Options{}, Native, loopbackIndex} },
			unix.EOPNOTSUPP, []string{"lo (interface 1)", "native", "use generic mode"}},
		{"mtu", func(t *testing.T) given {
			return given{labT(t, testenv.Topology{MTU: 9000}), Options{NoFrags: true}, Native, 0}
		},
			unix.ERANGE, []string{"wsk1", "lower it to 3000", "NoFrags"}},
		{"queues", func(t *testing.T) given {
			return given{labT(t, testenv.Topology{A: testenv.End{TX: 2}, B: testenv.End{RX: 1}}), Options{}, Native, 0}
		}, unix.ENOSPC, []string{"wsk1", "ethtool -L"}},
		{"no-interface", func(t *testing.T) given { return given{labT(t, testenv.Topology{}), Options{}, Auto, 9999} },
			unix.ENODEV, []string{"interface 9999", "no such interface"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := c.given(t)
			if g.at == 0 {
				g.at = g.lab.B.If.Index()
			}
			a, err := attach(g.lab.B, g.at, loadT(t, g.opts), g.mode)
			if err == nil {
				t.Fatalf("attached, %v", a.Mode())
			}
			var refusal *AttachError
			if !errors.As(err, &refusal) || refusal.Ifindex != g.at || !errors.Is(err, c.errno) {
				t.Errorf("%v: want an *AttachError with %v", err, c.errno)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
			if got := holdersT(t, g.lab.B, g.lab.B.If.Index()); len(got) != 0 {
				t.Errorf("interface has %v", got)
			}
		})
	}
}

func TestLargeMTU(t *testing.T) {
	want := Native
	if !kernelHasFrags() {
		want = Generic
	}
	lab := labT(t, testenv.Topology{MTU: 9000})
	if a := attachT(t, lab.B, loadT(t, Options{}), Auto); a.Mode() != want {
		t.Errorf("granted %v, want %v: %v", a.Mode(), want, a.Fallback())
	}
	lab = labT(t, testenv.Topology{MTU: 9000})
	if a := attachT(t, lab.B, loadT(t, Options{NoFrags: true}), Auto); a.Mode() != Generic || !errors.Is(a.Fallback(), unix.ERANGE) {
		t.Errorf("without frags: granted %v, fallback %v", a.Mode(), a.Fallback())
	}
}

func TestInvalidArguments(t *testing.T) {
	p := loadT(t, Options{})
	for _, ifindex := range []int{0, -1} {
		if _, err := p.Attach(ifindex, Generic); err == nil {
			t.Errorf("interface %d was accepted", ifindex)
		}
	}
	if _, err := p.Attach(loopbackIndex, Offload); err == nil {
		t.Error("offload was accepted")
	}
}

// foreign puts another's program on the interface: by a link, or as ip link set xdp does, which lives until it is taken off.
func foreign(t *testing.T, h *testenv.Host, name string, generic, byLink bool) uint32 {
	t.Helper()
	var prog *ebpf.Program
	must(t, memlock.Lift(func() (err error) {
		prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.XDP, License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()}})
		return err
	}))
	t.Cleanup(func() { prog.Close() })
	must(t, h.NS.Do(func() error {
		if !byLink {
			flags := nlFlags(generic)
			l, err := netlink.LinkByIndex(h.If.Index())
			if err != nil {
				return err
			}
			return netlink.LinkSetXdpFdWithFlags(l, prog.FD(), flags)
		}
		mode := link.XDPDriverMode
		if generic {
			mode = link.XDPGenericMode
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: h.If.Index(), Flags: mode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	}))
	info, err := prog.Info()
	must(t, err)
	id, _ := info.ID()
	return uint32(id)
}

func nlFlags(generic bool) int {
	if generic {
		return unix.XDP_FLAGS_SKB_MODE
	}
	return unix.XDP_FLAGS_DRV_MODE
}

func TestForeignProgramIsNeverReplaced(t *testing.T) {
	for _, name := range []string{"somebody_else", "xdp_dispatcher"} {
		for _, generic := range []bool{false, true} {
			for _, byLink := range []bool{false, true} {
				lab := labT(t, testenv.Topology{})
				id := foreign(t, lab.B, name, generic, byLink)
				held := Holder{ID: id, Name: name, Mode: Native}
				if generic {
					held.Mode = Generic
				}
				p := loadT(t, Options{})
				for _, mode := range []Mode{Auto, Native, Generic} {
					_, err := attach(lab.B, lab.B.If.Index(), p, mode)
					var conflict *ConflictError
					if !errors.As(err, &conflict) {
						t.Fatalf("%+v by link %v, asked %v: %v, want a *ConflictError", held, byLink, mode, err)
					}
					if !slices.Equal(conflict.Holders, []Holder{held}) || conflict.Ifname != "wsk1" {
						t.Errorf("conflict with %+v at %q, want %+v", conflict.Holders, conflict.Ifname, held)
					}
					says := []string{"never replaced", held.String(), "wsk1", "copy mode needs no program"}
					if name == "xdp_dispatcher" {
						says = append(says, "libxdp", "xdp-loader status wsk1")
					}
					for _, s := range says {
						if !strings.Contains(err.Error(), s) {
							t.Errorf("%q does not say %q", err, s)
						}
					}
				}
				if got := holdersT(t, lab.B, lab.B.If.Index()); !slices.Equal(got, []Holder{held}) {
					t.Errorf("interface has %+v, want still %+v", got, held)
				}
			}
		}
	}
}

func TestOwnProgramIsNotReplacedEither(t *testing.T) {
	lab := labT(t, testenv.Topology{})
	first := loadT(t, Options{})
	attachT(t, lab.B, first, Native)
	_, err := attach(lab.B, lab.B.If.Index(), loadT(t, Options{}), Auto)
	var conflict *ConflictError
	if !errors.As(err, &conflict) || !conflict.Holders[0].Own() || !strings.Contains(err.Error(), "wsk-xdp program") {
		t.Errorf("%v: want a *ConflictError that knows its own", err)
	}
	if got := holdersT(t, lab.B, lab.B.If.Index()); len(got) != 1 || got[0].ID != first.ID() {
		t.Errorf("interface has %+v", got)
	}
}

func collect() {
	// Cleanups run after the collection that found the object; theirs may free more.
	for range 5 {
		runtime.GC()
		runtime.Gosched()
	}
}

// TestCollectorDetachesNothing (I9): as long as either the Program or the Attachment is held, the program stays where it is.
func TestCollectorDetachesNothing(t *testing.T) {
	lab := labT(t, testenv.Topology{})
	t.Run("program-held", func(t *testing.T) {
		p := loadT(t, Options{})
		if _, err := attach(lab.B, lab.B.If.Index(), p, Native); err != nil {
			t.Fatal(err)
		}
		collect()
		if got := holdersT(t, lab.B, lab.B.If.Index()); len(got) != 1 || got[0].ID != p.ID() {
			t.Errorf("interface has %+v", got)
		}
		must(t, p.Close())
	})
	t.Run("attachment-held", func(t *testing.T) {
		load := func() *Attachment {
			p, err := Load(Options{})
			must(t, err, p.AddPort(key("10.77.0.2:4433"), 0))
			a, err := attach(lab.B, lab.B.If.Index(), p, Native)
			must(t, err)
			return a
		}
		a := load()
		collect()
		if got := holdersT(t, lab.B, lab.B.If.Index()); len(got) != 1 {
			t.Errorf("interface has %+v", got)
		}
		if ok, err := a.Attached(); !ok || err != nil {
			t.Errorf("attached = %v, %v", ok, err)
		}
		must(t, a.program.Close()) // also proves that its maps are still open
	})
}

func TestProgramCloseDetachesEverywhere(t *testing.T) {
	lab := labT(t, testenv.Topology{})
	p := loadT(t, Options{})
	for _, ifindex := range []int{lab.B.If.Index(), loopbackIndex} {
		if _, err := attach(lab.B, ifindex, p, Auto); err != nil {
			t.Fatal(err)
		}
	}
	must(t, p.Close())
	for _, ifindex := range []int{lab.B.If.Index(), loopbackIndex} {
		if got := holdersT(t, lab.B, ifindex); len(got) != 0 {
			t.Errorf("interface %d has %+v", ifindex, got)
		}
	}
}

// TestCloseDetachesWhatAChildHolds: a process that was just forked has the descriptor of the link until it executes another.
func TestCloseDetachesWhatAChildHolds(t *testing.T) {
	lab := labT(t, testenv.Topology{})
	a := attachT(t, lab.B, loadT(t, Options{}), Native)
	held, err := unix.FcntlInt(uintptr(a.link.(interface{ FD() int }).FD()), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(held)
	must(t, a.Close())
	if got := holdersT(t, lab.B, lab.B.If.Index()); len(got) != 0 {
		t.Errorf("the interface has %+v", got)
	}
}

func TestAttachedTellsWhenItIsNot(t *testing.T) {
	t.Run("interface-deleted", func(t *testing.T) {
		lab := labT(t, testenv.Topology{})
		a := attachT(t, lab.B, loadT(t, Options{}), Native)
		must(t, lab.A.If.Delete())
		if ok, err := a.Attached(); ok || err != nil {
			t.Errorf("attached = %v, %v", ok, err)
		}
		must(t, a.Close())
	})
	t.Run("detached-by-force", func(t *testing.T) {
		lab := labT(t, testenv.Topology{})
		a := attachT(t, lab.B, loadT(t, Options{}), Native)
		must(t, a.link.Detach())
		if ok, err := a.Attached(); ok || err != nil {
			t.Errorf("attached = %v, %v", ok, err)
		}
		must(t, a.Close())
	})
}

// TestLoadWithoutPrivilege drops the capabilities of the thread that Do runs on. It cannot return to its namespace then, and
// ends. (Attaching asks for none on current kernels: whoever has the program may.)
func TestLoadWithoutPrivilege(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	ns := testenv.NewNamespaceT(t)
	must(t, ns.Do(func() error {
		if _, err := testenv.DropCapabilities(); err != nil {
			return err
		}
		p, err := Load(Options{})
		if err == nil {
			p.Close()
		}
		if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_BPF") {
			t.Errorf("%v: want EPERM and the capability", err)
		}
		return nil
	}))
}

func TestModeNames(t *testing.T) {
	for mode, want := range map[Mode]string{Auto: "auto", Native: "native", Generic: "generic", Offload: "offload", 9: "mode 9"} {
		if got := mode.String(); got != want {
			t.Errorf("mode %d: %q, want %q", mode, got, want)
		}
	}
}
