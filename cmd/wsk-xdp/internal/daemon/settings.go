// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Where things are in an installation as docs/daemon.md describes it.
const (
	DefaultConfig = "/etc/wsk-xdp/daemon.toml"
	defaultPolicy = "/etc/wsk-xdp/policy.toml"
	defaultListen = "/run/wsk-xdp/wsk.sock"
	defaultAdmin  = "/run/wsk-xdp/admin.sock"
)

// Settings are daemon.toml. What is not in the file has its default.
type Settings struct {
	Version int    `toml:"version"`
	Policy  string `toml:"policy"`
	// Listen is the socket of clients, where systemd hands none over. Mode and Group are its own.
	Listen string `toml:"listen"`
	Mode   string `toml:"listen_mode"`
	Group  string `toml:"listen_group"`
	Admin  string `toml:"admin"`
	// Metrics is an address of loopback for Prometheus, empty: on the admin socket only.
	Metrics          string `toml:"metrics"`
	MemoryMax        string `toml:"memory_max"`
	StallTimeout     string `toml:"stall_timeout"`
	NeighbourTimeout string `toml:"neighbour_timeout"`
	LogFormat        string `toml:"log_format"`
	LogLevel         string `toml:"log_level"`

	file      string
	mode      fs.FileMode
	metrics   netip.AddrPort
	memory    uint64
	stall     time.Duration
	neighbour time.Duration
}

func defaults() *Settings {
	return &Settings{
		Version: 1, Policy: defaultPolicy, Listen: defaultListen, Mode: "0660", Admin: defaultAdmin, MemoryMax: "256MiB",
		StallTimeout: "10s", NeighbourTimeout: "3s", LogFormat: "text", LogLevel: "info",
	}
}

// readSettings reads daemon.toml. A file that is not there is one without a line, unless it was asked for.
func readSettings(file string) (*Settings, error) {
	s := defaults()
	name := file
	if name == "" {
		name = DefaultConfig
	}
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && file == "":
		return s, s.check()
	case err != nil:
		return nil, err
	}
	s.file = name
	if err := s.parse(name, text); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Settings) parse(name string, text []byte) error {
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return tomlError(name, err)
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// tomlError says where in the file.
func tomlError(name string, err error) error {
	var strict *toml.StrictMissingError
	var decode *toml.DecodeError
	switch {
	case errors.As(err, &strict):
		var all []error
		for i := range strict.Errors {
			line, column := strict.Errors[i].Position()
			all = append(all, fmt.Errorf("%s:%d:%d: there is no key %s", name, line, column, strings.Join(strict.Errors[i].Key(), ".")))
		}
		return errors.Join(all...)
	case errors.As(err, &decode):
		line, column := decode.Position()
		return fmt.Errorf("%s:%d:%d: %s", name, line, column, strings.TrimPrefix(decode.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", name, err)
}

// check reads the values.
func (s *Settings) check() error {
	var all []error
	complain := func(key string, err error) {
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", key, err))
		}
	}
	if s.Version != 1 {
		complain("version", fmt.Errorf("%d is none that this program reads: 1", s.Version))
	}
	mode, err := strconv.ParseUint(s.Mode, 8, 32)
	if err != nil || mode > 0o777 {
		complain("listen_mode", fmt.Errorf("%q is no octal mode like 0660", s.Mode))
	}
	s.mode = fs.FileMode(mode)
	s.metrics, err = loopback(s.Metrics)
	complain("metrics", err)
	s.memory, err = parseMemory(s.MemoryMax)
	complain("memory_max", err)
	s.stall, err = parseDuration(s.StallTimeout)
	complain("stall_timeout", err)
	s.neighbour, err = parseDuration(s.NeighbourTimeout)
	complain("neighbour_timeout", err)
	_, err = newHandler(nil, s.LogFormat, s.LogLevel)
	complain("log_format, log_level", err)
	for _, p := range []struct{ key, path string }{{"policy", s.Policy}, {"listen", s.Listen}, {"admin", s.Admin}} {
		if !strings.HasPrefix(p.path, "/") {
			complain(p.key, fmt.Errorf("%q is no absolute path", p.path))
		}
	}
	return errors.Join(all...)
}

// loopback parses where metrics are served: nobody is asked who they are there, so it is this host only.
func loopback(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || !ap.Addr().IsLoopback() {
		return ap, fmt.Errorf("%q is no address of loopback with a port, like 127.0.0.1:9464", s)
	}
	return ap, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no time like 10s", s)
	}
	return d, nil
}

var memoryForm = regexp.MustCompile(`^([1-9][0-9]{0,9})(KiB|MiB|GiB)$`)

func parseMemory(s string) (uint64, error) {
	m := memoryForm.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is no memory like 256MiB", s)
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		return 0, err
	}
	return n << map[string]int{"KiB": 10, "MiB": 20, "GiB": 30}[m[2]], nil
}
