// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
)

var (
	// ErrClosed is returned by a Program or Attachment that was closed. It is net.ErrClosed.
	ErrClosed = net.ErrClosed
	// ErrFull is wrapped in the error for an entry beyond what Options allow.
	ErrFull = errors.New("map is full")
	// ErrNoQueue is wrapped in the error for a queue beyond Options.Queues.
	ErrNoQueue = errors.New("no such queue")
)

// Program is the XDP program in the kernel, with its maps. It takes effect where it is attached. Its methods may be called
// concurrently; changes take effect for the frames that arrive after the call has returned.
//
// It refers to everything it needs until Close: program, maps and attachments, which would otherwise vanish with
// the collector's first visit.
type Program struct {
	opts  Options
	frags bool
	// fragsErr is why the frags variant was not loaded.
	fragsErr error
	id       ebpf.ProgramID

	mu          sync.Mutex // guards what follows
	closed      bool
	prog        *ebpf.Program
	maps        wskxdpMaps
	addresses   addressTable
	vlans       vlanSet // what wskxdp_vlans holds
	merged      bool    // what wskxdp_merged holds
	attachments map[*Attachment]struct{}
}

// Load puts program and maps into the kernel, where nothing changes before Attach. The variant for frames of several buffers is
// preferred; on a kernel that refuses it the plain one is loaded, see Frags.
//
// It needs CAP_BPF and CAP_NET_ADMIN outside user namespaces, and CAP_PERFMON on Linux 6.1 and before. On Linux 6.12 and newer another
// variant is loaded without it, which takes frames of several buffers only for sockets that do (Options.MultiBuffer). On a kernel
// before 5.11 it raises the process's RLIMIT_MEMLOCK for as long as it takes, if it may and must, see package memlock. The error of a
// program that the verifier refused wraps an *ebpf.VerifierError with the whole log.
func Load(opts Options) (*Program, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("load XDP program: %w", err)
	}
	p, err := loadPreferred(opts, loadSpec)
	if errors.Is(err, unix.EACCES) && !opts.strict { // the verifier's refusal: without CAP_PERFMON it takes only another
		strict := opts
		strict.strict = true
		if q, e := loadPreferred(strict, loadSpec); e == nil {
			if !q.frags && !opts.NoFrags {
				q.fragsErr = fmt.Errorf("it takes CAP_PERFMON: %w", err)
			}
			return q, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("load XDP program: %w%s", err, loadHint(err))
	}
	return p, nil
}

// loadPreferred tries the frags variant first, if the options do not exclude it. Each attempt needs a spec of its own.
func loadPreferred(opts Options, load func(*ebpf.CollectionSpec, Options, bool) (*Program, error)) (*Program, error) {
	attempt := func(frags bool) (p *Program, err error) {
		err = memlock.Lift(func() error {
			spec, err := opts.spec()
			if err != nil {
				return err
			}
			p, err = load(spec, opts, frags)
			return err
		})
		return p, err
	}
	switch {
	case opts.strict:
		return attempt(opts.MultiBuffer && !opts.NoFrags)
	case opts.NoFrags, opts.Ifindex != 0:
		return attempt(opts.Ifindex != 0)
	}
	p, fragsErr := attempt(true)
	if fragsErr == nil {
		return p, nil
	}
	p, err := attempt(false)
	if err != nil {
		return nil, err
	}
	p.fragsErr = fragsErr
	return p, nil
}

// loadSpec loads one of the programs, and with it only what that one needs.
func loadSpec(spec *ebpf.CollectionSpec, opts Options, frags bool) (*Program, error) {
	var plain struct {
		Program *ebpf.Program `ebpf:"wskxdp"`
		wskxdpMaps
	}
	var withFrags struct {
		Program *ebpf.Program `ebpf:"wskxdp_frags"`
		wskxdpMaps
	}
	var withTags struct {
		Program *ebpf.Program `ebpf:"wskxdp_tags"`
		wskxdpMaps
	}
	var strict struct {
		Program *ebpf.Program `ebpf:"wskxdp_strict"`
		wskxdpMaps
	}
	var strictTags struct {
		Program *ebpf.Program `ebpf:"wskxdp_s_tags"`
		wskxdpMaps
	}
	if opts.strict && frags {
		for _, name := range []string{wskxdpProgWskxdpStrict, wskxdpProgWskxdpS_tags} {
			spec.Programs[name].Flags |= unix.BPF_F_XDP_HAS_FRAGS
		}
	}
	var err error
	p := &Program{opts: opts, frags: frags, attachments: map[*Attachment]struct{}{}}
	p.addresses.held = map[netip.Addr]addressKind{}
	switch {
	case opts.strict && opts.Ifindex != 0:
		bound := spec.Programs[wskxdpProgWskxdpS_tags]
		bound.Ifindex, bound.Flags = uint32(opts.Ifindex), bound.Flags|unix.BPF_F_XDP_DEV_BOUND_ONLY
		err = spec.LoadAndAssign(&strictTags, nil)
		p.prog, p.maps = strictTags.Program, strictTags.wskxdpMaps
	case opts.strict:
		err = spec.LoadAndAssign(&strict, nil)
		p.prog, p.maps = strict.Program, strict.wskxdpMaps
	case opts.Ifindex != 0:
		bound := spec.Programs[wskxdpProgWskxdpTags]
		bound.Ifindex, bound.Flags = uint32(opts.Ifindex), bound.Flags|unix.BPF_F_XDP_DEV_BOUND_ONLY
		err = spec.LoadAndAssign(&withTags, nil)
		p.prog, p.maps = withTags.Program, withTags.wskxdpMaps
	case frags:
		err = spec.LoadAndAssign(&withFrags, nil)
		p.prog, p.maps = withFrags.Program, withFrags.wskxdpMaps
	default:
		err = spec.LoadAndAssign(&plain, nil)
		p.prog, p.maps = plain.Program, plain.wskxdpMaps
	}
	if err != nil {
		return nil, err
	}
	info, err := p.prog.Info()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read program back: %w", err), p.Close())
	}
	p.id, _ = info.ID()
	return p, nil
}

