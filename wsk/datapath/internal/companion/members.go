// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// members knows which groups sockets of this host have joined, be they ours or another program's. The kernel announces
// that only since Linux 6.14, so it is read.
type members struct{ last atomic.Pointer[memberList] }

// memberList is what was read at one time.
type memberList struct {
	read   time.Time
	joined map[groupKey]struct{} // nil if it could not be read
}

// membersAge is how long what was read is good for: how late a member that another program has may be known.
const membersAge = 500 * time.Millisecond

// forget makes the next question read anew.
func (m *members) forget() { m.last.Store(new(memberList)) } // not nil: of what is being read now, nothing is to be kept

// HasMembers reports whether a socket of this host has joined a group on an interface. Where that can't be read it says
// so of every group, for then the kernel, which knows, has to send.
func (h *Host) HasMembers(ifindex int, group netip.Addr) bool {
	list := h.members.last.Load()
	if list == nil || time.Since(list.read) > membersAge {
		old := list
		list = h.readMembers()
		h.members.last.CompareAndSwap(old, list)
	}
	if list.joined == nil {
		return true
	}
	_, ok := list.joined[groupKey{group.Unmap(), uint32(ifindex)}]
	return ok
}

func (h *Host) readMembers() *memberList {
	lockrank.AssertMay(locks.Ask, "to read the groups of the host")
	list := &memberList{read: time.Now()}
	err := h.InNetNS(func() error {
		igmp, err := os.ReadFile("/proc/thread-self/net/igmp")
		if err != nil {
			return err
		}
		mld, err := os.ReadFile("/proc/thread-self/net/igmp6")
		if err != nil && !os.IsNotExist(err) { // there is none without IPv6
			return err
		}
		list.joined = make(map[groupKey]struct{})
		parseIGMP(list.joined, string(igmp))
		parseMLD(list.joined, string(mld))
		return nil
	})
	if err != nil {
		h.Log.Debug("read the groups of the host; all are sent by the kernel", "err", err)
	}
	return list
}

// parseIGMP reads /proc/net/igmp: a line for each interface that begins with its index, and under it indented ones that
// begin with a group, the hexadecimal form of the word that it is in memory.
func parseIGMP(joined map[groupKey]struct{}, text string) {
	var ifindex uint64
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if line[0] != '\t' && line[0] != ' ' {
			ifindex, _ = strconv.ParseUint(fields[0], 10, 32) // 0, which is none, for the heading
			continue
		}
		word, err := strconv.ParseUint(fields[0], 16, 32)
		if err != nil || ifindex == 0 {
			continue
		}
		var group [4]byte
		binary.NativeEndian.PutUint32(group[:], uint32(word))
		joined[groupKey{netip.AddrFrom4(group), uint32(ifindex)}] = struct{}{}
	}
}

// parseMLD reads /proc/net/igmp6: lines of an interface's index, its name and a group in 32 hexadecimal digits.
func parseMLD(joined map[groupKey]struct{}, text string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		ifindex, err := strconv.ParseUint(fields[0], 10, 32)
		group, bad := hex.DecodeString(fields[2])
		if err != nil || bad != nil || len(group) != 16 {
			continue
		}
		joined[groupKey{netip.AddrFrom16([16]byte(group)), uint32(ifindex)}] = struct{}{}
	}
}
