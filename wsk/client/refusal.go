// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// A Refusal is something that the daemon has refused, and why.
type Refusal struct {
	// Of is what was refused: HELLO or ERROR for the session, OPEN for a socket, SEND for a datagram, DEAD for all that
	// a socket might still send, or another request.
	Of     ipc.Type
	Reason ipc.Reason
	// Status is what the operation ends in.
	Status wsk.NTSTATUS
	// Text is the daemon's sentence, which may name more than the reason does. Empty for a datagram.
	Text string
	// Local is the address that an OPEN has asked for, Remote the destination of a datagram. Else the zero AddrPort.
	Local, Remote netip.AddrPort
}

// Error is the reason, what it means, and what was refused.
func (r Refusal) Error() string {
	text := r.Text
	if text == "" {
		text = r.Reason.Sentence()
	}
	if text == "" {
		text = r.Status.String()
	}
	if r.Reason != ipc.ReasonNone {
		text = fmt.Sprintf("%v: %s", r.Reason, text)
	}
	switch {
	case r.Local.IsValid():
		text = fmt.Sprintf("%v: %s", r.Local, text)
	case r.Remote.IsValid():
		text = fmt.Sprintf("%v: %s", r.Remote, text)
	}
	return "the daemon refuses: " + text
}

// Unwrap is the status.
func (r Refusal) Unwrap() error { return r.Status }

var (
	errClosed  = errors.New("client: the transport has been closed")
	errGone    = errors.New("client: the daemon has closed the connection")
	errTimeout = errors.New("client: the daemon does not answer")
)

var (
	errUnasked = &ipc.Violation{Reason: ipc.ReasonState, Rule: "a reply answers a request that is under way"}
	errSocket  = &ipc.Violation{Reason: ipc.ReasonState, Rule: "a notification is about a socket that is open"}
)

// statusOf is the status in which an operation ends for want of a session.
func statusOf(err error) wsk.NTSTATUS {
	var refusal Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Status
	case errors.Is(err, os.ErrPermission):
		return wsk.STATUS_ACCESS_DENIED
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return wsk.STATUS_CONNECTION_REFUSED
	case errors.Is(err, errTimeout), errors.Is(err, os.ErrDeadlineExceeded):
		return wsk.STATUS_IO_TIMEOUT
	case errors.Is(err, errClosed), errors.Is(err, errGone):
		return wsk.STATUS_FILE_FORCED_CLOSED
	}
	return wsk.STATUS_CONNECTION_ABORTED
}

// statusOfReason is the status of a refusal that ends a session, whose message has none.
func statusOfReason(reason ipc.Reason) wsk.NTSTATUS {
	switch {
	case reason == ipc.ReasonVersion:
		return wsk.STATUS_NOT_SUPPORTED
	case reason >= 100 && reason < 200:
		return wsk.STATUS_ACCESS_DENIED
	case reason >= 200 && reason < 300:
		return wsk.STATUS_INSUFFICIENT_RESOURCES
	}
	return wsk.STATUS_FILE_FORCED_CLOSED
}

// readRefusal is the error of a failure that the daemon has sent, or of a message that is none.
func readRefusal(of ipc.Type, h ipc.Header, body []byte) error {
	var f ipc.Failure
	if err := f.Decode(h.Type, body); err != nil {
		return err
	}
	status := wsk.NTSTATUS(h.Status)
	if h.Status == 0 {
		status = statusOfReason(f.Reason)
	}
	return Refusal{Of: of, Reason: f.Reason, Status: status, Text: f.Text}
}

func isIPv4(a *[16]byte) bool { return ipaddr.Is4(a) }

// ofDatagram is the refusal of an operation that has ended.
func ofDatagram(op *wsk.SendOp, reason ipc.Reason, status wsk.NTSTATUS) Refusal {
	return Refusal{
		Of: ipc.TypeSend, Reason: reason, Status: status,
		Remote: netip.AddrPortFrom(op.To.IP(), op.To.Port),
	}
}
