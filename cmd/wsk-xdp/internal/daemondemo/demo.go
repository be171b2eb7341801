// SPDX-License-Identifier: Apache-2.0

package daemondemo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Users of the demo, who own nothing: the daemon's, and those of the three programs.
const (
	daemonUser = 61000 + iota
	firstUser
	secondUser
	strangerUser
)

// capabilities are those of the unit (scripts/package/systemd).
var capabilities = []uintptr{unix.CAP_NET_RAW, unix.CAP_NET_ADMIN, unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_IPC_LOCK}

// Args are the arguments with which this binary is one of the programs: the socket, and destinations behind it.
type Args func(path string, to ...string) []string

// stepTime bounds each step.
const stepTime = 20 * time.Second

// demo is one that runs.
type demo struct {
	out    io.Writer
	self   *os.File // this binary: other users may not be able to reach its path
	args   Args
	dir    string
	lab    *testenv.Lab
	daemon *exec.Cmd  // nil: it does not run
	ended  chan error // its end
	log    bytes.Buffer
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

// as is this binary, as another user.
func (d *demo) as(ctx context.Context, uid uint32, caps []uintptr, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/fd/3", args...)
	cmd.Args[0] = "wsk-xdp"
	cmd.ExtraFiles = []*os.File{d.self}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: uid, Gid: uid},
		AmbientCaps: caps,
		Pdeathsig:   syscall.SIGKILL,
	}
	return cmd
}
