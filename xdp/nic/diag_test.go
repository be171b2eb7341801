// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func native32(words ...uint32) (b []byte) {
	for _, w := range words {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

// diagAnswer is an answer of sock_diag with its attributes as they come.
func diagAnswer(inode uint32, attrs ...[]byte) []byte {
	return slices.Concat([]byte{unix.AF_XDP, unix.SOCK_RAW, 0, 0}, native32(inode, 1, 2), slices.Concat(attrs...))
}

func attr(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(value)))
	return append(binary.NativeEndian.AppendUint16(b, kind), value...)
}

func TestParseDiag(t *testing.T) {
	got, err := parseDiag(diagAnswer(77, attr(99, nil), attr(diagAttrInfo, native32(5, 3)), attr(diagAttrUID, native32(1000))))
	if want := (diagSocket{77, 5, 3, 1000}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	longer := native32(5, 3, 9) // a later kernel may append
	if got, err := parseDiag(diagAnswer(77, attr(diagAttrInfo, longer))); err != nil || got.queue != 3 {
		t.Errorf("a longer attribute: %+v, %v", got, err)
	}
	for name, msg := range map[string][]byte{
		"nothing":          nil,
		"half a header":    diagAnswer(77)[:10],
		"another family":   slices.Concat([]byte{unix.AF_INET}, diagAnswer(77)[1:]),
		"short info":       diagAnswer(77, attr(diagAttrInfo, native32(5))),
		"empty info":       diagAnswer(77, attr(diagAttrInfo, nil)),
		"short owner":      diagAnswer(77, attr(diagAttrUID, []byte{1, 2})),
		"attribute beyond": diagAnswer(77, []byte{200, 0, 1, 0}),
		"attribute of 2":   diagAnswer(77, []byte{2, 0, 1, 0}),
	} {
		if s, err := parseDiag(msg); err == nil {
			t.Errorf("%s: taken as %+v", name, s)
		}
	}
}

// FuzzParseDiag: an answer of any bytes is parsed or refused.
func FuzzParseDiag(f *testing.F) {
	f.Add(diagAnswer(77, attr(diagAttrInfo, native32(5, 3)), attr(diagAttrUID, native32(1000))))
	f.Add(diagAnswer(77, attr(diagAttrInfo, native32(5)))[:21])
	f.Fuzz(func(t *testing.T, msg []byte) {
		if s, err := parseDiag(msg); err != nil && s.inode != 0 && len(msg) < sizeofDiagMsg {
			t.Errorf("%+v of %d bytes", s, len(msg))
		}
	})
}

func TestDiagError(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("x: %w", unix.ENOENT): true, fmt.Errorf("x: %w", unix.EPROTONOSUPPORT): true, unix.EPERM: false,
	} {
		if got := errors.Is(diagError(err), ErrNotSupported); got != want {
			t.Errorf("%v says that the kernel has it not: %v, want %v", err, got, want)
		}
	}
}

