// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// SSH is the ssh session that this process runs in. The zero value is none.
type SSH struct{ Client, Server netip.Addr }

// Valid is whether there is a session.
func (s SSH) Valid() bool { return s.Server.IsValid() }

const sshVariable = "SSH_CONNECTION"

// SSHSession finds the ssh session that this process runs in: by its environment, or by that of the processes that
// started it, since sudo takes the variable away.
func SSHSession() SSH {
	if s := parseSSH(os.Getenv(sshVariable)); s.Valid() {
		return s
	}
	return sshOfParents("/proc", os.Getppid())
}

// mostParents bounds the walk to the first process.
const mostParents = 64

func sshOfParents(proc string, pid int) SSH {
	for range mostParents {
		if pid < 2 {
			break
		}
		dir := filepath.Join(proc, strconv.Itoa(pid))
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil { // another user's may not be read
			for variable := range strings.SplitSeq(string(environ), "\x00") {
				if value, ok := strings.CutPrefix(variable, sshVariable+"="); ok {
					return parseSSH(value)
				}
			}
		}
		pid = parentOf(dir)
	}
	return SSH{}
}

func parentOf(dir string) (pid int) {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			if _, err := fmt.Sscan(rest, &pid); err != nil {
				return 0
			}
			return pid
		}
	}
	return 0
}

// parseSSH takes client address, client port, server address and server port.
func parseSSH(value string) SSH {
	words := strings.Fields(value)
	if len(words) != 4 {
		return SSH{}
	}
	client, err1 := netip.ParseAddr(words[0])
	server, err2 := netip.ParseAddr(words[2])
	if err1 != nil || err2 != nil {
		return SSH{}
	}
	return SSH{client.Unmap().WithZone(""), server.Unmap().WithZone("")}
}
