// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Holder is an AF_XDP socket that is bound to a queue. One queue has several where they share a UMEM.
type Holder struct {
	Queue uint32
	// Inode is the number of the socket, as in the "socket:[N]" of /proc/PID/fd.
	Inode uint32
	// UID is its owner, as the user namespace of the caller numbers users.
	UID uint32
	// Processes have it open, or its rings mapped. None where /proc shows none: see Holders.Denied.
	Processes []Process
}

// Holders are the AF_XDP sockets that hold the queues of an interface, as far as the kernel tells.
type Holders struct {
	// Sockets is the number of AF_XDP sockets in the network namespace, bound or not; −1: not known.
	Sockets int
	// Bound are the sockets that are bound to the interface, in the order of queues.
	Bound []Holder
	// Err is why Bound may not be all of them, or nil if it is. It wraps ErrNotSupported where the kernel tells
	// nothing.
	Err error
	// Candidates are the processes that have the rings of an AF_XDP socket mapped that Bound does not name. It may be
	// in another network namespace or on another interface. They are looked for only where Err is not nil.
	Candidates []Process
	// Denied is whether /proc hid something because this process lacks the privilege to see it.
	Denied bool
}

// FindHolders asks the kernel which AF_XDP sockets are bound to an interface of the calling thread's network namespace,
// and looks through /proc for the processes that have them. It changes nothing and needs no privilege, but without
// privilege sees only the processes of its own user. It reads all of /proc, which takes some milliseconds, or more with
// many processes: it is for diagnosis. The result says what could not be found out.
func FindHolders(ifindex int) Holders {
	return findHolders(ifindex, "/proc", diagSockets)
}

func findHolders(ifindex int, proc string, list func() ([]diagSocket, error)) Holders {
	h := Holders{Bound: []Holder{}}
	var countErr error
	if h.Sockets, countErr = countSockets(proc); h.Sockets == 0 {
		return h // every kernel tells that
	}
	sockets, err := list()
	if err == nil && len(sockets) < h.Sockets {
		// One may have come or gone in between.
		h.Sockets, countErr = countSockets(proc)
		sockets, err = list()
	}
	switch {
	case err != nil:
		h.Err = err
	case countErr != nil:
		h.Err = fmt.Errorf("whether the kernel's list of AF_XDP sockets is whole is not known: %w", countErr)
	case len(sockets) < h.Sockets:
		h.Err = fmt.Errorf("the kernel lists %d of %d AF_XDP sockets: its list ends at one whose interface was deleted",
			len(sockets), h.Sockets)
	}
	wanted := map[uint32]bool{}
	for _, s := range sockets {
		if s.ifindex != 0 && int64(s.ifindex) == int64(ifindex) {
			h.Bound = append(h.Bound, Holder{Queue: s.queue, Inode: s.inode, UID: s.uid})
			wanted[s.inode] = true
		}
	}
	slices.SortStableFunc(h.Bound, func(a, b Holder) int { return cmp.Compare(a.Queue, b.Queue) })
	if len(wanted) > 0 || h.Err != nil {
		h.findProcesses(proc, sockets, wanted)
	}
	return h
}

func (h *Holders) findProcesses(proc string, sockets []diagSocket, wanted map[uint32]bool) {
	users, err := findSocketUsers(proc, wanted)
	h.Denied = users.denied || err != nil
	for i := range h.Bound {
		h.Bound[i].Processes = users.of(h.Bound[i].Inode)
	}
	if h.Err == nil {
		return
	}
	for _, s := range sockets {
		delete(users.rings, s.inode) // what the kernel told about is no candidate
	}
	for _, list := range users.rings {
		h.Candidates = append(h.Candidates, list...)
	}
	h.Candidates = sortProcesses(h.Candidates)
}

// countSockets reads the number of AF_XDP sockets of the calling thread's network namespace. Every kernel with AF_XDP
// counts them (sock_prot_inuse_add in net/xdp/xsk.c).
func countSockets(proc string) (int, error) {
	f, err := os.Open(proc + "/thread-self/net/protocols")
	if err != nil {
		return -1, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// protocol size sockets …
		words := strings.Fields(lines.Text())
		if len(words) < 3 || words[0] != "XDP" {
			continue
		}
		n, err := strconv.ParseUint(words[2], 10, 31)
		if err != nil {
			return -1, fmt.Errorf("count AF_XDP sockets: %w", err)
		}
		return int(n), nil
	}
	return -1, errors.Join(errors.New("count AF_XDP sockets: /proc/net/protocols does not name them"), lines.Err())
}

// Describe says in words which process holds a queue. It is for a queue that was found to be held.
func (h *Holders) Describe(queue uint32) string {
	var known []Process
	var orphan *Holder
	for i := range h.Bound {
		switch b := &h.Bound[i]; {
		case b.Queue != queue:
		case len(b.Processes) == 0:
			orphan = b
		default:
			known = append(known, b.Processes...)
		}
	}
	switch {
	case len(known) > 0:
		return "held by " + nameProcesses(sortProcesses(known))
	case orphan != nil && h.Denied:
		return fmt.Sprintf("held by a process of user %d that is not shown to this one: ask as root", orphan.UID)
	case orphan != nil:
		return fmt.Sprintf("held by a socket of user %d that no process in /proc has: look outside of this container", orphan.UID)
	case h.Err == nil:
		return "no open AF_XDP socket of this network namespace holds it: the kernel has not yet let go of a closed one, " +
			"or the driver refuses for a reason of its own"
	}
	if len(h.Candidates) > 0 {
		return fmt.Sprintf("perhaps held by %s, here or in another network namespace; not certain: %v", nameProcesses(h.Candidates), h.Err)
	}
	return "who holds it is not known: " + h.Unknown()
}

// Unknown says why the sockets are not all known, and which processes may have the others; empty if all are known.
func (h *Holders) Unknown() string {
	if h.Err == nil {
		return ""
	}
	text := h.Err.Error()
	switch {
	case len(h.Candidates) > 0:
		text += "; with AF_XDP sockets, in this network namespace or another: " + nameProcesses(h.Candidates)
	case h.Denied:
		text += "; processes with AF_XDP sockets are shown to root"
	}
	return text
}

// nameProcesses lists them, as many as a user can look through.
func nameProcesses(list []Process) string {
	const shown = 16
	var words []string
	for _, p := range list[:min(len(list), shown)] {
		words = append(words, p.String())
	}
	text := strings.Join(words, ", ")
	if more := len(list) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
