// SPDX-License-Identifier: Apache-2.0

package send

import "time"

// complaint keeps an error that comes ten times a second from being said as often.
type complaint struct {
	said string
	at   time.Time
}

const complaintInterval = 10 * time.Second

func (c *complaint) isNews(err error, now time.Time) bool {
	if text := err.Error(); text != c.said || now.Sub(c.at) >= complaintInterval {
		c.said, c.at = text, now
		return true
	}
	return false
}
