// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Filter is a seccomp program.
type Filter []unix.SockFilter

// What a filter reads (struct seccomp_data, in the byte order of this machine), and what it answers with.
const (
	atNumber, atArch, atDomain = 0, 4, 16

	retAllow = 0x7fff0000
	retErrno = 0x00050000
	// x32Bit marks the numbers of another ABI in the same architecture as amd64.
	x32Bit = 0x40000000
)

var archs = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

var families = map[string]uint32{
	"AF_UNIX": unix.AF_UNIX, "AF_NETLINK": unix.AF_NETLINK, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6,
	"AF_XDP": unix.AF_XDP, "AF_PACKET": unix.AF_PACKET,
}

// Filter is what the unit lets through; everything else fails with EPERM, a socket of a family that is not listed with
// EAFNOSUPPORT, as under systemd.
func (u *Unit) Filter() (Filter, error) {
	arch, ok := archs[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("seccomp on %s is not known here", runtime.GOARCH)
	}
	if words := u.words("SystemCallErrorNumber"); len(words) != 1 || words[0] != "EPERM" {
		return nil, fmt.Errorf("SystemCallErrorNumber=%s, want EPERM", words)
	}
	numbers, err := u.allowed()
	if err != nil {
		return nil, err
	}
	var domains []uint32
	for _, name := range u.words("RestrictAddressFamilies") {
		f, ok := families[name]
		if !ok {
			return nil, fmt.Errorf("RestrictAddressFamilies: %s is not known here", name)
		}
		domains = append(domains, f)
	}
	f := Filter{load(atArch), jump(unix.BPF_JEQ, arch, 1, 0), fail(unix.EPERM), load(atNumber), jump(unix.BPF_JGE, x32Bit, 0, 1), fail(unix.EPERM)}
	if len(domains) > 0 {
		f = append(f, jump(unix.BPF_JEQ, unix.SYS_SOCKET, 0, uint8(2*len(domains)+2)), load(atDomain))
		f = append(f.letThrough(domains), fail(unix.EAFNOSUPPORT))
	}
	return append(f.letThrough(numbers), fail(unix.EPERM)), nil
}

// letThrough appends that what has been loaded is allowed if it is one of these.
func (f Filter) letThrough(these []uint32) Filter {
	for _, n := range these {
		f = append(f, jump(unix.BPF_JEQ, n, 0, 1), unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retAllow})
	}
	return f
}

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

func jump(how uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | how, Jt: yes, Jf: no, K: k}
}

func fail(errno unix.Errno) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(errno)}
}

// String is the filter as ParseFilter takes it.
func (f Filter) String() string {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, []unix.SockFilter(f)) // a Buffer takes everything
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// ParseFilter is the reverse of String.
func ParseFilter(s string) (Filter, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	f := make(Filter, len(b)/binary.Size(unix.SockFilter{}))
	return f, binary.Read(bytes.NewReader(b), binary.LittleEndian, []unix.SockFilter(f))
}
