// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

// port is the serial line to the host.
type port struct {
	file  *os.File
	nonce string
}

// openPort opens the serial port raw: what is written comes out unchanged.
func openPort(path, nonce string) (*port, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", path, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t); err != nil {
		return nil, fmt.Errorf("make %s raw: %w", path, err)
	}
	return &port{file: f, nonce: nonce}, nil
}

// say writes a marker on a line of its own, whatever stands there already.
func (p *port) say(m job.Marker) {
	fmt.Fprintf(p.file, "\n%s\n", m.Format(p.nonce))
}

// drain waits until all was sent.
func (p *port) drain() {
	_ = unix.IoctlSetInt(int(p.file.Fd()), unix.TCSBRK, 1)
}

// killDelay is the time between asking a command to end and ending it.
const killDelay = 10 * time.Second

// run runs a command in a session of its own and returns its code; its output goes to the host as it comes.
func (p *port) run(c job.Command, env []string) int {
	cmd := exec.Command("/bin/sh", "-c", c.Line)
	cmd.Env, cmd.Dir = env, "/tmp"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// A pipe, not the port itself: programs behave differently on a terminal.
	out, in, err := os.Pipe()
	if err != nil {
		return p.fail(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return p.fail(err)
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(p.file, out)
	}()
	code := p.await(cmd, c.Timeout)
	// What the command started and left behind may hold the pipe.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	select {
	case <-copied:
	case <-time.After(killDelay):
		fmt.Fprintf(p.file, "\nagent: a process outlives the command and holds its output\n")
	}
	out.Close()
	return code
}

func (p *port) fail(err error) int {
	fmt.Fprintf(p.file, "agent: %v\n", err)
	return 127
}

func (p *port) await(cmd *exec.Cmd, timeout time.Duration) int {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return exitCode(err)
	case <-time.After(timeout):
	}
	fmt.Fprintf(p.file, "\nagent: not done after %v\n", timeout)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGQUIT)
	select {
	case <-ended:
	case <-time.After(killDelay):
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	return job.CodeTimeout
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		return 127
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}
