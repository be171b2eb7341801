// SPDX-License-Identifier: Apache-2.0

package netconn

import "github.com/wsk-xdp/wsk-xdp/wsk"

// Capture registers a client with a subsystem, or with [wsk.Default] if subsystem is nil, and captures the provider
// that is attached. It does not wait for one. release undoes both; it waits until the connections made with npi are
// closed, and must be called once.
func Capture(subsystem *wsk.Subsystem) (npi *wsk.ProviderNPI, release func(), err error) {
	if subsystem == nil {
		subsystem = wsk.Default()
	}
	client := &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}
	registration := new(wsk.Registration)
	if status := subsystem.Register(client, registration); status != wsk.STATUS_SUCCESS {
		return nil, nil, &StatusError{Call: "WskRegister", Status: status}
	}
	npi = new(wsk.ProviderNPI)
	if status := wsk.CaptureProviderNPI(registration, wsk.WSK_NO_WAIT, npi); status != wsk.STATUS_SUCCESS {
		wsk.Deregister(registration)
		return nil, nil, &StatusError{Call: "WskCaptureProviderNPI", Status: status}
	}
	return npi, func() {
		wsk.ReleaseProviderNPI(registration)
		wsk.Deregister(registration)
	}, nil
}
