// SPDX-License-Identifier: Apache-2.0

package examples

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

func ofNet(network string, laddr *net.UDPAddr) (net.PacketConn, error) {
	return net.ListenUDP(network, laddr)
}

func ofWsknet(network string, laddr *net.UDPAddr) (net.PacketConn, error) {
	return wsknet.ListenUDP(network, laddr)
}

// within has sockets opened in the network namespace of a host.
func within(host *testenv.Host, open Sockets) Sockets {
	return func(network string, laddr *net.UDPAddr) (c net.PacketConn, err error) {
		err = host.NS.Do(func() (err error) {
			c, err = open(network, laddr)
			return err
		})
		return c, err
	}
}

// size is what is sent each way.
const size = 4 << 20

// TestQUIC: quic-go over the sockets of both packages, between two namespaces. On the wire of each there is ECN on nearly
// everything, DF on everything that is not a fragment, datagrams that path MTU discovery has made longer, and no fragment.
func TestQUIC(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	server, client := certificate(t)
	for _, tc := range []struct {
		name string
		open Sockets
	}{{"net", ofNet}, {"wsknet", ofWsknet}} {
		t.Run(tc.name, func(t *testing.T) {
			lab := testenv.NewLabT(t, testenv.Topology{})
			capture, err := testenv.NewCapture(lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer capture.Close()
			ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience(time.Minute))
			defer cancel()
			listening, served := make(chan net.Addr, 1), make(chan error, 1)
			go func() {
				served <- ServeQUIC(ctx, within(lab.B, tc.open), &net.UDPAddr{IP: lab.B.IPv4().AsSlice()}, server, listening)
			}()
			var to net.Addr
			select {
			case to = <-listening:
			case err := <-served:
				t.Fatal(err)
			}
			want := make([]byte, size)
			rand.Read(want)
			var got bytes.Buffer
			if err := EchoQUIC(ctx, within(lab.A, tc.open), to, client, bytes.NewReader(want), &got); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes came back, not those %d that were sent", got.Len(), size)
			}
			judge(t, capture)
		})
	}
}

// trigger calls f once, when so much has been written to it.
type trigger struct {
	got bytes.Buffer
	at  int
	f   func()
}

func (t *trigger) Write(b []byte) (int, error) {
	if n := t.got.Len(); n < t.at && n+len(b) >= t.at {
		t.f()
	}
	return t.got.Write(b)
}

// TestQUICSurvives: a transfer goes on when the client's link has had no carrier for a second, with the sockets of both
// packages.
func TestQUICSurvives(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	server, client := certificate(t)
	for _, tc := range []struct {
		name string
		open Sockets
	}{{"net", ofNet}, {"wsknet", ofWsknet}} {
		t.Run(tc.name, func(t *testing.T) {
			lab := testenv.NewLabT(t, testenv.Topology{Shape: testenv.Routed, NoIPv6: true})
			ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience(time.Minute))
			defer cancel()
			listening, served := make(chan net.Addr, 1), make(chan error, 1)
			go func() {
				served <- ServeQUIC(ctx, within(lab.B, tc.open), &net.UDPAddr{IP: lab.B.IPv4().AsSlice()}, server, listening)
			}()
			var to net.Addr
			select {
			case to = <-listening:
			case err := <-served:
				t.Fatal(err)
			}
			want := make([]byte, size)
			rand.Read(want)
			mended := make(chan error, 1)
			got := trigger{at: size / 8, f: func() {
				if err := lab.Router.A.SetDown(); err != nil {
					t.Error(err)
				}
				time.AfterFunc(time.Second, func() { mended <- lab.Router.A.StartUp() })
			}}
			if err := EchoQUIC(ctx, within(lab.A, tc.open), to, client, bytes.NewReader(want), &got); err != nil {
				t.Fatal(err)
			}
			if err := <-mended; err != nil {
				t.Error(err)
			}
			if !bytes.Equal(got.got.Bytes(), want) {
				t.Errorf("%d bytes came back, not those %d that were sent", got.got.Len(), size)
			}
			cancel()
			<-served
		})
	}
}

// judge looks at what the client has sent.
func judge(t *testing.T, capture *testenv.Capture) {
	t.Helper()
	packets, marked, forbidden, longest, fragments := 0, 0, 0, 0, 0
	for _, f := range capture.Frames() {
		p, err := testenv.Decode(f.Data)
		if err != nil || p.Version != 4 || p.Protocol != 17 {
			continue
		}
		if p.Fragment {
			fragments++
		}
		packets++
		if p.TOS&3 != 0 {
			marked++
		}
		if p.DontFragment {
			forbidden++
		}
		longest = max(longest, len(p.IPPayload)-8)
	}
	t.Logf("%d packets, %d with ECN, %d with DF, %d fragments, the longest payload %d", packets, marked, forbidden, fragments, longest)
	if packets == 0 || fragments != 0 || forbidden != packets || marked < packets*9/10 || longest <= 1280 {
		t.Error("see the line before")
	}
}

// certificate makes the configurations of a server and of a client that trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	protocols := []string{"echo"}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: protocols},
		&tls.Config{RootCAs: pool, ServerName: "example", NextProtos: protocols}
}
