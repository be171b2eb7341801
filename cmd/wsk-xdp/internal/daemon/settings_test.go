// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSettings: what is wrong is told with its place, and nothing is taken that has no meaning.
func TestSettings(t *testing.T) {
	for text, want := range map[string]string{
		"version = 1\nlissten = \"/x\"\n":           "daemon.toml:2:1: there is no key lissten",
		"version = 1\nlisten = 7\n":                 "daemon.toml:2:",
		"version = 2\n":                             "version: 2",
		"listen = \"relative\"\n":                   "listen: \"relative\" is no absolute path",
		"admin='a'\nlisten='l'\npolicy='p'\n":       "policy: \"p\" is no absolute path\nlisten: \"l\" is no absolute path\nadmin: ",
		"listen_mode = \"0999\"\n":                  "listen_mode",
		"metrics = \"0.0.0.0:9464\"\n":              "is no address of loopback",
		"memory_max = \"1\"\n":                      "memory_max",
		"stall_timeout = \"0s\"\n":                  "stall_timeout",
		"log_level = \"loud\"\n":                    "log_level",
		"log_format = \"xml\"\n":                    "log_format",
		"metrics = \"[::1]:9464\"\nversion = 1\n":   "",
		"memory_max = \"2GiB\"\nlog_level='warn'\n": "",
	} {
		s := defaults()
		err := s.parse("daemon.toml", []byte(text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	s := defaults()
	if err := s.check(); err != nil {
		t.Error(err)
	}
	if s.mode != 0o660 || s.memory != 256<<20 || s.stall != 10*time.Second || s.metrics.IsValid() {
		t.Errorf("%+v", s)
	}
}

// TestLoad: a file that was asked for has to be there; interfaces have to agree in what a datapath has once.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	if _, err := Load(Options{Config: none}); err == nil {
		t.Error("settings that are not there")
	}
	if _, err := Load(Options{Policy: none}); err == nil {
		t.Error("a policy that is not there")
	}
	policy := filepath.Join(dir, "policy.toml")
	for text, want := range map[string]string{
		"version = 1\n": "there is nothing to send through",
		"version = 1\n[interface.a]\nqueues = 1\n[interface.b]\nqueues = 2\n": "differ in queues",
		"version = 1\n[interface.a]\nquues = 1\n":                             "policy.toml:3:1",
	} {
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(Options{Policy: policy}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestLoadSamePaths: options that say the same are all heard.
func TestLoadSamePaths(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(policy, []byte("version = 1\n[interface.a]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Options{Policy: policy, Listen: "/x/s", Admin: "/x/s"})
	if err != nil {
		t.Fatal(err)
	}
	if c.settings.Listen != "/x/s" || c.settings.Admin != "/x/s" {
		t.Errorf("listen %s, admin %s", c.settings.Listen, c.settings.Admin)
	}
}
