// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// childVariable tells a process that it is a child, and what to do.
const childVariable = "WSKXDP_FAULTS_CHILD"

// task is what a child does in the namespace in which it was started, until its standard input ends: send or receive through a datapath,
// receive with a socket of the kernel's, or hold a queue.
type task struct {
	Role  string // "send", "receive", "kernel", "hold"
	Run   uint64
	Local netip.AddrPort
	To    netip.AddrPort
	Plan  account.Plan
	// Buffer is the receive buffer of a socket of the kernel's.
	Buffer int
	// Receive is the interface to receive on, with XDP.
	Receive string
	// NoLock takes CAP_IPC_LOCK away and lowers the limit of locked memory to so many bytes.
	NoLock uint64
}

// Records on the standard output: kind or fate, code, flow, sequence number.
const (
	recordSize    = 24
	recordReady   = 'r'
	recordFate    = 'f'
	recordArrived = 'a'
	recordDamaged = 'd'
)

// Child runs the task of a child and exits; in any other process it returns. Call it first of all.
func Child() {
	raw, ok := os.LookupEnv(childVariable)
	if !ok {
		return
	}
	var t task
	err := json.Unmarshal([]byte(raw), &t)
	if err == nil {
		err = t.run(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// recorder writes records, each in one piece.
type recorder struct {
	mu sync.Mutex
	w  io.Writer
}

func (r *recorder) write(kind byte, fate account.Fate, code, flow uint32, seq uint64) {
	var b [recordSize]byte
	b[0], b[1] = kind, byte(fate)
	binary.LittleEndian.PutUint32(b[4:], code)
	binary.LittleEndian.PutUint32(b[8:], flow)
	binary.LittleEndian.PutUint64(b[16:], seq)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.w.Write(b[:]) // a parent that is gone ends us through the other pipe
}

func (r *recorder) arrived(payload []byte, run uint64) {
	switch tag, err := account.ParseTag(payload, run); {
	case err == nil:
		r.write(recordArrived, 0, 0, tag.Flow, tag.Seq)
	case errors.Is(err, account.ErrDamaged):
		r.write(recordDamaged, 0, 0, tag.Flow, tag.Seq)
	}
}

func (t *task) run(stdin io.Reader, stdout io.Writer) error {
	out := &recorder{w: stdout}
	if t.NoLock != 0 {
		return dropLock(*t)
	}
	switch t.Role {
	case "kernel":
		return t.kernel(stdin, out)
	case "hold":
		return t.hold(stdin, out)
	}
	o := datapath.Options{}
	if t.Receive != "" {
		o.Receive = []string{t.Receive}
	}
	p, err := openProvider(o)
	if err != nil {
		return err
	}
	var dispatch *wsk.ClientDatagramDispatch
	if t.Role == "receive" {
		dispatch = &wsk.ClientDatagramDispatch{ReceiveFromEvent: func(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			for ; list != nil; list = list.Next {
				out.arrived(account.Bytes(&list.Buffer), t.Run)
			}
			return wsk.STATUS_SUCCESS
		}}
	}
	s, err := p.open(t.Local, dispatch)
	if err != nil {
		return errors.Join(err, p.close())
	}
	out.write(recordReady, 0, 0, 0, 0)
	if t.Role == "receive" {
		_, _ = io.Copy(io.Discard, stdin)
		return p.close()
	}
	sender := account.NewSender(s, wsk.NewSockaddr(t.To), t.Plan)
	sender.Book.Tell = func(seq uint64, fate account.Fate, code uint32) { out.write(recordFate, fate, code, t.Plan.Flow, seq) }
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, stdin); cancel() }()
	sender.Run(ctx, -1)
	sender.Book.AwaitEnd(deadline(callLimit))
	return p.close()
}

// kernel receives with a socket of the kernel's.
func (t *task) kernel(stdin io.Reader, out *recorder) error {
	ns, err := testenv.CurrentNamespace()
	if err != nil {
		return err
	}
	r, err := account.NewKernelReceiver(ns, t.Local, t.Run, t.Buffer)
	if err != nil {
		return err
	}
	r.Tell = func(tag account.Tag, err error) {
		kind := byte(recordArrived)
		if err != nil {
			kind = recordDamaged
		}
		out.write(kind, 0, 0, tag.Flow, tag.Seq)
	}
	out.write(recordReady, 0, 0, 0, 0)
	_, _ = io.Copy(io.Discard, stdin)
	return r.Close()
}

// hold keeps the first queue of an interface.
func (t *task) hold(stdin io.Reader, out *recorder) error {
	o := xdp.DefaultOptions(t.Receive, 0)
	o.Mode = xdp.ModeCopy
	var q xdp.Queue
	var err error
	if poll(callLimit, "the queue", func() bool { q, err = xdp.Open(o); return err == nil }) != nil {
		return err
	}
	out.write(recordReady, 0, 0, 0, 0)
	_, _ = io.Copy(io.Discard, stdin)
	return q.Close()
}

// dropLock starts this process anew as one that may lock only so much memory: it leaves the capability out of the bounding set, which a
// program that is executed is held to.
func dropLock(t task) error {
	limit := t.NoLock
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("lower the limit of locked memory: %w", err)
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_IPC_LOCK, 0, 0, 0); err != nil {
		return fmt.Errorf("drop CAP_IPC_LOCK: %w", err)
	}
	t.NoLock = 0
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := os.Setenv(childVariable, string(raw)); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// process is a child with the end of its records.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ready chan struct{}
	done  chan struct{}
	book  *account.Book
	got   *account.Arrivals
	err   error
	ended bool
}

// startChild starts a child in a namespace. What it sends goes into the book, what it receives into got.
func startChild(ns *testenv.Namespace, t task, book *account.Book, got *account.Arrivals) (*process, error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command("/proc/self/exe"), ready: make(chan struct{}), done: make(chan struct{}), book: book, got: got}
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(raw), "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ns.Do(p.cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.read(stdout)
		p.err = p.cmd.Wait()
	}()
	select {
	case <-p.ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("child %s: %v before it was ready", t.Role, p.err)
	case <-deadline(callLimit):
		return nil, errors.Join(fmt.Errorf("child %s is not ready", t.Role), p.kill())
	}
}

func (p *process) read(stdout io.Reader) {
	var b [recordSize]byte
	for {
		if _, err := io.ReadFull(stdout, b[:]); err != nil {
			return
		}
		code, flow, seq := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint64(b[16:])
		switch fate := account.Fate(b[1]); {
		case b[0] == recordReady:
			close(p.ready)
		case b[0] == recordArrived:
			p.got.TakeTag(account.Tag{Flow: flow, Seq: seq}, nil)
		case b[0] == recordDamaged:
			p.got.TakeTag(account.Tag{Flow: flow, Seq: seq}, account.ErrDamaged)
		case fate == account.Pending:
			p.book.Begin()
		default:
			p.book.End(seq, fate, code)
		}
	}
}

func (p *process) signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// kill is kill -9.
func (p *process) kill() error {
	if p.ended {
		return nil
	}
	p.ended = true
	err := p.cmd.Process.Kill()
	<-p.done
	p.stdin.Close()
	return err
}

// stop ends the child as it likes to end.
func (p *process) stop() error {
	if p.ended {
		return nil
	}
	p.stdin.Close()
	select {
	case <-p.done:
		p.ended = true
		if p.err != nil {
			return fmt.Errorf("child: %w", p.err)
		}
		return nil
	case <-deadline(2 * callLimit):
		return errors.Join(errors.New("the child does not end"), p.kill())
	}
}
