// SPDX-License-Identifier: Apache-2.0

package device

import (
	"log/slog"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// facts are what the driver of an interface says that it can. They are asked for when the first queue is opened, and
// again when that is so long ago that they may have changed.
type facts struct {
	mu    lockrank.Mutex[locks.FactsMu]
	known nic.Interface
	until time.Time
}

// factsPause is how long a driver is not asked again. What it has can change while the device lives: mlx5 withdraws XDP while
// hardware GRO is on, and a bond has what all its ports have.
const factsPause = 10 * time.Minute

// of asks where nothing fresh is known. The caller is in the namespace of the interface.
func (f *facts) of(ifname string, log *slog.Logger) nic.Interface {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.Before(f.until) {
		return f.known
	}
	known, err := nic.Inspect(ifname)
	if err != nil {
		known.DeviceErr = err
		log.Debug("inspect interface", "interface", ifname, "err", err)
	}
	f.known, f.until = known, now.Add(factsPause)
	return known
}
