// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"time"

	examples "github.com/wsk-xdp/wsk-xdp/docs/examples/netconn"
)

// QUIC sends size bytes from a to b and back over quic-go. At the eighth of what comes back it calls at, unless that is
// nil; the transfer waits until it returns, so it had better not wait.
func QUIC(ctx context.Context, a, b *End, size int, at func()) error {
	certificate, pool, err := Certificate()
	if err != nil {
		return err
	}
	protocols := []string{"echo"}
	server := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: protocols}
	client := &tls.Config{RootCAs: pool, ServerName: name, NextProtos: protocols}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	listening, served := make(chan net.Addr, 1), make(chan error, 1)
	go func() { served <- examples.ServeQUIC(serving, b.ListenUDP, b.Address(), server, listening) }()
	var to net.Addr
	select {
	case to = <-listening:
	case err := <-served:
		return err
	}
	want := data(size)
	back := trigger{at: size / 8, f: at}
	err = examples.EchoQUIC(ctx, a.ListenUDP, to, client, bytes.NewReader(want), &back)
	stop()
	if err = errors.Join(err, <-served); err != nil {
		return err
	}
	if !bytes.Equal(back.got.Bytes(), want) {
		return fmt.Errorf("%d bytes came back, not those %d that were sent", back.got.Len(), size)
	}
	return nil
}

// data is so many bytes that do not repeat.
func data(size int) []byte {
	b := make([]byte, size)
	_, _ = mathrand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// trigger calls f once, when so much has been written to it.
type trigger struct {
	got bytes.Buffer
	at  int
	f   func()
}

func (t *trigger) Write(b []byte) (int, error) {
	if n := t.got.Len(); t.f != nil && n < t.at && n+len(b) >= t.at {
		t.f()
	}
	return t.got.Write(b)
}

// name is what the certificate is for.
const name = "example"

// Certificate makes a certificate and a pool that trusts it.
func Certificate() (c tls.Certificate, pool *x509.CertPool, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return c, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return c, nil, err
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, nil
}
