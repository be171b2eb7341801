// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/cable"
	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

func main() {
	switch {
	case os.Getpid() == 1:
		asInit()
	case filepath.Base(os.Args[0]) == "cable":
		os.Exit(cable.Main(os.Args[1:]))
	case len(os.Args) == 2 && os.Args[1] == "worker":
		work()
	default:
		fmt.Fprintln(os.Stderr, "agent: this is the init of a guest, see testenv/vm")
		os.Exit(2)
	}
}

// asInit does as little as possible: it starts the worker and takes in orphans, which the worker could not without
// taking its own children's exit codes from itself.
func asInit() {
	mountBase()
	worker := exec.Command("/proc/self/exe", "worker")
	worker.Stdout, worker.Stderr = os.Stdout, os.Stderr
	worker.Env = []string{"PATH=/bin"}
	if err := worker.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		off()
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == nil && pid == worker.Process.Pid || err == syscall.ECHILD {
			off()
		}
	}
}

func off() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func work() {
	raw, err := os.ReadFile(job.File)
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		return
	}
	var j job.Job
	if err := json.Unmarshal(raw, &j); err != nil {
		fmt.Fprintln(os.Stderr, "agent: read the job:", err)
		return
	}
	p, err := openPort(job.Port, j.Nonce)
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		return
	}
	env, err := prepare(&j)
	if err != nil {
		p.say(job.Marker{Kind: job.Broken, Text: err.Error()})
		p.drain()
		return
	}
	p.say(job.Marker{Kind: job.Ready, Text: release()})
	for i, c := range j.Commands {
		p.say(job.Marker{Kind: job.Begin, Index: i})
		code := p.run(c, env)
		p.say(job.Marker{Kind: job.End, Index: i, Code: code})
	}
	p.say(job.Marker{Kind: job.Done})
	p.drain()
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	return unix.ByteSliceToString(u.Release[:])
}
