// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Unit is the text of a unit file.
type Unit struct{ lines [][2]string }

// Read reads a unit file. It knows no sections, for the keys that matter here are in one only, and no continued lines.
func Read(path string) (*Unit, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	u := new(Unit)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(line, `\`) {
			return nil, fmt.Errorf("%s: a line that goes on in the next: %s", path, line)
		}
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			u.lines = append(u.lines, [2]string{key, value})
		}
	}
	return u, nil
}

// values are what the lines of a key say, in their order. An empty one takes back those before it.
func (u *Unit) values(key string) (all []string) {
	for _, line := range u.lines {
		switch {
		case line[0] != key:
		case line[1] == "":
			all = nil
		default:
			all = append(all, line[1])
		}
	}
	return all
}

// words are those of all lines of a key together.
func (u *Unit) words(key string) (all []string) {
	for _, value := range u.values(key) {
		all = append(all, strings.Fields(value)...)
	}
	return all
}

// capabilities by their numbers (include/uapi/linux/capability.h).
var capabilities = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
	LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
	SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE
	AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
	CHECKPOINT_RESTORE`)

// Capabilities are those that the program is started with (AmbientCapabilities=). It is an error if it could get others
// (CapabilityBoundingSet=).
func (u *Unit) Capabilities() ([]uintptr, error) {
	ambient, bounding := u.words("AmbientCapabilities"), u.words("CapabilityBoundingSet")
	if !slices.Equal(ambient, bounding) {
		return nil, fmt.Errorf("AmbientCapabilities=%s but CapabilityBoundingSet=%s", ambient, bounding)
	}
	var list []uintptr
	for _, name := range ambient {
		n := slices.Index(capabilities, strings.TrimPrefix(name, "CAP_"))
		if n < 0 {
			return nil, fmt.Errorf("there is no capability %s", name)
		}
		list = append(list, uintptr(n))
	}
	return list, nil
}