func loadHint(err error) string {
	if errors.Is(err, unix.EACCES) {
		return "; the verifier of this kernel takes it only from those who have CAP_PERFMON beside CAP_BPF and CAP_NET_ADMIN"
	}
	if errors.Is(err, unix.EPERM) {
		return "; it needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN outside user namespaces, and on kernels before 5.11 a memory lock limit" +
			" (ulimit -l) that holds the maps, or CAP_SYS_RESOURCE to lift it"
	}
	return ""
}

// ID is the kernel's number for the program, by which bpftool and [Holders] name it.
func (p *Program) ID() uint32 { return uint32(p.id) }

// Frags tells whether the program takes frames of several buffers, without which drivers refuse native mode on a large MTU.
// When it does not although Options allow it, the error says why.
func (p *Program) Frags() (bool, error) { return p.frags, p.fragsErr }

// SeesTags tells whether the program sees VLAN tags that the driver has beside the frame, see Options.Ifindex.
func (p *Program) SeesTags() bool { return p.opts.Ifindex != 0 }

// AddPort makes the program redirect what key owns, from the next frame on. On a key that is there already it sets the flags.
//
// The error wraps ErrInvalidAddress or ErrFull.
func (p *Program) AddPort(key Key, flags Flags) error {
	err := flags.validate()
	if err != nil {
		return fmt.Errorf("add port %v: %w", key, err)
	}
	return p.port("add port", key, func(m *ebpf.Map, k wskxdpWskxdpKey) error {
		err := m.Update(k, uint32(flags), ebpf.UpdateAny)
		if errors.Is(err, unix.E2BIG) {
			return fmt.Errorf("%w: it has %d entries already, raise Options.MaxPorts", ErrFull, p.opts.MaxPorts)
		}
		return err
	})
}

// RemovePort makes the kernel receive again what key owned. A key that is not there is no error.
func (p *Program) RemovePort(key Key) error {
	return p.port("remove port", key, func(m *ebpf.Map, k wskxdpWskxdpKey) error { return absentIsFine(m.Delete(k)) })
}

func (p *Program) port(what string, key Key, do func(*ebpf.Map, wskxdpWskxdpKey) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("%s %v: %w", what, key, ErrClosed)
	}
	k, err := key.encode()
	if err == nil {
		err = do(p.maps.WskxdpPorts, k)
	}
	if err != nil {
		return fmt.Errorf("%s %v: %w", what, key, err)
	}
	return nil
}

// SetSocket gives the frames of a receive queue to the AF_XDP socket fd, which must be bound to that queue of the interface
// for the frames to arrive, and should have filled its fill ring first. The kernel keeps the socket until ClearSocket or
// until fd is closed; close it only after ClearSocket, or frames in between are lost (I8).
//
// The error wraps ErrNoQueue, EOPNOTSUPP when fd is no AF_XDP socket, or ENOBUFS when it has no RX ring; Linux 6.18 still
// takes such a socket.
func (p *Program) SetSocket(queue, fd int) error {
	return p.socket("set socket of queue", queue, func(m *ebpf.Map, q uint32) error {
		if fd < 0 {
			return unix.EBADF
		}
		err := m.Update(q, uint32(fd), ebpf.UpdateAny)
		switch {
		case errors.Is(err, unix.EOPNOTSUPP):
			return fmt.Errorf("descriptor %d is no AF_XDP socket: %w", fd, err)
		case errors.Is(err, unix.ENOBUFS):
			return fmt.Errorf("socket %d has no RX ring: %w", fd, err)
		}
		return err
	})
}

// ClearSocket leaves the frames of a queue to the kernel. A queue without socket is no error.
func (p *Program) ClearSocket(queue int) error {
	return p.socket("clear socket of queue", queue, func(m *ebpf.Map, q uint32) error { return absentIsFine(m.Delete(q)) })
}

func (p *Program) socket(what string, queue int, do func(*ebpf.Map, uint32) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("%s %d: %w", what, queue, ErrClosed)
	}
	if queue < 0 || queue >= p.opts.Queues {
		return fmt.Errorf("%s %d: %w: the program was loaded for %d, see Options.Queues", what, queue, ErrNoQueue, p.opts.Queues)
	}
	if err := do(p.maps.WskxdpXsks, uint32(queue)); err != nil {
		return fmt.Errorf("%s %d: %w", what, queue, err)
	}
	return nil
}

func absentIsFine(err error) error {
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Close detaches the program wherever it is attached, and gives up program and maps. Sockets in it are not closed; they receive
// nothing any more. The errors of all steps are joined. A second Close does nothing.
func (p *Program) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	var errs []error
	for a := range p.attachments {
		errs = append(errs, a.closeLocked())
	}
	errs = append(errs, p.prog.Close())
	for _, m := range []*ebpf.Map{p.maps.WskxdpCounters, p.maps.WskxdpLocal, p.maps.WskxdpMerged, p.maps.WskxdpPorts,
		p.maps.WskxdpVlans, p.maps.WskxdpXsks} {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
