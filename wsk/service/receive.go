// SPDX-License-Identifier: Apache-2.0

package service

import (
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

func (n *session) credit(h ipc.Header, _ []byte) error {
	return violation(ipc.ReasonMessage, h.Type, "CREDIT needs the feature receive")
}

func (k *socket) configure(h ipc.Header, _ []byte) error {
	return violation(ipc.ReasonMessage, h.Type, "CONFIGURE needs the feature receive")
}

func (k *socket) change(h ipc.Header, _ []byte) error {
	return violation(ipc.ReasonMessage, h.Type, "MEMBERSHIP needs the feature multicast")
}
