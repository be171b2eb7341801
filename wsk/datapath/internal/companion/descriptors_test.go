// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestOutOfDescriptors: a bind for which the process has no descriptor left ends in STATUS_INSUFFICIENT_RESOURCES, the log says
// of what, and the next bind is none the worse.
func TestOutOfDescriptors(t *testing.T) {
	_, h := newHost(t, testenv.Topology{NoIPv6: true})
	bind(t, h, "0.0.0.0:0").close() // what is opened once only is open
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	inNetNS := h.InNetNS
	h.InNetNS = func(f func() error) error {
		return inNetNS(func() error {
			var limit unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
				return err
			}
			none := unix.Rlimit{Cur: 0, Max: limit.Max}
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
				return err
			}
			defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
			return f()
		})
	}
	req := wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:0")}
	if _, status := tryBind(t, h, req); status != wsk.STATUS_INSUFFICIENT_RESOURCES {
		t.Errorf("bind without descriptors: %v", status)
	}
	if !strings.Contains(log.String(), "too many open files") {
		t.Errorf("the log says: %s", log.String())
	}
	h.InNetNS = inNetNS
	bind(t, h, "0.0.0.0:0")
}
