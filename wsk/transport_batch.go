// SPDX-License-Identifier: Apache-2.0

package wsk

// BatchEndpoint is an Endpoint that takes many operations at once for less than one by one.
type BatchEndpoint interface {
	Endpoint
	// SendBatch is [Endpoint.Send] for each of ops in their order. The slice is the caller's again when it returns, but
	// SendBatch may have changed it.
	SendBatch(ops []*SendOp)
}

// SendAll hands over operations in their order, at once where the endpoint can. From the call on they belong to the endpoint,
// until they complete; the slice is the caller's again when it returns, but may have been changed.
func SendAll(e Endpoint, ops []*SendOp) {
	if batch, ok := e.(BatchEndpoint); ok {
		batch.SendBatch(ops)
		return
	}
	for _, op := range ops {
		e.Send(op)
	}
}
