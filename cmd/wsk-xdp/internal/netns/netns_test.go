// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestDo(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{})
	ns, err := Open(fmt.Sprintf("/proc/self/fd/%d", l.A.NS.FD()))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if ns.FD() < 3 {
		t.Errorf("descriptor %d: 0 would mean the process's own namespace", ns.FD())
	}
	mine := errors.New("mine")
	err = ns.Do(func() error {
		if _, err := net.InterfaceByName("wsk0"); err != nil {
			t.Errorf("inside: %v", err)
		}
		return mine
	})
	if err != mine {
		t.Errorf("error %v", err)
	}
	if _, err := net.InterfaceByName("wsk0"); err == nil {
		t.Error("the thread is still inside")
	}
}

func TestOwnNamespace(t *testing.T) {
	ns, err := Open("")
	if err != nil || ns != nil || ns.FD() != 0 || ns.Close() != nil {
		t.Errorf("%v, %v", ns, err)
	}
	ran := false
	if err := ns.Do(func() error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("ran %t, %v", ran, err)
	}
	if _, err := Open("no-such-namespace"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
