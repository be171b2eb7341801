// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

// bed is the checkout, the cache, and what was built.
type bed struct {
	root  string // of the checkout
	cache string
	tools vm.Toolbox
	built string // directory of what was built
	// fetched are the directories of what was asked for before: a refresh is one per run.
	fetched map[string]string
}

func openBed() (*bed, error) {
	b := &bed{root: os.Getenv("WSKXDP_ROOT"), fetched: map[string]string{}}
	if b.root == "" {
		return nil, errors.New("WSKXDP_ROOT is not set: start this by scripts/vm/run")
	}
	var err error
	if b.cache = os.Getenv("WSKXDP_VM_CACHE"); b.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, vm.Cannotf("no place for a cache: %w; set WSKXDP_VM_CACHE", err)
		}
		b.cache = filepath.Join(dir, "wsk-xdp")
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return nil, vm.Cannotf("make the cache: %w; set WSKXDP_VM_CACHE", err)
	}
	if b.built, err = os.MkdirTemp("", "wsk-xdp-vm-built-"); err != nil {
		return nil, err
	}
	if b.tools.Root, err = b.fetch("tools"); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bed) close() { os.RemoveAll(b.built) }

// lock takes a lock that all users of the cache share, and returns what gives it back.
func (b *bed) lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, vm.Cannotf("open the lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		fmt.Fprintf(os.Stderr, "vm: waiting for whoever holds %s\n", path)
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// boot runs a guest. One at a time: two would be slower than one after the other, and slow enough to fail.
func (b *bed) boot(m *vm.Machine, s vm.Setup, commands []job.Command) (*vm.Result, error) {
	path := os.Getenv("WSKXDP_VM_LOCK")
	if path == "" {
		path = filepath.Join(b.cache, "lock")
	}
	unlock, err := b.lock(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return m.Run(s, commands)
}

// fetch gets something into the cache and returns where it is.
func (b *bed) fetch(args ...string) (string, error) {
	key := strings.Join(args, " ")
	if dir, ok := b.fetched[key]; ok {
		return dir, nil
	}
	unlock, err := b.lock(filepath.Join(b.cache, "fetch.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	cmd := exec.Command(filepath.Join(b.root, "scripts/vm/fetch.sh"), args...)
	cmd.Env = append(os.Environ(), "WSKXDP_VM_CACHE="+b.cache)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == vm.ExitCannot:
		return "", vm.Cannotf("fetch %s: see above", key)
	case err != nil:
		return "", fmt.Errorf("fetch %s: %w", key, err)
	}
	b.fetched[key] = strings.TrimSpace(string(out))
	return b.fetched[key], nil
}

func (b *bed) kernel(name string) (vm.Kernel, error) {
	dir, err := b.fetch("kernel", name)
	if err != nil {
		return vm.Kernel{}, err
	}
	return vm.OpenKernel(name, dir)
}

// build makes a static program of a package of this module and returns where it is.
func (b *bed) build(name string, args ...string) (string, error) {
	path := filepath.Join(b.built, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	words := strings.Fields(os.Getenv("GO"))
	if len(words) == 0 {
		words = []string{"go"}
	}
	words = append(append(words, args[0], "-o", path), args[1:]...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return path, nil
}

func (b *bed) agent() (string, error) {
	return b.build("agent", "build", "-trimpath", "./testenv/vm/agent")
}

// command builds the program wsk-xdp.
func (b *bed) command() (vm.Program, error) {
	path, err := b.build("wsk-xdp", "build", "-trimpath", "./cmd/wsk-xdp")
	return vm.Program{Name: "wsk-xdp", Path: path}, err
}

// tests builds the test binary of a package, such as ./wsk/datapath, as wsk-datapath.test.
func (b *bed) tests(pkg string) (vm.Program, error) {
	dir := filepath.Clean(pkg)
	if !filepath.IsLocal(dir) {
		return vm.Program{}, usagef("%s: give packages relative to the checkout, such as ./wsk/datapath", pkg)
	}
	name := testBinary(dir)
	path, err := b.build(name, "test", "-c", "./"+dir)
	if err == nil {
		if _, statErr := os.Stat(path); statErr != nil {
			err = fmt.Errorf("%s has no tests", pkg)
		}
	}
	return vm.Program{Name: name, Path: path, Dir: dir}, err
}

// testBinary is what commands call the test binary of a package.
func testBinary(pkg string) string { return strings.ReplaceAll(pkg, "/", "-") + ".test" }
