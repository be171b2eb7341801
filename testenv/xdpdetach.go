// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"

	"github.com/cilium/ebpf/link"
)

// DetachProgram takes an XDP program off its interface by force, as bpftool link detach does.
func DetachProgram(program uint32) error {
	var links link.Iterator
	defer links.Close()
	for links.Next() {
		info, err := links.Link.Info()
		if err != nil || uint32(info.Program) != program {
			continue
		}
		return links.Link.Detach()
	}
	return fmt.Errorf("detach XDP program %d: it has no link", program)
}
