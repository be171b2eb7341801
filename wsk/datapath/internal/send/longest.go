// SPDX-License-Identifier: Apache-2.0

package send

// LongestPacket is the largest MTU whose packets the queue takes.
func LongestPacket(q *Queue) int {
	longest, _ := limits(q)
	return longest - linkRoom
}
