// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strconv"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
)

func conditions(h *host.Load) []Fact {
	return []Fact{{"processor", h.CPUModel}, {"kernel", h.Kernel}, {"CPUs", strconv.Itoa(h.CPUs)}}
}
