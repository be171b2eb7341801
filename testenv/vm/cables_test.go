// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// fakeQEMU answers set_link at the far end of a monitor, with events in between, and passes on what it was told.
func fakeQEMU(t *testing.T, far io.ReadWriter, told chan<- string) {
	fmt.Fprintln(far, `{"QMP": {"version": {}, "capabilities": []}}`)
	lines := bufio.NewScanner(far)
	negotiated := false
	for lines.Scan() {
		var m struct {
			Execute   string
			Arguments struct {
				Name string
				Up   bool
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Errorf("%s: %v", lines.Bytes(), err)
		}
		fmt.Fprintln(far, `{"event": "NIC_RX_FILTER_CHANGED", "data": {"return": 1}}`)
		switch {
		case m.Execute == "qmp_capabilities":
			negotiated = true
			fmt.Fprintln(far, `{"return": {}}`)
		case m.Execute != "set_link" || !negotiated:
			fmt.Fprintln(far, `{"error": {"class": "CommandNotFound", "desc": "not expected"}}`)
		case m.Arguments.Name == cardID(1) && m.Arguments.Up:
			fmt.Fprintln(far, `{"error": {"class": "DeviceNotFound", "desc": "no card"}}`)
		default:
			told <- fmt.Sprint(m.Arguments.Name, " ", m.Arguments.Up)
			fmt.Fprint(far, `{"return": `, "{}}\n")
		}
	}
}

// TestCables: what a guest asks for reaches QEMU's monitor, and what QEMU says reaches the guest.
func TestCables(t *testing.T) {
	cmd := exec.Command("true")
	c, err := newCables(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if len(cmd.ExtraFiles) != 2 || monitorFD != 3 || cableFD != 4 {
		t.Fatalf("%d files to inherit", len(cmd.ExtraFiles))
	}
	monitor, port := cmd.ExtraFiles[0], cmd.ExtraFiles[1]
	c.theirs = nil // this test is QEMU
	told := make(chan string, 10)
	go fakeQEMU(t, monitor, told)
	c.serve(t.Logf)
	answers := bufio.NewReader(port)
	for _, a := range []struct{ ask, answer, told string }{
		{"a A down", "a ok", cardID(0) + " false"}, {"b A up", "b ok", cardID(0) + " true"},
		{"c B up", "c no QEMU, set_link: no card (DeviceNotFound)", ""}, {"d quit", "d no 2 words, want an ID, an end and up or down", ""},
		{"e B down", "e ok", cardID(1) + " false"},
	} {
		fmt.Fprintln(port, a.ask)
		line, err := answers.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != a.answer {
			t.Errorf("%s: %q, %v, want %s", a.ask, line, err, a.answer)
		}
		if a.told == "" {
			continue
		}
		if got := <-told; got != a.told {
			t.Errorf("%s: QEMU was told %s, want %s", a.ask, got, a.told)
		}
	}
	// A guest that is in the middle of a request does not hold up the host.
	fmt.Fprint(port, "f A do")
	closed := make(chan struct{})
	go func() { c.close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("close waits for the guest")
	}
	monitor.Close()
	port.Close()
}

// TestQEMUDies: a process that asks a QEMU that has ended gets an error that says so.
func TestQEMUDies(t *testing.T) {
	ours, theirs, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	fmt.Fprintln(theirs, `{"QMP": {}}`)
	fmt.Fprintln(theirs, `{"return": {}}`)
	theirs.Close()
	if err := newQMP(ours).do("set_link", nil); err == nil {
		t.Error("no error")
	}
}
