// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
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
	back := &sink{size: size, at: size / 8, f: at}
	err = examples.EchoQUIC(ctx, a.ListenUDP, to, client, &source{size: size}, back)
	stop()
	if err = errors.Join(err, <-served); err != nil {
		return err
	}
	return back.whole()
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
