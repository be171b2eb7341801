// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"

	examples "github.com/wsk-xdp/wsk-xdp/docs/examples/netconn"
)

// ICE connects a and b. The one that controls is told of candidates at the dead addresses, too, and prefers them. It
// returns how long it took to connect; then words go to and fro under DTLS.
func ICE(ctx context.Context, a, b *End, dead ...netip.Addr) (took time.Duration, err error) {
	var peers [2]*examples.Peer
	for i, e := range []*End{a, b} {
		socket, err := e.ListenUDP("udp", e.Address())
		if err != nil {
			return 0, err
		}
		if peers[i], err = examples.NewPeer(ctx, socket); err != nil {
			return 0, err
		}
		defer peers[i].Close()
	}
	offer := peers[1].Offer
	for _, addr := range dead {
		offer.Candidates = append([]string{fmt.Sprintf("1 1 udp 2130706431 %v 9 typ host", addr)}, offer.Candidates...)
	}
	begun := time.Now()
	accepted, served := make(chan *ice.Conn, 1), make(chan error, 1)
	go func() {
		c, err := peers[1].Connect(ctx, peers[0].Offer, false)
		served <- err
		accepted <- c
	}()
	near, err := peers[0].Connect(ctx, offer, true)
	took = time.Since(begun)
	if err = errors.Join(err, <-served); err != nil {
		return took, err
	}
	return took, protected(ctx, near, <-accepted)
}

// protected says a word over DTLS and hears it again.
func protected(ctx context.Context, near, far *ice.Conn) error {
	certificate, pool, err := Certificate()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		c, err := examples.Decrypt(ctx, far, dtls.WithCertificates(certificate))
		if err == nil {
			buf := make([]byte, 100)
			var n int
			if n, err = c.Read(buf); err == nil {
				_, err = c.Write(buf[:n])
			}
		}
		served <- err
	}()
	c, err := examples.Encrypt(ctx, near, dtls.WithRootCAs(pool), dtls.WithServerName(name))
	if err != nil {
		return errors.Join(err, <-served)
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	const word = "a word"
	if _, err = c.Write([]byte(word)); err != nil {
		return err
	}
	got := make([]byte, len(word))
	if _, err = io.ReadFull(c, got); err == nil && string(got) != word {
		err = fmt.Errorf("%q came back", got)
	}
	return errors.Join(err, <-served)
}
