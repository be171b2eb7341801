// SPDX-License-Identifier: Apache-2.0

package wsknet_test

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
