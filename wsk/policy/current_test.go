// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

func TestReload(t *testing.T) {
	const allow = "[[allow]]\nname = \"a\"\nuid = 7\ndestination = [\"10.0.0.0/8\"]\n"
	first := parse(t, preamble+allow)
	c := policy.NewCurrent(first)

	err := c.Reload("p.toml", []byte(preamble+"[[allow]]\nname = \"a\"\nuid = 7\ndestination = [\"10.0.0.0/33\"]\n"), host)
	if err == nil || !strings.Contains(err.Error(), "p.toml:7:16:") || c.Load() != first {
		t.Errorf("a broken file: %v, the old policy stays: %t", err, c.Load() == first)
	}
	err = c.Reload("p.toml", []byte(strings.Replace(preamble+allow, "[interface.eth1]", "[interface.eth1]\nqueues = 2", 1)), host)
	if !errors.Is(err, policy.ErrRestart) || c.Load() != first {
		t.Errorf("another number of queues: %v, the old policy stays: %t", err, c.Load() == first)
	}
	if err := c.Reload("p.toml", []byte(preamble+strings.Replace(allow, "uid = 7", "uid = 8", 1)), host); err != nil {
		t.Fatal(err)
	}
	if g, _ := c.Load().Match(&policy.Identity{UID: 7}); g != nil {
		t.Error("uid 7 still has its grant")
	}
	if g, _ := c.Load().Match(&policy.Identity{UID: 8}); g == nil {
		t.Error("uid 8 has none yet")
	}
	f := flow("10.0.0.1", 9)
	if got := first.Grants()[0].Admit(&f); got != 0 {
		t.Errorf("a grant of the old policy has changed: %s", got)
	}
}

// TestReloadWhileOthersAsk is for the race detector: every policy that is seen is a whole one.
func TestReloadWhileOthersAsk(t *testing.T) {
	texts := []string{
		preamble + "[[allow]]\nname = \"ten\"\nuid = 7\ndestination = [\"10.0.0.0/8\"]\n",
		preamble + "[[allow]]\nname = \"eleven\"\nuid = 7\ndestination = [\"11.0.0.0/8\"]\n",
	}
	c := policy.NewCurrent(parse(t, texts[0]))
	var askers, loaders sync.WaitGroup
	for range 2 {
		askers.Go(func() {
			ten, eleven := flow("10.0.0.1", 9), flow("11.0.0.1", 9)
			for range 2000 {
				g, name := c.Load().Match(&policy.Identity{UID: 7})
				if g == nil || (g.Admit(&ten) == 0) != (name == "ten") || (g.Admit(&eleven) == 0) != (name == "eleven") {
					t.Errorf("grant %v of %q", g, name)
					return
				}
			}
		})
		loaders.Go(func() {
			for i := range 50 {
				if err := c.Reload("p.toml", []byte(texts[i%2]), host); err != nil {
					t.Error(err)
				}
			}
		})
	}
	askers.Wait()
	loaders.Wait()
}
