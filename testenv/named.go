// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLabExists is wrapped by UpNamed when the named lab, or another namespace of that name, is there already.
var ErrLabExists = errors.New("lab exists")

// ErrNotOurs is wrapped by DownNamed when a recorded name now belongs to a namespace that somebody else made.
var ErrNotOurs = errors.New("namespace is not ours")

// DefaultPrefix names the namespaces of `lab up`: wsk-a, wsk-b and, with a router, wsk-r.
const DefaultPrefix = "wsk"

// UpNamed builds a lab in namespaces with the names prefix-a, prefix-b and prefix-r, which outlive the process.
// Closing the lab closes descriptors only; DownNamed removes it. What it makes is recorded, by namespace inode,
// before it gets its name, so that DownNamed finds all of it, and nothing else, even if the process is killed in
// between.
//
// It needs root, for mounts in /run/netns. PeerXDP must be XDPNone: a program would die with the process.
func UpNamed(prefix string, t Topology) (lab *Lab, err error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, err
	}
	if t.PeerXDP != XDPNone {
		return nil, errors.New("lab up: PeerXDP would end with this process: leave it XDPNone")
	}
	unlock, err := lockState(prefix)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, err := readState(prefix)
	if err != nil {
		return nil, err
	}
	if err := old.makeWay(); err != nil {
		return nil, err
	}
	state := labState{Prefix: prefix, Created: time.Now()}
	defer func() {
		if err != nil {
			_, cleanup := state.remove()
			err = errors.Join(err, cleanup)
		}
	}()
	return newLab(t, func(role string) (*Namespace, error) { return state.add(role) })
}

// makeWay refuses when anything of a lab is there, and removes the files without a namespace that a killed up left
// behind.
func (s *labState) makeWay() error {
	for _, ns := range s.Namespaces {
		if ns.presence() == Present {
			down := "wsk-xdp lab down"
			if s.Prefix != DefaultPrefix {
				down += " --name " + s.Prefix
			}
			return fmt.Errorf("lab up %s: %w: namespace %s is there; run `%s` first", s.Prefix, ErrLabExists, ns.Name, down)
		}
	}
	for _, ns := range s.Namespaces {
		if ns.presence() == Unmounted {
			if err := ns.unmount(); err != nil {
				return fmt.Errorf("lab up %s: %w", s.Prefix, err)
			}
		}
	}
	return nil
}

// add makes a namespace, records it, and only then gives it its name.
func (s *labState) add(role string) (*Namespace, error) {
	name := s.Prefix + "-" + role
	ns, err := NewNamespace()
	if err != nil {
		return nil, err
	}
	inode, err := ns.Inode()
	if err == nil {
		s.Namespaces = append(s.Namespaces, namedNamespace{Role: role, Name: name, Inode: inode})
		err = s.write()
	}
	if err == nil {
		err = ns.giveName(name)
	}
	if errors.Is(err, fs.ErrExist) {
		// Not ours: forget it again, so that cleaning up leaves it alone.
		s.Namespaces = s.Namespaces[:len(s.Namespaces)-1]
		err = fmt.Errorf("%w: namespace %s is there and not recorded as ours; remove it with `ip netns del %s`",
			ErrLabExists, name, name)
	}
	if err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return ns, nil
}

// giveName binds the namespace to /run/netns/name, as iproute2 does.
func (n *Namespace) giveName(name string) error {
	if err := os.MkdirAll(namespaceDir, 0o755); err != nil {
		return fmt.Errorf("name namespace %s: %w%s", name, err, rootHint(err))
	}
	if err := shareNamespaceDir(); err != nil {
		return fmt.Errorf("name namespace %s: %w", name, err)
	}
	path := namespacePath(name)
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return fmt.Errorf("name namespace %s: %w%s", name, err, rootHint(err))
	}
	f.Close()
	source := fmt.Sprintf("/proc/self/fd/%d", n.FD())
	if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
		return errors.Join(fmt.Errorf("name namespace %s: mount: %w%s", name, err, rootHint(err)), os.Remove(path))
	}
	n.name = name
	return nil
}

// DownNamed removes what UpNamed recorded under the prefix, and returns the names it removed: none when no such lab
// is up. Links are deleted even if processes still run in the namespaces. A name that belongs to somebody else's
// namespace by now is left alone, with an error that wraps ErrNotOurs.
func DownNamed(prefix string) (removed []string, err error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, err
	}
	if _, err := os.Stat(statePath(prefix)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	unlock, err := lockState(prefix)
	if err != nil {
		return nil, err
	}
	defer unlock()
	state, err := readState(prefix)
	if err != nil {
		return nil, err
	}
	return state.remove()
}

// remove undoes add, in reverse, and forgets the record when nothing of ours is left.
func (s *labState) remove() (removed []string, err error) {
	var errs []error
	for k := len(s.Namespaces) - 1; k >= 0; k-- {
		ns := s.Namespaces[k]
		switch ns.presence() {
		case Present:
			if err := ns.remove(); err != nil {
				errs = append(errs, err)
				continue
			}
			removed = append(removed, ns.Name)
		case Unmounted:
			if err := ns.unmount(); err != nil {
				errs = append(errs, fmt.Errorf("remove the file of namespace %s: %w", ns.Name, err))
			}
		case Foreign:
			errs = append(errs, fmt.Errorf("lab down %s: %w: another namespace is called %s now; to remove it: `ip netns del %s`",
				s.Prefix, ErrNotOurs, ns.Name, ns.Name))
		}
	}
	// What is foreign stays foreign: a record of it would only repeat the error.
	for _, err := range errs {
		if !errors.Is(err, ErrNotOurs) {
			return removed, errors.Join(errs...)
		}
	}
	if err := os.Remove(statePath(s.Prefix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

func (ns namedNamespace) remove() error {
	if open, err := OpenNamespace(ns.Name); err == nil {
		err = errors.Join(open.deleteLinks(), open.Close())
		if err != nil {
			return fmt.Errorf("remove namespace %s: %w", ns.Name, err)
		}
	}
	if err := ns.unmount(); err != nil {
		return fmt.Errorf("remove namespace %s: %w", ns.Name, err)
	}
	return nil
}

// deleteLinks removes every veth, so that the far ends go even if something still holds the namespace.
func (n *Namespace) deleteLinks() error {
	h, err := n.Netlink()
	if err != nil {
		return err
	}
	links, err := Dump(h.LinkList)
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Type() != "veth" {
			continue
		}
		if err := h.LinkDel(l); err != nil && !linkMissing(err) {
			return fmt.Errorf("delete %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

func rootHint(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return " (named namespaces need root: sudo)"
	}
	return ""
}
