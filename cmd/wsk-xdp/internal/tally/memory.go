// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Bounds of what a program keeps.
const (
	Slots       = 64       // runs at once
	WindowBytes = 64 << 20 // of all windows
	mostWindows = 8 * stamp.Streams
	addresses   = 4096
)

// Options say what is counted.
type Options struct {
	Interfaces []Interface
	Port       uint16
	// Addresses are those that are listened on.
	Addresses []netip.Addr
	// Window is how many numbers of a stream are told apart, a multiple of 64.
	Window int
	// Stamps is whether they are looked at.
	Stamps bool

	windows int // for tests that need few, 0: as many as there is memory for
}

// Interface is where packets come in.
type Interface struct {
	Name  string
	Index int
	MAC   net.HardwareAddr
	// VLANs are those that the host has interfaces for on top of this one.
	VLANs []uint16
	// Merged is whether the driver hands over datagrams that nobody has cut, as tun does.
	Merged bool
}

// memory is the maps, which the programs of all interfaces share.
type memory struct {
	maps    map[string]*ebpf.Map
	cells   int // of a window
	windows int

	mu       sync.Mutex               // guards what follows
	known    [Slots]bool              // whether somebody has the Run
	seen     [Slots]wsktallyTallySlot // when they were read last
	keys     []uint32                 // for reading, as what follows
	states   []wsktallyTallyStream
	slotKeys []uint32
	slots    []wsktallyTallySlot
	err      error // of reading or writing a map
}

// newMemory makes the maps.
func newMemory(o *Options) (*memory, error) {
	m := &memory{cells: o.Window/32 + 1, maps: map[string]*ebpf.Map{}}
	m.windows = min(max(WindowBytes/(m.cells*8), 1), mostWindows)
	if o.windows > 0 {
		m.windows = o.windows
	}
	m.keys, m.states = make([]uint32, m.windows), make([]wsktallyTallyStream, m.windows)
	m.slotKeys, m.slots = make([]uint32, Slots), make([]wsktallyTallySlot, Slots)
	if err := memlock.Lift(func() error { return m.makeMaps(o) }); err != nil {
		return nil, errors.Join(err, m.close())
	}
	if err := m.fill(o); err != nil {
		return nil, errors.Join(fmt.Errorf("fill the maps of the XDP program: %w", err), m.close())
	}
	return m, nil
}

// spec is the program with maps of the sizes that it takes.
func (m *memory) spec(o *Options) (*ebpf.CollectionSpec, error) {
	spec, err := loadWsktally()
	if err != nil {
		return nil, fmt.Errorf("read the embedded object: %w", err)
	}
	for name, n := range map[string]int{
		wsktallyMapWsktallySlots: Slots, wsktallyMapWsktallyTexts: Slots, wsktallyMapWsktallyCounts: Slots, wsktallyMapWsktallySpare: Slots,
		wsktallyMapWsktallySent: Slots, wsktallyMapWsktallyTimes: Slots, wsktallyMapWsktallyWindows: Slots,
		wsktallyMapWsktallyStreams: m.windows, wsktallyMapWsktallyFree: m.windows, wsktallyMapWsktallyCells: m.windows * m.cells,
		wsktallyMapWsktallyLocal: addresses, wsktallyMapWsktallyVlans: len(vlanSet{}) * max(len(o.Interfaces), 1),
	} {
		spec.Maps[name].MaxEntries = uint32(n)
	}
	return spec, nil
}

// fence is a map of which the kernel says, when it is written, that no program runs any more that ran before.
const fence = "fence"

func (m *memory) makeMaps(o *Options) error {
	spec, err := m.spec(o)
	if err != nil {
		return err
	}
	spec.Maps[fence] = &ebpf.MapSpec{
		Name: "wsktally_fence", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1,
		InnerMap: &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1},
	}
	for name, one := range spec.Maps {
		if one.Type == ebpf.UnspecifiedMap || name == ".rodata" {
			continue
		}
		if m.maps[name], err = ebpf.NewMap(one); err != nil {
			delete(m.maps, name)
			return fmt.Errorf("make the map %s of the XDP program: %w", name, err)
		}
	}
	return nil
}

