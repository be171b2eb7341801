// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// killedHalfWay: what another process made can be taken down, also when one name was recorded but never mounted.
func killedHalfWay() error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"=named-cut-short")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := stdout.Read(make([]byte, 16)); err != nil {
		return err
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := unix.Unmount("/run/netns/cut-b", unix.MNT_DETACH); err != nil {
		return err
	}
	if status, err := StatusNamed("cut"); err != nil || status[0].Namespaces[1].Presence != Unmounted {
		return fmt.Errorf("status %+v, %v", status, err)
	}
	if removed, err := DownNamed("cut"); err != nil || len(removed) != 2 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	return nothingIn("/run/netns", "/run/wsk-xdp", "lab.lock")
}

// upAfterKill: files that a killed up left without a namespace are in no one's way, least of all in that of the next
// up, which would forget that they are recorded.
func upAfterKill() error {
	lab, err := UpNamed("cut", Topology{})
	if err != nil {
		return err
	}
	for _, name := range []string{"cut-a", "cut-b"} {
		if err := unix.Unmount(namespacePath(name), unix.MNT_DETACH); err != nil {
			return err
		}
	}
	if err := lab.Close(); err != nil {
		return err
	}
	lab, err = UpNamed("cut", Topology{})
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	defer lab.Close()
	// The advice is about this lab and not about the one without a name.
	if _, err := UpNamed("cut", Topology{}); !errors.Is(err, ErrLabExists) || !strings.Contains(err.Error(), "`wsk-xdp lab down --name cut`") {
		return fmt.Errorf("second up: %v", err)
	}
	if removed, err := DownNamed("cut"); err != nil || len(removed) != 2 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	return nothingIn("/run/netns", "/run/wsk-xdp", "lab.lock")
}
