// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Info names the machine in reports.
type Info struct {
	Kernel string `json:"kernel"`
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	Go     string `json:"go"`
}

// Describe describes this machine.
func Describe() Info {
	return Info{Kernel: Kernel(), Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
}

// Kernel is the release of the running kernel, as uname -r prints it.
func Kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// KernelVersion reads major and minor version out of a release, zeros if it has an unknown form.
func KernelVersion(release string) (major, minor int) {
	first, rest, _ := strings.Cut(release, ".")
	second := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		second = rest[:i]
	}
	major, err := strconv.Atoi(first)
	if err != nil {
		return 0, 0
	}
	minor, _ = strconv.Atoi(second)
	return major, minor
}

// Build is what the binary says of itself.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"revision_time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ReadBuild reads what the go command recorded in the binary.
func ReadBuild() Build {
	b := Build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the build in one line.
func (b Build) String() string {
	out := "wsk-xdp " + b.Version
	if b.Revision != "" {
		out += fmt.Sprintf(" (revision %.12s", b.Revision)
		if b.Time != "" {
			out += " of " + b.Time
		}
		if b.Modified {
			out += ", modified"
		}
		out += ")"
	}
	return out + " " + b.Go + " " + b.Platform
}
