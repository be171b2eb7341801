// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// deviceUse is the set of devices that an endpoint has sent through.
type deviceUse struct {
	mu  lockrank.Mutex[locks.DeviceUseMu]
	set map[int]struct{}
}

func (u *deviceUse) add(ifindex int) {
	u.mu.Lock()
	if u.set == nil {
		u.set = make(map[int]struct{})
	}
	u.set[ifindex] = struct{}{}
	u.mu.Unlock()
}

// Remove takes a device out and reports whether that emptied the set.
func (u *deviceUse) Remove(ifindex int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.set[ifindex]; !ok {
		return false
	}
	delete(u.set, ifindex)
	return len(u.set) == 0
}
