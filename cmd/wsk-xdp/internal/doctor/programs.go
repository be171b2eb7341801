// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
)

// linkPrograms are the programs of some kinds at an interface that tc does not list.
func linkPrograms(ifindex int, kinds ...ebpf.AttachType) (out []string, err error) {
	for _, at := range kinds {
		names, err := programsAt(ifindex, at, 0)
		switch {
		case errors.Is(err, unix.EPERM):
			return nil, fmt.Errorf("list the programs of the interface (needs CAP_NET_ADMIN and CAP_BPF): %w", err)
		case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENXIO), errors.Is(err, unix.EACCES):
			// a kernel, or an interface, without them
		case err != nil:
			return nil, fmt.Errorf("list the programs of the interface: %w", err)
		}
		out = append(out, names...)
	}
	return out, nil
}

// groupPrograms are those of this process's control group, and of those above it, that what its sockets send meets, and those that what
// they get does.
func groupPrograms() (is Answer, programs, ingress []string) {
	dir, err := ownGroup()
	if dir == "" && err == nil {
		return Answer{Answer: "yes"}, nil, nil // a kernel without control groups, or without the second hierarchy
	}
	if err != nil {
		return known(err), nil, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return known(fmt.Errorf("look at the control group of this process: %w", err)), nil, nil
	}
	defer d.Close()
	for _, at := range []ebpf.AttachType{ebpf.AttachCGroupInetIngress, ebpf.AttachCGroupInetEgress, ebpf.AttachCGroupUDP4Sendmsg, ebpf.AttachCGroupUDP6Sendmsg} {
		const effective = 1 // BPF_F_QUERY_EFFECTIVE
		names, err := programsAt(int(d.Fd()), at, effective)
		switch {
		case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EINVAL): // a kernel without them
		case err != nil:
			return known(fmt.Errorf("list the programs of the control group %s (needs CAP_NET_ADMIN and CAP_BPF): %w", dir, err)), nil, nil
		case at == ebpf.AttachCGroupInetIngress:
			ingress = names
		default:
			programs = append(programs, names...)
		}
	}
	slices.Sort(programs)
	return Answer{Answer: "yes"}, slices.Compact(programs), ingress
}

// ownGroup is the directory of this process's group in the second hierarchy, as it is mounted here.
func ownGroup() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find the control group of this process: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil {
			return "", fmt.Errorf("find the control group of this process: %w", err)
		}
		for m := range strings.Lines(string(mounts)) {
			if f := strings.Fields(m); len(f) > 2 && f[2] == "cgroup2" {
				return f[1] + path, nil
			}
		}
		return "", errors.New("find the control group of this process: cgroup2 is not mounted here")
	}
	return "", nil
}

func programsAt(target int, at ebpf.AttachType, flags uint32) (names []string, err error) {
	res, err := link.QueryPrograms(link.QueryOptions{Target: target, Attach: at, QueryFlags: flags})
	if errors.Is(err, ebpf.ErrNotSupported) && !mayAsk() {
		return nil, unix.EPERM // which the library takes for a kernel without the question
	}
	if err != nil {
		return nil, err
	}
	for _, p := range res.Programs {
		names = append(names, programName(p.ID))
	}
	return names, nil
}

// mayAsk is whether every kernel tells this process of programs. Before Linux 5.19 it takes CAP_BPF, too, where unprivileged_bpf_disabled
// is set.
func mayAsk() bool {
	p := host.ReadPrivilege()
	return p.HasGlobally(unix.CAP_SYS_ADMIN) || p.HasGlobally(unix.CAP_NET_ADMIN) && p.HasGlobally(unix.CAP_BPF)
}

func programName(id ebpf.ProgramID) string {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return fmt.Sprintf("program %d", id)
	}
	defer p.Close()
	if info, err := p.Info(); err == nil && info.Name != "" {
		return info.Name
	}
	return fmt.Sprintf("program %d", id)
}