// fakeProc is a /proc. Its processes are given as file name → content, with "→" in front for a link.
func fakeProc(t *testing.T, protocols string, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files["thread-self/net/protocols"] = protocols
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := os.WriteFile(path, []byte(content), 0o644)
		if target, ok := strings.CutPrefix(content, "→"); ok {
			err = errors.Join(os.Remove(path), os.Symlink(target, path))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const protocolsHead = "protocol  size sockets  memory press maxhdr  slab module     cl co\nPACKET    1600      3      -1   NI       0   no   kernel  n  n\n"

func xdpSockets(n int) string {
	return fmt.Sprintf("%sXDP       1088 %6d      -1   NI       0   no   kernel      n  n\n", protocolsHead, n)
}

const ringLine = "7f0000000000-7f0000001000 rw-s 180000000 00:08 %[1]d                      socket:[%[1]d]\n"

func TestCountSockets(t *testing.T) {
	for content, want := range map[string]int{
		xdpSockets(0): 0, xdpSockets(12): 12, protocolsHead: -1, "": -1, "XDP\n": -1, "XDP 1088 x\n": -1, "XDP 1088 -1\n": -1,
		"XDP 1088 99999999999999999999\n": -1,
	} {
		got, err := countSockets(fakeProc(t, content, map[string]string{}))
		if got != want || (err == nil) != (want >= 0) {
			t.Errorf("%q: %d, %v, want %d", content, got, err, want)
		}
	}
	if n, err := countSockets(t.TempDir()); n != -1 || err == nil {
		t.Errorf("no /proc: %d, %v", n, err)
	}
}

// Everything that the kernel may say or keep back, on interface 5.
func TestFindHoldersOfAnyKernel(t *testing.T) {
	files := map[string]string{
		"100/comm": "server\n", "100/fd/3": "→socket:[10]", "100/fd/4": "→/tmp/socket:[30]", "100/maps": "",
		"200/comm": "two\n\x1b[2Jwords\n", "200/fd/0": "→/dev/null", "200/fd/7": "→socket:[11]", "200/fd/8": "→socket:[12]",
		"200/maps": "7f00-7f01 r--p 00000000 08:01 7 /bin/x\n" + fmt.Sprintf(ringLine, 11),
		"300/comm": "mapped\n", "300/maps": fmt.Sprintf(ringLine, 11) + fmt.Sprintf(ringLine, 40), // and no descriptor
		"400/comm": "others\n", "400/fd/1": "→socket:[90]", "400/maps": "7f00-7f01 rw-s 00000000 00:08 90 socket:[90]\n",
		"500/maps":  "7f00-7f01 rw-s 180000000\nrw-s\n\n7f00-7f01 rw-s zz 00:08 10 socket:[10]\n7f00-7f01 rw-s 180000000 0:8 1 socket:[x]\n",
		"self/comm": "no number\n", "notapid/fd/1": "→socket:[10]",
	}
	server, words, mapped := Process{100, "server"}, Process{200, "two??[2Jwords"}, Process{300, "mapped"}
	all := []diagSocket{{10, 5, 3, 0}, {11, 5, 0, 1000}, {12, 6, 0, 0}, {13, 0, 0, 0}, {14, 5, 7, 1001}}
	for _, c := range []struct {
		name      string
		protocols string
		lists     [][]diagSocket // one after another, the last for ever
		err       error
		sockets   int
		bound     []Holder
		complete  bool
		others    []Process
		describe  map[uint32]string
	}{
		{
			name: "all told", protocols: xdpSockets(5), lists: [][]diagSocket{all}, sockets: 5, complete: true,
			bound: []Holder{{0, 11, 1000, []Process{words, mapped}}, {3, 10, 0, []Process{server}}, {7, 14, 1001, nil}},
			describe: map[uint32]string{
				0: "held by pid 200 (two??[2Jwords), pid 300 (mapped)", 3: "held by pid 100 (server)",
				7: "a socket of user 1001 that no process", 1: "no open AF_XDP socket",
			},
		},
		{
			name: "one came meanwhile", protocols: xdpSockets(5), lists: [][]diagSocket{all[:1], all}, sockets: 5, complete: true,
			bound: []Holder{{0, 11, 1000, []Process{words, mapped}}, {3, 10, 0, []Process{server}}, {7, 14, 1001, nil}},
		},
		{
			name: "a list that ends too early", protocols: xdpSockets(5), lists: [][]diagSocket{all[:2]}, sockets: 5,
			bound: []Holder{{0, 11, 1000, []Process{words, mapped}}, {3, 10, 0, []Process{server}}}, others: []Process{mapped},
			describe: map[uint32]string{1: "perhaps held by pid 300 (mapped), here or in another network namespace; not certain: the kernel lists 2 of 5", 3: "held by pid 100"},
		},
		{
			name: "no sockets, and no diagnostics", protocols: xdpSockets(0), err: unix.ENOENT, complete: true, bound: []Holder{},
			describe: map[uint32]string{0: "no open AF_XDP socket"},
		},
		{
			name: "no diagnostics", protocols: xdpSockets(2), err: unix.ENOENT, sockets: 2, bound: []Holder{}, others: []Process{words, mapped},
			describe: map[uint32]string{0: "pid 200 (two??[2Jwords), pid 300 (mapped)"},
		},
		{
			name: "not counted", protocols: protocolsHead, lists: [][]diagSocket{all[:1]}, sockets: -1,
			bound: []Holder{{3, 10, 0, []Process{server}}}, others: []Process{words, mapped},
			describe: map[uint32]string{0: "whole is not known"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			h := findHolders(5, fakeProc(t, c.protocols, files), func() ([]diagSocket, error) {
				asked++
				if c.err != nil {
					return nil, c.err
				}
				return c.lists[min(asked, len(c.lists))-1], nil
			})
			if h.Sockets != c.sockets || (h.Err == nil) != c.complete || h.Denied {
				t.Errorf("%+v", h)
			}
			if diff := cmp.Diff(c.bound, h.Bound); diff != "" {
				t.Errorf("bound (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.others, h.Candidates); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
			for queue, want := range c.describe {
				if got := h.Describe(queue); !strings.Contains(got, want) {
					t.Errorf("queue %d: %q does not say %q", queue, got, want)
				}
			}
		})
	}
}

func TestDescribeHolders(t *testing.T) {
	many := make([]Process, 19)
	for i := range many {
		many[i] = Process{PID: i + 1}
	}
	for _, c := range []struct {
		h    Holders
		want string
	}{
		{Holders{Bound: []Holder{{Queue: 2, UID: 3}}, Denied: true}, "held by a process of user 3 that is not shown to this one: ask as root"},
		{Holders{Bound: []Holder{{Queue: 2, Processes: many}}}, "pid 15, pid 16 and 3 more"},
		{Holders{Err: unix.EPERM, Denied: true}, "not known: operation not permitted; processes with AF_XDP sockets are shown to root"},
		{Holders{Err: unix.EPERM}, "who holds it is not known: operation not permitted"},
	} {
		if got := c.h.Describe(2); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
