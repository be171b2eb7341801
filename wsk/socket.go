// SPDX-License-Identifier: Apache-2.0

package wsk

// Socket is WSK_SOCKET.
type Socket struct{}
