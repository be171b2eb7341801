// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// timeout bounds a question: the daemon answers at once, or hangs.
const timeout = 10 * time.Second

// maxAnswer bounds what is read.
const maxAnswer = 64 << 20

// Client asks a daemon.
type Client struct {
	path string
	http http.Client
}

// NewClient asks the daemon whose socket is at path; empty: DefaultPath.
func NewClient(path string) *Client {
	if path == "" {
		path = DefaultPath
	}
	c := &Client{path: path}
	c.http.Timeout = timeout
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}
	return c
}

// Status is what the daemon is and does.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := new(Status)
	return s, c.ask(ctx, http.MethodGet, "/v1/status", s)
}

// Clients are the sessions of the daemon.
func (c *Client) Clients(ctx context.Context) (*Clients, error) {
	l := new(Clients)
	return l, c.ask(ctx, http.MethodGet, "/v1/clients", l)
}

// Reload has the daemon read its policy again.
func (c *Client) Reload(ctx context.Context) (*Reload, error) {
	r := new(Reload)
	return r, c.ask(ctx, http.MethodPost, "/v1/reload", r)
}

// Metrics are those of the daemon in the text format of Prometheus.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	return c.get(ctx, http.MethodGet, "/metrics")
}

func (c *Client) ask(ctx context.Context, method, path string, into any) error {
	body, err := c.get(ctx, method, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: the answer is none of this version: %w", c.path, err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no daemon answers on %s: is it running (systemctl status wsk-xdp)?", c.path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s is for root and the daemon's own user: %w", c.path, fs.ErrPermission)
	case err != nil:
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusConflict {
		return nil, fmt.Errorf("%s: %s: %s", c.path, resp.Status, body)
	}
	return body, nil
}
