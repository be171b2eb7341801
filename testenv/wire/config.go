// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"log/slog"

	"github.com/wsk-xdp/wsk-xdp/bpf"
)

// Config says what to send.
type Config struct {
	Seed   uint64
	Frames int
	// Most is after how many differences to give up.
	Most int
	// Ignore are parts of what cases are: those are not made. It is for looking beyond what is known.
	Ignore []string
	// Sysctls are set in both hosts, as in ipv4/conf/all/rp_filter=1.
	Sysctls []string
	// Mode is where the XDP program runs. In generic mode it does not see tags beside frames: ignore "tag beside".
	Mode bpf.Mode
	// Log gets the datapath's log, nil discards.
	Log *slog.Logger
	// Progress, if set, is called now and then.
	Progress func(frames int)

	strict bool // nothing is excused
}
