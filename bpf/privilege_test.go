// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// withoutPerfmon in the environment makes this program one that loads the XDP program and says what it has loaded.
const withoutPerfmon = "WSKXDP_TEST_WITHOUT_PERFMON"

func loadWithoutPerfmon() int {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		fmt.Println(err)
		return 1
	}
	for _, opts := range []Options{{}, {MaxFrame: 9000, MultiBuffer: true}} {
		p, err := Load(opts)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		frags, why := p.Frags()
		n, _, err := p.prog.Test(to("10.77.0.2:4433").bytes())
		fmt.Println(p.opts.strict, frags, why != nil, n, err)
		if err := p.Close(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// TestWithoutPerfmon loads the program as an ordinary user with CAP_BPF and CAP_NET_ADMIN and nothing else.
func TestWithoutPerfmon(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.XDPProgram)
	child := exec.CommandContext(testenv.Context(t, wait), "/proc/self/exe")
	child.Env = append(os.Environ(), withoutPerfmon+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: []uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN},
	}
	out, err := child.CombinedOutput()
	if !testenv.KernelAtLeast(6, 12) { // 6.1 refuses what the compiler does with the stack; none in between was tried
		if err == nil || !strings.Contains(string(out), "CAP_PERFMON") {
			t.Errorf("%v: %s; want a word of CAP_PERFMON", err, out)
		}
		return
	}
	if err != nil || string(out) != "true false true 2 <nil>\ntrue true false 2 <nil>\n" {
		t.Errorf("%v: %s", err, out)
	}
}
