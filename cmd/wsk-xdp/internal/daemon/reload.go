// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

const (
	reloadTime = 3 * time.Second // for the file and the users that it names, and for those who are told of the change
	mostHung   = 8               // reloads that still hang; each keeps a thread
)

// reload reads the policy again, and tells systemd meanwhile.
func (d *daemon) reload(by string) error {
	d.systemd.tell(sd.SdNotifyReloading)
	err := d.rules.reload(d.server.PolicyChanged)
	d.systemd.tell(sd.SdNotifyReady)
	if err != nil {
		d.log.Error("the policy stays as it is", "by", by, "err", err)
		return err
	}
	d.log.Info("policy reloaded", "by", by, "grants", len(d.Policy().Grants()))
	return nil
}

// attempt is who decides how a reload ends: the goroutine that does it, or whoever waits for it.
type attempt struct{ state atomic.Int32 }

const (
	reading int32 = iota
	applied
	abandoned
)

func (a *attempt) apply() bool   { return a.state.CompareAndSwap(reading, applied) }
func (a *attempt) abandon() bool { return a.state.CompareAndSwap(reading, abandoned) }

// reload reads the file again. On any error the policy that is in force stays; so it does where the file is not read in
// reloadTime, because it lies on a mount that is dead or is a pipe that nobody writes to, say. What is read after that is
// thrown away, and another reload does not wait for it.
func (r *rules) reload(changed func()) error {
	if err := r.begin(); err != nil {
		return err
	}
	var a attempt
	done := make(chan error, 1)
	go func() {
		err := r.read(&a, changed)
		if !errors.Is(err, errAbandoned) {
			r.end(err)
		}
		done <- err
	}()
	late := time.NewTimer(reloadTime)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-r.gone:
		return errEnds
	case <-late.C:
	}
	if a.abandon() {
		go func() {
			<-done
			r.hang(-1)
		}()
		r.hang(1)
		err := fmt.Errorf("%s: it has not been read for %v: what comes of it now is thrown away", r.file, reloadTime)
		r.end(err)
		return err
	}
	late.Reset(reloadTime)
	select {
	case err := <-done:
		return err
	case <-r.gone:
		return errEnds
	case <-late.C:
		return fmt.Errorf("%s is in force, but the server has not answered for %v", r.file, reloadTime)
	}
}

var errEnds = errors.New("the daemon ends")

var errAbandoned = errors.New("nobody waits for this policy any more")

// read does it.
func (r *rules) read(a *attempt, changed func()) error {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return orAbandoned(a, err)
	}
	p, err := policy.Parse(r.file, text, r.host)
	if err != nil {
		return orAbandoned(a, err)
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	if r.isOver() || !a.apply() {
		return errAbandoned
	}
	if err := r.current.Replace(p); err != nil {
		return err
	}
	changed()
	return nil
}

// orAbandoned is the error of a reload, if anybody waits for it.
func orAbandoned(a *attempt, err error) error {
	if !a.apply() {
		return errAbandoned
	}
	return err
}

// begin counts a reload.
func (r *rules) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	switch {
	case r.ended:
		return errEnds
	case r.hung >= mostHung:
		r.err = fmt.Errorf("%s: %d earlier reloads still hang", r.file, r.hung)
		return r.err
	}
	return nil
}

// over says, once, that the daemon ends: what is still being read counts no more, and nobody waits for it.
func (r *rules) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	close(r.gone)
}

func (r *rules) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// end notes how it has gone.
func (r *rules) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err = err; err == nil {
		r.loaded = time.Now()
	}
}

func (r *rules) hang(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hung += n
}
