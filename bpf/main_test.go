// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) {
	if os.Getenv(withoutPerfmon) != "" {
		os.Exit(loadWithoutPerfmon())
	}
	testenv.Main(m)
}