// fill enters what the programs begin with.
func (m *memory) fill(o *Options) error {
	if len(o.Addresses) > addresses {
		return fmt.Errorf("%d addresses are more than %d", len(o.Addresses), addresses)
	}
	for i := range uint32(Slots) {
		if err := m.maps[wsktallyMapWsktallySpare].Put(nil, i); err != nil {
			return err
		}
	}
	for i := range uint32(m.windows) {
		if err := m.maps[wsktallyMapWsktallyFree].Put(nil, i); err != nil {
			return err
		}
	}
	for _, a := range o.Addresses {
		if err := m.maps[wsktallyMapWsktallyLocal].Put(addressKey(a), uint32(1)); err != nil {
			return err
		}
	}
	for at, i := range o.Interfaces {
		for word, bits := range vlansOf(i.VLANs) {
			if err := m.maps[wsktallyMapWsktallyVlans].Put(uint32(at*len(vlanSet{})+word), bits); err != nil {
				return err
			}
		}
	}
	return nil
}

// vlanSet has a bit for each VLAN.
type vlanSet [4096 / 64]uint64

func vlansOf(ids []uint16) (s vlanSet) {
	for _, id := range ids {
		s[id/64%64] |= 1 << (id % 64)
	}
	return s
}

func addressKey(a netip.Addr) (k wsktallyTallyAddress) {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		k.Family, k.Addr[0] = 4, binary.NativeEndian.Uint32(b[:])
		return k
	}
	b := a.As16()
	k.Family = 6
	for i := range k.Addr {
		k.Addr[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return k
}

// wait returns when no program runs any more that ran when it was called.
func (m *memory) wait() error {
	inner, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return err
	}
	defer inner.Close()
	return m.maps[fence].Put(uint32(0), inner)
}

// failed keeps the first error. The mutex is held.
func (m *memory) failed(err error) {
	if m.err == nil && err != nil {
		m.err = fmt.Errorf("the XDP program that counts: %w", err)
	}
}

// readSlots reads all slots. The mutex is held.
func (m *memory) readSlots() {
	var cursor ebpf.MapBatchCursor
	n, err := m.maps[wsktallyMapWsktallySlots].BatchLookup(&cursor, m.slotKeys, m.slots, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		m.failed(err)
	}
	copy(m.seen[:], m.slots[:n])
}

// readStreams reads the state of all streams, each in one piece, and returns how many that are. The mutex is held.
func (m *memory) readStreams() int {
	var cursor ebpf.MapBatchCursor
	n, err := m.maps[wsktallyMapWsktallyStreams].BatchLookup(&cursor, m.keys, m.states, &ebpf.BatchOptions{ElemFlags: uint64(ebpf.LookupLock)})
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		m.failed(err)
	}
	return n
}

// clear makes a slot and its windows what they were at first, and gives them back. The streams have been read. The mutex is held.
func (m *memory) clear(slot uint32) {
	keys, none := make([]uint32, m.cells), make([]uint64, m.cells)
	var windows []uint32
	for i := range m.states {
		if o := m.states[i].Owner; o != 0 && (o-1)/stamp.Streams == slot {
			windows = append(windows, m.keys[i])
		}
	}
	for _, window := range windows {
		for i := range keys {
			keys[i] = window*uint32(m.cells) + uint32(i)
		}
		_, err := m.maps[wsktallyMapWsktallyCells].BatchUpdate(keys, none, nil)
		m.failed(err)
		m.failed(m.maps[wsktallyMapWsktallyStreams].Put(window, wsktallyTallyStream{}))
	}
	cpus, err := ebpf.PossibleCPU()
	m.failed(err)
	m.failed(m.maps[wsktallyMapWsktallyWindows].Put(slot, wsktallyTallyWindows{}))
	m.failed(m.maps[wsktallyMapWsktallyCounts].Put(slot, make([]wsktallyTallyCounts, cpus)))
	m.failed(m.maps[wsktallyMapWsktallyTimes].Put(slot, wsktallyTallyTimes{}))
	m.failed(m.maps[wsktallyMapWsktallySlots].Put(slot, wsktallyTallySlot{}))
	for _, window := range windows {
		m.failed(m.maps[wsktallyMapWsktallyFree].Put(nil, window))
	}
	m.failed(m.maps[wsktallyMapWsktallySpare].Put(nil, slot))
	m.known[slot] = false
}

func (m *memory) close() (err error) {
	for _, one := range m.maps {
		err = errors.Join(err, one.Close())
	}
	return err
}

// word is a truth value as the program has it.
func word(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
