// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// asUser says in the environment that this process is a child of examineAsUser, and what it is to look at.
const asUser = "WSKXDP_DOCTOR_AS_USER"

// TestMain runs the tests, or is the ordinary user of examineAsUser.
func TestMain(m *testing.M) {
	if question, ok := os.LookupEnv(asUser); ok {
		if err := answerAsUser(question); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testenv.Main(m)
}

// question is what examineAsUser asks.
type question struct {
	Interface   string
	Destination netip.Addr
}

func answerAsUser(text string) error {
	var q question
	if err := json.Unmarshal([]byte(text), &q); err != nil {
		return err
	}
	f, err := Gather(context.Background(), Options{
		Interface: q.Interface, Destination: q.Destination,
		UserNS: func(context.Context, bool) (SelfTest, error) { return SelfTest{}, errors.New("not tried") },
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(Check(&f))
}

// examineAsUser is examine by an ordinary user without any capability.
func examineAsUser(t *testing.T, ns *testenv.Namespace, name string, dst netip.Addr) (findings []Finding) {
	t.Helper()
	text, err := json.Marshal(question{name, dst})
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), asUser+"="+string(text))
	cmd.Stderr = t.Output()
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testenv.OrdinaryUser(), Gid: testenv.OrdinaryUser()}}
	}
	var out []byte
	must(t, ns.Do(func() (err error) {
		out, err = cmd.Output()
		return err
	}))
	must(t, json.Unmarshal(out, &findings))
	return findings
}

// noFalseComfort fails where a user without privilege is told that something is well of which root is told that it is not.
func noFalseComfort(t *testing.T, root, user []Finding) {
	t.Helper()
	levels := make(map[string]Finding)
	for _, f := range root {
		levels[f.ID] = f
	}
	for _, f := range user {
		if r, ok := levels[f.ID]; ok && f.Level == OK && r.Level != OK {
			t.Errorf("an ordinary user is told %q (%s), root %q (%s)", f.Title, f.Detail, r.Title, r.Detail)
		}
	}
	if len(user) < len(root)/2 {
		t.Errorf("an ordinary user is told %d things, root %d", len(user), len(root))
	}
}
