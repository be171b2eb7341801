// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// passing is a program of some type that lets everything pass.
func passing(t *testing.T, name string, typ ebpf.ProgramType, verdict int32) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: typ, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()},
	})
	must(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// TestTellsPrograms: programs that what the kernel's stack sends meets, and what AF_XDP sends does not, are told by name: of the interface,
// and of the control group that the process is in or of one above it.
func TestTellsPrograms(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
	own, err := ownGroup()
	if own == "" || err != nil {
		t.Skipf("no control group of the second hierarchy: %v", err)
	}
	group, err := os.MkdirTemp(own, "wsk-xdp-test")
	must(t, err)
	t.Cleanup(func() { os.Remove(group) })
	inner := filepath.Join(group, "inner")
	must(t, os.Mkdir(inner, 0o755))
	t.Cleanup(func() { os.Remove(inner) })
	dir, err := os.Open(inner)
	must(t, err)
	defer dir.Close()
	look := func() (findings []Finding) {
		text, err := json.Marshal(question{"wsk0", lab.B.IPv4()})
		must(t, err)
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
		cmd.Env, cmd.Stderr = append(os.Environ(), asUser+"="+string(text)), t.Output()
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
		var out []byte
		must(t, lab.A.NS.Do(func() (err error) {
			out, err = cmd.Output()
			return err
		}))
		must(t, json.Unmarshal(out, &findings))
		return findings
	}
	before := look()
	found{"WX-CGROUP-01", OK, ""}.in(t, before)
	found{"WX-TC-01", OK, ""}.in(t, before)
	attached, err := link.AttachCgroup(link.CgroupOptions{Path: group, Attach: ebpf.AttachCGroupInetEgress, Program: passing(t, "wsk_test_group", ebpf.CGroupSKB, 1)})
	must(t, err)
	t.Cleanup(func() { attached.Close() })
	found{"WX-CGROUP-01", Warn, "wsk_test_group"}.in(t, look())
	lacks := false
	must(t, lab.A.NS.Do(func() error {
		const next = -1 // TCX_NEXT
		x, err := link.AttachTCX(link.TCXOptions{Interface: lab.A.If.Index(), Attach: ebpf.AttachTCXEgress, Program: passing(t, "wsk_test_tcx", ebpf.SchedCLS, next)})
		if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
			lacks = true // before Linux 6.6
			return nil
		}
		if err == nil {
			t.Cleanup(func() { x.Close() })
		}
		return err
	}))
	if !lacks {
		found{"WX-TC-01", Warn, "wsk_test_tcx"}.in(t, look())
	}
}
