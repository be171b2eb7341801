// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// rules are the policy in force, and the file that it came from.
type rules struct {
	file    string
	host    policy.Host
	current *policy.Current

	changing sync.Mutex // one change at a time; held while those who are there are told

	mu     sync.Mutex // held for no longer than it takes to read or set these
	loaded time.Time
	tries  uint64
	hung   int           // reloads that nobody waits for any more
	ended  bool          // nothing is put in force any more
	gone   chan struct{} // closed then
	err    error         // of the last reload
}

// policyHost is what a policy has to know of the host.
func policyHost(s *Settings) policy.Host {
	return policy.Host{MaxMemory: s.memory, MaxFiles: maxFiles(), Units: service.KnowsUnits()}
}

// readPolicy reads the file for the first time.
func readPolicy(s *Settings) (*rules, error) {
	r := &rules{file: s.Policy, host: policyHost(s), loaded: time.Now(), gone: make(chan struct{})}
	text, err := os.ReadFile(r.file)
	if err != nil {
		return nil, err
	}
	p, err := policy.Parse(r.file, text, r.host)
	if err != nil {
		return nil, err
	}
	if err := oneForAll(p); err != nil {
		return nil, fmt.Errorf("%s: %w", r.file, err)
	}
	r.current = policy.NewCurrent(p)
	return r, nil
}

// state is when the policy in force was loaded, how often it was tried to change it, and how the last try went.
func (r *rules) state() (loaded time.Time, tries uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loaded, r.tries, r.err
}

// oneForAll refuses a policy whose interfaces differ in what a datapath has one of.
func oneForAll(p *policy.Policy) error {
	if len(p.Interfaces) == 0 {
		return fmt.Errorf("no [interface.NAME]: there is nothing to send through")
	}
	first := p.Interfaces[0]
	for _, i := range p.Interfaces[1:] {
		if i.Queues != first.Queues || i.Mode != first.Mode || i.Spread != first.Spread {
			return fmt.Errorf("[interface.%s] and [interface.%s] differ in queues, mode or spread: one daemon has these once", first.Name, i.Name)
		}
	}
	return nil
}

// spareFiles are descriptors that are not for clients.
const spareFiles = 1024

// maxFiles is how many descriptors of this process all grants together may have.
func maxFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur <= spareFiles {
		return 1
	}
	return int(min(limit.Cur-spareFiles, 1<<30))
}
