// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/admin"
)

// web is what answers operators: everything on a Unix socket, metrics and health on loopback as well.
type web struct {
	servers []*http.Server
}

// adminMode lets root and the daemon's own user in.
const adminMode = 0o600

// Bounds of a question.
const (
	readTime  = 5 * time.Second // also between two questions of a connection
	writeTime = 10 * time.Second
	maxHeader = 16 << 10
	maxAsking = 64                     // connections to loopback, where anybody may come: descriptors are for clients
	adminTime = 500 * time.Millisecond // for questions that are being answered, at the end
)

type peerKey struct{}

// handlers answer operators: open those on loopback, all those on the Unix socket.
func (d *daemon) handlers() (open, all *http.ServeMux) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{d})
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	open = http.NewServeMux()
	open.Handle("GET /metrics", metrics)
	open.HandleFunc("GET /healthz", d.healthz)
	open.HandleFunc("GET /readyz", d.readyz)
	all = http.NewServeMux()
	all.Handle("/", open)
	all.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		_, s := d.status()
		answer(w, http.StatusOK, s)
	})
	all.HandleFunc("GET /v1/clients", d.answerClients)
	all.HandleFunc("POST /v1/reload", d.reloadNow)
	return open, all
}

func (d *daemon) serveAdmin() (*web, error) {
	open, all := d.handlers()
	l, err := listen("unix", d.settings.Admin, adminMode)
	if err != nil {
		return nil, err
	}
	w := new(web)
	w.serve(d, l, all)
	if d.settings.metrics.IsValid() {
		l, err := net.Listen("tcp", d.settings.metrics.String())
		if err != nil {
			w.close()
			return nil, err
		}
		w.serve(d, netutil.LimitListener(l, maxAsking), open)
	}
	return w, nil
}

func (w *web) serve(d *daemon, l net.Listener, h http.Handler) {
	s := &http.Server{
		Handler: h, ReadTimeout: readTime, WriteTimeout: writeTime, MaxHeaderBytes: maxHeader,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerUID(c))
		},
	}
	w.servers = append(w.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("admin socket", "err", err)
		}
	}()
}

func (w *web) close() {
	ctx, cancel := context.WithTimeout(context.Background(), adminTime)
	defer cancel()
	for _, s := range w.servers {
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
	}
}

// nobody is no uid.
const nobody = ^uint32(0)

// peerUID is the user at the other end of a Unix socket.
func peerUID(c net.Conn) uint32 {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nobody
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nobody
	}
	uid := nobody
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = cred.Uid
		}
	})
	if err != nil {
		return nobody
	}
	return uid
}

func answer(w http.ResponseWriter, code int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(document) // whoever has asked is gone
}

func (d *daemon) healthz(w http.ResponseWriter, _ *http.Request) {
	_, complaints := d.health.look(time.Now())
	code := http.StatusOK
	if len(complaints) > 0 {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, map[string]any{"healthy": len(complaints) == 0, "complaints": notNil(complaints)})
}

func (d *daemon) answerClients(w http.ResponseWriter, _ *http.Request) {
	sessions, ok := d.sessions.answer()
	if !ok {
		http.Error(w, fmt.Sprintf("the server has not answered for %v", answerTime), http.StatusServiceUnavailable)
		return
	}
	answer(w, http.StatusOK, clients(sessions))
}

func (d *daemon) readyz(w http.ResponseWriter, _ *http.Request) {
	code := http.StatusOK
	if !d.isReady() {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, map[string]any{"ready": code == http.StatusOK})
}

// reloadNow is for root, and for the user as whom the daemon runs.
func (d *daemon) reloadNow(w http.ResponseWriter, r *http.Request) {
	if uid, _ := r.Context().Value(peerKey{}).(uint32); uid != 0 && uid != uint32(os.Geteuid()) {
		http.Error(w, "reload is for root", http.StatusForbidden)
		return
	}
	document := admin.Reload{Schema: admin.ReloadSchema, OK: true}
	code := http.StatusOK
	if err := d.reload("admin"); err != nil {
		document.OK, document.Error, code = false, err.Error(), http.StatusConflict
	}
	document.Grants = len(d.Policy().Grants())
	answer(w, code, document)
}
