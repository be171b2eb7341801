// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// TestHealth: a queue is ill when it has frames under way and none of them comes back for long enough, and well again
// when one does.
func TestHealth(t *testing.T) {
	info := datapath.Info{Queues: []datapath.QueueInfo{{Interface: "a", State: "up"}}}
	q := &info.Queues[0]
	h := newHealth(func() look { return look{info: info} }, time.Second)
	now := time.Now()
	for _, step := range []struct {
		after     time.Duration
		inFlight  int
		completed uint64
		state     string
		ill       bool
	}{
		{0, 0, 0, "up", false},
		{time.Hour, 5, 0, "up", false}, // it had nothing to do an hour ago, and may have these since a moment
		{3 * time.Second, 5, 0, "up", false},
		{time.Second, 5, 0, "up", true},
		{time.Second, 5, 1, "up", false},
		{3 * time.Second, 5, 1, "up", false},
		{time.Second, 5, 1, "up", true},
		{0, 5, 1, "down", false}, // a link that is down moves nothing
		{time.Hour, 5, 1, "up", false},
		{time.Second, 5, 2, "up", false},
		{time.Hour, 0, 2, "up", false},
	} {
		now = now.Add(step.after)
		q.InFlight, q.Completed, q.State = step.inFlight, step.completed, step.state
		if _, list := h.look(now); (len(list) > 0) != step.ill {
			t.Errorf("%+v: %q", step, list)
		}
	}
}

// TestHealthHangs: a server that does not answer is ill, and keeps nobody who asks. It is asked once.
func TestHealthHangs(t *testing.T) {
	free := make(chan struct{})
	var asked atomic.Int32
	d := &daemon{Config: &Config{rules: &rules{current: policy.NewCurrent(new(policy.Policy))}}}
	d.health = newHealth(func() look {
		asked.Add(1)
		<-free
		return look{answered: true}
	}, time.Second)
	d.sessions.ask = func() []service.Client {
		<-free
		return nil
	}
	_, all := d.handlers()
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/healthz":    {http.StatusServiceUnavailable, "has not answered"},
		"/v1/status":  {http.StatusOK, "has not answered"},
		"/v1/clients": {http.StatusServiceUnavailable, "has not answered"},
		"/metrics":    {http.StatusOK, "wsk_daemon_healthy 0"},
	} {
		w := httptest.NewRecorder()
		all.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if body := w.Body.String(); w.Code != want.code || !strings.Contains(body, want.text) || strings.Contains(body, "wsk_daemon_sessions ") {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	close(free)
	testenv.Eventually(t, waitLimit, "it to be well", func() bool {
		_, list := d.health.look(time.Now())
		return len(list) == 0
	})
}
